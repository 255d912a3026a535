#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# The API by curl alone: every method in JSON, by POST and GET, compressed, with the schema that the
# gateway gives of itself. What one client does to others is in stream_peer_test.c.
# shellcheck source=tests/lib/functions.sh
. "$(dirname "$0")/../lib/functions.sh"
requires curl jq gzip zstd protoc

# ask TARGET [CURL-OPTION...]: prints the status; the body is $work/body, the head $work/head.
ask() {
    local target=$1
    shift
    curl -sS --globoff --max-time 20 --cacert "$XENRES_CACERT" --cert "$XENRES_CERT" --key "$XENRES_KEY" \
        -o "$work/body" -D "$work/head" -w '%{http_code}\n' "$@" "$XENRES_SERVER$target"
}

header() { # NAME
    sed -n "s/^$1: \(.*\)\r\$/\1/Ip" "$work/head"
}

# Each rpc of the .proto files: "xenres.v1.Service/Method unary|changing|stream". What changes something has no
# option that says otherwise.
methods() {
    awk '$1 == "service" { service = $2 }
         $1 == "rpc" { name = $2; sub(/\(.*/, "", name)
                       kind = /returns \(stream/ ? "stream" : /\{$/ ? "unary" : "changing" }
         $1 == "rpc" { print "xenres.v1." service "/" name, kind }' \
        "$top"/proto/xenres/v1/*.proto
}

is_error() { # FILE: of Connect, with a code and what to do
    jq -e '.code and .message and (.details[0].debug.nextStep | length > 0)' "$1" >"$work/said"
}

every_method_answers_empty_json() {
    local method kind status count=0
    while read -r method kind; do
        status=$(ask "/$method" --json '{}')
        count=$((count + 1))
        case ${kind/changing/unary}/$status in
        unary/200) jq -e 'type == "object"' "$work/body" >"$work/said" ;;
        unary/400) is_error "$work/body" && same "$(jq -r .code "$work/body")" invalid_argument "$method" ;;
        unary/404) is_error "$work/body" && same "$(jq -r .code "$work/body")" not_found "$method" ;;
        stream/415) contains "$(header Accept-Post)" application/connect+json "$method" ;;
        *) echo "$method: $status: $(cat "$work/body")"; return 1 ;;
        esac
        same "$(header Content-Type)" application/json "$method"
    done < <(methods)
    [ "$count" -ge 8 ] || { echo "only $count methods"; return 1; }
}

every_unary_method_answers_a_get_as_a_post() {
    local method kind status
    while read -r method kind; do
        status=$(ask "/$method?connect=v1&encoding=json&message=%7B%7D")
        if [ "$kind" = unary ]; then
            same "$status" "$(ask "/$method" --json '{}')" "$method"
        else
            same "$status" 405 "$method"
            same "$(header Allow)" "POST, OPTIONS"
        fi
    done < <(methods)
}

a_call_in_json_tells_what_the_command_tells() {
    local call=/xenres.v1.HostService/ListDomains name message
    name=$("$BUILD/xenres" -o json domains | jq -r '.domains[] | select(.identity.domid == 1).identity.name')
    message="{\"filter\":{\"nameGlob\":\"$name\"}}"
    same "$(ask $call --json "$message")" 200
    same "$(jq -c '[.domains[].identity.domid]' "$work/body")" "[1]"
    same "$(ask "$call" -G --data-urlencode "message=$message" -d encoding=json -d connect=v1)" 200
    same "$(jq -c '[.domains[].identity.domid]' "$work/body")" "[1]"
    same "$(ask $call --json '{"filter":{"states":["NONE"]}}')" 400
    same "$(field)" 'filter.states[0]'
}

field() { # the one that $work/body says is at fault
    jq -r '.details[] | select(.type == "google.rpc.BadRequest") | .debug.fieldViolations[0].field' "$work/body"
}

# Every argument of every method that can be wrong by itself. (Filters, pages and types of JSON that
# are wrong in other ways have tests of their own.)
a_wrong_argument_is_told_by_its_path() {
    local method message path count=0
    while IFS='|' read -r method message path; do
        same "$(ask "/xenres.v1.$method" --json "$message")" 400 "$method $message"
        same "$(jq -r .code "$work/body")" invalid_argument "$method $message"
        same "$(field)" "$path" "$method $message"
        count=$((count + 1))
    done <<'END'
HostService/ListDomains|{"pageSize":-1}|page_size
HostService/ListDomains|{"pageToken":"abc"}|page_token
HostService/ListDomains|{"filter":{"types":["DOMAIN_TYPE_PV",9]}}|filter.types[1]
HostService/ListDomains|{"filter":{"states":[0]}}|filter.states[0]
ResourceService/ListResources|{}|domain
ResourceService/ListResources|{"domain":"32768000"}|domain
ResourceService/ListResources|{"domain":"uuid:zz"}|domain
ResourceService/ListResources|{"domain":"web-1","incarnation":"x"}|incarnation
ResourceService/ListResources|{"domain":"web-1","type":9}|type
ResourceService/ListResources|{"domain":"web-1","id":1}|id
ResourceService/ListResources|{"domain":"web-1","pageSize":-1}|page_size
ResourceService/ListResources|{"domain":"web-1","pageToken":"abc"}|page_token
ResourceService/GetSnapshot|{"type":2}|domain
ResourceService/GetSnapshot|{"domain":"web-1"}|type
ResourceService/GetSnapshot|{"domain":"web-1","type":9}|type
ResourceService/GetSnapshot|{"domain":"web-1","type":4}|type
ResourceService/GetSnapshot|{"domain":"web-1","type":2,"id":2}|id
ResourceService/GetSnapshot|{"domain":"win-desktop","type":1,"id":8}|id
ResourceService/GetSnapshot|{"domain":"web-1","type":2,"frameCount":0}|frame_count
ResourceService/GetSnapshot|{"domain":"web-1","type":2,"incarnation":"x"}|incarnation
InspectService/GetGrantTable|{}|domain
InspectService/GetGrantTable|{"domain":"web-1","referenceCount":0}|reference_count
InspectService/GetGrantTable|{"domain":"web-1","incarnation":"x"}|incarnation
InspectService/GetIoreqServer|{}|domain
InspectService/GetIoreqServer|{"domain":"win-desktop","id":8}|id
InspectService/GetIoreqServer|{"domain":"win-desktop","incarnation":"x"}|incarnation
InspectService/GetVcpuStats|{}|domain
InspectService/GetVcpuStats|{"domain":"web-1","incarnation":"x"}|incarnation
END
    same "$count" 28
}

# The raw frames' arguments are in the path and the query.
so_is_one_of_the_raw_frames() {
    local target path
    while IFS='|' read -r target path; do
        same "$(ask "/v1/domains/$target")" 400 "$target"
        same "$(field)" "$path" "$target"
    done <<'END'
99999999/resources/grant_table/0/frames|domain
1/resources/nothing/0/frames|type
1/resources/grant_table/x/frames|id
1/resources/grant_table/2/frames|id
1/resources/grant_table/0/frames?first=x|first
1/resources/grant_table/0/frames?count=-1|count
1/resources/grant_table/0/frames?cuont=1|cuont
1/resources/grant_table/0/frames?incarnation=1|incarnation
END
}

# Trying again would not help, and nobody is told to.
a_message_too_large_is_told_to_be_smaller() {
    local call=/xenres.v1.HostService/GetHost
    # shellcheck disable=SC2046  # a number each
    printf '{"unknown":[1%s]}' "$(printf ',%d' $(seq 5000))" >"$work/request"
    same "$(ask $call -H 'Content-Type: application/json' --data-binary "@$work/request")" 429
    contains "$(jq -r '.details[0].debug.nextStep' "$work/body")" smaller
    same "$(jq '[.details[] | select(.type == "google.rpc.RetryInfo")] | length' "$work/body")" 0
    head -c 70000 /dev/zero | tr '\0' ' ' >"$work/request"
    same "$(ask $call -H 'Content-Type: application/json' --data-binary "@$work/request")" 429
    contains "$(jq -r '.details[0].debug.nextStep' "$work/body")" smaller
    same "$(ask $call --json '{"a":}')" 400
    contains "$(jq -r '.details[0].debug.nextStep' "$work/body")" /schema/xenres.v1.binpb
}

a_get_takes_no_body() {
    local target
    for target in "/xenres.v1.HostService/GetHost?encoding=json&message={}" \
        /v1/domains/1/resources/grant_table/0/frames /schema/xenres.v1.binpb; do
        same "$(ask "$target" -X GET -H 'Content-Type: application/json' -d '{}')" 400 "$target"
        same "$(jq -r .code "$work/body")" invalid_argument
        contains "$(jq -r .message "$work/body")" "no body"
    done
}

head_has_no_body() {
    same "$(ask "/xenres.v1.HostService/GetHost?encoding=json&message={}" --head)" 200
    same "$(header Content-Type)" application/json
    [ "$(header Content-Length)" -gt 100 ]
}

# Answers in what curl takes, and requests in each encoding.
both_encodings_go_both_ways() {
    local call=/xenres.v1.HostService/ListDomains plain encoding
    ask $call --json '{}' >"$work/said"
    plain=$(jq -S 'del(.domains[].cpuTimeNs)' "$work/body")
    same "$(header Content-Encoding)" ""
    for encoding in gzip zstd; do
        echo '{"pageSize":100}' | "$encoding" -c >"$work/request"
        same "$(ask $call -H 'Content-Type: application/json' -H "Content-Encoding: $encoding" \
            -H "Accept-Encoding: $encoding" --data-binary "@$work/request")" 200 "$encoding"
        same "$(header Content-Encoding)" "$encoding"
        same "$("$encoding" -dc <"$work/body" | jq -S 'del(.domains[].cpuTimeNs)')" "$plain" "$encoding"
        head -c 20 "$work/request" >"$work/cut"
        same "$(ask $call -H 'Content-Type: application/json' -H "Content-Encoding: $encoding" \
            --data-binary "@$work/cut")" 400 "cut $encoding"
        is_error "$work/body"
    done
    same "$(ask $call --compressed --json '{}')" 200
    [ -n "$(header Content-Encoding)" ] # one of those that this curl has
    same "$(jq -S 'del(.domains[].cpuTimeNs)' "$work/body")" "$plain"
    same "$(ask $call -H 'Content-Type: application/json' -H 'Content-Encoding: br' --data-binary x)" 501
    contains "$(jq -r .message "$work/body")" "gzip, zstd"
}

# 64 MiB of zeros, in some kilobytes.
a_bomb_is_refused() {
    local encoding
    for encoding in gzip zstd; do
        head -c 67108864 /dev/zero | "$encoding" -c >"$work/bomb"
        same "$(ask /xenres.v1.HostService/GetHost -H 'Content-Type: application/json' \
            -H "Content-Encoding: $encoding" --data-binary "@$work/bomb")" 429 "$encoding"
        same "$(jq -r .code "$work/body")" resource_exhausted
    done
}

# One message behind five bytes, and as many as come.
a_stream_is_asked_for_by_hand() {
    local json='{"domain":"1","type":"RESOURCE_TYPE_GRANT_TABLE"}' encoding
    printf "\\0\\0\\0\\0\\x$(printf %02x ${#json})%s" "$json" >"$work/request"
    same "$(ask /xenres.v1.ResourceService/ReadSnapshot -H 'Content-Type: application/connect+json' \
        --data-binary "@$work/request")" 200
    same "$(header Content-Type)" application/connect+json
    # The end is the last message, and all that it says is {}.
    same "$(tail -c 7 "$work/body" | od -An -tx1 | tr -d ' \n')" 02000000027b7d
    contains "$(tr -d '\0' <"$work/body")" '"head"'
    ask "/v1/domains/1/resources/grant_table/0/frames" >"$work/said"
    mv "$work/body" "$work/frames"
    for encoding in identity gzip zstd; do
        ask /xenres.v1.ResourceService/ReadSnapshot -H 'Content-Type: application/connect+json' \
            -H "Connect-Accept-Encoding: $encoding" --data-binary "@$work/request" >"$work/said"
        chunk 1 "$encoding" | jq -r .chunk.frames | base64 -d >"$work/chunk"
        same "$(stat -c %s "$work/chunk")" "$(stat -c %s "$work/frames")" "$encoding"
    done
}

chunk() { # NUMBER ENCODING: that message of $work/body, expanded
    local at=0 number=$1 flags length
    while :; do
        read -r flags length < <(od -An -tu1 -j "$at" -N 5 "$work/body" |
            awk '{ print $1, (($2 * 256 + $3) * 256 + $4) * 256 + $5 }')
        at=$((at + 5))
        [ "$number" -gt 0 ] || break
        at=$((at + length))
        number=$((number - 1))
    done
    tail -c +$((at + 1)) "$work/body" | head -c "$length" |
        if [ "$flags" = 1 ]; then "$2" -dc; else cat; fi
}

the_schema_decodes_what_the_gateway_says() {
    local service
    same "$(ask /schema/xenres.v1.binpb)" 200
    mv "$work/body" "$work/schema"
    for service in HostService ResourceService InspectService; do
        protoc --descriptor_set_in="$work/schema" --decode=google.protobuf.FileDescriptorSet \
            google/protobuf/descriptor.proto <"$work/schema" >"$work/said" 2>&1 ||
            protoc --decode=google.protobuf.FileDescriptorSet google/protobuf/descriptor.proto \
                <"$work/schema" >"$work/said"
        grep -q "name: \"$service\"" "$work/said" || { echo "no $service"; return 1; }
    done
    same "$(ask /xenres.v1.HostService/GetHost -H 'Content-Type: application/proto' --data-binary '')" 200
    contains "$(protoc --descriptor_set_in="$work/schema" --decode=xenres.v1.GetHostResponse \
        xenres/v1/host.proto <"$work/body")" 'backend: "sim"'
}

# Not even the schema.
without_a_certificate_nothing_is_answered() {
    local target
    for target in /schema/xenres.v1.binpb "/xenres.v1.HostService/GetHost?encoding=json&message={}"; do
        curl -sS --globoff --max-time 20 --cacert "$XENRES_CACERT" "$XENRES_SERVER$target" \
            >"$work/said" 2>&1 && return 1
    done
    curl -sS --max-time 20 --cacert "$XENRES_CACERT" --json '{}' \
        "$XENRES_SERVER/xenres.v1.HostService/GetHost" >"$work/said" 2>&1 && return 1
    contains "$(cat "$work/said")" "alert"
}

# While the mapper is held: every call ends when its client says, the stream within its stream; what
# is known without the mapper is answered.
a_deadline_is_the_clients() {
    local pid_mapper method json='{"domain":"1","type":"RESOURCE_TYPE_GRANT_TABLE"}'
    pid_mapper=$(pgrep -P "${pid[demo]}" -f xenresd-mapper-sim)
    kill -STOP "$pid_mapper"
    cleanup kill -CONT "$pid_mapper"
    while read -r method; do
        same "$(ask "/xenres.v1.$method" -H 'Connect-Timeout-Ms: 200' --json "$json")" 504 "$method"
        same "$(jq -r .code "$work/body")" deadline_exceeded "$method"
    done <<'END'
HostService/ListDomains
ResourceService/ListResources
ResourceService/GetSnapshot
InspectService/GetGrantTable
InspectService/GetIoreqServer
InspectService/GetVcpuStats
END
    printf "\\0\\0\\0\\0\\x$(printf %02x ${#json})%s" "$json" >"$work/request"
    same "$(ask /xenres.v1.ResourceService/ReadSnapshot -H 'Content-Type: application/connect+json' \
        -H 'Connect-Timeout-Ms: 200' --data-binary "@$work/request")" 200
    same "$(tail -c +6 "$work/body" | jq -r .error.code)" deadline_exceeded
    same "$(ask /xenres.v1.HostService/GetHost -H 'Connect-Timeout-Ms: 400' --json '{}')" 200
    contains "$(jq -c '.host.gateway.checks[0]' "$work/body")" "did not come in time"
    kill -CONT "$pid_mapper"
    wait_until 10 is_served
}
# The same host with an origin in its configuration, by a gateway of its own.
pages_of_listed_origins_may_read() {
    local call=/xenres.v1.HostService/GetHost origin=https://dash.example
    same "$(ask $call -H "Origin: $origin" --json '{}')" 200
    same "$(header Access-Control-Allow-Origin)" "" "not configured"
    mkdir "$work/cors.state" # what its mapper traces is in a journal there, which no other may have
    chmod 777 "$work/cors.state"
    sed -e "s|^server {|&\n    cors_origins = \"$origin\"|" -e 's|^    health .*|    health = ""|' \
        -e "s|^    state_dir .*|    state_dir = \"$work/cors.state\"|" \
        "$work/demo/xenresd.conf" >"$work/cors.conf"
    contains "$("$BUILD/xenresd" --check --config "$work/cors.conf" 2>&1)" \
        "server.cors_origins: note: browsers ask beforehand without a client certificate"
    start cors "$BUILD/xenresd" --config "$work/cors.conf"
    wait_until 20 grep -q 'xenresd: ready$' "$work/cors.log"
    XENRES_SERVER=https://127.0.0.1:$(sed -n 's/.*listening on port //p' "$work/cors.log")
    same "$(ask $call -X OPTIONS -H "Origin: $origin" -H 'Access-Control-Request-Method: POST')" 204
    same "$(header Access-Control-Allow-Origin)" "$origin"
    same "$(header Access-Control-Allow-Methods)" "GET, POST"
    contains "$(header Access-Control-Allow-Headers)" Connect-Timeout-Ms
    same "$(ask $call -H "Origin: $origin" --json '{}')" 200
    same "$(header Access-Control-Allow-Origin)" "$origin"
    contains "$(header Access-Control-Expose-Headers)" ETag
    same "$(header Vary)" Origin
    same "$(ask $call -H "Origin: $origin.evil" --json '{}')" 200
    same "$(header Access-Control-Allow-Origin)" "" "another origin"
    stop cors
}

is_served() { [ "$(ask /xenres.v1.InspectService/GetGrantTable --json '{"domain":"1"}')" = 200 ]; }

start_demo
check "every method answers --json '{}'" every_method_answers_empty_json
check "every unary method answers a GET as a POST" every_unary_method_answers_a_get_as_a_post
check "a call in JSON tells what the command tells" a_call_in_json_tells_what_the_command_tells
check "a wrong argument is told by its path" a_wrong_argument_is_told_by_its_path
check "so is one of the raw frames" so_is_one_of_the_raw_frames
check "a message too large is told to be smaller" a_message_too_large_is_told_to_be_smaller
check "a GET takes no body" a_get_takes_no_body
check "HEAD has no body" head_has_no_body
check "gzip and zstd go both ways" both_encodings_go_both_ways
check "a bomb is refused" a_bomb_is_refused
check "a stream is asked for by hand" a_stream_is_asked_for_by_hand
check "the schema decodes what the gateway says" the_schema_decodes_what_the_gateway_says
check "without a certificate nothing is answered" without_a_certificate_nothing_is_answered
check "a deadline is the client's, of each call" a_deadline_is_the_clients
check "pages of listed origins may read" pages_of_listed_origins_may_read
