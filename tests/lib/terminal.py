#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# usage: terminal.py [--type TEXT | --until TEXT]... -- COMMAND...
#
# Runs COMMAND on a terminal of its own (standard input, output and error), does in turn what the
# options say, and then reads to the end. TEXT may have escapes, as \t. Standard output: all that the
# terminal showed. The status is the command's, or 99 where what was waited for did not come.
import os
import pty
import select
import signal
import sys
import time

LIMIT_S = 20


def read_more(fd, shown, deadline):
    ready, _, _ = select.select([fd], [], [], max(0, deadline - time.monotonic()))
    if not ready:
        return False
    try:
        piece = os.read(fd, 65536)
    except OSError:  # EIO: nobody has the other end
        return False
    shown.extend(piece)
    return bool(piece)


def main():
    arguments = sys.argv[1:]
    steps, command = arguments[: arguments.index("--")], arguments[arguments.index("--") + 1 :]
    pid, fd = pty.fork()
    if pid == 0:
        os.execvp(command[0], command)
    shown, seen, status = bytearray(), 0, 0
    deadline = time.monotonic() + LIMIT_S
    for what, text in zip(steps[::2], steps[1::2]):
        text = text.encode().decode("unicode_escape").encode()
        if what == "--type":
            os.write(fd, text)
            continue
        while text not in shown[seen:]:
            if not read_more(fd, shown, deadline):
                status = 99
                break
        else:
            seen = shown.index(text, seen) + len(text)
        if status != 0:
            sys.stderr.write("never shown: %r\n" % text)
            os.kill(pid, signal.SIGKILL)
            break
    while status == 0 and read_more(fd, shown, deadline):
        pass
    if status == 0 and time.monotonic() >= deadline:
        status = 99
        os.kill(pid, signal.SIGKILL)
    os.close(fd)
    ended = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    sys.stdout.buffer.write(bytes(shown))
    return status or ended


sys.exit(main())
