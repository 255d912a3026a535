#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# time-limit: 180
# Streams that watch, of the real daemon on a simulated host whose time passes when it is told to: by
# curl and by the command, raw and decoded, in all modes and encodings; where they end, and how they go
# on. Heartbeats come each second here. The gateway runs as a user who may still read its files at a
# reload.
# shellcheck source=tests/lib/functions.sh
. "$(dirname "$0")/../lib/functions.sh"
requires curl jq pgrep python3 setpriv zstd

grants='"type":"RESOURCE_TYPE_GRANT_TABLE"'

# watch NAME METHOD JSON [CURL-OPTION...]: a stream in the background; what comes is in $work/NAME.
watch() {
    local name=$1 method=$2 json=$3
    shift 3
    {
        printf '\0'
        # shellcheck disable=SC2059  # the length, as four bytes
        printf "$(printf '\\x%02x\\x%02x\\x%02x\\x%02x' 0 0 $((${#json} >> 8)) $((${#json} & 255)))"
        printf '%s' "$json"
    } >"$work/$name.request"
    : >"$work/$name"
    start "curl-$name" curl -sSN --max-time 100 --cacert "$XENRES_CACERT" --cert "${cert:-$XENRES_CERT}" \
        --key "${key:-$XENRES_KEY}" -o "$work/$name" -D "$work/$name.head" \
        -H 'Content-Type: application/connect+json' --data-binary "@$work/$name.request" "$@" \
        "$XENRES_SERVER/xenres.v1.$method"
}
leave() { stop "curl-$1" KILL || true; } # NAME: its reader goes
said() { # NAME: the messages of a stream so far, a line each
    local encoding
    encoding=$(sed -n 's/^Connect-Content-Encoding: \(.*\)\r$/\1/Ip' "$work/$1.head" 2>/dev/null)
    python3 "$top/tests/lib/stream_messages.py" print "$work/$1" "$encoding"
}
has() { said "$1" | jq -es "any(.[]; $2)" >/dev/null; } # NAME FILTER
comes() { # NAME FILTER: a message for which it is true, in 20 s
    wait_until 20 has "$1" "$2" || { said "$1" | cut -c1-400 | tail -n 5; return 1; }
}
last() { said "$1" | jq -c "select($2)" | tail -n 1; } # NAME FILTER
is_over() { ! kill -0 "$(cat "$work/curl-$1.pid")" 2>/dev/null || is_gone "$(cat "$work/curl-$1.pid")"; }
ends_with() { # NAME REASON CODE: code "" for success
    wait_until 20 is_over "$1"
    same "$(last "$1" .end | jq -r .end.reason)" "WATCH_END_REASON_$2"
    same "$(said "$1" | tail -n 1 | jq -r '.endOfStream | .error.code // ""')" "$3"
}
step() { kill -USR1 "$mapper_pid"; } # time passes: 1 s of the host's

frames() { # DOMAIN FILE: as they are now
    curl -sS --max-time 20 --cacert "$XENRES_CACERT" --cert "$XENRES_CERT" --key "$XENRES_KEY" -o "$2" \
        "$XENRES_SERVER/v1/domains/$1/resources/grant_table/0/frames"
}
image_is_the_guests() { # NAME DOMAIN
    frames "$2" "$work/$1.now"
    python3 "$top/tests/lib/stream_messages.py" image "$work/$1" >"$work/$1.image" && cmp "$work/$1.image" "$work/$1.now"
}
is_the_guests() { # NAME DOMAIN: soon, and all numbers were there
    wait_until 20 image_is_the_guests "$@" >"$work/said" 2>&1 || { cat "$work/said"; return 1; }
}
scrape() { curl -s --max-time 5 --unix-socket "$dir/health.sock" http://h/metrics; }
value() { scrape | awk -v series="$1" '$1 == series { print $2 }'; }
is() { [ "$(value "$1")" = "$2" ]; }
is_above() { awk -v value="$(value "$1")" -v least="$2" 'BEGIN { exit !(value != "" && value > least) }'; }

changes_come_in_their_order() {
    watch raw ResourceService/Watch "{\"domain\":\"busy\",$grants,\"period\":\"0.02s\"}"
    comes raw .checkpoint
    same "$(said raw | jq -r 'keys[0]' | head -n 3 | tr '\n' ' ')" "begin image checkpoint "
    same "$(last raw .begin | jq -c '[.begin.domain.name, .begin.period, .begin.silenceMax]')" '["busy","0.020s","3s"]'
    step
    comes raw .changes
    step
    comes raw '.changes.sequence == "2"'
    is_the_guests raw busy
    leave raw
}

the_command_prints_them() {
    local status=0
    start printed "$BUILD/xenres" call ResourceService/Watch "{\"domain\":\"busy\",$grants}"
    wait_until 20 grep -q '"checkpoint"' "$work/printed.log"
    stop printed KILL || status=$?
    same "$status" 137 "status of a command that goes on until then"
    same "$(jq -r 'keys[0]' "$work/printed.log" 2>/dev/null | head -n 3 | tr '\n' ' ')" "begin image checkpoint "
}

a_silent_stream_beats() {
    watch silent ResourceService/Watch "{\"domain\":\"still\",$grants}"
    comes silent .heartbeat
    # And outlives what a connection without a request may last.
    wait_until 20 has silent '.heartbeat.samples and (.heartbeat.samples | tonumber) > 30'
    leave silent
}

told_grants() { # NAME: what the messages come to
    said "$1" | jq -sc '[.[].decoded.grants[]?] |
        reduce .[] as $g ({}; .[$g.entry.reference // 0 | tostring] = $g.entry) |
        [.[] | select(.kind != "GRANT_KIND_UNUSED") | [.reference // 0, .frame // "0", .domid // 0, .reading]] | sort'
}
asked_grants() { # DOMAIN
    "$BUILD/xenres" call InspectService/GetGrantTable "{\"domain\":\"$1\"}" |
        jq -c '[.entries[] | [.reference // 0, .frame // "0", .domid // 0, .reading]] | sort'
}
grants_are_the_guests() { [ "$(told_grants "$1")" = "$(asked_grants "$1" | sed 's/false/null/g')" ]; }

grants_are_decoded() {
    local domain
    for domain in busy modern; do
        watch "$domain" ResourceService/Watch "{\"domain\":\"$domain\",$grants,\"decode\":true,\"period\":\"0.02s\"}"
        comes "$domain" .checkpoint
        step
        comes "$domain" '.decoded.sequence == "1"'
        step
        comes "$domain" '.decoded.sequence == "2" and (.decoded.grants | length) > 0'
        same "$(last "$domain" .decoded | jq .decoded.grantVersion)" "$([ "$domain" = busy ] && echo 1 || echo 2)"
        wait_until 20 grants_are_the_guests "$domain" || {
            same "$(told_grants "$domain")" "$(asked_grants "$domain")" "grants of $domain"
        }
        leave "$domain"
    done
}

requests_and_run_times_are_decoded() {
    watch ioreq ResourceService/Watch '{"domain":"emulated","type":"RESOURCE_TYPE_IOREQ_SERVER","decode":true,"period":"0.02s"}'
    watch stats ResourceService/Watch '{"domain":"emulated","type":"RESOURCE_TYPE_VCPU_STATS","decode":true,"period":"0.02s"}'
    comes ioreq '.decoded.whole and (.decoded.ioreqs | length) == 2'
    comes stats '.decoded.whole and (.decoded.vcpus | length) == 2'
    step
    comes ioreq '.decoded.whole != true and ([.decoded.ioreqs[]?.beforeState] | length) > 0 or .decoded.buffered.writePointer'
    comes stats '.decoded.sequence and (.decoded.vcpus | length) > 0'
    leave ioreq
    leave stats
}

whole_images_and_only_the_newest() {
    watch full ResourceService/Watch "{\"domain\":\"busy\",$grants,\"mode\":\"WATCH_MODE_FULL\",\"period\":\"0.02s\"}"
    watch latest ResourceService/Watch "{\"domain\":\"busy\",$grants,\"mode\":\"WATCH_MODE_LATEST\",\"period\":\"0.02s\"}"
    comes full .checkpoint
    comes latest .checkpoint
    step
    comes full '.image.firstSequence != "0" and .image.complete'
    comes latest .changes
    is_the_guests full busy
    is_the_guests latest busy
    same "$(said full | jq -c 'select(.changes)' | wc -l)" 0
    leave full
    leave latest
}

both_encodings_say_the_same() {
    local encoding
    for encoding in identity gzip zstd; do
        watch "$encoding" ResourceService/Watch "{\"domain\":\"busy\",$grants,\"period\":\"0.02s\"}" \
            -H "Connect-Accept-Encoding: $encoding"
        comes "$encoding" .checkpoint
    done
    step
    for encoding in identity gzip zstd; do
        comes "$encoding" .changes
        said "$encoding" | jq -c '.changes | select(. != null)' >"$work/$encoding.changes"
    done
    cmp "$work/identity.changes" "$work/gzip.changes"
    cmp "$work/identity.changes" "$work/zstd.changes"
    contains "$(cat "$work/gzip.head")" 'Connect-Content-Encoding: gzip'
    contains "$(cat "$work/zstd.head")" 'Connect-Content-Encoding: zstd'
    [ "$(stat -c %s "$work/gzip")" -lt "$(stat -c %s "$work/identity")" ]
    [ "$(stat -c %s "$work/zstd")" -lt "$(stat -c %s "$work/identity")" ]
    for encoding in identity gzip zstd; do leave "$encoding"; done
}

a_cursor_goes_on() {
    local checkpoint cursor sequence
    watch before ResourceService/Watch "{\"domain\":\"busy\",$grants,\"period\":\"0.02s\"}"
    comes before .checkpoint
    step
    comes before .changes
    comes before '.checkpoint.sequence != null and .checkpoint.sequence != "0"'
    checkpoint=$(last before .checkpoint)
    cursor=$(jq -r .checkpoint.cursor <<<"$checkpoint")
    sequence=$(jq -r .checkpoint.sequence <<<"$checkpoint")
    leave before
    step
    watch after ResourceService/Watch "{\"domain\":\"busy\",$grants,\"period\":\"0.02s\",\"cursor\":\"$cursor\"}"
    comes after '.begin.resumed == true'
    same "$(last after .begin | jq -r .begin.sequence)" "$sequence"
    comes after .changes
    same "$(said after | jq -r '.changes.firstSequence // empty' | head -n 1)" $((sequence + 1))
    same "$(said after | jq -c 'select(.image)' | wc -l)" 0
    leave after
    watch decoded ResourceService/Watch "{\"domain\":\"still\",$grants,\"cursor\":\"$cursor\"}"
    wait_until 20 is_over decoded
    same "$(said decoded | jq -r .endOfStream.error.code)" aborted
}

a_deadline_is_told() {
    watch late ResourceService/Watch "{\"domain\":\"busy\",$grants}" -H 'Connect-Timeout-Ms: 5000'
    ends_with late DEADLINE deadline_exceeded
    [ -n "$(last late .end | jq -r .end.cursor)" ]
}

# Steps 1 to 5 of the host's.
domains_come_and_go() {
    watch domains HostService/WatchDomains '{}'
    watch some HostService/WatchDomains '{"filter":{"nameGlob":"w*"}}'
    watch doomed ResourceService/Watch "{\"domain\":\"doomed\",$grants}"
    watch named ResourceService/Watch "{\"domain\":\"old-name\",$grants}"
    comes domains '.list.complete'
    comes domains .checkpoint
    comes some '.list.complete and (.list.domains | length) == 0'
    comes doomed .checkpoint
    comes named .checkpoint
    step
    comes domains '.change.kind == "DOMAIN_CHANGE_KIND_CREATED" and .change.domain.identity.name == "late"'
    step
    comes domains '.change.kind == "DOMAIN_CHANGE_KIND_RENAMED" and .change.previousName == "old-name"'
    comes some '.change.kind == "DOMAIN_CHANGE_KIND_CREATED" and .change.domain.identity.name == "w-name"'
    ends_with named RENAMED ""
    step
    comes domains '.change.kind == "DOMAIN_CHANGE_KIND_STATE" and .change.domain.state == "DOMAIN_STATE_SHUTDOWN"'
    step
    comes domains '.change.kind == "DOMAIN_CHANGE_KIND_GONE" and .change.domain.identity.name == "doomed"'
    ends_with doomed INCARNATION_ENDED ""
    step
    comes some '.change.kind == "DOMAIN_CHANGE_KIND_GONE" and .change.domain.identity.name == "w-name"'
    same "$(said some | jq -c 'select(.change)' | wc -l)" 2
    no_number_is_missing domains
    no_number_is_missing some
    leave domains
    leave some
}
# Of a stream of domains: each change goes on where the list, a checkpoint or the change before ended.
no_number_is_missing() { # NAME
    said "$1" | jq -se 'reduce .[] as $m (0;
        if $m.change then $m.change as $c |
            (if ($c.firstSequence // "0") == "0" then $c.sequence else $c.firstSequence end | tonumber) as $first |
            if $first == . + 1 then $c.sequence | tonumber else error("\($first) behind \(.)") end
        else ($m.list // $m.checkpoint // {sequence: "\(.)"}).sequence // "0" | tonumber end) >= 0' >/dev/null
}

who_goes_is_noticed() {
    wait_until 20 is xenresd_streams_open 0
    watch gone ResourceService/Watch "{\"domain\":\"still\",$grants}"
    comes gone .checkpoint
    is xenresd_streams_open 1
    leave gone
    wait_until 20 is xenresd_streams_open 0
    is xenresd_subscribers 0
}

what_streams_do_is_counted() {
    is_above xenresd_delivered_batches_total 5
    is_above xenresd_delivered_events_total 5
    is_above xenresd_delivered_images_total 5
    is_above xenresd_stream_heartbeats_total 1
    is_above xenresd_stream_lag_seconds_count 5
    is_above 'xenresd_stream_ends_total{reason="client_gone"}' 3
    is 'xenresd_stream_ends_total{reason="deadline"}' 1
    is 'xenresd_stream_ends_total{reason="incarnation_ended"}' 1
    is xenresd_mapper_zombies_held 0
    wait_until 15 is_above xenresd_mapper_samples_total 20
    wait_until 15 is_above xenresd_mapper_produced_batches_total 5
}

count() { grep -c "$1" "$work/gateway.log" || true; }
came() { [ "$(count "$1")" -gt "$2" ]; }
reload() {
    local before
    before=$(count reloaded)
    kill -HUP "${pid[gateway]}"
    wait_until 10 came reloaded "$before"
}

another_policy_withdraws() {
    watch stays ResourceService/Watch "{\"domain\":\"busy\",$grants,\"period\":\"0.02s\"}"
    watch goes ResourceService/Watch "{\"domain\":\"still\",$grants,\"decode\":true}"
    watch listed HostService/WatchDomains '{}'
    cert=$dir/visitor.crt key=$dir/visitor.key watch visitor HostService/WatchDomains '{}'
    for name in stays goes listed visitor; do comes "$name" .checkpoint; done
    sed -e 's/"watch", "decode", /"watch", /' -e 's/"list", "decode"/"decode"/' "$dir/policy.good" >"$dir/policy.conf"
    reload
    ends_with goes PERMISSION_WITHDRAWN permission_denied
    ends_with visitor PERMISSION_WITHDRAWN permission_denied
    comes listed '.list.complete'
    step
    comes stays .changes
    is_the_guests stays busy
    leave stays
    leave listed
    cp "$dir/policy.good" "$dir/policy.conf"
    reload
}

# None is cut; and with its mapper gone, a cursor leads nowhere.
stopping_ends_each_with_a_cursor() {
    local cursor
    watch one ResourceService/Watch "{\"domain\":\"busy\",$grants}"
    watch two HostService/WatchDomains '{}'
    comes one .checkpoint
    comes two .checkpoint
    stop gateway
    ends_with one SHUTTING_DOWN unavailable
    ends_with two SHUTTING_DOWN unavailable
    cursor=$(last one .end | jq -r .end.cursor)
    [ -n "$cursor" ]
    contains "$(said one | tail -n 1)" google.rpc.RetryInfo
    start_gateway
    watch again ResourceService/Watch "{\"domain\":\"busy\",$grants,\"cursor\":\"$cursor\"}"
    wait_until 20 is_over again
    same "$(said again | jq -r .endOfStream.error.code)" aborted # another mapper: another incarnation
}

start_gateway() {
    rm -f "$work/gateway.log" # what the one before was ready for
    start gateway "${as_user[@]}" "$dir/xenresd" --config "$dir/watch.conf"
    wait_until 20 grep -qs 'xenresd: ready$' "$work/gateway.log"
    XENRES_SERVER=https://127.0.0.1:$(sed -n 's/.*listening on port //p' "$work/gateway.log" | tail -n 1)
    mapper_pid=$(pgrep -P "${pid[gateway]}" -f xenresd-mapper-sim)
}

dir=$(mktemp -d /tmp/xr.XXXXXX) # an ordinary user has to reach it
cleanup rm -rf "$dir"
cp "$BUILD/xenresd" "$BUILD/xenresd-mapper-sim" "$dir/"
cat >"$dir/host" <<'END'
clock = "virtual"
step_ms = 1000
domain "busy" { domid = 1 uuid = "0b3c9f52-6f1e-4d5a-9a0c-3c1d5e7f9a01"
    grants { frames = 4 entries = 900 changes_per_second = 50 } }
domain "modern" { domid = 2 uuid = "0b3c9f52-6f1e-4d5a-9a0c-3c1d5e7f9a02"
    grants { version = 2 frames = 4 entries = 900 changes_per_second = 50 } }
domain "still" { domid = 3 uuid = "0b3c9f52-6f1e-4d5a-9a0c-3c1d5e7f9a03" grants { frames = 2 entries = 100 } }
domain "emulated" { domid = 4 uuid = "0b3c9f52-6f1e-4d5a-9a0c-3c1d5e7f9a04" type = "hvm" vcpus = 2
    grants { frames = 1 } ioreq "0" { requests_per_second = 7 } }
domain "doomed" { domid = 5 uuid = "0b3c9f52-6f1e-4d5a-9a0c-3c1d5e7f9a05" grants { frames = 1 } }
domain "old-name" { domid = 6 uuid = "0b3c9f52-6f1e-4d5a-9a0c-3c1d5e7f9a06" grants { frames = 1 } }
domain "late" { domid = 7 uuid = "0b3c9f52-6f1e-4d5a-9a0c-3c1d5e7f9a07" present = false grants { frames = 1 } }
event { step = 1 do = "create" domain = "late" }
event { step = 2 do = "rename" domain = "old-name" text = "w-name" }
event { step = 3 do = "shutdown" domain = "late" }
event { step = 4 do = "destroy" domain = "doomed" }
event { step = 5 do = "rename" domain = "old-name" text = "other-name" }
END
as_user=()
if [ "$(id -u)" -eq 0 ]; then
    chown -R nobody "$dir"
    as_user=(setpriv --reuid nobody --regid nogroup --clear-groups)
fi
start demo "${as_user[@]}" "$dir/xenresd" --demo "$dir" --scenario "$dir/host"
wait_file demo "$dir/env" 30
# shellcheck source=/dev/null
. "$dir/env"
stop demo
cp "$dir/policy.conf" "$dir/policy.good"
sed -e 's/^server {/&\n    heartbeat_s = 1/' -e '$a limits {\n    idle_timeout_s = 2\n    handshake_timeout_s = 2\n}' \
    "$dir/xenresd.conf" >"$dir/watch.conf"
start_gateway
check "domains come and go, and what is watched of them ends" domains_come_and_go
check "changes come in their order, and are the guest's" changes_come_in_their_order
check "the command prints them" the_command_prints_them
check "a silent stream beats" a_silent_stream_beats
check "grants are decoded, of both versions" grants_are_decoded
check "requests and run times are decoded" requests_and_run_times_are_decoded
check "whole images, and only the newest" whole_images_and_only_the_newest
check "both encodings say the same" both_encodings_say_the_same
check "a cursor goes on where a stream was" a_cursor_goes_on
check "a deadline is told with a cursor" a_deadline_is_told
check "who goes is noticed" who_goes_is_noticed
check "another policy withdraws what it does not allow" another_policy_withdraws
check "what streams do is counted" what_streams_do_is_counted
check "stopping ends each with a cursor" stopping_ends_each_with_a_cursor
