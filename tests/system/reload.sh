#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# SIGHUP: policy, certificates and the deny list are read again, all or nothing. The service runs as a user who may
# still read its files then, as a deployment that reloads has it.
. "$(dirname "$0")/../lib/functions.sh"
requires setpriv

xenres() { "$BUILD/xenres" --timeout 20 "$@"; }
sees_domains() { [ "$(xenres -o json domains | grep -c '"domid"')" -gt 0 ]; }
sees_nothing() { [ "$(xenres -o json domains | grep -c '"domid"' || true)" -eq 0 ]; }
# How often the log has a line so far; and whether it has it once more than `before`.
count() { grep -c "$1" "$work/demo.log" || true; }
came() { [ "$(count "$1")" -gt "$2" ]; }

reload_until() { # LOG-LINE
    local before
    before=$(count "$1")
    kill -HUP "${pid[demo]}"
    wait_until 10 came "$1" "$before"
}

a_broken_policy_is_refused_and_the_old_one_stays() {
    echo 'rule "x" { effect = perhaps }' >>"$dir/policy.conf"
    reload_until 'reload refused'
    sees_domains
}

a_broken_certificate_is_refused_with_a_good_policy() {
    sed 's/operator/nobody/' "$dir/policy.good" >"$dir/policy.conf"
    cp "$dir/server.crt" "$dir/server.good"
    echo nonsense >"$dir/server.crt"
    reload_until 'reload refused'
    sees_domains
    cp "$dir/server.good" "$dir/server.crt"
}

a_new_policy_is_in_force() {
    sed 's/operator/nobody/' "$dir/policy.good" >"$dir/policy.conf"
    reload_until 'reloaded'
    sees_nothing
    cp "$dir/policy.good" "$dir/policy.conf"
    reload_until 'reloaded'
    sees_domains
}

as_visitor() { XENRES_CERT=$dir/visitor.crt XENRES_KEY=$dir/visitor.key "$@"; }
has() { grep -qs "$2" "$work/$1.log"; } # NAME TEXT
beats() { grep -c '"heartbeat"' "$work/operator.log" || true; }
beats_again() { [ "$(beats)" -gt "$1" ]; }

who_is_denied_is_out_and_others_notice_nothing() {
    local before
    export XENRES_CERT XENRES_KEY
    start operator "$BUILD/xenres" call HostService/WatchDomains '{}'
    as_visitor start visitor "$BUILD/xenres" call HostService/WatchDomains '{}'
    wait_until 10 has operator '"list"'
    wait_until 10 has visitor '"list"'
    echo 'identity:spiffe:spiffe://xenres.demo/visitor' >"$dir/deny"
    kill -HUP "${pid[demo]}"
    wait_until 2 has visitor WATCH_END_REASON_PERMISSION_WITHDRAWN
    as_visitor fails 26 xenres domains
    before=$(beats)
    wait_until 10 beats_again "$before"
    ! has operator WATCH_END
    # A policy with a fault keeps out nobody less: the list counts by itself.
    echo 'rule "x" { effect = perhaps }' >>"$dir/policy.conf"
    echo 'identity:spiffe:spiffe://xenres.demo/operator' >"$dir/deny"
    reload_until 'reload refused'
    wait_until 2 has operator WATCH_END_REASON_PERMISSION_WITHDRAWN
    cp "$dir/policy.good" "$dir/policy.conf"
    echo '# nobody' >"$dir/deny"
    reload_until 'reloaded'
    sees_domains
    as_visitor xenres domains
}

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
stop demo
rm "$dir/env"
"${as_user[@]}" sh -c 'echo "# nobody" >"$0/deny"; echo "server { deny = \"$0/deny\" heartbeat_s = 1 }" >>"$0/xenresd.conf"' "$dir"
start demo "${as_user[@]}" "$dir/xenresd" --demo "$dir"
wait_file demo "$dir/env" 30
# shellcheck source=/dev/null
. "$dir/env"
cp "$dir/policy.conf" "$dir/policy.good"
check "a broken policy is refused, and the old one stays" a_broken_policy_is_refused_and_the_old_one_stays
check "a broken certificate is refused with a good policy beside it" a_broken_certificate_is_refused_with_a_good_policy
check "a new policy is in force" a_new_policy_is_in_force
check "who is denied is out, and others notice nothing" who_is_denied_is_out_and_others_notice_nothing
