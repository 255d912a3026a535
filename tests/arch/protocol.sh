#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# The tables of docs/protocol.md are those of the code: methods, errors, headers of raw frames, and
# the options that it names with their defaults.
# shellcheck source=tests/lib/functions.sh
. "$(dirname "$0")/../lib/functions.sh"

document=$top/docs/protocol.md

rows() { # HEADING: the table under it, as `cell|cell|…`, without its head
    awk -v heading="## $1" '$0 == heading { inside = 1; next } /^## / { inside = 0 } inside && /^\|/' "$document" |
        tail -n +3 | sed 's/^| *//; s/ *|$//; s/ *| */|/g'
}

methods_in_proto() {
    sed -n 's/^service \(\w*\) {.*/service \1/p; s/^  rpc \(\w*\)(.*returns (\(stream \)\?.*/\1 \2/p' \
        "$top"/proto/xenres/v1/*.proto |
        awk '$1 == "service" { service = $2; next } { print service "|" $1 "|" ($2 ? $2 : "unary") }'
}

# From rows like UNARY("HostService", "GetHost", …), … .action = ACTION_LIST, … or .open = true.
methods_in_server() {
    tr -d '\n' <"$top/server/rpc/services.c" | grep -oE '(UNARY|STREAM)\("[^}]*(\.action = ACTION_\w+|\.open = true)' |
        sed -E 's/\.open = true$/ACTION_none/; s/^(\w+)\("(\w+)", "(\w+)".*ACTION_(\w+)$/\2|\3|\1|\4/' | tr '[:upper:]' '[:lower:]' | sed 's/|trace_/|trace./'
}

every_method_is_told() {
    same "$(rows Methods | cut -d '|' -f 1-3 | sort)" "$(methods_in_proto | sort)" "methods, and those of proto/"
    same "$(rows Methods | tr '[:upper:]' '[:lower:]' | sort)" "$(methods_in_server | sort)" \
        "methods, and those of server/rpc/services.c"
}

every_code_is_told() {
    same "$(rows Errors)" "$(tr -d '\n' <"$top/common/errors.def" | grep -oE 'ERROR\([A-Z_]+, [0-9][^)]*' |
        sed -E 's/^[^"]*"(\w+)", ([0-9]+), [0-9]+, *"([^"]*)"/\1|\2|\3/')" "codes, and those of common/errors.def"
}

every_header_is_told() {
    same "$(rows 'Raw frames' | cut -d '|' -f 1 | grep -o 'Xenres-[A-Za-z-]*' | sort)" \
        "$(grep -o '"Xenres-[^"]*' "$top/proto/frames.h" | tr -d '"' | sort)" "headers, and those of proto/frames.h"
}

options_have_their_defaults() {
    local name number found=0 pattern='^`(limits\.[a-z_]+)`, ([0-9]+)'
    while IFS= read -r name; do
        "$BUILD/xenresd" --options | grep "^$name " >/dev/null || { echo "xenresd has no option $name"; return 1; }
    done < <(grep -oE '`(limits|server|tls|mapper)\.\w+`' "$document" | tr -d '`' | sort -u)
    while IFS='|' read -r _ what _; do
        [[ $what =~ $pattern ]] || continue
        name=${BASH_REMATCH[1]} number=${BASH_REMATCH[2]}
        contains "$("$BUILD/xenresd" --options | grep "^$name ")" " $number (" "default of $name"
        found=$((found + 1))
    done < <(rows Limits)
    [ "$found" -ge 4 ]
}

links_lead_somewhere() {
    local link
    while IFS= read -r link; do
        case $link in
        http*) ;;
        \#*) grep -qi "^## $(tr - ' ' <<<"${link#\#}")\$" "$document" || { echo "no heading $link"; return 1; } ;;
        *) [ -e "$top/docs/$link" ] || { echo "no $link"; return 1; } ;;
        esac
    done < <(grep -o '](\([^)]*\))' "$document" | sed 's/^](//; s/)$//')
}

check "methods are those of proto/ and of the server, with their actions" every_method_is_told
check "codes are those of common/errors.def" every_code_is_told
check "headers of raw frames are those of proto/frames.h" every_header_is_told
check "options are xenresd's, with their defaults" options_have_their_defaults
check "links lead somewhere" links_lead_somewhere
