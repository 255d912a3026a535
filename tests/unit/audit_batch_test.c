/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Records that share a write: each is there once, in one chain, before anybody is told that it is. */
#include "auth/audit_batch.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>

#include "tests/lib/audit_rig.h"

enum { THREADS = 4, TURNS = 2000 };

static bool add(struct audit_batch *b, unsigned n)
{
    const struct domain_identity domain = { .domid = (uint16_t)n, .name = "web-1" };
    const struct audit_record r = { .event = AUDIT_SNAPSHOT, .domain = &domain, .bytes = n };

    return audit_batch_add(b, &r, clock_wall_ns());
}

static void all_that_were_added_are_written_once(void **state)
{
    struct audit_batch *b = audit_batch_new();
    struct audit_counters before, after;
    struct audit_rig r;

    (void)state;
    audit_rig_init(&r);
    audit_rig_start(&r);
    audit_count(r.audit, &before);
    for (unsigned i = 0; i < 5; i++) {
        assert_true(add(b, i));
    }
    assert_int_equal(audit_rig_count(&r, "\"event\":\"snapshot\""), 0);
    assert_int_equal(audit_write_batch(r.audit, b, NULL), 0);
    assert_int_equal(audit_rig_count(&r, "\"event\":\"snapshot\""), 5); /* at once: no waiting */
    assert_false(add(b, 5)); /* it would never be written */
    assert_int_equal(audit_write_batch(r.audit, b, NULL), 0);
    assert_int_equal(audit_rig_count(&r, "\"event\":\"snapshot\""), 5);
    audit_count(r.audit, &after);
    assert_int_equal(after.records - before.records, 5);
    audit_batch_unref(b);
    audit_rig_stop(&r);
    (void)audit_rig_whole(&r);
    audit_rig_done(&r);
}

/* What nobody was about to send is not told. */
static void one_that_nobody_writes_is_gone(void **state)
{
    struct audit_batch *b = audit_batch_ref(audit_batch_new());

    (void)state;
    assert_true(add(b, 1));
    audit_batch_unref(b);
    audit_batch_unref(b);
    audit_batch_unref(NULL);
}

/* As many records as it has room for, of the shortest and of the longest, and one more. */
static void it_has_room_for_so_many(void **state)
{
    static char long_text[8192];
    struct identity who;
    struct domain_identity domain = { .domid = UINT16_MAX };
    struct audit_batch *few = audit_batch_new(), *many = audit_batch_new();
    struct audit_rig r;
    unsigned added = 0;

    (void)state;
    memset(long_text, '\x01', sizeof long_text - 1);
    memset(&who, '\x01', sizeof who);
    who.text[sizeof who.text - 1] = who.token_id[sizeof who.token_id - 1] = '\0';
    memset(domain.name, '\x01', sizeof domain.name - 1);
    const struct audit_record longest = { .event = AUDIT_SNAPSHOT,
                                          .who = &who,
                                          .peer = long_text,
                                          .domain = &domain,
                                          .rule = long_text,
                                          .detail = long_text };

    while (audit_batch_add(few, &longest, 0)) {
        added++;
    }
    assert_in_range(added, 4, AUDIT_BATCH_RECORDS - 1);
    for (unsigned i = 0; i < AUDIT_BATCH_RECORDS; i++) {
        const struct audit_record shortest = { .event = AUDIT_SNAPSHOT };

        assert_true(audit_batch_add(many, &shortest, 0));
    }
    assert_false(add(many, 1));
    audit_rig_init(&r);
    audit_rig_start(&r);
    assert_int_equal(audit_write_batch(r.audit, few, NULL), 0);
    assert_int_equal(audit_write_batch(r.audit, many, NULL), 0);
    audit_batch_unref(few);
    audit_batch_unref(many);
    audit_rig_stop(&r);
    (void)audit_rig_whole(&r);
    assert_int_equal(audit_rig_count(&r, "\"event\":\"snapshot\""), added + AUDIT_BATCH_RECORDS);
    audit_rig_done(&r);
}

static void limit_files(uint64_t bytes)
{
    const struct rlimit limit = { .rlim_cur = bytes > 0 ? bytes : RLIM_INFINITY,
                                  .rlim_max = RLIM_INFINITY };

    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* The disk is full within it: none of it is there, and whoever asks is told, also once there is room. */
static void none_is_written_where_all_have_no_room(void **state)
{
    struct audit_batch *b = audit_batch_new(), *next = audit_batch_new();
    struct failure f = { 0 };
    struct audit_counters counted;
    struct audit_rig r;

    (void)state;
    audit_rig_init(&r);
    audit_rig_start(&r);
    limit_files(2048);
    for (unsigned i = 0; i < 10; i++) {
        assert_true(add(b, i));
    }
    assert_int_equal(audit_write_batch(r.audit, b, &f), -ERROR_UNAVAILABLE);
    assert_true(f.next_step[0] != '\0' && f.retry_after_ms > 0);
    audit_count(r.audit, &counted);
    assert_int_equal(counted.lost, 10);
    limit_files(0);
    assert_true(add(next, 1));
    assert_int_equal(audit_write_batch(r.audit, next, NULL), 0);
    assert_int_equal(audit_write_batch(r.audit, b, NULL), -ERROR_UNAVAILABLE);
    audit_batch_unref(b);
    audit_batch_unref(next);
    audit_rig_stop(&r);
    (void)audit_rig_whole(&r);
    assert_int_equal(audit_rig_count(&r, "\"event\":\"snapshot\""), 1);
    assert_int_equal(audit_rig_count(&r, "\"event\":\"lost\""), 1);
    audit_rig_done(&r);
}

static void where_the_service_is_to_go_on_it_does(void **state)
{
    struct audit_batch *b = audit_batch_new();
    struct audit_rig r;

    (void)state;
    audit_rig_init(&r);
    r.options.on_failure = AUDIT_CONTINUE;
    audit_rig_start(&r);
    limit_files(1024);
    for (unsigned i = 0; i < 10; i++) {
        assert_true(add(b, i));
    }
    assert_int_equal(audit_write_batch(r.audit, b, NULL), 0);
    limit_files(0);
    assert_int_equal(audit_write_batch(NULL, b, NULL), 0); /* an audit that is off */
    audit_batch_unref(b);
    audit_rig_stop(&r);
    (void)audit_rig_whole(&r);
    audit_rig_done(&r);
}

/* --- threads ---------------------------------------------------------------------------------------- */

/* As a gateway has it: one thread adds, the others let out what was added, each what is its own. */
struct work {
    struct audit_rig rig;
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct audit_batch *given[THREADS * TURNS];
    unsigned count, taken;
};

static struct audit_batch *take(struct work *w)
{
    (void)pthread_mutex_lock(&w->lock);
    unsigned at = w->taken++;

    while (at < THREADS * TURNS && at >= w->count) {
        (void)pthread_cond_wait(&w->more, &w->lock);
    }
    struct audit_batch *b = at < THREADS * TURNS ? w->given[at] : NULL;

    (void)pthread_mutex_unlock(&w->lock);
    return b;
}

static atomic_uint failed;

static void *let_out(void *arg)
{
    struct work *w = arg;
    struct audit_batch *b;

    while ((b = take(w)) != NULL) {
        if (audit_write_batch(w->rig.audit, b, NULL) != 0 || add(b, 0)) {
            atomic_fetch_add(&failed, 1);
        }
        audit_batch_unref(b);
    }
    return NULL;
}

static void give(struct work *w, struct audit_batch *b)
{
    (void)pthread_mutex_lock(&w->lock);
    w->given[w->count++] = b;
    (void)pthread_cond_signal(&w->more);
    (void)pthread_mutex_unlock(&w->lock);
}

static void threads_share_them(void **state)
{
    static struct work w = { .lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER };
    const enum audit_sync syncs[] = { AUDIT_SYNC_NONE, AUDIT_SYNC_EACH };
    struct audit_batch *b = audit_batch_new();
    pthread_t threads[THREADS];

    (void)state;
    for (size_t s = 0; s < sizeof syncs / sizeof syncs[0]; s++) {
        unsigned turns = syncs[s] == AUDIT_SYNC_EACH ? THREADS * TURNS / 20 : THREADS * TURNS;

        w.count = w.taken = THREADS * TURNS - turns;
        audit_rig_init(&w.rig);
        w.rig.options.sync = syncs[s];
        w.rig.options.log.max_bytes = 256 << 10;
        w.rig.options.checkpoint_records = 100;
        audit_rig_start(&w.rig);
        for (size_t i = 0; i < THREADS; i++) {
            assert_int_equal(pthread_create(&threads[i], NULL, let_out, &w), 0);
        }
        for (unsigned i = 0; i < turns; i++) {
            if (!add(b, i)) {
                audit_batch_unref(b);
                b = audit_batch_new();
                assert_true(add(b, i));
            }
            give(&w, audit_batch_ref(b));
        }
        for (size_t i = 0; i < THREADS; i++) {
            assert_int_equal(pthread_join(threads[i], NULL), 0);
        }
        assert_int_equal(atomic_load(&failed), 0);
        audit_rig_stop(&w.rig);
        (void)audit_rig_whole(&w.rig);
        assert_int_equal(audit_rig_count_all(&w.rig, "\"event\":\"snapshot\""), turns);
        audit_rig_done(&w.rig);
    }
    audit_batch_unref(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_that_were_added_are_written_once),
        cmocka_unit_test(one_that_nobody_writes_is_gone),
        cmocka_unit_test(it_has_room_for_so_many),
        cmocka_unit_test(none_is_written_where_all_have_no_room),
        cmocka_unit_test(where_the_service_is_to_go_on_it_does),
        cmocka_unit_test(threads_share_them),
    };

    return UNIT_RUN(tests);
}
