#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# Recorders whose disk is full, that are killed while they write, and whose files lose their ends:
# what is there stays a recording, one goes on with it, and what is missing in it is told exactly.
# shellcheck source=tests/lib/functions.sh
. "$(dirname "$0")/../lib/functions.sh"
requires jq

ROUNDS=12
xenres=$BUILD/xenres
export LC_ALL=C.UTF-8
unset https_proxy HTTPS_PROXY all_proxy ALL_PROXY

cat >"$work/busy" <<'EOF'
seed = 11
domain "busy" { domid = 1 uuid = "11111111-1111-1111-1111-111111111111"
  grants { frames = 4 entries = 2000 changes_per_second = 3000 } }
EOF

# In the background; $recorder is its process.
record_on() { # FILE [OPTION...]
    "$xenres" watch busy grant_table --period 10ms --output "$@" >"$work/out" 2>"$work/err" &
    recorder=$!
}

said() { # FILE JQ
    { "$xenres" -o json verify "$1" || true; } | jq -r "$2"
}

size_of() { stat -c %s "$1" 2>/dev/null || echo 0; }
is_larger() { [ "$(size_of "$1")" -gt "$2" ]; }

stop_recorder() { # SIGNAL
    kill -"$1" "$recorder"
    wait "$recorder" 2>/dev/null || true
}

# By the file alone: numbers that messages speak of follow each other, and what was lost is told.
has_no_holes() { # FILE
    "$xenres" -o json replay "$1" | jq -e -n '
        reduce (inputs | .image // .changes // .gap | select(.)) as $m ({ at: null, good: true };
            ($m.sequence | tonumber) as $last |
            ($m.firstSequence // "0" | tonumber) as $first |
            if .at == null or $last == .at then .at = $last
            elif $first == .at + 1 then .at = $last
            elif $first == 0 or $first <= .at then .good = (.good and $last >= .at) | .at = $last
            else .good = false end) | .good' >/dev/null
}

# Nothing is missing that is not told: what the gateway no longer had is a gap.
expect_whole() { # FILE
    same "$(said "$1" '"\(.missing) \(.complete == (.lost == "0")) \(.closed)"')" "0 true true" "$(said "$1" .)"
    has_no_holes "$1"
}

a_full_disk_ends_the_recorder_and_not_the_recording() {
    local file=$work/full.rec status=0
    (
        trap '' XFSZ
        ulimit -f 200
        exec "$xenres" watch busy grant_table --period 10ms --output "$file" >"$work/out" 2>"$work/err"
    ) || status=$?
    [ "$status" -ne 0 ]
    contains "$(cat "$work/err")" "EFBIG"
    contains "$(cat "$work/err")" "--resume"
    [ "$(size_of "$file")" -le $((200 * 1024)) ]
    contains "$(said "$file" .)" '"lastSequence"'
    same "$(said "$file" '"\(.damaged // 0) \(.missing)"')" "0 0" "$(said "$file" .)"
    record_on "$file" --resume
    wait_until 20 is_larger "$file" $((400 * 1024))
    stop_recorder TERM
    expect_whole "$file"
}

killed_recorders_leave_a_recording() {
    local file=$work/killed.rec round
    record_on "$file"
    for ((round = 0; round < ROUNDS; round++)); do
        wait_until 20 is_larger "$file" $(($(size_of "$file") + RANDOM % 30000))
        stop_recorder KILL
        record_on "$file" --resume
    done
    wait_until 20 is_larger "$file" $(($(size_of "$file") + 20000))
    stop_recorder TERM
    expect_whole "$file"
    same "$(said "$file" .streams)" $((ROUNDS + 1)) streams
}

a_file_that_lost_its_end_is_gone_on_with() {
    local file=$work/cut.rec round
    record_on "$file"
    for ((round = 0; round < ROUNDS; round++)); do
        wait_until 20 is_larger "$file" $(($(size_of "$file") + 20000))
        stop_recorder KILL
        truncate -s -$((1 + RANDOM % 9000)) "$file"
        record_on "$file" --resume
    done
    wait_until 20 is_larger "$file" $(($(size_of "$file") + 20000))
    stop_recorder TERM
    expect_whole "$file"
}

# In a payload that one record is lost, and what was in it is missing; a head is all that leads further.
what_is_damaged_is_told_exactly() {
    local file=$work/damaged.rec last
    record_on "$file"
    wait_until 20 is_larger "$file" 200000
    stop_recorder TERM
    last=$(said "$file" .lastSequence)
    printf '\xff\xff\xff\xff' | dd of="$file" bs=1 seek=100000 conv=notrunc status=none
    same "$(said "$file" .complete)" false
    if [ "$(said "$file" 'any(.findings[]; .kind == "unreadable")')" = true ]; then
        same "$(said "$file" '.findings[0] | (.offsetBytes | tonumber) <= 100000 and
            (.offsetBytes | tonumber) + (.lengthBytes | tonumber) >= 200000')" true "$(said "$file" .)"
    else
        same "$(said "$file" '.missing | tonumber | . >= 1 and . <= 2')" true "$(said "$file" .)"
        same "$(said "$file" .lastSequence)" "$last"
    fi
}

start_demo --scenario "$work/busy"
check "a full disk ends the recorder and not the recording" a_full_disk_ends_the_recorder_and_not_the_recording
check "recorders that are killed leave a recording" killed_recorders_leave_a_recording
check "a file that lost its end is gone on with" a_file_that_lost_its_end_is_gone_on_with
check "what is damaged in the middle is told exactly" what_is_damaged_is_told_exactly
