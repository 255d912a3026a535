#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# time-limit: 240
# SIGHUP while streams are open: policy and certificates are read again, over and over, while streams begin,
# run and end. Who may still see what he sees notices nothing. It is for the thread sanitizer above all
# (make check-thread); the gateway runs as a user who may still read its files at a reload.
# shellcheck source=tests/lib/functions.sh
. "$(dirname "$0")/../lib/functions.sh"
requires setpriv

grants='"type":"RESOURCE_TYPE_GRANT_TABLE","period":"0.01s"'
rounds=12
raw_streams=6

# open NAME METHOD JSON: a stream in the background; its messages are lines of $work/NAME.log.
open() {
    rm -f "$work/$1.log" # of an earlier one
    start "$1" "$BUILD/xenres" --timeout 60 call "$2" "$3"
}
has() { grep -qs "$2" "$work/$1.log"; }                                    # NAME TEXT
comes() { wait_until 30 has "$@" || { tail -n 3 "$work/$1.log"; return 1; }; } # NAME TEXT
changes() { grep -c '^{"changes":' "$work/$1.log" || true; }               # NAME
has_more() { [ "$(changes "$1")" -gt "$2" ]; }                             # NAME CHANGES
runs() { kill -0 "$(cat "$work/$1.pid")"; }                                # NAME
close() { stop "$1" TERM 30 || true; }                                     # NAME

count() { grep -c "$1" "$work/demo.log" || true; }
came() { [ "$(count "$1")" -gt "$2" ]; }
reload_until() { # LOG-LINE
    local before
    before=$(count "$1")
    kill -HUP "${pid[demo]}"
    wait_until 30 came "$1" "$before"
}

open_streams() {
    local i
    for ((i = 0; i < raw_streams; i++)); do
        open "raw$i" ResourceService/Watch "{\"domain\":\"busy\",$grants}"
    done
    open latest ResourceService/Watch "{\"domain\":\"busy\",$grants,\"mode\":\"WATCH_MODE_LATEST\"}"
    open domains HostService/WatchDomains '{}'
    for ((i = 0; i < raw_streams; i++)); do comes "raw$i" '^{"changes":'; done
    comes latest '^{"changes":'
    comes domains '"checkpoint"'
}

# In turn: the same again, one that is broken, one that forbids what one stream does.
streams_go_on_through_each_reload() {
    local round i before
    open_streams
    for ((round = 0; round < rounds; round++)); do
        before=$(changes raw0)
        open decoded ResourceService/Watch "{\"domain\":\"busy\",$grants,\"decode\":true}"
        comes decoded '"checkpoint"'
        reload_until reloaded
        runs decoded
        echo 'rule "x" { effect = perhaps }' >>"$dir/policy.conf"
        reload_until 'reload refused'
        runs decoded
        sed 's/"watch", "decode", /"watch", /' "$dir/policy.good" >"$dir/policy.conf"
        reload_until reloaded
        comes decoded WATCH_END_REASON_PERMISSION_WITHDRAWN
        close decoded
        cp "$dir/policy.good" "$dir/policy.conf"
        reload_until reloaded
        wait_until 30 has_more raw0 "$before"
    done
    for ((i = 0; i < raw_streams; i++)); do
        runs "raw$i"
        close "raw$i"
        same "$(grep -c '^{"end":' "$work/raw$i.log" || true)" 0 "ends of raw$i"
    done
    runs latest
    runs domains
    close latest
    close domains
}

# As signals are: those that come while one is served are one.
streams_come_and_go_while_signals_rain() {
    local round i
    for ((round = 0; round < rounds / 4; round++)); do
        for ((i = 0; i < raw_streams; i++)); do
            open "raw$i" ResourceService/Watch "{\"domain\":\"busy\",$grants}"
            kill -HUP "${pid[demo]}"
        done
        for ((i = 0; i < raw_streams; i++)); do
            comes "raw$i" '^{"changes":'
            kill -HUP "${pid[demo]}"
            close "raw$i"
            kill -HUP "${pid[demo]}"
        done
    done
    reload_until reloaded
}

a_stop_in_the_midst_of_it_ends_each_stream() {
    open last ResourceService/Watch "{\"domain\":\"busy\",$grants}"
    comes last '^{"changes":'
    # The worker finds both signals: it reads its files again when nobody hands them over any more.
    local worker
    worker=$(pgrep -P "${pid[demo]}" -f -- --worker)
    kill -STOP "$worker"
    kill -HUP "${pid[demo]}"
    kill -TERM "${pid[demo]}"
    wait_until 10 grep -q '^ShdPnd:.*4001$' "/proc/$worker/status"
    kill -CONT "$worker"
    stop demo TERM 30
    comes last WATCH_END_REASON_SHUTTING_DOWN
    close last
}

dir=$(mktemp -d /tmp/xr.XXXXXX) # an ordinary user has to reach it
cleanup rm -rf "$dir"
cp "$BUILD/xenresd" "$BUILD/xenresd-mapper-sim" "$dir/"
cat >"$dir/host" <<'END'
domain "busy" { domid = 1 uuid = "0b3c9f52-6f1e-4d5a-9a0c-3c1d5e7f9a01"
    grants { frames = 4 entries = 900 changes_per_second = 500 } }
domain "still" { domid = 2 uuid = "0b3c9f52-6f1e-4d5a-9a0c-3c1d5e7f9a02" grants { frames = 2 entries = 100 } }
END
as_user=()
if [ "$(id -u)" -eq 0 ]; then
    chown -R nobody "$dir"
    as_user=(setpriv --reuid nobody --regid nogroup --clear-groups)
fi
start demo "${as_user[@]}" "$dir/xenresd" --demo "$dir" --scenario "$dir/host"
wait_file demo "$dir/env" 60
# shellcheck source=/dev/null
. "$dir/env"
cp "$dir/policy.conf" "$dir/policy.good"
check "streams go on through each reload" streams_go_on_through_each_reload
check "streams come and go while signals rain" streams_come_and_go_while_signals_rain
check "a stop in the midst of it ends each stream" a_stop_in_the_midst_of_it_ends_each_stream
