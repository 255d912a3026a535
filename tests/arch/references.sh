#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# docs/acquire-resource.md names code and tests, as `file:name`: each file is there, and has the name.
# shellcheck source=tests/lib/functions.sh
. "$(dirname "$0")/../lib/functions.sh"

document=$top/docs/acquire-resource.md

# What stands in backquotes and begins with one of our folders.
references() {
    grep -o '`[^`]*`' "$document" | tr -d '`' | grep -E '^(auth|client|common|proto|server|tests)/' | sort -u
}

references_lead_somewhere() {
    local reference file name found=0
    while IFS= read -r reference; do
        file=${reference%%:*}
        name=${reference#"$file"}
        [ -e "$top/$file" ] || { echo "$reference: no such file"; return 1; }
        [ -z "$name" ] || grep -qF -- "${name#:}" "$top/$file" || { echo "$reference: not in the file"; return 1; }
        found=$((found + 1))
    done < <(references)
    [ "$found" -gt 80 ] || { echo "found only $found references"; return 1; }
}

check "each name in acquire-resource.md is in the file that it names" references_lead_somewhere
