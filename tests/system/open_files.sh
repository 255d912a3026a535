#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# limits.open_files, where the limit that xenresd is started with is lower: root raises it, and others say so.
# shellcheck source=tests/lib/functions.sh
. "$(dirname "$0")/../lib/functions.sh"
requires setpriv pgrep

low() { bash -c 'ulimit -n 512; exec "$@"' low "$@"; } # COMMAND...
has_files() { grep -Eq '^Max open files +4096 +4096 ' "/proc/$1/limits"; } # PID
worker_pid() { pgrep -P "${pid[gateway]}" -f -- --worker; }
serves() { [ -n "$(worker_pid)" ] && has_files "$(worker_pid)"; }

may_raise() { bash -c 'ulimit -n 512; ulimit -n 513' 2>/dev/null; }

# Root in a container may not, and is told as others are.
root_raises_it_where_it_may() {
    local said='xenresd: ready$'
    [ "$(id -u)" -eq 0 ] || skip "root may"
    start demo "$BUILD/xenresd" --demo "$work/demo"
    wait_file demo "$work/demo/env" 30
    stop demo
    may_raise || said='RLIMIT_NOFILE is limited to 512, but 4096 is configured'
    start gateway bash -c 'ulimit -n 512; exec "$@"' low "$BUILD/xenresd" --config "$work/demo/xenresd.conf"
    wait_until 20 grep -qs "$said" "$work/gateway.log"
    if may_raise; then
        serves
        kill -KILL "$(worker_pid)" # the next one is started by what little the supervisor has kept
        wait_until 20 serves
    fi
    stop gateway || true
}

with_limits() { # LIMITS: a configuration
    sed "/^limits {/,/^}/d" "$dir/own.conf" >"$dir/limits.conf"
    echo "limits { $1 }" >>"$dir/limits.conf"
}

others_make_do_with_what_there_is_if_it_is_enough() {
    with_limits 'open_files = 4096 connections = 449'
    fails 19 low "${as_user[@]}" "$dir/xenresd" --config "$dir/limits.conf"
    contains "$(cat "$work/said")" "RLIMIT_NOFILE is limited to 512, but 4096 is configured; raise the limit of the service"
    with_limits 'open_files = 4096 connections = 448'
    start modest bash -c 'ulimit -n 512; exec "$@"' low "${as_user[@]}" "$dir/xenresd" --config "$dir/limits.conf"
    wait_until 20 grep -qs 'xenresd: ready$' "$work/modest.log"
    contains "$(cat "$work/modest.log")" "RLIMIT_NOFILE is limited to 512, where limits.open_files is 4096"
    stop modest
}

dir=$(mktemp -d /tmp/xr.XXXXXX) # an ordinary user has to reach it
cleanup rm -rf "$dir"
cp "$BUILD/xenresd" "$BUILD/xenresd-mapper-sim" "$dir/"
as_user=()
if [ "$(id -u)" -eq 0 ]; then
    chown -R nobody "$dir"
    as_user=(setpriv --reuid nobody --regid nogroup --clear-groups)
fi
start small "${as_user[@]}" "$dir/xenresd" --demo "$dir"
wait_file small "$dir/env" 30
stop small
sed "/^mapper {/,/^}/c mapper {\n    socket = \"$dir/mapper.sock\"\n}" "$dir/xenresd.conf" >"$dir/own.conf"
check "root raises it, where it may" root_raises_it_where_it_may
check "others make do with what there is, if it is enough" others_make_do_with_what_there_is_if_it_is_enough
