#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# usage: run.sh BUILD TEST...
# Runs test programs and scripts one after the other, each in a session of its own with a time limit,
# and ends with the line `N passed, N failed, N skipped`. Status 0 when nothing failed; with CI=true
# only when nothing was skipped, either.
#
# A test says what it found in TAP (cmocka is asked for it). It fails as well when it ends with
# another status than its results call for, runs fewer tests than it planned, takes too long, or
# leaves a process behind. Status 77 or a plan of 0 skips all of it. A test without any result counts
# by its status. Exported to it: BUILD (absolute), TMPDIR (its own, removed afterwards).
#
# The limit is 120 s, or what a script says in a comment `# time-limit: SECONDS`; TEST_TIME_FACTOR
# multiplies it (sanitizers, slow machines).
set -uo pipefail

if [ $# -lt 1 ] || [ ! -d "$1" ]; then
    echo "usage: run.sh BUILD TEST..." >&2
    exit 2
fi
BUILD=$(cd "$1" && pwd)
export BUILD CMOCKA_MESSAGE_OUTPUT=TAP
shift
logs=$BUILD/tests/logs
mkdir -p "$logs"
scratch=$(mktemp -d /tmp/xr.XXXXXX) # short: socket paths have 107 bytes at most
running=

passed=0 failed=0 skipped=0
failures=() skips=()

# shellcheck disable=SC2317  # by trap
finish() {
    [ -z "$running" ] || end_session "$running"
    rm -rf "$scratch"
}
trap finish EXIT
trap 'exit 130' INT TERM

# Processes of a session, but for its leader: field 6 of stat, counted behind the name in brackets.
session_pids() { # SESSION
    local stat fields
    for stat in /proc/[0-9]*/stat; do
        read -r -d '' fields 2>/dev/null <"$stat" || [ -n "${fields:-}" ] || continue
        # shellcheck disable=SC2086  # split into fields: state ppid pgrp session
        set -- ${fields##*) }
        [ "${4:-}" != "$session" ] || [ "${1:-}" = Z ] || basename "$(dirname "$stat")"
    done
}

# Ends what is left of a session, by process id, and names it.
end_session() { # SESSION
    local session=$1 pid
    for pid in $(session_pids); do
        tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null
        echo "(process $pid)"
        kill -KILL "$pid" 2>/dev/null
    done
}

limit_of() { # TEST
    local seconds=
    case $1 in
    *.sh) seconds=$(sed -n 's/^# time-limit: \([0-9][0-9]*\)$/\1/p' "$1" | head -n 1) ;;
    esac
    echo $((${seconds:-120} * ${TEST_TIME_FACTOR:-1}))
}

name_of() { # TEST: its path without the build or source folder
    local name=${1#"$BUILD"/}
    name=${name#*tests/}
    echo "${name%.sh}"
}

# Counts the results in a log into the variables ok, bad, out (skipped), planned.
count_results() { # LOG
    ok=0 bad=0 out=0 planned=
    local line
    while IFS= read -r line; do
        # cmocka 1.1.5 calls a skipped test `not ok N # SKIP name`, and ends with a `not ok - group`
        # that has no number and is no test.
        if [[ $line =~ ^(not\ )?ok\ [0-9]+(\ -)?\ *(.*[^ ])?\ *\#\ SKIP\ *(.*) ]]; then
            out=$((out + 1))
            skips+=("$name: ${BASH_REMATCH[3]:+${BASH_REMATCH[3]}: }${BASH_REMATCH[4]}")
        elif [[ $line =~ ^ok\ [0-9]+ ]]; then
            ok=$((ok + 1))
        elif [[ $line =~ ^not\ ok\ [0-9]+ ]]; then
            bad=$((bad + 1))
        elif [[ $line =~ ^1\.\.([0-9]+)(.*) ]]; then
            planned=$((${planned:-0} + BASH_REMATCH[1]))
            if [ "${BASH_REMATCH[1]}" = 0 ] && [[ ${BASH_REMATCH[2]} == *SKIP* ]]; then
                out=$((out + 1))
                skips+=("$name: ${BASH_REMATCH[2]#*SKIP }")
            fi
        fi
    done < <(tr -d '\0' <"$1")
}

# Why a test failed beyond its own `not ok` lines; nothing where it did not.
judge() { # STATUS LIMIT LEFTOVERS
    local results=$((ok + bad + out))
    if [ "$1" -eq 124 ] || [ "$1" -eq 137 ]; then
        echo "took more than $2 s (or was killed)"
    elif [ "$1" -gt 128 ]; then
        echo "ended by signal $(($1 - 128))"
    elif [ -n "$planned" ] && [ "$planned" -ne 0 ] && [ "$results" -ne "$planned" ]; then
        echo "planned $planned tests and ran $results (status $1)"
    elif [ "$1" -ne 0 ] && [ "$1" -ne 77 ] && [ "$bad" -eq 0 ]; then
        echo "status $1"
    elif [ -n "$3" ]; then
        echo "left processes behind: $3"
    fi
}

run_one() { # TEST
    local name log limit status start=${EPOCHREALTIME/[.,]/} why leftovers ok bad out planned
    name=$(name_of "$1")
    log=$logs/${name//\//-}.log
    if [ ! -x "$1" ]; then
        echo "there is no program $1" >"$log"
        report_failure "no such program, or not executable" 0
        return
    fi
    limit=$(limit_of "$1")
    local TMPDIR=$scratch/t
    export TMPDIR
    mkdir -p "$TMPDIR"
    chmod 711 "$scratch" "$TMPDIR" # daemons of other users come through, and see no names
    setsid timeout --kill-after=10 "$limit" "$1" >"$log" 2>&1 </dev/null &
    running=$!
    wait "$running"
    status=$?
    leftovers=$(end_session "$running")
    running=
    rm -rf "$TMPDIR"
    count_results "$log"
    if [ $((ok + bad + out)) -eq 0 ]; then
        case $status in
        0) ok=1 ;;
        77) out=1 && skips+=("$name: $(tail -n 1 "$log")") ;;
        esac
    fi
    why=$(judge "$status" "$limit" "$leftovers")
    passed=$((passed + ok))
    failed=$((failed + bad))
    skipped=$((skipped + out))
    if [ -n "$why" ] || [ "$bad" -gt 0 ]; then
        report_failure "$why" "$bad"
    else
        local took=$(((${EPOCHREALTIME/[.,]/} - start) / 1000))
        printf '%-44s %4d passed%s  %d.%03d s\n' "$name" "$ok" \
            "$([ "$out" -eq 0 ] || echo ", $out skipped")" $((took / 1000)) $((took % 1000))
    fi
}

# A failure that no `not ok` line stands for is counted as one.
report_failure() { # WHY BAD-COUNT
    [ "$2" -gt 0 ] || failed=$((failed + 1))
    failures+=("$name${1:+: $1}")
    printf '%-44s FAILED%s\n' "$name" "${1:+: $1}"
    # The whole, but not without end: what a daemon wrote in a loop helps nobody.
    tail -c 65536 "$log" | tail -n 400 | sed 's/^/    | /'
    echo "    (all of it: $log)"
}

for test in "$@"; do
    run_one "$test"
done

if [ ${#skips[@]} -gt 0 ]; then
    printf '\nskipped:\n'
    printf '  %s\n' "${skips[@]}"
fi
if [ ${#failures[@]} -gt 0 ]; then
    printf '\nfailed:\n'
    printf '  %s\n' "${failures[@]}"
fi
status=0
if [ "$failed" -gt 0 ] || [ $((passed + skipped)) -eq 0 ]; then
    status=1
elif [ "${CI:-}" = true ] && [ "$skipped" -gt 0 ]; then
    echo "CI=true: what is skipped counts as a failure"
    status=1
fi
echo "$passed passed, $failed failed, $skipped skipped"
exit "$status"
