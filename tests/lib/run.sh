#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# usage: run.sh BUILD TEST...
# Runs test programs and scripts, several at a time, each in a session of its own with a time limit,
# and ends with the line `N passed, N failed, N skipped`. Status 0 when nothing failed; with CI=true
# only when nothing was skipped, either.
#
# A test says what it found in TAP (cmocka is asked for it). It fails as well when it ends with
# another status than its results call for, runs fewer tests than it planned, takes too long,
# leaves a process behind, or a sanitizer's report in its log (of a daemon, whose end it may not have seen). Status 77 or a plan of 0 skips all of it. A test without any result counts
# by its status. Exported to it: BUILD (absolute), TMPDIR (its own, removed afterwards).
#
# They start in the order given, TEST_JOBS at a time (as many as there are processors, and one more,
# because they wait a lot), and each is reported whole when it ends. A comment in the source of a test
# may say:
#   time-limit: SECONDS     instead of 120; TEST_TIME_FACTOR multiplies it (sanitizers, slow machines)
#   runs-alone: REASON      after the others, with no other beside it: because it measures time, or
#                           has something of the machine to itself
set -uo pipefail

if [ $# -lt 1 ] || [ ! -d "$1" ]; then
    echo "usage: run.sh BUILD TEST..." >&2
    exit 2
fi
BUILD=$(cd "$1" && pwd)
top=$(cd "$(dirname "$0")/../.." && pwd)
export BUILD CMOCKA_MESSAGE_OUTPUT=TAP
shift
jobs_max=${TEST_JOBS:-$(($(nproc) + 1))}
logs=$BUILD/tests/logs
mkdir -p "$logs"
scratch=$(mktemp -d /tmp/xr.XXXXXX) # short: socket paths have 107 bytes at most
chmod 711 "$scratch"                # daemons of other users come through, and see no names

# What runs, by session: the test's name, its limit in seconds, its folder, when it began in us.
declare -A names=() limits=() folders=() begins=()
started=0

# As in functions.sh.
sanitizers_say='ERROR: (Address|Leak)Sanitizer|WARNING: ThreadSanitizer|runtime error: '

passed=0 failed=0 skipped=0
failures=() skips=()

# shellcheck disable=SC2317  # by trap
finish() {
    local session
    for session in "${!names[@]}"; do
        end_session "$session"
    done
    rm -rf "$scratch"
}
trap finish EXIT
trap 'exit 130' INT TERM

# Processes of a session: field 6 of stat, counted behind the name in brackets.
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

name_of() { # TEST: its path without the build or source folder
    local name=${1#"$BUILD"/}
    name=${name#*tests/}
    echo "${name%.sh}"
}

log_of() { # NAME
    echo "$logs/${1//\//-}.log"
}

# What a comment in the source of a test says behind a word; nothing where it does not.
remark() { # TEST WORD
    local source=$1
    [[ $1 == *.sh ]] || source=$top/tests/$(name_of "$1").c
    [ ! -r "$source" ] || sed -n "s/^\(#\| \*\) $2: //p" "$source" | head -n 1
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
    elif [ "$bad" -eq 0 ] && grep -aEq "$sanitizers_say" "$log"; then
        echo "a sanitizer's report"
    fi
}

start_test() { # TEST
    local name log limit folder
    name=$(name_of "$1")
    log=$(log_of "$name")
    if [ ! -x "$1" ]; then
        echo "there is no program $1" >"$log"
        report_failure "no such program, or not executable" 0
        return
    fi
    limit=$(remark "$1" time-limit)
    limit=$((${limit:-120} * ${TEST_TIME_FACTOR:-1}))
    started=$((started + 1))
    folder=$scratch/$started
    mkdir "$folder"
    chmod 711 "$folder"
    # The leader of the session hands the status on: `wait -n` knows nothing of a job that a signal
    # has ended before it was called.
    TMPDIR=$folder setsid bash -c '"$@"; exit' "$name" timeout --kill-after=10 "$limit" "$1" \
        >"$log" 2>&1 </dev/null &
    names[$!]=$name limits[$!]=$limit folders[$!]=$folder begins[$!]=${EPOCHREALTIME/[.,]/}
}

# Waits until one of those that run has ended, and reports it.
reap_test() {
    local session status leftovers name log took
    wait -n -p session "${!names[@]}"
    status=$?
    took=$(((${EPOCHREALTIME/[.,]/} - begins[$session]) / 1000))
    leftovers=$(end_session "$session")
    rm -rf "${folders[$session]}"
    name=${names[$session]}
    log=$(log_of "$name")
    report "$status" "${limits[$session]}" "$leftovers" "$took"
    unset "names[$session]" "limits[$session]" "folders[$session]" "begins[$session]"
}

report() { # STATUS LIMIT LEFTOVERS TOOK-MS, of the test $name
    local ok bad out planned why
    count_results "$log"
    if [ $((ok + bad + out)) -eq 0 ]; then
        case $1 in
        0) ok=1 ;;
        77) out=1 && skips+=("$name: $(tail -n 1 "$log")") ;;
        esac
    fi
    why=$(judge "$1" "$2" "$3")
    passed=$((passed + ok))
    failed=$((failed + bad))
    skipped=$((skipped + out))
    if [ -n "$why" ] || [ "$bad" -gt 0 ]; then
        report_failure "$why" "$bad"
    else
        printf '%-44s %4d passed%s  %d.%03d s\n' "$name" "$ok" \
            "$([ "$out" -eq 0 ] || echo ", $out skipped")" $(($4 / 1000)) $(($4 % 1000))
    fi
}

# A failure that no `not ok` line stands for is counted as one.
report_failure() { # WHY BAD-COUNT, of the test $name
    [ "$2" -gt 0 ] || failed=$((failed + 1))
    failures+=("$name${1:+: $1}" "$(grep -a -A 3 '^not ok [0-9]\|^ERROR:' "$log" | tail -n 20)")
    printf '%-44s FAILED%s\n' "$name" "${1:+: $1}"
    # The whole, but not without end: what a daemon wrote in a loop helps nobody.
    tail -c 65536 "$log" | tail -n 400 | sed 's/^/    | /'
    echo "    (all of it: $log)"
}

run_tests() { # AT-A-TIME TEST...
    local at_a_time=$1 test
    shift
    for test in "$@"; do
        [ ${#names[@]} -lt "$at_a_time" ] || reap_test
        start_test "$test"
    done
    while [ ${#names[@]} -gt 0 ]; do
        reap_test
    done
}

beside=() alone=()
for test in "$@"; do
    if [ -n "$(remark "$test" runs-alone)" ]; then alone+=("$test"); else beside+=("$test"); fi
done
run_tests "$jobs_max" "${beside[@]}"
run_tests 1 "${alone[@]}"

if [ ${#skips[@]} -gt 0 ]; then
    printf '\nskipped:\n'
    printf '  %s\n' "${skips[@]}"
fi
if [ ${#failures[@]} -gt 0 ]; then
    printf '\nfailed:\n'
    printf '  %s\n' "${failures[@]}" | sed '/^ *$/d'
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
