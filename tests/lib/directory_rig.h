/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * A directory on a backend of a few rows that the test writes itself, and what it told: three domains,
 * each called "guest", as is everybody whom the test does not give another name.
 */
#ifndef XENRES_TESTS_DIRECTORY_RIG_H
#define XENRES_TESTS_DIRECTORY_RIG_H

#include <stdlib.h>

#include "common/clock.h"
#include "server/mapper/directory.h"
#include "tests/lib/unit.h"

enum { ROWS_MAX = DIRECTORY_DOMAINS_MAX + 1, EVENTS_MAX = 8 };

struct backend {
    struct backend_domain rows[ROWS_MAX];
    char name[MESSAGE_NAME_BYTES]; /* of all of them */
    bool name_cut;
    uint32_t count;
    struct {
        unsigned events;
        uint16_t domid;
    } events[EVENTS_MAX];
    uint32_t event_count;
    int watched;
    struct backend_tags tags; /* of all of them */
    bool list_fails, find_fails, name_fails, tags_fail;
};

static struct backend world;
static uint8_t last_gone[16];
static int gone_count;
static struct directory *d;

static inline int fake_list(struct backend *b, uint16_t first, struct backend_domain *out,
                            uint32_t max, uint32_t *count, struct failure *f)
{
    if (b->list_fails) {
        return failure_set(f, ERROR_UNAVAILABLE, "no list");
    }
    *count = 0;
    for (uint32_t i = 0; i < b->count && *count < max; i++) {
        if (b->rows[i].domid >= first) {
            out[(*count)++] = b->rows[i];
        }
    }
    return 0;
}

static inline int fake_find(struct backend *b, uint16_t domid, struct backend_domain *out,
                            struct failure *f)
{
    if (b->find_fails) {
        return failure_set(f, ERROR_UNAVAILABLE, "no answer");
    }
    for (uint32_t i = 0; i < b->count; i++) {
        if (b->rows[i].domid == domid) {
            *out = b->rows[i];
            return 0;
        }
    }
    return failure_set(f, ERROR_NOT_FOUND, "gone");
}

static inline int fake_name(struct backend *b, uint16_t domid, char out[MESSAGE_NAME_BYTES],
                            bool *cut, struct failure *f)
{
    (void)domid;
    if (b->name_fails) {
        return failure_set(f, ERROR_UNAVAILABLE, "no name");
    }
    memcpy(out, b->name, MESSAGE_NAME_BYTES);
    *cut = b->name_cut;
    return 0;
}

static inline int fake_tags(struct backend *b, uint16_t domid, struct backend_tags *out,
                            struct failure *f)
{
    (void)domid;
    if (b->tags_fail) {
        return failure_set(f, ERROR_UNAVAILABLE, "no tags");
    }
    *out = b->tags;
    return 0;
}

static inline bool fake_next_event(struct backend *b, unsigned *events, uint16_t *domid)
{
    if (b->event_count == 0) {
        return false;
    }
    *events = b->events[0].events;
    *domid = b->events[0].domid;
    b->event_count--;
    memmove(&b->events[0], &b->events[1], b->event_count * sizeof(b->events[0]));
    return true;
}

static inline void fake_watch(struct backend *b, uint16_t domid)
{
    (void)domid;
    b->watched++;
}

static inline void fake_unwatch(struct backend *b, uint16_t domid)
{
    (void)domid;
    b->watched--;
}

static const struct backend_ops fake_ops = {
    .name = "fake",
    .list = fake_list,
    .find = fake_find,
    .domain_name = fake_name,
    .domain_tags = fake_tags,
    .next_event = fake_next_event,
    .watch_name = fake_watch,
    .unwatch_name = fake_unwatch,
};

/* All that was told since told() looked, a letter each, and of whom the last was. */
static char told_kinds[64];
static struct directory_entry last_told;

static inline void on_told(void *arg, enum feed_domain_kind kind, const struct directory_entry *e,
                           const struct domain_identity *before)
{
    static const char letters[] = {
        [FEED_DOMAIN_CREATED] = 'C', [FEED_DOMAIN_RENAMED] = 'R', [FEED_DOMAIN_STATE] = 'S',
        [FEED_DOMAIN_DYING] = 'D',   [FEED_DOMAIN_GONE] = 'G',    [FEED_DOMAIN_RETAGGED] = 'T'
    };
    size_t len = strlen(told_kinds);

    (void)arg;
    assert_true(len + 1 < sizeof(told_kinds));
    assert_int_equal(before != NULL, kind == FEED_DOMAIN_RENAMED || kind == FEED_DOMAIN_RETAGGED);
    told_kinds[len] = letters[kind];
    told_kinds[len + 1] = '\0';
    last_told = *e;
}

static inline void on_gone(void *arg, const uint8_t incarnation[16])
{
    (void)arg;
    memcpy(last_gone, incarnation, 16);
    gone_count++;
}

static inline int set_up(void **state)
{
    (void)state;
    memset(&world, 0, sizeof(world));
    memcpy(world.name, "guest", 6);
    for (uint32_t i = 0; i < 3; i++) {
        world.rows[i] = (struct backend_domain){ .domid = (uint16_t)(i + 1),
                                                 .uuid = { (uint8_t)(i + 1) },
                                                 .state = DOMAIN_RUNNING,
                                                 .cpu_time_ns = 10 * CLOCK_NS_PER_S };
    }
    world.count = 3;
    gone_count = 0;
    if (directory_new(&fake_ops, &world, on_gone, NULL, &d, NULL) < 0 ||
        directory_drain(d, NULL) < 0) {
        return -1;
    }
    told_kinds[0] = '\0';
    directory_listen(d, on_told, NULL);
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    directory_free(d);
    return world.watched != 0;
}

static inline struct directory_entry entry(uint16_t domid)
{
    uint32_t count;
    const struct directory_entry *e = directory_entries(d, &count);

    for (uint32_t i = 0; i < count; i++) {
        if (e[i].domain.domid == domid) {
            return e[i];
        }
    }
    fail_msg("domain %u is not in the directory", domid);
    return (struct directory_entry){ 0 };
}

static struct domain_identity who(uint16_t domid)
{
    return entry(domid).identity;
}

static inline void expect_told(const char *kinds)
{
    assert_string_equal(told_kinds, kinds);
    told_kinds[0] = '\0';
}

/* The next time that is to be waited for. */
static inline uint64_t settle(uint64_t now_ms)
{
    uint64_t next_ns;

    assert_int_equal(directory_settle(d, now_ms * CLOCK_NS_PER_MS, &next_ns, NULL), 0);
    return next_ns == UINT64_MAX ? UINT64_MAX : next_ns / CLOCK_NS_PER_MS;
}

static inline void event(unsigned events, uint16_t domid)
{
    world.events[world.event_count].events = events;
    world.events[world.event_count++].domid = domid;
}

static inline void drain(void)
{
    assert_int_equal(directory_drain(d, NULL), 0);
}

#define DIRECTORY_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

#endif
