#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# /metrics of the real daemon: its two forms as their own tools read them, what comes of requests,
# connections and reloads, a mapper that dies, and one that stands still. It runs as a user who may
# still read its files at a reload.
# shellcheck source=tests/lib/functions.sh
. "$(dirname "$0")/../lib/functions.sh"
# shellcheck source=tests/lib/debian.sh
. "$(dirname "$0")/../lib/debian.sh"
requires curl openssl pgrep python3 setpriv

frames='method="/v1/domains/{domain}/resources/{type}/{id}/frames"'
open_metrics='application/openmetrics-text; version=1.0.0'

scrape() { curl -s --max-time 5 --unix-socket "$dir/health.sock" "$@" http://h/metrics; }
value() { scrape | awk -v series="$1" '$1 == series { print $2 }'; } # of a series; nothing: not told
is() { [ "$(value "$1")" = "$2" ]; }
becomes() { # SERIES VALUE
    wait_until 10 is "$1" "$2" || { echo "$1 is $(value "$1")"; return 1; }
}
is_above() { awk -v value="$(value "$1")" -v least="$2" 'BEGIN { exit !(value != "" && value > least) }'; }
is_told() { [ -n "$(value "$1")" ]; }
mapper_pid() { pgrep -P "${pid[demo]}" -f xenresd-mapper-sim; }

# A request as WHO, whose HTTP status is STATUS.
get() { # WHO STATUS PATH [OPTION...]
    local who=$1 status=$2 path=$3
    shift 3
    same "$(curl -s --max-time 20 -o "$work/body" -w '%{http_code}' --cacert "$XENRES_CACERT" --cert "$dir/$who.crt" \
        --key "$dir/$who.key" "$@" "$XENRES_SERVER$path")" "$status" "status of $path"
}

prometheus_takes_it() {
    scrape -D "$work/head" >"$work/text"
    contains "$(cat "$work/head")" 'Content-Type: text/plain; version=0.0.4; charset=utf-8'
    "$promtool" check metrics <"$work/text"
}

# By the parser of Prometheus' own client for Python, which is a strict one. -S: with nothing of what
# happens to be installed here.
openmetrics_is_well_formed() {
    scrape -D "$work/head" -H "Accept: $open_metrics,text/plain;q=0.5" >"$work/open"
    contains "$(cat "$work/head")" "Content-Type: $open_metrics; charset=utf-8"
    same "$(tail -n 1 "$work/open")" '# EOF'
    PYTHONPATH=$parser python3 -S -c '
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse
assert len([family for family in parse(sys.stdin.read()) if family.samples]) > 30' <"$work/open"
}

# Both say the same, but for their forms.
both_forms_have_the_same_samples() {
    scrape | grep -v '^#' | awk '{ print $1 }' >"$work/text.series"
    scrape -H "Accept: $open_metrics" | grep -v '^#' | awk '{ print $1 }' >"$work/open.series"
    same "$(cat "$work/open.series")" "$(cat "$work/text.series")"
    same "$(sort "$work/text.series" | uniq -d)" "" "series that come twice"
}

# name|kind|labels of the output, and of the page's `.It Va NAME , KIND , Ar LABEL …`.
metrics_in_output() {
    awk '$1 == "#" && $2 == "TYPE" { name = $3; kind = $4; first = 1; next }
        $1 == "#" || !first { next }
        { first = 0; labels = ""
          while (match($0, /[{,][a-z_]+="/)) {
              label = substr($0, RSTART + 1, RLENGTH - 3)
              if (label != "le") labels = labels " " label
              $0 = substr($0, RSTART + RLENGTH)
          }
          print name "|" kind "|" labels }' "$work/text" | sort
}

the_manual_page_has_every_metric() {
    scrape >"$work/text"
    same "$(sed -n 's/^\.It Va \([a-z_]*\) , \([a-z]*\)\( ,\)\{0,1\}\(.*\)$/\1|\2|\4/p' "$top/docs/man/xenresd-metrics.7" |
        sed 's/ Ar//g' | sort)" "$(metrics_in_output)" "the page's metrics, and those told"
}

requests_are_counted_by_what_came_of_them() {
    get operator 200 '/v1/domains/web-1/resources/grant_table/0/frames?count=1'
    get operator 404 /v1/domains/no-such/resources/grant_table/0/frames
    get operator 400 '/v1/domains/web-1/resources/grant_table/0/frames?bogus=1'
    get operator 405 /v1/domains/web-1/resources/grant_table/0/frames -X DELETE
    get visitor 403 /v1/domains/web-1/resources/ioreq_server/0/frames
    becomes "xenresd_requests_total{$frames,code=\"ok\"}" 1
    becomes "xenresd_requests_total{$frames,code=\"not_found\"}" 1
    becomes "xenresd_requests_total{$frames,code=\"invalid_argument\"}" 1
    becomes "xenresd_requests_total{$frames,code=\"unknown\"}" 1
    becomes "xenresd_requests_total{$frames,code=\"permission_denied\"}" 1
    becomes "xenresd_request_duration_seconds_count{$frames}" 5
    becomes "xenresd_request_duration_seconds_bucket{$frames,le=\"+Inf\"}" 5
    is_above "xenresd_response_body_bytes_total{$frames}" 4096
}

what_is_no_method_has_no_name_of_its_own() {
    local before
    before=$(scrape | grep -vc '^#')
    get operator 404 /v1/guessed-name
    get operator 404 /xenres.v1.HostService/GuessedName -X POST
    becomes 'xenresd_requests_total{method="unknown",code="not_found"}' 1
    becomes 'xenresd_requests_total{method="unknown",code="unimplemented"}' 1
    same "$(scrape | grep -vc '^#')" $((before + 2)) "samples, with two new codes"
    same "$(scrape | grep -ic -e guessed -e web-1 -e no-such -e operator || true)" 0 "lines with names in them"
}

# A P-256 certificate NAME of $dir/ca or $work/other, of DAYS.
issue() { # CA NAME DAYS
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$2" \
        -keyout "$work/$2.key" -out "$work/$2.csr" 2>/dev/null
    openssl x509 -req -in "$work/$2.csr" -CA "$1.crt" -CAkey "$1.key" -CAcreateserial -CAserial "$work/serial" \
        -days "$3" -out "$work/$2.crt" -extfile <(printf 'extendedKeyUsage=clientAuth\nsubjectAltName=URI:spiffe://t/%s\n' "$2") 2>/dev/null
}

refused() { # OPTION...
    ! curl -s --max-time 10 -o "$work/body" --cacert "$XENRES_CACERT" "$@" "$XENRES_SERVER/v1/"
}

tls_failures_are_counted_by_reason() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=other -days 2 \
        -keyout "$work/other.key" -out "$work/other.crt" 2>/dev/null
    issue "$work/other" stranger 2
    issue "$dir/ca" late -1
    local connections reason
    connections=$(value xenresd_connections_accepted_total)
    for reason in no_certificate unknown_ca expired tls_version bad_certificate revoked handshake handshake_timeout; do
        is "xenresd_tls_failures_total{reason=\"$reason\"}" 0
    done
    refused
    refused --cert "$work/stranger.crt" --key "$work/stranger.key"
    refused --cert "$work/late.crt" --key "$work/late.key"
    refused --cert "$dir/operator.crt" --key "$dir/operator.key" --tls-max 1.2
    for reason in no_certificate unknown_ca expired tls_version; do
        becomes "xenresd_tls_failures_total{reason=\"$reason\"}" 1
    done
    is 'xenresd_tls_failures_total{reason="handshake"}' 0
    becomes xenresd_connections_accepted_total $((connections + 4))
    becomes xenresd_connections_open 0
}

reloads_are_counted_with_their_result() {
    local read_at
    read_at=$(value xenresd_last_reload_success_timestamp_seconds)
    cp "$dir/policy.conf" "$dir/policy.good"
    echo 'rule "x" { effect = perhaps }' >>"$dir/policy.conf"
    kill -HUP "${pid[demo]}"
    becomes 'xenresd_reloads_total{result="failure"}' 1
    is xenresd_last_reload_successful 0
    is xenresd_last_reload_success_timestamp_seconds "$read_at"
    cp "$dir/policy.good" "$dir/policy.conf"
    kill -HUP "${pid[demo]}"
    becomes 'xenresd_reloads_total{result="success"}' 1
    is xenresd_last_reload_successful 1
    is_above xenresd_last_reload_success_timestamp_seconds "$read_at"
}

what_the_mapper_did_is_told() {
    wait_until 15 is_above xenresd_mapper_maps_total 0
    is_above xenresd_mapper_hypercalls_total 0
    is_above xenresd_mapper_domains 1
    is xenresd_mapper_zombies_held 0
    is xenresd_mapper_false_releases_total 0
    is xenresd_mapper_arena_bytes $((256 << 20))
    is 'xenresd_mapper_info{version="'"$("$BUILD/xenresd" --version | awk '{ print $2 }')"'",backend="sim"}' 1
}

# It waits for a mapper that stands still.
request_in_background() {
    curl -s --max-time 30 -o "$work/flight" --cacert "$XENRES_CACERT" --cert "$XENRES_CERT" --key "$XENRES_KEY" \
        "$XENRES_SERVER/v1/domains/web-1/resources/grant_table/0/frames?count=1" &
    flight=$!
    becomes xenresd_requests_in_flight 1
}

a_stopped_mapper_delays_no_scrape() {
    local mapper
    mapper=$(mapper_pid)
    kill -STOP "$mapper"
    request_in_background
    wait_until 20 is_above xenresd_mapper_counters_age_seconds 6
    same "$(curl -s --max-time "${TEST_TIME_FACTOR:-1}" -o "$work/text" -w '%{http_code}' --unix-socket "$dir/health.sock" http://h/metrics)" 200
    is xenresd_mapper_connected 1
    is_told xenresd_mapper_hypercalls_total
    kill -CONT "$mapper"
    wait "$flight"
    becomes xenresd_requests_in_flight 0
    is_young() { ! is_above xenresd_mapper_counters_age_seconds 5; }
    wait_until 10 is_young
}

a_killed_mapper_is_another_one() {
    local hypercalls
    hypercalls=$(value xenresd_mapper_hypercalls_total)
    is xenresd_mapper_restarts_total 0
    kill -KILL "$(mapper_pid)"
    becomes xenresd_mapper_restarts_total 1
    becomes xenresd_mapper_connections_total 2
    becomes xenresd_mapper_connected 1
    wait_until 15 is_told xenresd_mapper_hypercalls_total
    ! is_above xenresd_mapper_hypercalls_total $((hypercalls - 1))
}

other_methods_and_paths_are_refused() {
    same "$(scrape -X POST -o "$work/body" -w '%{http_code}')" 405
    same "$(scrape -I -w '%{http_code}' | tail -n 1)" 200
    contains "$(curl -s --max-time 5 --unix-socket "$dir/health.sock" http://h/metric)" "/metrics"
}

health() { curl -s --max-time 5 -o "$work/health" -w '%{http_code}' --unix-socket "$dir/health.sock" "http://h$1"; }
is_health() { [ "$(health "$1")" = "$2" ]; }

# While what runs is let end: health answers, and asks nothing of what goes.
who_is_told_to_end_says_that_it_stops() {
    local mapper
    mapper=$(mapper_pid)
    kill -STOP "$mapper"
    request_in_background
    kill -TERM "${pid[demo]}"
    wait_until 5 is_health /readyz 503
    same "$(cat "$work/health")" stopping
    same "$(health /metrics)" 503
    same "$(cat "$work/health")" stopping
    same "$(health /healthz)" 200
    kill -CONT "$mapper"
    wait "$flight"
}

debian_package prometheus usr/bin/promtool
promtool=$package/usr/bin/promtool
debian_package python3-prometheus-client usr/lib/python3/dist-packages/prometheus_client
parser=$package/usr/lib/python3/dist-packages
debian_package python3-decorator usr/lib/python3/dist-packages/decorator.py # which it needs
parser=$parser:$package/usr/lib/python3/dist-packages

dir=$(mktemp -d /tmp/xr.XXXXXX) # an ordinary user has to reach it
cleanup rm -rf "$dir"
cp "$BUILD/xenresd" "$BUILD/xenresd-mapper-sim" "$dir/"
as_user=()
if [ "$(id -u)" -eq 0 ]; then
    chown -R nobody "$dir"
    as_user=(setpriv --reuid nobody --regid nogroup --clear-groups)
fi
start demo "${as_user[@]}" "$dir/xenresd" --demo "$dir"
wait_file demo "$dir/env" 30
# shellcheck source=/dev/null
. "$dir/env"
wait_until 15 is_told xenresd_mapper_hypercalls_total
check "promtool takes the text format" prometheus_takes_it
check "a strict parser takes OpenMetrics" openmetrics_is_well_formed
check "both forms have the same samples" both_forms_have_the_same_samples
check "the manual page has every metric, with its kind and labels" the_manual_page_has_every_metric
check "requests are counted by what came of them" requests_are_counted_by_what_came_of_them
check "what is no method has no name of its own" what_is_no_method_has_no_name_of_its_own
check "TLS failures are counted by reason" tls_failures_are_counted_by_reason
check "reloads are counted with their result" reloads_are_counted_with_their_result
check "what the mapper did is told" what_the_mapper_did_is_told
check "a stopped mapper delays no scrape" a_stopped_mapper_delays_no_scrape
check "a killed mapper is another one" a_killed_mapper_is_another_one
check "other methods and paths are refused" other_methods_and_paths_are_refused
check "promtool takes what all of that left" prometheus_takes_it
check "who is told to end says that it stops" who_is_told_to_end_says_that_it_stops
