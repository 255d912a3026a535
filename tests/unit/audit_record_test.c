/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/audit_record.h"

#include <jansson.h>
#include <stdlib.h>

#include "common/text.h"
#include "tests/lib/unit.h"

/* The body as an object; freed by the caller. */
static json_t *parse(const struct audit_record *r, uint64_t wall_ns, size_t *len)
{
    char body[AUDIT_BODY_MAX_BYTES], text[AUDIT_BODY_MAX_BYTES + 3];
    json_error_t error;

    *len = audit_record_format(r, wall_ns, body);
    assert_true(*len <= sizeof body);
    assert_null(memchr(body, '\n', *len));
    snprintf(text, sizeof text, "{%.*s}", (int)*len, body);
    json_t *object = json_loads(text, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &error);

    if (object == NULL) {
        print_message("%s\n%s\n", error.text, text);
    }
    assert_non_null(object);
    return object;
}

static const char *text_of(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static void all_fields_are_there(void **state)
{
    const struct identity who = { .text = "cn:alice", .token_id = "jti-1" };
    const struct domain_identity domain = { .domid = 7, .name = "web-1", .uuid = { 0xab } };
    const struct audit_record r = { .event = AUDIT_DENIED,
                                    .who = &who,
                                    .peer = "[::1]:9",
                                    .domain = &domain,
                                    .type = "grant_table",
                                    .has_id = true,
                                    .id = 3,
                                    .action = "snapshot",
                                    .rule = "none",
                                    .line = 12,
                                    .outcome = ERROR_PERMISSION_DENIED,
                                    .reason = "why",
                                    .has_counts = true,
                                    .messages = 1,
                                    .bytes = UINT64_MAX,
                                    .lost = 0,
                                    .suppressed = 5,
                                    .detail = "a sentence" };
    size_t len;
    json_t *o = parse(&r, UINT64_C(1790000000123456789), &len);

    (void)state;
    assert_string_equal(text_of(o, "time"), "2026-09-21T14:13:20.123456Z");
    assert_string_equal(text_of(o, "event"), "denied");
    assert_string_equal(text_of(o, "outcome"), "permission_denied");
    assert_string_equal(text_of(o, "identity"), "cn:alice");
    assert_string_equal(text_of(o, "token"), "jti-1");
    assert_string_equal(text_of(o, "peer"), "[::1]:9");
    assert_int_equal((int)json_number_value(json_object_get(o, "domid")), 7);
    assert_string_equal(text_of(o, "uuid"), "ab000000-0000-0000-0000-000000000000");
    assert_string_equal(text_of(o, "domain"), "web-1");
    assert_string_equal(text_of(o, "incarnation"), "00000000000000000000000000000000");
    assert_string_equal(text_of(o, "type"), "grant_table");
    assert_int_equal((int)json_number_value(json_object_get(o, "id")), 3);
    assert_string_equal(text_of(o, "rule"), "none");
    assert_int_equal((int)json_number_value(json_object_get(o, "line")), 12);
    assert_int_equal((int)json_number_value(json_object_get(o, "suppressed")), 5);
    assert_string_equal(text_of(o, "detail"), "a sentence");
    assert_null(json_object_get(o, "cut"));
    json_decref(o);
}

static void what_is_not_set_is_left_out(void **state)
{
    const struct audit_record r = { .event = AUDIT_STOP };
    size_t len;
    json_t *o = parse(&r, 0, &len);

    (void)state;
    assert_int_equal(json_object_size(o), 3);
    json_decref(o);
}

/* A snapshot is one answer, and nothing of it is lost. */
static void bytes_alone_are_the_only_count(void **state)
{
    const struct audit_record r = { .event = AUDIT_SNAPSHOT, .has_bytes = true, .bytes = 4096 };
    size_t len;
    json_t *o = parse(&r, 0, &len);

    (void)state;
    assert_int_equal(json_object_size(o), 4);
    assert_int_equal((int)json_number_value(json_object_get(o, "bytes")), 4096);
    json_decref(o);
}

static json_t *parse_of(const struct domain_identity *d)
{
    const struct audit_record r = { .event = AUDIT_SNAPSHOT, .domain = d };
    size_t len;

    return parse(&r, 0, &len);
}

static void expect_domain(const struct domain_identity *d)
{
    json_t *o = parse_of(d);
    char uuid[UUID_TEXT_BYTES], incarnation[HEX128_TEXT_BYTES];

    text_from_uuid(d->uuid, uuid);
    text_from_hex(d->incarnation, sizeof d->incarnation, incarnation);
    assert_int_equal((int)json_number_value(json_object_get(o, "domid")), d->domid);
    assert_string_equal(text_of(o, "uuid"), uuid);
    assert_string_equal(text_of(o, "incarnation"), incarnation);
    assert_string_equal(json_object_get(o, "domain") != NULL ? text_of(o, "domain") : "", d->name);
    assert_null(json_object_get(o, "cut"));
    json_decref(o);
}

static void expect_cut(const struct domain_identity *d)
{
    json_t *o = parse_of(d);

    assert_true(json_is_true(json_object_get(o, "cut")));
    json_decref(o);
}

/* One behind the other, which differ in one thing each; also twice, and behind one that has no room. */
static void each_domain_is_its_own(void **state)
{
    const struct domain_identity domains[] = {
        { .domid = 7, .name = "web-1" },
        { .domid = 8, .name = "web-1" },
        { .domid = 8, .name = "web-1", .uuid = { [15] = 1 } },
        { .domid = 8, .name = "web-1", .uuid = { [15] = 1 }, .incarnation = { [15] = 1 } },
        { .domid = 8, .name = "web-2", .uuid = { [15] = 1 }, .incarnation = { [15] = 1 } },
        { .domid = 8, .name = "web-21", .uuid = { [15] = 1 }, .incarnation = { [15] = 1 } },
        { .domid = 8, .name = "", .uuid = { [15] = 1 }, .incarnation = { [15] = 1 } },
    };
    struct domain_identity cut = domains[0];

    (void)state;
    memset(cut.name, '\\', sizeof cut.name - 1);
    for (size_t i = 0; i < sizeof domains / sizeof domains[0]; i++) {
        expect_domain(&domains[i]);
        expect_domain(&domains[i]);
    }
    for (size_t i = 0; i < sizeof domains / sizeof domains[0]; i++) {
        expect_cut(&cut);
        expect_cut(&cut);
        expect_domain(&domains[i]);
    }
}

/* A name that would be a field, a line, or text other than it is. */
static void hostile_names_stay_names(void **state)
{
    const struct domain_identity domain = {
        .name = "a\",\"event\":\"stop\"}\n\\\x1b[2J\xff\xe2\x80\xae"
    };
    const struct audit_record r = { .event = AUDIT_SNAPSHOT, .domain = &domain };
    size_t len;
    json_t *o = parse(&r, 0, &len);

    (void)state;
    assert_string_equal(text_of(o, "event"), "snapshot");
    assert_string_equal(text_of(o, "domain"),
                        "a\",\"event\":\"stop\"}\\x0a\\\\\\x1b[2J\\xff\\xe2\\x80\\xae");
    json_decref(o);
}

static void fill(char *text, size_t bytes, char with)
{
    memset(text, with, bytes - 1);
    text[bytes - 1] = '\0';
}

/* All fields at their longest, of the characters that need the most room: it fits, and says what is cut. */
static void the_largest_record_has_room(void **state)
{
    struct identity who = { .token_id = "" };
    struct domain_identity domain = { .domid = UINT16_MAX };
    static char long_text[8192];
    const char worst[] = { '\\', '"', '\x01', 'a', '\xff' };

    (void)state;
    for (size_t i = 0; i < sizeof worst; i++) {
        fill(who.text, sizeof who.text, worst[i]);
        fill(who.token_id, sizeof who.token_id, worst[i]);
        fill(domain.name, sizeof domain.name, worst[i]);
        fill(long_text, sizeof long_text, worst[i]);
        memset(domain.uuid, 0xff, sizeof domain.uuid);
        const struct audit_record r = {
            .event = AUDIT_AUTHENTICATION_FAILED,
            .who = &who,
            .peer = long_text,
            .domain = &domain,
            .type = long_text,
            .has_id = true,
            .id = UINT32_MAX,
            .action = long_text,
            .rule = long_text,
            .line = UINT32_MAX,
            .outcome = ERROR_PERMISSION_DENIED,
            .reason = long_text,
            .has_counts = true,
            .messages = UINT64_MAX,
            .bytes = UINT64_MAX,
            .lost = UINT64_MAX,
            .suppressed = UINT64_MAX,
            .detail = long_text,
        };
        size_t len;
        json_t *o = parse(&r, UINT64_MAX, &len);

        assert_true(json_is_true(json_object_get(o, "cut")));
        assert_non_null(json_object_get(o, "detail"));
        assert_non_null(json_object_get(o, "suppressed"));
        if (worst[i] == 'a' || worst[i] == '"' || worst[i] == '\\') {
            /* As much as an identity can have: printable ASCII. */
            assert_int_equal(strlen(text_of(o, "identity")),
                             (sizeof who.text - 1) * (worst[i] == '\\' ? 2 : 1));
        }
        json_decref(o);
    }
}

/* One character after the other, as the manual page has it. */
static size_t by_character(const char *text, size_t max_bytes, size_t room, char *out)
{
    size_t used = 0;

    for (; *text != '\0'; text++) {
        const char *piece = *text == '"' ? "\\\"" : *text == '\\' ? "\\\\\\\\" : NULL;
        char hex[8], plain[2] = { *text, '\0' };

        if (piece == NULL) {
            (void)snprintf(hex, sizeof hex, "\\\\x%02x", (unsigned)(unsigned char)*text);
            piece = *text >= ' ' && *text <= '~' ? plain : hex;
        }
        if (used + strlen(piece) > max_bytes || used + strlen(piece) > room) {
            break;
        }
        memcpy(out + used, piece, strlen(piece));
        used += strlen(piece);
    }
    return used;
}

/* Runs of characters that are copied at once end where each by itself would have. */
static void texts_are_cut_between_their_characters(void **state)
{
    static const char begin[] = ",\"n\":\"", cut[] = ",\"cut\":true";
    const char *const texts[] = { "abcdefghij", "ab\"cd\\ef", "\x01gh\x7fij", "\\\\\\",
                                  "~ ~\xff~" };

    (void)state;
    for (size_t t = 0; t < sizeof texts / sizeof texts[0]; t++) {
        for (size_t max = 0; max < 40; max++) {
            for (size_t room = 0; room < 40; room++) {
                char out[128], wanted[128];
                size_t fixed = sizeof begin - 1 + 1 + sizeof cut - 1; /* with the quote */
                struct audit_writer w = { .out = out, .room = fixed + room };
                size_t len = by_character(texts[t], max, room, wanted);

                audit_writer_text(&w, "n", texts[t], max);
                assert_int_equal(w.len, sizeof begin - 1 + len + 1);
                assert_memory_equal(out, begin, sizeof begin - 1);
                assert_memory_equal(out + sizeof begin - 1, wanted, len);
                assert_int_equal(out[w.len - 1], '"');
                assert_int_equal(w.cut, by_character(texts[t], 200, 200, wanted) > len);
            }
        }
    }
}

/* Texts are looked at by eight characters at a time: what has to be escaped is found at each of them, beside
 * any other. */
static void any_character_is_escaped_wherever_it_stands(void **state)
{
    enum { TEXT_LEN = 19 };
    char text[TEXT_LEN + 1], wanted[128], out[256];

    (void)state;
    for (int byte = 1; byte < 256; byte++) {
        for (size_t at = 0; at < TEXT_LEN; at++) {
            for (size_t other = 0; other < TEXT_LEN; other++) {
                struct audit_writer w = { .out = out, .room = sizeof out };

                fill(text, sizeof text, 'a');
                text[other] = '!'; /* which is next to a quote and to a blank */
                text[at] = (char)byte;
                size_t len = by_character(text, sizeof wanted, sizeof wanted, wanted);

                audit_writer_text(&w, "n", text, 128);
                assert_int_equal(w.len, 5 + 1 + len + 1);
                assert_memory_equal(out + 6, wanted, len);
                assert_false(w.cut);
            }
        }
    }
}

static void expect_time(uint64_t wall_ns, const char *wanted)
{
    char text[AUDIT_TIME_BYTES];

    audit_time_text(wall_ns, text);
    assert_string_equal(text, wanted);
}

static void each_time_is_its_own(void **state)
{
    const uint64_t s = UINT64_C(1000000000);

    (void)state;
    expect_time(0, "1970-01-01T00:00:00.000000Z");
    expect_time(999999999, "1970-01-01T00:00:00.999999Z");
    expect_time(UINT64_C(951782399) * s + 999, "2000-02-28T23:59:59.000000Z");
    expect_time(UINT64_C(951782400) * s + 1000, "2000-02-29T00:00:00.000001Z");
    expect_time(UINT64_C(951782400) * s + 2000, "2000-02-29T00:00:00.000002Z");
    expect_time(UINT64_C(951782399) * s, "2000-02-28T23:59:59.000000Z"); /* a clock set back */
    expect_time(UINT64_C(4102444799) * s, "2099-12-31T23:59:59.000000Z");
    expect_time(0, "1970-01-01T00:00:00.000000Z");
}

static void every_event_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (int a = 0; a < AUDIT_EVENT_COUNT; a++) {
        const char *name = audit_event_name((enum audit_event)a);

        assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz_"), strlen(name));
        for (int b = 0; b < a; b++) {
            assert_string_not_equal(name, audit_event_name((enum audit_event)b));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_fields_are_there),
        cmocka_unit_test(what_is_not_set_is_left_out),
        cmocka_unit_test(bytes_alone_are_the_only_count),
        cmocka_unit_test(each_domain_is_its_own),
        cmocka_unit_test(hostile_names_stay_names),
        cmocka_unit_test(the_largest_record_has_room),
        cmocka_unit_test(texts_are_cut_between_their_characters),
        cmocka_unit_test(any_character_is_escaped_wherever_it_stands),
        cmocka_unit_test(each_time_is_its_own),
        cmocka_unit_test(every_event_has_a_name_of_its_own),
    };

    return UNIT_RUN(tests);
}
