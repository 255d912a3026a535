#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# What the command line knows of the API's methods is what proto/ says: their names, which of them
# answer in a stream, and their types. So is what the gateway takes by GET, and what the library asks
# a second time.
# shellcheck source=tests/lib/functions.sh
. "$(dirname "$0")/../lib/functions.sh"
requires jq

# SERVICE/METHOD STREAM REQUEST RESPONSE, a line each, from the files themselves.
in_proto() {
    sed -nE -e 's/^service (\w+) .*/service \1/p' \
        -e 's/^ *rpc (\w+)\((\w+)\) returns \((stream )?(\w+)\).*/rpc \1 \2 \4 \3/p' "$top"/proto/xenres/v1/*.proto |
        while read -r what name request response stream; do
            case $what in
            service) service=$name ;;
            rpc) echo "xenres.v1.$service/$name ${stream:+true} xenres.v1.$request xenres.v1.$response" ;;
            esac
        done | sed 's/  / false /' | sort
}

in_command() {
    "$BUILD/xenres" -o json call | jq -r '.[] | "\(.method) \(.isStream) \(.request) \(.response)"' | sort
}

the_command_knows_each_method() {
    same "$(in_proto | wc -l)" "$(cat "$top"/proto/xenres/v1/*.proto | grep -c '^ *rpc ')" "methods read from proto/"
    same "$(in_command)" "$(in_proto)" "methods of the command, and of proto/"
}

# Names of the methods with one of these levels of idempotency.
harmless_in_proto() { # LEVEL|LEVEL
    awk -v levels="idempotency_level = ($1);" '$1 == "service" { service = $2 }
         $1 == "rpc" { name = $2; sub(/\(.*/, "", name) }
         $0 ~ levels { print "xenres.v1." service "/" name }' \
        "$top"/proto/xenres/v1/*.proto | sort
}

harmless_in_library() { # rows of a table that have the flag, from their names to their ends
    tr -d '\n' <"$top/client/procedure.c" | grep -o '{ \.name[^}]*}' | grep 'is_idempotent = true' |
        grep -o 'xenres\.v1\.[A-Za-z/]*' | sort
}

harmless_in_gateway() {
    tr -d '\n' <"$top/server/rpc/services.c" | grep -oE '\{ *(UNARY|STREAM)\([^}]*\}' |
        grep 'no_side_effects = true' | sed -E 's|.*\("(\w+)", "(\w+)".*|xenres.v1.\1/\2|' | sort
}

what_is_harmless_is_said_in_proto() {
    [ "$(harmless_in_proto NO_SIDE_EFFECTS | wc -l)" -ge 1 ]
    same "$(harmless_in_library)" "$(harmless_in_proto 'NO_SIDE_EFFECTS|IDEMPOTENT')" "methods that the library asks again"
    same "$(harmless_in_gateway)" "$(harmless_in_proto NO_SIDE_EFFECTS)" "methods without side effects at the gateway"
}

check "xenres call knows each method as proto/ has it" the_command_knows_each_method
check "what may be asked twice is what proto/ says" what_is_harmless_is_said_in_proto
