#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# proto/ keeps the rules in proto/buf.yaml, and breaks nothing that the last release has. Which
# release that is, CHANGELOG.md says, and its tag vX.Y.Z has to be there then.
# time-limit: 600
# shellcheck source=tests/lib/functions.sh
. "$(dirname "$0")/../lib/functions.sh"
requires jq git
# shellcheck source=tests/clients/clients.sh
. "$top/tests/clients/clients.sh"

last_release() {
    sed -n '/not yet released/d; s/^## \([0-9][0-9.]*\).*/\1/p' "$top/CHANGELOG.md" | head -n 1
}

breaking() { # TREE AGAINST
    "$buf" breaking "$1" --against "$2"
}

# A copy of proto/ with one change, which buf has to find. The rules are those of the copy.
finds() { # SED-EXPRESSION FILE SAYING COMMAND...
    local copy=$work/proto
    rm -rf "$copy"
    cp -r "$top/proto" "$copy"
    sed -i "$1" "$copy/xenres/v1/$2"
    ! cmp -s "$copy/xenres/v1/$2" "$top/proto/xenres/v1/$2" || { echo "changes nothing: $1"; return 1; }
    fails 100 "${@:4}"
    contains "$(cat "$work/said")" "$3"
}

lint_finds() { finds "$@" "$buf" lint "$work/proto"; }
breaking_finds() { finds "$@" breaking "$work/proto" "$top/proto"; }

nothing_breaks_the_last_release() {
    git -C "$top" rev-parse --quiet --verify "v$release^{commit}" || {
        echo "CHANGELOG.md has release $release, and there is no tag v$release: fetch the tags"
        return 1
    }
    git -C "$top" archive "v$release" proto | tar -x -C "$work" --one-top-level=released
    breaking "$top/proto" "$work/released/proto"
}

find_buf
check "buf lint is content" "$buf" lint "$top/proto"
check "buf lint sees a field that is not in snake case" \
    lint_finds 's/string name_glob = 1/string nameGlob = 1/' host.proto nameGlob
check "buf breaking sees a field removed" \
    breaking_finds '/string content_tag = 11/d' domain.proto content_tag
check "buf breaking sees a field's type change" \
    breaking_finds 's/uint32 max_vcpus = 5/uint64 max_vcpus = 5/' host.proto max_vcpus
check "buf breaking sees a field's number change" \
    breaking_finds 's/string next_step = 4/string next_step = 5/' failure.proto next_step
check "buf breaking sees a method removed" \
    breaking_finds '/rpc GetVcpuStats/,/}/d' inspect.proto GetVcpuStats
check "buf breaking sees a stream become unary" \
    breaking_finds 's/returns (stream /returns (/' resource.proto ReadSnapshot
release=$(last_release)
if [ -n "$release" ]; then
    check "nothing breaks release $release" nothing_breaks_the_last_release
else
    echo "# CHANGELOG.md has no release yet: there is none to break"
fi
