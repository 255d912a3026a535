#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# What the command line knows of the API's methods is what proto/ says: their names, which of them
# answer in a stream, and their types.
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

check "xenres call knows each method as proto/ has it" the_command_knows_each_method
