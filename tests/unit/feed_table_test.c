/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Who is sampled, how long and for whom: the table's limits, and what ends a feed. */
#include "server/mapper/feed_room.h"
#include "server/mapper/feed_table.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/ring_view.h"
#include "common/scope.h"
#include "server/mapper/copy.h"
#include "tests/lib/fake_host.h"

enum { SPOOL_BYTES = 128 << 10, FEEDS = 8, LIMIT_MS = 20000 };

static struct feed_table *table;
static struct backend parent;

static void make_table(uint32_t feeds_max, uint64_t memory_bytes)
{
    const struct feed_table_options options = { .ops = &fake_host_ops,
                                                .backend = &parent,
                                                .samplers = 2,
                                                .feeds_max = feeds_max,
                                                .spool_most_bytes = SPOOL_BYTES,
                                                .memory_most_bytes = memory_bytes,
                                                .period_min_ns = CLOCK_NS_PER_MS };

    feed_table_free(table);
    assert_int_equal(feed_table_new(&options, &table, NULL), 0);
}

static int set_up(void **state)
{
    (void)state;
    assert_int_equal(copy_init(NULL), 0);
    fake_host_init(4, 1);
    make_table(FEEDS, UINT64_C(64) << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    feed_table_free(table);
    table = NULL;
    assert_int_equal(fake_host.mapped, 0);
    fake_host_done();
    return 0;
}

/* Source number `n`, of domain 1: its first frame and the incarnation tell them apart. */
static struct message_snapshot source(uint32_t n)
{
    struct message_snapshot wanted = { .type = RESOURCE_GRANT_TABLE,
                                       .first_frame = n % 4,
                                       .frame_count = 1 };

    wanted.domain.domid = 1;
    memcpy(wanted.domain.incarnation, &n, sizeof(n));
    wanted.domain.incarnation[0] = 0;
    wanted.domain.incarnation[15] = (uint8_t)(n / 4 % 2);
    memcpy(wanted.domain.incarnation + 4, &n, sizeof(n));
    return wanted;
}

static uint64_t period_ns = 2 * CLOCK_NS_PER_MS;

static int ask(uint32_t n, struct feed_asked *out, struct failure *f)
{
    struct message_snapshot wanted = source(n);

    return feed_table_ask(table, &wanted, &fake_host.domains[1].domain, period_ns, out, f);
}

/* As the loop does: waits for samplers, or for the time to do something. */
static void wait_for_news(void)
{
    struct pollfd row = { .fd = feed_table_fd(table), .events = POLLIN };
    int limit_ms = clock_poll_timeout_ms(feed_table_deadline_ns(table), LIMIT_MS);

    if (poll(&row, 1, limit_ms) == 0 && limit_ms == LIMIT_MS) {
        fail_msg("nothing happens");
    }
    feed_table_hear(table);
}

struct held {
    uint32_t number;
    uint8_t id[FEED_ID_BYTES];
    struct ring_view *view;
};

static struct held hold(uint32_t n)
{
    struct feed_asked asked;
    struct failure f;
    struct feed_about about;
    struct held held;

    if (ask(n, &asked, &f) < 0) {
        fail_msg("%s", f.message);
    }
    while (feed_table_look(table, asked.feed, &f) == FEED_BEGINS) {
        wait_for_news();
        feed_table_step(table);
    }
    assert_int_equal(feed_table_look(table, asked.feed, &f), FEED_HAS_BEGUN);
    feed_table_take(table, asked.feed, &about);
    held.number = about.number;
    memcpy(held.id, about.id, sizeof(held.id));
    assert_int_equal(ring_view_open(about.fd, SPOOL_BYTES, &held.view, NULL), 0);
    return held;
}

/* The last record, once it is the end. */
static struct feed_end wait_for_end(const struct held *held)
{
    static _Alignas(8) uint8_t bytes[SPOOL_BYTES];
    struct ring_place place = { 0 };
    struct ring_record found;
    struct feed_record record;
    uint64_t end_ns = clock_monotonic_ns() + LIMIT_MS * CLOCK_NS_PER_MS;

    for (;;) {
        int answer = ring_view_read(held->view, &place, bytes, sizeof(bytes), &found, NULL);

        if (answer == RING_OVERTAKEN) {
            assert_int_equal(ring_view_find(held->view, RING_OLDEST, &place, NULL), 0);
        } else if (answer == RING_RECORD && found.kind == FEED_RECORD_END) {
            assert_int_equal(feed_record_check(found.kind, bytes, found.len_bytes, &record, NULL),
                             0);
            return *record.end;
        } else if (answer == RING_NOTHING) {
            assert_true(clock_monotonic_ns() < end_ns);
            feed_table_hear(table);
            feed_table_step(table);
            poll(NULL, 0, 1);
        }
    }
}

static uint32_t feeds(void)
{
    struct feed_table_counts c;

    feed_table_count(table, &c);
    return c.feeds;
}

static void wait_for_feeds(uint32_t count)
{
    while (feeds() != count) {
        wait_for_news();
        feed_table_step(table);
    }
}

static void let_go(struct held *held)
{
    feed_table_release(table, held->number, held->id);
    ring_view_close(held->view);
}

static void as_many_as_may_be_and_not_one_more(void **state)
{
    struct held held[FEEDS];
    struct feed_asked asked;
    struct failure f;

    (void)state;
    for (uint32_t i = 0; i < FEEDS; i++) {
        held[i] = hold(i);
    }
    assert_int_equal(ask(FEEDS, &asked, &f), -ERROR_RESOURCE_EXHAUSTED);
    assert_true(f.next_step[0] != '\0');
    assert_int_equal(f.retry_after_ms, FAILURE_RETRY_LATER_MS); /* nobody's to be let go */
    struct held again = hold(3);                                /* joining needs no room */

    assert_int_equal(again.number, held[3].number);
    let_go(&again);
    wait_for_feeds(FEEDS - 1);
    ring_view_close(scope_take_pointer(held[3].view));
    struct held more = hold(FEEDS);

    assert_int_equal(feeds(), FEEDS);
    for (uint32_t i = 0; i < FEEDS; i++) {
        let_go(&held[i]);
    }
    let_go(&more);
    wait_for_feeds(0);
}

static void a_full_table_of_the_largest_size_works(void **state)
{
    static struct held held[FEED_LIST_MAX];
    struct rlimit files;
    struct feed_asked asked;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    files.rlim_cur = files.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
    if (files.rlim_max < FEED_LIST_MAX + 64) {
        skip();
    }
    make_table(FEED_LIST_MAX, UINT64_C(1) << 30);
    period_ns = 3600 * CLOCK_NS_PER_S;
    for (uint32_t i = 0; i < FEED_LIST_MAX; i++) {
        held[i] = hold(i);
        ring_view_close(held[i].view);
    }
    assert_int_equal(feeds(), FEED_LIST_MAX);
    assert_int_equal(ask(FEED_LIST_MAX, &asked, NULL), -ERROR_RESOURCE_EXHAUSTED);
    feed_table_let_go(table, 0);
    wait_for_feeds(0);
    period_ns = 2 * CLOCK_NS_PER_MS;
}

static void memory_is_a_limit_of_its_own(void **state)
{
    struct feed_asked asked;
    struct failure f;

    (void)state;
    make_table(FEEDS, 2 * (SPOOL_BYTES + MESSAGE_FRAME_BYTES));
    struct held one = hold(0), two = hold(1);

    assert_int_equal(ask(2, &asked, &f), 0);
    while (feed_table_look(table, asked.feed, &f) == FEED_BEGINS) {
        wait_for_news();
        feed_table_step(table);
    }
    assert_int_equal(feed_table_look(table, asked.feed, &f), FEED_FAILED);
    assert_int_equal(f.code, ERROR_RESOURCE_EXHAUSTED);
    assert_non_null(strstr(f.next_step, "--spools-mib"));
    assert_int_equal(f.retry_after_ms, FAILURE_RETRY_LATER_MS);
    assert_false(feed_room_begin_again(table, asked.feed, &f)); /* all is somebody's */
    feed_table_refuse(table, asked.feed);
    wait_for_feeds(2);
    let_go(&one);
    let_go(&two);
    wait_for_feeds(0);
    struct feed_table_counts c;

    feed_table_count(table, &c);
    assert_int_equal(c.spool_bytes, 0);
}

/* Until it has begun, or is refused for good, as the loop has it. */
static enum feed_stage wait_for_beginning(uint32_t number, struct failure *f)
{
    enum feed_stage stage;

    while ((stage = feed_table_look(table, number, f)) != FEED_HAS_BEGUN) {
        if (stage == FEED_FAILED && !feed_room_begin_again(table, number, f)) {
            return stage;
        }
        wait_for_news();
        feed_table_step(table);
    }
    return stage;
}

/* The oldest first, and no more of them than what is missing. */
static void what_nobody_holds_gives_its_memory_to_another(void **state)
{
    enum { OWN_BYTES = SPOOL_BYTES + MESSAGE_FRAME_BYTES };
    struct feed_asked asked, joined;
    struct feed_about about;
    struct failure f;

    (void)state;
    make_table(FEEDS, 3 * OWN_BYTES);
    struct held first = hold(0), second = hold(1), mine;

    feed_table_let_go(table, UINT64_MAX - 2);
    mine = hold(2);
    assert_int_equal(ask(3, &asked, &f), 0);
    assert_int_equal(ask(3, &joined, &f), 0);
    assert_int_equal(wait_for_beginning(asked.feed, &f), FEED_HAS_BEGUN);
    feed_table_take(table, asked.feed, &about);
    feed_table_take(table, joined.feed, &about);
    assert_int_equal(feeds(), 3);
    bool is_first_over = wait_for_end(&first).reason == FEED_END_RELEASED;

    assert_true(is_first_over);
    assert_int_equal(ask(4, &asked, &f), 0);
    assert_int_equal(wait_for_beginning(asked.feed, &f), FEED_HAS_BEGUN);
    assert_int_equal(wait_for_end(&second).reason, FEED_END_RELEASED);
    feed_table_refuse(table, asked.feed);
    wait_for_feeds(2);
    assert_int_equal(ask(5, &asked, &f), 0);
    assert_int_equal(wait_for_beginning(asked.feed, &f), FEED_HAS_BEGUN);
    assert_int_equal(ask(6, &joined, &f),
                     0); /* one beyond: all that is left is held, or asked for */
    assert_int_equal(wait_for_beginning(joined.feed, &f), FEED_FAILED);
    assert_int_equal(f.code, ERROR_RESOURCE_EXHAUSTED);
    feed_table_refuse(table, asked.feed);
    feed_table_refuse(table, joined.feed);
    ring_view_close(first.view);
    ring_view_close(second.view);
    let_go(&mine);
    feed_table_let_go(table, 0);
    wait_for_feeds(0);
}

static void nobody_knows_one_that_was_refused(void **state)
{
    struct feed_asked asked, again;

    (void)state;
    assert_int_equal(ask(0, &asked, NULL), 0);
    assert_int_equal(ask(0, &again, NULL), 0);
    assert_false(asked.joined);
    assert_true(again.joined);
    assert_int_equal(asked.feed, again.feed);
    feed_table_refuse(table, asked.feed);
    assert_int_equal(feeds(), 1); /* the other one still waits */
    feed_table_refuse(table, again.feed);
    wait_for_feeds(0);
}

/* --- peers ------------------------------------------------------------------------------------- */

static void what_the_next_peer_asks_for_goes_on_and_the_rest_ends(void **state)
{
    struct held kept = hold(0), left = hold(1);

    (void)state;
    uint64_t until_ns = clock_monotonic_ns() + 200 * CLOCK_NS_PER_MS;

    feed_table_let_go(table, until_ns);
    feed_table_step(table);
    assert_int_equal(feed_table_deadline_ns(table), until_ns);
    feed_table_release(table, kept.number, kept.id); /* the new peer was not told of it */
    struct held again = hold(0);

    assert_memory_equal(again.id, kept.id, FEED_ID_BYTES);
    assert_int_equal(wait_for_end(&left).reason, FEED_END_RELEASED);
    assert_true(clock_monotonic_ns() >= until_ns);
    wait_for_feeds(1);
    feed_table_step(table);
    assert_true(feed_table_deadline_ns(table) == UINT64_MAX);
    ring_view_close(kept.view);
    ring_view_close(left.view);
    let_go(&again);
    wait_for_feeds(0);
}

/* In the same turn: its peer has one less, and may have another. */
static void what_is_released_makes_room(void **state)
{
    struct held held[FEEDS];

    (void)state;
    for (uint32_t i = 0; i < FEEDS; i++) {
        held[i] = hold(i);
    }
    for (uint32_t i = 0; i < FEEDS; i++) {
        let_go(&held[i]);
        held[i] = hold(FEEDS + i);
        assert_int_equal(feeds(), FEEDS);
    }
    for (uint32_t i = 0; i < FEEDS; i++) {
        let_go(&held[i]);
    }
    wait_for_feeds(0);
}

static void what_was_let_go_makes_room(void **state)
{
    struct held held[FEEDS];

    (void)state;
    for (uint32_t i = 0; i < FEEDS; i++) {
        held[i] = hold(i);
    }
    feed_table_let_go(table, UINT64_MAX - 1);
    struct held more = hold(FEEDS);

    assert_int_equal(feeds(), FEEDS);
    for (uint32_t i = 0; i < FEEDS; i++) {
        ring_view_close(held[i].view);
    }
    let_go(&more);
    feed_table_let_go(table, 0);
    wait_for_feeds(0);
}

static void the_end_of_the_mapper_is_told(void **state)
{
    struct held held = hold(0);

    (void)state;
    feed_table_free(table);
    table = NULL;
    assert_int_equal(fake_host.mapped, 0);
    make_table(FEEDS, UINT64_C(64) << 20); /* for wait_for_end()'s turns */
    assert_int_equal(wait_for_end(&held).reason, FEED_END_STOPPED);
    ring_view_close(held.view);
}

/* --- domains ------------------------------------------------------------------------------------- */

static struct directory_entry entry_of(uint32_t n)
{
    struct directory_entry e = { .domain = fake_host.domains[1].domain,
                                 .identity = source(n).domain };

    return e;
}

static void what_happens_to_a_domain_is_over_when_the_call_returns(void **state)
{
    static const struct {
        enum feed_domain_kind kind;
        enum feed_end_reason reason; /* 0: goes on */
    } rows[] = {
        { FEED_DOMAIN_DYING, FEED_END_INCARNATION },
        { FEED_DOMAIN_GONE, FEED_END_INCARNATION },
        { FEED_DOMAIN_RENAMED, FEED_END_RENAMED },
        { FEED_DOMAIN_STATE, 0 },
        { FEED_DOMAIN_CREATED, 0 },
    };
    struct held other = hold(1);

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct held held = hold(0);
        struct directory_entry e = entry_of(0);
        struct domain_identity before = e.identity;

        assert_int_equal(fake_host.mapped, 2);
        feed_table_changed(table, rows[i].kind, &e,
                           rows[i].kind == FEED_DOMAIN_RENAMED ? &before : NULL, 7);
        assert_int_equal(fake_host.mapped, rows[i].reason ? 1 : 2);
        if (rows[i].reason != 0) {
            assert_int_equal(wait_for_end(&held).reason, rows[i].reason);
            ring_view_close(held.view);
        } else {
            let_go(&held);
        }
        wait_for_feeds(1);
    }
    let_go(&other);
    wait_for_feeds(0);
}

/* --- pins ----------------------------------------------------------------------------------------- */

static struct message_image image_of(const struct held *held)
{
    struct message_image m = { .feed = held->number };

    memcpy(m.feed_id, held->id, sizeof(m.feed_id));
    return m;
}

static void what_is_pinned_can_be_read_though_it_ended(void **state)
{
    struct held held = hold(0);
    struct message_image m = image_of(&held);
    struct feed_pin pin;
    struct sampler_view view;

    (void)state;
    assert_int_equal(feed_table_pin(table, &m, &pin, NULL), 0);
    while (!feed_table_view(table, &pin, &view)) {
        wait_for_news();
    }
    feed_table_release(table, held.number, held.id);
    assert_int_equal(wait_for_end(&held).reason, FEED_END_RELEASED);
    feed_table_step(table);
    assert_int_equal(feeds(), 1);
    assert_int_equal(view.image.len_bytes, MESSAGE_FRAME_BYTES);
    assert_int_equal(view.image.bytes[0], 0);
    struct feed_pin none;

    assert_int_equal(feed_table_pin(table, &m, &none, NULL), -ERROR_NOT_FOUND);
    feed_table_unpin(table, &pin);
    feed_table_unpin(table, &pin);
    wait_for_feeds(0);
    ring_view_close(held.view);
}

static void only_number_and_id_together_name_a_feed(void **state)
{
    struct held held = hold(0);
    struct message_image m = image_of(&held);
    struct feed_pin pin;

    (void)state;
    m.feed_id[0] ^= 1;
    assert_int_equal(feed_table_pin(table, &m, &pin, NULL), -ERROR_NOT_FOUND);
    feed_table_release(table, m.feed, m.feed_id);
    m = image_of(&held);
    static const uint32_t numbers[] = { 1, FEED_LIST_MAX - 1, FEED_LIST_MAX, UINT32_MAX };

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        m.feed = numbers[i];
        assert_int_equal(feed_table_pin(table, &m, &pin, NULL), -ERROR_NOT_FOUND);
        feed_table_release(table, m.feed, m.feed_id);
    }
    m = image_of(&held);
    assert_int_equal(feed_table_pin(table, &m, &pin, NULL), 0);
    feed_table_unpin(table, &pin);
    let_go(&held);
    wait_for_feeds(0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(as_many_as_may_be_and_not_one_more, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_full_table_of_the_largest_size_works, set_up, tear_down),
        cmocka_unit_test_setup_teardown(memory_is_a_limit_of_its_own, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_nobody_holds_gives_its_memory_to_another, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(nobody_knows_one_that_was_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_the_next_peer_asks_for_goes_on_and_the_rest_ends,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_released_makes_room, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_let_go_makes_room, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_end_of_the_mapper_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_happens_to_a_domain_is_over_when_the_call_returns,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_pinned_can_be_read_though_it_ended, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(only_number_and_id_together_name_a_feed, set_up, tear_down),
    };

    return UNIT_RUN(tests);
}
