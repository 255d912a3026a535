/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* What a reload changes, and what it tells of instead. */
#include "server/config_changes.h"

#include <stdio.h>
#include <string.h>

#include "tests/lib/unit.h"

struct told {
    unsigned count;
    char last[64];
};

static void tell(void *arg, const char *option)
{
    struct told *told = arg;

    told->count++;
    snprintf(told->last, sizeof(told->last), "%s", option);
}

static struct told changes(const struct config *before, const struct config *now)
{
    struct told told = { 0 };

    config_changes(before, now, tell, &told);
    return told;
}

static void what_is_the_same_is_not_told(void **state)
{
    struct config before, now;

    (void)state;
    config_defaults(&before);
    config_defaults(&now);
    memset(before.server_user + strlen(before.server_user) + 1, 1, 8); /* behind its end */
    assert_int_equal(changes(&before, &now).count, 0);
}

static void what_needs_a_restart_is_told(void **state)
{
    struct config before, now;

    (void)state;
    config_defaults(&before);
    config_defaults(&now);
    now.limits_connections++;
    assert_string_equal(changes(&before, &now).last, "limits.connections");
    snprintf(now.server_listen, sizeof(now.server_listen), "127.0.0.1:1");
    assert_int_equal(changes(&before, &now).count, 2);
    config_defaults(&now);
    snprintf(now.audit_sync, sizeof(now.audit_sync), "each");
    assert_string_equal(changes(&before, &now).last, "audit.sync");
}

static void what_is_live_is_not_told(void **state)
{
    struct config before, now;

    (void)state;
    config_defaults(&before);
    config_defaults(&now);
    now.limits_requests_per_s = 7;
    snprintf(now.tls_client_certificate, sizeof(now.tls_client_certificate), "optional");
    snprintf(now.server_deny, sizeof(now.server_deny), "/deny");
    now.trust_count = 1;
    assert_int_equal(changes(&before, &now).count, 0);
}

/* A name that is no option's would be one that was forgotten when that was renamed. */
static void every_option_is_live_or_told(void **state)
{
    unsigned live = 0, all = 0;
    char text[64 * 1024] = "", *line, *rest = text;
    FILE *file = fmemopen(text, sizeof(text), "w");

    (void)state;
    assert_non_null(file);
    config_print_options(file);
    assert_int_equal(fclose(file), 0);
    while ((line = strsep(&rest, "\n")) != NULL && strchr(line, ' ') != NULL) {
        *strchr(line, ' ') = '\0';
        live += config_is_live(line);
        all++;
    }
    assert_int_equal(live, CONFIG_LIVE_OPTIONS);
    assert_true(all > live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_the_same_is_not_told),
        cmocka_unit_test(what_needs_a_restart_is_told),
        cmocka_unit_test(what_is_live_is_not_told),
        cmocka_unit_test(every_option_is_live_or_told),
    };

    return UNIT_RUN(tests);
}
