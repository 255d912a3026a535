#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# curl alone: the example, every method, and what the other clients are compared with.
# shellcheck source=tests/lib/functions.sh
. "$(dirname "$0")/../lib/functions.sh"
requires curl jq
# shellcheck source=tests/clients/clients.sh
. "$top/tests/clients/clients.sh"

every_method_is_called() {
    same "$(jq -r '.[] | select(.code | not).method' "$clients/requests.json" | sort -u)" \
        "$(api_methods | cut -d ' ' -f 1 | sort)" "methods that requests.json calls with success"
}

calls_succeed_or_fail_as_they_should() {
    outcomes_of_curl >"$work/outcomes"
    same "$(jq -r '.error.code // "-"' "$work/outcomes")" \
        "$(jq -r '.[] | .code // "-"' "$clients/requests.json")" "codes"
    same "$(jq -c 'select(.error) | .error.details[0] | .type, (.debug | has("cause") and has("nextStep"))' \
        "$work/outcomes" | sort -u)" $'"xenres.v1.XenFailure"\ntrue' "details of errors"
}

nothing_moves() {
    same_outcomes "cat $work/outcomes"
}

a_stream_is_all_of_its_frames() {
    same "$(jq -r 'select(.method | endswith("ReadSnapshot")).messages[].chunk.frames // empty' "$work/outcomes" |
        while read -r chunk; do base64 -d <<<"$chunk"; done | sha256sum)" \
        "$(ask v1/domains/standby/resources/grant_table/0/frames | sha256sum)"
}

# What somebody tries first. A stream is no JSON document, and says so.
an_empty_object_is_answered() { # METHOD KIND
    local status
    status=$(ask "$1" --json '{}' -o "$work/body" -w '%{http_code}')
    case $2$status in
    200) ;;
    400) same "$(jq -r .code "$work/body")" invalid_argument ;;
    stream415) contains "$(cat "$work/body")" application/connect+json ;;
    *) cat "$work/body"; return 1 ;;
    esac
}

start_gateway
make_workspace curl
check "the example does its job" does_the_job "$(readme curl | tail -n 1)"
check "every method is called" every_method_is_called
check "calls succeed, or fail with code and details" calls_succeed_or_fail_as_they_should
check "nothing moves on this host" nothing_moves
check "a stream is all of its frames" a_stream_is_all_of_its_frames
while read -r method kind; do
    check "curl --json '{}' $method" an_empty_object_is_answered "$method" "$kind"
done < <(api_methods)
