#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# The library's streams and queries with the real daemon: a program in C that has the public header
# alone. What servers do wrong is in tests/fault/client_*.
# shellcheck source=tests/lib/functions.sh
. "$(dirname "$0")/../lib/functions.sh"
requires cc curl cmp

frames=/v1/domains/large/resources/grant_table/0/frames
calls=$work/calls
unset https_proxy HTTPS_PROXY all_proxy ALL_PROXY

raw_frames() { # FIRST COUNT
    curl --silent --fail --max-time 20 --cacert "$XENRES_CACERT" --cert "$XENRES_CERT" --key "$XENRES_KEY" \
        "$XENRES_SERVER$frames?first=$1&count=$2"
}

it_compiles() {
    local sanitizers=()
    # An instrumented library wants an instrumented program.
    if [[ $BUILD =~ /sanitize-([a-z-]+)$ ]]; then
        sanitizers=("-fsanitize=${BASH_REMATCH[1]//-/,}")
    fi
    cc -Wall -Wextra -Werror "${sanitizers[@]}" -I "$top/client/include" -o "$calls" \
        "$top/tests/system/library_calls.c" -L "$BUILD" -lxenres -Wl,-rpath,"$BUILD"
}

streamed_frames_are_the_raw_ones() {
    local range first count
    for range in "0 512" "0 1" "511 1" "63 2" "100 300"; do
        read -r first count <<<"$range"
        raw_frames "$first" "$count" >"$work/raw"
        "$calls" snapshot large "$first" "$count" >"$work/streamed"
        cmp "$work/raw" "$work/streamed"
        same "$(stat -c %s "$work/streamed")" $((count * 4096)) "bytes"
    done
}

stream_has_its_messages() {
    "$calls" messages large >"$work/messages"
    same "$(sort -u "$work/messages")" xenres.v1.ReadSnapshotResponse
    [ "$(wc -l <"$work/messages")" -ge 2 ] # the head, and the frames
}

errors_come_with_their_details() {
    fails 1 "$calls" snapshot nobody 0 1
    contains "$(cat "$work/said")" "not_found field= "
    fails 1 "$calls" snapshot large 512 1
    contains "$(cat "$work/said")" "out_of_range "
    contains "$(cat "$work/said")" " xenres.v1.XenFailure"
    fails 1 "$calls" domains '*' 77
    contains "$(cat "$work/said")" "invalid_argument field=filter.states[0]"
    contains "$(cat "$work/said")" " google.rpc.BadRequest"
}

domains_are_found_by_name_and_state() {
    same "$("$calls" domains '*' 0 | tr '\n' ' ')" "1 2 3 "
    same "$("$calls" domains 'l?rge*' 0 | tr '\n' ' ')" "2 3 "
    same "$("$calls" domains '' 3 | tr '\n' ' ')" "3 "
    same "$("$calls" domains 'nobody' 0)" ""
}

signal_cancels_a_stream() {
    fails 1 "$calls" cancel large
    contains "$(cat "$work/said")" "canceled"
}

cat >"$work/scenario" <<'END'
seed = 1
domain "small" {
  domid = 1  uuid = "00000000-0000-0000-0000-00000000000a"  type = "pvh"
  grants { frames = 2  entries = 300 }
}
domain "large" {
  domid = 2  uuid = "00000000-0000-0000-0000-00000000000b"  type = "pvh"
  grants { frames = 512  frames_max = 512  entries = 5000 }
}
domain "larger" {
  domid = 3  uuid = "00000000-0000-0000-0000-00000000000c"  type = "pvh"  state = "paused"
  grants { frames = 2  entries = 10 }
}
END
start_demo --scenario "$work/scenario"
check "a program that streams compiles" it_compiles
check "streamed frames are the raw ones" streamed_frames_are_the_raw_ones
check "a stream has its messages" stream_has_its_messages
check "errors come with their details" errors_come_with_their_details
check "domains are found by name and state" domains_are_found_by_name_and_state
check "a signal cancels a stream" signal_cancels_a_stream
