/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/opaque.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "auth/opaque_file.h"
#include "tests/lib/folder.h"
#include "tests/lib/unit.h"

#define NOW INT64_C(2000000000) /* 2033-05-18T03:33:20Z */
#define ID  "00112233445566aa"
#define HEX "00112233445566778899aabbccddeeff"
#define END "2033-05-18T03:33:21Z"

enum { ENDS_S = 1 };

static struct opaque_set *parse(const char *text)
{
    struct opaque_set *set = NULL;
    struct failure f = { 0 };

    if (opaque_parse("tokens", text, strlen(text), &set, &f) != 0) {
        fail_msg("%s", f.message);
    }
    return set;
}

static void add(const char *path, const char *name, const char *groups,
                char token[OPAQUE_TOKEN_BYTES])
{
    struct failure f = { 0 };

    if (opaque_file_add(path, name, groups, NOW + ENDS_S, token, &f) != 0) {
        fail_msg("%s", f.message);
    }
}

static struct opaque_set *load(const char *path)
{
    struct opaque_set *set = NULL;

    assert_int_equal(opaque_load(path, &set, NULL), 0);
    return set;
}

static void read_back(const char *path, struct buffer *out)
{
    FILE *file = fopen(path, "re");
    char line[2048];

    assert_non_null(file);
    while (fgets(line, sizeof(line), file) != NULL) {
        buffer_append_string(out, line);
    }
    (void)fclose(file);
    assert_non_null(buffer_string(out));
}

/* --- tokens ----------------------------------------------------------------------------------- */

static void a_token_that_was_added_says_who_bears_it(void **state)
{
    FOLDER_AUTO dir = folder_make();
    const char *path = folder_path(&dir, "tokens");
    char token[OPAQUE_TOKEN_BYTES];
    struct token out = { 0 };

    (void)state;
    add(path, "backup.host-1", "ops,night", token);
    assert_int_equal(strlen(token), OPAQUE_TOKEN_BYTES - 1);
    assert_true(opaque_is_one(token, strlen(token)));
    struct opaque_set *set = load(path);

    assert_int_equal(opaque_verify(set, token, strlen(token), NOW, &out, NULL), 0);
    assert_string_equal(out.who.text, "token:backup.host-1");
    assert_memory_equal(out.who.groups, "ops\0night\0", 11);
    assert_int_equal(out.who.not_after_s, NOW); /* the last second before its end */
    assert_memory_equal(out.who.token_id, token + 3, 16);
    assert_int_equal(out.who.token_id[16], 0);
    assert_false(out.has_binding);
    opaque_free(set);
}

static void no_altered_token_is_taken(void **state)
{
    FOLDER_AUTO dir = folder_make();
    const char *path = folder_path(&dir, "tokens");
    char token[OPAQUE_TOKEN_BYTES];
    struct token out;

    (void)state;
    add(path, "a", "", token);
    struct opaque_set *set = load(path);
    size_t len = strlen(token);

    for (size_t i = 0; i < len; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            token[i] = (char)(token[i] ^ (char)(1U << bit));
            assert_int_equal(opaque_verify(set, token, len, NOW, &out, NULL),
                             -ERROR_UNAUTHENTICATED);
            token[i] = (char)(token[i] ^ (char)(1U << bit));
        }
        assert_int_equal(opaque_verify(set, token, i, NOW, &out, NULL), -ERROR_UNAUTHENTICATED);
    }
    assert_int_equal(opaque_verify(set, token, len + 1, NOW, &out, NULL), -ERROR_UNAUTHENTICATED);
    assert_int_equal(opaque_verify(set, token, len, NOW, &out, NULL), 0);
    opaque_free(set);
}

/* Is a token that was verified by its first line good by that one? */
static bool is_good_by(const struct token *token, const char *name, const char *fields)
{
    struct opaque_set *set = parse(fields);
    bool good = opaque_has(set, token, name);

    opaque_free(set);
    return good;
}

/* Whatever of it says less, or something else, ends what began by it. */
static void another_line_of_the_same_id_is_another_token(void **state)
{
    char token[OPAQUE_TOKEN_BYTES], line[2048];
    char name[80], id[40], salt[80], hash[80], date[40], groups[80], sooner[OPAQUE_DATE_BYTES],
        later[OPAQUE_DATE_BYTES];
    BUFFER_AUTO(text, 4096);
    struct token verified;

    (void)state;
    assert_int_equal(opaque_make("backup", "ops,night", NOW + 1000, token, &text, NULL), 0);
    assert_int_equal(sscanf(buffer_string(&text), "%79s %39s %79s %79s %39s %79s", name, id, salt,
                            hash, date, groups),
                     6);
    struct opaque_set *set = parse(buffer_string(&text));

    assert_int_equal(opaque_verify(set, token, strlen(token), NOW, &verified, NULL), 0);
    opaque_free(set);
    assert_true(opaque_date(NOW + 999, sooner) && opaque_date(NOW + 1001, later));
#define GOOD_BY(...)                                                                               \
    (snprintf(line, sizeof(line), "%s %s %s %s %s %s\n", __VA_ARGS__) > 0 &&                       \
     is_good_by(&verified, "backup", line))
    assert_true(GOOD_BY(name, id, salt, hash, date, groups));
    assert_true(GOOD_BY(name, id, salt, hash, later, groups));
    assert_false(GOOD_BY(name, id, salt, hash, sooner, groups));
    assert_false(GOOD_BY("other", id, salt, hash, date, groups));
    assert_false(GOOD_BY(name, id, salt, HEX HEX, date, groups)); /* another secret */
    assert_false(GOOD_BY(name, id, salt, hash, date, "ops"));
    assert_false(GOOD_BY(name, id, salt, hash, date, "-"));
    assert_false(GOOD_BY(name, ID, salt, hash, date, groups));
    assert_false(is_good_by(&verified, "backup", "# nobody\n"));
#undef GOOD_BY
}

static void tokens_expire(void **state)
{
    FOLDER_AUTO dir = folder_make();
    const char *path = folder_path(&dir, "tokens");
    char token[OPAQUE_TOKEN_BYTES];
    struct token out;
    struct failure f = { 0 };

    (void)state;
    add(path, "a", "", token);
    struct opaque_set *set = load(path);

    assert_int_equal(opaque_verify(set, token, strlen(token), NOW + ENDS_S, &out, &f),
                     -ERROR_UNAUTHENTICATED);
    assert_string_equal(f.message, token_fault_text(TOKEN_EXPIRED));
    opaque_free(set);
}

/* `from` is in the file, once; the same with `to`. */
static struct opaque_set *load_with(const char *text, const char *from, const char *to)
{
    BUFFER_AUTO(changed, 4096);
    const char *at = strstr(text, from);

    assert_non_null(at);
    buffer_append(&changed, text, (size_t)(at - text));
    buffer_append_string(&changed, to);
    buffer_append_string(&changed, at + strlen(from));
    return parse(buffer_string(&changed));
}

/* What was accepted is known no more when its line has the same id and name, and anything else is another: a
 * group less, an earlier end, another secret. */
static void a_line_that_was_changed_is_another_token(void **state)
{
    FOLDER_AUTO dir = folder_make();
    const char *path = folder_path(&dir, "tokens");
    char token[OPAQUE_TOKEN_BYTES], hash[9] = "", other[9] = "";
    struct token out = { 0 };
    BUFFER_AUTO(text, 4096);

    (void)state;
    add(path, "backup", "ops,night", token);
    read_back(path, &text);
    struct opaque_set *set = load(path);

    assert_int_equal(opaque_verify(set, token, strlen(token), NOW, &out, NULL), 0);
    (void)snprintf(hash, sizeof(hash), "%02x%02x%02x%02x", out.key[0], out.key[1], out.key[2],
                   out.key[3]);
    (void)snprintf(other, sizeof(other), "%02x%02x%02x%02x", out.key[0] ^ 1, out.key[1], out.key[2],
                   out.key[3]);
    opaque_free(set);
    const char *const rows[][2] = { { END, END },
                                    { END, "2033-05-18T03:33:22Z" }, /* longer does no harm */
                                    { END, "2033-05-18T03:33:20Z" },
                                    { "ops,night", "ops" },
                                    { "ops,night", "night,ops" },
                                    { hash, other } };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        set = load_with(buffer_string(&text), rows[i][0], rows[i][1]);
        assert_int_equal(opaque_has(set, &out, "backup"), i < 2);
        opaque_free(set);
    }
}

static void what_is_refused_says_why_and_quotes_no_secret(void **state)
{
    FOLDER_AUTO dir = folder_make();
    const char *path = folder_path(&dir, "tokens");
    char token[OPAQUE_TOKEN_BYTES];
    struct token out;
    struct failure f = { 0 };

    (void)state;
    add(path, "a", "", token);
    struct opaque_set *set = load(path);

    token[3] = token[3] == '0' ? '1' : '0';
    assert_int_equal(opaque_verify(set, token, strlen(token), NOW, &out, &f),
                     -ERROR_UNAUTHENTICATED);
    assert_string_equal(f.message, token_fault_text(TOKEN_UNKNOWN));
    assert_null(strstr(f.cause, token + 20));
    opaque_free(set);
    set = load(path);
    memcpy(token + 3, opaque_at(set, 0)->id, 16);
    token[OPAQUE_TOKEN_BYTES - 2] = '_';
    token[OPAQUE_TOKEN_BYTES - 3] = '_';
    assert_int_equal(opaque_verify(set, token, strlen(token), NOW, &out, &f),
                     -ERROR_UNAUTHENTICATED);
    assert_string_equal(f.message, token_fault_text(TOKEN_SIGNATURE));
    assert_null(strstr(f.cause, token + 20));
    opaque_free(set);
}

/* --- the file --------------------------------------------------------------------------------- */

static void comments_and_lines_of_several_tokens(void **state)
{
    struct opaque_set *set = parse("# comment\n\n  \t\n"
                                   "a " ID " " HEX " " HEX HEX " " END " -\n"
                                   "a\t00112233445566ab  " HEX " " HEX HEX " " END " x,y");

    (void)state;
    assert_int_equal(opaque_count(set),
                     2); /* a name may have several: a new one before the old goes */
    assert_string_equal(opaque_at(set, 0)->id, ID);
    assert_int_equal(opaque_at(set, 0)->line, 4);
    assert_string_equal(opaque_at(set, 0)->groups, "");
    assert_int_equal(opaque_at(set, 1)->expires_s, NOW + 1);
    assert_memory_equal(opaque_at(set, 1)->groups, "x\0y\0", 5);
    opaque_free(set);
    opaque_free(parse(""));
}

static void faulty_lines_are_refused_with_their_number(void **state)
{
    static const char *const bad[] = {
        "a " ID " " HEX " " HEX HEX " " END,
        "a " ID " " HEX " " HEX HEX " " END " - more",
        "a:b " ID " " HEX " " HEX HEX " " END " -",
        "\xc3\xa4 " ID " " HEX " " HEX HEX " " END " -",
        "a 00112233445566AA " HEX " " HEX HEX " " END " -",
        "a 00112233445566a " HEX " " HEX HEX " " END " -",
        "a " ID " " HEX "0 " HEX HEX " " END " -",
        "a " ID " " HEX " " HEX " " END " -",
        "a " ID " " HEX " " HEX HEX " 2033-02-30T00:00:00Z -",
        "a " ID " " HEX " " HEX HEX " 2033-5-18T03:33:21Z -",
        "a " ID " " HEX " " HEX HEX " 1969-12-31T23:59:59Z -",
        "a " ID " " HEX " " HEX HEX " 2033-05-18T03:33:21 -",
        "a " ID " " HEX " " HEX HEX " " END " ,x",
        "a " ID " " HEX " " HEX HEX " " END " x,,y",
        "a " ID " " HEX " " HEX HEX " " END " x,",
        "b 0123456789abcdef " HEX " " HEX HEX " " END " -", /* the id of the first line */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        BUFFER_AUTO(text, 4096);
        struct opaque_set *set = NULL;
        struct failure f = { 0 };

        buffer_printf(&text, "a 0123456789abcdef " HEX " " HEX HEX " " END " -\n%s\n", bad[i]);
        assert_int_equal(opaque_parse("tokens", (char *)text.data, text.len_bytes, &set, &f),
                         -ERROR_INVALID_ARGUMENT);
        assert_null(set);
        assert_memory_equal(f.message, "tokens:2: ", 10);
    }
}

static void as_many_tokens_as_are_taken(void **state)
{
    (void)state;
    for (unsigned count = OPAQUE_TOKENS_MAX; count <= OPAQUE_TOKENS_MAX + 1; count++) {
        BUFFER_AUTO(text, OPAQUE_FILE_MAX_BYTES);
        struct opaque_set *set = NULL;

        for (unsigned i = 0; i < count; i++) {
            buffer_printf(&text, "a %016x " HEX " " HEX HEX " " END " -\n", i);
        }
        assert_int_equal(opaque_parse("tokens", (char *)text.data, text.len_bytes, &set, NULL),
                         count > OPAQUE_TOKENS_MAX ? -ERROR_INVALID_ARGUMENT : 0);
        opaque_free(set);
    }
}

static void names_and_groups_are_bounded(void **state)
{
    char name[OPAQUE_NAME_BYTES + 1], groups[IDENTITY_GROUPS_BYTES];
    char token[OPAQUE_TOKEN_BYTES];
    BUFFER_AUTO(line, 8192);

    (void)state;
    memset(name, 'n', sizeof(name));
    name[OPAQUE_NAME_BYTES] = '\0';
    memset(groups, 'g', sizeof(groups));
    groups[IDENTITY_GROUPS_BYTES - 1] = '\0';
    assert_int_equal(opaque_make(name, "", NOW, token, &line, NULL), -ERROR_INVALID_ARGUMENT);
    assert_int_equal(opaque_make("a", groups, NOW, token, &line, NULL), -ERROR_INVALID_ARGUMENT);
    assert_int_equal(opaque_make("", "", NOW, token, &line, NULL), -ERROR_INVALID_ARGUMENT);
    assert_int_equal(opaque_make("a b", "", NOW, token, &line, NULL), -ERROR_INVALID_ARGUMENT);
    assert_int_equal(opaque_make("a", "x y", NOW, token, &line, NULL), -ERROR_INVALID_ARGUMENT);
    assert_int_equal(opaque_make("a", "", INT64_C(253402300800), token, &line, NULL),
                     -ERROR_INVALID_ARGUMENT);
    assert_int_equal(opaque_make("a", "", -1, token, &line, NULL), -ERROR_INVALID_ARGUMENT);
    assert_int_equal(line.len_bytes, 0);
    assert_int_equal(opaque_make(name + 1, groups + 1, NOW, token, &line, NULL), 0);
    opaque_free(parse(buffer_string(&line))); /* the longest line is read again */
}

/* --- changes ---------------------------------------------------------------------------------- */

static void changes_keep_the_rest_and_the_mode(void **state)
{
    FOLDER_AUTO dir = folder_make();
    const char *path = folder_path(&dir, "tokens");
    char first[OPAQUE_TOKEN_BYTES], second[OPAQUE_TOKEN_BYTES], id[OPAQUE_ID_BYTES];
    BUFFER_AUTO(after, 8192);
    struct token out;
    struct stat st;

    (void)state;
    folder_write(path, "# mine", 6); /* without a line end */
    assert_int_equal(chmod(path, 0640), 0);
    add(path, "a", "", first);
    add(path, "b", "", second);
    memcpy(id, first + 3, 16);
    id[16] = '\0';
    assert_int_equal(opaque_file_remove(path, id, NULL), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_int_equal(folder_entries(&dir, 0), 1);
    read_back(path, &after);
    assert_memory_equal(after.data, "# mine\nb ", 9);
    assert_null(strstr(buffer_string(&after), second + 20)); /* no secret in it */
    struct opaque_set *set = load(path);

    assert_int_equal(opaque_verify(set, first, strlen(first), NOW, &out, NULL),
                     -ERROR_UNAUTHENTICATED);
    assert_int_equal(opaque_verify(set, second, strlen(second), NOW, &out, NULL), 0);
    opaque_free(set);
    assert_int_equal(opaque_file_remove(path, id, NULL), -ERROR_NOT_FOUND);
}

static void a_new_file_is_made_and_a_faulty_one_is_not_touched(void **state)
{
    FOLDER_AUTO dir = folder_make();
    const char *path = folder_path(&dir, "tokens");
    char token[OPAQUE_TOKEN_BYTES];
    BUFFER_AUTO(after, 64);
    struct stat st;

    (void)state;
    assert_int_equal(opaque_file_remove(path, ID, NULL), -ERROR_NOT_FOUND);
    add(path, "a", "", token);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
    folder_write(path, "what is this", 12);
    assert_int_equal(opaque_file_add(path, "a", "", NOW, token, NULL), -ERROR_INVALID_ARGUMENT);
    assert_int_equal(opaque_file_remove(path, ID, NULL), -ERROR_INVALID_ARGUMENT);
    read_back(path, &after);
    assert_string_equal(buffer_string(&after), "what is this");
    assert_int_equal(chmod(path, 0666), 0);
    assert_int_equal(opaque_file_add(path, "a", "", NOW, token, NULL), -ERROR_FAILED_PRECONDITION);
    assert_int_equal(opaque_file_add(folder_path(&dir, "no/such"), "a", "", NOW, token, NULL),
                     -ERROR_FAILED_PRECONDITION);
}

static void one_token_more_than_fits_is_refused(void **state)
{
    FOLDER_AUTO dir = folder_make();
    const char *path = folder_path(&dir, "tokens");
    BUFFER_AUTO(text, OPAQUE_FILE_MAX_BYTES);
    char token[OPAQUE_TOKEN_BYTES];

    (void)state;
    for (unsigned i = 1; i < OPAQUE_TOKENS_MAX; i++) {
        buffer_printf(&text, "a %016x " HEX " " HEX HEX " " END " -\n", i);
    }
    folder_write(path, text.data, text.len_bytes);
    add(path, "last", "", token);
    assert_int_equal(opaque_file_add(path, "more", "", NOW, token, NULL),
                     -ERROR_RESOURCE_EXHAUSTED);
}

enum { ADDERS = 4, ADDED_BY_EACH = 8 };

static void *adder(void *arg)
{
    char token[OPAQUE_TOKEN_BYTES];

    for (int i = 0; i < ADDED_BY_EACH; i++) {
        if (opaque_file_add(arg, "a", "", NOW, token, NULL) != 0) {
            return NULL;
        }
    }
    return arg;
}

static void changes_at_the_same_time_are_all_there(void **state)
{
    FOLDER_AUTO dir = folder_make();
    char path[FOLDER_PATH_BYTES];
    pthread_t threads[ADDERS];

    (void)state;
    (void)snprintf(path, sizeof(path), "%s", folder_path(&dir, "tokens"));
    for (int i = 0; i < ADDERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, adder, path), 0);
    }
    for (int i = 0; i < ADDERS; i++) {
        void *done = NULL;

        assert_int_equal(pthread_join(threads[i], &done), 0);
        assert_ptr_equal(done, path);
    }
    struct opaque_set *set = load(path);

    assert_int_equal(opaque_count(set), ADDERS * ADDED_BY_EACH);
    opaque_free(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_that_was_added_says_who_bears_it),
        cmocka_unit_test(no_altered_token_is_taken),
        cmocka_unit_test(another_line_of_the_same_id_is_another_token),
        cmocka_unit_test(tokens_expire),
        cmocka_unit_test(a_line_that_was_changed_is_another_token),
        cmocka_unit_test(what_is_refused_says_why_and_quotes_no_secret),
        cmocka_unit_test(comments_and_lines_of_several_tokens),
        cmocka_unit_test(faulty_lines_are_refused_with_their_number),
        cmocka_unit_test(as_many_tokens_as_are_taken),
        cmocka_unit_test(names_and_groups_are_bounded),
        cmocka_unit_test(changes_keep_the_rest_and_the_mode),
        cmocka_unit_test(a_new_file_is_made_and_a_faulty_one_is_not_touched),
        cmocka_unit_test(one_token_more_than_fits_is_refused),
        cmocka_unit_test(changes_at_the_same_time_are_all_there),
    };

    return UNIT_RUN(tests);
}
