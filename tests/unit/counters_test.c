/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* That zombies would be seen, which the mapper never has: with a directory that tells nobody of the
 * dead. What it has otherwise is counted in tests/contract/mapper_test.c. */
#include "server/mapper/counters.h"

#include "tests/lib/unit.h"

enum { DOMAINS = 3 };

struct backend {
    struct backend_domain rows[DOMAINS];
    uint32_t count;
};

static struct backend world;
static struct directory *directory;
static struct mapping_cache *mappings;
static uint8_t frame[MESSAGE_FRAME_BYTES];

static int fake_list(struct backend *b, uint16_t first, struct backend_domain *out, uint32_t max,
                     uint32_t *count, struct failure *f)
{
    (void)f;
    *count = 0;
    for (uint32_t i = 0; i < b->count && *count < max; i++) {
        if (b->rows[i].domid >= first) {
            out[(*count)++] = b->rows[i];
        }
    }
    return 0;
}

static int fake_name(struct backend *b, uint16_t domid, char out[MESSAGE_NAME_BYTES], bool *cut,
                     struct failure *f)
{
    (void)b, (void)domid, (void)f;
    memset(out, 0, MESSAGE_NAME_BYTES);
    *cut = false;
    return 0;
}

static bool fake_next_event(struct backend *b, unsigned *events, uint16_t *domid)
{
    (void)b, (void)events, (void)domid;
    return false;
}

static void fake_watch(struct backend *b, uint16_t domid)
{
    (void)b, (void)domid;
}

static int fake_map(struct backend *b, uint16_t domid, uint32_t type, uint32_t id, uint32_t first,
                    uint32_t count, struct backend_mapping *out, struct failure *f)
{
    (void)b, (void)domid, (void)type, (void)id, (void)first, (void)f;
    *out = (struct backend_mapping){ .frame_count = count, .address = frame };
    return 0;
}

static void fake_unmap(struct backend *b, struct backend_mapping *m)
{
    (void)b, (void)m;
}

static int fake_tags(struct backend *b, uint16_t domid, struct backend_tags *out, struct failure *f)
{
    (void)b;
    (void)domid;
    (void)f;
    (void)out; /* none */
    return 0;
}

static const struct backend_ops fake_ops = {
    .name = "fake",
    .list = fake_list,
    .domain_name = fake_name,
    .domain_tags = fake_tags,
    .next_event = fake_next_event,
    .watch_name = fake_watch,
    .unwatch_name = fake_watch,
    .map = fake_map,
    .unmap = fake_unmap,
};

static void tell_nobody(void *arg, const uint8_t incarnation[16])
{
    (void)arg, (void)incarnation;
}

/* The domains that there are, each with two mappings. */
static int set_up(void **state)
{
    uint32_t count;

    (void)state;
    for (uint32_t i = 0; i < DOMAINS; i++) {
        world.rows[i] = (struct backend_domain){ .domid = (uint16_t)(10 * i + 1),
                                                 .uuid = { (uint8_t)(i + 1) },
                                                 .state = DOMAIN_RUNNING };
    }
    world.count = DOMAINS;
    if (directory_new(&fake_ops, &world, tell_nobody, NULL, &directory, NULL) != 0 ||
        directory_drain(directory, NULL) != 0 ||
        mapping_cache_new(&fake_ops, &world, 2 * DOMAINS, 1, &mappings, NULL) != 0) {
        return -1;
    }
    const struct directory_entry *entries = directory_entries(directory, &count);

    for (uint32_t i = 0; i < 2 * count; i++) {
        struct mapping_key key = { .domid = entries[i / 2].domain.domid,
                                   .first_frame = i % 2,
                                   .frame_count = 1 };
        struct mapping_ref ref;

        memcpy(key.incarnation, entries[i / 2].identity.incarnation, sizeof(key.incarnation));
        assert_int_equal(mapping_get(mappings, &key, &ref, NULL), 0);
        mapping_put(mappings, &ref);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    mapping_cache_free(mappings);
    directory_free(directory);
    return 0;
}

static uint32_t zombies(void)
{
    assert_int_equal(directory_refresh(directory, 0, NULL), 0);
    return counters_zombies(mappings, NULL, directory);
}

static void of_the_living_there_are_none(void **state)
{
    (void)state;
    assert_int_equal(zombies(), 0);
}

static void one_that_is_gone_counts_once(void **state)
{
    (void)state;
    world.count = DOMAINS - 1;
    assert_int_equal(zombies(), 1);
    world.count = 0;
    assert_int_equal(zombies(), DOMAINS);
    mapping_drop_all(mappings);
    assert_int_equal(zombies(), 0);
}

static void one_that_is_dying_counts(void **state)
{
    (void)state;
    world.rows[0].dying = true;
    assert_int_equal(zombies(), 1);
}

static void one_whose_number_another_has_counts(void **state)
{
    (void)state;
    world.rows[1].uuid[0] = 77;
    assert_int_equal(zombies(), 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(of_the_living_there_are_none),
        TEST(one_that_is_gone_counts_once),
        TEST(one_that_is_dying_counts),
        TEST(one_whose_number_another_has_counts),
    };

    return UNIT_RUN(tests);
}
