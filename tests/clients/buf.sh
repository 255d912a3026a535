#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# buf curl: every method, by the schema in proto/ and by the one that the gateway itself gives.
# time-limit: 600
# shellcheck source=tests/lib/functions.sh
. "$(dirname "$0")/../lib/functions.sh"
requires jq curl
# shellcheck source=tests/clients/clients.sh
. "$top/tests/clients/clients.sh"

# Its status is the number of Connect's code, shifted by 3, and the error is on standard error.
outcomes_of_buf() { # SCHEMA
    local method request status error
    while IFS= read -r method && IFS= read -r request; do
        status=0 error=null
        "$buf" curl --schema "$1" --cacert "$XENRES_CACERT" --cert "$XENRES_CERT" --key "$XENRES_KEY" \
            --data "$request" "$XENRES_SERVER/$method" >"$work/said" 2>"$work/error" || status=$?
        [ "$status" -eq 0 ] || error=$(jq -c . "$work/error")
        jq -sc --arg m "$method" --argjson e "$error" '{method: $m, messages: ., error: $e}' "$work/said"
    done < <(jq -cr '.[] | .method, .request' "$clients/requests.json")
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

find_buf
workspace=$work
start_gateway
check "every method, by the schema in proto/" by_schema "$top/proto"
check "the schema comes from the gateway" the_schema_comes_from_the_gateway
check "it is that of proto/" it_is_that_of_proto
check "every method, by the schema of the gateway" by_schema "$work/schema.binpb"
