#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# time-limit: 240
# TraceService of the real programs, in two units, by curl: traces of simulated guests are started, read to
# the last byte, gone on with after every kind of cut, renewed, stopped and taken over, by two callers
# who are not the same. Heartbeats come each second here. The gateway runs as a user who may still read its
# files at a reload.
# shellcheck source=tests/lib/functions.sh
. "$(dirname "$0")/../lib/functions.sh"
requires curl jq python3 setpriv zstd

server() { cat "$work/server"; } # where the gateway is now

# --- calls ---------------------------------------------------------------------------------------

ask() { # WHO METHOD JSON: the answer, or error
    curl -sS --max-time 20 --cacert "$XENRES_CACERT" --cert "$dir/$1.crt" --key "$dir/$1.key" --json "$3" \
        "$(server)/xenres.v1.TraceService/$2"
}
refused() { # CODE WHO METHOD JSON
    ask "${@:2}" >"$work/said"
    same "$(jq -r '.code // "success"' "$work/said")" "$1" "$3 by $2"
}
trace_of() { ask operator GetTrace "{\"domain\":\"$1\"}" | jq -r ".trace.$2 // \"\""; } # DOMAIN FIELD

# read NAME DOMAIN [MORE-JSON [CURL-OPTION...]]: a stream in the background; what comes is in $work/NAME.
read_trace() {
    local name=$1 json="{\"domain\":\"$2\"${3:-}}"
    {
        printf '\0'
        # shellcheck disable=SC2059  # the length, as four bytes
        printf "$(printf '\\x%02x\\x%02x\\x%02x\\x%02x' 0 0 $((${#json} >> 8)) $((${#json} & 255)))"
        printf '%s' "$json"
    } >"$work/$name.request"
    : >"$work/$name"
    start "curl-$name" curl -sSN --max-time 100 --cacert "$XENRES_CACERT" --cert "$dir/${who:-operator}.crt" \
        --key "$dir/${who:-operator}.key" -o "$work/$name" -D "$work/$name.head" \
        -H 'Content-Type: application/connect+json' --data-binary "@$work/$name.request" "${@:4}" \
        "$(server)/xenres.v1.TraceService/ReadTrace"
}
leave() { stop "curl-$1" KILL || true; } # NAME: its reader goes
said() { # NAME: the messages of a stream so far, a line each
    local encoding
    encoding=$(sed -n 's/^Connect-Content-Encoding: \(.*\)\r$/\1/Ip' "$work/$1.head" 2>/dev/null)
    python3 "$top/tests/lib/stream_messages.py" print "$work/$1" "$encoding"
}
last() { said "$1" | jq -c "select($2)" | tail -n 1; }     # NAME FILTER
has() { said "$1" | jq -es "any(.[]; $2)" >/dev/null; }    # NAME FILTER
comes() { # NAME FILTER: a message for which it is true, in 20 s
    wait_until 20 has "$1" "$2" || { said "$1" | cut -c1-300 | tail -n 5; return 1; }
}
is_over() { is_gone "$(cat "$work/curl-$1.pid")"; }
ends_with() { # NAME REASON CODE: code "" for success
    wait_until 20 is_over "$1"
    same "$(last "$1" .end | jq -r .end.reason)" "TRACE_END_REASON_$2"
    same "$(said "$1" | tail -n 1 | jq -r '.endOfStream | .error.code // ""')" "$3"
}
cursor() { last "$1" '.checkpoint // .end | .cursor' | jq -r '(.checkpoint // .end).cursor'; } # NAME: the last one
reaches() { # NAME BYTES: a checkpoint at or behind that position
    comes "$1" ".checkpoint and (.checkpoint.position // \"0\" | tonumber) >= $2"
}
bytes_are_the_guests() { # FILE NAME...: what the streams come to is how the file begins; prints how much
    local file=$1
    shift
    (cd "$work" && python3 "$top/tests/lib/stream_messages.py" trace "$@") >"$work/bytes"
    cmp -n "$(stat -c %s "$work/bytes")" "$work/bytes" "$file"
    stat -c %s "$work/bytes"
}

# --- its life ------------------------------------------------------------------------------------

a_trace_is_started_and_looked_at() {
    ask operator StartTrace '{"domain":"pt1"}' >"$work/said"
    same "$(jq -c '[.joined, .trace.owner, .trace.vcpus, .trace.os, .trace.tsc, .trace.lease, .trace.lapsDetectable]' "$work/said")" \
        '[null,"spiffe:spiffe://xenres.demo/operator",[0,1],true,true,"60s",true]'
    same "$(jq -r .trace.metadata.bufferBytes "$work/said")" 1048576
    same "$(ask operator StartTrace '{"domain":"pt1"}' | jq -r .joined)" true
    same "$(ask operator ListTraces '{}' | jq -c '[.traces[] | .domain.name]')" '["pt1"]'
    same "$(ask operator GetTrace '{"domain":"pt1"}' | jq -c '[.vcpus[].vcpu]')" '[null,1]'
    same "$(ask operator RenewTrace '{"domain":"pt1","lease":"90s"}' | jq -r .trace.lease)" 90s
}

a_trace_is_its_owners() {
    refused failed_precondition other StartTrace '{"domain":"pt1"}'
    refused permission_denied other StopTrace '{"domain":"pt1"}'
    refused permission_denied other RenewTrace '{"domain":"pt1"}'
    refused permission_denied visitor StartTrace '{"domain":"pt1"}'
    refused permission_denied visitor GetTrace '{"domain":"pt1"}'
    same "$(ask other GetTrace '{"domain":"pt1"}' | jq -r .trace.owner)" spiffe:spiffe://xenres.demo/operator
    same "$(trace_of pt1 endReason)" ""
}

every_byte_comes_through_every_cut() {
    read_trace one pt1
    reaches one 300000
    leave one # the network went
    read_trace two pt1 ",\"cursor\":\"$(cursor one)\""
    comes two .begin.resumed
    reaches two 900000
    stop gateway # it says where each was
    ends_with two SHUTTING_DOWN unavailable
    start_gateway
    read_trace three pt1 ",\"cursor\":\"$(last two .end | jq -r .end.cursor)\""
    comes three .begin.resumed
    reaches three 1500000
    stop gateway KILL || true # and now it cannot
    start_gateway
    read_trace four pt1 ",\"cursor\":\"$(cursor three)\"" -H 'Connect-Accept-Encoding: zstd'
    comes four .begin.resumed
    reaches four 3145728 # all of the file: the guest is silent now
    comes four .heartbeat
    ask operator StopTrace '{"domain":"pt1"}' >"$work/said"
    same "$(jq -r .trace.endReason "$work/said")" TRACE_END_REASON_STOPPED
    ends_with four STOPPED ""
    same "$(last four .end | jq -r .end.position)" 3145728
    plain four
    same "$(bytes_are_the_guests "$dir/trace.pt" one two three four.plain)" 3145728
    same "$(ask operator GetTrace '{"domain":"pt1"}' | jq -c '[.vcpus[] | .producedBytes, .lostBytes, .over]')" \
        '["3145728",null,true,"3145728",null,true]'
}
plain() { # NAME: its messages, none of them compressed
    python3 - "$work/$1" "$work/$1.plain" <<'END'
import struct, subprocess, sys
data = open(sys.argv[1], "rb").read()
with open(sys.argv[2], "wb") as out:
    while len(data) >= 5:
        flags, length = struct.unpack(">BI", data[:5])
        body, data = data[5:5 + length], data[5 + length:]
        if flags & 1:
            body = subprocess.run(["zstd", "-dc"], input=body, stdout=subprocess.PIPE, check=True).stdout
        out.write(struct.pack(">BI", flags & ~1, len(body)) + body)
END
}

what_is_over_can_be_read_for_a_while() {
    read_trace late pt1 ',"vcpu":1'
    ends_with late STOPPED ""
    [ "$(last late .end | jq -r .end.position)" = 3145728 ]
    same "$(last late .begin | jq -r .begin.trace.endReason)" TRACE_END_REASON_STOPPED
    same "$(ask operator StopTrace '{"domain":"pt1"}' | jq -r .trace.endReason)" TRACE_END_REASON_STOPPED # again
    refused failed_precondition operator RenewTrace '{"domain":"pt1"}'
}

# --- leases, and other people's traces -----------------------------------------------------------

is_ended() { [ "$(trace_of "$1" endReason)" = "TRACE_END_REASON_$2" ]; } # DOMAIN REASON

a_lease_ends_unless_somebody_reads() {
    ask operator StartTrace '{"domain":"made","lease":"8s"}' >"$work/said"
    same "$(jq -r .trace.lease "$work/said")" 8s
    who=other read_trace kept made
    comes kept .begin
    wait_until 30 lasts_longer_than made 9
    leave kept
    wait_until 30 is_ended made LEASE_ENDED
}
lasts_longer_than() { # DOMAIN SECONDS: and runs
    local begun
    begun=$(date -d "$(trace_of "$1" startTime)" +%s)
    [ "$(($(date +%s) - begun))" -gt "$2" ] && [ -z "$(trace_of "$1" endReason)" ]
}

what_others_left_on_is_taken_over_only_when_told() {
    refused failed_precondition operator StartTrace '{"domain":"left"}'
    ask operator StartTrace '{"domain":"left","takeover":true}' >"$work/said"
    same "$(jq -r .trace.owner "$work/said")" spiffe:spiffe://xenres.demo/operator
    read_trace loser left
    comes loser .data
    same "$(ask other StartTrace '{"domain":"left","takeover":true}' | jq -r .trace.owner)" spiffe:spiffe://xenres.demo/other
    ends_with loser TAKEN_OVER ""
    same "$(ask other StopTrace '{"domain":"left"}' | jq -r .trace.endReason)" TRACE_END_REASON_STOPPED
    grep -q 'other from 127.0.0.1:[0-9]* started (taking over) trace [0-9a-f]* of domain' "$work/gateway.log"
}

has_produced() { # DOMAIN BYTES
    ask operator GetTrace "{\"domain\":\"$1\"}" | jq -e ".vcpus[0].producedBytes | tonumber >= $2" >/dev/null
}
a_cursor_that_is_too_old_is_out_of_range() {
    local old
    ask operator StartTrace '{"domain":"made"}' >"$work/said"
    read_trace old made
    comes old .checkpoint
    old=$(cursor old)
    leave old
    # The spool goes round.
    wait_until 60 has_produced made $((6000000 + $(last old .checkpoint | jq -r '.checkpoint.position // 0')))
    read_trace again made ",\"cursor\":\"$old\""
    wait_until 20 is_over again
    same "$(said again | jq -r .endOfStream.error.code)" out_of_range
    contains "$(said again | jq -r .endOfStream.error.message)" 'are no longer held'
    read_trace fresh made # and without it, from the oldest byte
    comes fresh '.begin.position and (.begin.position | tonumber) > 0'
    leave fresh
}

another_policy_withdraws() {
    read_trace stays made
    who=other read_trace goes made
    comes stays .data
    comes goes .data
    sed -i 's/"trace.read", "trace.control" } # other/"list" } # other/' "$dir/policy.conf"
    kill -HUP "$(cat "$work/gateway.pid")"
    ends_with goes PERMISSION_WITHDRAWN permission_denied
    comes stays ".data and (.data.position // \"0\" | tonumber) > $(last goes .end | jq -r '.end.position // 0')"
    leave stays
    refused permission_denied other GetTrace '{"domain":"made"}'
}

a_guest_that_shuts_down_ends_its_trace() {
    ask operator StartTrace '{"domain":"doomed"}' >"$work/said"
    read_trace doomed doomed
    comes doomed .data
    kill -USR1 "$(cat "$work/mapper.pid")"
    ends_with doomed SHUTDOWN ""
    same "$(last doomed .end | jq -r .end.shutdownCode)" 3
    same "$(trace_of doomed endReason)" TRACE_END_REASON_SHUTDOWN
    same "$(trace_of doomed shutdownCode)" 3
}

# Whoever may see what is called "shop" may not read, by the name of before, what is called "vault" now.
a_new_name_hides_what_was_traced_under_the_old_one() {
    local name
    ask operator StartTrace '{"domain":"shop"}' >"$work/said"
    same "$(ask reader ListTraces '{}' | jq -c '[.traces[].domain.name]')" '["shop"]'
    who=reader read_trace shop shop
    comes shop .data
    kill -USR1 "$(cat "$work/mapper.pid")"
    ends_with shop RENAMED ""
    for name in shop 6 "${uuid}06"; do
        refused not_found reader GetTrace "{\"domain\":\"$name\"}"
        who=reader read_trace hidden "$name" ",\"traceId\":\"$(last shop .begin | jq -r .begin.trace.traceId)\""
        wait_until 20 is_over hidden
        same "$(said hidden | tail -n 1 | jq -r .endOfStream.error.code)" not_found
    done
    ask reader GetTrace '{"domain":"shop"}' | sed 's/shop/none/g; s/"value":"[^"]*"//' >"$work/hidden"
    ask reader GetTrace '{"domain":"none"}' | sed 's/"value":"[^"]*"//' >"$work/absent"
    cmp "$work/hidden" "$work/absent"
    same "$(ask reader ListTraces '{}' | jq -c .traces)" null
    same "$(ask operator GetTrace '{"domain":"shop"}' | jq -r .trace.endReason)" TRACE_END_REASON_RENAMED
}

where_nothing_can_be_traced_the_cure_is_told() {
    refused failed_precondition operator StartTrace '{"domain":"plain"}'
    contains "$(jq -r '.details[0].debug.nextStep' "$work/said")" vmtrace
    refused invalid_argument operator StartTrace '{"domain":"made","vcpus":[128]}'
}

what_traces_do_is_counted() {
    curl -s --max-time 5 --unix-socket "$dir/health.sock" http://h/metrics >"$work/metrics"
    awk '$1 == "xenresd_delivered_bytes_total" { found = $2 > 1000000 } END { exit !found }' "$work/metrics"
    awk '$1 == "xenresd_stream_ends_total{reason=\"taken_over\"}" { found = $2 > 0 } END { exit !found }' "$work/metrics"
    awk '$1 == "xenresd_trace_renewals_total" { found = $2 > 0 } END { exit !found }' "$work/metrics"
}

start_mapper() {
    start mapper "${as_user[@]}" "$dir/xenresd-mapper-sim" --socket "$dir/mapper.sock" --export "$dir/export" \
        --scenario "$dir/host" --peer-user "$user" --grace 60 --journal "$dir/journal"
    wait_until 20 test -S "$dir/mapper.sock"
}
start_gateway() {
    rm -f "$work/gateway.log" # what the one before was ready for
    start gateway "${as_user[@]}" "$dir/xenresd" --config "$dir/trace.conf"
    wait_until 20 grep -qs 'xenresd: ready$' "$work/gateway.log"
    echo "https://127.0.0.1:$(sed -n 's/.*listening on port //p' "$work/gateway.log" | tail -n 1)" >"$work/server"
}

dir=$(mktemp -d /tmp/xr.XXXXXX) # an ordinary user has to reach it
cleanup rm -rf "$dir"
cp "$BUILD/xenresd" "$BUILD/xenresd-mapper-sim" "$dir/"
# It does not end as a PSB begins: that is held back until there is more, or the trace is over.
{ head -c 3145727 /dev/urandom && printf '\0'; } >"$dir/trace.pt"
uuid=0b3c9f52-6f1e-4d5a-9a0c-3c1d5e7f9a
cat >"$dir/host" <<END
domain "pt1" { domid = 1 uuid = "${uuid}01" type = "hvm" vcpus = 2
    vmtrace { size = 1048576 source = "trace.pt" rate = 524288 } }
domain "made" { domid = 2 uuid = "${uuid}02" type = "pvh" vcpus = 1 vmtrace { size = 1048576 rate = 1572864 } }
domain "left" { domid = 3 uuid = "${uuid}03" type = "hvm" vcpus = 1 vmtrace { size = 1048576 rate = 262144 enabled = true } }
domain "doomed" { domid = 4 uuid = "${uuid}04" type = "hvm" vcpus = 1 vmtrace { size = 1048576 rate = 262144 } }
domain "plain" { domid = 5 uuid = "${uuid}05" type = "hvm" vcpus = 1 }
domain "shop" { domid = 6 uuid = "${uuid}06" type = "hvm" vcpus = 1 vmtrace { size = 1048576 rate = 262144 } }
event { step = 1 do = "crash" domain = "doomed" }
event { step = 2 do = "rename" domain = "shop" text = "vault" }
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
issue() { # NAME
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" -keyout "$dir/$1.key" \
        -out "$work/$1.csr" 2>/dev/null
    openssl x509 -req -in "$work/$1.csr" -CA "$dir/ca.crt" -CAkey "$dir/ca.key" -CAcreateserial \
        -CAserial "$work/serial" -days 2 -out "$dir/$1.crt" 2>/dev/null \
        -extfile <(printf 'extendedKeyUsage=clientAuth\nsubjectAltName=URI:spiffe://xenres.demo/%s\n' "$1")
}
issue other
issue reader
cat >>"$dir/policy.conf" <<'END'
rule "others" { effect = allow identities = { "spiffe:spiffe://xenres.demo/other" } domains = { "all" }
    types = { "vmtrace_buf" }
    actions = { "trace.read", "trace.control" } # other
}
rule "shops are read" { effect = allow identities = { "spiffe:spiffe://xenres.demo/reader" }
    domains = { "name:shop" } types = { "vmtrace_buf" } actions = { "trace.read" } }
rule "visitors see" { effect = allow identities = { "spiffe:spiffe://xenres.demo/visitor" } domains = { "all" }
    types = { "vmtrace_buf" } actions = { "list" } }
END
sed -e 's/^server {/&\n    heartbeat_s = 1/' -e "/^mapper {/,/^}/c mapper {\n    socket = \"$dir/mapper.sock\"\n}" \
    "$dir/xenresd.conf" >"$dir/trace.conf"
[ "$(id -u)" -ne 0 ] || chown -R nobody "$dir"
start_mapper
start_gateway
check "a trace is started, listed and looked at" a_trace_is_started_and_looked_at
check "a trace is its owner's" a_trace_is_its_owners
check "every byte comes, through every cut" every_byte_comes_through_every_cut
check "what is over can be read for a while" what_is_over_can_be_read_for_a_while
check "a lease ends, unless somebody reads" a_lease_ends_unless_somebody_reads
check "what others left on is taken over only when told" what_others_left_on_is_taken_over_only_when_told
check "a cursor that is too old is out of range" a_cursor_that_is_too_old_is_out_of_range
check "a guest that shuts down ends its trace" a_guest_that_shuts_down_ends_its_trace
check "a new name hides what was traced under the old one" a_new_name_hides_what_was_traced_under_the_old_one
check "where nothing can be traced, the cure is told" where_nothing_can_be_traced_the_cure_is_told
check "what traces do is counted" what_traces_do_is_counted
check "another policy withdraws what it does not allow" another_policy_withdraws
