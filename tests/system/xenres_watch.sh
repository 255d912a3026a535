#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# watch, replay and verify with the real daemon on a simulated host: what is shown, recorded, and served
# again from a recording. What gateways do wrong is in tests/fault/client_recording_test.c.
# shellcheck source=tests/lib/functions.sh
. "$(dirname "$0")/../lib/functions.sh"
requires jq pgrep python3 cmp

xenres=$BUILD/xenres
export LC_ALL=C.UTF-8 TERM=xterm
unset https_proxy HTTPS_PROXY all_proxy ALL_PROXY

has_shown() { # FILE PATTERN
    time_passes
    grep -q "$2" "$1"
}
time_passes() { :; } # by itself

# Runs xenres until FILE has a line that fits PATTERN, and ends it by a signal: its status.
until_shown() { # FILE PATTERN ARG...
    local file=$1 pattern=$2 watcher status=0
    shift 2
    : >"$file" # here: what was shown before must not be found
    "$xenres" "$@" >"$file" 2>"$work/err" &
    watcher=$!
    wait_until 20 has_shown "$file" "$pattern" || status=99
    kill -TERM "$watcher"
    wait "$watcher" || status=$?
    [ "$status" -eq 0 ] || cat "$work/err"
    return "$status"
}

# The same until the recording holds content, and a batch of that number; from 1 on, one that came behind the content.
record_until() { # RECORDING NUMBER ARG...
    local file=$1 number=$2 watcher status=0
    shift 2
    "$xenres" watch "$@" --output "$file" 2>"$work/err" &
    watcher=$!
    wait_until 20 recorded_up_to "$file" "$number" || status=99
    kill -TERM "$watcher"
    wait "$watcher" || status=$?
    [ "$status" -eq 0 ] || cat "$work/err"
    return "$status"
}

recorded_up_to() { # RECORDING NUMBER
    [ -s "$1" ] && { "$xenres" -o json verify "$1" 2>/dev/null || true; } |
        jq -e --argjson number "$2" '(.messages | tonumber) >= 3 and (.lastSequence | tonumber) >= $number' >/dev/null &&
        { [ "$2" -eq 0 ] || has_changes "$1"; }
}
has_changes() { # RECORDING
    { "$xenres" -o json replay "$1" 2>/dev/null || true; } | jq -se 'any(.changes)' >/dev/null
}

bytes_are_a_line_a_change() {
    until_shown "$work/lines" '  3  [0-9a-f]* changed: ' watch db-1 grant_table
    contains "$(head -n 1 "$work/lines")" " UTC  begin: db-1 grant_table 0, every 100.0 ms, delta (domain 2, "
    contains "$(sed -n 2p "$work/lines")" " bytes as they were behind batch "
    same "$(sed 1,2d "$work/lines" | grep -vcE ' UTC  [0-9]+  [0-9a-f]{8} changed: ([0-9a-f]{2} ){7}[0-9a-f]{2} \(was ([0-9a-f]{2} ?){8}\)$' || true)" 0 "other lines"
}

grants_are_decoded() {
    until_shown "$work/lines" 'grant [0-9]* changed: access for' watch db-1 grant_table --decode
    contains "$(cat "$work/lines")" "grant 0 is: access for 0, frame 0x"
}

run_times_need_no_option() {
    until_shown "$work/lines" 'vcpu 1 changed: ran ' watch db-1 vcpu_stats --period 20ms
}

domains_are_watched() {
    until_shown "$work/lines" 'domain 2 is: db-1, ' watch --domains
}

json_is_the_apis_own() {
    until_shown "$work/lines" '"changes"' -o json watch db-1 grant_table
    same "$(jq -r 'keys[0]' "$work/lines" | head -n 2 | tr '\n' ' ')" "begin image "
    same "$(jq -r 'select(.begin).begin.domain.domid' "$work/lines")" 2
}

recordings_are_complete_and_replayed() {
    local file=$work/complete.rec
    record_until "$file" 10 db-1 grant_table
    same "$("$xenres" verify "$file" | tail -n 1)" "complete: yes"
    same "$(stat -c %a "$file")" 600
    "$xenres" -o json replay "$file" >"$work/replayed"
    same "$(jq -r 'keys[0]' "$work/replayed" | head -n 2 | tr '\n' ' ')" "begin image "
    same "$(jq -r 'select(.changes).changes.sequence' "$work/replayed" | tail -n 1)" \
        "$("$xenres" -o json verify "$file" | jq -r .lastSequence)"
    contains "$("$xenres" replay "$file" | head -n 1)" "begin: db-1 grant_table 0"
}

what_is_replayed_is_what_was_shown() {
    local format
    for format in json table; do
        until_shown "$work/shown" 'changed\|"changes"' -o "$format" watch db-1 grant_table --output "$work/$format.rec"
        "$xenres" -o "$format" replay "$work/$format.rec" | cmp - "$work/shown"
    done
}

# `head` has seen enough: that is no failure, whether there is something to write then or not.
head_of() { # COUNT ARG...
    local count=$1 statuses
    shift
    timeout 20 "$xenres" "$@" 2>"$work/err" | head -n "$count" >"$work/lines"
    statuses=("${PIPESTATUS[@]}")
    same "${statuses[*]} $(cat "$work/err")" "0 0 " "status, and what was said"
    same "$(wc -l <"$work/lines")" "$count"
}

a_reader_may_leave() {
    local file=$work/left.rec
    head_of 2 watch db-1 grant_table
    head_of 1 -o json watch db-1 grant_table --decode
    head_of 1 watch standby grant_table # which stands still
    head_of 1 watch --domains
    head_of 3 -o table watch db-1 grant_table --output "$file"
    same "$("$xenres" verify "$file" | tail -n 1)" "complete: yes"
    contains "$("$xenres" verify "$file")" "its reader has left"
    record_until "$work/long.rec" 10 db-1 grant_table
    head_of 1 replay "$work/long.rec"
    head_of 1 -o json replay "$work/long.rec"
    # What ends by itself is to be read to its end.
    fails 1 sh -c 'mkfifo "$1/left"; exec 3<>"$1/left" 4>"$1/left" 3<&-; "$0" domains >&4' "$xenres" "$work"
    contains "$(cat "$work/said")" EPIPE
}

a_recording_goes_on() {
    local file=$work/on.rec last
    record_until "$file" 3 db-1 grant_table
    last=$("$xenres" -o json verify "$file" | jq -r .lastSequence)
    record_until "$file" $((last + 5)) db-1 grant_table --resume
    same "$("$xenres" -o json verify "$file" | jq -r '"\(.complete) \(.streams) \(.lost) \(.missing)"')" "true 2 0 0"
    fails 1 "$xenres" watch db-1 grant_table --output "$file"
    contains "$(cat "$work/said")" "--resume"
}

damage_is_found() {
    local file=$work/damaged.rec size
    record_until "$file" 3 db-1 grant_table
    size=$(stat -c %s "$file")
    printf '\xff' | dd of="$file" bs=1 seek=$((size / 2)) conv=notrunc status=none
    fails 25 "$xenres" verify "$file"
    contains "$(cat "$work/said")" "damaged"
    fails 25 "$xenres" replay "$file"
    fails 13 "$xenres" verify "$BUILD/xenres"
    fails 1 "$xenres" verify "$work/nothing"
}

contradictions_are_told() {
    fails 2 "$xenres" watch db-1
    fails 2 "$xenres" watch db-1 grant_table --domains
    fails 2 "$xenres" watch --domains --decode
    fails 2 "$xenres" watch db-1 grant_table --resume
    fails 2 "$xenres" watch db-1 grant_table --mode detla
    contains "$(cat "$work/said")" 'did you mean "delta"'
    fails 2 "$xenres" replay "$work/on.rec" --output x
}

a_terminal_has_a_live_view_and_is_given_back() {
    local shown status=0
    python3 "$top/tests/lib/terminal.py" --until 'nothing lost' --until '* grant ' --type '\x03' -- \
        "$xenres" watch db-1 grant_table --decode >"$work/terminal" || status=$?
    same "$status" 0
    shown=$(tr -d '\r' <"$work/terminal")
    contains "$shown" $'\e[?1049h\e[?25l'
    contains "$shown" "batches/s"
    # Nothing but the summary behind the way back.
    contains "${shown##*$'\e[?25h\e[?1049l'}" "nothing lost"
}

a_terminal_has_the_recordings_view_too() {
    python3 "$top/tests/lib/terminal.py" --until '* 0000' --type '\x03' -- \
        "$xenres" watch db-1 grant_table --output "$work/live.rec" >"$work/terminal"
    same "$("$xenres" verify "$work/live.rec" | tail -n 1)" "complete: yes"
}

# A guest that stands still: what is served again is what it was.
a_recording_is_served_again() {
    record_until "$work/standby.rec" 0 standby grant_table
    "$xenres" snapshot standby grant_table --output "$work/was"
    "$xenres" replay --to-scenario "$work/standby.rec" --output "$work/again"
    record_until "$work/busy.rec" 5 win-desktop ioreq_server
    "$xenres" replay "$work/busy.rec" --to-scenario
    start again "$BUILD/xenresd" --demo "$work/served" --scenario "$work/again.scenario"
    wait_file again "$work/served/env" 30
    # shellcheck source=/dev/null
    . "$work/served/env"
    "$xenres" snapshot standby grant_table | cmp - "$work/was"
    same "$("$xenres" -o json domains | jq -r '.domains[].identity | "\(.domid) \(.uuid)"')" \
        "7 0b3c9f52-6f1e-4d5a-9a0c-3c1d5e7f9a07"
    stop again
    # Its time passes when somebody watches: however long that takes, nothing has happened before.
    { echo 'clock = "virtual" step_ms = 100'; cat "$work/busy.rec.scenario"; } >"$work/busy.scenario"
    start busy "$BUILD/xenresd" --demo "$work/busy" --scenario "$work/busy.scenario"
    wait_file busy "$work/busy/env" 30
    # shellcheck source=/dev/null
    . "$work/busy/env"
    local mapper
    mapper=$(pgrep -P "${pid[busy]}" -f xenresd-mapper-sim)
    time_passes() { ! grep -q 'vcpu 0 is: ' "$work/lines" || kill -USR1 "$mapper"; }
    until_shown "$work/lines" 'vcpu 0 changed: ' watch win-desktop ioreq_server --decode --period 20ms
}

start_demo
check "bytes are a line a change" bytes_are_a_line_a_change
check "grants are decoded" grants_are_decoded
check "run times need no option" run_times_need_no_option
check "domains are watched" domains_are_watched
check "JSON is the API's own" json_is_the_apis_own
check "recordings are complete, and replayed" recordings_are_complete_and_replayed
check "what is replayed is what was shown" what_is_replayed_is_what_was_shown
check "a reader may leave" a_reader_may_leave
check "a recording goes on" a_recording_goes_on
check "damage is found" damage_is_found
check "contradictions are told" contradictions_are_told
check "a terminal has a live view, and is given back" a_terminal_has_a_live_view_and_is_given_back
check "a terminal has the view of what is recorded, too" a_terminal_has_the_recordings_view_too
check "a recording is served again" a_recording_is_served_again
