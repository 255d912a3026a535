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

static struct audit_batch batch, other;

static int write_and_settle(struct audit *a, struct audit_batch *b, struct failure *f)
{
    struct audit_receipt receipt;

    audit_write_batch(a, b, &receipt);
    audit_batch_clear(b);
    return audit_settle(a, &receipt, f);
}

static void all_that_were_added_are_written_at_once(void **state)
{
    struct audit_counters before, after;
    struct audit_receipt receipt;
    struct audit_rig r;

    (void)state;
    audit_rig_init(&r);
    audit_rig_start(&r);
    audit_count(r.audit, &before);
    for (unsigned i = 0; i < 5; i++) {
        assert_true(add(&batch, i));
    }
    assert_int_equal(audit_rig_count(&r, "\"event\":\"snapshot\""), 0);
    audit_write_batch(r.audit, &batch, &receipt);
    assert_int_equal(audit_rig_count(&r, "\"event\":\"snapshot\""), 5); /* without waiting */
    assert_true(receipt.is_written);
    assert_int_equal(audit_settle(r.audit, &receipt, NULL), 0);
    audit_batch_clear(&batch);
    assert_true(add(&batch, 5)); /* it begins anew */
    assert_int_equal(write_and_settle(r.audit, &batch, NULL), 0);
    assert_int_equal(audit_rig_count(&r, "\"event\":\"snapshot\""), 6);
    audit_count(r.audit, &after);
    assert_int_equal(after.records - before.records, 6);
    audit_rig_stop(&r);
    (void)audit_rig_whole(&r);
    audit_rig_done(&r);
}

/* As many records as it has room for, of the shortest and of the longest, and one more. */
static void it_has_room_for_so_many(void **state)
{
    static char long_text[8192];
    struct identity who;
    struct domain_identity domain = { .domid = UINT16_MAX };
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

    while (audit_batch_add(&batch, &longest, 0)) {
        added++;
    }
    assert_in_range(added, 4, AUDIT_BATCH_RECORDS - 1);
    for (unsigned i = 0; i < AUDIT_BATCH_RECORDS; i++) {
        const struct audit_record shortest = { .event = AUDIT_SNAPSHOT };

        assert_true(audit_batch_add(&other, &shortest, 0));
    }
    assert_false(add(&other, 1));
    audit_rig_init(&r);
    audit_rig_start(&r);
    assert_int_equal(write_and_settle(r.audit, &batch, NULL), 0);
    assert_int_equal(write_and_settle(r.audit, &other, NULL), 0);
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

/* The disk is full within it: none of it is there, and each who asks is told, also once there is room. */
static void none_is_written_where_all_have_no_room(void **state)
{
    struct failure f = { 0 };
    struct audit_counters counted;
    struct audit_receipt receipt;
    struct audit_rig r;

    (void)state;
    audit_rig_init(&r);
    audit_rig_start(&r);
    limit_files(2048);
    for (unsigned i = 0; i < 10; i++) {
        assert_true(add(&batch, i));
    }
    audit_write_batch(r.audit, &batch, &receipt);
    audit_batch_clear(&batch);
    assert_false(receipt.is_written);
    assert_int_equal(audit_settle(r.audit, &receipt, &f), -ERROR_UNAVAILABLE);
    assert_true(f.next_step[0] != '\0' && f.retry_after_ms > 0);
    audit_count(r.audit, &counted);
    assert_int_equal(counted.lost, 10);
    limit_files(0);
    assert_true(add(&batch, 1));
    assert_int_equal(write_and_settle(r.audit, &batch, NULL), 0);
    assert_int_equal(audit_settle(r.audit, &receipt, NULL), -ERROR_UNAVAILABLE);
    audit_rig_stop(&r);
    (void)audit_rig_whole(&r);
    assert_int_equal(audit_rig_count(&r, "\"event\":\"snapshot\""), 1);
    assert_int_equal(audit_rig_count(&r, "\"event\":\"lost\""), 1);
    audit_rig_done(&r);
}

static void where_the_service_is_to_go_on_it_does(void **state)
{
    struct audit_rig r;

    (void)state;
    audit_rig_init(&r);
    r.options.on_failure = AUDIT_CONTINUE;
    audit_rig_start(&r);
    limit_files(1024);
    for (unsigned i = 0; i < 10; i++) {
        assert_true(add(&batch, i));
    }
    assert_int_equal(write_and_settle(r.audit, &batch, NULL), 0);
    limit_files(0);
    assert_true(add(&batch, 1));
    assert_int_equal(write_and_settle(NULL, &batch, NULL), 0); /* an audit that is off */
    audit_rig_stop(&r);
    (void)audit_rig_whole(&r);
    audit_rig_done(&r);
}

/* --- threads ---------------------------------------------------------------------------------------- */

/* As a gateway has it: one thread adds and writes, the others let out what was added, each what is its own;
 * and write records that wait for nobody. */
struct work {
    struct audit_rig rig;
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct audit_receipt given[THREADS * TURNS];
    unsigned count, taken, turns;
};

static bool take(struct work *w, struct audit_receipt *out)
{
    (void)pthread_mutex_lock(&w->lock);
    unsigned at = w->taken++;

    while (at < w->turns && at >= w->count) {
        (void)pthread_cond_wait(&w->more, &w->lock);
    }
    if (at < w->turns) {
        *out = w->given[at];
    }
    (void)pthread_mutex_unlock(&w->lock);
    return at < w->turns;
}

static atomic_uint failed, alone;

static void *let_out(void *arg)
{
    struct work *w = arg;
    struct audit_receipt receipt;

    for (unsigned i = 0; take(w, &receipt); i++) {
        const struct audit_record r = { .event = AUDIT_STREAM_OPENED };

        if (audit_settle(w->rig.audit, &receipt, NULL) != 0) {
            atomic_fetch_add(&failed, 1);
        }
        if (i % 16 == 0) {
            atomic_fetch_add(&failed, audit_write(w->rig.audit, &r, NULL) != 0);
            atomic_fetch_add(&alone, 1);
        }
    }
    return NULL;
}

static void give(struct work *w, const struct audit_receipt *receipt, size_t count)
{
    (void)pthread_mutex_lock(&w->lock);
    while (count-- > 0) {
        w->given[w->count++] = *receipt;
    }
    (void)pthread_cond_broadcast(&w->more);
    (void)pthread_mutex_unlock(&w->lock);
}

/* Batches of one record and of many, in turn. */
static void write_all(struct work *w)
{
    for (unsigned i = 0; i < w->turns;) {
        struct audit_receipt receipt;

        for (unsigned wanted = 1 + i % 7; i < w->turns && batch.count < wanted; i++) {
            assert_true(add(&batch, i));
        }
        audit_write_batch(w->rig.audit, &batch, &receipt);
        give(w, &receipt, batch.count);
        audit_batch_clear(&batch);
    }
}

static void threads_let_out_what_one_writes(void **state)
{
    static struct work w = { .lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER };
    const enum audit_sync syncs[] = { AUDIT_SYNC_NONE, AUDIT_SYNC_EACH };
    pthread_t threads[THREADS];

    (void)state;
    for (size_t s = 0; s < sizeof syncs / sizeof syncs[0]; s++) {
        w.turns = syncs[s] == AUDIT_SYNC_EACH ? THREADS * TURNS / 20 : THREADS * TURNS;
        w.count = w.taken = 0;
        atomic_store(&alone, 0);
        audit_rig_init(&w.rig);
        w.rig.options.sync = syncs[s];
        w.rig.options.log.max_bytes = 256 << 10;
        w.rig.options.checkpoint_records = 100;
        audit_rig_start(&w.rig);
        for (size_t i = 0; i < THREADS; i++) {
            assert_int_equal(pthread_create(&threads[i], NULL, let_out, &w), 0);
        }
        write_all(&w);
        for (size_t i = 0; i < THREADS; i++) {
            assert_int_equal(pthread_join(threads[i], NULL), 0);
        }
        assert_int_equal(atomic_load(&failed), 0);
        audit_rig_stop(&w.rig);
        (void)audit_rig_whole(&w.rig);
        assert_int_equal(audit_rig_count_all(&w.rig, "\"event\":\"snapshot\""), w.turns);
        assert_int_equal(audit_rig_count_all(&w.rig, "\"event\":\"stream_opened\""), alone);
        audit_rig_done(&w.rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_that_were_added_are_written_at_once),
        cmocka_unit_test(it_has_room_for_so_many),
        cmocka_unit_test(none_is_written_where_all_have_no_room),
        cmocka_unit_test(where_the_service_is_to_go_on_it_does),
        cmocka_unit_test(threads_let_out_what_one_writes),
    };

    return UNIT_RUN(tests);
}
