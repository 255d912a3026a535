#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# The documents name code and tests, as `file:name`: each file is there, and has the name.
# shellcheck source=tests/lib/functions.sh
. "$(dirname "$0")/../lib/functions.sh"

# What stands in backquotes and begins with one of our folders.
references() { # DOCUMENT
    grep -o '`[^`]*`' "$top/docs/$1" | tr -d '`' | grep -E '^(auth|client|common|proto|server|tests)/' | sort -u
}

references_lead_somewhere() { # DOCUMENT LEAST
    local reference file name found=0
    while IFS= read -r reference; do
        file=${reference%%:*}
        name=${reference#"$file"}
        [ -e "$top/$file" ] || { echo "$reference: no such file"; return 1; }
        [ -z "$name" ] || grep -qF -- "${name#:}" "$top/$file" || { echo "$reference: not in the file"; return 1; }
        found=$((found + 1))
    done < <(references "$1")
    [ "$found" -gt "$2" ] || { echo "found only $found references"; return 1; }
}

check "each name in acquire-resource.md is in the file that it names" references_lead_somewhere acquire-resource.md 80
check "each name in threat-model.md is in the file that it names" references_lead_somewhere threat-model.md 50
check "each name in protocol.md is in the file that it names" references_lead_somewhere protocol.md 15
