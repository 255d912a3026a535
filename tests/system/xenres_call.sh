#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# xenres call, with the real daemon: any method, JSON in and out; and the filter of xenres domains.
# shellcheck source=tests/lib/functions.sh
. "$(dirname "$0")/../lib/functions.sh"
requires jq cmp python3

xenres=$BUILD/xenres
export LC_ALL=C.UTF-8
unset https_proxy HTTPS_PROXY all_proxy ALL_PROXY

says() { # PART...: in what `fails` kept
    local part
    for part; do
        contains "$(cat "$work/said")" "$part"
    done
    # Whatever it is, what to do now comes last.
    contains "$(tail -n 1 "$work/said")" "next: "
}

each_method_is_called() {
    local method request answer
    for method in $("$xenres" call -o json | jq -r '.[].method'); do
        request='{"domain": "hvm"}'
        case $method in
        */GetHost | */ListDomains | */WatchDomains | */WhoAmI) request='{}' ;;
        */ExplainAccess) request='{"domain": "hvm", "type": "RESOURCE_TYPE_GRANT_TABLE", "action": "ACTION_LIST"}' ;;
        */GetSnapshot | */ReadSnapshot | */Watch) request='{"domain": "hvm", "type": "RESOURCE_TYPE_GRANT_TABLE"}' ;;
        */ListTraces) request='{}' ;;
        *TraceService/*)
            "$xenres" call TraceService/StartTrace "$request" >/dev/null # it runs, whatever the one before did
            ;;
        esac
        case $method in
        */Watch* | */ReadTrace) # without an end: what it begins with
            answer=$({ "$xenres" call "$method" "$request" 2>/dev/null || true; } | head -n 2)
            ;;
        *) answer=$("$xenres" call "$method" "$request") ;;
        esac
        [ "$(jq -cs 'length > 0 and all(type == "object")' <<<"$answer")" = true ] || { echo "$method: $answer"; return 1; }
    done
}

# Run times go on meanwhile.
still() { "$xenres" "$@" | sed 's/"cpuTimeNs": .*//'; }

answers_are_what_other_verbs_print() {
    cmp <(still call HostService/ListDomains) <(still -o json domains)
    cmp <(still call xenres.v1.HostService/ListDomains '{}') <(still -o json domains)
    cmp <("$xenres" -o json call ResourceService/ListResources '{"domain":"web"}') <("$xenres" -o json resources web)
}

requests_come_from_where_they_are_said_to() {
    echo '{"page_size": 1}' >"$work/request"
    same "$("$xenres" call HostService/ListDomains '{"pageSize": 1}' | jq '.domains | length')" 1
    same "$("$xenres" call HostService/ListDomains "@$work/request" | jq '.domains | length')" 1
    same "$("$xenres" call HostService/ListDomains - <"$work/request" | jq '.domains | length')" 1
    same "$("$xenres" call HostService/ListDomains - < <(cat "$work/request") | jq '.domains | length')" 1
    same "$("$xenres" call HostService/ListDomains | jq '.domains | length')" 4
}

streams_are_lines() {
    "$xenres" snapshot big grant_table >"$work/bytes"
    "$xenres" call ResourceService/ReadSnapshot '{"domain": "big", "type": "RESOURCE_TYPE_GRANT_TABLE"}' >"$work/lines"
    [ "$(wc -l <"$work/lines")" -gt 2 ]
    same "$(jq -c 'keys' "$work/lines" | sort | uniq -c | tr -s ' ' | sort)" \
        "$(printf ' 1 ["head"]\n %d ["chunk"]' $(($(wc -l <"$work/lines") - 1)))"
    same "$(head -n 1 "$work/lines" | jq -r .head.domain.name)" big
    tail -n +2 "$work/lines" | while IFS= read -r line; do
        jq -r .chunk.frames <<<"$line" | base64 -d
    done | cmp - "$work/bytes"
}

# What was there before the failure is whole; what follows is a failure.
failures_of_streams_are_told() {
    fails 15 "$xenres" call ResourceService/ReadSnapshot '{"domain": "nobody", "type": "RESOURCE_TYPE_GRANT_TABLE"}'
    says nobody
    fails 21 "$xenres" call ResourceService/ReadSnapshot '{"domain": "web", "type": 2, "firstFrame": 99}'
    fails 1 sh -c '"$0" call ResourceService/ReadSnapshot "$1" >/dev/full' "$xenres" '{"domain": "web", "type": 2}'
    says ENOSPC
}

# Before anything is sent: there is no gateway at that address.
wrong_requests_are_told_by_their_path() {
    local call=("$xenres" --server https://127.0.0.1:1 call)
    fails 13 "${call[@]}" HostService/ListDomains '{"filter": {"states": ["DOMAIN_STATE_RUNNING", "DOMAIN_STATE_X"]}}'
    says "field: filter.states[1]" "{pageSize, pageToken, filter: {nameGlob, states, types}}"
    fails 13 "${call[@]}" HostService/ListDomains '{"pageSze": 1}'
    says "field: pageSze" "no such field"
    fails 13 "${call[@]}" HostService/GetHost '[]'
    fails 13 "${call[@]}" HostService/GetHost ''
    fails 13 "${call[@]}" HostService/GetHost '{} {}'
    fails 13 "${call[@]}" HostService/ListDomains '{"pageToken": "\ud800"}'
    says "field: page_token"
}

# The largest that is looked at, and one byte more.
requests_are_bounded() {
    python3 -c 'import sys; sys.stdout.write("{" + " " * (1024 * 1024 - 2) + "}")' >"$work/largest"
    "$xenres" call HostService/GetHost "@$work/largest" >/dev/null
    echo >>"$work/largest"
    fails 18 "$xenres" call HostService/GetHost "@$work/largest"
    says smaller
    fails 18 "$xenres" call HostService/GetHost @/dev/zero
    fails 1 "$xenres" call HostService/GetHost "@$work/nowhere"
    says ENOENT
    fails 1 "$xenres" call HostService/GetHost "@$work"
    says EISDIR
}

wrong_usage_is_told() {
    fails 2 "$xenres" call GetHost
    says 'did you mean "HostService/GetHost"?'
    fails 2 "$xenres" call HostService/GetHots
    says 'did you mean "HostService/GetHost"?'
    fails 2 "$xenres" call HostService/GetHost '{}' more
    fails 2 "$xenres" -o table call HostService/GetHost
    says JSON
}

methods_are_listed_without_a_gateway() {
    env -u XENRES_SERVER "$xenres" call >"$work/list"
    same "$(tail -n +2 "$work/list" | wc -l)" "$("$xenres" -o json call | jq length)"
    contains "$(grep ReadSnapshot "$work/list")" stream
    contains "$(cat "$work/list")" "{domain, incarnation, id}"
}

the_gateways_own_refusals_have_their_field() {
    fails 13 "$xenres" call HostService/ListDomains '{"pageToken": "made up"}'
    says "field: page_token"
    fails 13 "$xenres" call ResourceService/GetSnapshot '{"domain": "web"}'
    says "field: type"
}

# --- xenres domains ---

domids() { "$xenres" -o json domains "$@" | jq -c '[.domains[].identity.domid]'; }

domains_are_those_that_every_option_fits() {
    same "$(domids)" "[1,2,7,9]"
    same "$(domids --state paused)" "[2]"
    same "$(domids --state paused --state Running --state blocked)" "[1,2,7,9]"
    same "$(domids --type hvm)" "[7]"
    same "$(domids --type hvm --type PV --name 'b*')" "[2]"
    same "$(domids --type hvm --name 'b*')" "[]"
    same "$(domids --name '?eb')" "[1]"
    same "$("$xenres" domains --state paused | tail -n +2 | tr -s ' ' | cut -d ' ' -f 2-5)" "2 big PV paused"
}

paused() { # COUNT: so many options, as words
    local i
    for ((i = 0; i < $1; i++)); do echo --state=paused; done
}

# shellcheck disable=SC2046  # words
wrong_filters_are_refused() {
    fails 2 "$xenres" domains --state runing
    says 'did you mean "running"?' crashed
    fails 2 "$xenres" domains --type pvx
    fails 2 "$xenres" domains --name a --name b
    same "$(domids $(paused 16))" "[2]"
    fails 13 "$xenres" domains $(paused 17)
    fails 2 "$xenres" domains $(paused 25)
}

names_may_be_given_as_they_are() {
    local name
    same "$("$xenres" domains --names | tr '\n' ' ')" "web big hvm 9 "
    for name in $("$xenres" domains --names); do
        "$xenres" resources "$name" >/dev/null
    done
    fails 2 "$xenres" -o json domains --names
}

cat >"$work/scenario" <<'END'
seed = 7
domain "web" {
  domid = 1
  uuid = "00000000-0000-0000-0000-00000000000a"
  name = "web"
  grants { frames = 2  entries = 300 }
}
domain "big" {
  domid = 2
  uuid = "00000000-0000-0000-0000-00000000000b"
  name = "big"
  state = "paused"
  grants { frames = 512  frames_max = 512  entries = 5000 }
}
domain "hvm" {
  domid = 7
  uuid = "00000000-0000-0000-0000-00000000000c"
  type = "hvm"
  name = "hvm"
  ioreq "0" { requests_per_second = 100 }
  vmtrace { size = 65536  rate = 200000 }
  grants { frames = 1  entries = 3 }
}
domain "evil" {
  domid = 9
  uuid = "00000000-0000-0000-0000-00000000000d"
  name = "$(touch pwned)"
}
END
start_demo --scenario "$work/scenario"

check "each method is called" each_method_is_called
check "answers are what other verbs print" answers_are_what_other_verbs_print
check "requests come from where they are said to" requests_come_from_where_they_are_said_to
check "streams are lines" streams_are_lines
check "failures of streams are told" failures_of_streams_are_told
check "wrong requests are told by their path" wrong_requests_are_told_by_their_path
check "requests are bounded" requests_are_bounded
check "wrong usage is told" wrong_usage_is_told
check "methods are listed without a gateway" methods_are_listed_without_a_gateway
check "the gateway's own refusals have their field" the_gateways_own_refusals_have_their_field
check "domains are those that every option fits" domains_are_those_that_every_option_fits
check "wrong filters are refused" wrong_filters_are_refused
check "names may be given as they are" names_may_be_given_as_they_are
