/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "tests/lib/unit.h"

#include "common/base64.h"

static void expect_text(const char *bytes, size_t len, unsigned form, const char *text)
{
    BUFFER_AUTO(out, 64);

    assert_true(base64_encode(&out, bytes, len, form));
    assert_string_equal(buffer_string(&out), text);
}

static void encodes_the_rfcs_examples(void **state)
{
    static const char *const texts[] = { "",         "Zg==",     "Zm8=",    "Zm9v",
                                         "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy" };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        expect_text("foobar", i, BASE64_STANDARD, texts[i]);
    }
    expect_text("f", 1, BASE64_UNPADDED, "Zg");
    expect_text("\xfb\xff", 2, BASE64_STANDARD, "+/8=");
    expect_text("\xfb\xff", 2, BASE64_URL | BASE64_UNPADDED, "-_8");
}

static void decodes_all_four_forms(void **state)
{
    static const char *const forms[] = { "+/8=", "+/8", "-_8=", "-_8" };

    (void)state;
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        BUFFER_AUTO(out, 2);

        assert_true(base64_decode(&out, forms[i], strlen(forms[i])));
        assert_int_equal(out.len_bytes, 2);
        assert_memory_equal(out.data, "\xfb\xff", 2);
    }
}

static void refuses_what_is_no_base64(void **state)
{
    static const char *const bad[] = {
        "A",     "AAAAA", "=",     "==",   "===",  "====", "A===", "AA=",
        "AAA==", "Zg=a",  "Zg ==", "Zg\n", "Z*==", "Zh==", "Zm9=", "AA==AA==",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        BUFFER_AUTO(out, 64);

        if (base64_decode(&out, bad[i], strlen(bad[i]))) {
            fail_msg("taken: %s", bad[i]);
        }
    }
}

static void refuses_each_other_byte_at_each_place(void **state)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_";

    (void)state;
    for (int byte = 1; byte < 256; byte++) {
        for (size_t at = 0; at < 6; at++) {
            char text[] = "AAAAAAA";
            BUFFER_AUTO(out, 64);

            text[at] = (char)byte;
            assert_int_equal(base64_decode(&out, text, strlen(text)), strchr(digits, byte) != NULL);
        }
    }
}

static void keeps_to_the_buffers_maximum(void **state)
{
    BUFFER_AUTO(exact, 8);
    BUFFER_AUTO(small, 7);

    (void)state;
    assert_true(base64_encode(&exact, "123456", 6, BASE64_STANDARD));
    assert_false(base64_encode(&small, "123456", 6, BASE64_STANDARD));
    buffer_reset(&small);
    assert_false(base64_encode(&small, "12345", 5, BASE64_STANDARD));
}

static void every_byte_comes_back(void **state)
{
    uint8_t bytes[256];

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)(i * 7);
    }
    for (size_t len = 0; len <= sizeof(bytes); len++) {
        BUFFER_AUTO(text, 1024);
        BUFFER_AUTO(back, 256);

        assert_true(base64_encode(&text, bytes, len, (unsigned)len % 4));
        assert_true(base64_decode(&back, (const char *)text.data, text.len_bytes));
        assert_int_equal(back.len_bytes, len);
        assert_true(len == 0 || memcmp(back.data, bytes, len) == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encodes_the_rfcs_examples),
        cmocka_unit_test(decodes_all_four_forms),
        cmocka_unit_test(refuses_what_is_no_base64),
        cmocka_unit_test(refuses_each_other_byte_at_each_place),
        cmocka_unit_test(keeps_to_the_buffers_maximum),
        cmocka_unit_test(every_byte_comes_back),
    };

    return UNIT_RUN(tests);
}
