/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Where a trace can be decoded from, and where it must not be cut. */
#include "server/mapper/psb.h"

#include <string.h>

#include "tests/lib/unit.h"

enum { ROOM = 96 };

static void put_psb(uint8_t *at)
{
    for (size_t i = 0; i < PSB_BYTES; i++) {
        at[i] = i % 2 == 0 ? 0x02 : 0x82;
    }
}

static void the_first_whole_one_is_found(void **state)
{
    uint8_t bytes[ROOM];

    (void)state;
    for (size_t at = 0; at + PSB_BYTES <= ROOM; at++) {
        memset(bytes, 0x99, sizeof(bytes));
        put_psb(bytes + at);
        assert_int_equal(psb_find(bytes, sizeof(bytes)), at);
        assert_int_equal(psb_find(bytes, at + PSB_BYTES - 1), -1);
        bytes[at + 5] ^= 1;
        assert_int_equal(psb_find(bytes, sizeof(bytes)), -1);
    }
    assert_int_equal(psb_find(bytes, 0), -1);
}

static void what_may_be_its_beginning_is_told(void **state)
{
    uint8_t bytes[ROOM];

    (void)state;
    memset(bytes, 0x99, sizeof(bytes));
    put_psb(bytes + 20);
    for (size_t len = 0; len <= 40; len++) {
        size_t begun = len > 20 && len < 20 + PSB_BYTES ? len - 20 : 0;

        assert_int_equal(psb_cut(bytes, len), begun);
    }
    assert_int_equal(psb_cut(bytes + 21, PSB_BYTES - 1), PSB_BYTES - 2); /* from its second on */
    put_psb(bytes + 36);                                                 /* another right behind */
    assert_int_equal(psb_cut(bytes, 52), 0);
    assert_int_equal(psb_cut(bytes, 51), PSB_BYTES - 1);
    assert_int_equal(psb_cut(bytes, 37), 1);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_whole_one_is_found),
        cmocka_unit_test(what_may_be_its_beginning_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
