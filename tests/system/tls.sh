#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# Who is let in, and what the others are told: the alerts as openssl s_client sees them.
. "$(dirname "$0")/../lib/functions.sh"
requires openssl curl

# A P-256 certificate NAME, issued by CA (files in $work/demo or $work), for EXTENSION, of DAYS.
issue() { # CA NAME EXTENSION DAYS
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$2" \
        -keyout "$work/$2.key" -out "$work/$2.csr" 2>/dev/null
    openssl x509 -req -in "$work/$2.csr" -CA "$1.crt" -CAkey "$1.key" -CAcreateserial \
        -CAserial "$work/serial" -days "$4" -out "$work/$2.crt" \
        -extfile <(printf 'extendedKeyUsage=%s\nsubjectAltName=URI:spiffe://test/%s\n' "$3" "$2") \
        2>/dev/null
}

make_strangers() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=other -days 2 \
        -keyout "$work/other.key" -out "$work/other.crt" 2>/dev/null
    issue "$work/other" stranger clientAuth 2
    issue "$work/demo/ca" expired clientAuth -1
    issue "$work/demo/ca" server_only serverAuth 2
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=self -days 2 \
        -keyout "$work/self.key" -out "$work/self.crt" 2>/dev/null
}

# What s_client says when it asks for something. It goes on behind the end of its input, until the
# server ends the connection.
s_client() { # OPTION...
    printf 'GET /v1/ HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n' |
        timeout 20 openssl s_client -connect "${XENRES_SERVER#https://}" -CAfile "$XENRES_CACERT" \
            -ign_eof "$@" >"$work/said" 2>&1 || true
}

sees_alert() { # NUMBER OPTION...
    local number=$1
    shift
    s_client "$@"
    contains "$(tr -d '\0' <"$work/said")" "SSL alert number $number"
}

as() { echo "-cert $work/$1.crt -key $work/$1.key"; }

a_tls_1_3_client_with_aes_is_served() {
    local suite
    for suite in TLS_AES_128_GCM_SHA256 TLS_AES_256_GCM_SHA384; do
        s_client -cert "$XENRES_CERT" -key "$XENRES_KEY" -ciphersuites "$suite"
        contains "$(tr -d '\0' <"$work/said")" "Cipher is $suite"
        contains "$(tr -d '\0' <"$work/said")" "HTTP/1.1 404"
    done
}

no_ticket_is_given() {
    s_client -cert "$XENRES_CERT" -key "$XENRES_KEY"
    ! grep -aq 'TLS session ticket' "$work/said"
}

# common/log and the counters say who and why, and nothing that the peer chose unescaped.
refusals_are_logged_with_reason_and_address() {
    grep -q '127\.0\.0\.1:[0-9]*: refused: showed no certificate' "$work/demo.log"
    grep -q '127\.0\.0\.1:[0-9]*: refused: certificate of an unknown authority' "$work/demo.log"
}

start_demo
make_strangers
check "TLS 1.3 with either AES suite is served" a_tls_1_3_client_with_aes_is_served
check "no session ticket is given" no_ticket_is_given
check "no certificate: certificate_required" sees_alert 116
# shellcheck disable=SC2046
check "certificate of an unknown authority: unknown_ca" sees_alert 48 $(as stranger)
# shellcheck disable=SC2046
check "certificate that signed itself: unknown_ca" sees_alert 48 $(as self)
# shellcheck disable=SC2046
check "expired certificate: certificate_expired" sees_alert 45 $(as expired)
# shellcheck disable=SC2046
check "server's certificate as a client's: bad_certificate" sees_alert 42 $(as server_only)
check "TLS 1.2: protocol_version" sees_alert 70 -tls1_2 -cert "$XENRES_CERT" -key "$XENRES_KEY"
check "refusals are logged, with reason and address" refusals_are_logged_with_reason_and_address
