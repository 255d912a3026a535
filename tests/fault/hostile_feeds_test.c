/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* A xenresd that was taken over, and a real mapper's feeds and copies: what it does with them that no
 * other would do. */
#include "tests/lib/feed_rig.h"

static const char scenario[] =
    "domain \"large\" { domid = 1 uuid = \"11111111-1111-1111-1111-111111111111\"\n"
    "  grants { frames = 2048 frames_max = 2048 entries = 900 } }\n";

static const char busy[] =
    "domain \"one\" { domid = 1 uuid = \"11111111-1111-1111-1111-111111111111\"\n"
    "  grants { frames = 600 frames_max = 1024 entries = 900 changes_per_second = 2000 } }\n"
    "domain \"two\" { domid = 2 uuid = \"11111111-1111-1111-1111-111111111112\"\n"
    "  grants { version = 2 frames = 8 entries = 900 changes_per_second = 400 } }\n"
    "domain \"three\" { domid = 3 uuid = \"11111111-1111-1111-1111-111111111113\"\n"
    "  type = \"hvm\" vcpus = 2 max_vcpus = 5\n"
    "  ioreq \"0\" { buffered = true requests_per_second = 200 }\n"
    "  ioreq \"1\" { buffered = false requests_per_second = 200 } }\n"
    "domain \"later\" { domid = 9 uuid = \"11111111-1111-1111-1111-111111111119\"\n"
    "  present = false }\n"
    "event { step = 1 do = \"create\" domain = \"later\" }\n"
    "event { step = 4 do = \"grow\" domain = \"one\" value = 700 }\n"
    "event { step = 8 do = \"set_version\" domain = \"two\" value = 1 }\n"
    "event { step = 12 do = \"rename\" domain = \"three\" text = \"other\" }\n"
    "event { step = 20 do = \"destroy\" domain = \"later\" }\n"
    "event { step = 30 do = \"rewrite_name\" domain = \"one\" }\n"
    "event { step = 40 do = \"set_version\" domain = \"two\" value = 2 }\n"
    "event { step = 50 do = \"destroy\" domain = \"one\" }\n";

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

/* --- anything, in any order ---------------------------------------------------------------------- */

enum { KNOWN_MAX = 64, ROUNDS = 30, REQUESTS_A_ROUND = 300 };

/* What it was told of, by whichever answer. */
static struct known {
    struct {
        uint32_t number;
        uint8_t id[FEED_ID_BYTES];
    } feeds[KNOWN_MAX];
    struct message_slot slots[KNOWN_MAX];
    int fds[KNOWN_MAX]; /* kept for a while */
    struct domain_identity domains[8];
    uint32_t domain_count;
} known;

static unsigned drawn(unsigned below)
{
    return (unsigned)random() % below;
}

static union message anything(void)
{
    static const uint16_t types[] = { MESSAGE_WATCH,         MESSAGE_WATCH,   MESSAGE_UNWATCH,
                                      MESSAGE_IMAGE,         MESSAGE_IMAGE,   MESSAGE_RELEASE,
                                      MESSAGE_WATCH_DOMAINS, MESSAGE_COUNTERS };
    union message m = rig_message(types[drawn(sizeof(types) / sizeof(types[0]))]);
    unsigned at = drawn(KNOWN_MAX);

    m.head.serial = 1 + (uint64_t)random();
    switch (m.head.type) {
    case MESSAGE_WATCH:
        m.watch.domain = known.domains[drawn(known.domain_count)];
        m.watch.type = drawn(RESOURCE_TYPE_COUNT);
        m.watch.id = drawn(2);
        m.watch.first_frame = drawn(4) == 0 ? drawn(8) : 0;
        m.watch.frame_count = drawn(2) == 0 ? MESSAGE_FRAMES_ALL : drawn(8);
        m.watch.flags = drawn(4) == 0 ? drawn(4) : 0;
        m.watch.period_ns = drawn(40) * CLOCK_NS_PER_MS;
        m.watch.deadline_ns = drawn(4) == 0 ? clock_monotonic_ns() + drawn(5000000) : 0;
        break;
    case MESSAGE_UNWATCH:
        m.unwatch.feed = known.feeds[at].number;
        memcpy(m.unwatch.feed_id, known.feeds[at].id, FEED_ID_BYTES);
        break;
    case MESSAGE_IMAGE:
        m.image.feed = known.feeds[at].number;
        memcpy(m.image.feed_id, known.feeds[at].id, FEED_ID_BYTES);
        m.image.deadline_ns = drawn(4) == 0 ? clock_monotonic_ns() + drawn(5000000) : 0;
        break;
    case MESSAGE_RELEASE:
        m.release.slot_count = 1 + drawn(MESSAGE_RELEASES_MAX);
        for (uint32_t i = 0; i < m.release.slot_count; i++) {
            const struct message_slot *slot = &known.slots[drawn(KNOWN_MAX)];

            m.release.slots[i].index = slot->index + drawn(2);
            m.release.slots[i].generation = slot->generation + drawn(3);
        }
        break;
    default: break;
    }
    return m;
}

/* Remembers what a message tells. False: the connection is over. */
static bool hear(void)
{
    unsigned at = drawn(KNOWN_MAX);
    union message a;
    int fd = -1;
    size_t len = rig_receive(&peer, &a, &fd);

    if (len == 0) {
        return false;
    }
    assert_int_equal(message_check(&a, len, NULL), 0);
    if (a.head.type == (MESSAGE_WATCH | MESSAGE_ANSWER) ||
        a.head.type == (MESSAGE_WATCH_DOMAINS | MESSAGE_ANSWER)) {
        known.feeds[at].number = a.watch_answer.feed;
        memcpy(known.feeds[at].id, a.watch_answer.feed_id, FEED_ID_BYTES);
        int before = known.fds[at];

        known.fds[at] = fd;
        fd = before;
    } else if (a.head.type == (MESSAGE_IMAGE | MESSAGE_ANSWER)) {
        known.slots[at] = a.image_answer.slot;
    }
    if (fd >= 0) {
        close(fd);
    }
    return true;
}

static void learn_domains(void)
{
    struct message_domain rows[8];

    known.domain_count = rig_domains(&peer, rows, 8);
    for (uint32_t i = 0; i < known.domain_count; i++) {
        known.domains[i] = rows[i].identity;
    }
}

static void anything_in_any_order_harms_nobody(void **state)
{
    (void)state;
    srandom(20261126);
    memset(known.fds, -1, sizeof(known.fds));
    learn_domains();
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < REQUESTS_A_ROUND; i++) {
            union message m = anything();

            rig_send(&peer, &m);
            while (drawn(3) > 0 && rig_readable(&peer, 0)) {
                assert_true(hear());
            }
            if (drawn(100) == 0) {
                rig_step(&rig);
            }
        }
        while (rig_readable(&peer, 0)) {
            assert_true(hear());
        }
        if (drawn(2) == 0) { /* whatever it waits for */
            rig_leave(&peer);
            rig_join(&rig, &peer);
            learn_domains();
        } else {
            struct message_counters_answer last = { 0 };
            union message m = rig_message(MESSAGE_COUNTERS);

            m.head.serial = UINT32_MAX + UINT64_C(2); /* none of the others' */
            rig_send(&peer, &m);
            do {
                assert_true(rig_receive(&peer, &m, NULL) > 0);
                last = m.counters_answer;
            } while (m.head.serial != UINT32_MAX + UINT64_C(2));
            assert_true(last.feeds <= 17 && last.spool_bytes <= UINT64_C(16) << 20);
        }
    }
    for (int i = 0; i < KNOWN_MAX; i++) {
        if (known.fds[i] >= 0) {
            close(known.fds[i]);
        }
    }
}

static int set_up_busy(void **state)
{
    static const char *const options[] = { "--arena-mib",     "4",   "--feeds-max", "16",
                                           "--spools-mib",    "16",  "--samplers",  "2",
                                           "--spool-kib-max", "256", NULL };

    (void)state;
    rig_start(&rig, busy, RIG_EXPORT_ALL, options);
    rig_join(&rig, &peer);
    return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_being_copied_is_not_released),
        cmocka_unit_test_setup_teardown(anything_in_any_order_harms_nobody, set_up_busy, tear_down),
    };

    return UNIT_RUN(tests);
}
