#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# A first installation: what `xenresd init` makes passes --check, serves the simulator, and lets its
# administrator in; what stands in the way, --check and `xenresd doctor` say.
# shellcheck source=tests/lib/functions.sh
. "$(dirname "$0")/../lib/functions.sh"
requires openssl curl python3

xenresd=$BUILD/xenresd
etc=$work/etc
state=$work/state
user=$(id -un)
[ "$(id -u)" -ne 0 ] || user=nobody

init() { "$xenresd" init --dir "$etc" --state "$state" --user "$user" "$@"; }

# Where the files are, with the port of the kernel's choice, on the simulator.
configure() { # FILE
    sed -e "s|# listen = .*|listen = \"127.0.0.1:0\"|" -e "s|# health = .*|health = \"$work/run/health.sock\"|" \
        -e "s|# socket = .*|socket = \"$work/mapper.sock\"|" "$etc/xenresd.conf" >"$1"
}

wrong_arguments_make_nothing() {
    fails 2 "$xenresd" init
    fails 2 "$xenresd" init --dir "$etc" extra
    fails 2 "$xenresd" init --dir "$etc" --bogus
    fails 13 init --admin ca
    fails 13 init --admin a/b
    fails 13 init --name 'a b'
    fails 13 "$xenresd" init --dir "$work/a\"b" --state "$state" --user "$user"
    local -a names=()
    for i in $(seq 17); do names+=(--name "host$i"); done
    fails 2 init "${names[@]}"
    [ ! -e "$etc" ] && [ ! -e "$state" ]
}

all_is_made_and_told() {
    init --name gw.example.org --name 192.0.2.7 --admin alice >"$work/said"
    local file
    for file in xenresd.conf policy.conf export deny server.crt server.key clients.crt ca/ca.crt ca/ca.key \
        ca/alice.crt ca/alice.key; do
        [ -s "$etc/$file" ] || { echo "no $file"; return 1; }
        contains "$(cat "$work/said")" "$file"
    done
    contains "$(cat "$work/said")" "xenresd --check --config $etc/xenresd.conf"
    contains "$(cat "$work/said")" "XENRES_SERVER='https://gw.example.org:8443'"
    same "$(find "$etc" -name '.*')" "" "what was left"
    for file in policy.conf server.crt server.key clients.crt export deny; do
        contains "$(grep -v '^ *#' "$etc/xenresd.conf")" "\"$etc/$file\""
    done
}

modes_and_owners_are_right() {
    same "$(stat -c '%a %U' "$etc/server.key")" "600 $user"
    same "$(stat -c '%a %U' "$state")" "700 $user"
    same "$(stat -c '%a %U' "$etc/ca")" "700 $(id -un)"
    same "$(stat -c '%a %U' "$etc/ca/ca.key")" "600 $(id -un)"
    same "$(stat -c '%a' "$etc")" 755
    same "$(stat -c '%a' "$etc/policy.conf")" 644
    contains "$(openssl x509 -in "$etc/server.crt" -noout -ext subjectAltName)" "DNS:gw.example.org"
    contains "$(openssl x509 -in "$etc/server.crt" -noout -ext subjectAltName)" "192.0.2.7"
    openssl verify -CAfile "$etc/clients.crt" "$etc/server.crt" "$etc/ca/alice.crt"
}

nothing_is_overwritten() {
    local before
    before=$(cd "$etc" && find . -type f -exec cksum {} + | sort)
    fails 16 init
    contains "$(cat "$work/said")" "is there already"
    same "$(cd "$etc" && find . -type f -exec cksum {} + | sort)" "$before"
    mkdir "$work/part"
    echo mine >"$work/part/export"
    fails 16 "$xenresd" init --dir "$work/part" --state "$work/part-state" --user "$user"
    same "$(ls -A "$work/part")" export
    [ ! -e "$work/part-state" ]
}

a_folder_of_others_is_refused() {
    mkdir -m 777 "$work/open"
    chmod 777 "$work/open"
    fails 19 "$xenresd" init --dir "$work/open" --state "$work/open-state" --user "$user"
    same "$(ls -A "$work/open")" ""
}

what_fails_half_way_leaves_nothing() {
    fails 19 "$xenresd" init --dir "$work/half" --state "$work/none/there" --user "$user"
    [ ! -e "$work/half" ]
}

it_has_no_faults() { contains "$("$xenresd" --check --config "$etc/xenresd.conf" 2>"$work/said")" "no faults"; }

check_fails_with() { # CONFIG WORDS
    if "$xenresd" --check --config "$1" >"$work/said" 2>&1; then
        echo "no fault was found"; cat "$work/said"; return 1
    fi
    contains "$(cat "$work/said")" "$2"
}

# A server's certificate of openssl's, and a configuration with it.
certificate() { # OPTION...
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/c.key" -out "$work/c.crt" \
        -subj /CN=c -addext basicConstraints=CA:FALSE "$@" 2>/dev/null
    chmod 600 "$work/c.key"
    sed -e "s|$etc/server.crt|$work/c.crt|" -e "s|$etc/server.key|$work/c.key|" -e "s|\"$state\"|\"$work\"|" \
        "$etc/xenresd.conf" >"$work/c.conf"
}

faults_of_certificates_are_told_with_their_lines() {
    certificate -days 90 -addext extendedKeyUsage=clientAuth -addext subjectAltName=DNS:a
    check_fails_with "$work/c.conf" "$work/c.crt:1: it was not issued for TLS servers"
    certificate -days 90 -addext extendedKeyUsage=serverAuth
    check_fails_with "$work/c.conf" "$work/c.crt:1: it has no name that clients look for"
    sed -i "s|$etc/clients.crt|$work/c.crt|" "$work/c.conf"
    check_fails_with "$work/c.conf" "$work/c.crt"
}

warnings_are_told_and_are_no_faults() {
    certificate -days 7 -addext extendedKeyUsage=serverAuth -addext subjectAltName=DNS:a
    sed -i "s|# listen = .*|listen = \"192.0.2.9:1\"|" "$work/c.conf"
    "$xenresd" --check --config "$work/c.conf" >"$work/said" 2>&1
    contains "$(cat "$work/said")" "$work/c.crt:1: warning: it expires in "
    contains "$(cat "$work/said")" "warning: it has no name 192.0.2.9"
    contains "$(cat "$work/said")" "no faults"
}

authorities_of_sections_are_looked_at_too() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null -out "$work/lab.crt" \
        -subj /CN=lab -days 7 2>/dev/null
    { cat "$etc/xenresd.conf"; echo "trust \"lab\" { ca = \"$work/lab.crt\" identities = { \"cn:*\" } }"; } >"$work/lab.conf"
    "$xenresd" --check --config "$work/lab.conf" >"$work/said" 2>&1 || { cat "$work/said"; return 1; }
    contains "$(cat "$work/said")" "$work/lab.crt:1: warning: it expires in "
    contains "$(cat "$work/said")" "(trust.ca)"
}

options_are_told_with_their_lines() {
    sed "s|state_dir = .*|state_dir = \"/nonexistent\"|" "$etc/xenresd.conf" >"$work/line.conf"
    check_fails_with "$work/line.conf" \
        "$work/line.conf:$(grep -n 'state_dir =' "$work/line.conf" | cut -d: -f1): server.state_dir: "
}

doctor() { "$xenresd" doctor --config "$1" >"$work/said" 2>&1; }

doctor_tells_what_is_missing() {
    fails 2 "$xenresd" doctor extra
    ! doctor "$work/run.conf" || { cat "$work/said"; return 1; }
    contains "$(cat "$work/said")" "FAILED   mapper's socket: $work/mapper.sock"
    contains "$(cat "$work/said")" "no xenresd runs"
    contains "$(cat "$work/said")" "ok       tls.certificate: $etc/server.crt:1: it is good for 36"
    ! doctor /nonexistent || return 1
    contains "$(cat "$work/said")" "FAILED   files: "
}

doctor_hears_the_mapper() {
    doctor "$work/run.conf" || { cat "$work/said"; return 1; }
    contains "$(cat "$work/said")" "ok       mapper: it answers: version"
}

doctor_says_that_it_serves() {
    doctor "$work/run.conf" || { cat "$work/said"; return 1; }
    contains "$(cat "$work/said")" "ok       health: xenresd runs, and is ready"
    contains "$(cat "$work/said")" "ok       mapper: it answers: the mapper serves another process"
}

doctor_finds_a_port_that_is_taken() {
    sed "s|listen = .*|listen = \"127.0.0.1:$port\"|; s|health = .*|health = \"$work/none.sock\"|" \
        "$work/run.conf" >"$work/taken.conf"
    ! doctor "$work/taken.conf" || { cat "$work/said"; return 1; }
    contains "$(cat "$work/said")" "FAILED   listener: 127.0.0.1:$port is another program's"
}

# Somebody else at the health listener's address: says WHAT to each who comes, and goes on as MORE does.
impostor() { # NAME WHAT MORE
    rm -f "$work/$1.port"
    start "$1" python3 -u -c '
import socket, sys, time
s = socket.create_server(("127.0.0.1", 0))
print(s.getsockname()[1], file=open(sys.argv[1] + ".new", "w"))
import os; os.rename(sys.argv[1] + ".new", sys.argv[1])
while True:
    c, _ = s.accept()
    try:
        c.recv(4096)
        c.sendall(sys.argv[2].encode("latin-1").decode("unicode_escape").encode("latin-1"))
        while sys.argv[3] == "drip":
            time.sleep(0.2)
            c.sendall(b"x")
    except OSError:
        pass
    c.close()' "$work/$1.port" "$2" "$3"
    wait_file "$1" "$work/$1.port" 20
    sed "s|health = .*|health = \"127.0.0.1:$(cat "$work/$1.port")\"|" "$work/run.conf" >"$work/$1.conf"
}

what_others_say_is_shown_escaped() {
    impostor liar 'HTTP/1.1 503 x\r\n\r\n\x1b]0;mine\x07\x9b1m not ready \xe2\x80\xae\r' end
    ! doctor "$work/liar.conf" || { cat "$work/said"; return 1; }
    contains "$(cat "$work/said")" 'is not ready: \x1b]0;mine\x07\x9b1m not ready \xe2\x80\xae\x0d; see below'
    ! LC_ALL=C grep -aq $'[\x01-\x08\x0b-\x1f\x7f]' "$work/said"
}

who_answers_slowly_is_not_waited_for() {
    local begun=$SECONDS
    impostor drip 'HTTP/1.1 200 x\r\n\r\n' drip
    ! doctor "$work/drip.conf" || { cat "$work/said"; return 1; }
    contains "$(cat "$work/said")" "what answers at 127.0.0.1:$(cat "$work/drip.port") is no xenresd"
    [ "$((SECONDS - begun))" -lt 20 ]
}

a_program_that_does_not_end_is_not_waited_for() {
    local begun=$SECONDS
    [ "$(id -u)" -eq 0 ] || skip "the Xen half is looked at by root"
    printf '#!/bin/sh\necho here\nexec sleep 600\n' >"$work/sleeper"
    chmod 755 "$work/sleeper"
    sed "s|# program = .*|program = \"$work/sleeper\"|" "$work/run.conf" >"$work/sleeper.conf"
    grep -q "program = \"$work/sleeper\"" "$work/sleeper.conf"
    ! doctor "$work/sleeper.conf" || true
    contains "$(cat "$work/said")" "warning  the Xen half: it does not end"
    contains "$(cat "$work/said")" "here"
    [ "$((SECONDS - begun))" -lt 30 ]
}

the_administrator_is_let_in() {
    contains "$(XENRES_SERVER="https://localhost:$port" XENRES_CACERT=$etc/ca/ca.crt XENRES_CERT=$etc/ca/alice.crt \
        XENRES_KEY=$etc/ca/alice.key "$BUILD/xenres" host)" sim
}

is_ready() { curl -sf --unix-socket "$work/run/health.sock" http://localhost/readyz >/dev/null; }

as_user() { # COMMAND...: instead of this shell
    if [ "$(id -u)" -eq 0 ]; then
        exec setpriv --reuid="$user" --regid="$(id -g "$user")" --clear-groups "$@"
    else
        exec "$@"
    fi
}

check "wrong arguments make nothing" wrong_arguments_make_nothing
check "all is made, and told" all_is_made_and_told
check "modes and owners are right" modes_and_owners_are_right
check "nothing is overwritten" nothing_is_overwritten
check "a folder of others is refused" a_folder_of_others_is_refused
check "what fails half way leaves nothing" what_fails_half_way_leaves_nothing
check "it has no faults" it_has_no_faults
check "faults of certificates are told with their lines" faults_of_certificates_are_told_with_their_lines
check "warnings are told, and are no faults" warnings_are_told_and_are_no_faults
check "authorities of sections are looked at, too" authorities_of_sections_are_looked_at_too
check "options are told with their lines" options_are_told_with_their_lines
configure "$work/run.conf"
check "doctor tells what is missing" doctor_tells_what_is_missing
mkdir -m 755 "$work/run"
[ "$(id -u)" -ne 0 ] || chown "$user" "$work/run"
start mapper "$BUILD/xenresd-mapper-sim" --socket "$work/mapper.sock" --peer-user "$user" --export "$etc/export"
wait_until 20 test -S "$work/mapper.sock"
[ "$(id -u)" -ne 0 ] || chown "$user" "$work/mapper.sock"
check "doctor hears the mapper" doctor_hears_the_mapper
start xenresd as_user "$xenresd" --config "$work/run.conf"
wait_until 20 is_ready
port=$(sed -n "s/.*listening on port \([0-9]*\)$/\1/p" "$work/xenresd.log")
check "doctor says that it serves" doctor_says_that_it_serves
check "doctor finds a port that is taken" doctor_finds_a_port_that_is_taken
check "what others say is shown escaped" what_others_say_is_shown_escaped
check "who answers slowly is not waited for" who_answers_slowly_is_not_waited_for
check "a program that does not end is not waited for" a_program_that_does_not_end_is_not_waited_for
check "the administrator is let in" the_administrator_is_let_in
