/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* The files that are read at the start and at a reload: all or none, and as large as they may be. */
#include "server/material.h"

#include <stdio.h>
#include <stdlib.h>

#include "auth/guarded_file.h"
#include "auth/pki.h"
#include "tests/lib/folder.h"
#include "tests/lib/unit.h"

static const char policy[] =
    "rule \"all\" { effect = allow identities = { \"cn:alice\" }"
    " domains = { \"all\" } types = { \"all\" } actions = { \"list\" } }\n";

static struct folder folder;
static struct config config;

static void put_path(char out[CONFIG_TEXT_BYTES], const char *name)
{
    snprintf(out, CONFIG_TEXT_BYTES, "%s", folder_path(&folder, name));
}

static int set_up(void **state)
{
    static const char *const addresses[] = { "127.0.0.1", NULL };
    static const struct pki_subject server = { .addresses = addresses,
                                               .server = true,
                                               .valid_days = 30 };

    (void)state;
    folder = folder_make();
    config_defaults(&config);
    put_path(config.tls_certificate, "server.crt");
    put_path(config.tls_key, "server.key");
    put_path(config.tls_client_ca, "ca.crt");
    put_path(config.server_policy, "policy");
    assert_int_equal(pki_make_ca(folder.path, "ca", "test CA", 30, NULL), 0);
    assert_int_equal(pki_issue(folder.path, "ca", "server", &server, NULL), 0);
    folder_write(config.server_policy, policy, sizeof(policy) - 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    folder_done(&folder);
    return 0;
}

/* Blank lines before what the file has: PEM is looked for behind them. */
static void pad(const char *path, size_t len_bytes)
{
    BUFFER_AUTO(content, MATERIAL_PEM_MAX_BYTES);
    BUFFER_AUTO(padded, len_bytes);

    assert_int_equal(guarded_file_read(path, GUARDED_PUBLIC, &content, NULL), 0);
    memset(buffer_extend(&padded, len_bytes - content.len_bytes), '\n',
           len_bytes - content.len_bytes);
    assert_true(buffer_append(&padded, content.data, content.len_bytes));
    folder_write(path, padded.data, padded.len_bytes);
}

static int load(struct failure *f)
{
    struct material m = { 0 };
    BUFFER_AUTO(faults, 65536);
    int result = material_load(&config, &m, &faults, f);

    if (result < 0) {
        assert_null(m.access); /* all or none */
        assert_null(m.policy);
        assert_true(faults.len_bytes > 0);
    }
    material_done(&m);
    return result;
}

static void what_is_right_is_loaded(void **state)
{
    (void)state;
    assert_int_equal(load(NULL), 0);
}

static void a_file_of_the_maximum_and_not_a_byte_more(void **state)
{
    char *paths[] = { config.tls_certificate, config.tls_key };

    (void)state;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        struct failure f = { 0 };

        pad(paths[i], MATERIAL_PEM_MAX_BYTES);
        assert_int_equal(load(&f), 0);
        FILE *file = fopen(paths[i], "ae");

        assert_non_null(file);
        assert_int_equal(fputc('\n', file), '\n');
        assert_int_equal(fclose(file), 0);
        assert_int_equal(load(&f), -ERROR_RESOURCE_EXHAUSTED);
        assert_non_null(strstr(f.message, paths[i]));
        tear_down(NULL);
        set_up(NULL);
    }
}

static void a_key_of_another_certificate_is_refused_and_nothing_kept(void **state)
{
    struct failure f = { 0 };

    (void)state;
    put_path(config.tls_key, "ca.key");
    assert_true(load(&f) < 0);
    assert_true(f.message[0] != '\0');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_right_is_loaded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_of_the_maximum_and_not_a_byte_more, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_key_of_another_certificate_is_refused_and_nothing_kept,
                                        set_up, tear_down),
    };

    return UNIT_RUN(tests);
}
