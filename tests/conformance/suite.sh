#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# time-limit: 300
#
# Runs Connect's conformance suite (`make conformance` builds it) against the server beside this
# file. One result a case, by its own name; the suite's own count and status have to agree.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
build=${BUILD:-build}/tests/conformance

if ! command -v go >/dev/null; then
    echo '1..0 # SKIP the suite is a Go program, and there is no Go here'
    exit 77
fi

status=0
"$build/connectconformance" --conf "$here/features.yaml" --mode server --trace --vv \
    -- "$build/server" >"$TMPDIR/out" 2>&1 || status=$?

awk '
    match($0, /^Received response for ".*"/) { name[++cases] = substr($0, 24, RLENGTH - 24) }
    match($0, /^FAILED: .*:$/) { bad[substr($0, 9, length($0) - 9)] = 1 }
    match($0, /^[0-9]+ passed, [0-9]+ failed$/) { passed = $1 }
    END {
        for (i = 1; i <= cases; i++) {
            print (name[i] in bad ? "not ok " : "ok ") i " - " name[i]
            good += !(name[i] in bad)
        }
        agree = cases > 0 && good == passed && '"$status"' == 0
        print (agree ? "ok " : "not ok ") cases + 1 " - the suite agrees: " passed + 0 " of " cases " passed"
        print "1.." cases + 1
        exit !agree
    }' "$TMPDIR/out" || { status=$?; sed 's/^/# /' "$TMPDIR/out"; exit "$status"; }
