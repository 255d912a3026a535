/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* How a spelling finds a domain. */
#include "tests/lib/fake_mapper.h"

#include <errno.h>
#include <stdio.h>

#include "server/resource/domain_list.h"

static bool all_visible(void *arg, const struct domain_identity *d)
{
    (void)arg;
    (void)d;
    return true;
}

/* All but the domid at `arg`. */
static bool all_but(void *arg, const struct domain_identity *d)
{
    const uint16_t *hidden = arg;

    return d->domid != *hidden;
}

static const struct domain_filter everything = { .visible = all_visible };

static struct domain_list *list_of(const struct message_domain *domains, size_t count)
{
    struct domain_list *l = NULL;

    assert_int_equal(domain_list_new(&l, NULL), 0);
    assert_int_equal(domain_list_add(l, domains, count, NULL), 0);
    assert_int_equal(domain_list_index(l, NULL), 0);
    return l;
}

/* The domid found, or the failure's code. */
static int find(const struct domain_list *l, const char *text, const struct domain_filter *filter,
                struct failure *f)
{
    struct domain_spelling spelling;
    struct domain_entry found;
    int result = domain_spelling_parse(text, &spelling, f);

    if (result == 0) {
        result = domain_list_find(l, &spelling, filter, &found, f);
    }
    return result == 0 ? found.identity.domid : result;
}

static struct domain_list *sample(void)
{
    struct message_domain d[] = {
        fake_domain(0, "Domain-0", 0, 9),
        fake_domain(3, "web", 0x33, 1),
        fake_domain(7, "db", 0x77, 2),
        fake_domain(12, "3", 0xcc, 3), /* a name of digits */
        fake_domain(20, "line\nbreak", 0x14, 4),
        fake_domain(21, "a\\b", 0x15, 5),
        fake_domain(22, "", 0x16, 6),
        fake_domain(40, "twin", 0x28, 7),
        fake_domain(41, "twin", 0x29, 8),
    };
    return list_of(d, sizeof(d) / sizeof(d[0]));
}

static void domids_uuids_and_names_are_told_apart(void **state)
{
    struct domain_list *l = sample();

    (void)state;
    assert_int_equal(find(l, "7", &everything, NULL), 7);
    assert_int_equal(find(l, "domid:7", &everything, NULL), 7);
    assert_int_equal(find(l, "0", &everything, NULL), 0);
    assert_int_equal(find(l, "33000000-0000-0000-0000-000000000000", &everything, NULL), 3);
    assert_int_equal(find(l, "uuid:CC000000-0000-0000-0000-000000000000", &everything, NULL), 12);
    assert_int_equal(find(l, "web", &everything, NULL), 3);
    assert_int_equal(find(l, "name:web", &everything, NULL), 3);
    assert_int_equal(find(l, "3", &everything, NULL), 3); /* digits are a domid */
    assert_int_equal(find(l, "name:3", &everything, NULL), 12);
    domain_list_unref(l);
}

static void a_name_is_found_as_it_is_and_as_it_is_shown(void **state)
{
    struct domain_list *l = sample();

    (void)state;
    assert_int_equal(find(l, "line\nbreak", &everything, NULL), 20);
    assert_int_equal(find(l, "line\\x0abreak", &everything, NULL), 20);
    assert_int_equal(find(l, "a\\b", &everything, NULL), 21);
    assert_int_equal(find(l, "a\\\\b", &everything, NULL), 21);
    assert_int_equal(find(l, "a\\\\\\b", &everything, NULL), -ERROR_NOT_FOUND);
    domain_list_unref(l);
}

static void what_cannot_be_a_domain_is_refused(void **state)
{
    static const char *const wrong[] = {
        "",         "007",    "65536", "99999999999999999999", "domid:", "domid:x",
        "domid:-1", "uuid:1", "name:",
    };
    struct domain_list *l = sample();
    struct failure f;
    char longest[DOMAIN_SPELLING_MAX_BYTES + 2];

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(find(l, wrong[i], &everything, &f), -ERROR_INVALID_ARGUMENT);
        assert_true(f.cause[0] != '\0' && f.next_step[0] != '\0');
    }
    memset(longest, 'x', sizeof(longest));
    longest[DOMAIN_SPELLING_MAX_BYTES + 1] = '\0';
    assert_int_equal(find(l, longest, &everything, NULL), -ERROR_INVALID_ARGUMENT);
    longest[DOMAIN_SPELLING_MAX_BYTES] = '\0';
    assert_int_equal(find(l, longest, &everything, NULL), -ERROR_NOT_FOUND);
    domain_list_unref(l);
}

/* Eight may be named; of more, the first eight, and that there are more. */
static void an_ambiguous_name_names_so_many_and_not_one_more(void **state)
{
    struct message_domain d[DOMAIN_LIST_NAMED_MAX + 1];
    struct failure f;

    (void)state;
    for (uint16_t i = 0; i <= DOMAIN_LIST_NAMED_MAX; i++) {
        d[i] = fake_domain((uint16_t)(32700 + i), "twin", (uint8_t)(i + 1), (uint8_t)(i + 1));
    }
    struct domain_list *most = list_of(d, DOMAIN_LIST_NAMED_MAX);
    struct domain_list *more = list_of(d, DOMAIN_LIST_NAMED_MAX + 1);

    assert_int_equal(find(most, "twin", &everything, &f), -ERROR_FAILED_PRECONDITION);
    assert_string_equal(f.message, "8 domains are called twin: domids 32700, 32701, 32702, 32703,"
                                   " 32704, 32705, 32706, 32707");
    assert_int_equal(find(more, "twin", &everything, &f), -ERROR_FAILED_PRECONDITION);
    assert_string_equal(f.message, "9 domains are called twin: domids 32700, 32701, 32702, 32703,"
                                   " 32704, 32705, 32706, 32707, …");
    domain_list_unref(most);
    domain_list_unref(more);
}

static void reserved_numbers_are_no_domains_and_esrch(void **state)
{
    struct domain_list *l = sample();
    struct failure f;

    (void)state;
    assert_int_equal(find(l, "32752", &everything, &f), -ERROR_NOT_FOUND);
    assert_int_equal(f.xen_errno, ESRCH);
    assert_int_equal(find(l, "32751", &everything, &f), -ERROR_NOT_FOUND);
    assert_int_equal(f.xen_errno, ESRCH);
    domain_list_unref(l);
}

static void a_hidden_domain_is_answered_like_none(void **state)
{
    struct domain_list *l = sample();
    uint16_t hidden = 3;
    const struct domain_filter filter = { .visible = all_but, .arg = &hidden };
    static const char *const spellings[] = { "3", "web", "33000000-0000-0000-0000-000000000000" };
    struct domain_list *none = list_of(NULL, 0);

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct failure of_hidden, of_none;

        assert_int_equal(find(l, spellings[i], &filter, &of_hidden), -ERROR_NOT_FOUND);
        assert_int_equal(find(none, spellings[i], &filter, &of_none), -ERROR_NOT_FOUND);
        assert_memory_equal(&of_hidden, &of_none, sizeof(of_none));
    }
    domain_list_unref(l);
    domain_list_unref(none);
}

static void an_ambiguous_name_names_the_domids_that_may_be_seen(void **state)
{
    struct domain_list *l = sample();
    uint16_t hidden = 41;
    const struct domain_filter filter = { .visible = all_but, .arg = &hidden };
    struct failure f;

    (void)state;
    assert_int_equal(find(l, "twin", &everything, &f), -ERROR_FAILED_PRECONDITION);
    assert_non_null(strstr(f.message, "40, 41"));
    assert_int_equal(find(l, "twin", &filter, &f), 40); /* the other one is not there */
    domain_list_unref(l);
}

static void the_dying_give_way_to_the_living(void **state)
{
    struct message_domain d[] = {
        fake_domain(5, "web", 1, 1),
        fake_domain(6, "web", 1, 2),
        fake_domain(7, "web", 1, 3),
    };
    struct failure f;

    (void)state;
    d[0].state = d[1].state = DOMAIN_DYING;
    struct domain_list *l = list_of(d, 3);

    assert_int_equal(find(l, "web", &everything, NULL), 7);
    assert_int_equal(find(l, "01000000-0000-0000-0000-000000000000", &everything, NULL), 7);
    assert_int_equal(find(l, "5", &everything, NULL), 5);
    domain_list_unref(l);
    d[2].state = DOMAIN_DYING;
    l = list_of(d, 3);
    assert_int_equal(find(l, "web", &everything, &f), -ERROR_FAILED_PRECONDITION);
    assert_non_null(strstr(f.message, "5, 6, 7"));
    domain_list_unref(l);
    l = list_of(d, 1);
    assert_int_equal(find(l, "web", &everything, NULL), 5);
    domain_list_unref(l);
}

static void as_many_domains_as_xen_has_numbers_are_found(void **state)
{
    struct domain_list *l = NULL;
    char name[16];

    (void)state;
    assert_int_equal(domain_list_new(&l, NULL), 0);
    for (unsigned i = 0; i < DOMAIN_LIST_MAX; i++) {
        snprintf(name, sizeof(name), "vm%u", i);
        struct message_domain d = fake_domain((uint16_t)i, name, 0, 0);

        memcpy(d.identity.uuid + 4, &i, sizeof(i));
        assert_int_equal(domain_list_add(l, &d, 1, NULL), 0);
    }
    assert_int_equal(domain_list_index(l, NULL), 0);
    assert_int_equal(find(l, "32751", &everything, NULL), 32751);
    assert_int_equal(find(l, "vm32751", &everything, NULL), 32751);
    assert_int_equal(find(l, "vm0", &everything, NULL), 0);
    assert_int_equal(find(l, "vm32752", &everything, NULL), -ERROR_NOT_FOUND);
    assert_int_equal(find(l, "00000000-0100-0000-0000-000000000000", &everything, NULL), 1);
    domain_list_unref(l);
}

static void of_many_twins_eight_are_named(void **state)
{
    struct message_domain d[10];
    struct failure f;

    (void)state;
    for (uint16_t i = 0; i < 10; i++) {
        d[i] = fake_domain((uint16_t)(i + 1), "twin", 1, 1);
    }
    struct domain_list *l = list_of(d, 10);

    assert_int_equal(find(l, "twin", &everything, &f), -ERROR_FAILED_PRECONDITION);
    assert_non_null(strstr(f.message, "10 domains"));
    assert_non_null(strstr(f.message, "1, 2, 3, 4, 5, 6, 7, 8, …"));
    domain_list_unref(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(domids_uuids_and_names_are_told_apart),
        cmocka_unit_test(a_name_is_found_as_it_is_and_as_it_is_shown),
        cmocka_unit_test(what_cannot_be_a_domain_is_refused),
        cmocka_unit_test(an_ambiguous_name_names_so_many_and_not_one_more),
        cmocka_unit_test(reserved_numbers_are_no_domains_and_esrch),
        cmocka_unit_test(a_hidden_domain_is_answered_like_none),
        cmocka_unit_test(an_ambiguous_name_names_the_domids_that_may_be_seen),
        cmocka_unit_test(the_dying_give_way_to_the_living),
        cmocka_unit_test(as_many_domains_as_xen_has_numbers_are_found),
        cmocka_unit_test(of_many_twins_eight_are_named),
    };

    return UNIT_RUN(tests);
}
