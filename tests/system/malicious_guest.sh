#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# Guests that write anything all over their grant tables, as fast as they can, while those are
# snapshotted, decoded and watched: each answer is whole and of the size that was asked for, and nobody
# dies of it. What is read out of bounds, an instrumented build sees.
#
# time-limit: 240
# runs-alone: the two guests take a processor each
# shellcheck source=tests/lib/functions.sh
. "$(dirname "$0")/../lib/functions.sh"
requires curl jq pgrep

cat >"$work/scenario" <<'E2'
seed = 7
domain "scribbler" {
  domid = 1  uuid = "0b3c9f52-6f1e-4d5a-9a0c-3c1d5e7f9a01"  type = "pv"
  grants { version = 1 frames = 8 entries = 100 scribbles = true }
}
domain "scribbler2" {
  domid = 2  uuid = "0b3c9f52-6f1e-4d5a-9a0c-3c1d5e7f9a02"  type = "pvh"
  grants { version = 2 frames = 8 entries = 100 scribbles = true }
}
E2

frames() { # DOMAIN FILE
    curl -sS --max-time 20 --cacert "$XENRES_CACERT" --cert "$XENRES_CERT" --key "$XENRES_KEY" -o "$2" \
        "$XENRES_SERVER/v1/domains/$1/resources/grant_table/0/frames"
}
children() { pgrep -P "$(cat "$work/demo.pid")" | sort | tr '\n' ' '; }

# Not each is another one: a busy machine may not let the guest run in between.
snapshots_are_whole_and_differ() {
    local domain number
    for domain in scribbler scribbler2; do
        for ((number = 0; number < 40; number++)); do
            frames "$domain" "$work/frames"
            same "$(stat -c %s "$work/frames")" 32768 "bytes of $domain"
            sha256sum <"$work/frames"
        done | sort -u >"$work/digests"
        [ "$(wc -l <"$work/digests")" -ge 10 ]
    done
}

# Whatever stands in a table: each reference at most once, in order, within the frames in use.
decoded_tables_are_tables() { # DOMAIN ENTRIES
    local number
    for ((number = 0; number < 20; number++)); do
        "$BUILD/xenres" -o json grants "$1" --all >"$work/grants"
        jq -es --argjson most "$2" '
            [.[].entries[].reference // 0]
            | length > $most / 2 and length <= $most and . == (sort | unique) and last < $most and first >= 0' "$work/grants" >"$work/said" || {
            cut -c1-400 "$work/grants" | head -n 5
            return 1
        }
    done
}

streams_go_on() { # DOMAIN OPTION...
    local domain=$1
    shift
    : >"$work/watched"
    start watching "$BUILD/xenres" -o json watch "$domain" grant_table --period 200ms "$@"
    wait_until 60 has_seen_much
    stop watching KILL || true
    head -n 40 "$work/watching.log" | tail -n 20 | jq -e . >/dev/null
}
has_seen_much() { [ "$(head -n 40 "$work/watching.log" | wc -l)" -eq 40 ]; }

nobody_died() {
    same "$(children)" "$served_by" "processes"
    same "$(curl -s --max-time 5 --unix-socket "$work/demo/health.sock" http://h/metrics |
        awk '$1 == "xenresd_mapper_restarts_total" { print $2 }')" 0 "restarts of the mapper"
}

start_demo --scenario "$work/scenario"
served_by=$(children)
check "snapshots are whole, and differ" snapshots_are_whole_and_differ
check "a table of version 1 is decoded" decoded_tables_are_tables scribbler 4096
check "a table of version 2 is decoded, with its status" decoded_tables_are_tables scribbler2 2048
check "its changes are streamed" streams_go_on scribbler
check "its changes are decoded" streams_go_on scribbler --decode
check "those of version 2, too" streams_go_on scribbler2 --decode
check "nobody has died of it" nobody_died
