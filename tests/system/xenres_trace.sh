#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# time-limit: 300
# xenres trace, and verify of what it records, with the real programs on a simulated host: what was recorded
# is what the guest wrote, also by a recorder that was killed again and again; and a recording is never called
# complete where a byte is missing.
# shellcheck source=tests/lib/functions.sh
. "$(dirname "$0")/../lib/functions.sh"
requires jq cmp python3

xenres=$BUILD/xenres
export LC_ALL=C.UTF-8 TERM=dumb
unset https_proxy HTTPS_PROXY all_proxy ALL_PROXY

exits() { # STATUS COMMAND...: prints what it says
    local want=$1 got=0
    shift
    "$@" >"$work/out" 2>"$work/err" || got=$?
    [ "$got" = "$want" ] || { echo "$* ended with $got, not $want:"; cat "$work/out" "$work/err"; return 1; }
}
manifest() { jq -r "$2" "$1/manifest.json"; } # DIR FILTER
produced() { "$xenres" -o json trace status "$1" | jq -r '[.vcpus[].producedBytes | tonumber] | min'; }
has_produced() { [ "$(produced "$1")" -ge "$2" ]; } # DOMAIN BYTES

# --- control -------------------------------------------------------------------------------------

traces_are_started_listed_and_stopped() {
    exits 0 "$xenres" trace start made --user --budget 300 --lease 30s
    contains "$(cat "$work/out")" "300 pauses a second for each vCPU"
    exits 0 "$xenres" trace start made --user --budget 300 --lease 30s
    contains "$(cat "$work/err")" "it ran already"
    exits 0 "$xenres" trace list
    contains "$(cat "$work/out")" "made"
    exits 0 "$xenres" trace status made
    contains "$(cat "$work/out")" "PRODUCED"
    contains "$(cat "$work/out")" "domain    made (domain 2, ${uuid}02, incarnation "
    same "$(grep -c '\\x' "$work/out" || true)" 0 "escapes in what it says"
    exits 0 "$xenres" trace stop made
    contains "$(cat "$work/out")" "stopped"
    exits 0 "$xenres" -o json trace list
    same "$(jq -r '.traces[0].endReason' "$work/out")" TRACE_END_REASON_STOPPED
}

where_it_cannot_be_the_cure_is_told() {
    exits 19 "$xenres" trace start plain
    contains "$(cat "$work/err")" vmtrace
    exits 19 "$xenres" trace start left
    contains "$(cat "$work/err")" takeover
    exits 15 "$xenres" trace start nobody
    exits 2 "$xenres" trace start made --stats
    exits 2 "$xenres" trace record made
    exits 2 "$xenres" trace start made --vcpu 3-1
    exits 2 "$xenres" trace start
    exits 2 "$xenres" trace starts made
}

# --- record --------------------------------------------------------------------------------------

what_is_recorded_is_what_the_guest_wrote() {
    local pid status=0
    "$xenres" trace record played --output "$work/played" >"$work/out" 2>"$work/err" &
    pid=$!
    wait_until 30 has_all played "$work/played"
    kill -TERM "$pid"
    wait "$pid" || status=$?
    same "$status" 0 "$(cat "$work/out" "$work/err")"
    cmp "$dir/trace.pt" "$work/played/vcpu0.pt"
    cmp "$dir/trace.pt" "$work/played/vcpu1.pt"
    same "$(ls "$work/played")" "$(printf 'manifest.json\nvcpu0.pt\nvcpu1.pt')" files
    exits 0 "$xenres" verify "$work/played"
    contains "$(cat "$work/out")" "complete: yes"
    same "$(manifest "$work/played" '[.vcpus[] | .produced, .delivered, .lost, .atLeast, .end.reason] | @csv')" \
        '"2097152","2097152","0",false,"stopped","2097152","2097152","0",false,"stopped"'
    same "$(manifest "$work/played" .domain.name)" played
    [ "$(manifest "$work/played" '.vcpus[0].times | length')" -gt 3 ]
}
has_all() { # DOMAIN DIR: all of the file is in the manifest
    [ -s "$2/manifest.json" ] && [ "$(manifest "$2" '[.vcpus[].position | tonumber] | min')" = 2097152 ]
}

a_duration_ends_it_with_its_tail() {
    exits 0 "$xenres" trace record made --vcpu 0 --duration 1500ms --output "$work/made"
    exits 0 "$xenres" -o json verify "$work/made"
    same "$(jq -c '[.complete, .vcpus[0].ended]' "$work/out")" '[true,"stopped"]'
    same "$(produced made)" "$(manifest "$work/made" '.vcpus[0].produced')"
}

# One line, which is written again and again, and is gone in the end: what came, how fast, how full the ring was,
# what it cost, and what is lost.
a_terminal_shows_how_it_fares() {
    local status=0
    python3 "$top/tests/lib/terminal.py" --until '1 vCPU  ' --until ' KiB/s  ring ' --until ' pauses  lost 0 B' \
        --until ' pauses  lost 0 B' --type '\x03' -- \
        "$xenres" trace record made --output "$work/live" >"$work/terminal" || status=$?
    same "$status" 0 "$(cat "$work/terminal")"
    live_lines "$work/terminal"
    exits 0 "$xenres" verify "$work/live"
    python3 "$top/tests/lib/terminal.py" --until 'lost at least ' --type '\x03' -- \
        "$xenres" trace record fast --output "$work/lossy" >"$work/terminal" || status=$?
    same "$status" 25 "$(cat "$work/terminal")"
    # Where it is none, there is no such line.
    exits 0 "$xenres" trace record made --duration 500ms --output "$work/dark"
    same "$(grep -c $'\e' "$work/err" || true)" 0 "lines for a terminal"
}
live_lines() { # FILE
    python3 - "$1" <<'END'
import re, sys
shown = open(sys.argv[1], newline="").read()
*lines, rest = shown.split("\r\x1b[K")
form = r"1 vCPU  [\d.]+ \S+  [\d.]+ \S+/s  ring (\d+) % \(most (\d+) %\)  (\d+) pauses  lost 0 B(\^C)?"
before, most = 0, 0
assert len(lines) > 2, shown
for line in lines[1:]:
    match = re.fullmatch(form, line)
    assert match, line
    fill, most_fill, pauses = map(int, match.groups()[:3])
    assert fill <= most_fill <= 100 and most_fill >= most and pauses >= before, line
    before, most = pauses, most_fill
assert before > 0, "it cost nothing"
assert " KiB/s" not in rest and "made" in rest, rest
END
}

a_trace_of_somebody_else_runs_on() {
    "$xenres" trace start made >"$work/out"
    exits 0 "$xenres" trace record made --duration 700ms --output "$work/joined"
    same "$("$xenres" -o json trace status made | jq -r .trace.endReason)" TRACE_END_REASON_UNSPECIFIED
    exits 25 "$xenres" -o json verify "$work/joined" # it went on
    same "$(jq -c '[.findings[].kind] | unique' "$work/out")" '["not_ended"]'
    exits 0 "$xenres" trace record made --resume --duration 500ms --output "$work/joined"
    "$xenres" trace stop made >/dev/null
    exits 0 "$xenres" trace record made --resume --output "$work/joined"
    exits 0 "$xenres" verify "$work/joined"
}

packets_are_decoded() {
    "$xenres" trace packets "$work/made" --stats >"$work/out" 2>"$work/err" || {
        local status=$?
        grep -q 'without libipt' "$work/err" && return 0
        cat "$work/out" "$work/err"
        return "$status"
    }
    contains "$(cat "$work/out")" " 0 errors, "
    exits 0 "$xenres" -o json trace packets "$work/made" --vcpu 0 --stats
    same "$(jq -c '[.[] | .errors]' "$work/out")" '["0"]'
    [ "$(jq -r '.[0].of.psb' "$work/out")" -gt 10 ]
    exits 0 "$xenres" trace packets "$work/made"
    same "$(head -n 1 "$work/out" | cut -c1-30)" 'vcpu0.pt  000000000000  psb'
}

the_example_decodes_while_it_captures() {
    [ -e /usr/include/intel-pt.h ] || skip "needs libipt"
    local sanitizers=()
    if [[ $BUILD =~ /sanitize-([a-z-]+)$ ]]; then
        sanitizers=("-fsanitize=${BASH_REMATCH[1]//-/,}")
    fi
    cc -std=c11 -Wall -Wextra -Wpedantic -Werror "${sanitizers[@]}" -I"$top/client/include" \
        "$top/examples/c/follow_trace.c" -L"$BUILD" -lxenres -lipt -o "$work/follow_trace"
    exits 0 env LD_LIBRARY_PATH="$BUILD" "$work/follow_trace" made 2
    contains "$(cat "$work/out")" "ended: stopped; "
    contains "$(cat "$work/out")" " 0 lost, "
    contains "$(cat "$work/out")" "; 0 errors"
    [ "$(sed -n 's/.* \([0-9]*\) psb.*/\1/p' "$work/out")" -gt 10 ]
}

# --- kills ---------------------------------------------------------------------------------------

# Each time it goes on behind what the manifest says, and nothing is there twice or not at all.
recorder_may_be_killed_at_any_moment() {
    local pid n pause option=
    "$xenres" trace start slow >/dev/null
    for n in 1 2 3 4 5 6 7 8 9 10 11 12; do
        # shellcheck disable=SC2086  # none, or one
        "$xenres" trace record slow $option --output "$work/killed" >"$work/out" 2>"$work/err" &
        pid=$!
        # At a moment that differs.
        pause=$((n * 37 % 11))
        wait_until 20 has_grown "$work/killed" "$n"
        read -rt "0.$pause" <>"$work/never" || true
        kill -KILL "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
        option=--resume
    done
    wait_until 60 has_produced slow 2097152
    "$xenres" trace stop slow >/dev/null
    exits 0 "$xenres" trace record slow --resume --output "$work/killed"
    cmp "$dir/trace.pt" "$work/killed/vcpu0.pt"
    exits 0 "$xenres" verify "$work/killed"
}
has_grown() { # DIR TIMES
    local now
    now=$(stat -c %s "$1/vcpu0.pt" 2>/dev/null || echo 0)
    [ "$now" -ge $(($2 * 60000)) ] && [ -s "$1/manifest.json" ]
}

# Somebody puts a FIFO where the manifest is written: nobody waits at it. What was traced for the recording is
# traced no longer.
a_save_that_fails_ends_what_was_started() {
    local dir=$work/unsaved recorder status=0
    "$xenres" trace record made --output "$dir" >"$work/out" 2>"$work/err" &
    recorder=$!
    wait_until 20 has_bytes "$dir"
    wait_until 20 mkfifo "$dir/manifest.json.new"
    wait_ended "$recorder" || status=$?
    same "$status" 1 "$(cat "$work/out" "$work/err")"
    contains "$(cat "$work/err")" "cannot write manifest.json.new: it is no file of this recording"
    was_stopped made
    rm "$dir/manifest.json.new"
    exits 0 "$xenres" trace record made --resume --output "$dir"
    exits 0 "$xenres" verify "$dir"
    # Nor is a link followed.
    mkdir "$work/linked"
    echo theirs >"$work/theirs"
    ln -s "$work/theirs" "$work/linked/manifest.json.new"
    exits 1 "$xenres" trace record made --output "$work/linked"
    same "$(cat "$work/theirs")" theirs
    was_stopped made
}
# Its folder goes away.
nor_does_one_without_a_folder_go_on() {
    local dir=$work/gone recorder status=0
    "$xenres" trace record made --output "$dir" >"$work/out" 2>"$work/err" &
    recorder=$!
    wait_until 20 has_bytes "$dir"
    mv "$dir" "$work/going" # until the last of its files is removed, another may be made
    wait_until 20 rm -r "$work/going"
    wait_ended "$recorder" || status=$?
    same "$status" 1 "$(cat "$work/out" "$work/err")"
    contains "$(cat "$work/err")" "cannot "
    was_stopped made
}
a_full_disk_ends_it_and_room_lets_it_go_on() {
    local dir=$work/full
    # shellcheck disable=SC2016  # of the other shell
    exits 1 timeout 60 bash -c 'trap "" XFSZ; ulimit -f 100; exec "$@"' - \
        "$xenres" trace record made --output "$dir"
    contains "$(cat "$work/err")" "cannot write the trace"
    contains "$(cat "$work/err")" "make room, then go on with record --resume"
    was_stopped made
    same "$(manifest "$dir" '"\(.closed) \(.closedWhy)"')" "true cannot write the trace"
    exits 0 "$xenres" trace record made --resume --output "$dir"
    exits 0 "$xenres" verify "$dir"
}
# Not even the manifest has room then.
so_does_a_disk_without_any_room() {
    unshare -m true 2>/dev/null || skip "needs root, and mount namespaces"
    mkdir "$work/small"
    # shellcheck disable=SC2016  # of the other shell
    exits 1 timeout 60 unshare -m bash -c 'mount -t tmpfs -o size=128k none "$1" && exec "${@:2}"' - "$work/small" \
        "$xenres" trace record made --output "$work/small/of"
    contains "$(cat "$work/err")" ENOSPC
    contains "$(cat "$work/err")" "make room, then go on with record --resume"
    was_stopped made
}
wait_ended() { # PID: its status
    gone "$1" 40 || kill -KILL "$1"
    wait "$1"
}
was_stopped() { # DOMAIN
    contains "$(cat "$work/err")" "the trace that was started for it was stopped"
    same "$("$xenres" -o json trace status "$1" | jq -r .trace.endReason)" TRACE_END_REASON_STOPPED
}

# The trace runs on, but the gateway says no more of it.
what_is_cut_off_is_told() {
    local dir=$work/withdrawn policy=$work/demo/policy.conf recorder status=0
    "$xenres" trace start made >/dev/null
    timeout 60 "$xenres" trace record made --output "$dir" >"$work/out" 2>"$work/err" &
    recorder=$!
    wait_until 20 has_bytes "$dir"
    [ "$(id -u)" -ne 0 ] || chown nobody "$work/demo/server.key" # who reads it again is no longer root
    cp "$policy" "$work/policy"
    sed 's/demo\/operator/demo\/nobody/' "$work/policy" >"$policy"
    kill -HUP "${pid[demo]}"
    wait "$recorder" || status=$?
    cp "$work/policy" "$policy"
    kill -HUP "${pid[demo]}"
    wait_until 20 is_allowed
    same "$status" 25 "$(cat "$work/out" "$work/err")"
    same "$(manifest "$dir" .closed)" true
    same "$(manifest "$dir" '.vcpus[0].end.reason')" permission_withdrawn
    [ "$(manifest "$dir" .closedWhy)" != "the trace ended" ]
    exits 0 "$xenres" trace record made --resume --duration 300ms --output "$dir" # that is somebody else's
    "$xenres" trace stop made >/dev/null
    exits 0 "$xenres" trace record made --resume --output "$dir"
    exits 0 "$xenres" verify "$dir"
    same "$(manifest "$dir" .closedWhy)" "the trace ended"
}
has_bytes() { [ -s "$1/manifest.json" ] && [ "$(manifest "$1" '.vcpus[0].position')" != 0 ]; } # DIR
is_allowed() { "$xenres" trace status made >/dev/null 2>&1; }

# No thread has room for its stack.
without_threads_it_fails() {
    exits 1 timeout -s KILL 30 bash -c 'ulimit -s 274877906944 && exec "$@"' - \
        "$xenres" trace record made --output "$work/threadless"
    contains "$(cat "$work/err")" "no thread can be had"
    was_stopped made
}

going_on_needs_the_same_trace() {
    "$xenres" trace start slow >/dev/null
    exits 20 "$xenres" trace record slow --resume --output "$work/killed"
    exits 20 "$xenres" trace record made --resume --output "$work/killed"
    "$xenres" trace stop slow >/dev/null
    exits 16 "$xenres" trace record slow --output "$work/killed"
}

# Killed while it recorded; then the domain dies. What the trace has yet is found by the name of then.
what_is_left_outlives_its_domain() {
    local dir=$work/mortal recorder mapper
    "$xenres" trace start mortal >/dev/null
    "$xenres" trace record mortal --output "$dir" >"$work/out" 2>"$work/err" &
    recorder=$!
    wait_until 20 has_bytes "$dir"
    kill -KILL "$recorder"
    wait "$recorder" || true
    mapper=$(pgrep -P "${pid[demo]}" -f xenresd-mapper-sim)
    kill -USR1 "$mapper"
    wait_until 20 has_no_domain mortal
    exits 0 "$xenres" trace status mortal
    contains "$(cat "$work/out")" incarnation_ended
    exits 0 "$xenres" trace status "${uuid}07"
    exits 15 "$xenres" trace start mortal
    exits 0 "$xenres" trace record mortal --resume --output "$dir"
    exits 0 "$xenres" verify "$dir"
    same "$(manifest "$dir" '.vcpus[0].end.reason')" incarnation_ended
}
has_no_domain() { ! "$xenres" domains --names | grep -qx "$1"; } # NAME

# --- losses --------------------------------------------------------------------------------------

# The ring goes round faster than anybody may look.
what_is_lapped_is_never_complete() {
    exits 25 "$xenres" trace record fast --duration 2s --output "$work/fast"
    exits 25 "$xenres" -o json verify "$work/fast"
    same "$(jq -c .complete "$work/out")" false
    same "$(jq -c '[.findings[].kind] | unique' "$work/out")" '["gap"]'
    [ "$(jq -r '[.findings[].why] | unique | join(" ")' "$work/out")" != "" ]
    pieces_are_the_files "$work/fast" "$dir/trace.pt"
}
# Each file is the played one's (which goes round), at one offset that is further than the one before.
pieces_are_the_files() {
    python3 - "$1" "$2" <<'END'
import json, os, sys
folder, source = sys.argv[1], open(sys.argv[2], "rb").read()
manifest = json.load(open(os.path.join(folder, "manifest.json")))
for vcpu in manifest["vcpus"]:
    at = 0
    for file in vcpu["files"]:
        data = open(os.path.join(folder, file["file"]), "rb").read()
        assert len(data) == int(file["bytes"]), file
        assert int(file["position"]) >= at, file
        at = int(file["position"]) + len(data)
        if len(data) >= 64:
            place = (source + source).find(data[:64])
            assert place >= 0, file
            round = source[place % len(source):] + source * (len(data) // len(source) + 1)
            assert round.startswith(data), file
    lost = sum(int(gap["length"]) for gap in vcpu["gaps"])
    assert lost + sum(int(file["bytes"]) for file in vcpu["files"]) == int(vcpu["produced"])
    assert lost == int(vcpu["lost"])
    print(len(vcpu["files"]), "files,", len(vcpu["gaps"]), "gaps")
END
}

what_is_done_to_the_files_is_found() {
    cp -r "$work/played" "$work/damaged"
    truncate -s 2097000 "$work/damaged/vcpu0.pt"
    exits 25 "$xenres" verify "$work/damaged"
    contains "$(cat "$work/out")" "152 bytes from byte 2097000"
    cp "$work/played/vcpu0.pt" "$work/damaged/"
    echo more >>"$work/damaged/vcpu1.pt"
    exits 25 "$xenres" verify "$work/damaged"
    contains "$(cat "$work/out")" "file_long"
    rm "$work/damaged/vcpu1.pt"
    exits 25 "$xenres" verify "$work/damaged"
    contains "$(cat "$work/out")" "file_missing"
    jq '.vcpus[0].position = "9"' "$work/played/manifest.json" >"$work/damaged/manifest.json"
    exits 13 "$xenres" verify "$work/damaged"
    echo '{}' >"$work/damaged/manifest.json"
    exits 13 "$xenres" verify "$work/damaged"
    rm "$work/damaged/manifest.json"
    exits 1 "$xenres" verify "$work/damaged"
}

dir=$(mktemp -d /tmp/xr.XXXXXX) # the gateway reads it as another user
cleanup rm -rf "$dir"
mkfifo "$work/never"
# It does not end as a PSB begins: that is held back until there is more, or the trace is over.
{ head -c 2097151 /dev/urandom && printf '\0'; } >"$dir/trace.pt"
uuid=0b3c9f52-6f1e-4d5a-9a0c-3c1d5e7f9a
cat >"$dir/host" <<END
domain "played" { domid = 1 uuid = "${uuid}01" type = "hvm" vcpus = 2
    vmtrace { size = 1048576 source = "trace.pt" rate = 1048576 } }
domain "made" { domid = 2 uuid = "${uuid}02" type = "pvh" vcpus = 1 vmtrace { size = 1048576 rate = 524288 } }
domain "left" { domid = 3 uuid = "${uuid}03" type = "hvm" vcpus = 1 vmtrace { size = 1048576 enabled = true } }
domain "slow" { domid = 4 uuid = "${uuid}04" type = "hvm" vcpus = 1
    vmtrace { size = 1048576 source = "trace.pt" rate = 131072 } }
domain "plain" { domid = 5 uuid = "${uuid}05" type = "hvm" vcpus = 1 }
domain "fast" { domid = 6 uuid = "${uuid}06" type = "hvm" vcpus = 1
    vmtrace { size = 4096 source = "trace.pt" loop = true rate = 4194304 } }
domain "mortal" { domid = 7 uuid = "${uuid}07" type = "hvm" vcpus = 1 vmtrace { size = 1048576 rate = 524288 } }
event { step = 1 do = "destroy" domain = "mortal" }
END
[ "$(id -u)" -ne 0 ] || chmod 755 "$dir"
start_demo --scenario "$dir/host"
check "traces are started, listed and stopped" traces_are_started_listed_and_stopped
check "where it cannot be, the cure is told" where_it_cannot_be_the_cure_is_told
check "what is recorded is what the guest wrote" what_is_recorded_is_what_the_guest_wrote
check "a duration ends it, with its tail" a_duration_ends_it_with_its_tail
check "a terminal shows how it fares" a_terminal_shows_how_it_fares
check "packets are decoded" packets_are_decoded
check "the example decodes while it captures" the_example_decodes_while_it_captures
check "a trace of somebody else runs on" a_trace_of_somebody_else_runs_on
check "a recorder may be killed at any moment" recorder_may_be_killed_at_any_moment
check "a save that fails ends what was started" a_save_that_fails_ends_what_was_started
check "nor does one without a folder go on" nor_does_one_without_a_folder_go_on
check "a full disk ends it, and room lets it go on" a_full_disk_ends_it_and_room_lets_it_go_on
check "so does a disk without any room" so_does_a_disk_without_any_room
check "what is cut off is told" what_is_cut_off_is_told
check "without threads it fails" without_threads_it_fails
check "what is left outlives its domain" what_is_left_outlives_its_domain
check "going on needs the same trace" going_on_needs_the_same_trace
check "what is lapped is never complete" what_is_lapped_is_never_complete
check "what is done to the files is found" what_is_done_to_the_files_is_found
