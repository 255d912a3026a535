#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# time-limit: 240
# What the library makes of the real daemon's streams, across cuts, stops, other policies and losses: every
# number once, in its order. In two units, mapper and gateway; the guests' time passes when it is told to.
# What gateways do wrong is in tests/fault/client_watch_*.
# shellcheck source=tests/lib/functions.sh
. "$(dirname "$0")/../lib/functions.sh"
requires cc curl python3 setpriv

it_compiles() {
    local sanitizers=()
    # An instrumented library wants an instrumented program.
    if [[ $BUILD =~ /sanitize-([a-z-]+)$ ]]; then
        sanitizers=("-fsanitize=${BASH_REMATCH[1]//-/,}")
    fi
    cc -Wall -Wextra -Werror "${sanitizers[@]}" -I "$top/client/include" -o "$work/library_watch" \
        "$top/tests/system/library_watch.c" -L "$BUILD" -lxenres -Wl,-rpath,"$BUILD"
}

# --- the gateway ---

start_gateway() {
    rm -f "$work/gateway.log" # what the one before was ready for
    start gateway "${as_user[@]}" "$dir/xenresd" --config "$dir/watch.conf"
    wait_until 20 grep -qs 'xenresd: ready$' "$work/gateway.log"
    reach
}
reach() { # where the relay leads to
    sed -n 's/.*listening on port //p' "$work/gateway.log" | tail -n 1 >"$work/target.new"
    mv "$work/target.new" "$work/target"
}
part() { rm -f "$work/target"; cut; } # until reach
cut() { kill -USR1 "$(cat "$work/relay.pid")"; }
came() { [ "$(grep -c "$1" "$work/gateway.log" || true)" -gt "$2" ]; }
reload() {
    local before
    before=$(grep -c reloaded "$work/gateway.log" || true)
    kill -HUP "$(cat "$work/gateway.pid")"
    wait_until 10 came reloaded "$before"
}
step() { kill -USR1 "$(cat "$work/mapper.pid")"; } # time passes: 1 s of the guests'
frames() { # DOMAIN FILE: as they are now
    curl -sS --max-time 20 --cacert "$XENRES_CACERT" --cert "$XENRES_CERT" --key "$XENRES_KEY" -o "$2" \
        "https://127.0.0.1:$(cat "$work/target")/v1/domains/$1/resources/grant_table/0/frames"
}

# --- who watches ---

watch() { # NAME ARG...: in the background
    local name=$1
    shift
    start "watch-$name" "$work/library_watch" "$@"
}
# One that is never cut, and sees what is behind a step when it is there to be seen by others.
witness() { # NAME ARG...
    XENRES_SERVER=https://127.0.0.1:$(cat "$work/target") watch "$@"
    says "$1" '^checkpoint'
}
news='^(changes|image|decoded|whole|created|renamed|state|gone|dying) [^.]*$' # but for the parts of a batch
step_before() { # NAME: and its witness has seen what it brought
    local before
    before=$(count "$1" "$news")
    step
    says "$1" "$news" "$before"
}
said() { cat "$work/watch-$1.log"; }                                      # NAME
count() { said "$1" | grep -cE "$2" || true; }                            # NAME PATTERN
is_said() { [ "$(count "$1" "$2")" -gt "$3" ]; }                          # NAME PATTERN TIMES
line() { said "$1" | grep -E "$2" | tail -n 1; }                          # NAME PATTERN
number() { line "$1" "$2" | sed -E 's/^[^0-9]*([0-9]+-)?([0-9]+).*/\2/'; } # NAME PATTERN: the last in the line
says() { # NAME PATTERN [TIMES]: a line, or one more than that many, in 20 s
    wait_until 20 is_said "$1" "$2" "${3:-0}" || { said "$1" | tail -n 12; return 1; }
}
is_over() { is_gone "$(cat "$work/watch-$1.pid")"; }
fine() { # NAME [STATUS]: it is ended, and was told each number once
    stop "watch-$1" TERM 20 || true
    same "$(said "$1" | grep -E 'WRONG|internal' || true)" "" "what is wrong in $1"
    contains "$(said "$1")" "canceled: "
}
over() { # NAME PATTERN: it ends by itself
    wait_until 20 is_over "$1" || { said "$1" | tail -n 12; return 1; }
    contains "$(said "$1" | tail -n 2)" "$2"
    same "$(said "$1" | grep WRONG || true)" ""
    rm -f "$work/watch-$1.pid"
}

# --- raw ---

each_mode_goes_on_where_it_was_cut() {
    local mode what before
    for mode in delta full latest; do
        what='^changes'
        [ $mode != full ] || what='^image [1-9]'
        watch "$mode" resource busy grant_table "$mode" raw "$work/$mode.image"
        says "$mode" '^checkpoint'
        step
        says "$mode" "$what"
        cut # nothing is missed
        says "$mode" '^begin behind'
        part
        says "$mode" '^interrupted' 1
        step
        before=$(count "$mode" "$what")
        reach
        says "$mode" '^begin behind' 1
        says "$mode" "$what" "$before"
        fine "$mode"
        frames busy "$work/$mode.now"
        cmp "$work/$mode.image" "$work/$mode.now"
        same "$(count "$mode" '^gap')" 0 "gaps"
    done
}

# Each stream is cut within its first second, and the next begins behind all that it brought.
short_streams_leave_their_checkpoints() {
    local i
    watch short resource busy grant_table delta raw
    says short '^checkpoint'
    for i in 1 2 3 4; do
        step
        says short '^changes' $((i - 1))
        wait_until 20 is_checkpointed short
        cut
        says short '^interrupted' $((i - 1))
        same "$(line short '^interrupted' | sed -E 's/interrupted at ([0-9]+), checkpoint ([0-9]+).*/\1/')" \
            "$(line short '^interrupted' | sed -E 's/.* checkpoint ([0-9]+).*/\1/')" "cut at, and gone on from"
        says short '^begin behind' $((i - 1))
    done
    fine short
}
is_checkpointed() { [ "$(number "$1" '^checkpoint')" = "$(number "$1" '^changes')" ]; }

# --- decoded ---

decoding_goes_on_from_whole_content() {
    local mode what before checkpoints at domain=busy type=grant_table
    witness busy resource busy grant_table latest decode
    witness emulated resource emulated ioreq_server latest decode
    for mode in delta full latest ioreq; do
        what='^decoded'
        [ $mode != full ] || what='^whole [1-9]'
        [ $mode != ioreq ] || { domain=emulated type=ioreq_server; }
        watch "decode-$mode" resource $domain $type "${mode/ioreq/delta}" decode
        says "decode-$mode" '^checkpoint'
        step
        says "decode-$mode" "$what"
        at=$(number "decode-$mode" "$what")
        wait_until 20 is_told_up_to "decode-$mode" "$at"
        before=$(count "decode-$mode" '^whole')
        checkpoints=$(count "decode-$mode" '^checkpoint')
        cut # nothing is missed: what comes again of it is not told again
        says "decode-$mode" "^begin behind $at"
        says "decode-$mode" '^checkpoint' "$checkpoints"
        same "$(count "decode-$mode" '^whole')" "$before" "whole contents"
        same "$(count "decode-$mode" '^gap')" 0 "gaps"
        part
        says "decode-$mode" '^interrupted' 1
        wait_until 20 is_told_up_to "$domain" "$at" # else what it says next is of the step before
        step_before "$domain"
        before=$(count "decode-$mode" '^whole')
        reach
        says "decode-$mode" '^whole' "$before"
        if [[ $mode =~ delta|ioreq ]]; then
            contains "$(line "decode-$mode" '^gap')" "gap $((at + 1))-"
            contains "$(line "decode-$mode" '^gap')" " resumed"
        else
            contains "$(line "decode-$mode" '^whole')" "whole $((at + 1))-"
            same "$(count "decode-$mode" '^gap')" 0 "gaps"
        fi
        before=$(count "decode-$mode" "$what")
        step
        says "decode-$mode" "$what" "$before"
        fine "decode-$mode"
    done
    fine busy
    fine emulated
}
is_told_up_to() { [ "$(number "$1" '^checkpoint')" = "$2" ]; }

# --- losses ---

# Who is overtaken within a batch of several records has a gap from its number on.
a_batch_may_be_cut_short_by_a_gap() {
    witness quick resource huge grant_table latest raw
    mkfifo "$work/hold"
    exec {hold}<>"$work/hold"
    for _ in $(seq 20); do
        : >"$work/watch-huge.log"
        # Through sockets alone: what a relay holds as well is more to fill.
        STALL=1 XENRES_SERVER=https://127.0.0.1:$(cat "$work/target") "$work/library_watch" resource huge grant_table delta raw "$work/huge.image" \
            <"$work/hold" >"$work/watch-huge.log" 2>&1 &
        echo $! >"$work/watch-huge.pid"
        says huge '^checkpoint'
        step_before quick # else what it says next is of the step before
        says huge '^held'
        overtake
        echo >&"$hold"
        says huge '^gap'
        says huge '^image' 1
        step_before quick
        wait_until 20 are_at_the_same huge quick
        fine huge
        frames huge "$work/huge.now"
        cmp "$work/huge.image" "$work/huge.now"
        if said huge | grep -B 1 '^gap' | grep -q '\.\.\.$'; then
            fine quick
            return
        fi
    done
    echo "never within a batch"
    return 1
}
are_at_the_same() { [ "$(number "$1" "$news")" = "$(number "$2" "$news")" ]; }
overtake() { # more is written than spool and sockets have room for, which have grown with the first image
    local i
    for i in $(seq 80); do
        step_before quick
    done
}

# --- domains ---

domains_are() { # NAME EXPECTED: what its events come to
    fine "$1"
    same "$(line "$1" '^domains:')" "domains:${2:+ $2}" "$1"
}
start_domains() {
    watch all domains '*' 0
    watch running domains '' 1
    watch named domains 'w*' 0
    XENRES_CERT=$dir/visitor.crt XENRES_KEY=$dir/visitor.key watch visitor domains '' 0
    for name in all running named visitor; do says $name '^checkpoint'; done
    witness host domains '' 0
}

# By the policy a visitor sees web-* alone.
domains_come_into_sight_and_go_out_of_it() {
    local name
    start_domains
    event # old-name is web-name
    says all '^renamed web-name'
    says running '^renamed web-name'
    says named '^created web-name'
    says visitor '^created web-name'
    event # it is other-name, which is not theirs to know
    says all '^renamed other-name'
    says named '^gone web-name'
    says visitor '^gone web-name'
    event # doomed has shut down: a filter of states loses sight of it
    says all '^state doomed'
    says running '^gone doomed'
    for name in all running named visitor; do cut; done
    says all '^begin behind'
    says running '^list' 1 # of states nobody knows what they were
    event
    says all '^created late'
    says running '^created late'
    part
    says running '^interrupted' 1
    event # and is gone from there again, while nobody looks
    reach
    says all '^state late'
    says running '^gap .* resumed'
    says running '^list' 2
    says visitor '^begin behind' 1
    domains_are all "busy emulated still doomed other-name huge late"
    domains_are running "busy emulated still other-name huge"
    domains_are named ""
    domains_are visitor ""
    fine host
    same "$(said visitor | grep -c other-name || true)" 0
}
event() { step_before host; } # a step of the scenario's, of which each is looked at before the next

another_policy_is_another_list() {
    local name
    watch listed domains '' 0
    watch kept resource busy grant_table delta raw
    watch lost resource busy grant_table delta decode
    XENRES_CERT=$dir/visitor.crt XENRES_KEY=$dir/visitor.key watch guest domains '' 0
    for name in listed kept lost guest; do says $name '^checkpoint'; done
    sed -e 's/"watch", "decode", /"watch", /' -e 's/"name:web-\*"/"name:st*"/' "$dir/policy.good" >"$dir/policy.conf"
    reload
    says listed '^list' 1
    says guest '^list' 1
    same "$(count listed '^gap')$(count guest '^gap')" 00 "gaps: nothing is missing"
    over lost "end permission_withdrawn"
    step
    says kept '^changes'
    says guest '^checkpoint' 1
    cut
    for name in listed kept guest; do says $name '^begin behind'; done
    cp "$dir/policy.good" "$dir/policy.conf"
    reload
    says listed '^list' 2
    says guest '^list' 2
    sed -e '/^rule "visitors"/,/^}/d' "$dir/policy.good" >"$dir/policy.conf"
    reload
    over guest "domains:"
    contains "$(said guest)" "end permission_withdrawn"
    cp "$dir/policy.good" "$dir/policy.conf"
    reload
    fine kept
    domains_are listed "busy emulated still doomed other-name huge late"
}

# --- stops ---

# The mapper samples on, and another gateway of the same state goes on from the cursors.
another_gateway_goes_on() {
    local name before signal
    watch raw resource busy grant_table delta raw "$work/raw.image"
    watch decoded resource busy grant_table latest decode
    watch domains domains '' 0
    for name in raw decoded domains; do says $name '^checkpoint'; done
    for signal in TERM KILL; do
        before=$(count raw '^begin')
        rm -f "$work/target"
        stop gateway $signal || true
        for name in raw decoded domains; do says $name '^interrupted' $((before - 1)); done
        if [ $signal = TERM ]; then
            for name in raw decoded domains; do contains "$(line $name '^interrupted')" shutting_down; done
        fi
        step
        start_gateway
        for name in raw decoded domains; do says $name '^begin behind' $((before - 1)); done
        says raw '^changes' $((before - 1))
        says decoded '^whole [1-9]' $((before - 1))
    done
    fine decoded
    domains_are domains "busy emulated still doomed other-name huge late"
    fine raw
    same "$(count raw '^gap')$(count decoded '^gap')" 00 "gaps"
    frames busy "$work/raw.now"
    cmp "$work/raw.image" "$work/raw.now"
}

# With another mapper it is another life of the domain, as far as anybody can know.
another_mapper_is_another_life() {
    watch life resource busy grant_table delta raw
    watch host domains '' 0
    says life '^checkpoint'
    says host '^checkpoint'
    stop mapper TERM
    start_mapper
    over life "end incarnation_ended"
    contains "$(said life)" "interrupted at"
    says host '^gap .*new_feed'
    says host '^list' 1
    domains_are host "busy emulated still doomed old-name huge"
}

start_mapper() {
    start mapper "${as_user[@]}" "$dir/xenresd-mapper-sim" --socket "$dir/mapper.sock" --export "$dir/export" \
        --scenario "$dir/host" --peer-user "$user" --spool-kib-max 512
    wait_until 20 test -S "$dir/mapper.sock"
}

check "a program that watches compiles" it_compiles
dir=$(mktemp -d /tmp/xr.XXXXXX) # an ordinary user has to reach it
cleanup rm -rf "$dir"
cp "$BUILD/xenresd" "$BUILD/xenresd-mapper-sim" "$dir/"
uuid=0b3c9f52-6f1e-4d5a-9a0c-3c1d5e7f9a
cat >"$dir/host" <<END
clock = "virtual"
step_ms = 1000
domain "busy" { domid = 1 uuid = "${uuid}01" grants { frames = 4 entries = 900 changes_per_second = 50 } }
domain "emulated" { domid = 2 uuid = "${uuid}02" type = "hvm" vcpus = 2
    grants { frames = 1 } ioreq "0" { requests_per_second = 7 } }
domain "still" { domid = 3 uuid = "${uuid}03" grants { frames = 2 entries = 100 } }
domain "doomed" { domid = 4 uuid = "${uuid}04" grants { frames = 1 } }
domain "old-name" { domid = 5 uuid = "${uuid}05" grants { frames = 1 } }
domain "late" { domid = 7 uuid = "${uuid}07" present = false grants { frames = 1 } }
domain "huge" { domid = 6 uuid = "${uuid}06"
    grants { frames = 512 frames_max = 512 entries = 262144 changes_per_second = 3000 } }
event { step = 1 do = "rename" domain = "old-name" text = "web-name" }
event { step = 2 do = "rename" domain = "old-name" text = "other-name" }
event { step = 3 do = "shutdown" domain = "doomed" }
event { step = 4 do = "create" domain = "late" }
event { step = 5 do = "shutdown" domain = "late" }
END
as_user=() user=$(id -un)
if [ "$(id -u)" -eq 0 ]; then
    chown -R nobody "$dir"
    as_user=(setpriv --reuid nobody --regid nogroup --clear-groups) user=nobody
fi
start demo "${as_user[@]}" "$dir/xenresd" --demo "$dir" --scenario "$dir/host"
wait_file demo "$dir/env" 30
# shellcheck source=/dev/null
. "$dir/env"
stop demo
cp "$dir/policy.conf" "$dir/policy.good"
sed -e 's/^server {/&\n    heartbeat_s = 1/' -e "/^mapper {/,/^}/c mapper {\n    socket = \"$dir/mapper.sock\"\n}" \
    "$dir/xenresd.conf" >"$dir/watch.conf"
start_mapper
start_gateway
start relay python3 "$top/tests/lib/relay.py" "$work/port" "$work/target"
wait_file relay "$work/port"
XENRES_SERVER=https://127.0.0.1:$(cat "$work/port")
check "domains come into sight, and go out of it" domains_come_into_sight_and_go_out_of_it
check "each mode goes on where it was cut" each_mode_goes_on_where_it_was_cut
check "short streams leave their checkpoints" short_streams_leave_their_checkpoints
check "decoding goes on from whole content" decoding_goes_on_from_whole_content
check "a batch may be cut short by a gap" a_batch_may_be_cut_short_by_a_gap
check "another policy is another list" another_policy_is_another_list
check "another gateway goes on" another_gateway_goes_on
check "another mapper is another life" another_mapper_is_another_life
