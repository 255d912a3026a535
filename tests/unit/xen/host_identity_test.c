/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Where the host's UUID comes from, and the digest that hides the machine id. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/mapper/xen/host_identity.h"
#include "server/mapper/xen/sha256.h"
#include "tests/lib/unit.h"

static char folder[256];
static char paths[3][sizeof(folder) + 4];       /* product_uuid, machine_id, boot_id */

static int make_folder(void **state)
{
    const char *parent = getenv("TMPDIR");

    (void)state;
    snprintf(folder, sizeof(folder), "%s/xr.XXXXXX", parent != NULL ? parent : "/tmp");
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    for (int i = 0; i < 3; i++) {
        snprintf(paths[i], sizeof(paths[i]), "%s/%d", folder, i);
    }
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
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

static struct host_identity read_with(const char *product_uuid, const char *machine_id,
                                      const char *boot_id)
{
    const struct host_identity_files files = { paths[0], paths[1], paths[2] };
    struct host_identity identity;

    put(0, product_uuid, product_uuid != NULL ? strlen(product_uuid) : 0);
    put(1, machine_id, machine_id != NULL ? strlen(machine_id) : 0);
    put(2, boot_id, boot_id != NULL ? strlen(boot_id) : 0);
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

#define MACHINE_ID "0123456789abcdef0123456789abcdef"
/* HMAC-SHA-256 of HOST_IDENTITY_APPLICATION's bytes, keyed with MACHINE_ID's, by Python's hmac;
 * with the bits of a version 4 UUID. */
#define MACHINE_UUID "3c5ebbbe-2d39-4dfb-ada5-ae5c5fd0622c"
#define NONE "00000000-0000-0000-0000-000000000000"

static void firmware_comes_first(void **state)
{
    struct host_identity identity =
        read_with("4C4C4544-0051-3010-8052-B4C04F564231\n", MACHINE_ID "\n",
                  "418654fb-94d0-4d49-b705-6fc3bb73cd10\n");

    (void)state;
    assert_uuid(&identity, "dmi", "4c4c4544-0051-3010-8052-b4c04f564231");
    assert_string_equal(identity.boot_id, "418654fb-94d0-4d49-b705-6fc3bb73cd10");
}

static void firmware_without_a_uuid_is_passed_over(void **state)
{
    static const char *const none[] = {
        NULL, "", "\n", "Not Settable\n", "00000000-0000-0000-0000-000000000000\n",
        "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF\n", "03000200-0400-0500-0006-000700080009\n",
        "00020003-0004-0005-0006-000700080009\n", "4C4C4544-0051-3010-8052-B4C04F56423\n",
        "4C4C4544-0051-3010-8052-B4C04F5642310\n",
        "4C4C4544-0051-3010-8052-B4C04F564231 and more that makes the line longer than any UUID\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        struct host_identity identity = read_with(none[i], MACHINE_ID "\n", NULL);

        assert_uuid(&identity, "machine-id", MACHINE_UUID);
        assert_string_equal(identity.boot_id, "");
    }
}

static void machine_id_needs_no_end_of_line(void **state)
{
    struct host_identity identity = read_with(NULL, MACHINE_ID, NULL);

    (void)state;
    assert_uuid(&identity, "machine-id", MACHINE_UUID);
}

static void nothing_usable_leaves_all_empty(void **state)
{
    static const char *const none[] = {
        NULL, "", "uninitialized\n", "0123456789abcdef0123456789abcde\n", MACHINE_ID "0\n",
        "00000000000000000000000000000000\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        struct host_identity identity = read_with(NULL, none[i], "no uuid\n");

        assert_uuid(&identity, "", NONE);
        assert_string_equal(identity.boot_id, "");
    }
}

static void a_nul_inside_is_no_end(void **state)
{
    static const char line[] = "4C4C4544-0051-3010-8052-B4C04F564231\0\n";
    const struct host_identity_files files = { paths[0], paths[1], paths[2] };
    struct host_identity identity;

    (void)state;
    put(0, line, sizeof(line) - 1);
    put(1, NULL, 0);
    host_identity_read(&identity, &files);
    assert_uuid(&identity, "", NONE);
}

/* RFC 4231, test cases 1, 2 and 4, and lengths around the block's. */
static void the_digest_is_hmac_sha_256(void **state)
{
    static const struct { const char *key, *data, *digest; } cases[] = {
        { "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "4869205468657265",
          "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7" },
        { "4a656665", "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
          "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" },
        { "0102030405060708090a0b0c0d0e0f10111213141516171819",
          "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"
          "cdcdcdcdcdcd",
          "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b" },
        { "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f2021222324252627"
          "28292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f",
          "",
          "3499f163f48604c0b15ac89e4e7c66f314fb3b203b8ac2f564828e62f6be9d9d" },
        { "000102030405060708090a0b0c0d0e0f",
          "00070e151c232a31383f464d545b626970777e858c939aa1a8afb6bdc4cbd2d9e0e7eef5fc030a11"
          "181f262d343b424950575e656c737a",
          "03cd66f355dc3334a2cb6f6e420a28554a4cf85168bb592f701357002591a8a9" },
        { "000102030405060708090a0b0c0d0e0f",
          "00070e151c232a31383f464d545b626970777e858c939aa1a8afb6bdc4cbd2d9e0e7eef5fc030a11"
          "181f262d343b424950575e656c737a81",
          "95fd10dfd0a573081f42edd58e31b44882d6c7e700b3af4b3cc3935e7328dbe1" },
        { "000102030405060708090a0b0c0d0e0f",
          "00070e151c232a31383f464d545b626970777e858c939aa1a8afb6bdc4cbd2d9e0e7eef5fc030a11"
          "181f262d343b424950575e656c737a81888f969da4abb2",
          "96b2754007ced6e35b41ead161690445f642cfd1355365e10d56f5fb46dbc4b8" },
        { "000102030405060708090a0b0c0d0e0f",
          "00070e151c232a31383f464d545b626970777e858c939aa1a8afb6bdc4cbd2d9e0e7eef5fc030a11"
          "181f262d343b424950575e656c737a81888f969da4abb2b9",
          "ec816fb8c609c2fff61ea3d8ca7fd815c780d0d50128068f1baf842fed1de140" },
        { "000102030405060708090a0b0c0d0e0f",
          "00070e151c232a31383f464d545b626970777e858c939aa1a8afb6bdc4cbd2d9e0e7eef5fc030a11"
          "181f262d343b424950575e656c737a81888f969da4abb2b9c0c7ced5dce3eaf1f8ff060d141b2229"
          "30373e454c535a61686f767d848b9299a0a7aeb5bcc3cad1d8dfe6edf4fb020910171e252c333a",
          "d69354905b2031be03274e51154c1e7121b79bb86646e6ca548bee3310f1e530" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t key[SHA256_KEY_MAX];
        uint8_t data[128];
        uint8_t digest[SHA256_BYTES];
        char text[2 * SHA256_BYTES + 1];

        assert_true(text_to_hex(cases[i].key, key, strlen(cases[i].key) / 2));
        assert_true(text_to_hex(cases[i].data, data, strlen(cases[i].data) / 2));
        sha256_hmac(key, strlen(cases[i].key) / 2, data, strlen(cases[i].data) / 2, digest);
        text_from_hex(digest, sizeof(digest), text);
        assert_string_equal(text, cases[i].digest);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(firmware_comes_first),
        cmocka_unit_test(firmware_without_a_uuid_is_passed_over),
        cmocka_unit_test(machine_id_needs_no_end_of_line),
        cmocka_unit_test(nothing_usable_leaves_all_empty),
        cmocka_unit_test(a_nul_inside_is_no_end),
        cmocka_unit_test(the_digest_is_hmac_sha_256),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
