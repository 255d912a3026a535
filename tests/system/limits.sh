#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# What the two programs hold while idle, what happens when the arena is full, and how long anybody
# waits for a mapper that stands still, where the client itself sets no deadline.
# shellcheck source=tests/lib/functions.sh
. "$(dirname "$0")/../lib/functions.sh"
requires curl pgrep jq

mapper_pid() { pgrep -P "${pid[demo]}" -f xenresd-mapper-sim; }
worker_pid() { pgrep -P "${pid[demo]}" -f -- --worker; }
health() { curl -s --max-time 5 -o "$work/health" -w '%{http_code}' --unix-socket "$work/demo/health.sock" "http://h$1"; }

# ask TARGET [CURL-OPTION...]: prints the status and the seconds that it took; the body is $work/body.
ask() {
    local target=$1
    shift
    curl -s --cacert "$XENRES_CACERT" --cert "$XENRES_CERT" --key "$XENRES_KEY" --max-time 20 \
        -o "$work/body" -w '%{http_code} %{time_total}\n' "$@" "$XENRES_SERVER$target"
}

post() { # METHOD
    ask "/xenres.v1.$1" -X POST -H 'Content-Type: application/proto' --data-binary ''
}

within() { # SECONDS TOOK
    awk -v most="$1" -v took="$2" 'BEGIN { exit !(took <= most) }' || { echo "took $2 s, not $1 s"; return 1; }
}

resident_kib() { # PID: without shared memory
    awk '/^RssAnon|^RssFile/ { sum += $2 } END { print sum }' "/proc/$1/status"
}

holds_at_most() { # PID-FUNCTION MIB
    local number kib
    number=$("$1")
    kib=$(resident_kib "$number")
    echo "$1: $kib KiB"
    [ "$kib" -gt 0 ]
    [ "$kib" -le $(($2 * 1024)) ]
}

supervisor_pid() { echo "${pid[demo]}"; }

frames=/v1/domains/big/resources/grant_table/0/frames

limit_is_in_the_audit() {
    jq -se 'any(.event == "limit" and .outcome == "resource_exhausted" and .detail != null
        and .identity == "spiffe:spiffe://xenres.demo/operator")' "$work/demo/audit.log" >/dev/null
}

a_full_arena_is_resource_exhausted_at_once() {
    local reader status took
    # A reader slow enough to keep its copy for minutes, and faster than the rate that ends it.
    curl -s --cacert "$XENRES_CACERT" --cert "$XENRES_CERT" --key "$XENRES_KEY" --limit-rate 64k \
        -D "$work/headers" -o "$work/slow" "$XENRES_SERVER$frames" &
    reader=$!
    wait_until 10 grep -q '^HTTP/1.1 200' "$work/headers" || { kill "$reader"; return 1; }
    read -r status took < <(ask "$frames")
    kill "$reader"
    wait "$reader" || true
    same "$status" 429
    within 6 "$took"
    same "$(jq -r .code "$work/body")" resource_exhausted
    wait_until 10 limit_is_in_the_audit
    contains "$(cat "$work/body")" nextStep
}

a_copy_that_nobody_reads_any_more_is_given_back() {
    wait_until 10 is_served
    same "$(stat -c %s "$work/body")" $((4096 * 4096))
}
is_served() { local status; read -r status _ < <(ask "$frames") && [ "$status" = 200 ]; }

nobody_waits_for_a_mapper_that_stands_still_beyond_the_limit() {
    local mapper status took
    mapper=$(mapper_pid)
    kill -STOP "$mapper"
    cleanup kill -CONT "$mapper"
    read -r status took < <(ask "$frames?count=1")
    same "$status" 504 "frames"
    same "$(jq -r .code "$work/body")" deadline_exceeded
    within 6 "$took"
    read -r status took < <(post InspectService/GetGrantTable)
    same "$status" 400 "what is malformed needs no mapper"
    within 6 "$took"
    read -r status took < <(post HostService/GetHost)
    same "$status" 200 "GetHost"
    within 6 "$took"
    read -r status took < <(ask /nowhere)
    same "$status" 404
    within 6 "$took"
    same "$(health /healthz)" 200
    kill -CONT "$mapper"
    wait_until 10 is_served
    same "$(mapper_pid)" "$mapper" "the same mapper"
}

cat >"$work/scenario" <<'END'
domain "big" {
    domid = 1
    uuid = "0b3c9f52-6f1e-4d5a-9a0c-3c1d5e7f9a01"
    grants { frames = 4096 frames_max = 4096 entries = 64 }
}
END
chmod 644 "$work/scenario"
start_demo --scenario "$work/scenario"
stop demo
# Room for one copy of all of it; whoever asks may have all of that; 2 s for any request.
sed -i '/^mapper {/a\    arena_mib = 16\n    slot_max_mib = 16' "$work/demo/xenresd.conf"
printf 'limits {\n    arena_percent_per_identity = 100\n    request_timeout_ms = 2000\n}\n' >>"$work/demo/xenresd.conf"
start_demo
if [[ $BUILD != */sanitize-* ]]; then # a sanitizer's own memory is no figure
    check "the serving process holds at most 20 MiB while idle" holds_at_most worker_pid 20
    check "its supervisor holds at most 20 MiB" holds_at_most supervisor_pid 20
    check "the mapper holds at most 10 MiB beside the arena" holds_at_most mapper_pid 10
fi
check "a full arena is resource_exhausted at once" a_full_arena_is_resource_exhausted_at_once
check "a copy that nobody reads any more is given back" a_copy_that_nobody_reads_any_more_is_given_back
check "nobody waits for a mapper that stands still beyond the limit" nobody_waits_for_a_mapper_that_stands_still_beyond_the_limit
