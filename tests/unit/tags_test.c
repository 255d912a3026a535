/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/mapper/tags.h"

#include <stdio.h>

#include "common/message_tags.h"
#include "tests/lib/unit.h"

static struct domain_identity read_all;
static const char *why;

static bool reads(const char *value)
{
    struct backend_tags node = { 0 };

    assert_true(strlen(value) < sizeof(node.value));
    memcpy(node.value, value, strlen(value));
    memset(&read_all, 0x55, sizeof(read_all));
    return tags_read(&node, &read_all, &why);
}

static void assert_unknown(const char *value)
{
    static const char none[sizeof(read_all.tags)];

    assert_false(reads(value));
    assert_non_null(why);
    assert_int_equal(read_all.tags_unknown, 1);
    assert_memory_equal(read_all.tags, none, sizeof(none));
}

static void words_are_tags_in_order(void **state)
{
    (void)state;
    assert_true(reads("web  prod a-1 web "));
    assert_int_equal(read_all.tags_unknown, 0);
    assert_string_equal(read_all.tags[0], "a-1");
    assert_string_equal(read_all.tags[1], "prod");
    assert_string_equal(read_all.tags[2], "web");
    assert_string_equal(read_all.tags[3], "");
    assert_true(reads("") && read_all.tags[0][0] == '\0');
    assert_true(reads(" ") && read_all.tags[0][0] == '\0');
}

static void half_of_what_is_malformed_is_nothing(void **state)
{
    (void)state;
    assert_unknown("web Prod");
    assert_unknown("web,prod");
    assert_unknown("web\tprod");
    assert_unknown("web prod\n");
    assert_unknown("web \303\244");
    assert_unknown("web *");
}

static void tags_have_maxima(void **state)
{
    char value[BACKEND_TAGS_BYTES + 64] = "";
    size_t used = 0;

    (void)state;
    assert_true(reads("aaaaaaaaaabbbbbbbbbbccccccccccd"));
    assert_unknown("aaaaaaaaaabbbbbbbbbbccccccccccdd");
    for (int i = 0; i < MESSAGE_TAGS_MAX; i++) {
        used += (size_t)snprintf(value + used, sizeof(value) - used,
                                 "%saaaaaaaaaabbbbbbbbbbcccccccccc%c", i > 0 ? " " : "", 'a' + i);
    }
    assert_int_equal(used, BACKEND_TAGS_BYTES - 1);
    assert_true(reads(value));
    assert_int_equal(read_all.tags[MESSAGE_TAGS_MAX - 1][30], 'p');
    assert_null(domain_identity_wrong(&(struct domain_identity){ 0 }));
    assert_true(reads("a b c d e f g h i j k l m n o p a b"));
    assert_unknown("a b c d e f g h i j k l m n o p q");
}

static void what_is_not_believed_is_unknown(void **state)
{
    struct backend_tags node = { .value = "prod", .is_untrusted = true };

    (void)state;
    assert_false(tags_read(&node, &read_all, &why));
    assert_int_equal(read_all.tags_unknown, 1);
    assert_int_equal(read_all.tags[0][0], '\0');
    node = (struct backend_tags){ .is_cut = true };
    assert_false(tags_read(&node, &read_all, &why));
    assert_int_equal(read_all.tags_unknown, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_tags_in_order),
        cmocka_unit_test(half_of_what_is_malformed_is_nothing),
        cmocka_unit_test(tags_have_maxima),
        cmocka_unit_test(what_is_not_believed_is_unknown),
    };

    return UNIT_RUN(tests);
}
