#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# The units of systemd in deploy/, by systemd's own account: that it understands every line, and how exposed what they
# start is.
. "$(dirname "$0")/../lib/functions.sh"
requires systemd-analyze python3 curl setpriv

# Programs of the build are in the places of the installed ones.
stage() {
    local unit
    mkdir -p "$work/units"
    for unit in "$top"/deploy/*.service "$top"/deploy/*.socket; do
        sed "s|/usr/local/sbin|$BUILD|" "$unit" >"$work/units/${unit##*/}"
    done
}

analyze() { SYSTEMD_UNIT_PATH="$work/units:" systemd-analyze --no-pager "$@"; }

every_line_is_understood() {
    # It complains of units of the machine's, too.
    analyze verify --man=no "$work"/units/*.service "$work"/units/*.socket >"$work/said" 2>&1 || true
    same "$(grep -F xenresd "$work/said" || true)" "" "what systemd does not understand"
}

exposure_is_at_most() { # UNIT TENTHS
    analyze security --offline=true --threshold="$2" "$work/units/$1" >"$work/said" 2>&1 || {
        tail -n 1 "$work/said"
        return 1
    }
    tail -n 1 "$work/said"
}

# A score that nothing can fail is none.
a_unit_without_restrictions_would_fail() {
    grep -E '^(\[|Type|ExecStart|Description)' "$work/units/xenresd.service" >"$work/units/bare.service"
    ! exposure_is_at_most bare.service 40
}

# What the program asks its manager for is what the unit gives.
sockets_have_the_names_that_xenresd_knows() {
    same "$(sed -n 's/^FileDescriptorName=//p' "$top/deploy/xenresd.socket")" public
    same "$(sed -n 's/^FileDescriptorName=//p' "$top/deploy/xenresd-health.socket")" health
    same "$(grep -h '^Service=' "$top"/deploy/*.socket | sort -u)" Service=xenresd.service
}

# As systemd starts it: both sockets handed over, a socket for notifications, and a watchdog of two seconds.
as_systemd_does() { # PROGRAM...
    exec python3 - "$work/manager.sock" "$told" "$@" <<'END'
import os, signal, socket, sys

notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
if os.path.exists(sys.argv[1]):
    os.unlink(sys.argv[1])
notify.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o666)
public = socket.create_server(("127.0.0.1", 0))
health = socket.create_server(("127.0.0.1", 0))
child = os.fork()
if child == 0:
    os.dup2(os.dup(public.fileno()), 13)
    os.dup2(os.dup(health.fileno()), 14)
    os.dup2(13, 3)
    os.dup2(14, 4)
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="2", LISTEN_FDNAMES="public:health",
                      NOTIFY_SOCKET=sys.argv[1], WATCHDOG_USEC="2000000", WATCHDOG_PID=str(os.getpid()))
    os.execv(sys.argv[3], sys.argv[3:])
signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGTERM))
with open(sys.argv[2], "w", buffering=1) as told:
    print("ports", public.getsockname()[1], health.getsockname()[1], child, file=told)
    while True:
        word = notify.recv(4096).decode().replace("\n", " ")
        print(word, file=told)
        if "STOPPING=1" in word:
            break
os.waitpid(child, 0)
END
}

told() { [ "$(grep -c "$1" "$told")" -ge "$2" ]; }

the_service_lives_as_systemd_has_it() {
    local _ public health child
    wait_until 20 told READY=1 1
    read -r _ public health child <"$told"
    same "$(curl -s --max-time 5 -o /dev/null -w '%{http_code}' "http://127.0.0.1:$health/healthz")" 200 "health, by its socket"
    XENRES_SERVER=https://127.0.0.1:$public "$BUILD/xenres" --timeout 20 host >"$work/host"
    # Four times in the two seconds that the manager waits.
    wait_until 20 told WATCHDOG=1 5
    # Who hangs says nothing: that is what a watchdog is for.
    kill -STOP "$child"
    local before
    before=$(grep -c WATCHDOG=1 "$told")
    read -rt 1.5 <> <(:) || true
    [ "$(grep -c WATCHDOG=1 "$told")" -le "$((before + 1))" ]
    kill -CONT "$child"
    wait_until 20 told WATCHDOG=1 "$((before + 2))"
}

# The main process hands them over; who serves has access to none.
it_reads_its_files_again() {
    local before
    before=$(grep -c 'reloaded policy' "$work/service.log" || true)
    kill -HUP "$(sed -n 's/^ports .* //p' "$told")"
    wait_until 10 told RELOADING=1 1
    wait_until 10 reloaded_more_than "$before"
    # Another file in its place, as editors and renewers leave it.
    cp -p "$work/demo/policy.conf" "$work/demo/policy.new"
    mv "$work/demo/policy.new" "$work/demo/policy.conf"
    kill -HUP "$(sed -n 's/^ports .* //p' "$told")"
    wait_until 10 reloaded_more_than "$((before + 1))"
    wait_until 10 told 'STATUS=serving; reloaded at ' 2
}
reloaded_more_than() { [ "$(grep -c 'reloaded policy' "$work/service.log")" -gt "$1" ]; }

# The unit's own lines, one after the other until one fails, as systemd has it.
systemctl_reload() {
    local line child
    child=$(sed -n 's/^ports .* //p' "$told")
    while IFS= read -r line; do
        line=${line//'$MAINPID'/$child}
        line=${line//\/usr\/local\/sbin\/xenresd/$work/demo/xenresd}
        line=${line//\/etc\/xenresd\/xenresd.conf/$work/demo/alone.conf}
        # shellcheck disable=SC2086  # words, as systemd has them
        "${as_user[@]}" $line </dev/null || return
    done < <(sed -n 's/^ExecReload=//p' "$top/deploy/xenresd.service")
}
a_reload_says_what_came_of_it() {
    local reloads before
    before=$(grep -c 'STATUS=serving; reloaded at ' "$told" || true)
    systemctl_reload
    wait_until 10 told 'STATUS=serving; reloaded at ' "$((before + 1))"
    reloads=$(grep -c RELOADING=1 "$told")
    cp -p "$work/demo/policy.conf" "$work/policy.good"
    echo 'rule "x" { effect = perhaps }' >>"$work/demo/policy.conf"
    ! systemctl_reload >"$work/said" 2>&1
    contains "$(cat "$work/said")" 'policy.conf:' "what systemctl would show"
    same "$(grep -c RELOADING=1 "$told")" "$reloads" "reloads of the service"
    # Where somebody has sent the signal himself.
    kill -HUP "$(sed -n 's/^ports .* //p' "$told")"
    wait_until 10 told 'STATUS=serving as before; the reload at .* was refused: .*policy.conf:' 1
    contains "$(cat "$work/service.log")" 'reload refused; configuration, certificate, key, policy, limits and lists in force stay: ' log
    # And nothing else says otherwise behind it.
    local lines
    lines=$(grep -c . "$work/service.log")
    read -rt 2.5 <> <(:) || true
    same "$(tail -n "+$((lines + 1))" "$work/service.log")" "" "log behind it"
    cat "$work/policy.good" >"$work/demo/policy.conf"
    systemctl_reload
    sed -i 's/^limits {/limits {\n    connections = 99\n    connections_per_address = 9/; $a limits { feeds = 9 }' "$work/demo/alone.conf"
    systemctl_reload
    wait_until 10 told 'STATUS=serving; reloaded at .*; [0-9]* changed options wait for a restart' 1
}

# As LoadCredential= leaves one: root's, mode 0400, with an access list for the service's user (acl(5)), in a directory
# of tmpfs that is his.
a_credential_is_read() {
    local credentials=/dev/shm/xr.$$ # root's and nobody else's, but for that user
    [ "$(id -u)" -eq 0 ] || skip "needs root"
    cleanup rm -rf "$credentials"
    install -d -m 500 -o nobody "$credentials"
    install -m 400 -o root "$work/demo/server.key" "$credentials/server.key"
    python3 - "$credentials/server.key" "$(id -u nobody)" <<'END'
import os, struct, sys

none = 0xffffffff
entries = [(1, 4, none), (2, 4, int(sys.argv[2])), (4, 0, none), (16, 4, none), (32, 0, none)]
acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *e) for e in entries)
os.setxattr(sys.argv[1], "system.posix_acl_access", acl)
END
    same "$(stat -c '%a %U' "$credentials/server.key")" "440 root" "as stat() shows it"
    sed "s|^ *key  *=.*|    key = \"$credentials/server.key\"|" "$work/demo/alone.conf" >"$work/demo/credential.conf"
    CREDENTIALS_DIRECTORY=$credentials "${as_user[@]}" "$work/demo/xenresd" --check --config "$work/demo/credential.conf"
    fails 19 "${as_user[@]}" "$work/demo/xenresd" --check --config "$work/demo/credential.conf"
    contains "$(cat "$work/said")" 'may be read by others (mode 0440)' "what is said of one that is none"
}

# What its worker says is shown; nothing else that it could say is heard.
a_supervisor_passes_it_on() {
    kill -HUP "$(sed -n 's/^ports .* //p' "$told")"
    wait_until 10 told 'STATUS=serving; reloaded at ' 1
    same "$(grep -c RELOADING "$told" || true)" 1 "that it began"
    same "$(grep -c X_XENRESD "$told" || true)" 0 "what is the supervisor's alone to know"
}

stage
check "systemd understands every line" every_line_is_understood
check "xenresd's exposure is at most 2.0" exposure_is_at_most xenresd.service 20
check "the mapper's exposure is at most 4.0" exposure_is_at_most xenresd-mapper.service 40
check "a unit without restrictions would fail" a_unit_without_restrictions_would_fail
check "sockets have the names that xenresd knows" sockets_have_the_names_that_xenresd_knows

told=$work/told
# The demonstration makes the files; then the service alone, beside a mapper that runs by itself.
# Both as an ordinary user, as User= has it.
start_demo
stop demo
sed "s|^ *program *=.*||; s|^mapper {|mapper {\n    socket = \"$work/demo/mapper.sock\"|" "$work/demo/xenresd.conf" >"$work/demo/alone.conf"
cp "$BUILD/xenresd" "$BUILD/xenresd-mapper-sim" "$work/demo/"
as_user=()
if [ "$(id -u)" -eq 0 ]; then
    chown -R nobody "$work/demo"
    as_user=(setpriv --reuid nobody --regid nogroup --clear-groups)
fi
start mapper "${as_user[@]}" "$work/demo/xenresd-mapper-sim" --socket "$work/demo/mapper.sock" --export "$work/demo/export"
start service as_systemd_does "$(command -v setpriv)" "${as_user[@]:1}" "$work/demo/xenresd" --config "$work/demo/alone.conf"
check "the service lives as systemd has it" the_service_lives_as_systemd_has_it
check "it reads its files again" it_reads_its_files_again
check "a credential is read" a_credential_is_read
check "a reload says what came of it" a_reload_says_what_came_of_it
stop service

told=$work/told.supervised
rm -rf "$work/demo"
start supervised as_systemd_does "$BUILD/xenresd" --demo "$work/demo"
wait_file supervised "$work/demo/env" 30
check "a supervisor passes it on" a_supervisor_passes_it_on
