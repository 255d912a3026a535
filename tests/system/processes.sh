#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# Either program is killed, stopped, or told to end: what clients see meanwhile, and that it recovers.
. "$(dirname "$0")/../lib/functions.sh"
requires curl pgrep

xenres() { "$BUILD/xenres" --timeout 20 "$@"; }

mapper_pid() { pgrep -P "${pid[demo]}" -f xenresd-mapper-sim; }
worker_pid() { pgrep -P "${pid[demo]}" -f -- --worker; }
answers() { xenres domains >/dev/null 2>&1; }
health() { curl -s --max-time 5 -o "$work/health" -w '%{http_code}' --unix-socket "$work/demo/health.sock" "http://h$1"; }
is_health() { [ "$(health "$1")" = "$2" ]; }
differs() { local now; now=$("$1") && [ -n "$now" ] && [ "$now" != "$2" ]; }

# A request that waits for a mapper which is stopped; its status goes to a file. By curl: xenres would
# ask again.
request_in_background() { # MAPPER
    kill -STOP "$1"
    { curl -s --max-time 20 --cacert "$XENRES_CACERT" --cert "$XENRES_CERT" --key "$XENRES_KEY" \
          -o "$work/flight.out" -w '%{http_code}' \
          "$XENRES_SERVER/v1/domains/1/resources/grant_table/0/frames?count=1" >"$work/flight.status" || true; } &
    flight=$!
}

is_waiting() { # the worker has its answer outstanding
    [ "$(health /metrics)" = 200 ] && grep -qx 'xenresd_requests_in_flight 1' "$work/health"
}

a_killed_mapper_fails_what_is_in_flight_and_comes_back() {
    local mapper
    mapper=$(mapper_pid)
    request_in_background "$mapper"
    wait_until 20 is_waiting
    kill -KILL "$mapper"
    wait "$flight"
    same "$(cat "$work/flight.status")" 503 "HTTP status (unavailable)"
    contains "$(cat "$work/flight.out")" '"code":"unavailable"' "what the client was told"
    wait_until 10 answers
    differs mapper_pid "$mapper"
    same "$(health /readyz)" 200
}

a_killed_worker_comes_back_at_the_same_port() {
    worker_comes_back_after KILL
}

# In good order: it must leave the socket, which the supervisor holds for all of them, as it was.
a_worker_that_ends_comes_back_at_the_same_port() {
    worker_comes_back_after TERM
}

worker_comes_back_after() { # SIGNAL
    local worker mapper
    worker=$(worker_pid)
    mapper=$(mapper_pid)
    kill -"$1" "$worker"
    wait_until 10 differs worker_pid "$worker"
    wait_until 10 answers
    differs mapper_pid "$mapper" # it ended with its peer, and gave back all that it held
}

a_stopped_mapper_delays_only_what_needs_it() {
    local mapper
    mapper=$(mapper_pid)
    kill -STOP "$mapper"
    same "$(health /healthz)" 200
    xenres host >"$work/host"
    fails 14 "$BUILD/xenres" --timeout 1 snapshot 1 grant_table --count 1
    contains "$(cat "$work/said")" "next:"
    fails 14 "$BUILD/xenres" --timeout 1 grants 1
    same "$(health /healthz)" 200
    kill -CONT "$mapper"
    wait_until 10 answers
    same "$(mapper_pid)" "$mapper" "the same mapper"
}

the_end_leaves_nothing() {
    local worker mapper runtime
    worker=$(worker_pid)
    mapper=$(mapper_pid)
    runtime=$(tr '\0' '\n' <"/proc/$worker/cmdline" | tail -n 1)
    [ -S "$runtime" ]
    stop demo TERM 10
    ! kill -0 "$worker" 2>/dev/null
    ! kill -0 "$mapper" 2>/dev/null
    [ ! -e "$(dirname "$runtime")" ]
}

a_killed_supervisor_takes_both_along() {
    local worker mapper
    worker=$(worker_pid)
    mapper=$(mapper_pid)
    stop demo KILL 5 || true
    gone "$worker" 10
    gone "$mapper" 10
}

a_mapper_that_cannot_start_ends_the_supervisor_with_its_reason() {
    sed 's/^allow .*/allow everything/' "$work/demo/export" >"$work/export.bad"
    sed "s|$work/demo/export|$work/export.bad|" "$work/demo/xenresd.conf" >"$work/bad.conf"
    fails 24 timeout 30 "$BUILD/xenresd" --config "$work/bad.conf"
    contains "$(cat "$work/said")" "export.bad:"
    contains "$(cat "$work/said")" "was never ready"
}

with_mapper_user() { # LINE: a configuration like the demonstration's, but for that
    sed "/^mapper/,/^}/s|^ *user .*|$1|" "$work/demo/xenresd.conf" >"$work/user.conf"
}
uid_of_mapper() { # of the daemon `user`
    awk '$1 == "Uid:" { print $2, $3, $4 }' "/proc/$(pgrep -P "${pid[user]}" -f xenresd-mapper-sim)/status"
}
is_uid_of_mapper() { [ "$(uid_of_mapper 2>/dev/null)" = "$1 $1 $1" ]; }

# Without a word, its own user, as sysusers makes it: and where there is none it does not start.
a_mapper_is_root_only_where_that_is_said() {
    [ "$(id -u)" -eq 0 ] || skip "needs root"
    local own
    own=$(id -u xenresd-mapper 2>/dev/null) || own=
    with_mapper_user ''
    never_root "$own"
    with_mapper_user 'user = ""'
    never_root ''
    with_mapper_user 'user = "root"'
    "$BUILD/xenresd" --check --config "$work/user.conf" >"$work/said" 2>&1
    contains "$(cat "$work/said")" "mapper.user: warning: a mapper that is started as root stays root"
    "$BUILD/xenresd" doctor --config "$work/user.conf" >"$work/said" 2>&1 || true
    contains "$(cat "$work/said")" "warning  mapper's user: it stays root"
    start user "$BUILD/xenresd" --config "$work/user.conf"
    wait_until 20 is_uid_of_mapper 0
    stop user
}
never_root() { # UID: "" where there is no such user
    if [ -n "$1" ]; then
        start user "$BUILD/xenresd" --config "$work/user.conf"
        wait_until 20 is_uid_of_mapper "$1"
        stop user
    else
        fails 24 timeout 30 "$BUILD/xenresd" --config "$work/user.conf"
        grep -Eq 'there is no user|--user is empty' "$work/said"
    fi
    "$BUILD/xenresd" --check --config "$work/user.conf" >"$work/said" 2>&1 || true
    same "$(grep -c "stays root" "$work/said" || true)" 0 "warnings"
}

# It is in the files, and so no better the next time: told once, by the status of its kind.
a_worker_that_cannot_start_ends_it_at_once() {
    sed "s|$work/demo/policy.conf|$work/demo/no-policy|" "$work/demo/xenresd.conf" >"$work/bad.conf"
    fails 15 timeout 30 "$BUILD/xenresd" --config "$work/bad.conf"
    contains "$(cat "$work/said")" "the worker ended with status 15, 1 time, and was never ready"
    contains "$(cat "$work/said")" "cannot open $work/demo/no-policy"
    same "$(grep -c "starting it again" "$work/said" || true)" 0 "tries behind it"
    fails 19 timeout 30 "$BUILD/xenresd" --config "$work/demo/xenresd.conf" --worker "$work/mapper.sock"
    contains "$(cat "$work/said")" "started by its supervisor"
}

# Neither what the starter had open, nor where its service manager listens.
children_get_nothing_that_they_need_not() {
    local child
    for child in "$(worker_pid)" "$(mapper_pid)"; do
        [ -n "$child" ]
        same "$(find "/proc/$child/fd" -lname "$work/not-for-them")" "" "descriptors of $child"
    done
    same "$(tr '\0' '\n' <"/proc/$(mapper_pid)/environ" | grep -c NOTIFY_SOCKET)" 0 "the mapper's environment"
}

# Every thread of it: a sandbox that one has missed is none.
the_serving_process_has_no_privilege() {
    local worker threads line user
    worker=$(worker_pid)
    user=$(id -u)
    [ "$user" != 0 ] || user=$(id -u nobody) # the demonstration's server.user
    cat "/proc/$worker"/task/*/status | tr '\t' ' ' >"$work/status"
    threads=$(grep -c '^Pid:' "$work/status")
    [ "$threads" -gt 1 ]
    for line in "Uid: $user $user $user $user" 'NoNewPrivs: 1' 'Seccomp: 2' 'CapInh: 0000000000000000' \
        'CapPrm: 0000000000000000' 'CapEff: 0000000000000000' 'CapAmb: 0000000000000000'; do
        same "$(grep -cxF "$line" "$work/status")" "$threads" "threads with $line"
    done
    grep -Eq '^Max core file size +0 +0 ' "/proc/$worker/limits"
    grep -Eq '^Max open files +4096 +4096 ' "/proc/$worker/limits" # limits.open_files
    # The kernel keeps what may not be dumped from debuggers of the same user. A sanitizer needs one.
    [[ $BUILD == */sanitize-* ]] || same "$(stat -c %u "/proc/$worker/mem")" 0 "owner of its memory"
}

# Who watches the supervisor says how long a worker may be silent.
a_worker_that_hangs_is_ended_and_comes_back() {
    local worker
    rm -f "$work/demo/health.sock" # of the killed one, whose worker may still be ending
    WATCHDOG_USEC=2000000 start_demo
    worker=$(worker_pid)
    kill -STOP "$worker"
    wait_until 10 differs worker_pid "$worker"
    wait_until 10 answers
    contains "$(cat "$work/demo.log")" "the worker has not said for 2 s that it lives"
    stop demo TERM 10
}

# Likewise; and what only root can take away, where it was root.
what_it_can_read_no_longer_it_has_read_before() {
    contains "$("$BUILD/xenres" -o json host)" "$(cat /proc/sys/kernel/random/boot_id)" "the host's boot"
}

the_mapper_has_a_filter_too() {
    local threads line
    cat "/proc/$(mapper_pid)"/task/*/status | tr '\t' ' ' >"$work/status"
    threads=$(grep -c '^Pid:' "$work/status")
    for line in 'NoNewPrivs: 1' 'Seccomp: 2'; do
        same "$(grep -cxF "$line" "$work/status")" "$threads" "threads with $line"
    done
    grep -Eq '^Max core file size +0 +0 ' "/proc/$(mapper_pid)/limits"
}

# It keeps what it takes to start the two, and nothing else.
the_supervisor_has_little() {
    tr '\t' ' ' <"/proc/${pid[demo]}/status" >"$work/status"
    grep -qx 'NoNewPrivs: 1' "$work/status"
    [[ $BUILD == */sanitize-* ]] || grep -qx 'Seccomp: 2' "$work/status"
    grep -Eq '^Max core file size +0 +0 ' "/proc/${pid[demo]}/limits"
    [ "$(id -u)" -eq 0 ] || skip "needs root"
    # chown, setuid, setgid, setpcap, kill, sys_resource, dac_override and dac_read_search, where it had them
    local name bits
    for name in CapPrm CapEff CapBnd; do
        bits=0x$(sed -n "s/^$name: //p" "$work/status")
        same "$((bits & ~0x10001e7))" 0 "$name beyond what it needs"
        same "$((bits & 0xe0))" "$((0xe0))" "$name that it needs"
    done
    same "$(sed -n 's/^CapInh: //p' "$work/status")" 0000000000000000 CapInh
    tr '\t' ' ' <"/proc/$(worker_pid)/status" >"$work/status"
    same "$(sed -n 's/^CapBnd: //p' "$work/status")" 0000000000000000 "those that the worker could have"
}

# Its third unmap fails: then it ends with its reason, and the next one serves.
a_mapper_that_gives_up_is_started_again() {
    local mapper
    cat >"$work/scenario" <<'END'
domain "two" {
  domid = 1  uuid = "22222222-2222-2222-2222-222222222222"
  grants { version = 2  frames = 2  entries = 300 }
}
fault { operation = "unmap"  errno = "ENOMEM"  call = 3 }
END
    start_demo --scenario "$work/scenario"
    mapper=$(mapper_pid)
    xenres snapshot 1 grant_table 1 >"$work/status-frames"
    xenres snapshot 1 grant_table 1 >"$work/status-frames"
    # By curl: xenres would ask again.
    same "$(curl -s --max-time 20 --cacert "$XENRES_CACERT" --cert "$XENRES_CERT" --key "$XENRES_KEY" \
        -o "$work/answer" -w '%{http_code}' \
        "$XENRES_SERVER/v1/domains/1/resources/grant_table/1/frames")" 503 "status of the answer"
    wait_until 10 answers
    differs mapper_pid "$mapper"
    xenres snapshot 1 grant_table 1 | cmp - "$work/status-frames"
    contains "$(cat "$work/demo.log")" "a guest's frames could not be unmapped"
    stop demo TERM 10
}

# One that never asks to end with it, either.
a_killed_supervisor_takes_any_child_along() {
    local child
    printf '#!/bin/sh\nexec sleep 600\n' >"$work/sleeper"
    chmod 755 "$work/sleeper"
    sed "s|program *=.*|program = \"$work/sleeper\"|; s|scenario *=.*||" "$work/demo/xenresd.conf" >"$work/sleeper.conf"
    start sleeper "$BUILD/xenresd" --config "$work/sleeper.conf"
    wait_until 10 pgrep -P "${pid[sleeper]}" -x sleep
    child=$(pgrep -P "${pid[sleeper]}" -x sleep)
    stop sleeper KILL 5 || true
    gone "$child" 10
}

: >"$work/not-for-them"
exec 9<"$work/not-for-them"
NOTIFY_SOCKET=@xenresd-test-nobody start_demo
exec 9<&-
check "children get nothing that they need not" children_get_nothing_that_they_need_not
check "the serving process has no privilege" the_serving_process_has_no_privilege
check "what it can read no longer, it has read before" what_it_can_read_no_longer_it_has_read_before
check "the mapper has a filter, too" the_mapper_has_a_filter_too
check "the supervisor has little" the_supervisor_has_little
check "a killed mapper fails what is in flight, and comes back" a_killed_mapper_fails_what_is_in_flight_and_comes_back
check "a killed worker comes back at the same port" a_killed_worker_comes_back_at_the_same_port
check "a worker that ends comes back at the same port" a_worker_that_ends_comes_back_at_the_same_port
check "a stopped mapper delays only what needs it" a_stopped_mapper_delays_only_what_needs_it
check "the end leaves nothing" the_end_leaves_nothing
unset "pid[demo]"
start_demo
check "a killed supervisor takes both along" a_killed_supervisor_takes_both_along
check "a killed supervisor takes any child along" a_killed_supervisor_takes_any_child_along
unset "pid[demo]"
check "a worker that hangs is ended, and comes back" a_worker_that_hangs_is_ended_and_comes_back
check "a mapper that gives up is started again" a_mapper_that_gives_up_is_started_again
check "a mapper is root only where that is said" a_mapper_is_root_only_where_that_is_said
check "a worker that cannot start ends it at once" a_worker_that_cannot_start_ends_it_at_once
check "a mapper that cannot start ends the supervisor with its reason" a_mapper_that_cannot_start_ends_the_supervisor_with_its_reason
