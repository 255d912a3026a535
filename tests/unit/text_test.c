/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "common/text.h"

#include <stdlib.h>

#include "common/clock.h"
#include "tests/lib/unit.h"

static void numbers_are_decimal_digits_only(void **state)
{
    static const char *const wrong[] = { "",
                                         " 1",
                                         "1 ",
                                         "+1",
                                         "-1",
                                         "-0",
                                         "01",
                                         "00",
                                         "0x1",
                                         "1.0",
                                         "1e3",
                                         "1_0",
                                         "\xd9\xa1",
                                         "18446744073709551616",
                                         "99999999999999999999999999" };
    uint64_t value = 77;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_false(text_to_u64(wrong[i], UINT64_MAX, &value));
    }
    assert_int_equal(value, 77);
    assert_true(text_to_u64("0", 0, &value));
    assert_int_equal(value, 0);
    assert_true(text_to_u64("18446744073709551615", UINT64_MAX, &value));
    assert_true(value == UINT64_MAX);
}

static void a_number_at_its_maximum_passes_and_one_beyond_does_not(void **state)
{
    uint64_t value = 0;

    (void)state;
    assert_true(text_to_u64("32751", 32751, &value));
    assert_false(text_to_u64("32752", 32751, &value));
    assert_int_equal(value, 32751);
}

static void a_uuid_round_trips(void **state)
{
    static const char text[] = "01234567-89ab-cdef-0123-456789abcdef";
    uint8_t uuid[UUID_BYTES];
    char again[UUID_TEXT_BYTES];

    (void)state;
    assert_true(text_to_uuid(text, uuid));
    assert_int_equal(uuid[0], 0x01);
    assert_int_equal(uuid[15], 0xef);
    text_from_uuid(uuid, again);
    assert_string_equal(again, text);
    assert_true(text_to_uuid("01234567-89AB-CDEF-0123-456789ABCDEF", uuid));
    text_from_uuid(uuid, again);
    assert_string_equal(again, text);
}

static void a_uuid_with_any_byte_changed_or_missing_is_none(void **state)
{
    static const char text[] = "01234567-89ab-cdef-0123-456789abcdef";
    uint8_t uuid[UUID_BYTES] = { 0 };
    static const uint8_t untouched[UUID_BYTES];
    char changed[sizeof(text) + 1];

    (void)state;
    for (size_t i = 0; i < sizeof(text) - 1; i++) {
        memcpy(changed, text, sizeof(text));
        changed[i] = text[i] == '-' ? '0' : 'g';
        assert_false(text_to_uuid(changed, uuid));
        changed[i] = '\0';
        assert_false(text_to_uuid(changed, uuid));
    }
    memcpy(changed, text, sizeof(text));
    strcat(changed, "0");
    assert_false(text_to_uuid(changed, uuid));
    assert_memory_equal(uuid, untouched, sizeof(uuid));
}

static void hexadecimal_round_trips_and_is_exact_in_length(void **state)
{
    uint8_t bytes[4] = { 0 };
    static const uint8_t untouched[4];
    char text[9];

    (void)state;
    assert_false(text_to_hex("0123abc", bytes, 4));
    assert_false(text_to_hex("0123abcde", bytes, 4));
    assert_false(text_to_hex("0123abcg", bytes, 4));
    assert_false(text_to_hex("", bytes, 4));
    assert_memory_equal(bytes, untouched, 4);
    assert_true(text_to_hex("0123AbcD", bytes, 4));
    text_from_hex(bytes, 4, text);
    assert_string_equal(text, "0123abcd");
    assert_true(text_to_hex("", bytes, 0));
}

static void escaping_leaves_harmless_text_alone(void **state)
{
    char out[64];

    (void)state;
    assert_string_equal(text_escape(out, sizeof(out), "web-1 (a)", TEXT_ASCII), "web-1 (a)");
    assert_string_equal(text_escape(out, sizeof(out), "Grüße €𝄞", TEXT_UTF8), "Grüße €𝄞");
    assert_string_equal(text_escape(out, sizeof(out), "", TEXT_ASCII), "");
}

static void escaping_marks_all_that_a_terminal_acts_upon(void **state)
{
    char out[64];

    (void)state;
    assert_string_equal(text_escape(out, sizeof(out), "a\n\x1b\\", TEXT_UTF8), "a\\x0a\\x1b\\\\");
    assert_string_equal(text_escape(out, sizeof(out), "\x7fé", TEXT_ASCII), "\\x7f\\xc3\\xa9");
    /* C1 control, line separator, right-to-left override, zero width space, tag. */
    assert_string_equal(text_escape(out, sizeof(out), "\xc2\x9b", TEXT_UTF8), "\\xc2\\x9b");
    assert_string_equal(text_escape(out, sizeof(out), "\u2028", TEXT_UTF8), "\\xe2\\x80\\xa8");
    assert_string_equal(text_escape(out, sizeof(out), "\u202e", TEXT_UTF8), "\\xe2\\x80\\xae");
    assert_string_equal(text_escape(out, sizeof(out), "\u200b", TEXT_UTF8), "\\xe2\\x80\\x8b");
    assert_string_equal(text_escape(out, sizeof(out), "\U000e0041", TEXT_UTF8),
                        "\\xf3\\xa0\\x81\\x81");
}

static void escaping_marks_bytes_that_are_no_utf8(void **state)
{
    char out[64];

    (void)state;
    assert_string_equal(text_escape(out, sizeof(out), "\xc3", TEXT_UTF8), "\\xc3");
    assert_string_equal(text_escape(out, sizeof(out), "\xc0\xaf", TEXT_UTF8), "\\xc0\\xaf");
    assert_string_equal(text_escape(out, sizeof(out), "\xed\xa0\x80", TEXT_UTF8),
                        "\\xed\\xa0\\x80");
    assert_string_equal(text_escape(out, sizeof(out), "\xff\xfe", TEXT_UTF8), "\\xff\\xfe");
}

static void escaping_cuts_between_characters_at_every_size(void **state)
{
    static const char text[] = "a\né€𝄞\\b";
    char whole[64];
    char out[64];

    (void)state;
    (void)text_escape(whole, sizeof(whole), text, TEXT_UTF8);
    for (size_t size = 1; size <= strlen(whole) + 1; size++) {
        memset(out, 'X', sizeof(out));
        (void)text_escape(out, size, text, TEXT_UTF8);
        assert_true(strlen(out) < size);
        assert_memory_equal(out, whole, strlen(out));
        assert_true(text_is_utf8(out, strlen(out)));
        assert_int_not_equal(out[strlen(out) == 0 ? 0 : strlen(out) - 1], 'x');
        assert_int_equal(out[size], 'X');
    }
    assert_string_equal(out, whole);
}

static void the_room_that_escaping_can_need_is_as_stated(void **state)
{
    char text[] = "\xff\xff\xff";
    char out[TEXT_ESCAPED_MAX * 3 + 1];

    (void)state;
    assert_string_equal(text_escape(out, sizeof(out), text, TEXT_UTF8), "\\xff\\xff\\xff");
}

static void utf8_is_checked_strictly(void **state)
{
    static const struct {
        const char *text;
        bool valid;
    } rows[] = {
        { "", true },
        { "abc", true },
        { "é", true },
        { "€", true },
        { "𝄞", true },
        { "\xed\x9f\xbf", true },
        { "\xee\x80\x80", true },
        { "\xf4\x8f\xbf\xbf", true },
        { "\x80", false },
        { "\xc3", false },
        { "\xc3(", false },
        { "\xe2\x82", false },
        { "\xc0\x80", false },
        { "\xc1\xbf", false },
        { "\xe0\x80\x80", false },
        { "\xe0\x9f\xbf", false },
        { "\xf0\x80\x80\x80", false },
        { "\xf0\x8f\xbf\xbf", false },
        { "\xed\xa0\x80", false },
        { "\xed\xbf\xbf", false },
        { "\xf4\x90\x80\x80", false },
        { "\xf5\x80\x80\x80", false },
        { "\xfe", false },
        { "\xff", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(text_is_utf8(rows[i].text, strlen(rows[i].text)), rows[i].valid);
    }
    assert_false(text_is_utf8("a\0b", 3));
    assert_false(text_is_utf8("€", 2)); /* not beyond the length */
}

static void a_cut_never_splits_a_character(void **state)
{
    static const char text[] = "a€é𝄞";
    static const size_t expected[] = { 0, 1, 1, 1, 4, 4, 6, 6, 6, 6, 10 };

    (void)state;
    for (size_t len = 0; len <= 10; len++) {
        assert_int_equal(text_cut(text, len), expected[len]);
    }
    assert_int_equal(text_cut("\x80\x80\x80\x80", 4), 4); /* no character: nothing to save */
}

static void globs_match_whole_strings(void **state)
{
    static const struct {
        const char *pattern, *text;
        bool matches;
    } rows[] = {
        { "", "", true },
        { "", "a", false },
        { "*", "", true },
        { "*", "abc", true },
        { "?", "", false },
        { "?", "a", true },
        { "?", "ab", false },
        { "abc", "abc", true },
        { "abc", "abcd", false },
        { "abc", "ab", false },
        { "web-*", "web-", true },
        { "web-*", "web-1", true },
        { "web-*", "xweb-1", false },
        { "*-1", "web-1", true },
        { "*-1", "web-1-1", true },
        { "*-1", "web-12", false },
        { "a*b*c", "aXbYc", true },
        { "a*b*c", "abc", true },
        { "a*b*c", "acb", false },
        { "**", "x", true },
        { "*?", "", false },
        { "*?", "x", true },
        { "?*?", "é", false },
        { "?*?", "éa", true },
        { "a?c", "aéc", true },
        { "*??", "€", false },
        { "?", "\xff", true },
        { "[a]", "a", false },
        { "[a]", "[a]", true },
        { "\\*", "*", false },
        { "\\*", "\\x", true },
        { "A", "a", false },
        { "*aab", "aaaaab", true },
        { "*??bc", "€bc", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(text_glob(rows[i].pattern, rows[i].text), rows[i].matches);
    }
}

static void no_pattern_takes_exponential_time(void **state)
{
    char pattern[2001];
    char text[20001];

    (void)state;
    for (size_t i = 0; i < sizeof(pattern) - 1; i++) {
        pattern[i] = i % 2 == 0 ? '*' : 'a';
    }
    pattern[sizeof(pattern) - 2] = 'b';
    pattern[sizeof(pattern) - 1] = '\0';
    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    uint64_t start_ns = clock_monotonic_ns();

    assert_false(text_glob(pattern, text));
    /* 2000 × 20000 steps are 0.2 s; trying every star again would outlive us. */
    assert_true(clock_monotonic_ns() - start_ns < 20 * CLOCK_NS_PER_S);
}

/* What a glob means, in the plainest form: to compare with. Bytes only. */
static bool simple_glob(const char *pattern, const char *text)
{
    if (*pattern == '\0') {
        return *text == '\0';
    }
    if (*pattern == '*') {
        return simple_glob(pattern + 1, text) || (*text != '\0' && simple_glob(pattern, text + 1));
    }
    return *text != '\0' && (*pattern == '?' || *pattern == *text) &&
           simple_glob(pattern + 1, text + 1);
}

static void globs_agree_with_the_plain_definition(void **state)
{
    char pattern[8];
    char text[10];

    (void)state;
    srandom(2);
    for (int round = 0; round < 200000; round++) {
        size_t pattern_len = (size_t)random() % sizeof(pattern);
        size_t text_len = (size_t)random() % sizeof(text);

        for (size_t i = 0; i < pattern_len; i++) {
            pattern[i] = "ab*?"[random() % 4];
        }
        pattern[pattern_len] = '\0';
        for (size_t i = 0; i < text_len; i++) {
            text[i] = "ab"[random() % 2];
        }
        text[text_len] = '\0';
        assert_int_equal(text_glob(pattern, text), simple_glob(pattern, text));
    }
}

static void escaped_random_bytes_are_harmless(void **state)
{
    char text[65];
    char out[300];

    (void)state;
    srandom(3);
    for (int round = 0; round < 20000; round++) {
        size_t len = (size_t)random() % sizeof(text);

        for (size_t i = 0; i < len; i++) {
            text[i] = (char)(random() % 255 + 1);
        }
        text[len] = '\0';
        (void)text_escape(out, sizeof(out), text, TEXT_UTF8);
        for (size_t i = 0, out_len = strlen(out); i < out_len;) {
            size_t taken = text_harmless_length(out + i, out_len - i, TEXT_UTF8);

            assert_true(taken > 0);
            i += taken;
        }
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_decimal_digits_only),
        cmocka_unit_test(a_number_at_its_maximum_passes_and_one_beyond_does_not),
        cmocka_unit_test(a_uuid_round_trips),
        cmocka_unit_test(a_uuid_with_any_byte_changed_or_missing_is_none),
        cmocka_unit_test(hexadecimal_round_trips_and_is_exact_in_length),
        cmocka_unit_test(escaping_leaves_harmless_text_alone),
        cmocka_unit_test(escaping_marks_all_that_a_terminal_acts_upon),
        cmocka_unit_test(escaping_marks_bytes_that_are_no_utf8),
        cmocka_unit_test(escaping_cuts_between_characters_at_every_size),
        cmocka_unit_test(the_room_that_escaping_can_need_is_as_stated),
        cmocka_unit_test(utf8_is_checked_strictly),
        cmocka_unit_test(a_cut_never_splits_a_character),
        cmocka_unit_test(globs_match_whole_strings),
        cmocka_unit_test(no_pattern_takes_exponential_time),
        cmocka_unit_test(globs_agree_with_the_plain_definition),
        cmocka_unit_test(escaped_random_bytes_are_harmless),
    };

    return UNIT_RUN(tests);
}
