# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# Sourced by every test script, first of all. The script then has $BUILD, $top (the source tree) and
# $work (its own folder, which goes when it ends), and these:
#
#   requires TOOL...            skips the whole script, with the reason, where a tool is missing
#   requires_root               the same, where it does not run as root
#   check NAME FUNCTION [ARG...]    one test: passes when FUNCTION does, skipped when it calls skip
#   skip REASON                 within check: ends it as skipped; outside: skips the whole script
#   same ACTUAL EXPECTED [WHAT]     fails with both shown
#   contains TEXT PART [WHAT]       fails with both shown
#   fails STATUS COMMAND...     COMMAND ends with STATUS; its output is in $work/said
#   cleanup COMMAND...          runs at the end, the latest first, whatever happens
#   start NAME COMMAND...       a daemon in the background; its log is $work/NAME.log, its process id
#                               ${pid[NAME]}; it is ended with the script
#   wait_file NAME FILE [SECONDS]   until the daemon NAME has written a line into FILE, or is gone
#   wait_until SECONDS COMMAND...   until COMMAND passes, where nothing gives an event; as of all waits here,
#                               TEST_TIME_FACTOR multiplies the time
#   stop NAME [SIGNAL [SECONDS]]    ends it (TERM, 10 s); its status (0 where another check started it)
#   gone PID SECONDS            until there is no such process
#   start_demo [OPTION...]      xenresd --demo on the simulator, with the environment of its clients
#
# A FUNCTION runs in a subshell under set -e; what it prints appears when it fails. When the script
# ends, the plan is printed; a script that dies on the way is a failure, and so is a sanitizer's
# report in a daemon's log.
set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BUILD=${BUILD:-$top/build}
work=$(mktemp -d "${TMPDIR:-/tmp}/w.XXXXXX")
chmod 711 "$work" # a daemon started as root goes on as another user, and still has to come through
declare -A pid=()
test_count=0
test_failures=0
trap functions_end EXIT
trap 'exit 130' INT TERM

# In a file, as the subshell of a check adds to them, too.
cleanup() { # COMMAND...
    printf '%q ' "$@" >>"$work/cleanup-hooks"
    echo >>"$work/cleanup-hooks"
}

functions_end() {
    local status=$? hook
    trap - EXIT
    set +e
    if [ -e "$work/cleanup-hooks" ]; then
        while IFS= read -r -u 9 hook; do
            eval "$hook"
        done 9< <(tac "$work/cleanup-hooks")
    fi
    if [ "$status" -ne 0 ] && [ "$status" -ne 77 ]; then
        not_ok "the script ended with status $status"
    fi
    if [ "$status" -ne 77 ]; then
        echo "1..$test_count"
    fi
    rm -rf "$work"
    [ "$status" -eq 77 ] && exit 77
    [ "$test_failures" -eq 0 ]
    exit
}

skip() { # REASON
    if [ -n "${functions_in_check:-}" ]; then
        echo "$*" >"$work/skip-reason"
    else
        echo "1..0 # SKIP $*"
    fi
    exit 77
}

requires() { # TOOL...
    local tool
    for tool in "$@"; do
        command -v "$tool" >/dev/null || skip "needs $tool"
    done
}

requires_root() {
    [ "$(id -u)" -eq 0 ] || skip "needs root"
}

ok() { # NAME
    test_count=$((test_count + 1))
    echo "ok $test_count - $1"
}

not_ok() { # NAME; details on standard input where it is a pipe or file
    test_count=$((test_count + 1))
    test_failures=$((test_failures + 1))
    echo "not ok $test_count - $1"
    if [ -p /dev/stdin ] || [ -f /dev/stdin ]; then
        sed 's/^/# /'
    fi
}

check() { # NAME FUNCTION [ARG...]
    local name=$1 status
    shift
    set +e # within an `if`, set -e would be off in the function
    (
        trap - EXIT
        functions_in_check=yes
        exec {report}>&1
        set -eE
        trap 'echo "line $LINENO failed: $BASH_COMMAND" >&$report' ERR
        "$@"
    ) >"$work/check.log" 2>&1 </dev/null
    status=$?
    set -e
    case $status in
    0) ok "$name" ;;
    77)
        test_count=$((test_count + 1))
        echo "ok $test_count - $name # SKIP $(cat "$work/skip-reason")"
        ;;
    *) not_ok "$name" <"$work/check.log" ;;
    esac
}

same() { # ACTUAL EXPECTED [WHAT]
    [ "$1" = "$2" ] || { printf '%s: got:\n%s\nexpected:\n%s\n' "${3:-value}" "$1" "$2"; return 1; }
}

contains() { # TEXT PART [WHAT]
    [[ $1 == *"$2"* ]] || { printf '%s: got:\n%s\nwithout:\n%s\n' "${3:-text}" "$1" "$2"; return 1; }
}

fails() { # STATUS COMMAND...
    local expected=$1 status=0
    shift
    "$@" >"$work/said" 2>&1 || status=$?
    [ "$status" -eq "$expected" ] || {
        echo "$*: status $status, expected $expected; it said:"
        cat "$work/said"
        return 1
    }
}

start() { # NAME COMMAND...
    local name=$1
    shift
    "$@" >"$work/$name.log" 2>&1 </dev/null &
    pid[$name]=$!
    echo "$!" >"$work/$name.pid"
    cleanup functions_end_daemon "$name"
}

# Ends the daemon if the script has not, and looks at what it left in its log.
functions_end_daemon() { # NAME
    if [ -e "$work/$1.pid" ]; then
        stop "$1" TERM 10 || true
    fi
    if grep -Eq 'ERROR: (Address|Leak)Sanitizer|WARNING: ThreadSanitizer|runtime error: ' "$work/$1.log"; then
        not_ok "sanitizer report in the log of $1" <"$work/$1.log"
    fi
}

# A zombie counts as gone: it may be that nobody collects it.
is_gone() { # PID
    local stat
    { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 0
    [[ ${stat##*) } == Z* ]]
}

gone() { # PID SECONDS
    wait_until "$2" is_gone "$1"
}

stop() { # NAME [SIGNAL [SECONDS]]
    local name=$1 signal=${2:-TERM} seconds=${3:-10} number status=0
    number=$(cat "$work/$name.pid")
    rm "$work/$name.pid"
    unset "pid[$name]"
    kill -"$signal" "$number" 2>/dev/null || true
    if ! gone "$number" "$seconds"; then
        echo "# $name did not end within $seconds s of SIG$signal"
        kill -KILL "$number" 2>/dev/null || true
        wait "$number" 2>/dev/null || true
        return 124
    fi
    wait "$number" 2>/dev/null || status=$?
    [ "$status" -ne 127 ] || status=0 # the child of another shell
    return "$status"
}

# tail follows the name by inotify, also before the file is there, and ends when the daemon does.
wait_file() { # NAME FILE [SECONDS]
    local _ follower status=0 seconds=$((${3:-20} * ${TEST_TIME_FACTOR:-1}))
    exec {follow}< <(exec tail --pid="${pid[$1]}" --sleep-interval=0.2 -n +1 -F "$2" 2>/dev/null)
    follower=$!
    IFS= read -r -t "$seconds" -u "$follow" _ || status=$?
    kill "$follower" 2>/dev/null || true
    exec {follow}<&-
    [ "$status" -eq 0 ] || {
        echo "# $1 did not write $2 within $seconds s; its log:"
        sed 's/^/#   /' "$work/$1.log"
        return 1
    }
}

wait_until() { # SECONDS COMMAND...
    local end=$((${EPOCHREALTIME/[.,]/} + $1 * ${TEST_TIME_FACTOR:-1} * 1000000))
    shift
    until "$@"; do
        [ "${EPOCHREALTIME/[.,]/}" -lt "$end" ] || { echo "never came true: $*"; return 1; }
        sleep 0.05
    done
}

start_demo() { # OPTION...
    mkdir -p "$work/demo"
    rm -f "$work/demo/env" # of an earlier start
    start demo "$BUILD/xenresd" --demo "$work/demo" "$@"
    wait_file demo "$work/demo/env" 30
    # shellcheck source=/dev/null
    . "$work/demo/env"
}
