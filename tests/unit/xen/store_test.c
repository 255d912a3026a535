/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Names and events from an xenstored that is a thread of the test (fake_xenstored.h). */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>

#include "common/clock.h"
#include "server/mapper/xen/store.h"
#include "server/mapper/xen/store_thread.h"
#include "tests/lib/descriptors.h"
#include "tests/lib/unit.h"
#include "tests/unit/xen/fake_xenstored.h"

enum { LIMIT_MS = 20000 };

#define EVENTS_ALL (BACKEND_EVENT_DOMAINS | BACKEND_EVENT_NAME | BACKEND_EVENT_TAGS)
#define TAGS       "/local/domain/1/" BACKEND_TAGS_NODE

/* --- helpers ---------------------------------------------------------------------------------- */

static struct store *store;
static uint64_t moved_ns; /* added to the kernel's time */

static uint64_t moved_clock_ns(void *argument)
{
    struct timespec now;

    (void)argument;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * CLOCK_NS_PER_S + (uint64_t)now.tv_nsec + moved_ns;
}

static int start(void **state)
{
    (void)state;
    fake_xenstored_start();
    fake_xenstored_write(0, "/local/domain/1/name", "one", 3);
    fake_xenstored_write(1, "/local/domain/2/name", "two", 3);
    return store_open(&store, NULL);
}

static int stop(void **state)
{
    (void)state;
    fake_xenstored_be_silent(false);
    store_close(store);
    store = NULL;
    fake_xenstored_stop();
    return 0;
}

static void assert_name(uint16_t domid, const char *expected)
{
    char name[MESSAGE_NAME_BYTES];
    struct failure f = { 0 };
    bool cut = true;

    if (store_name(store, domid, name, &cut, &f) != 0) {
        fail_msg("%s: %s", f.message, f.cause);
    }
    assert_string_equal(name, expected);
    assert_false(cut);
}

static void assert_no_name(uint16_t domid, enum error_code code, int errnum)
{
    char name[MESSAGE_NAME_BYTES] = "as before";
    struct failure f = { 0 };
    bool cut = true;

    assert_int_equal(store_name(store, domid, name, &cut, &f), -(int)code);
    assert_int_equal(f.xen_errno, errnum);
    assert_true(f.cause[0] != '\0' && f.next_step[0] != '\0');
    assert_string_equal(name, "as before");
}

struct drained {
    unsigned events;
    uint32_t name_count;
    uint16_t domids[FAKE_XENSTORED_WATCHES];
};

/* A question first: what xenstored had to tell comes before its answer. */
static struct drained drain(void)
{
    struct drained all = { 0 };
    char name[MESSAGE_NAME_BYTES];
    unsigned events;
    uint16_t domid;
    bool cut;

    (void)store_name(store, 1, name, &cut, NULL);
    while (store_next_event(store, &events, &domid)) {
        all.events |= events;
        if ((events & BACKEND_EVENT_NAME) != 0) {
            assert_true(all.name_count < FAKE_XENSTORED_WATCHES);
            all.domids[all.name_count++] = domid;
        }
    }
    return all;
}

static bool is_readable(int fd, int timeout_ms)
{
    struct pollfd one = { .fd = fd, .events = POLLIN };

    return poll(&one, 1, timeout_ms) == 1;
}

/* --- tests ------------------------------------------------------------------------------------ */

static void a_name_is_what_was_written(void **state)
{
    (void)state;
    assert_name(1, "one");
    assert_name(2, "two");
    assert_name(3, "");
    assert_int_equal(store_check(store, NULL), 0);
}

static void a_name_may_fill_the_room_and_hold_any_byte_but_nul(void **state)
{
    static char longest[MESSAGE_NAME_BYTES];
    static char largest[FAKE_XENSTORED_VALUE_MAX];
    char name[MESSAGE_NAME_BYTES];
    bool cut = false;

    (void)state;
    memset(longest, 0x9b, sizeof(longest) - 1);
    fake_xenstored_write(0, "/local/domain/1/name", longest, sizeof(longest) - 1);
    assert_name(1, longest);
    fake_xenstored_write(0, "/local/domain/1/name", longest, sizeof(longest)); /* with its NUL */
    assert_int_equal(store_name(store, 1, name, &cut, NULL), 0);
    assert_true(cut);
    assert_string_equal(name, "");
    fake_xenstored_write(0, "/local/domain/1/name", "dom\0ain", 7);
    cut = false;
    assert_int_equal(store_name(store, 1, name, &cut, NULL), 0);
    assert_true(cut);
    assert_string_equal(name, "");
    fake_xenstored_write(0, "/local/domain/1/name", "", 0);
    assert_name(1, "");
    memset(largest, 'x', sizeof(largest));
    fake_xenstored_write(0, "/local/domain/1/name", largest, sizeof(largest));
    cut = false;
    assert_int_equal(store_name(store, 1, name, &cut, NULL), 0);
    assert_true(cut);
}

static void a_registration_alone_is_no_event(void **state)
{
    (void)state;
    store_watch_name(store, 1);
    store_watch_name(store, 2);
    assert_int_equal(drain().events, 0);
}

static void a_rewritten_name_is_an_event_of_its_domain(void **state)
{
    struct drained all;

    (void)state;
    store_watch_name(store, 1);
    store_watch_name(store, 2);
    (void)drain();
    assert_false(is_readable(store_event_fd(store), 0));
    fake_xenstored_write(1, "/local/domain/2/name", "zwei", 4);
    assert_true(is_readable(store_event_fd(store), LIMIT_MS));
    all = drain();
    assert_int_equal(all.events, BACKEND_EVENT_NAME);
    assert_int_equal(all.name_count, 1);
    assert_int_equal(all.domids[0], 2);
    assert_false(is_readable(store_event_fd(store), 0));
}

/* The name changes between the registration and its first event: both events come, one counts. */
static void a_change_right_after_the_registration_is_told(void **state)
{
    (void)state;
    store_watch_name(store, 1);
    fake_xenstored_write(0, "/local/domain/1/name", "uno", 3);
    assert_int_equal(drain().name_count, 1);
}

static void what_is_no_longer_watched_is_not_told(void **state)
{
    (void)state;
    store_watch_name(store, 1);
    fake_xenstored_write(0, "/local/domain/1/name", "uno", 3);
    store_unwatch_name(store, 1);
    assert_int_equal(drain().events, 0);
    assert_int_equal(fake_xenstored_watch_count(), 2); /* those of all domains */
    store_watch_name(store, 1);
    assert_int_equal(drain().events, 0);
    store_unwatch_name(store, 1);
    store_unwatch_name(store, 1);
    store_unwatch_name(store, 2);
    assert_int_equal(fake_xenstored_watch_count(), 2);
}

static void domains_coming_and_going_are_told(void **state)
{
    struct drained all;

    (void)state;
    assert_int_equal(drain().events, 0);
    fake_xenstored_write(2, "@introduceDomain", "", 0);
    all = drain();
    assert_int_equal(all.events, BACKEND_EVENT_DOMAINS);
    fake_xenstored_write(2, "@releaseDomain", "", 0);
    all = drain();
    assert_int_equal(all.events, BACKEND_EVENT_DOMAINS);
}

static void events_with_tokens_that_are_not_ours_are_dropped(void **state)
{
    static const char *const tokens[] = {
        "",
        "n",
        "n1",
        "t1.0",
        "t1.99999",
        "t32752.1",
        "n1.",
        "n1.0",
        "n1.99999",
        "n32752.1",
        "n4294967295.1",
        "d2.1",
        "x1.1",
        "n1.3x",
        "n99999999999999999999.1",
        "a token that is longer than any that was ever given",
    };

    (void)state;
    store_watch_name(store, 1);
    (void)drain();
    for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++) {
        fake_xenstored_fire("/local/domain/1/name", tokens[i]);
    }
    assert_int_equal(drain().events, 0);
}

static void numbers_that_no_domain_has_are_not_watched(void **state)
{
    (void)state;
    store_watch_name(store, 0x7ff0);
    store_watch_name(store, 0xffff);
    store_unwatch_name(store, 0xffff);
    assert_int_equal(drain().events, 0);
    assert_int_equal(fake_xenstored_watch_count(), 2);
    store_watch_name(store, 0x7fef);
    assert_int_equal(fake_xenstored_watch_count(), 4);
}

static void an_absent_xenstored_is_told_and_found_later(void **state)
{
    struct failure f = { 0 };
    uint64_t begun_ns = moved_clock_ns(NULL);
    struct drained all;

    (void)state;
    assert_int_equal(store_open(&store, NULL), 0);
    assert_no_name(1, ERROR_UNAVAILABLE, ENOENT);
    assert_int_equal(store_check(store, &f), -ERROR_UNAVAILABLE);
    assert_non_null(strstr(f.next_step, "xenstored"));
    store_watch_name(store, 1);
    store_watch_name(store, 2);
    for (int i = 0; i < 2; i++) { /* each time: nobody watches for us */
        all = drain();
        assert_int_equal(all.name_count, 2);
    }
    assert_true(moved_clock_ns(NULL) - begun_ns < CLOCK_NS_PER_S / 2);

    fake_xenstored_start();
    fake_xenstored_write(0, "/local/domain/1/name", "one", 3);
    assert_no_name(1, ERROR_UNAVAILABLE, ENOENT); /* not before its time */
    moved_ns += STORE_RETRY_MS * CLOCK_NS_PER_MS;
    assert_name(1, "one");
    all = drain();
    assert_int_equal(all.events, EVENTS_ALL);
    assert_int_equal(all.name_count, 2);
    assert_int_equal(drain().events, 0);
    assert_int_equal(fake_xenstored_watch_count(), 2 + 2 * 2);
}

static void a_lost_connection_is_told_and_made_again(void **state)
{
    struct drained all = { 0 };
    int fd = store_event_fd(store);

    (void)state;
    store_watch_name(store, 1);
    store_watch_name(store, 2);
    (void)drain();
    fake_xenstored_hang_up();
    for (int tries = 0; tries < LIMIT_MS && (all.events & BACKEND_EVENT_DOMAINS) == 0; tries++) {
        all = drain();
        (void)poll(NULL, 0, 1);
    }
    assert_int_equal(all.events, EVENTS_ALL);
    assert_int_equal(all.name_count, 2);
    assert_no_name(1, ERROR_UNAVAILABLE, ENOTCONN);
    assert_int_equal(drain().name_count, 2); /* still nobody watches */

    moved_ns += STORE_RETRY_MS * CLOCK_NS_PER_MS;
    all = drain();
    assert_int_equal(all.events, EVENTS_ALL);
    assert_int_equal(all.name_count, 2);
    assert_int_equal(drain().events, 0);
    assert_int_equal(fake_xenstored_connections(), 2);
    assert_int_equal(store_event_fd(store), fd);
    fake_xenstored_write(1, "/local/domain/2/name", "zwei", 4);
    assert_true(is_readable(fd, LIMIT_MS));
    assert_int_equal(drain().domids[0], 2);
}

static void a_silent_xenstored_takes_one_wait_and_no_more(void **state)
{
    uint64_t begun_ns;
    uint64_t waited_ns;
    int tries = 0;
    char name[MESSAGE_NAME_BYTES];
    bool cut;

    (void)state;
    assert_name(1, "one");
    fake_xenstored_be_silent(true);
    begun_ns = moved_clock_ns(NULL);
    assert_no_name(1, ERROR_UNAVAILABLE, ETIMEDOUT);
    for (int i = 0; i < 10000; i++) {
        assert_int_equal(store_name(store, 1, name, &cut, NULL), -ERROR_UNAVAILABLE);
    }
    store_watch_name(store, 2);
    assert_int_equal(drain().name_count, 1);
    waited_ns = moved_clock_ns(NULL) - begun_ns;
    assert_true(waited_ns >= STORE_THREAD_WAIT_MS * CLOCK_NS_PER_MS);
    assert_true(waited_ns < 3 * STORE_THREAD_WAIT_MS * CLOCK_NS_PER_MS);

    /* The late answer about domain 1 is nobody's; the next question has its own. */
    fake_xenstored_be_silent(false);
    while (store_name(store, 2, name, &cut, NULL) != 0 && tries++ < LIMIT_MS) {
        (void)poll(NULL, 0, 1);
    }
    assert_string_equal(name, "two");
    assert_name(1, "one");
    assert_int_equal(drain().name_count, 1); /* watched from here on */
    assert_int_equal(drain().name_count, 0);
}

static void closing_does_not_wait_for_a_silent_xenstored(void **state)
{
    uint64_t begun_ns;

    (void)state;
    fake_xenstored_be_silent(true);
    assert_no_name(1, ERROR_UNAVAILABLE, ETIMEDOUT);
    begun_ns = moved_clock_ns(NULL);
    store_close(store);
    store = NULL;
    assert_true(moved_clock_ns(NULL) - begun_ns < CLOCK_NS_PER_S / 2);
    /* The thread ends by itself, and closes its connection, when the answer comes. */
    fake_xenstored_wait_for_end();
}

static void descriptors_are_given_back(void **state)
{
    size_t before = descriptors_open();

    (void)state;
    for (int i = 0; i < 5; i++) {
        store_close(store);
        assert_int_equal(store_open(&store, NULL), 0);
        store_watch_name(store, 1);
        assert_name(2, "two");
    }
    store_close(store);
    assert_int_equal(store_open(&store, NULL), 0);
    assert_true(descriptors_open() <= before + 1); /* the server may be a moment behind */
    assert_true(descriptor_is_cloexec(store_event_fd(store)));
}

static void every_number_of_a_domain_can_be_watched(void **state)
{
    struct drained all;

    (void)state;
    for (uint16_t domid = 0; domid < FAKE_XENSTORED_WATCHES / 2 - 1; domid++) {
        store_watch_name(store, (uint16_t)(0x7fef - domid));
    }
    assert_int_equal(fake_xenstored_watch_count(), FAKE_XENSTORED_WATCHES);
    assert_int_equal(drain().events, 0);
    fake_xenstored_write(2, "/local/domain/32751/name", "last", 4);
    all = drain();
    assert_int_equal(all.name_count, 1);
    assert_int_equal(all.domids[0], 0x7fef);
}

/* --- tags ------------------------------------------------------------------------------------- */

static struct backend_tags tags_of_1(void)
{
    struct backend_tags tags;
    struct failure f = { 0 };

    memset(&tags, 0xff, sizeof(tags));
    if (store_tags(store, 1, &tags, &f) != 0) {
        fail_msg("%s: %s", f.message, f.cause);
    }
    assert_non_null(memchr(tags.value, '\0', sizeof(tags.value)));
    return tags;
}

static void assert_tags(const char *expected)
{
    struct backend_tags tags = tags_of_1();

    assert_string_equal(tags.value, expected);
    assert_false(tags.is_cut || tags.is_untrusted);
}

static void tags_are_what_dom0_wrote(void **state)
{
    static char longest[BACKEND_TAGS_BYTES];

    (void)state;
    assert_tags("");
    fake_xenstored_permit(3, "/local/domain/1", "n0 r1"); /* as the toolstack makes it */
    assert_tags("");
    fake_xenstored_write(2, TAGS, "web prod", 8);
    assert_tags("web prod");
    fake_xenstored_permit(2, TAGS, "n0 r1");
    assert_tags("web prod");
    memset(longest, 'x', sizeof(longest) - 1);
    fake_xenstored_write(2, TAGS, longest, sizeof(longest) - 1);
    assert_tags(longest);
    fake_xenstored_write(2, TAGS, longest, sizeof(longest));
    assert_true(tags_of_1().is_cut);
    assert_string_equal(tags_of_1().value, "");
}

/* A guest that can write the node, or the folder, would choose its own tags or be rid of them. */
static void tags_that_a_guest_could_write_are_not_looked_into(void **state)
{
    static const struct {
        const char *entries;
        bool is_untrusted;
    } rows[] = {
        { "n0", false },    { "r0", false },      { "n0 r1 n2", false },
        { "n1", true }, /* its own */
        { "n1 n0", true },  { "w0", true },       { "b0", true },
        { "n0 w1", true },  { "n0 r1 b7", true }, { "b0 n1", true },
        { "n0 w0", false }, /* dom0's anyway */
    };

    (void)state;
    fake_xenstored_write(2, TAGS, "prod", 4);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (int folder = 0; folder < 2; folder++) {
            fake_xenstored_permit(2, TAGS, folder == 0 ? rows[i].entries : "n0");
            fake_xenstored_permit(3, "/local/domain/1", folder == 1 ? rows[i].entries : "n0");
            struct backend_tags tags = tags_of_1();

            if (tags.is_untrusted != rows[i].is_untrusted) {
                fail_msg("row %zu, folder %d", i, folder);
            }
            assert_string_equal(tags.value, rows[i].is_untrusted ? "" : "prod");
        }
    }
    fake_xenstored_permit(2, TAGS, "n0");
    fake_xenstored_permit(3, "/local/domain/1", "n1");
    fake_xenstored_permit(2, "/none", "n0"); /* taken away */
    assert_true(tags_of_1().is_untrusted);
}

static void other_tags_are_an_event_of_their_own(void **state)
{
    (void)state;
    store_watch_name(store, 1);
    (void)drain();
    fake_xenstored_write(2, TAGS, "prod", 4);
    struct drained all = drain();

    assert_int_equal(all.events, BACKEND_EVENT_TAGS);
    fake_xenstored_permit(2, TAGS, "n1");
    assert_int_equal(drain().events, BACKEND_EVENT_TAGS);
    store_unwatch_name(store, 1);
    fake_xenstored_write(2, TAGS, "", 0);
    assert_int_equal(drain().events, 0);
}

static void tags_that_cannot_be_read_are_told(void **state)
{
    struct backend_tags tags;
    struct failure f = { 0 };

    (void)state;
    fake_xenstored_be_silent(true);
    assert_int_equal(store_tags(store, 1, &tags, &f), -ERROR_UNAVAILABLE);
    assert_true(f.cause[0] != '\0' && f.next_step[0] != '\0');
}

#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
    static const struct clock_source clock = { moved_clock_ns, moved_clock_ns, NULL };
    const struct CMUnitTest tests[] = {
        WITH_SERVER(a_name_is_what_was_written),
        WITH_SERVER(a_name_may_fill_the_room_and_hold_any_byte_but_nul),
        WITH_SERVER(a_registration_alone_is_no_event),
        WITH_SERVER(a_rewritten_name_is_an_event_of_its_domain),
        WITH_SERVER(a_change_right_after_the_registration_is_told),
        WITH_SERVER(what_is_no_longer_watched_is_not_told),
        WITH_SERVER(domains_coming_and_going_are_told),
        WITH_SERVER(events_with_tokens_that_are_not_ours_are_dropped),
        WITH_SERVER(numbers_that_no_domain_has_are_not_watched),
        cmocka_unit_test_teardown(an_absent_xenstored_is_told_and_found_later, stop),
        WITH_SERVER(a_lost_connection_is_told_and_made_again),
        WITH_SERVER(a_silent_xenstored_takes_one_wait_and_no_more),
        WITH_SERVER(closing_does_not_wait_for_a_silent_xenstored),
        WITH_SERVER(descriptors_are_given_back),
        WITH_SERVER(every_number_of_a_domain_can_be_watched),
        WITH_SERVER(tags_are_what_dom0_wrote),
        WITH_SERVER(tags_that_a_guest_could_write_are_not_looked_into),
        WITH_SERVER(other_tags_are_an_event_of_their_own),
        WITH_SERVER(tags_that_cannot_be_read_are_told),
    };

    setenv("XENSTORED_PATH", "/nonexistent/xenstored", 1); /* until there is one */
    clock_set_source(&clock);
    return UNIT_RUN(tests);
}
