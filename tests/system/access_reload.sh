#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# time-limit: 240
# Clients with certificates and tokens ask and watch side by side, while the deny list, the policy, the file of tokens
# and the server's certificate change, with a signal and without: who is shut out is out, who is not notices nothing,
# and the audit is whole in the end. It is for the thread sanitizer above all (make check-thread).
# shellcheck source=tests/lib/functions.sh
. "$(dirname "$0")/../lib/functions.sh"

rounds=5
askers=(operator erin visitor dora)        # … of whom the last two are shut out now and then, and so is
watchers=(operator erin visitor dora code) # `code`: the operator, who decodes

demo=$work/demo
grants='"domain":"web-1","type":"RESOURCE_TYPE_GRANT_TABLE","period":"0.02s"'

# with NAME: $with, before a command, shows NAME's token where he has one, else his certificate.
with() {
    case $1 in
    erin | dora) with=(env -u XENRES_CERT -u XENRES_KEY XENRES_TOKEN_FILE="$work/$1.token") ;;
    code) with operator ;;
    *) with=(env XENRES_CERT="$demo/$1.crt" XENRES_KEY="$demo/$1.key") ;;
    esac
}

# Whole at any moment, as an operator does it.
put() { # FILE, from standard input
    cat >"$1.new"
    chmod 644 "$1.new"
    mv "$1.new" "$1"
}

count() { grep -c "$1" "$work/demo.log" || true; }
came() { [ "$(count "$1")" -gt "$2" ]; }
reload_until() { # LOG-LINE
    local before
    before=$(count "$1")
    kill -HUP "${pid[demo]}"
    wait_until 30 came "$1" "$before"
}

# --- clients ---

# One after the other, each with its status, until a file says that it is enough.
ask_on_and_on() { # NAME
    local status
    with "$1"
    while [ ! -e "$work/enough" ]; do
        status=0
        "${with[@]}" "$BUILD/xenres" --timeout 60 host >/dev/null 2>"$work/asked.$1.said" || status=$?
        echo "$status" >>"$work/asked.$1"
    done
}
asked() { wc -l <"$work/asked.$1"; }
has_asked_again() { [ "$(asked "$1")" -gt "$2" ]; } # NAME ANSWERS
answer() { [ "$(tail -n 1 "$work/asked.$1")" -eq "$2" ]; } # NAME STATUS

watch() { # NAME: a stream in the background; its messages are lines of $work/NAME.log
    local method=HostService/WatchDomains json='{}'
    case $1 in
    operator) method=ResourceService/Watch json="{$grants}" ;;
    code) method=ResourceService/Watch json="{$grants,\"decode\":true}" ;;
    esac
    rm -f "$work/$1.log" # of an earlier one
    with "$1"
    start "$1" "${with[@]}" "$BUILD/xenres" --timeout 120 call "$method" "$json"
}
has() { grep -qs "$2" "$work/$1.log"; }                                        # NAME TEXT
comes() { wait_until 30 has "$@" || { tail -c 500 "$work/$1.log"; return 1; }; } # NAME TEXT
lines() { wc -l <"$work/$1.log"; }
has_more() { [ "$(lines "$1")" -gt "$2" ]; } # NAME LINES
goes_on() { # NAME
    ! has "$1" '^{"end":'
    kill -0 "$(cat "$work/$1.pid")"
    wait_until 30 has_more "$1" "$(lines "$1")"
}

# --- the rules ---

shut() { # ROUND: in turn with a signal and without
    sed 's/"watch", "decode", /"watch", /' "$demo/policy.good" | put "$demo/policy.conf"
    echo 'identity:spiffe:spiffe://xenres.demo/visitor' | put "$work/deny"
    "$BUILD/xenresd" token remove "$(cut -d_ -f2 "$work/dora.token")" --file "$work/tokens"
    for ((i = 0; i < $1; i++)); do kill -HUP "${pid[demo]}"; done
    [ "$1" -lt 2 ] || reload_until reloaded
}

open_again() {
    put "$demo/policy.conf" <"$demo/policy.good"
    echo '# nobody' | put "$work/deny"
    put "$work/tokens" <"$work/tokens.good"
    reload_until reloaded
}

what_is_broken_changes_nothing() {
    echo 'rule "x" { effect = perhaps }' | cat "$demo/policy.good" - | put "$demo/policy.conf"
    echo 'identity:nobody knows' | put "$work/deny"
    reload_until 'reload refused'
}

each_round_is_in_force_for_whom_it_is() {
    local round name before
    for ((round = 0; round < rounds; round++)); do
        for name in "${watchers[@]}"; do watch "$name"; done
        comes operator '^{"changes":'
        comes code '^{"decoded":'
        for name in erin visitor dora; do comes "$name" '"list"'; done
        shut $((round % 4))
        # The policy is read at a signal alone.
        [ $((round % 4)) -ge 2 ] || reload_until reloaded
        for name in visitor dora code; do comes "$name" WATCH_END_REASON_PERMISSION_WITHDRAWN; done
        for name in operator erin; do goes_on "$name"; done
        for name in visitor dora; do wait_until 60 answer "$name" 26; done
        what_is_broken_changes_nothing
        for name in operator erin; do goes_on "$name"; done
        open_again
        for name in visitor dora; do wait_until 60 answer "$name" 0; done
        for name in "${watchers[@]}"; do stop "$name" TERM 30 || true; done
    done
}

others_were_answered_each_time() {
    local name
    for name in "${askers[@]}"; do
        before=$(asked "$name")
        wait_until 30 has_asked_again "$name" "$before"
    done
    for name in operator erin; do
        same "$(sort -u "$work/asked.$name")" 0 "answers to $name, who then said: $(cat "$work/asked.$name.said")"
    done
    for name in visitor dora; do
        same "$(sort -un "$work/asked.$name" | tr '\n' ' ')" "0 26 " "answers to $name"
    done
}

a_stop_in_the_midst_of_it_leaves_a_whole_audit() {
    local name
    for name in operator erin; do
        watch "$name"
        comes "$name" '^{"'
    done
    echo 'identity:spiffe:spiffe://xenres.demo/visitor' | put "$work/deny"
    kill -HUP "${pid[demo]}"
    touch "$work/enough"
    stop demo TERM 30
    for name in operator erin; do comes "$name" WATCH_END_REASON_SHUTTING_DOWN; done
    for name in "${askers[@]}"; do gone "$(cat "$work/asker.$name.pid")" 60; done
    "$BUILD/xenresd" audit verify --key "$demo/audit.key" --public-key "$demo/audit.sign.pub" --state "$demo/audit.state" \
        "$demo/audit.log" >"$work/said"
    contains "$(cat "$work/said")" "verified up to record"
}

start_demo
stop demo
for name in erin dora; do
    (umask 077 && "$BUILD/xenresd" token add "$name" --file "$work/tokens" >"$work/$name.token" 2>/dev/null)
done
cp "$work/tokens" "$work/tokens.good"
echo '# nobody' | put "$work/deny"
printf 'server { deny = "%s" heartbeat_s = 1 }\ntls { client_certificate = "optional" }\ntokens { file = "%s" }\n' \
    "$work/deny" "$work/tokens" >>"$demo/xenresd.conf"
sed -i 's|"spiffe:[^"]*visitor"|&, "token:erin", "token:dora"|' "$demo/policy.conf"
cp "$demo/policy.conf" "$demo/policy.good"
start_demo
for name in "${askers[@]}"; do
    start "asker.$name" ask_on_and_on "$name"
    wait_until 30 test -s "$work/asked.$name"
done
check "each round is in force for whom it is" each_round_is_in_force_for_whom_it_is
check "others were answered each time" others_were_answered_each_time
check "a stop in the midst of it leaves a whole audit" a_stop_in_the_midst_of_it_leaves_a_whole_audit
