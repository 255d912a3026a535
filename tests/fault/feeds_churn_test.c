/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Domains that come and go, each watched from its beginning to its end: what the real mapper needs for that
 * it needs once.
 */
#include "tests/lib/feed_rig.h"

enum { WATCHES_MAX = 16, LIVES_FIRST = 30, LIVES = 200, GROWTH_MOST_KIB = 128 };

static const char scenario[] =
    "domain \"a\" { domid = 1 uuid = \"11111111-1111-1111-1111-111111111111\"\n"
    "  grants { frames = 1 entries = 20 changes_per_second = 400 } }\n"
    "churn { domains = 5 like = \"a\" period_ms = 15 }\n";

static struct rig rig;
static struct rig_peer peer;
static struct feed_rig domains, watches[WATCHES_MAX];
static uint32_t count;

/* Anonymous memory alone: spools are shared, and counted elsewhere. */
static long resident_kib(void)
{
    char path[64], line[128];
    long kib = -1;

    snprintf(path, sizeof(path), "/proc/%d/status", (int)rig.pid);
    FILE *file = fopen(path, "re");

    assert_non_null(file);
    while (kib < 0 && fgets(line, sizeof(line), file) != NULL) {
        (void)sscanf(line, "RssAnon: %ld", &kib);
    }
    (void)fclose(file);
    assert_true(kib > 0);
    return kib;
}

static bool has_ended(struct feed_rig *r)
{
    while (feed_rig_read(r)) {
        if (r->record.kind == FEED_RECORD_END) {
            assert_int_equal(r->record.end->reason, FEED_END_INCARNATION);
            return true;
        }
    }
    return false;
}

/* Watches so many domains that are created from now on. */
static void watch_lives(uint32_t lives)
{
    static union message answered;

    while (lives > 0) {
        if (feed_rig_next(&domains)->domain->kind != FEED_DOMAIN_CREATED) {
            continue;
        }
        for (uint32_t i = 0; i < count;) {
            if (has_ended(&watches[i])) {
                feed_rig_done(&watches[i]);
                watches[i] = watches[--count];
            } else {
                i++;
            }
        }
        union message m =
            feed_rig_message(&domains.record.domain->now.identity, RESOURCE_GRANT_TABLE, 0, 0, 10);

        assert_true(count < WATCHES_MAX);
        if (feed_rig_begin(&watches[count], &peer, &m, &answered)) { /* it may be gone already */
            count++;
            lives--;
        }
    }
}

static void two_hundred_lives_need_no_more_memory_than_thirty(void **state)
{
    static union message answered;
    union message m = rig_message(MESSAGE_WATCH_DOMAINS);

    (void)state;
    rig_start(&rig, scenario, RIG_EXPORT_ALL, NULL);
    rig_join(&rig, &peer);
    assert_true(feed_rig_begin(&domains, &peer, &m, &answered));
    watch_lives(LIVES_FIRST);
    long before_kib = resident_kib();

    watch_lives(LIVES);
    long after_kib = resident_kib();

    print_message("# %ld KiB, after %d lives more %ld KiB\n", before_kib, LIVES, after_kib);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* which keep what is freed */
    assert_true(after_kib <= before_kib + GROWTH_MOST_KIB);
#endif
    while (count > 0) {
        feed_rig_done(&watches[--count]);
    }
    feed_rig_done(&domains);
    rig_leave(&peer);
    rig_stop(&rig); /* whose sanitizer would tell of what was leaked */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_hundred_lives_need_no_more_memory_than_thirty),
    };

    return UNIT_RUN(tests);
}
