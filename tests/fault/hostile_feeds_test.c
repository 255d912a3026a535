/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* A xenresd that was taken over, and a real mapper's feeds and copies: what it does with them that no
 * other would do. */
#include "tests/lib/feed_rig.h"

static const char scenario[] =
    "domain \"large\" { domid = 1 uuid = \"11111111-1111-1111-1111-111111111111\"\n"
    "  grants { frames = 2048 frames_max = 2048 entries = 900 } }\n";

enum { LARGE_FRAMES = 2048, GUESSES = 8 };

static struct rig rig;
static struct rig_peer peer;

static int set_up(void **state)
{
    static const char *const options[] = { "--arena-mib", "64", "--slot-max-mib", "16", NULL };

    (void)state;
    rig_start(&rig, scenario, RIG_EXPORT_ALL, options);
    rig_join(&rig, &peer);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rig_leave(&peer);
    rig_stop(&rig); /* and it has lived until now */
    return 0;
}

/* Of all slots that may be in the making: their numbers are no secret. */
static void release_what_may_be(uint32_t index)
{
    union message m = rig_message(MESSAGE_RELEASE);

    m.release.slot_count = GUESSES;
    for (uint32_t i = 0; i < GUESSES; i++) {
        m.release.slots[i].index = index;
        m.release.slots[i].generation = i + 1;
    }
    rig_send(&peer, &m);
}

static void expect_answer(uint16_t type, union message *a)
{
    do {
        assert_true(rig_receive(&peer, a, NULL) > 0);
    } while (a->head.type == MESSAGE_EVENT_DOMAINS);
    assert_int_equal(a->head.type, type | MESSAGE_ANSWER);
}

static void what_is_being_copied_is_not_released(void **state)
{
    struct domain_identity d = rig_domain(&peer, "large");
    union message m, a;
    struct feed_rig r;

    (void)state;
    m = rig_snapshot_message(&d, RESOURCE_GRANT_TABLE, GRANT_TABLE_SHARED, 0, LARGE_FRAMES);
    assert_true(rig_call(&peer, &m, &a));
    uint32_t index = a.snapshot_answer.slot.index; /* the next that is taken */

    rig_release(&peer, &a.snapshot_answer.slot);
    assert_int_equal(kill(rig.pid, SIGSTOP),
                     0); /* so that both are there before the second step of the copy */
    message_init(&m, MESSAGE_SNAPSHOT, ++peer.serial);
    rig_send(&peer, &m);
    release_what_may_be(index);
    assert_int_equal(kill(rig.pid, SIGCONT), 0);
    expect_answer(MESSAGE_SNAPSHOT, &a);
    rig_release(&peer, &a.snapshot_answer.slot);

    m = feed_rig_message(&d, RESOURCE_GRANT_TABLE, GRANT_TABLE_SHARED, 0, 1000);
    if (!feed_rig_begin(&r, &peer, &m, &a)) {
        fail_msg("%s", a.failed.failure.message);
    }
    assert_int_equal(kill(rig.pid, SIGSTOP), 0);
    m = rig_message(MESSAGE_IMAGE);
    memcpy(m.image.feed_id, r.answer.feed_id, sizeof(m.image.feed_id));
    m.image.feed = r.answer.feed;
    message_init(&m, MESSAGE_IMAGE, ++peer.serial);
    rig_send(&peer, &m);
    release_what_may_be(index);
    assert_int_equal(kill(rig.pid, SIGCONT), 0);
    expect_answer(MESSAGE_IMAGE, &a);
    assert_int_equal(a.image_answer.slot.index, index);
    feed_rig_done(&r);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_being_copied_is_not_released),
    };

    return UNIT_RUN(tests);
}
