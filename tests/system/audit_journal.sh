#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# The audit's checkpoints, as they come to the journal: a socket is bound where that of systemd-journald is, in a
# mount namespace of the test's own, and what is sent there is what the verifier takes.
# shellcheck source=tests/lib/functions.sh
. "$(dirname "$0")/../lib/functions.sh"
requires jq python3 unshare nsenter
requires_root
unshare --mount true 2>/dev/null || skip "no mount namespace can be made here"

demo=$work/demo
log=$demo/audit.log

# Every datagram of journald's own protocol, in which a field without line breaks is NAME=VALUE on a line.
cat >"$work/journald" <<'END'
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
os.makedirs("/run/systemd/journal")
s.bind("/run/systemd/journal/socket")
os.chmod("/run/systemd/journal/socket", 0o666)
with open(sys.argv[1], "wb", buffering=0) as out:
    out.write(b"# listens\n")
    while True:
        out.write(s.recv(1 << 20) + b"\n")
END

of_journal() { # FIELD: its values, of messages that are checkpoints
    awk -v field="$1" -v RS= -F'\n' '/MESSAGE_ID=5b1d6f0e2f744d5c9e0a8a3b7c41d2e6/ {
        for (i = 1; i <= NF; i++) if (index($i, field "=") == 1) print substr($i, length(field) + 2) }' "$work/journal"
}

the_last_checkpoint_came() { [ "$(of_journal XENRESD_AUDIT_SEQUENCE | tail -n 1)" = "$(tail -n 1 "$log" | jq .seq)" ]; }

checkpoints_come_as_they_were_written() {
    "$BUILD/xenres" --timeout 20 snapshot web-1 grant_table --count 1 --output "$work/frames"
    stop demo
    same "$(tail -n 1 "$log" | jq -r .event)" checkpoint
    wait_until 10 the_last_checkpoint_came
    same "$(of_journal MESSAGE)" "$(grep '"event":"checkpoint"' "$log")" "the lines"
    same "$(of_journal XENRESD_AUDIT_SEQUENCE)" "$(grep '"event":"checkpoint"' "$log" | jq .seq)" "their numbers"
    same "$(of_journal PRIORITY | sort -u)" 5 "their priority"
}

the_verifier_takes_them() {
    of_journal MESSAGE >"$work/checkpoints"
    local -a verify=("$BUILD/xenresd" audit verify --public-key "$demo/audit.sign.pub" --checkpoints "$work/checkpoints")
    "${verify[@]}" "$log" >"$work/said"
    contains "$(cat "$work/said")" "verified up to record $(tail -n 1 "$log" | jq .seq)"
    head -n -1 "$log" >"$work/cut"
    fails 25 "${verify[@]}" "$work/cut"
    contains "$(cat "$work/said")" "the end is missing"
}

mkdir "$demo"
# shellcheck disable=SC2016  # the other shell's
start journald unshare --mount --propagation private bash -c 'mount -t tmpfs none /run && exec python3 "$@"' bash \
    "$work/journald" "$work/journal"
wait_file journald "$work/journal"
# Its root, too, which may be another than the namespace's.
start demo nsenter --mount="/proc/${pid[journald]}/ns/mnt" --root="/proc/${pid[journald]}/root" "$BUILD/xenresd" --demo "$demo"
wait_file demo "$demo/env" 30
# shellcheck source=/dev/null
. "$demo/env"
check "checkpoints come as they were written" checkpoints_come_as_they_were_written
check "the verifier takes them" the_verifier_takes_them
