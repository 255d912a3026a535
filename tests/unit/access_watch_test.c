/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* When the files that decide who is let in are read again, and whom that is told. The listener and the
 * services are the test's; who is out then: tests/system/access_test.c. */
#include "server/access_watch.h"
#include "server/audit_service.h"

#include <sys/resource.h>

#include "common/clock.h"
#include "tests/lib/folder.h"
#include "tests/lib/unit.h"

static struct {
    struct folder dir;
    struct config config;
    struct access_watch watch;
    uint64_t now_ns;
    unsigned listener_told, rpc_told, loaded, failed;
    unsigned audited;
    bool listener_refuses;
} rig;

/* --- what the watch tells ---------------------------------------------------------------------- */

int listener_set_access(struct listener *l, struct access *access, struct failure *f)
{
    assert_null(l);
    assert_non_null(access);
    if (rig.listener_refuses) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "out of memory");
    }
    rig.listener_told++;
    return 0;
}

void rpc_set_access(struct rpc *rpc, struct access *access)
{
    assert_null(rpc);
    assert_non_null(access);
    rig.rpc_told++;
}

struct access *rpc_access(struct rpc *rpc)
{
    assert_null(rpc);
    return NULL;
}

void rpc_judge_traces(struct rpc *rpc)
{
    assert_null(rpc);
}

void rpc_expire(struct rpc *rpc, int64_t now_s)
{
    assert_null(rpc);
    assert_true(now_s > 0);
}

void audit_service_reloaded(struct audit *audit, const char *because, const struct buffer *faults,
                            const struct failure *why)
{
    assert_null(audit);
    assert_string_equal(because, "files");
    assert_non_null(faults);
    assert_non_null(why);
    rig.audited++;
}

void metrics_access_reloaded(struct metrics *m, bool success)
{
    assert_null(m);
    rig.loaded += success;
    rig.failed += !success;
}

/* --- the rig ----------------------------------------------------------------------------------- */

static uint64_t monotonic_ns(void *arg)
{
    (void)arg;
    return rig.now_ns;
}

static uint64_t wall_ns(void *arg)
{
    (void)arg;
    return UINT64_C(2000000000) * CLOCK_NS_PER_S + rig.now_ns;
}

/* As an operator does it: whole at any moment. */
static void write_deny(const char *text)
{
    char path[FOLDER_PATH_BYTES];

    (void)snprintf(path, sizeof(path), "%s", folder_path(&rig.dir, "deny"));
    folder_write(folder_path(&rig.dir, "deny.new"), text, strlen(text));
    assert_int_equal(rename(folder_path(&rig.dir, "deny.new"), path), 0);
}

static void tick(void)
{
    static const struct access_watch_parts nobody;

    access_watch_tick(&rig.watch, &nobody);
}

static void after_s(uint64_t seconds)
{
    rig.now_ns += seconds * CLOCK_NS_PER_S;
    tick();
}

static void expect(unsigned loaded, unsigned failed)
{
    assert_int_equal(rig.loaded, loaded);
    assert_int_equal(rig.failed, failed);
    assert_int_equal(rig.listener_told, loaded);
    assert_int_equal(rig.rpc_told, loaded);
}

static int begin(void **state)
{
    static const struct clock_source source = { .monotonic_ns = monotonic_ns, .wall_ns = wall_ns };

    (void)state;
    memset(&rig, 0, sizeof(rig));
    rig.dir = folder_make();
    rig.now_ns = CLOCK_NS_PER_S;
    clock_set_source(&source);
    config_defaults(&rig.config);
    rig.config.tls_client_ca[0] = '\0';
    (void)snprintf(rig.config.server_deny, sizeof(rig.config.server_deny), "%s",
                   folder_path(&rig.dir, "deny"));
    write_deny("# nobody\n");
    access_watch_init(&rig.watch, &rig.config);
    return 0;
}

static int end(void **state)
{
    (void)state;
    clock_set_source(NULL);
    folder_done(&rig.dir);
    return 0;
}

/* --- tests ------------------------------------------------------------------------------------- */

static void what_has_not_changed_is_not_read(void **state)
{
    (void)state;
    for (int i = 0; i < 30; i++) {
        after_s(1);
    }
    expect(0, 0);
}

static void what_changed_is_read_once(void **state)
{
    (void)state;
    write_deny("identity:cn:mallory\n");
    tick();
    expect(1, 0);
    after_s(ACCESS_RETRY_S);
    expect(1, 0);
}

/* Nothing of the file is wrong, and nothing of it will change: this process may open no more files. */
static void what_could_not_be_read_is_tried_again_though_no_file_changes(void **state)
{
    struct rlimit files, none;

    (void)state;
    write_deny("identity:cn:mallory\n");
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    none = files;
    none.rlim_cur = 3;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    tick();
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
    expect(0, 1);
    after_s(ACCESS_RETRY_S - 1);
    expect(0, 1);
    after_s(1);
    expect(1, 1);
    after_s(ACCESS_RETRY_S);
    expect(1, 1);
}

static void nor_is_what_nobody_took_given_up(void **state)
{
    (void)state;
    write_deny("identity:cn:mallory\n");
    rig.listener_refuses = true;
    tick();
    after_s(ACCESS_RETRY_S);
    expect(0, 2);
    rig.listener_refuses = false;
    after_s(ACCESS_RETRY_S);
    expect(1, 2);
}

static void a_fault_is_told_as_often_as_it_is_tried(void **state)
{
    (void)state;
    write_deny("mallory\n");
    tick();
    for (int i = 0; i < ACCESS_RETRY_S; i++) {
        after_s(1);
    }
    expect(0, 2);
    assert_int_equal(rig.audited, 1);    /* not so the audit, which it would fill */
    write_deny("identity:cn:mallory\n"); /* at once, whatever was to be waited for */
    tick();
    expect(1, 2);
    assert_int_equal(rig.audited, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_has_not_changed_is_not_read),
        TEST(what_changed_is_read_once),
        TEST(what_could_not_be_read_is_tried_again_though_no_file_changes),
        TEST(nor_is_what_nobody_took_given_up),
        TEST(a_fault_is_told_as_often_as_it_is_tried),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
