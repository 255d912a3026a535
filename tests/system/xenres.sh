#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# The command and the library with the real daemon: what is shown, where it goes, and how failures
# look. What servers do wrong is in tests/fault/client_*.
. "$(dirname "$0")/../lib/functions.sh"
requires curl jq cmp openssl

xenres=$BUILD/xenres
frames=/v1/domains/1/resources/grant_table/0/frames
export LC_ALL=C.UTF-8
unset https_proxy HTTPS_PROXY all_proxy ALL_PROXY

client() { # CURL-ARG...
    curl --silent --show-error --max-time 20 --cacert "$XENRES_CACERT" --cert "$XENRES_CERT" --key "$XENRES_KEY" "$@"
}

# The table's cells of a verb, without its head and with one space between them.
cells() { # PATTERN COMMAND...
    local pattern=$1
    shift
    "$@" | grep -E "$pattern" | tr -s ' ' | sed 's/^ //'
}

host_tells_of_gateway_and_checks() {
    contains "$("$xenres" host)" "(backend sim)"
    same "$("$xenres" -o json host | jq -r '.host.gateway.mapperConnected')" true
}

domains_are_listed_once_each() {
    same "$("$xenres" -o json domains | jq -c '[.domains[].identity.domid]')" "[1,2,7]"
    same "$("$xenres" -o json domains | jq -r .nextPageToken)" ""
    same "$(cells '^ *7 ' "$xenres" domains | cut -d ' ' -f 1-4)" '7 gr\xe2\x80\xaeün HVM running'
}

a_domain_is_named_in_each_way() {
    local uuid spelling
    uuid=$("$xenres" -o json domains | jq -r '.domains[0].identity.uuid')
    for spelling in 1 domid:1 web name:web "$uuid" "uuid:$uuid"; do
        same "$("$xenres" -o json resources "$spelling" | jq .domain.domid)" 1 "$spelling"
    done
}

resources_tell_why_not() {
    contains "$("$xenres" resources 1)" "only HVM"
    same "$("$xenres" resources 1 | grep -c 'only HVM')" 1 "rows of ioreq servers that a PV guest cannot have"
    same "$("$xenres" -o json resources 1 | jq '[.resources[] | select(.type == "RESOURCE_TYPE_IOREQ_SERVER")] | length')" 8
    contains "$("$xenres" describe 1 grant_table 1)" "next "
    same "$("$xenres" -o json describe 1 grant_table 0 | jq -r '.resources[].availability')" AVAILABILITY_AVAILABLE
}

snapshots_are_the_raw_bytes() {
    "$xenres" snapshot 1 grant_table >"$work/ours"
    client -o "$work/theirs" "$XENRES_SERVER$frames"
    same "$(stat -c %s "$work/ours")" 8192
    cmp "$work/ours" "$work/theirs"
    "$xenres" snapshot web grant_table 0 --first 1 --count 1 >"$work/second"
    cmp "$work/second" <(tail -c 4096 "$work/theirs")
    "$xenres" -o json snapshot 1 grant_table | jq -r .frames | base64 -d | cmp - "$work/theirs"
}

hex_views_are_hexdumps() {
    requires hexdump
    "$xenres" snapshot 1 grant_table | hexdump -C >"$work/theirs"
    "$xenres" -o table snapshot 1 grant_table | tail -n +3 | cmp - "$work/theirs"
}

terminals_get_hex_and_pipes_bytes() {
    requires script
    script --quiet --return --command "$xenres snapshot 1 grant_table --count 1" /dev/null </dev/null >"$work/terminal"
    contains "$(tr -d '\r' <"$work/terminal")" "00001000"
    same "$("$xenres" snapshot 1 grant_table --count 1 | wc -c)" 4096
}

files_appear_whole_and_private() {
    mkdir "$work/out"
    "$xenres" snapshot 1 grant_table --output "$work/out/new"
    same "$(stat -c '%a %s' "$work/out/new")" "600 8192"
    chmod 640 "$work/out/new"
    ln -s new "$work/out/link"
    "$xenres" snapshot 1 grant_table --count 1 --output "$work/out/link"
    same "$(stat -c '%a %s' "$work/out/new")" "640 4096"
    [ -L "$work/out/link" ]
    "$xenres" -o json snapshot 1 grant_table --count 1 --output "$work/out/json"
    same "$(jq .observation.frameCount "$work/out/json")" 1
    same "$(ls "$work/out" | tr '\n' ' ')" "json link new "
}

failed_fetches_leave_files_alone() {
    mkdir "$work/kept"
    echo old >"$work/kept/file"
    fails 15 "$xenres" snapshot nobody grant_table --output "$work/kept/file"
    fails 21 "$xenres" snapshot 1 grant_table --first 60 --output "$work/kept/other"
    same "$(cat "$work/kept/file")" old
    same "$(ls "$work/kept")" file
    fails 1 "$xenres" snapshot 1 grant_table --output "$work/kept"
    fails 1 "$xenres" snapshot 1 grant_table --output "$work/nowhere/file"
}

devices_are_written_to_not_replaced() {
    "$xenres" snapshot 1 grant_table --output /dev/null
    [ -c /dev/null ]
    fails 1 "$xenres" snapshot 1 grant_table --output /dev/full
    contains "$(cat "$work/said")" ENOSPC
    [ -c /dev/full ]
}

full_disks_and_closed_pipes_are_told() {
    local verb
    for verb in host domains "grants 1" "-o json host" "snapshot 1 grant_table" --help --version; do
        # shellcheck disable=SC2086  # words
        fails 1 sh -c '"$0" "$@" >/dev/full' "$xenres" $verb
        contains "$(cat "$work/said")" "standard output" "$verb"
    done
    # The connection must not get the number of standard output.
    fails 1 sh -c '"$0" domains >&-' "$xenres"
    contains "$(cat "$work/said")" EBADF
    # A pipe whose reader is gone before a byte is written.
    fails 1 sh -c 'mkfifo "$1/pipe"; exec 3<>"$1/pipe" 4>"$1/pipe" 3<&-; "$0" domains >&4' "$xenres" "$work"
    contains "$(cat "$work/said")" EPIPE
}

# A server that takes the connection and says nothing.
interrupted_fetches_leave_no_file() {
    requires python3
    mkdir "$work/interrupted"
    start silent python3 -u -c '
import socket, sys, time
s = socket.socket()
s.bind(("127.0.0.1", 0))
s.listen(1)
open(sys.argv[1], "w").write("%d\n" % s.getsockname()[1])
c = s.accept()
open(sys.argv[2], "w").write("connected\n")
time.sleep(60)' "$work/silent-port" "$work/silent-connected"
    wait_file silent "$work/silent-port"
    "$xenres" --server "https://127.0.0.1:$(cat "$work/silent-port")" snapshot 1 grant_table \
        --output "$work/interrupted/file" &
    local client=$! status=0
    wait_file silent "$work/silent-connected"
    [[ $(ls "$work/interrupted") == file.* ]]
    kill -TERM "$client"
    wait "$client" || status=$?
    same "$status" 143
    same "$(ls "$work/interrupted")" ""
    stop silent || true
}

grants_are_complete() {
    "$xenres" -o json grants 1 >"$work/grants.json"
    same "$(jq '.entries | length' "$work/grants.json")" "$(cells '^ *[0-9]+ ' "$xenres" grants 1 | wc -l)"
    same "$("$xenres" -o json grants 1 --all | jq '.entries | length')" 1024
    same "$("$xenres" -o json grants 1 --all | jq '[.entries[] | select(.kind != "GRANT_KIND_UNUSED")] | length')" \
        "$(jq '.entries | length' "$work/grants.json")"
}

# Every answer is of one copy: what is put together of several says so, and spans them all.
grants_of_several_copies_say_so() {
    "$xenres" -o json grants 2 --all >"$work/large.json" 2>"$work/note"
    contains "$(cat "$work/note")" "copies"
    same "$(jq '[.entries[].reference] == [range(262144)]' "$work/large.json")" true
    same "$(jq .nextReference "$work/large.json")" 0
    same "$(jq .observation.frameCount "$work/large.json")" 512
    same "$(jq -r .observation.contentTag "$work/large.json")" ""
    "$xenres" grants 1 2>"$work/note" >/dev/null
    same "$(cat "$work/note")" "" "a note about one copy"
}

ioreqs_are_asked_for_one_by_one() {
    contains "$("$xenres" ioreqs 7)" "ioreq server 0"
    same "$("$xenres" -o json ioreqs 7 2 | jq .id)" 2
    # Server 5 is a stub domain's: told, and no reason to show nothing of the others.
    fails 17 "$xenres" ioreqs 7 --all
    contains "$(cat "$work/said")" "ioreq server 0"
    contains "$(cat "$work/said")" "ioreq server 2"
    contains "$(cat "$work/said")" "EPERM"
    same "$("$xenres" -o json ioreqs 7 --all 2>/dev/null | jq -c '[.[].id]')" "[0,2]"
    fails 15 "$xenres" ioreqs 7 1
    fails 2 "$xenres" ioreqs 7 1 --all
}

stats_are_of_each_vcpu() {
    same "$("$xenres" -o json stats 2 | jq '.vcpus | length')" 4
    contains "$("$xenres" stats 2)" "VCPU"
}

failures_say_what_why_and_what_next() {
    fails 21 "$xenres" snapshot 1 grant_table --first 60
    same "$(grep -c '^xenres: ' "$work/said")" 1
    same "$(grep -c '^cause: ' "$work/said")" 1
    same "$(grep -c '^next: ' "$work/said")" 1
}

each_kind_of_failure_has_its_status() {
    fails 2 "$xenres"
    fails 2 "$xenres" nonsense
    fails 2 "$xenres" grants
    fails 2 "$xenres" grants 1 2
    fails 2 "$xenres" grants 1 --al
    fails 2 "$xenres" snapshot 1 no_such_type
    fails 2 "$xenres" snapshot 1 grant_table -1
    fails 2 "$xenres" snapshot 1 grant_table --first x
    fails 2 "$xenres" --timeout 5x host
    fails 2 "$xenres" -o xml host
    fails 13 "$xenres" --server http://localhost host
    fails 13 "$xenres" snapshot 1 grant_table --count 0
    fails 15 "$xenres" grants nobody
    fails 24 "$xenres" --server https://127.0.0.1:1 host
    fails 26 "$xenres" --cacert "$XENRES_CERT" host
    contains "$(cat "$work/said")" XENRES_CACERT
}

whoever_is_known_is_told_who_he_is() {
    contains "$("$xenres" whoami | tr -s ' ')" "identity spiffe:spiffe://xenres.demo/operator"
    contains "$("$xenres" whoami | tr -s ' ')" "streams at a time 1024" # the gateway's own
    same "$("$xenres" -o json whoami | jq -r '.caller.kind, .caller.isBound')" $'CALLER_KIND_SPIFFE\ntrue'
    same "$("$xenres" -o json whoami | jq -r .caller.certificateSha256)" \
        "$(openssl x509 -in "$XENRES_CERT" -outform DER | sha256sum | cut -d ' ' -f 1)"
}

what_is_allowed_is_explained_by_the_status() {
    contains "$("$xenres" explain 1 grant_table snapshot)" "allowed"
    same "$("$xenres" -o json explain 1 any list | jq .allowed)" true
    fails 17 "$xenres" explain 1 grant_table admin
    contains "$(cat "$work/said")" "not allowed"
    fails 17 "$xenres" -o json explain 1 grant_table admin
    fails 15 "$xenres" explain nobody any list
    fails 2 "$xenres" explain 1 grants list
    contains "$(cat "$work/said")" "any"
    fails 2 "$xenres" explain 1 any trace
    contains "$(cat "$work/said")" "trace.read"
}

tags_are_listed() {
    same "$("$xenres" -o json domains | jq -c '[.domains[] | .tags // []]')" '[["db","prod"],[],[]]'
    contains "$("$xenres" domains)" "db prod"
}

a_missing_certificate_is_explained() {
    fails 26 env -u XENRES_CERT -u XENRES_KEY "$xenres" host
    contains "$(cat "$work/said")" "client certificate"
}

every_verb_has_help() {
    local verb
    for verb in $("$xenres" --help | sed -n '/^Verbs:/,/^$/s/^  \([a-z][a-z]*\) .*/\1/p'); do
        contains "$("$xenres" "$verb" --help)" "usage: xenres [OPTIONS] $verb"
        contains "$("$xenres" --help)" "  $verb"
        grep -Eq "^\.(It )?Ic $verb" "$top/docs/man/xenres.1"
    done
}

# The exit statuses of the table, each in the manual page with its code.
every_status_is_in_the_manual() {
    local name connect exit
    while IFS=, read -r name _ connect _ exit _; do
        connect=${connect//[ \"]/}
        exit=${exit// /}
        grep -A1 "^\.It $exit\$" "$top/docs/man/xenres.1" | grep -q "$connect" || { echo "no $exit $connect"; return 1; }
    done < <(grep '^ERROR(' "$top/common/errors.def")
}

the_libraries_manual_has_every_function() {
    local name
    for name in $(sed -n 's/^    \(xenres_[a-z_]*\);$/\1/p' "$top/client/libxenres.map"); do
        grep -Eq "^\.F[no] $name( |\$)" "$top/docs/man/libxenres.3" || { echo "no $name"; return 1; }
    done
}

the_static_library_has_no_other_symbols() {
    requires nm
    same "$(nm -g --defined-only "$BUILD/libxenres.a" | awk 'NF == 3 { print $3 }' | sort)" \
        "$(sed -n 's/^    \(xenres_[a-z_]*\);$/\1/p' "$top/client/libxenres.map" | sort)"
}

# As they stand there, against the shared library: a program, and functions.
the_libraries_manual_has_examples_that_work() {
    requires cc
    local sanitizers=()
    # An instrumented library wants an instrumented program.
    if [[ $BUILD =~ /sanitize-([a-z-]+)$ ]]; then
        sanitizers=("-fsanitize=${BASH_REMATCH[1]//-/,}")
    fi
    sed -n '/^\.Bd -literal/,/^\.Ed/p' "$top/docs/man/libxenres.3" | sed 's/\\e/\\/g' |
        awk -v name="$work/example" '/^\.Bd/ { n++; next } /^\.Ed/ { next } { print > (name (n > 1 ? n : "") ".c") }'
    local function
    for function in example2 example3; do
        cc -Wall -Wextra -Werror -I "$top/client/include" -c -o "$work/$function.o" "$work/$function.c"
    done
    cc -Wall -Wextra -Werror "${sanitizers[@]}" -I "$top/client/include" -o "$work/example" "$work/example.c" \
        -L "$BUILD" -lxenres -Wl,-rpath,"$BUILD"
    same "$("$work/example" large | wc -l)" \
        "$("$xenres" -o json grants large 2>/dev/null | jq '.entries | length')"
    fails 1 "$work/example" nobody
}

# Content-Length is the 200's (RFC 9110, 8.6), and the connection goes on with the next answer.
a_304_has_no_body() {
    local tag
    client -D "$work/head" -o "$work/bytes" "$XENRES_SERVER$frames?count=1"
    tag=$(sed -n 's/^etag: \(.*\)\r$/\1/Ip' "$work/head")
    client -D "$work/head" -o "$work/none" -H "If-None-Match: $tag" "$XENRES_SERVER$frames?count=1" \
        --next --cacert "$XENRES_CACERT" --cert "$XENRES_CERT" --key "$XENRES_KEY" -s \
        -o "$work/again" "$XENRES_SERVER$frames?count=1"
    contains "$(cat "$work/head")" "304 Not Modified"
    contains "$(tr -d '\r' <"$work/head")" "Content-Length: 4096"
    contains "$(cat "$work/head")" "Xenres-Incarnation: "
    [ ! -s "$work/none" ]
    cmp "$work/bytes" "$work/again"
}

cat >"$work/scenario" <<'END'
seed = 7
domain "web" {
  domid = 1
  uuid = "00000000-0000-0000-0000-00000000000a"
  name = "web"
  tags = { "prod", "db" }
  grants { frames = 2  entries = 300 }
}
domain "large" {
  domid = 2
  uuid = "00000000-0000-0000-0000-00000000000b"
  name = "large"
  vcpus = 4
  grants { frames = 512  frames_max = 512  entries = 5000 }
}
domain "green" {
  domid = 7
  uuid = "00000000-0000-0000-0000-00000000000c"
  type = "hvm"
  ioreq "0" { requests_per_second = 100 }
  ioreq "2" { buffered = true }
  ioreq "5" { emulator = "stubdom" }
}
END
# A name that turns the direction of writing.
sed -i 's/^  type = "hvm"/  name = "gr\xe2\x80\xae\xc3\xbcn"\n&/' "$work/scenario"
start_demo --scenario "$work/scenario"

check "host tells of gateway and checks" host_tells_of_gateway_and_checks
check "domains are listed once each" domains_are_listed_once_each
check "a domain is named in each way" a_domain_is_named_in_each_way
check "a 304 has no body" a_304_has_no_body
check "resources tell why not" resources_tell_why_not
check "snapshots are the raw bytes" snapshots_are_the_raw_bytes
check "hex views are hexdump's" hex_views_are_hexdumps
check "terminals get hex, and pipes bytes" terminals_get_hex_and_pipes_bytes
check "files appear whole and private" files_appear_whole_and_private
check "failed fetches leave files alone" failed_fetches_leave_files_alone
check "devices are written to, not replaced" devices_are_written_to_not_replaced
check "full disks and closed pipes are told" full_disks_and_closed_pipes_are_told
check "interrupted fetches leave no file" interrupted_fetches_leave_no_file
check "grants are complete" grants_are_complete
check "grants of several copies say so" grants_of_several_copies_say_so
check "ioreqs are asked for one by one" ioreqs_are_asked_for_one_by_one
check "stats are of each vCPU" stats_are_of_each_vcpu
check "failures say what, why, and what next" failures_say_what_why_and_what_next
check "each kind of failure has its status" each_kind_of_failure_has_its_status
check "a missing certificate is explained" a_missing_certificate_is_explained
check "whoever is known is told who he is" whoever_is_known_is_told_who_he_is
check "what is allowed is explained, by the exit status too" what_is_allowed_is_explained_by_the_status
check "tags are listed" tags_are_listed
check "every verb has help" every_verb_has_help
check "every status is in the manual" every_status_is_in_the_manual
check "the library's manual has every function" the_libraries_manual_has_every_function
check "the library's manual has examples that work" the_libraries_manual_has_examples_that_work
check "the static library has no other symbols" the_static_library_has_no_other_symbols
