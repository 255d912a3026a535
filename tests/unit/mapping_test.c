/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/mapper/mapping.h"

#include <stdlib.h>

#include "common/clock.h"
#include "tests/lib/unit.h"

enum { COUNT_MAX = 4 };
#define IDLE_NS (10 * CLOCK_NS_PER_S)

struct backend {
    int live, maps;
    bool fails;
};

static struct backend world;
static struct mapping_cache *c;
static uint64_t now_ns;
static uint8_t frames[16 * MESSAGE_FRAME_BYTES];

static int fake_map(struct backend *b, uint16_t domid, uint32_t type, uint32_t id, uint32_t first,
                    uint32_t count, struct backend_mapping *out, struct failure *f)
{
    (void)domid, (void)type, (void)id;
    if (b->fails) {
        return failure_set(f, ERROR_UNAVAILABLE, "no");
    }
    b->live++;
    b->maps++;
    *out = (struct backend_mapping){ .frame_count = count,
                                     .address = frames + (first % 16) * MESSAGE_FRAME_BYTES };
    return 0;
}

static void fake_unmap(struct backend *b, struct backend_mapping *m)
{
    (void)m;
    b->live--;
}

static const struct backend_ops fake_ops = { .name = "fake", .map = fake_map, .unmap = fake_unmap };

static uint64_t fake_now(void *arg)
{
    (void)arg;
    return now_ns;
}

static int set_up(void **state)
{
    static const struct clock_source source = { .monotonic_ns = fake_now, .wall_ns = fake_now };

    (void)state;
    world = (struct backend){ 0 };
    now_ns = CLOCK_NS_PER_S;
    clock_set_source(&source);
    return mapping_cache_new(&fake_ops, &world, COUNT_MAX, IDLE_NS, &c, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    mapping_cache_free(c);
    clock_set_source(NULL);
    return world.live != 0;
}

static struct mapping_key key(uint8_t incarnation, uint32_t first, uint32_t count)
{
    return (struct mapping_key){ .incarnation = { incarnation },
                                 .domid = 5,
                                 .type = 1,
                                 .first_frame = first,
                                 .frame_count = count };
}

static struct mapping_ref get(struct mapping_key k)
{
    struct mapping_ref ref;

    assert_int_equal(mapping_get(c, &k, &ref, NULL), 0);
    return ref;
}

static void a_range_within_a_live_one_is_not_mapped_again(void **state)
{
    struct mapping_ref whole = get(key(1, 2, 8)), part = get(key(1, 4, 2));

    (void)state;
    assert_int_equal(world.maps, 1);
    assert_ptr_equal(mapping_resolve(c, part, 4), frames + 4 * MESSAGE_FRAME_BYTES);
    mapping_put(c, &whole);
    mapping_put(c, &part);
    struct mapping_ref beyond = get(key(1, 4, 7));

    assert_int_equal(world.maps, 2);
    mapping_put(c, &beyond);
}

static void another_incarnation_never_gets_it(void **state)
{
    struct mapping_ref a = get(key(1, 0, 1)), b = get(key(2, 0, 1));

    (void)state;
    assert_int_equal(world.maps, 2);
    assert_int_not_equal(a.index, b.index);
    mapping_put(c, &a);
    mapping_put(c, &b);
}

static void a_dead_one_is_unmapped_at_once_in_the_midst_of_use(void **state)
{
    const uint8_t dead[16] = { 1 };
    struct mapping_ref a = get(key(1, 0, 1)), b = get(key(2, 0, 1));

    (void)state;
    mapping_drop_incarnation(c, dead);
    assert_int_equal(world.live, 1);
    assert_null(mapping_resolve(c, a, 0));
    assert_non_null(mapping_resolve(c, b, 0));
    struct mapping_ref fresh = get(key(3, 0, 1)); /* takes the row: the old reference stays void */

    assert_int_equal(fresh.index, a.index);
    assert_null(mapping_resolve(c, a, 0));
    mapping_put(c, &a);
    assert_non_null(mapping_resolve(c, fresh, 0));
    mapping_put(c, &fresh);
    mapping_put(c, &b);
}

static void unused_ones_go_after_a_while(void **state)
{
    struct mapping_ref used = get(key(1, 0, 1)), idle = get(key(2, 0, 1));

    (void)state;
    mapping_put(c, &idle);
    assert_int_equal(mapping_idle_deadline_ns(c), now_ns + IDLE_NS);
    now_ns += IDLE_NS - 1;
    mapping_drop_idle(c, now_ns);
    assert_int_equal(world.live, 2);
    now_ns += 1;
    mapping_drop_idle(c, now_ns);
    assert_int_equal(world.live, 1);
    assert_non_null(mapping_resolve(c, used, 0));
    assert_int_equal(mapping_idle_deadline_ns(c), UINT64_MAX);
    mapping_put(c, &used);
}

static void the_longest_unused_makes_room(void **state)
{
    struct mapping_ref refs[COUNT_MAX];

    (void)state;
    for (uint8_t i = 0; i < COUNT_MAX; i++) {
        now_ns++;
        refs[i] = get(key((uint8_t)(i + 1), 0, 1));
    }
    struct mapping_key more = key(9, 0, 1);
    struct mapping_ref ref;
    struct failure f = { 0 };

    assert_int_equal(mapping_get(c, &more, &ref, &f), -ERROR_RESOURCE_EXHAUSTED);
    assert_int_equal(f.retry_after_ms, FAILURE_RETRY_SOON_MS);
    struct mapping_ref second = refs[1];

    mapping_put(c, &refs[1]);
    assert_int_equal(mapping_get(c, &more, &ref, NULL), 0);
    assert_int_equal(world.live, COUNT_MAX);
    assert_null(mapping_resolve(c, second, 0));
    mapping_put(c, &ref);
    for (int i = 0; i < COUNT_MAX; i++) {
        mapping_put(c, &refs[i]);
    }
}

static void frames_have_a_maximum_in_all(void **state)
{
    struct mapping_ref all = get(key(1, 0, MAPPING_FRAMES_MAX)), ref;
    struct mapping_key one = key(2, 0, 1), too_many = key(3, 0, MAPPING_FRAMES_MAX + 1);

    (void)state;
    assert_int_equal(mapping_get(c, &one, &ref, NULL), -ERROR_RESOURCE_EXHAUSTED);
    mapping_put(c, &all);
    assert_int_equal(mapping_get(c, &one, &ref, NULL), 0);
    assert_int_equal(world.live, 1);
    mapping_put(c, &ref);
    struct failure f = { 0 };

    assert_int_equal(mapping_get(c, &too_many, &ref, &f), -ERROR_RESOURCE_EXHAUSTED);
    assert_int_equal(f.retry_after_ms, 0); /* never */
}

static void live_ones_are_counted_and_found_one_by_one(void **state)
{
    const uint8_t dead[16] = { 2 };
    struct mapping_ref refs[] = { get(key(1, 0, 1)), get(key(2, 0, 2)), get(key(3, 0, 4)) };
    const struct mapping_key *found;
    uint32_t at = 0;
    unsigned seen = 0;

    (void)state;
    mapping_drop_incarnation(c, dead);
    struct mapping_usage usage = mapping_usage(c);

    assert_int_equal(usage.count, 2);
    assert_int_equal(usage.frame_count, 5);
    assert_int_equal(usage.made, 3);
    while ((found = mapping_next(c, &at)) != NULL) {
        seen += found->incarnation[0];
    }
    assert_int_equal(seen, 1 + 3);
    assert_null(mapping_next(c, &at));
    for (size_t i = 0; i < 3; i++) {
        mapping_put(c, &refs[i]);
    }
}

static void a_failed_map_leaves_nothing(void **state)
{
    struct mapping_key k = key(1, 0, 1);
    struct mapping_ref ref = { 0 };

    (void)state;
    world.fails = true;
    assert_int_equal(mapping_get(c, &k, &ref, NULL), -ERROR_UNAVAILABLE);
    assert_int_equal(mapping_count(c), 0);
    assert_int_equal(mapping_usage(c).made, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_range_within_a_live_one_is_not_mapped_again),
        TEST(another_incarnation_never_gets_it),
        TEST(a_dead_one_is_unmapped_at_once_in_the_midst_of_use),
        TEST(unused_ones_go_after_a_while),
        TEST(the_longest_unused_makes_room),
        TEST(frames_have_a_maximum_in_all),
        TEST(live_ones_are_counted_and_found_one_by_one),
        TEST(a_failed_map_leaves_nothing),
    };

    return UNIT_RUN(tests);
}
