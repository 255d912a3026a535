/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* The raw frames endpoint. */
#include "tests/lib/rpc_rig.h"

#include "common/log.h"

#define FRAMES "/v1/domains/web-1/resources/grant_table/0/frames"

static void get(struct rpc_rig *r, struct flight *f, const char *target)
{
    flight_send(r, f, &r->alice, "GET", target, NULL, 0);
}

/* A rig whose domains are listed already. */
static void begin(struct rpc_rig *r)
{
    struct flight f = { 0 };

    rpc_rig_init(r, true);
    get(r, &f, FRAMES);
    rpc_rig_domains(r);
    rpc_rig_frames(r, 0, 1);
    flight_reply(&f);
    flight_done(&f);
}

static void the_frames_come_straight_from_the_arena(void **state)
{
    struct rpc_rig r;
    struct flight f = { 0 };
    union message request;

    (void)state;
    begin(&r);
    get(&r, &f, FRAMES "?first=2&count=3");
    fake_mapper_request(&r.mapper, &request);
    assert_int_equal(request.snapshot.type, RESOURCE_GRANT_TABLE);
    assert_int_equal(request.snapshot.first_frame, 2);
    assert_int_equal(request.snapshot.frame_count, 3);
    assert_int_equal(request.snapshot.flags, 0);
    assert_true(request.snapshot.deadline_ns > 0);
    fake_mapper_snapshot(&r.mapper, &request, 8, 3);
    const struct exchange_reply *reply = flight_reply(&f);

    assert_int_equal(reply->status, 200);
    assert_int_equal(reply->body_len_bytes, 3 * MESSAGE_FRAME_BYTES);
    for (size_t i = 0; i < reply->body_len_bytes; i += MESSAGE_FRAME_BYTES / 2) {
        assert_int_equal(((const uint8_t *)reply->body)[i], 9 + i / MESSAGE_FRAME_BYTES);
    }
    /* The same memory: what is written there later shows. */
    r.mapper.arena[8 * MESSAGE_FRAME_BYTES] = 0xee;
    assert_int_equal(((const uint8_t *)reply->body)[0], 0xee);
    flight_done(&f);
    rpc_rig_done(&r);
}

static void all_frames_in_use_is_what_is_asked_without_a_number(void **state)
{
    struct rpc_rig r;
    struct flight f = { 0 };
    union message request;

    (void)state;
    begin(&r);
    get(&r, &f, FRAMES);
    fake_mapper_request(&r.mapper, &request);
    assert_int_equal(request.snapshot.frame_count, MESSAGE_FRAMES_ALL);
    fake_mapper_snapshot(&r.mapper, &request, 0, 4);
    assert_int_equal(flight_reply(&f)->body_len_bytes, 4 * MESSAGE_FRAME_BYTES);
    flight_done(&f);
    rpc_rig_done(&r);
}

static void headers_say_what_the_frames_are_of(void **state)
{
    static const struct exchange_header wanted[] = {
        { "Xenres-Domid", "4" },
        { "Xenres-Uuid", "44000000-0000-0000-0000-000000000000" },
        { "Xenres-Name", "db\\x0a" },
        { "Xenres-Incarnation", "04000000000000000000000000000000" },
        { "Xenres-Type", "grant_table" },
        { "Xenres-Id", "0" },
        { "Xenres-First-Frame", "1" },
        { "Xenres-Frame-Count", "2" },
        { "Xenres-Frames-In-Use", "3" },
        { "Xenres-Frames-Max", "64" },
        { "Xenres-Grant-Version", "1" },
        { "Xenres-Monotonic-Ns", "42" },
        { "Xenres-Wall-Time", "2023-11-14T22:13:20.123456789Z" },
        { "Xenres-Copy-Duration-Ns", "5" },
        { "Xenres-Consistency", "aligned_8_bytes" },
        { "ETag", "\"abcd0000000000000000000000000000\"" },
        { "Cache-Control", "private, no-cache" },
        { "Content-Type", "application/octet-stream" },
    };
    struct rpc_rig r;
    struct flight f = { 0 };

    (void)state;
    begin(&r);
    get(&r, &f, "/v1/domains/db%0A/resources/grant_table/0/frames?first=1");
    rpc_rig_frames(&r, 0, 2);
    const struct exchange_reply *reply = flight_reply(&f);

    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        const char *value = flight_reply_header(&f, wanted[i].name);

        assert_non_null(value);
        assert_string_equal(value, wanted[i].value);
    }
    assert_int_equal(reply->header_count, sizeof(wanted) / sizeof(wanted[0]));
    flight_done(&f);
    rpc_rig_done(&r);
}

/* What a toolstack may have written as a name, and what the header says. */
static void names_are_safe_in_a_header(void **state)
{
    static const struct {
        const char *name, *value;
    } names[] = {
        { " a ", "\\x20a\\x20" },     { " ", "\\x20" },
        { "a: b", "a: b" },           { "\r\nX: y", "\\x0d\\x0aX: y" },
        { "\xc3\xa4", "\\xc3\\xa4" }, { "\x7f", "\\x7f" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct rpc_rig r;
        struct flight f = { 0 };
        union message request;
        const struct message_domain d = fake_domain(5, names[i].name, 5, 5);

        rpc_rig_init(&r, true);
        get(&r, &f, "/v1/domains/5/resources/grant_table/0/frames");
        fake_mapper_request(&r.mapper, &request);
        fake_mapper_domains(&r.mapper, request.head.serial, &d, 1, false);
        rpc_rig_frames(&r, 0, 1);
        flight_reply(&f);
        assert_string_equal(flight_reply_header(&f, "Xenres-Name"), names[i].value);
        flight_done(&f);
        rpc_rig_done(&r);
    }
}

static void a_domain_without_a_name_has_no_name_header(void **state)
{
    struct rpc_rig r;
    struct flight f = { 0 };
    union message request;
    const struct message_domain d = fake_domain(5, "", 5, 5);

    (void)state;
    rpc_rig_init(&r, true);
    get(&r, &f, "/v1/domains/5/resources/grant_table/0/frames");
    fake_mapper_request(&r.mapper, &request);
    fake_mapper_domains(&r.mapper, request.head.serial, &d, 1, false);
    rpc_rig_frames(&r, 0, 1);
    assert_int_equal(flight_reply(&f)->status, 200);
    assert_null(flight_reply_header(&f, "Xenres-Name"));
    flight_done(&f);
    rpc_rig_done(&r);
}

#define TAG "\"abcd0000000000000000000000000000\""

static void a_poller_whose_pages_have_not_changed_gets_304(void **state)
{
    static const struct {
        const char *header;
        int status;
    } cases[] = {
        { TAG, 304 },
        { "*", 304 },
        { " * ", 304 },
        { "\"x\", " TAG, 304 },
        { "\"x\"," TAG ",\"y\"", 304 },
        { "W/" TAG, 304 },
        { "\"x\",W/" TAG, 304 },
        { "", 200 },
        { "\"x\"", 200 },
        { "abcd", 200 },
        { "\"abcd", 200 },
        { "*, " TAG, 200 },
        { "x" TAG, 200 },
        { ",, ," TAG, 304 },
        { "\"\"", 200 },
    };
    struct rpc_rig r;

    (void)state;
    begin(&r);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct flight f = { 0 };

        flight_add(&f, "If-None-Match", cases[i].header);
        get(&r, &f, FRAMES);
        rpc_rig_frames(&r, 0, 1);
        const struct exchange_reply *reply = flight_reply(&f);

        if (reply->status != cases[i].status) {
            print_message("%s: %d\n", cases[i].header, reply->status);
        }
        assert_int_equal(reply->status, cases[i].status);
        assert_string_equal(flight_reply_header(&f, "ETag"), TAG);
        assert_string_equal(flight_reply_header(&f, "Xenres-Domid"), "1");
        /* Also of a 304, which has no body: its Content-Length is the 200's (RFC 9110, 8.6). */
        assert_int_equal(reply->body_len_bytes, MESSAGE_FRAME_BYTES);
        flight_done(&f);
    }
    rpc_rig_done(&r);
}

static void a_304_gives_its_slot_back(void **state)
{
    struct rpc_rig r;
    struct flight f = { 0 };
    union message release;

    (void)state;
    begin(&r);
    fake_mapper_receive(&r.mapper, &release); /* begin()'s */
    flight_add(&f, "If-None-Match", "*");
    get(&r, &f, FRAMES);
    rpc_rig_frames(&r, 0, 1);
    assert_int_equal(flight_reply(&f)->status, 304);
    flight_done(&f);
    fake_mapper_receive(&r.mapper, &release);
    assert_int_equal(release.head.type, MESSAGE_RELEASE);
    rpc_rig_done(&r);
}

static void head_is_answered_like_get(void **state)
{
    struct rpc_rig r;
    struct flight f = { 0 };

    (void)state;
    begin(&r);
    flight_send(&r, &f, &r.alice, "HEAD", FRAMES, NULL, 0);
    rpc_rig_frames(&r, 0, 2);
    assert_int_equal(flight_reply(&f)->status, 200);
    assert_int_equal(f.reply->body_len_bytes, 2 * MESSAGE_FRAME_BYTES);
    flight_done(&f);
    rpc_rig_done(&r);
}

static void what_cannot_be_asked_is_refused_before_the_mapper_hears_of_it(void **state)
{
    static const struct {
        const char *target;
        int status;
        const char *code, *errno_name;
    } wrong[] = {
        { FRAMES "?count=0", 400, "invalid_argument", "EINVAL" },
        { FRAMES "?first=4294967296", 400, "invalid_argument", "EINVAL" },
        { FRAMES "?first=-1", 400, "invalid_argument", "EINVAL" },
        { FRAMES "?first=+1", 400, "invalid_argument", "EINVAL" },
        { FRAMES "?first=1%20", 400, "invalid_argument", "EINVAL" },
        { FRAMES "?first=01", 400, "invalid_argument", "EINVAL" },
        { FRAMES "?first=", 400, "invalid_argument", "EINVAL" },
        { FRAMES "?count=4294967296", 400, "invalid_argument", "EINVAL" },
        { FRAMES "?count=4294967295", 400, "out_of_range", "EINVAL" },
        { FRAMES "?first=4294967295&count=2", 400, "out_of_range", "EINVAL" },
        { FRAMES "?first=1&first=2", 400, "invalid_argument", "" },
        { FRAMES "?frist=1", 400, "invalid_argument", "" },
        { FRAMES "?first=%00", 400, "invalid_argument", "" },
        { FRAMES "?first=%zz", 400, "invalid_argument", "" },
        { "/v1/domains/web-1/resources/grant_tables/0/frames", 400, "invalid_argument", "EINVAL" },
        { "/v1/domains/web-1/resources/1/0/frames", 400, "invalid_argument", "EINVAL" },
        { "/v1/domains/web-1/resources/grant_table/x/frames", 400, "invalid_argument", "EINVAL" },
        { "/v1/domains/007/resources/grant_table/0/frames", 400, "invalid_argument", "EINVAL" },
        { "/v1/domains/32752/resources/grant_table/0/frames", 404, "not_found", "ESRCH" },
    };
    struct rpc_rig r;
    union message none;

    (void)state;
    rpc_rig_init(&r, true);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct flight f = { 0 };

        get(&r, &f, wrong[i].target);
        assert_true(f.at_once);
        flight_error(&f, wrong[i].status, wrong[i].code, wrong[i].errno_name);
    }
    assert_int_equal(channel_receive(&r.mapper.peer, &none, sizeof(none), NULL, NULL, NULL), 0);
    rpc_rig_done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_frames_come_straight_from_the_arena),
        cmocka_unit_test(all_frames_in_use_is_what_is_asked_without_a_number),
        cmocka_unit_test(headers_say_what_the_frames_are_of),
        cmocka_unit_test(names_are_safe_in_a_header),
        cmocka_unit_test(a_domain_without_a_name_has_no_name_header),
        cmocka_unit_test(a_poller_whose_pages_have_not_changed_gets_304),
        cmocka_unit_test(a_304_gives_its_slot_back),
        cmocka_unit_test(head_is_answered_like_get),
        cmocka_unit_test(what_cannot_be_asked_is_refused_before_the_mapper_hears_of_it),
    };

    log_open("frames_test", (enum log_level)0);
    return UNIT_RUN(tests);
}
