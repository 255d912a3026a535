/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Bytes of a trace are encoded and compressed once for all who take them in the same form. */
#include "tests/lib/fake_feeds.h"
#include "tests/lib/trace_calls.h"

enum { READERS = 3, BYTES = 4096 };

static struct trace_rig r;
static uint8_t contents[BYTES]; /* zeros: small, compressed */
static const struct feed_bytes head = { .offset = 5,
                                        .bytes_before = 1000,
                                        .segment = 2,
                                        .len_bytes = BYTES,
                                        .sync_offset = -1,
                                        .tsc = UINT64_C(1) << 60 };

/* Until it has subscribed; its `feed` is the queue that the test fills. */
static void open_with(struct watching *w, const char *encoding)
{
    size_t before = fake_feeds.count;

    *w = (struct watching){ .feed = NULL };
    flight_add(&w->flight, "Connect-Accept-Encoding", encoding);
    trace_open_as(&r, w, &r.carol, "{\"domain\":\"web-1\"}");
    assert_int_equal(fake_feeds.count, before + 1);
    w->feed = &fake_feeds.all[before];
    fake_feeds_begin(w->feed, 0, false);
    assert_true(watch_fill(w)); /* begin */
    w->len_bytes = 0;
}

static void put_bytes(struct watching *w)
{
    fake_feeds_put(
        w->feed,
        &(struct subscription_item){
            .kind = SUBSCRIPTION_RECORD,
            .record.record = { .kind = FEED_RECORD_BYTES, .bytes = &head, .contents = contents } });
}

static void bytes_are_made_once_for_each_form(void **state)
{
    static const char *const forms[] = { "identity", "zstd", "gzip" };

    (void)state;
    for (size_t form = 0; form < 3; form++) {
        struct watching all[READERS];

        fake_feeds.shares = fake_feeds.uses = 0;
        fake_feeds.count = 0;
        for (size_t i = 0; i < READERS; i++) {
            open_with(&all[i], forms[form]);
            put_bytes(&all[i]);
            assert_true(watch_fill(&all[i]));
            assert_int_equal(all[i].bytes[0] & ENVELOPE_COMPRESSED, form > 0);
            assert_int_equal(all[i].len_bytes, all[0].len_bytes);
            assert_memory_equal(all[i].bytes, all[0].bytes, all[0].len_bytes);
            assert_true(form == 0 ? all[i].len_bytes > BYTES : all[i].len_bytes < BYTES);
        }
        assert_int_equal(fake_feeds.shares, 1);
        assert_int_equal(fake_feeds.uses, READERS - 1);
        for (size_t i = 0; i < READERS; i++) {
            watch_done(&all[i]);
        }
        fake_feeds_forget_shared();
    }
}

static void what_bytes_say_is_what_their_record_says(void **state)
{
    struct watching w;

    (void)state;
    open_with(&w, "identity");
    put_bytes(&w);
    const json_t *m = watch_expect(&w, "data");

    assert_int_equal(watch_number(m, "position"), 1000);
    assert_int_equal(watch_number(m, "offset"), 5);
    assert_null(json_object_get(m, "syncOffset"));
    assert_true(watch_number(m, "tsc") == UINT64_C(1) << 60);
    watch_done(&w);
}

static int set_up(void **state)
{
    (void)state;
    trace_rig_begin(&r);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    trace_rig_done(&r);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(bytes_are_made_once_for_each_form),
        TEST(what_bytes_say_is_what_their_record_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
