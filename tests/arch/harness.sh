#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# The harness itself: whatever goes wrong in a test is seen, counted, and cleaned up after, also while
# others run beside it.
# shellcheck source=tests/lib/functions.sh
. "$(dirname "$0")/../lib/functions.sh"

mkdir -p "$work/build"

script() { # NAME; the body on standard input
    { echo '#!/bin/bash'; cat; } >"$work/$1.sh"
    chmod +x "$work/$1.sh"
}

run() { # EXPECTED-STATUS EXPECTED-LAST-LINE TEST...: what it said is then in $work/said
    local status=$1 line=$2
    shift 2
    fails "$status" env -u TMPDIR "$top/tests/lib/run.sh" "$work/build" "$@"
    same "$(tail -n 1 "$work/said")" "$line" "closing line" || { cat "$work/said"; return 1; }
}

script good <<<'echo "ok 1 - a"; echo "ok 2 - b # SKIP no tool"; echo 1..2'
script bad <<<'echo "ok 1 - a"; echo "not ok 2 - b"; echo "# detail"; echo 1..2; exit 1'
script short <<<'echo "ok 1 - a"; echo 1..2'
script status <<<'echo "ok 1 - a"; echo 1..1; exit 3'
script signal <<<'echo "ok 1 - a"; kill -SEGV $$'
script plain <<<'exit 0'
script all_skipped <<<'echo "1..0 # SKIP needs a thing"; exit 77'
script slow <<<'# time-limit: 1
echo "ok 1 - a"; exec sleep 300'
script leaves <<<'sleep 300 & echo $! >'"$work"'/left; echo "ok 1 - a"; echo 1..1'
script dies <<E2
. "$top/tests/lib/functions.sh"
check first true
false
check never true
E2
script hooks <<E2
. "$top/tests/lib/functions.sh"
cleanup touch "$work/first-hook"
start daemon sleep 300
echo "\${pid[daemon]} \$work" >"$work/daemon"
exit 5
E2
script within <<E2
. "$top/tests/lib/functions.sh"
starts() { start daemon sleep 300; cp "\$work/daemon.pid" "$work/within"; }
check starts starts
start other sleep 300
stops() { stop other; }
check stops stops
E2
script reports <<E2
. "$top/tests/lib/functions.sh"
start daemon echo "==1==ERROR: AddressSanitizer: heap-use-after-free"
check one gone "\${pid[daemon]}" 5
E2

script reports_by_itself <<<'echo "ok 1 - a"; echo "WARNING: ThreadSanitizer: data race (pid=1)" >&2; echo 1..1'

# Two that go on only when each has seen the other, and say where they were.
for name in left right; do
    script "$name" <<E2
. "$top/tests/lib/functions.sh"
are_both_here() { [ -e "$work/left-is-here" ] && [ -e "$work/right-is-here" ]; }
echo "\$TMPDIR" >"$work/$name-folder"
touch "$work/$name-is-here"
check "$name sees both" wait_until 20 are_both_here
E2
done
# What holds the only one of something until it may go.
only() { # NAME COMMENT
    script "$1" <<E2
# $2
. "$top/tests/lib/functions.sh"
holds_it() {
    touch "$work/$1-came"
    mkdir "$work/the-only-one"
    wait_until 20 test -e "$work/go"
    rmdir "$work/the-only-one"
}
check "$1 holds it" holds_it
E2
}
only first "has company"
only second "has company"
only apart "runs-alone: it holds the only one"
only apart_too "runs-alone: it holds the only one"
lets_go() { # NAME WHO...: who holds it may go, when all these have come
    script "$1" <<<"for who in ${*:2}; do until [ -e '$work'/\$who-came ]; do sleep 0.02; done; done; touch '$work/go'"
}
lets_go go first
lets_go go_two first second
for name in one two three four; do
    script "bad_$name" <<<"echo 'not ok 1 - $name'; sleep 0.1; echo '# detail of $name'; echo 1..1; exit 1"
done
for name in here there; do
    script "stays_$name" <<<'sleep 300 & echo "$! $$ $TMPDIR" >'"$work/stays_$name.new"'
mv '"$work/stays_$name.new $work/stays_$name"'; wait'
done

everything_fine() { run 0 "1 passed, 0 failed, 1 skipped" "$work/good.sh"; contains "$(cat "$work/said")" "b: no tool"; }
skips_fail_in_ci() { CI=true run 1 "1 passed, 0 failed, 1 skipped" "$work/good.sh"; }
a_failure() { run 1 "1 passed, 1 failed, 0 skipped" "$work/bad.sh"; contains "$(cat "$work/said")" "# detail"; }
told_again_at_the_end() {
    run 1 "2 passed, 1 failed, 1 skipped" "$work/bad.sh" "$work/good.sh"
    contains "$(sed '1,/^failed:/d' "$work/said")" "not ok 2 - b
# detail"
}
too_few_tests() { run 1 "1 passed, 1 failed, 0 skipped" "$work/short.sh"; }
a_status() { run 1 "1 passed, 1 failed, 0 skipped" "$work/status.sh"; }
a_signal() { run 1 "1 passed, 1 failed, 0 skipped" "$work/signal.sh"; contains "$(cat "$work/said")" "signal 11"; }
a_plain_program() { run 0 "1 passed, 0 failed, 0 skipped" "$work/plain.sh"; }
a_skipped_script() { run 0 "0 passed, 0 failed, 1 skipped" "$work/all_skipped.sh"; contains "$(cat "$work/said")" "needs a thing"; }
a_slow_one() { run 1 "1 passed, 1 failed, 0 skipped" "$work/slow.sh"; }
a_missing_one() { run 1 "0 passed, 1 failed, 0 skipped" "$work/none.sh"; }
no_test_at_all() { run 1 "0 passed, 0 failed, 0 skipped"; }
a_process_left() {
    run 1 "1 passed, 1 failed, 0 skipped" "$work/leaves.sh"
    gone "$(cat "$work/left")" 5
}
a_script_that_dies() { run 1 "1 passed, 1 failed, 0 skipped" "$work/dies.sh"; }
hooks_run_whatever_happens() {
    local number folder
    run 1 "0 passed, 1 failed, 0 skipped" "$work/hooks.sh"
    [ -e "$work/first-hook" ]
    read -r number folder <"$work/daemon"
    gone "$number" 5
    [ ! -e "$folder" ]
}
a_daemon_of_a_check_ends_with_the_script() {
    run 0 "2 passed, 0 failed, 0 skipped" "$work/within.sh"
    gone "$(cat "$work/within")" 5
}
a_sanitizers_report() { run 1 "1 passed, 1 failed, 0 skipped" "$work/reports.sh"; }
a_sanitizers_report_of_a_program() {
    run 1 "1 passed, 1 failed, 0 skipped" "$work/reports_by_itself.sh"
    contains "$(cat "$work/said")" "a sanitizer's report"
}
several_add_up() { run 1 "4 passed, 1 failed, 1 skipped" "$work/good.sh" "$work/bad.sh" "$work/plain.sh" "$work/plain.sh"; }

beside_each_other() {
    TEST_JOBS=2 run 0 "2 passed, 0 failed, 0 skipped" "$work/left.sh" "$work/right.sh"
    local left right
    left=$(cat "$work/left-folder") right=$(cat "$work/right-folder")
    [ "$left" != "$right" ]
    [ ! -e "$left" ] && [ ! -e "$right" ]
}
no_more_than_asked_for() {
    touch "$work/go"
    TEST_JOBS=1 run 0 "2 passed, 0 failed, 0 skipped" "$work/first.sh" "$work/second.sh"
    rm "$work/go" "$work"/{first,second}-came
    TEST_JOBS=3 run 1 "2 passed, 1 failed, 0 skipped" "$work/first.sh" "$work/second.sh" "$work/go_two.sh"
}
one_that_runs_alone() {
    rm -f "$work/go" "$work/first-came"
    TEST_JOBS=4 run 0 "4 passed, 0 failed, 0 skipped" \
        "$work/apart.sh" "$work/apart_too.sh" "$work/first.sh" "$work/go.sh"
    same "$(awk '$3 == "passed" { print $1 }' "$work/said" | tail -n 2)" "${work#*tests/}/apart
${work#*tests/}/apart_too" "the last two"
}
failures_are_shown_apart() {
    local name
    TEST_JOBS=4 run 1 "0 passed, 4 failed, 0 skipped" "$work"/bad_{one,two,three,four}.sh
    for name in one two three four; do
        same "$(grep -A 3 "bad_$name  *FAILED" "$work/said" | tail -n 3)" "    | not ok 1 - $name
    | # detail of $name
    | 1..1" "the block of $name"
    done
}
a_process_left_beside_another() {
    rm -f "$work"/{left,right}-is-here
    TEST_JOBS=3 run 1 "3 passed, 1 failed, 0 skipped" "$work/left.sh" "$work/leaves.sh" "$work/right.sh"
    gone "$(cat "$work/left")" 5
}
signals_at_once() {
    local name # of its own, as its log is
    for name in one two three four; do
        cp "$work/signal.sh" "$work/signal_$name.sh"
    done
    TEST_JOBS=4 run 1 "4 passed, 4 failed, 0 skipped" "$work"/signal_{one,two,three,four}.sh
}
a_run_that_is_ended() {
    local number leader folder name
    start runner env -u TMPDIR TEST_JOBS=2 "$top/tests/lib/run.sh" "$work/build" "$work"/stays_{here,there}.sh
    wait_until 20 test -e "$work/stays_here"
    wait_until 20 test -e "$work/stays_there"
    fails 130 stop runner
    for name in here there; do
        read -r number leader folder <"$work/stays_$name"
        gone "$number" 5
        gone "$leader" 5
        [ ! -e "$folder" ]
    done
}

unset CI TEST_JOBS TEST_TIME_FACTOR
check "results are counted, skips with their reason" everything_fine
check "with CI=true what is skipped is a failure" skips_fail_in_ci
check "a failure is counted and shown" a_failure
check "what failed is told again at the end" told_again_at_the_end
check "fewer tests than planned are a failure" too_few_tests
check "a status without a failed test is a failure" a_status
check "a signal is a failure" a_signal
check "a program without results counts by its status" a_plain_program
check "a script may be skipped as a whole" a_skipped_script
check "a test that takes too long is a failure" a_slow_one
check "a test that is not there is a failure" a_missing_one
check "no test at all is a failure" no_test_at_all
check "a process that is left behind is a failure, and is ended" a_process_left
check "a script that dies on the way is a failure" a_script_that_dies
check "clean-up hooks run whatever happens" hooks_run_whatever_happens
check "a daemon that a check started ends with the script" a_daemon_of_a_check_ends_with_the_script
check "a sanitizer's report in a daemon's log is a failure" a_sanitizers_report
check "a sanitizer's report that a program has not seen is a failure" a_sanitizers_report_of_a_program
check "results of several tests add up" several_add_up
check "tests run beside each other, each in a folder of its own" beside_each_other
check "no more of them at a time than were asked for" no_more_than_asked_for
check "what says so runs alone, after the others" one_that_runs_alone
check "failures at the same time are shown one after the other" failures_are_shown_apart
check "a process that is left behind does not harm who runs beside" a_process_left_beside_another
check "tests that signals end at the same time are all seen" signals_at_once
check "a run that is ended leaves nothing behind" a_run_that_is_ended
