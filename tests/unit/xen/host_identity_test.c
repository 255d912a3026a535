/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Where the host's UUID comes from. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/mapper/xen/host_identity.h"
#include "tests/lib/unit.h"

static char folder[256];
static char paths[2][sizeof(folder) + 4]; /* product_uuid, boot_id */

static int make_folder(void **state)
{
    const char *parent = getenv("TMPDIR");

    (void)state;
    snprintf(folder, sizeof(folder), "%s/xr.XXXXXX", parent != NULL ? parent : "/tmp");
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    for (int i = 0; i < 2; i++) {
        snprintf(paths[i], sizeof(paths[i]), "%s/%d", folder, i);
    }
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        (void)unlink(paths[i]);
    }
    return rmdir(folder);
}

/* NULL: no such file. */
static void put(int which, const char *content, size_t len_bytes)
{
    FILE *file;

    (void)unlink(paths[which]);
    if (content == NULL) {
        return;
    }
    file = fopen(paths[which], "w");
    assert_non_null(file);
    assert_int_equal(fwrite(content, 1, len_bytes, file), len_bytes);
    assert_int_equal(fclose(file), 0);
}

static struct host_identity read_with(const char *product_uuid, const char *boot_id)
{
    const struct host_identity_files files = { paths[0], paths[1] };
    struct host_identity identity;

    put(0, product_uuid, product_uuid != NULL ? strlen(product_uuid) : 0);
    put(1, boot_id, boot_id != NULL ? strlen(boot_id) : 0);
    host_identity_read(&identity, &files);
    return identity;
}

static void assert_uuid(const struct host_identity *identity, const char *source, const char *text)
{
    char found[UUID_TEXT_BYTES];

    text_from_uuid(identity->uuid, found);
    assert_string_equal(identity->uuid_source, source);
    assert_string_equal(found, text);
}

#define NONE "00000000-0000-0000-0000-000000000000"

static void firmware_comes_first(void **state)
{
    struct host_identity identity = read_with("4C4C4544-0051-3010-8052-B4C04F564231\n",
                                              "418654fb-94d0-4d49-b705-6fc3bb73cd10\n");

    (void)state;
    assert_uuid(&identity, "dmi", "4c4c4544-0051-3010-8052-b4c04f564231");
    assert_string_equal(identity.boot_id, "418654fb-94d0-4d49-b705-6fc3bb73cd10");
}

static void firmware_without_a_uuid_is_passed_over(void **state)
{
    static const char *const none[] = {
        NULL,
        "",
        "\n",
        "Not Settable\n",
        "00000000-0000-0000-0000-000000000000\n",
        "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF\n",
        "03000200-0400-0500-0006-000700080009\n",
        "00020003-0004-0005-0006-000700080009\n",
        "4C4C4544-0051-3010-8052-B4C04F56423\n",
        "4C4C4544-0051-3010-8052-B4C04F5642310\n",
        "4C4C4544-0051-3010-8052-B4C04F564231 and more that makes the line longer than any UUID\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        struct host_identity identity = read_with(none[i], NULL);

        assert_uuid(&identity, "", NONE);
        assert_string_equal(identity.boot_id, "");
    }
}

static void a_boot_id_that_is_none_is_empty(void **state)
{
    struct host_identity identity = read_with("4C4C4544-0051-3010-8052-B4C04F564231", "no uuid\n");

    (void)state;
    assert_uuid(&identity, "dmi", "4c4c4544-0051-3010-8052-b4c04f564231");
    assert_string_equal(identity.boot_id, "");
}

static void a_nul_inside_is_no_end(void **state)
{
    static const char line[] = "4C4C4544-0051-3010-8052-B4C04F564231\0\n";
    const struct host_identity_files files = { paths[0], paths[1] };
    struct host_identity identity;

    (void)state;
    put(0, line, sizeof(line) - 1);
    put(1, NULL, 0);
    host_identity_read(&identity, &files);
    assert_uuid(&identity, "", NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(firmware_comes_first),
        cmocka_unit_test(firmware_without_a_uuid_is_passed_over),
        cmocka_unit_test(a_boot_id_that_is_none_is_empty),
        cmocka_unit_test(a_nul_inside_is_no_end),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
