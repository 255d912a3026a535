/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The export list, changed at random: nothing crashes, and it is refused, or lets out what its lines say,
 * as they are read here by other means, and nothing else. MUTATION_SEED=n begins with another seed.
 */
#include "server/mapper/export.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/text.h"
#include "tests/lib/mutate.h"
#include "tests/lib/unit.h"

enum { CASES = 30000, WORDS = 4 };

static const char original[] =
    "# what may leave\n"
    "allow name:web-* all list,snapshot\n"
    "allow uuid:0b3c9f52-6f1e-4d5a-9a0c-3c1d5e7f9a01 grant_table decode\n"
    "\n"
    "allow name:db ioreq_server,vcpu_stats watch,trace.read\n"
    "  # none but these\n"
    "allow dom0 vcpu_stats list\n"
    "allow name:test-? vmtrace_buf trace.control\n";

static const struct domain_identity domains[] = {
    { .domid = 0, .name = "Domain-0" },
    { .domid = 1, .name = "web-1", .uuid = { 1 } },
    { .domid = 2, .name = "db", .uuid = { 2 } },
    { .domid = 3, .name = "test-7", .uuid = { 3 } },
    { .domid = 4,
      .name = "vault",
      .uuid = { 0x0b, 0x3c, 0x9f, 0x52, 0x6f, 0x1e, 0x4d, 0x5a, 0x9a, 0x0c, 0x3c, 0x1d, 0x5e, 0x7f,
                0x9a, 0x01 } },
    { .domid = 5, .name = "other", .uuid = { 5 } },
};

static const char *const types[] = { "ioreq_server", "grant_table", "vmtrace_buf", "vcpu_stats" };
static const char *const actions[] = { "list",   "snapshot",   "watch",
                                       "decode", "trace.read", "trace.control" };

/* --- the text, read by other means ------------------------------------------------------------ */

static bool names(const char *word, const struct domain_identity *d)
{
    char uuid[UUID_TEXT_BYTES];

    text_from_uuid(d->uuid, uuid);
    if (strncmp(word, "uuid:", 5) == 0) {
        return strcasecmp(word + 5, uuid) == 0;
    }
    if (strncmp(word, "name:", 5) == 0) {
        bool is_glob = strpbrk(word, "*?") != NULL;

        return is_glob ? d->domid != 0 && text_glob(word + 5, d->name)
                       : strcmp(word + 5, d->name) == 0;
    }
    return strcmp(word, d->domid == 0 ? "dom0" : "all") == 0;
}

/* "a,b,c" has it. */
static bool has(const char *list, const char *word)
{
    size_t len = strlen(word);

    for (; *list != '\0'; list += strcspn(list, ","), list += *list == ',') {
        if (strcspn(list, ",") == len && memcmp(list, word, len) == 0) {
            return true;
        }
    }
    return false;
}

static bool text_allows(const char *text, const struct domain_identity *d, const char *type,
                        const char *action)
{
    while (*text != '\0') {
        char line[EXPORT_LINE_BYTES_MAX + 1], words[WORDS][EXPORT_LINE_BYTES_MAX + 1] = { "" };
        size_t len = strcspn(text, "\n");

        (void)snprintf(line, sizeof(line), "%.*s", (int)len, text);
        text += len + (text[len] == '\n');
        if (sscanf(line, " %s %s %s %s", words[0], words[1], words[2], words[3]) == WORDS &&
            strcmp(words[0], "allow") == 0 && names(words[1], d) &&
            (strcmp(words[2], "all") == 0 || has(words[2], type)) && has(words[3], action)) {
            return true;
        }
    }
    return false;
}

/* NULL: the two agree about all that may be asked; else the domain that they do not agree about. */
static const char *compare(const struct export_list *e, const char *text, unsigned *allowed)
{
    for (size_t d = 0; d < sizeof(domains) / sizeof(domains[0]); d++) {
        for (uint32_t type = 0; type < RESOURCE_TYPE_COUNT; type++) {
            for (unsigned action = 0; action < EXPORT_ACTION_COUNT; action++) {
                bool allows = export_allows(e, &domains[d], type, (enum export_action)action);

                if (allows != text_allows(text, &domains[d], types[type], actions[action])) {
                    return domains[d].name;
                }
                *allowed += allows;
            }
        }
    }
    return NULL;
}

/* --- tests ------------------------------------------------------------------------------------ */

static int parse(const char *text, size_t len, struct export_list **out)
{
    struct failure f = { 0 };
    char *copy = malloc(len > 0 ? len : 1); /* exactly: so that a read beyond it is seen */

    assert_non_null(copy);
    memcpy(copy, text, len);
    int result = export_parse(copy, len, "export", out, &f);

    assert_true(result == 0 || (f.message[0] != '\0' && f.next_step[0] != '\0'));
    free(copy);
    return result;
}

static void the_two_readings_agree_on_the_whole_list(void **state)
{
    struct export_list *e = NULL;
    unsigned allowed = 0;

    (void)state;
    assert_int_equal(parse(original, sizeof(original) - 1, &e), 0);
    assert_null(compare(e, original, &allowed));
    /* web-1: 4 types of 2 actions; vault: 1; db: 2 of 2; dom0: 1; test-7: 1 */
    assert_int_equal(allowed, 8 + 1 + 4 + 1 + 1);
    export_free(e);
}

static void a_changed_list_is_refused_or_lets_out_what_it_says(void **state)
{
    static uint8_t text[MUTATE_MAX_BYTES + 1];
    unsigned taken = 0, allowed = 0;

    (void)state;
    for (unsigned i = 0; i < CASES; i++) {
        unsigned long long began = mutate_seed;
        struct export_list *e = NULL;

        memcpy(text, original, sizeof(original));
        size_t len = mutate(text, sizeof(original) - 1);

        text[len] = '\0';
        if (parse((const char *)text, len, &e) != 0) {
            assert_null(e);
            continue;
        }
        taken++;
        const char *wrong = compare(e, (const char *)text, &allowed);

        if (wrong != NULL || strlen((const char *)text) != len) {
            fail_msg("seed %llu: %s: %s", began, wrong, (const char *)text);
        }
        export_free(e);
    }
    print_message("%u of %d were taken\n", taken, CASES);
    assert_in_range(taken, CASES / 50, CASES / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_two_readings_agree_on_the_whole_list),
        cmocka_unit_test(a_changed_list_is_refused_or_lets_out_what_it_says),
    };

    mutate_begin();
    return UNIT_RUN(tests);
}
