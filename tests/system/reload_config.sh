#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# SIGHUP: the configuration is read again with all that it names, and counts as a whole or not at all; both with a
# supervisor, which hands its files on, and alone, within its sandbox.
. "$(dirname "$0")/../lib/functions.sh"
requires curl pgrep setpriv

xenres() { "$BUILD/xenres" --timeout 20 "$@"; }
count() { grep -c "$1" "$work/$daemon.log" || true; }
came() { [ "$(count "$1")" -gt "$2" ]; }
reload_until() { # LOG-LINE
    local before
    before=$(count "$1")
    kill -HUP "${pid[$daemon]}"
    wait_until 10 came "$1" "$before"
}
# The configuration becomes what it was at the start, without some lines, and a text behind it.
configure() { # TEXT [PATTERN]
    { sed "/${2:-^$}/d" "$work/$daemon.conf" && echo "$1"; } >"$config"
}
as_visitor() { XENRES_CERT=$dir/visitor.crt XENRES_KEY=$dir/visitor.key xenres whoami; }
# How many of eight requests at once are too many.
refused() {
    local url=$XENRES_SERVER/v1/domains/1/resources/grant_table/0/frames?count=1
    curl -s --max-time 20 --cacert "$XENRES_CACERT" --cert "$XENRES_CERT" --key "$XENRES_KEY" \
        -w '%{http_code}\n' -o /dev/null "$url" -o /dev/null "$url" -o /dev/null "$url" -o /dev/null "$url" \
        -o /dev/null "$url" -o /dev/null "$url" -o /dev/null "$url" -o /dev/null "$url" >"$work/codes"
    same "$(grep -c . "$work/codes")" 8 answers
    count=$(grep -c 429 "$work/codes" || true)
}
# Whom a limit has held until just now may be refused once more.
nobody_is_limited() { refused && refused && same "$count" 0 "requests refused"; }
# A second's worth may come at once, and eight requests take less than some seconds.
all_are_limited() { refused && [ "$count" -ge 1 ]; }

limits_count_at_once() {
    nobody_is_limited
    configure 'limits { requests_per_s_per_identity = 1 }'
    reload_until reloaded
    all_are_limited
    configure ''
    reload_until reloaded
    nobody_is_limited
}

authorities_count_at_once() {
    as_visitor
    configure "trust \"one\" { ca = \"$dir/ca.crt\" identities = { \"spiffe:spiffe://xenres.demo/operator\" } }" client_ca
    reload_until reloaded
    xenres whoami
    ! as_visitor
    configure ''
    reload_until reloaded
    as_visitor
}

a_broken_configuration_is_refused_whole() {
    local line
    configure 'limits { requests_per_s_per_identity = 1 }
limits { calls_per_identity = many }'
    line=$(wc -l <"$config")
    reload_until "reload refused.*xenresd.conf:$line: "
    nobody_is_limited
    configure 'limits { requests_per_s_per_identity = 1 handshake_exempt = "nowhere" }'
    reload_until 'reload refused.*limits.handshake_exempt: "nowhere"'
    nobody_is_limited
    # A good configuration with a bad file beside it.
    configure 'limits { requests_per_s_per_identity = 1 }'
    cp "$dir/policy.conf" "$work/policy.good"
    echo 'rule "x" { effect = perhaps }' >>"$dir/policy.conf"
    reload_until 'reload refused.*policy.conf:'
    nobody_is_limited
    cat "$work/policy.good" >"$dir/policy.conf"
    rm "$config"
    reload_until 'reload refused.*xenresd.conf'
    nobody_is_limited
    configure ''
    reload_until reloaded
}

what_needs_a_restart_is_named() {
    configure 'limits { connections = 99 connections_per_address = 9 requests_per_s_per_identity = 1 }'
    reload_until 'limits.connections_per_address has changed, which counts when xenresd is restarted'
    all_are_limited
    same "$(grep -c 'requests_per_s_per_identity has changed' "$work/$daemon.log")" 0 "warnings of what counts at once"
    configure ''
    reload_until reloaded
}

# Who serves can open none of them: its supervisor hands it what the configuration names now.
a_file_that_was_not_named_before_counts_at_once() {
    mkdir -p "$work/elsewhere"
    chmod 755 "$work/elsewhere"
    echo 'identity:spiffe:spiffe://xenres.demo/visitor' >"$work/elsewhere/deny"
    chown "$owner" "$work/elsewhere/deny"
    configure "server { deny = \"$work/elsewhere/deny\" }"
    reload_until reloaded
    ! as_visitor
    # It is followed from then on, as those of the start are.
    echo '# nobody' >"$work/elsewhere/deny"
    wait_until 20 as_visitor
}

# Of a configuration that is refused nothing counts, and what the one in force names is followed on.
a_refused_one_leaves_the_old_files_followed() {
    configure "server { deny = \"$work/elsewhere/deny\" } limits { threads = many }"
    reload_until 'reload refused.*threads'
    as_visitor
    echo 'identity:spiffe:spiffe://xenres.demo/visitor' >"$work/elsewhere/deny"
    not_as_visitor() { ! as_visitor; }
    wait_until 20 not_as_visitor
    # One that names others, but one of these is not there.
    configure "server { deny = \"$work/elsewhere/other\" }"
    reload_until 'reload refused.*other'
    not_as_visitor
    echo '# nobody' >"$work/elsewhere/deny"
    wait_until 20 as_visitor
    configure ''
    reload_until reloaded
}

records() { grep -c "\"event\":\"reload\".*$1" "$dir/audit.log" || true; }
recorded() { [ "$(records "$1")" -gt "$2" ]; }
# Also what nobody gave a signal for.
the_audit_has_each_of_them() {
    local done refused changed broken
    done=$(records '"reason":"signal"')
    refused=$(records 'outcome":"[a-z_]*","reason":"signal","detail":"[^"]*xenresd.conf')
    changed=$(records '"reason":"files"')
    broken=$(records 'outcome":"[a-z_]*","reason":"files","detail":"[^"]*deny:1')
    echo '# nobody' >"$dir/deny"
    chown "$owner" "$dir/deny"
    configure "server { deny = \"$dir/deny\" }"
    reload_until reloaded
    wait_until 20 recorded '"reason":"signal"' "$done"
    echo '# nobody at all' >"$dir/deny"
    wait_until 20 recorded '"reason":"files"' "$changed"
    echo 'what is this' >"$dir/deny"
    wait_until 20 recorded 'outcome":"[a-z_]*","reason":"files","detail":"[^"]*deny:1' "$broken"
    configure 'nonsense'
    reload_until 'reload refused'
    wait_until 20 recorded 'outcome":"[a-z_]*","reason":"signal","detail":"[^"]*xenresd.conf' "$refused"
    configure ''
    reload_until reloaded
    rm "$dir/deny"
}

worker_pid() { pgrep -P "${pid[demo]}" -f -- --worker; }
another_worker_serves() { # PID
    local now
    now=$(worker_pid) && [ -n "$now" ] && [ "$now" != "$1" ] && xenres whoami
}
# Which files there are has changed since the supervisor has started.
another_worker_reads_the_configuration_of_now() {
    local worker
    echo 'identity:spiffe:spiffe://xenres.demo/visitor' >"$dir/deny"
    configure "server { deny = \"$dir/deny\" }"
    worker=$(worker_pid)
    kill -KILL "$worker"
    wait_until 20 another_worker_serves "$worker"
    ! as_visitor
    echo '# nobody' >"$dir/deny"
    reload_until reloaded
    as_visitor
    configure ''
    reload_until reloaded
    worker=$(worker_pid)
    kill -KILL "$worker"
    wait_until 20 another_worker_serves "$worker"
    reload_until reloaded
}

all_of_it() { # HOW
    check "$1, limits count at once" limits_count_at_once
    check "$1, authorities count at once" authorities_count_at_once
    check "$1, a broken configuration is refused whole" a_broken_configuration_is_refused_whole
    check "$1, what needs a restart is named" what_needs_a_restart_is_named
    check "$1, a file that was not named before counts at once" a_file_that_was_not_named_before_counts_at_once
    check "$1, a refused one leaves the old files followed" a_refused_one_leaves_the_old_files_followed
}

dir=$work/demo
config=$dir/xenresd.conf
owner=$(id -un)
daemon=demo
start_demo
cp "$config" "$work/demo.conf"
all_of_it "with a supervisor"
check "another worker reads the configuration of now" another_worker_reads_the_configuration_of_now
stop demo

daemon=alone
sed "s|^ *program *=.*||; s|^mapper {|mapper {\n    socket = \"$dir/mapper.sock\"|" "$work/demo.conf" >"$work/alone.conf"
configure ''
cp "$BUILD/xenresd" "$BUILD/xenresd-mapper-sim" "$dir/"
as_user=()
if [ "$(id -u)" -eq 0 ]; then
    owner=nobody
    chown -R nobody "$dir"
    as_user=(setpriv --reuid nobody --regid nogroup --clear-groups)
fi
start mapper "${as_user[@]}" "$dir/xenresd-mapper-sim" --socket "$dir/mapper.sock" --export "$dir/export"
start alone "${as_user[@]}" "$dir/xenresd" --config "$config"
wait_file alone "$work/alone.log"
wait_until 20 came ': ready' 0
XENRES_SERVER=https://127.0.0.1:$(sed -n 's/.*listening on port //p' "$work/alone.log")
all_of_it alone
check "the audit has each of them" the_audit_has_each_of_them
