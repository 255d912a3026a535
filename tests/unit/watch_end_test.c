/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Each end of a stream has a name of its own, and says something to whom it is told. */
#include "tests/lib/unit.h"

#include <string.h>

#include "server/rpc/watch_end.h"

static void each_end_has_a_name_and_a_text_of_its_own(void **state)
{
    (void)state;
    for (int end = 0; end < WATCH_END_COUNT; end++) {
        const char *name = watch_end_name((enum watch_end)end);
        const char *message = watch_end_message((enum watch_end)end);

        assert_int_equal(message[0] == '\0', end == WATCH_END_CLIENT);
        assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz_"), strlen(name));
        for (int other = 0; other < end; other++) {
            assert_string_not_equal(name, watch_end_name((enum watch_end)other));
            assert_string_not_equal(message, watch_end_message((enum watch_end)other));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_end_has_a_name_and_a_text_of_its_own),
    };

    return UNIT_RUN(tests);
}
