/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* The command, against a server whose grant table takes as many answers as xenres waits for, and one
 * more: it then ends by itself, and shows nothing. */
#include "tests/lib/client_fixture.h"
#include "tests/lib/xenres_command.h"
#include "xenres/v1/inspect.pb-c.h"

enum {
    ANSWERS_MAX = 4096, /* client/cli/grants.c's */
    SHOWN_BYTES = 1 << 20,
};

/* Answers 0 to count - 1 of one table, an entry each. */
static struct tls_server_step *table_of(size_t count, struct buffer *bytes)
{
    struct tls_server_step *steps = calloc(count, sizeof(*steps));
    Xenres__V1__GetGrantTableResponse answer;
    Xenres__V1__DomainIdentity domain;
    Xenres__V1__GrantEntry entry, *entries[] = { &entry };
    char uuid[] = UUID_A, life[] = LIFE_A;

    assert_non_null(steps);
    xenres__v1__get_grant_table_response__init(&answer);
    xenres__v1__domain_identity__init(&domain);
    xenres__v1__grant_entry__init(&entry);
    domain.domid = 5;
    domain.uuid = uuid;
    domain.incarnation = life;
    entry.kind = XENRES__V1__GRANT_KIND__GRANT_KIND_PERMIT_ACCESS;
    answer.domain = &domain;
    answer.entries = entries;
    answer.n_entries = 1;
    for (size_t i = 0; i < count; i++) {
        entry.reference = (uint32_t)i;
        answer.next_reference = i + 1 < count ? (uint32_t)i + 1 : 0;
        steps[i] = fixture_message(&bytes[i], &answer.base);
    }
    return steps;
}

/* Runs `xenres grants 5`; its exit status. What it shows goes to `out`, what it says to `err`. */
static int run_grants(const struct tls_server *server, FILE *out, FILE *err)
{
    static const char *const arguments[] = { "grants", "5", NULL };

    return xenres_command_wait(xenres_command_start(server, fileno(out), fileno(err), arguments));
}

static size_t content_of(FILE *file, char text[SHOWN_BYTES])
{
    rewind(file);
    size_t len = fread(text, 1, SHOWN_BYTES - 1, file);

    text[len] = '\0';
    return len;
}

/* The exit status, with what was shown and said. */
static int grants_in(size_t answers, char shown[SHOWN_BYTES], char said[SHOWN_BYTES])
{
    struct buffer *bytes = calloc(answers, sizeof(*bytes));
    struct tls_server_step *steps = table_of(answers, bytes);
    static struct tls_server server;
    FILE *out = tmpfile(), *err = tmpfile();

    assert_non_null(out);
    assert_non_null(err);
    tls_server_start(&server, "IP:127.0.0.1", TLS1_3_VERSION, steps, answers);
    int status = run_grants(&server, out, err);

    tls_server_stop(&server);
    (void)content_of(out, shown);
    (void)content_of(err, said);
    fclose(out);
    fclose(err);
    for (size_t i = 0; i < answers; i++) {
        buffer_done(&bytes[i]);
    }
    free(bytes);
    free(steps);
    return status;
}

static void a_table_of_so_many_answers_and_not_one_more(void **state)
{
    static char shown[SHOWN_BYTES], said[SHOWN_BYTES];
    size_t lines = 0;

    (void)state;
    assert_int_equal(grants_in(ANSWERS_MAX, shown, said), 0);
    for (const char *at = shown; *at != '\0'; at++) {
        lines += *at == '\n';
    }
    assert_true(lines >= ANSWERS_MAX);
    assert_non_null(strstr(said, "from 4096 copies"));
    assert_int_not_equal(grants_in(ANSWERS_MAX + 1, shown, said), 0);
    assert_string_equal(shown, "");
    assert_non_null(strstr(said, "the table does not end"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_of_so_many_answers_and_not_one_more),
    };

    return UNIT_RUN(tests);
}
