#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# What a gateway that runs leaves in its audit, what it does where it cannot be written, and that `xenresd audit
# verify` says the truth of it.
# shellcheck source=tests/lib/functions.sh
. "$(dirname "$0")/../lib/functions.sh"
requires curl jq pgrep

demo=$work/demo
log=$demo/audit.log
worker_pid() { pgrep -P "${pid[demo]}" -f -- --worker; }
xenres() { "$BUILD/xenres" --timeout 20 "$@"; }
as_visitor() { XENRES_CERT=$demo/visitor.crt XENRES_KEY=$demo/visitor.key "$@"; }
health() { curl -s --max-time 5 -o "$work/health" -w '%{http_code}' --unix-socket "$demo/health.sock" "http://h$1"; }
verify() { "$BUILD/xenresd" audit verify --key "$demo/audit.key" --public-key "$demo/audit.sign.pub" "$@"; }

# How many records a filter of jq is true of.
count() { jq -s "map(select($1)) | length" "$log"; }
one_more() { [ "$(count "$1")" -gt "$2" ]; }
has() { # FILTER [COUNT]
    wait_until 10 one_more "$1" $((${2:-1} - 1)) || { tail -n 5 "$log"; return 1; }
}

an_answer_is_in_it_before_it_is_sent() {
    xenres snapshot web-1 grant_table --count 1 --output "$work/frames"
    # No waiting: it was written first.
    same "$(count '.event == "snapshot" and .outcome == "ok" and .identity == "spiffe:spiffe://xenres.demo/operator"
        and .domain == "web-1" and .type == "grant_table" and .id == 0 and .action == "snapshot"
        and .rule == "operators" and .line > 0 and .bytes >= 4096 and (.incarnation | length) == 32
        and (.peer | startswith("127.0.0.1:"))')" 1
    xenres grants web-1 >"$work/grants"
    same "$(count '.event == "snapshot" and .action == "decode"')" 1
}

# Many at a time share copies, and writes: each has its record all the same, before it is sent.
answers_that_go_out_together_have_a_record_each() {
    local before asked
    before=$(count '.event == "snapshot" and .domain == "web-1"')
    asked=$(for i in $(seq 200); do echo "url = $XENRES_SERVER/v1/domains/web-1/resources/grant_table/0/frames?first=0&count=1"
        echo "output = $work/together.$((i % 20))"; done | curl -s --parallel --parallel-max 20 --max-time 30 --cacert "$XENRES_CACERT" \
        --cert "$XENRES_CERT" --key "$XENRES_KEY" -w '%{http_code}\n' -K - | grep -c '^200$')
    same "$asked" 200
    same "$(count '.event == "snapshot" and .domain == "web-1"')" $((before + 200))
    same "$(jq -s '[.[].seq] | . == sort and (unique | length) == length' "$log")" true
}

a_denial_is_in_it_with_its_reason() {
    fails 17 as_visitor xenres snapshot web-1 grant_table --output "$work/frames"
    has '.event == "denied" and .outcome == "permission_denied" and .domain == "web-1" and .action == "snapshot"
        and .identity == "spiffe:spiffe://xenres.demo/visitor"'
    fails 15 xenres snapshot nothing grant_table --output "$work/frames"
    has '.event == "denied" and .outcome == "not_found" and .named == "nothing"'
}

strangers_are_in_it() {
    curl -sk --max-time 5 "$XENRES_SERVER/v1/domains/web-1/resources/grant_table/0/frames" >"$work/said" 2>&1 || true
    has '.event == "authentication_failed" and .outcome == "unauthenticated" and .reason == "no_certificate"'
    echo "no handshake" | timeout 5 bash -c 'cat >"/dev/tcp/${1%:*}/${1##*:}"' bash "${XENRES_SERVER#https://}"
    has '.event == "authentication_failed" and .outcome == "unauthenticated" and .reason == "handshake"'
}

a_stream_is_in_it_from_its_beginning_to_its_end() {
    local watcher
    "$BUILD/xenres" watch web-1 grant_table >"$work/watch" 2>&1 &
    watcher=$!
    has '.event == "stream_opened" and .domain == "web-1" and .action == "watch"'
    wait_until 10 test -s "$work/watch"
    kill "$watcher"
    wait "$watcher" || true
    has '.event == "stream_ended" and .domain == "web-1" and .reason == "client_gone" and .messages > 0 and .bytes > 0
        and .lost == 0'
}

control_of_traces_is_in_it() {
    xenres trace start traced >"$work/said" 2>&1
    same "$(count '.event == "trace_control" and .reason == "started" and .domain == "traced"')" 1
    xenres trace stop traced >"$work/said" 2>&1
    same "$(count '.event == "trace_control" and .reason == "stopped"')" 1
}

a_reload_is_in_it() {
    local before
    before=$(count '.event == "reload" and .reason == "signal"')
    kill -HUP "${pid[demo]}"
    wait_until 10 one_more '.event == "reload" and .reason == "signal"' "$before"
}

it_is_whole_while_it_is_written() {
    verify --state "$demo/audit.state" "$log" >"$work/said"
    contains "$(cat "$work/said")" "verified up to record"
}

a_worker_that_is_killed_leaves_it_whole() {
    local old
    old=$(worker_pid)
    kill -KILL "$old"
    gone "$old" 10
    verify "$log"
    has '.event == "recovered"'
    wait_until 20 xenres domains >"$work/said"
    verify "$log"
}

metric() { health /metrics >/dev/null && awk -v name="$1" '$1 == name { print $2 }' "$work/health"; }

what_it_counts_is_told() {
    [ "$(metric xenresd_audit_records_total)" -gt 0 ]
    same "$(metric xenresd_audit_failing)" 0
    same "$(metric xenresd_audit_lost_records_total)" 0
}

# A gateway of its own, with a deny list.
start_own() { # NAME ON-FAILURE COMMAND...
    full=$work/full.$1
    mkdir "$full"
    chmod 777 "$full"
    local user=()
    [ "$(id -u)" -ne 0 ] || user=(--peer-user nobody)
    start "mapper.$1" "$BUILD/xenresd-mapper-sim" --socket "$full/mapper.sock" --export "$demo/export" "${user[@]}"
    wait_until 10 test -S "$full/mapper.sock"
    chmod 666 "$full/mapper.sock"
    echo "# nobody" >"$full/deny"
    sed -e "s|^    state_dir .*|    state_dir = \"$full\"|" \
        -e "s|^    health .*|    health = \"$full/health.sock\"\n    deny = \"$full/deny\"|" \
        -e "/^mapper {/,/^}/d" "$demo/xenresd.conf" >"$full/xenresd.conf"
    echo "mapper { socket = \"$full/mapper.sock\" } audit { on_failure = $2 sync = none }" >>"$full/xenresd.conf"
    start "full.$1" "${@:3}" "$BUILD/xenresd" --config "$full/xenresd.conf"
    wait_until 20 grep -q 'xenresd: ready$' "$work/full.$1.log"
    XENRES_SERVER=https://127.0.0.1:$(sed -n 's/.*listening on port //p' "$work/full.$1.log")
    log=$full/audit.log
}

# Whose files may not grow beyond 8 KiB: as a disk that is full. What is put aside makes room.
start_full() { # ON-FAILURE
    # shellcheck disable=SC2016  # the other shell's
    start_own "$1" "$1" bash -c 'ulimit -S -f 8 && exec "$@"' bash
}

full_health() { curl -s --max-time 5 -o "$work/health" -w '%{http_code}' --unix-socket "$full/health.sock" "http://h$1"; }
full_metric() { full_health /metrics >/dev/null && awk -v name="$1" '$1 == name { print $2 }' "$work/health"; }
is_failing() { [ "$(full_metric xenresd_audit_failing)" = "$1" ]; }
answers() { "$BUILD/xenres" --timeout 20 snapshot web-1 grant_table --count 1 --output "$work/frames" >"$work/said" 2>&1; }
stream_has_ended() {
    [ "$(full_metric 'xenresd_stream_ends_total{reason="shutting_down"}')" -gt 0 ] &&
        [ "$(full_metric xenresd_streams_open)" = 0 ]
}
fill() { # until it is full
    local i
    for i in {1..40}; do
        answers || return 0
        [ "$1" = refuse ] || ! is_failing 1 || return 0
    done
    return 1
}
verify_full() { "$BUILD/xenresd" audit verify --key "$full/audit.key" --public-key "$full/audit.sign.pub" "$@"; }

a_full_disk_ends_service_and_streams_until_there_is_room() {
    local watcher
    start_full refuse
    "$BUILD/xenres" watch web-1 grant_table >"$work/watch" 2>"$work/watch.said" &
    watcher=$!
    wait_until 10 test -s "$work/watch"
    fill refuse
    contains "$(cat "$work/said")" "cannot write its audit"
    is_failing 1
    fails 24 "$BUILD/xenres" --timeout 20 domains
    same "$(full_health /readyz)" 503
    contains "$(cat "$work/health")" "the audit cannot be written"
    wait_until 10 stream_has_ended
    kill "$watcher" 2>/dev/null || true
    wait "$watcher" || true
    mv "$log" "$log.1"
    kill -HUP "${pid[full.refuse]}"
    wait_until 10 is_failing 0
    answers
    same "$(full_health /readyz)" 200
    has '.event == "lost"'
    verify_full --state "$full/audit.state" "$log.1" "$log" >"$work/said"
    ! grep -q "nothing is said" "$work/said"
    verify_full --state "$full/audit.state" "$log" >"$work/said"
    contains "$(cat "$work/said")" "records before them nothing is said"
}

where_it_is_to_go_on_it_does_so_loudly() {
    start_full continue
    fill continue
    answers
    is_failing 1
    same "$(full_health /readyz)" 200
    contains "$(cat "$work/health")" "the audit cannot be written"
    grep -q 'the audit cannot be written.*the service goes on without it' "$work/full.continue.log"
    mv "$log" "$log.1"
    kill -HUP "${pid[full.continue]}"
    wait_until 10 is_failing 0
    has '.event == "lost" and .records > 0'
    verify_full "$log.1" "$log"
}

# That who is put on the list is out by it, with each stream that ended for him; and what he tries afterwards.
who_is_revoked_is_in_it() {
    local watcher operator=spiffe:spiffe://xenres.demo/operator
    start_own revoked refuse
    "$BUILD/xenres" watch web-1 grant_table >"$work/watch" 2>"$work/watch.said" &
    watcher=$!
    wait_until 10 test -s "$work/watch"
    echo "identity:$operator" >"$full/deny.new"
    mv "$full/deny.new" "$full/deny"
    has '.event == "reload" and .outcome == "ok" and .reason == "files"'
    has ".event == \"revoked\" and .identity == \"$operator\" and .domain == \"web-1\" and .action == \"watch\"
        and .reason == \"deny_list\" and (.detail | startswith(\"line 1 of the deny list\"))"
    has '.event == "stream_ended" and .reason == "permission_withdrawn"'
    kill "$watcher" 2>/dev/null || true
    wait "$watcher" || true
    ! answers
    has '.event == "authentication_failed" and .reason == "revoked"'
    same "$(count '.event == "revoked"')" 1
    echo "nonsense" >"$full/deny.new"
    mv "$full/deny.new" "$full/deny"
    has '.event == "reload" and .outcome != "ok" and .reason == "files" and (.detail | contains("deny:1:"))'
    stop full.revoked
    verify_full --state "$full/audit.state" "$log"
}

it_ends_with_a_signed_checkpoint() {
    stop demo
    same "$(tail -n 2 "$log" | jq -r .event | tr '\n' ' ')" "stop checkpoint "
    verify --state "$demo/audit.state" "$log" >"$work/said"
    "$BUILD/xenresd" audit verify --public-key "$demo/audit.sign.pub" "$log" >"$work/public"
    contains "$(cat "$work/public")" "verified up to record $(tail -n 1 "$log" | jq .seq)"
}

tampering_is_told_with_its_place() {
    sed '3s/web-1/web-2/' "$log" >"$work/changed"
    fails 25 verify "$work/changed"
    contains "$(cat "$work/said")" "changed:3: the record is not as it was written"
    sed 4d "$log" >"$work/changed"
    fails 25 verify "$work/changed"
    contains "$(cat "$work/said")" "changed:4: records are missing before this one"
    contains "$(cat "$work/said")" "verified up to record"
    grep '"event":"checkpoint"' "$log" | tail -n 1 >"$work/checkpoints"
    head -n -3 "$log" >"$work/cut"
    verify "$work/cut" >"$work/said"
    fails 25 verify --checkpoints "$work/checkpoints" "$work/cut"
    contains "$(cat "$work/said")" "the end is missing"
    fails 25 verify --state "$demo/audit.state" "$work/cut"
    verify --checkpoints "$work/checkpoints" "$log"
}

what_is_asked_for_wrongly_is_refused() {
    fails 2 "$BUILD/xenresd" audit
    fails 2 "$BUILD/xenresd" audit verify "$log"
    fails 2 "$BUILD/xenresd" audit verify --key "$demo/audit.key"
    fails 15 verify "$work/nothing"
    fails 19 "$BUILD/xenresd" audit verify --key "$demo/audit.state" "$log"
}

start_demo
check "an answer is in it before it is sent" an_answer_is_in_it_before_it_is_sent
check "answers that go out together have a record each" answers_that_go_out_together_have_a_record_each
check "a denial is in it" a_denial_is_in_it_with_its_reason
check "strangers are in it" strangers_are_in_it
check "a stream is in it from its beginning to its end" a_stream_is_in_it_from_its_beginning_to_its_end
check "control of traces is in it" control_of_traces_is_in_it
check "a reload is in it" a_reload_is_in_it
check "it is whole while it is written" it_is_whole_while_it_is_written
check "what it counts is told" what_it_counts_is_told
check "a worker that is killed leaves it whole" a_worker_that_is_killed_leaves_it_whole
check "who is revoked is in it" who_is_revoked_is_in_it
check "a full disk ends service and streams until there is room" a_full_disk_ends_service_and_streams_until_there_is_room
check "where it is to go on, it does so loudly" where_it_is_to_go_on_it_does_so_loudly
check "it ends with a signed checkpoint" it_ends_with_a_signed_checkpoint
check "tampering is told with its place" tampering_is_told_with_its_place
check "what is asked for wrongly is refused" what_is_asked_for_wrongly_is_refused
