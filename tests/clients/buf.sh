#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# buf curl: every method, by the schema in proto/ and by the one that the gateway itself gives.
# time-limit: 600
# shellcheck source=tests/lib/functions.sh
. "$(dirname "$0")/../lib/functions.sh"
requires jq curl setsid
# shellcheck source=tests/clients/clients.sh
. "$top/tests/clients/clients.sh"

call_buf() { # SCHEMA METHOD REQUEST
    exec "${apart[@]}" "$buf" curl --schema "$1" --cacert "$XENRES_CACERT" --cert "$XENRES_CERT" --key "$XENRES_KEY" \
        --data "$3" "$XENRES_SERVER/$2" >"$work/said" 2>"$work/error"
}

# Of a stream without an end: so many messages, and then it is ended, with whatever buf has started.
take_of_buf() { # COUNT SCHEMA METHOD REQUEST
    local count=$1 pid i apart=(setsid)
    shift
    : >"$work/said"
    (call_buf "$@") &
    pid=$!
    for ((i = 0; i < 600; i++)); do
        { jq -c . "$work/said" 2>"$work/partly" || true; } | head -n "$count" >"$work/taken"
        [ "$(wc -l <"$work/taken")" -lt "$count" ] || break
        kill -0 "$pid" 2>/dev/null || break
        read -rt 0.05 <> <(:) || true
    done
    kill -- -"$pid" 2>/dev/null || true
    wait "$pid" || true
    cp "$work/taken" "$work/said"
}

# Its status is the number of Connect's code, shifted by 3, and the error is on standard error.
outcomes_of_buf() { # SCHEMA
    local method request take status error
    while IFS= read -r method && IFS= read -r request && IFS= read -r take; do
        status=0 error=null
        if [ "$take" -gt 0 ]; then
            take_of_buf "$take" "$1" "$method" "$request" </dev/null
        else
            (call_buf "$1" "$method" "$request") </dev/null || status=$?
        fi
        [ "$status" -eq 0 ] || error=$(jq -c . "$work/error")
        jq -sc --arg m "$method" --argjson e "$error" '{method: $m, messages: ., error: $e}' "$work/said"
    done < <(jq -cr '.[] | .method, .request, (.take // 0)' "$clients/requests.json")
}

by_schema() { # SCHEMA
    outcomes_of_buf "$1" >"$work/outcomes"
    same_outcomes "cat $work/outcomes"
}

the_schema_comes_from_the_gateway() {
    same "$(ask schema/xenres.v1.binpb -o "$work/schema.binpb" -w '%{http_code}')" 200
    "$buf" build "$work/schema.binpb" -o "$work/schema.txtpb"
    grep -q 'name: "ResourceService"' "$work/schema.txtpb"
}

# Neither has anything that the other has not, google/ included.
it_is_that_of_proto() {
    local strict='{"version": "v2", "breaking": {"use": ["FILE"]}}'
    "$buf" breaking "$work/schema.binpb" --against "$top/proto" --config "$strict" --against-config "$strict"
    "$buf" build "$top/proto" -o "$work/proto.binpb"
    "$buf" breaking "$work/proto.binpb" --against "$work/schema.binpb" --config "$strict" --against-config "$strict"
}

apart=()
find_buf
workspace=$work
start_gateway
check "every method, by the schema in proto/" by_schema "$top/proto"
check "the schema comes from the gateway" the_schema_comes_from_the_gateway
check "it is that of proto/" it_is_that_of_proto
check "every method, by the schema of the gateway" by_schema "$work/schema.binpb"
