/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/seal.h"

#include <pthread.h>
#include <sys/stat.h>

#include "auth/guarded_file.h"
#include "tests/lib/folder.h"
#include "tests/lib/unit.h"

static struct seal *load(const char *path)
{
    struct seal *s = NULL;

    assert_int_equal(seal_load(path, &s, NULL), 0);
    return s;
}

static void done_seal(struct seal **s)
{
    seal_free(*s);
}

#define SEAL_AUTO __attribute__((cleanup(done_seal))) struct seal

/* A token as a string; overwritten by the next. */
static char *token_of(const struct seal *s, const char *purpose, const void *content, size_t len)
{
    static char token[SEAL_TOKEN_MAX_BYTES + 16];
    BUFFER_AUTO(b, SEAL_TOKEN_MAX_BYTES);

    assert_int_equal(seal_make(s, purpose, content, len, &b, NULL), 0);
    strcpy(token, buffer_string(&b));
    return token;
}

static int open_it(const struct seal *s, const char *purpose, const char *token)
{
    uint8_t content[SEAL_CONTENT_MAX_BYTES];
    size_t len = 12345;
    int result = seal_open(s, purpose, token, content, sizeof content, &len, NULL);

    assert_int_equal(result == 0, len != 12345);
    return result;
}

static void a_token_opens_to_its_content(void **state)
{
    FOLDER_AUTO dir = folder_make();
    SEAL_AUTO *s = load(folder_path(&dir, "key"));
    uint8_t content[8];
    size_t len = 0;

    (void)state;
    assert_int_equal(seal_open(s, "page", token_of(s, "page", "a\0b", 3), content, 3, &len, NULL),
                     0);
    assert_int_equal(len, 3);
    assert_memory_equal(content, "a\0b", 3);
    assert_int_equal(seal_open(s, "page", token_of(s, "page", NULL, 0), NULL, 0, &len, NULL), 0);
    assert_int_equal(len, 0);
}

static void a_token_can_stand_in_a_url(void **state)
{
    FOLDER_AUTO dir = folder_make();
    SEAL_AUTO *s = load(folder_path(&dir, "key"));
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    (void)state;
    for (uint8_t i = 0; i < 100; i++) {
        const char *token = token_of(s, "page", &i, 1);

        assert_int_equal(strspn(token, letters), strlen(token));
    }
}

static void no_changed_token_opens(void **state)
{
    FOLDER_AUTO dir = folder_make();
    SEAL_AUTO *s = load(folder_path(&dir, "key"));
    char *token = token_of(s, "page", "content", 7);
    size_t len = strlen(token);

    (void)state;
    for (size_t i = 0; i < len; i++) {
        char was = token[i];

        for (const char *c = "Aa0-_=.+/ "; *c != '\0'; c++) {
            token[i] = *c;
            assert_int_equal(open_it(s, "page", token), *c == was ? 0 : -ERROR_INVALID_ARGUMENT);
        }
        token[i] = '\0';
        assert_int_equal(open_it(s, "page", token), -ERROR_INVALID_ARGUMENT);
        token[i] = was;
    }
    strcpy(token + len, "A");
    assert_int_equal(open_it(s, "page", token), -ERROR_INVALID_ARGUMENT);
    strcpy(token + len, "=");
    assert_int_equal(open_it(s, "page", token), -ERROR_INVALID_ARGUMENT);
}

/* The same bytes in base64's other alphabet, and padded: one token is one string. */
static void other_spellings_are_refused(void **state)
{
    FOLDER_AUTO dir = folder_make();
    SEAL_AUTO *s = load(folder_path(&dir, "key"));
    char *token = token_of(s, "page", "12345678", 8); /* 40 bytes: two short of whole */
    char *at = NULL;

    (void)state;
    assert_int_equal(open_it(s, "page", token), 0);
    strcat(token, "==");
    assert_int_equal(open_it(s, "page", token), -ERROR_INVALID_ARGUMENT);
    for (uint32_t i = 0; at == NULL; i++) {
        assert_true(i < 10000);
        token = token_of(s, "page", &i, sizeof i);
        at = strchr(token, '-');
    }
    *at = '+';
    assert_int_equal(open_it(s, "page", token), -ERROR_INVALID_ARGUMENT);
}

static void a_token_is_for_its_purpose(void **state)
{
    FOLDER_AUTO dir = folder_make();
    SEAL_AUTO *s = load(folder_path(&dir, "key"));

    (void)state;
    assert_int_equal(open_it(s, "pagf", token_of(s, "page", "x", 1)), -ERROR_INVALID_ARGUMENT);
    assert_int_equal(open_it(s, "cursor", token_of(s, "page", "x", 1)), -ERROR_INVALID_ARGUMENT);
    assert_int_equal(open_it(s, "pag", token_of(s, "page", "x", 1)), -ERROR_INVALID_ARGUMENT);
    assert_int_equal(open_it(s, "pagex", token_of(s, "page", "x", 1)), -ERROR_INVALID_ARGUMENT);
}

static void another_key_opens_nothing_and_the_same_key_all(void **state)
{
    FOLDER_AUTO dir = folder_make();
    SEAL_AUTO *s = load(folder_path(&dir, "key"));
    SEAL_AUTO *again = load(folder_path(&dir, "key"));
    SEAL_AUTO *other = load(folder_path(&dir, "other"));

    (void)state;
    assert_int_equal(open_it(again, "page", token_of(s, "page", "x", 1)), 0);
    assert_int_equal(open_it(other, "page", token_of(s, "page", "x", 1)), -ERROR_INVALID_ARGUMENT);
}

static void content_has_a_maximum(void **state)
{
    FOLDER_AUTO dir = folder_make();
    SEAL_AUTO *s = load(folder_path(&dir, "key"));
    uint8_t content[SEAL_CONTENT_MAX_BYTES + 1] = { 0 };
    size_t len = 0;
    BUFFER_AUTO(token, SEAL_TOKEN_MAX_BYTES);

    (void)state;
    assert_int_equal(open_it(s, "page", token_of(s, "page", content, SEAL_CONTENT_MAX_BYTES)), 0);
    assert_int_equal(seal_make(s, "page", content, sizeof content, &token, NULL),
                     -ERROR_INVALID_ARGUMENT);
    assert_int_equal(seal_open(s, "page", token_of(s, "page", "ab", 2), content, 1, &len, NULL),
                     -ERROR_INVALID_ARGUMENT);
}

static void long_and_short_strings_are_no_tokens(void **state)
{
    FOLDER_AUTO dir = folder_make();
    SEAL_AUTO *s = load(folder_path(&dir, "key"));
    char text[SEAL_TOKEN_MAX_BYTES + 2] = { 0 };

    (void)state;
    for (size_t i = 0; i <= SEAL_TOKEN_MAX_BYTES; i++) {
        assert_int_equal(open_it(s, "page", text), -ERROR_INVALID_ARGUMENT);
        text[i] = 'A';
    }
    assert_int_equal(open_it(s, "page", text), -ERROR_INVALID_ARGUMENT);
}

static void the_key_is_made_secret_and_refused_otherwise(void **state)
{
    FOLDER_AUTO dir = folder_make();
    SEAL_AUTO *s = load(folder_path(&dir, "key"));
    struct seal *none = NULL;
    struct failure f = { 0 };
    struct stat st;

    (void)state;
    assert_non_null(s);
    assert_int_equal(stat(folder_path(&dir, "key"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(st.st_size, SEAL_KEY_BYTES);
    assert_int_equal(chmod(folder_path(&dir, "key"), 0640), 0);
    assert_int_equal(seal_load(folder_path(&dir, "key"), &none, &f), -ERROR_FAILED_PRECONDITION);
    assert_memory_equal(f.next_step, "chmod 600 ", 10);
}

static void a_key_of_another_length_is_refused(void **state)
{
    FOLDER_AUTO dir = folder_make();
    uint8_t bytes[SEAL_KEY_BYTES + 1] = { 0 };
    const size_t lengths[] = { 0, SEAL_KEY_BYTES - 1, SEAL_KEY_BYTES + 1 };

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        const char *path = folder_path(&dir, "key");
        struct seal *none = NULL;

        assert_int_equal(guarded_file_create(path, GUARDED_SECRET, bytes, lengths[i], NULL), 0);
        assert_int_equal(seal_load(path, &none, NULL), -ERROR_FAILED_PRECONDITION);
        assert_int_equal(unlink(path), 0);
    }
}

static void *seal_often(void *arg)
{
    const struct seal *s = arg;

    for (uint32_t i = 0; i < 500; i++) {
        BUFFER_AUTO(token, SEAL_TOKEN_MAX_BYTES);
        uint32_t back = 0;
        size_t len = 0;

        if (seal_make(s, "page", &i, sizeof i, &token, NULL) != 0 ||
            seal_open(s, "page", buffer_string(&token), &back, sizeof back, &len, NULL) != 0 ||
            back != i) {
            return arg;
        }
    }
    return NULL;
}

static void threads_share_a_seal(void **state)
{
    FOLDER_AUTO dir = folder_make();
    SEAL_AUTO *s = load(folder_path(&dir, "key"));
    pthread_t threads[4];

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, seal_often, s), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        void *failed;

        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_opens_to_its_content),
        cmocka_unit_test(a_token_can_stand_in_a_url),
        cmocka_unit_test(no_changed_token_opens),
        cmocka_unit_test(other_spellings_are_refused),
        cmocka_unit_test(a_token_is_for_its_purpose),
        cmocka_unit_test(another_key_opens_nothing_and_the_same_key_all),
        cmocka_unit_test(content_has_a_maximum),
        cmocka_unit_test(long_and_short_strings_are_no_tokens),
        cmocka_unit_test(the_key_is_made_secret_and_refused_otherwise),
        cmocka_unit_test(a_key_of_another_length_is_refused),
        cmocka_unit_test(threads_share_a_seal),
    };

    return UNIT_RUN(tests);
}
