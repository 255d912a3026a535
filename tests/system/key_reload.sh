#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# A key that only root may read, of a gateway that was started as root and serves as somebody else: read again at
# SIGHUP, through the supervisor.
. "$(dirname "$0")/../lib/functions.sh"
requires openssl pgrep
requires_root

count() { grep -c "$1" "$work/demo.log" || true; }
came() { [ "$(count "$1")" -gt "$2" ]; }
worker_pid() { pgrep -P "${pid[demo]}" -f -- --worker; }
answers() { "$BUILD/xenres" --timeout 20 domains >"$work/domains"; }

reload_until() { # LOG-LINE
    local before
    before=$(count "$1")
    kill -HUP "${pid[demo]}"
    wait_until 10 came "$1" "$before"
}

served() { # the fingerprint of the certificate that is shown
    openssl s_client -connect "${XENRES_SERVER#https://}" -cert "$XENRES_CERT" -key "$XENRES_KEY" </dev/null 2>/dev/null |
        openssl x509 -noout -fingerprint -sha256
}
fingerprint() { openssl x509 -in "$1" -noout -fingerprint -sha256; }

# A file is put in the place of another one, as renewers of certificates do it.
put() { # FILE NAME MODE
    install -o root -g root -m "$3" "$1" "$dir/.new"
    mv "$dir/.new" "$dir/$2"
}

the_worker_cannot_read_the_key_itself() {
    same "$(stat -c '%U %a' "$dir/server.key")" "root 600" "the key"
    grep -q "^Uid:.*$(id -u nobody)" "/proc/$(worker_pid)/status"
    ! setpriv --reuid nobody --regid nogroup --clear-groups cat "$dir/server.key" 2>/dev/null
    same "$(served)" "$(fingerprint "$dir/server.crt")" "certificate"
}

a_new_key_is_served_from_the_reload_on() {
    local before
    before=$(served)
    put "$work/new.key" server.key 600
    put "$work/new.crt" server.crt 644
    same "$(served)" "$before" "certificate before the reload"
    reload_until reloaded
    same "$(served)" "$(fingerprint "$work/new.crt")" "certificate behind it"
}

a_bad_key_leaves_the_old_one_in_force() {
    local before
    before=$(served)
    put "$work/other.key" server.key 600 # of no certificate here
    reload_until 'reload refused'
    same "$(served)" "$before" "certificate with a key of another"
    echo nonsense >"$work/nonsense"
    put "$work/nonsense" server.key 600
    reload_until 'reload refused'
    same "$(served)" "$before" "certificate with a key that is none"
    put "$work/new.key" server.key 644
    reload_until 'may be read by others'
    same "$(served)" "$before" "certificate with a key that others could read"
    rm "$dir/server.key"
    reload_until 'reload refused'
    same "$(served)" "$before" "certificate without a key"
}

what_stands_in_its_place_holds_up_nobody() {
    mkfifo -m 600 "$dir/server.key"
    reload_until 'reload refused'
    rm "$dir/server.key"
    ln -s /dev/zero "$dir/server.key"
    reload_until 'reload refused'
    rm "$dir/server.key"
    put "$work/new.key" server.key 600
    reload_until reloaded
}

# Its key and its form are right; clients would turn away from it.
a_certificate_that_clients_refuse_is_refused() {
    local before
    before=$(served)
    put "$work/clients.key" server.key 600
    put "$work/clients.crt" server.crt 644
    reload_until 'reload refused.*server.crt:1: it was not issued for TLS servers'
    same "$(served)" "$before" "certificate with one that is a client's"
    put "$work/new.key" server.key 600
    put "$work/new.crt" server.crt 644
    reload_until reloaded
}

a_start_with_it_is_refused_with_the_cure() {
    put "$work/clients.key" server.key 600
    put "$work/clients.crt" server.crt 644
    fails 19 timeout 60 "$BUILD/xenresd" --demo "$dir"
    contains "$(cat "$work/said")" 'cannot start' "what it said"
    contains "$(cat "$work/said")" 'server.crt:1: it was not issued for TLS servers: have it issued with extendedKeyUsage = serverAuth' "what it said"
}

another_worker_reads_it_too() {
    local worker
    worker=$(worker_pid)
    kill -KILL "$worker"
    wait_until 10 answers_as_another "$worker"
    reload_until reloaded
    same "$(served)" "$(fingerprint "$work/new.crt")" "certificate"
}
answers_as_another() { # PID
    local now
    now=$(worker_pid) && [ -n "$now" ] && [ "$now" != "$1" ] && [ -n "$(served)" ]
}

make() { # NAME PURPOSE
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 2 -subj "/CN=$1" \
        -addext basicConstraints=critical,CA:FALSE -addext subjectAltName=DNS:localhost,IP:127.0.0.1 \
        -addext "extendedKeyUsage=$2" -keyout "$work/$1.key" -out "$work/$1.crt" 2>"$work/openssl.log"
}
make new serverAuth
make other serverAuth
make clients clientAuth
dir=$work/demo
start_demo
check "the worker cannot read the key itself" the_worker_cannot_read_the_key_itself
check "a new key is served from the reload on" a_new_key_is_served_from_the_reload_on
check "a bad key leaves the old one in force" a_bad_key_leaves_the_old_one_in_force
check "what stands in its place holds up nobody" what_stands_in_its_place_holds_up_nobody
check "a certificate that clients refuse is refused" a_certificate_that_clients_refuse_is_refused
check "another worker reads it, too" another_worker_reads_it_too
stop demo
check "a start with a certificate that clients refuse is refused, with the cure" a_start_with_it_is_refused_with_the_cure
