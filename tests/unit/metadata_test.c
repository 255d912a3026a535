/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "tests/lib/unit.h"

#include "server/rpc/metadata.h"

static void pairs_are_copied_and_keep_their_order(void **state)
{
    struct metadata m = { .count = 0 };
    struct pool p;
    char name[] = "x-name", value[] = "one";

    (void)state;
    pool_init(&p, NULL, 0, 65536);
    assert_true(metadata_add(&m, &p, name, value));
    memset(value, 'x', 3);
    memset(name, 'x', 3);
    assert_true(metadata_add(&m, &p, "X-Name", "two"));
    assert_true(metadata_add(&m, &p, "x-name", ""));
    assert_int_equal(m.count, 3);
    assert_string_equal(m.names[0], "x-name");
    assert_string_equal(m.values[0], "one");
    assert_string_equal(m.names[1], "X-Name");
    assert_string_equal(m.values[1], "two");
    assert_string_equal(m.values[2], "");
    pool_done(&p);
}

/* Header injection, and what the protocol says itself. */
static void what_is_no_pair_of_the_handlers_is_refused(void **state)
{
    static const struct {
        const char *name, *value;
    } wrong[] = {
        { "", "v" },
        { "x y", "v" },
        { "x:", "v" },
        { "x\r\nSet-Cookie", "v" },
        { "\xc3\xa9", "v" },
        { "x", "a\r\nb: c" },
        { "x", "a\nb" },
        { "x", "a\tb" },
        { "x", "\x7f" },
        { "connect-timeout-ms", "1" },
        { "Connect-", "1" },
        { "content-type", "text/html" },
        { "Content-Encoding", "gzip" },
        { "CONTENT-LENGTH", "0" },
        /* Framing and connection are the server's. */
        { "Transfer-Encoding", "chunked" },
        { "Connection", "close" },
        { "Trailer", "x" },
        { "trailer-x", "x" },
    };
    struct metadata m = { .count = 0 };
    struct pool p;

    (void)state;
    pool_init(&p, NULL, 0, 65536);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        if (metadata_add(&m, &p, wrong[i].name, wrong[i].value)) {
            fail_msg("%s: %s was taken", wrong[i].name, wrong[i].value);
        }
    }
    assert_int_equal(m.count, 0);
    assert_false(p.failed);
    assert_true(metadata_add(&m, &p, "connect", "v"));
    assert_true(metadata_add(&m, &p, "!#$%&'*+-.^_`|~", "v"));
    pool_done(&p);
}

static void the_most_pass_and_one_more_does_not(void **state)
{
    struct metadata m = { .count = 0 };
    struct pool p;

    (void)state;
    pool_init(&p, NULL, 0, 65536);
    for (int i = 0; i < METADATA_MAX; i++) {
        assert_true(metadata_add(&m, &p, "x", "v"));
    }
    assert_false(metadata_add(&m, &p, "x", "v"));
    assert_int_equal(m.count, METADATA_MAX);
    pool_done(&p);
}

static void without_memory_nothing_is_added(void **state)
{
    struct metadata m = { .count = 0 };
    struct pool p;
    char value[2000];

    (void)state;
    memset(value, 'v', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    pool_init(&p, NULL, 0, 1000);
    assert_false(metadata_add(&m, &p, "x", value));
    assert_int_equal(m.count, 0);
    pool_done(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_are_copied_and_keep_their_order),
        cmocka_unit_test(what_is_no_pair_of_the_handlers_is_refused),
        cmocka_unit_test(the_most_pass_and_one_more_does_not),
        cmocka_unit_test(without_memory_nothing_is_added),
    };

    return UNIT_RUN(tests);
}
