#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# Names are what a guest's owner makes of them. On a terminal, in JSON, in headers and in the log
# there is nothing of them that moves a cursor, turns text around or is not seen; and a name that
# looks like a number or a UUID is not taken for one. (Control characters below U+0020 are shown by
# unit tests, and with a name in a real xenstore.)
# shellcheck source=tests/lib/functions.sh
. "$(dirname "$0")/../lib/functions.sh"
requires curl jq

xenres() { "$BUILD/xenres" --timeout 20 "$@"; }
uuid_of() { printf '0b3c9f52-6f1e-4d5a-9a0c-3c1d5e7f9a%02d' "$1"; }

overturned=$(printf 'rtl\342\200\256evil')     # U+202E: what follows runs from right to left
c1=$(printf 'c1\302\23331m')                   # U+009B: CSI in one character
unseen=$(printf 'ze\342\200\213ro')            # U+200B: zero width
plain=$(printf 'caf\303\251')
path='slash/../x?y=%41#z'

# Bytes of the characters above that must not come through anywhere.
harmless() { # FILE
    same "$(LC_ALL=C grep -caP '\xe2\x80[\xae\x8b]|\xc2\x9b|\x1b' "$1" || true)" 0 "lines of $1 with such characters"
}

is_called() { # DOMID SHOWN
    same "$(jq -r --argjson n "$1" '.domains[] | select(.identity.domid == $n).identity.name' "$work/json")" "$2" "name of $1"
}

terminals_and_json_see_them_escaped() {
    xenres domains >"$work/table"
    xenres -o json domains >"$work/json"
    harmless "$work/table"
    harmless "$work/json"
    is_called 1 'rtl\xe2\x80\xaeevil'
    is_called 2 'c1\xc2\x9b31m'
    is_called 3 'ze\xe2\x80\x8bro'
    is_called 4 "$plain"
    is_called 5 'back\\x41slash' # one that stands for itself can be told from one of ours
    local domid
    for domid in 1 2 3; do
        xenres resources "$domid" >"$work/table"
        xenres grants "$domid" >>"$work/table"
        harmless "$work/table"
    done
}

headers_are_ascii() {
    local domid
    for domid in 1 2 3 4 5 6; do
        curl -sf --cacert "$XENRES_CACERT" --cert "$XENRES_CERT" --key "$XENRES_KEY" -o /dev/null \
            -D "$work/headers" "$XENRES_SERVER/v1/domains/$domid/resources/grant_table/0/frames"
        grep -q '^Xenres-Name: ' "$work/headers"
        same "$(LC_ALL=C grep -caP '[^\x20-\x7e\r]' "$work/headers" || true)" 0 "lines with other bytes"
    done
}

failures_and_the_log_are_harmless() {
    fails 15 "$BUILD/xenres" resources "$(printf 'no\033[31m')"
    harmless "$work/said"
    fails 15 "$BUILD/xenres" resources "no$overturned"
    harmless "$work/said"
    harmless "$work/demo.log"
}

finds() { # SPELLING DOMID
    same "$(xenres -o json resources "$1" | jq .domain.domid)" "$2" "domain $1"
}

each_is_found_by_its_name() {
    finds "$overturned" 1
    finds "$c1" 2
    finds "$unseen" 3
    finds "$plain" 4
    finds "$path" 6
    finds 'rtl\xe2\x80\xaeevil' 1 # what is shown can be typed
    finds 'back\\x41slash' 5
}

numbers_and_uuids_are_not_names() {
    finds 8 8
    finds name:8 7
    finds "$(uuid_of 1)" 1
    finds "name:$(uuid_of 1)" 8
}

several_of_one_name_are_told_apart() {
    fails 19 "$BUILD/xenres" resources twice
    contains "$(cat "$work/said")" "9, 10"
    finds "$(uuid_of 10)" 10
}

number=0
for name in "$overturned" "$c1" "$unseen" "$plain" 'back\\x41slash' "$path" 8 "$(uuid_of 1)" twice twice; do
    number=$((number + 1))
    printf 'domain "d%d" { domid = %d uuid = "%s" name = "%s" grants { frames = 1 } }\n' \
        "$number" "$number" "$(uuid_of "$number")" "$name"
done >"$work/scenario"
start_demo --scenario "$work/scenario"
check "terminals and JSON see them escaped" terminals_and_json_see_them_escaped
check "headers are ASCII" headers_are_ascii
check "each is found by its name" each_is_found_by_its_name
check "numbers and UUIDs are not names" numbers_and_uuids_are_not_names
check "several of one name are told apart" several_of_one_name_are_told_apart
check "failures and the log are harmless" failures_and_the_log_are_harmless
