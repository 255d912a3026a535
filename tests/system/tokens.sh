#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# Opaque tokens by the commands that make, list and withdraw them, and by xenres, which shows them.
. "$(dirname "$0")/../lib/functions.sh"
requires curl

xenresd=$BUILD/xenresd
file=$work/tokens
mine=$work/mine # the token, as its bearer keeps it
xenres() { env -u XENRES_CERT -u XENRES_KEY "$BUILD/xenres" --timeout 20 "$@"; }
with_token() { XENRES_TOKEN_FILE=$mine xenres "$@"; }
id_of() { cut -d_ -f2 "$mine"; }
says() { # STATUS TEXT COMMAND...
    local status=$1 text=$2
    shift 2
    fails "$status" "$@" 2>"$work/said"
    contains "$(cat "$work/said")" "$text"
}

add_prints_the_token_and_nothing_else() {
    (umask 077 && "$xenresd" token add backup --file "$file" --days 2 --groups ops,night >"$mine" 2>"$work/said")
    grep -qE '^xr_[0-9a-f]{16}_[-_A-Za-z0-9]{43}$' "$mine"
    same "$(wc -l <"$mine")" 1
    contains "$(cat "$work/said")" "token:backup until "
    ! grep -qF "$(cut -c 21- "$mine")" "$file" "$work/said"
    same "$(stat -c %a "$file")" 644
}
list_shows_who_has_which() {
    "$xenresd" token list --file "$file" >"$work/list"
    grep -qE "^$(id_of)  20[0-9-]+T[0-9:]+Z  valid +backup +ops,night$" "$work/list"
    sed -E 's/20[0-9]{2}-/2001-/' "$file" >"$work/old"
    "$xenresd" token list --file "$work/old" | grep -q expired
}
usage_is_told() {
    local arguments
    while IFS= read -r arguments; do
        # shellcheck disable=SC2086  # words
        says 2 "xenresd token: " "$xenresd" token $arguments
    done <<E2

list
add --file $file
add a b --file $file
list a --file $file
list --file $file --days 2
add a --file $file --days 0
add a --file $file --days 3651
add a --file $file --bogus
burn --file $file
E2
    says 13 "is no name" "$xenresd" token add 'a b' --file "$file"
    says 15 "no token in" "$xenresd" token remove 0123456789abcdef --file "$file"
}

xenres_shows_it_in_place_of_a_certificate() {
    with_token host >/dev/null
    xenres --token-file "$mine" host >/dev/null
    says 26 "neither a client certificate nor a bearer token" xenres host
}
the_audit_names_its_bearer() {
    with_token snapshot db-1 grant_table --count 1 --output "$work/frames" >/dev/null 2>&1 || true # allowed or not
    contains "$(tail -n 3 "$work/demo/audit.log")" '"identity":"token:' "who asked"
    contains "$(tail -n 3 "$work/demo/audit.log")" "\"token\":\"$(id_of)\"" "the token's id"
}

a_file_that_others_may_read_is_not_used() {
    cp "$mine" "$work/open"
    chmod 644 "$work/open"
    says 13 "others have access" xenres --token-file "$work/open" host
    mkdir -p "$work/folder"
    says 13 "cannot read the bearer token" xenres --token-file "$work/folder" host
}
what_is_no_token_is_not_sent() {
    (umask 077 && printf 'a\nX-Evil: 1\n' >"$work/evil" && : >"$work/empty" && head -c 9000 /dev/zero | tr '\0' e >"$work/long")
    local name
    for name in evil empty long; do
        says 13 "not one line of printable" xenres --token-file "$work/$name" host
    done
    says 13 "cannot read the bearer token" xenres --token-file "$work/none" host
}
two_of_one_name_are_good_at_a_time() {
    (umask 077 && "$xenresd" token add backup --file "$file" >"$work/next" 2>/dev/null)
    cp "$mine" "$work/first"
    wait_until 20 xenres --token-file "$work/next" host >/dev/null
    mv "$work/next" "$mine"
    with_token host >/dev/null
}
removed_it_is_worth_nothing() {
    "$xenresd" token remove "$(id_of)" --file "$file"
    is_refused() { with_token host >/dev/null 2>"$work/said"; [ $? -eq 26 ]; }
    wait_until 20 is_refused
    contains "$(cat "$work/said")" "unknown key or issuer"
    contains "$(cat "$work/said")" "the gateway tells its log alone"
    same "$(grep -c 'nobody known' "$work/said" || true)" 0 "causes that are none"
    xenres --token-file "$work/first" host >/dev/null # the other one of that name
}
as_curl() { # TOKEN
    curl -s -o "$work/said" -w '%{http_code}' --cacert "$XENRES_CACERT" -H "Authorization: Bearer $1" \
        -H 'Content-Type: application/json' -d '{}' "$XENRES_SERVER/xenres.v1.HostService/GetHost"
}
refused() { # REASON
    curl -s --unix-socket "$work/demo/health.sock" http://h/metrics |
        sed -n "s/^xenresd_tokens_refused_total{reason=\"$1\"} //p"
}
curl_shows_it_too() {
    same "$(as_curl "$(cat "$work/first")")" 200
    curl -s -o "$work/said" --cacert "$XENRES_CACERT" -H 'Authorization: Basic YTpi' \
        -H 'Content-Type: application/json' -d '{}' "$XENRES_SERVER/xenres.v1.HostService/GetHost"
    contains "$(cat "$work/said")" "another scheme than Bearer"
}
a_bad_file_is_told_by_check() {
    sed "s|$file|$work/evil|" "$work/demo/xenresd.conf" >"$work/bad.conf"
    says 13 "evil:1:" "$xenresd" --check --config "$work/bad.conf"
    sed 's|^tokens.*||' "$work/demo/xenresd.conf" >"$work/bad.conf"
    says 13 "no bearer token is accepted" "$xenresd" --check --config "$work/bad.conf"
}
each_refusal_is_counted_and_in_the_audit() {
    local token reason before
    for reason in signature malformed algorithm; do
        case $reason in
        signature) token=$(head -c -2 "$work/first")x ;;
        malformed) token=nonsense ;;
        algorithm) token=eyJhbGciOiJub25lIn0.e30. ;;
        esac
        before=$(refused "$reason")
        same "$(as_curl "$token")" 401
        same "$(refused "$reason")" $((before + 1)) "$reason"
        contains "$(grep '"event":"authentication_failed"' "$work/demo/audit.log" | tail -n 1)" "\"reason\":\"$reason\""
    done
    same "$(refused expired)" 0
}
nothing_of_it_is_logged() {
    local token
    for token in "$work/first" "$mine"; do
        ! grep -qF "$(cut -c 21- "$token")" "$work/demo.log"
    done
    contains "$(cat "$work/demo.log")" "refused a bearer token"
}

check "token add prints the token, and nothing else" add_prints_the_token_and_nothing_else
check "token list shows who has which" list_shows_who_has_which
check "wrong usage is told" usage_is_told
start_demo
stop demo
printf 'tls { client_certificate = "optional" }\ntokens { file = "%s" }\n' "$file" >>"$work/demo/xenresd.conf"
sed -i 's|"spiffe:[^"]*visitor"|"all"|' "$work/demo/policy.conf"
start_demo --verbose
check "xenres shows a token in place of a certificate" xenres_shows_it_in_place_of_a_certificate
check "the audit names its bearer" the_audit_names_its_bearer
check "a token's file that others may read is not used" a_file_that_others_may_read_is_not_used
check "what is no token is not sent" what_is_no_token_is_not_sent
check "a new token of a name is good beside the old one" two_of_one_name_are_good_at_a_time
check "a removed token is worth nothing" removed_it_is_worth_nothing
check "curl shows one, too" curl_shows_it_too
check "each refusal is counted, and in the audit" each_refusal_is_counted_and_in_the_audit
check "--check tells of a bad file of tokens" a_bad_file_is_told_by_check
check "no token is in the log" nothing_of_it_is_logged
