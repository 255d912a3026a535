/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What becomes of traces when mappers end: nothing stays enabled that nobody answers for. Of a simulated host
 * that its mapper takes along when it is killed the next one is given a scenario in which the tracing is on.
 */
#include "server/mapper/journal.h"

#include <sys/resource.h>

#include "tests/lib/trace_rig.h"

#define GUEST(more)                                                                                \
    "domain \"g\" { domid = 7 uuid = \"11111111-1111-1111-1111-111111111111\" type = \"hvm\"\n"    \
    "  vcpus = 2 vmtrace { size = 65536 rate = 100000 " more " } }\n"

static char dir[64], journal[96];
static struct rig rig;
static struct rig_peer peer;
static union message answered;

static int set_up(void **state)
{
    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/trace-life.XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(journal, sizeof(journal), "%s/traces", dir);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)unlink(journal);
    return rmdir(dir);
}

static void start_mapper(const char *scenario, const char *export)
{
    const char *const more[] = { "--journal", journal, NULL };

    rig_start(&rig, scenario, export, more);
}

static void kill_mapper(void)
{
    assert_int_equal(kill(rig.pid, SIGKILL), 0);
    assert_true(WIFSIGNALED(rig_wait(&rig)));
    rig_remove(&rig);
}

/* Records in the file that are not free. */
static uint32_t journal_count(void)
{
    uint8_t record[JOURNAL_RECORD_BYTES];
    static const uint8_t free_place[JOURNAL_RECORD_BYTES];
    uint32_t count = 0;
    FILE *file = fopen(journal, "re");

    assert_non_null(file);
    while (fread(record, sizeof(record), 1, file) == 1) {
        count += memcmp(record, free_place, sizeof(record)) != 0;
    }
    fclose(file);
    return count;
}

static void begin_trace(void)
{
    struct domain_identity d = rig_domain(&peer, "g");

    if (!trace_rig_start(&peer, &d, "alice", 0, &answered)) {
        fail_msg("%s", answered.failed.failure.message);
    }
}

static void what_a_killed_mapper_left_on_the_next_one_stops(void **state)
{
    (void)state;
    start_mapper(GUEST(""), TRACE_RIG_EXPORT);
    rig_join(&rig, &peer);
    begin_trace();
    assert_int_equal(journal_count(), 2);
    kill_mapper();
    rig_leave(&peer);
    assert_int_equal(journal_count(), 2);

    start_mapper(GUEST("enabled = true"), TRACE_RIG_EXPORT);
    rig_join(&rig, &peer); /* served: it is stopped */
    assert_int_equal(journal_count(), 0);
    assert_true(rig_log_says(&rig, "vCPU 1 of domain 7 was still being traced"));
    assert_int_equal(trace_rig_of(&peer, 7, &answered)->trace_count, 0);
    begin_trace(); /* without taking anything over */
    rig_leave(&peer);
    rig_stop(&rig);
    assert_int_equal(journal_count(), 0);
}

/* Whatever it was doing: the next one can read what there is, and starts. */
static void killed_at_any_moment_it_leaves_a_sound_journal(void **state)
{
    (void)state;
    srandom(5);
    for (int round = 0; round < 25; round++) {
        start_mapper(GUEST(""), TRACE_RIG_EXPORT);
        rig_join(&rig, &peer);
        assert_int_equal(journal_count(), 0);
        struct domain_identity d = rig_domain(&peer, "g");

        for (int i = 0; i < 8; i++) {
            union message m =
                trace_rig_start_message(&d, i % 2 == 0 ? "alice" : "bob", TRACE_TAKEOVER);

            m.head.serial = 100 + (uint64_t)i;
            rig_send(&peer, &m);
        }
        for (long answers = random() % 8; answers > 0 && rig_readable(&peer, RIG_LIMIT_MS);
             answers--) {
            assert_true(rig_receive(&peer, &answered, NULL) > 0);
        }
        kill_mapper();
        rig_leave(&peer);
        assert_true(journal_count() <= 2);
    }
}

static void what_others_left_on_nobody_stops(void **state)
{
    (void)state;
    start_mapper(GUEST("enabled = true"), TRACE_RIG_EXPORT);
    rig_join(&rig, &peer);
    assert_false(rig_log_says(&rig, "still being traced"));
    struct domain_identity d = rig_domain(&peer, "g");

    assert_false(trace_rig_start(&peer, &d, "alice", 0, &answered));
    assert_int_equal(answered.failed.failure.code, ERROR_FAILED_PRECONDITION);
    assert_non_null(strstr(answered.failed.failure.next_step, "--takeover"));
    assert_int_equal(journal_count(), 0);
    assert_true(trace_rig_start(&peer, &d, "alice", TRACE_TAKEOVER, &answered));
    assert_int_equal(journal_count(), 2);
    rig_leave(&peer);
    rig_stop(&rig);
}

static void a_mapper_that_is_stopped_ends_its_traces_first(void **state)
{
    struct feed_rig r[2];

    (void)state;
    start_mapper(GUEST(""), TRACE_RIG_EXPORT);
    rig_join(&rig, &peer);
    begin_trace();
    struct domain_identity d = rig_domain(&peer, "g");

    for (uint32_t i = 0; i < 2; i++) {
        assert_true(trace_rig_watch(&peer, &d, i, &r[i], &answered));
        feed_rig_next_of(&r[i], FEED_RECORD_BYTES);
    }
    rig_stop(&rig);
    assert_int_equal(journal_count(), 0);
    for (uint32_t i = 0; i < 2; i++) {
        while (feed_rig_read(&r[i]) && r[i].record.kind != FEED_RECORD_END) {
        }
        assert_int_equal(r[i].record.kind, FEED_RECORD_END);
        assert_int_equal(r[i].record.end->reason, FEED_END_STOPPED);
        feed_rig_done(&r[i]);
    }
    rig_leave(&peer);
}

/* Until the journal has so many; nobody says a word to the mapper meanwhile. */
static void wait_for_journal(uint32_t count)
{
    uint64_t end_ns = clock_monotonic_ns() + RIG_LIMIT_MS * CLOCK_NS_PER_MS;

    while (journal_count() != count) {
        assert_true(clock_monotonic_ns() < end_ns);
        poll(NULL, 0, 20);
    }
}

/* By itself: no feed of it is there, nor anything else that would wake the loop. (The first call that fails is
 * the one that undoes what showed that nobody else traces.) */
static void what_a_start_could_not_disable_the_loop_does(void **state)
{
    (void)state;
    start_mapper(GUEST("") "fault { operation = \"vmtrace_disable\" call = 1 count = 4 errno ="
                           " \"EPERM\" }\n",
                 TRACE_RIG_EXPORT);
    rig_join(&rig, &peer);
    struct domain_identity d = rig_domain(&peer, "g");
    union message m = trace_rig_start_message(&d, "alice", 0);

    m.trace_start.vcpus[0] = 1;
    assert_false(rig_call(&peer, &m, &answered));
    assert_string_equal(answered.failed.failure.call, "xc_vmtrace_disable");
    assert_int_equal(journal_count(), 1);
    wait_for_journal(0);
    assert_true(rig_log_says(&rig, "vCPU 0 of domain 7 was still being traced"));
    begin_trace(); /* without taking anything over */
    rig_leave(&peer);
    rig_stop(&rig);
}

static void what_a_stop_could_not_disable_the_loop_does(void **state)
{
    (void)state;
    /* Two that undo what was tried at the start; then three tries of each vCPU. */
    start_mapper(GUEST("") "fault { operation = \"vmtrace_disable\" call = 3 count = 6 errno ="
                           " \"ENOMEM\" }\n",
                 TRACE_RIG_EXPORT);
    rig_join(&rig, &peer);
    begin_trace();
    struct message_trace trace = answered.trace_answer.trace;

    assert_true(trace_rig_stop(&peer, trace.trace_id, &answered));
    assert_int_equal(answered.trace_answer.trace.end_reason, FEED_END_FAILED);
    assert_non_null(strstr(answered.trace_answer.trace.failure.next_step, "goes on trying"));
    assert_int_equal(journal_count(), 2);
    wait_for_journal(0);
    assert_true(rig_log_says(&rig, "vCPU 1 of domain 7 was still being traced"));
    begin_trace();
    rig_leave(&peer);
    rig_stop(&rig);
}

/* No byte of any file can be written from now on, or again. */
static void limit_files(bool is_limited)
{
    struct rlimit limit;

    assert_int_equal(prlimit(rig.pid, RLIMIT_FSIZE, NULL, &limit), 0);
    limit.rlim_cur = is_limited ? 0 : limit.rlim_max;
    assert_int_equal(prlimit(rig.pid, RLIMIT_FSIZE, &limit, NULL), 0);
}

static void where_the_journal_cannot_be_written_nothing_is_traced(void **state)
{
    (void)state;
    start_mapper(GUEST(""), TRACE_RIG_EXPORT);
    rig_join(&rig, &peer);
    struct domain_identity d = rig_domain(&peer, "g");

    limit_files(true);
    assert_false(trace_rig_start(&peer, &d, "alice", 0, &answered));
    assert_int_equal(answered.failed.failure.code, ERROR_FAILED_PRECONDITION);
    assert_non_null(strstr(answered.failed.failure.message, "into the journal of traces"));
    assert_string_equal(answered.failed.failure.call, "pwrite");
    assert_non_null(strstr(answered.failed.failure.next_step, "--journal"));
    assert_int_equal(journal_count(), 0);
    limit_files(false);
    begin_trace(); /* nothing was left on */
    assert_int_equal(journal_count(), 2);
    rig_leave(&peer);
    rig_stop(&rig);
    assert_int_equal(journal_count(), 0);
}

static void what_a_stop_could_not_cross_out_the_loop_does(void **state)
{
    (void)state;
    start_mapper(GUEST(""), TRACE_RIG_EXPORT);
    rig_join(&rig, &peer);
    begin_trace();
    struct message_trace trace = answered.trace_answer.trace;

    limit_files(true);
    assert_true(trace_rig_stop(&peer, trace.trace_id, &answered));
    assert_int_equal(answered.trace_answer.trace.end_reason, FEED_END_STOPPED_BY_CALLER);
    assert_int_equal(journal_count(), 2); /* it is disabled, and only the file does not know */
    limit_files(false);
    wait_for_journal(0);
    assert_false(rig_log_says(&rig, "still being traced"));
    begin_trace();
    rig_leave(&peer);
    rig_stop(&rig);
}

static void another_user_can_write_the_journal_of_the_first(void **state)
{
    const char *const more[] = { "--journal", journal, "--user", "nobody", NULL };

    (void)state;
    if (getuid() != 0) {
        skip();
    }
    rig_start(&rig, GUEST(""), TRACE_RIG_EXPORT, more);
    rig_join(&rig, &peer);
    begin_trace();
    assert_int_equal(journal_count(), 2);
    rig_leave(&peer);
    rig_stop(&rig);
    assert_int_equal(journal_count(), 0);
}

static void assert_does_not_start(const char *said)
{
    start_mapper(GUEST("enabled = true"), TRACE_RIG_EXPORT);
    int status = rig_wait(&rig);

    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
    assert_true(rig_log_says(&rig, said));
    rig_remove(&rig);
}

static void with_a_journal_that_is_none_or_anothers_it_does_not_start(void **state)
{
    (void)state;
    int fd = open(journal, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    assert_int_equal(write(fd, "what somebody else has written down, in sixty-four characters...",
                           JOURNAL_RECORD_BYTES),
                     JOURNAL_RECORD_BYTES);
    close(fd);
    assert_does_not_start("is no journal of traces");
    assert_does_not_start("--doctor"); /* what to do */
    assert_int_equal(unlink(journal), 0);

    snprintf(journal, sizeof(journal), "%s/none/traces", dir);
    assert_does_not_start("see that its folder is there");
    snprintf(journal, sizeof(journal), "%s/traces", dir);

    start_mapper(GUEST(""), TRACE_RIG_EXPORT);
    rig_join(&rig, &peer);
    struct rig first = rig;

    assert_does_not_start("is another mapper's");
    rig = first;
    rig_leave(&peer);
    rig_stop(&rig);
}

static void who_has_no_journal_is_warned_where_traces_are_allowed(void **state)
{
    (void)state;
    rig_start(&rig, GUEST(""), TRACE_RIG_EXPORT, NULL);
    rig_join(&rig, &peer);
    assert_true(rig_log_says(&rig, "there is no --journal"));
    begin_trace();
    rig_leave(&peer);
    rig_stop(&rig);
    rig_start(&rig, GUEST(""), RIG_EXPORT_ALL, NULL);
    rig_join(&rig, &peer);
    assert_false(rig_log_says(&rig, "there is no --journal"));
    rig_leave(&peer);
    rig_stop(&rig);
}

/* --- what the export list says --------------------------------------------------------------------- */

static void each_action_is_granted_by_itself(void **state)
{
    static const struct {
        const char *export;
        bool may_start, may_read, is_listed;
    } rows[] = {
        { "allow all vmtrace_buf list,snapshot,watch,decode\n", false, false, false },
        { "allow all vmtrace_buf list,trace.read\n", false, false, false },
        { "allow all vmtrace_buf trace.control,trace.read\nallow all grant_table list\n", true,
          true, false },
        { "allow all vmtrace_buf list,trace.control\n", true, false, true },
        { "allow all grant_table list,trace.control,trace.read\n", false, false, false },
        { "allow name:other vmtrace_buf list,trace.control,trace.read\nallow all all list\n", false,
          false, false },
        { "allow name:g vmtrace_buf list,trace.control,trace.read\n", true, true, true },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct feed_rig r;

        start_mapper(GUEST(""), rows[i].export);
        rig_join(&rig, &peer);
        struct domain_identity d = rig_domain(&peer, "g");

        assert_int_equal(trace_rig_start(&peer, &d, "alice", 0, &answered), rows[i].may_start);
        if (!rows[i].may_start) {
            assert_int_equal(answered.failed.failure.code, ERROR_PERMISSION_DENIED);
            assert_non_null(strstr(answered.failed.failure.message, "trace.control"));
        }
        struct message_trace trace = answered.trace_answer.trace;

        assert_int_equal(trace_rig_of(&peer, 7, &answered)->trace_count, rows[i].is_listed);
        if (rows[i].may_start) {
            union message m = rig_message(MESSAGE_TRACE_VCPUS);

            memcpy(m.trace_vcpus.trace_id, trace.trace_id, 16);
            assert_int_equal(rig_call(&peer, &m, &answered), rows[i].is_listed);
            assert_int_equal(trace_rig_watch(&peer, &d, 0, &r, &answered), rows[i].may_read);
            if (rows[i].may_read) {
                feed_rig_done(&r);
            } else {
                assert_int_equal(answered.failed.failure.code, ERROR_PERMISSION_DENIED);
            }
            assert_true(trace_rig_stop(&peer, trace.trace_id, &answered));
        }
        rig_leave(&peer);
        rig_stop(&rig);
    }
}

static void as_many_traces_as_the_option_says(void **state)
{
    static const char two[] =
        GUEST("") "domain \"h\" { domid = 8 uuid = \"11111111-1111-1111-1111-111111111112\"\n"
                  "  type = \"hvm\" vmtrace { size = 4096 } }\n";
    static const char *const more[] = { "--traces-max", "1", "--trace-budget", "7", NULL };

    (void)state;
    rig_start(&rig, two, TRACE_RIG_EXPORT, more);
    rig_join(&rig, &peer);
    begin_trace();
    assert_int_equal(answered.trace_answer.trace.pauses_per_second, 7);
    struct message_trace trace = answered.trace_answer.trace;
    struct domain_identity d = rig_domain(&peer, "h");

    assert_false(trace_rig_start(&peer, &d, "alice", 0, &answered));
    assert_int_equal(answered.failed.failure.code, ERROR_RESOURCE_EXHAUSTED);
    assert_non_null(strstr(answered.failed.failure.next_step, "--traces-max"));
    assert_true(trace_rig_stop(&peer, trace.trace_id, &answered));
    assert_true(trace_rig_start(&peer, &d, "alice", 0, &answered));
    rig_leave(&peer);
    rig_stop(&rig);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(what_a_killed_mapper_left_on_the_next_one_stops),
        TEST(killed_at_any_moment_it_leaves_a_sound_journal),
        TEST(what_others_left_on_nobody_stops),
        TEST(a_mapper_that_is_stopped_ends_its_traces_first),
        TEST(what_a_start_could_not_disable_the_loop_does),
        TEST(what_a_stop_could_not_disable_the_loop_does),
        TEST(where_the_journal_cannot_be_written_nothing_is_traced),
        TEST(what_a_stop_could_not_cross_out_the_loop_does),
        TEST(another_user_can_write_the_journal_of_the_first),
        TEST(with_a_journal_that_is_none_or_anothers_it_does_not_start),
        TEST(who_has_no_journal_is_warned_where_traces_are_allowed),
        TEST(each_action_is_granted_by_itself),
        TEST(as_many_traces_as_the_option_says),
    };

    return UNIT_RUN(tests);
}
