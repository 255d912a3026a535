/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Lists in pages, as long as they may be and longer: a server whose list does not end is left. */
#include "client/pages.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/lib/unit.h"
#include "xenres/v1/host.pb-c.h"

enum { MESSAGE_BYTES = 1 << 24 };

/* A server that gives `pages` pages of `size` domains. */
struct server {
    unsigned pages, size, given;
};

static int give_page(xenres *handle, void *arg, const char *page_token, xenres_reply **page,
                     struct fault *fault)
{
    struct server *s = arg;
    Xenres__V1__ListDomainsResponse response;
    Xenres__V1__Domain domain;
    Xenres__V1__Domain **domains = calloc(s->size + 1, sizeof(Xenres__V1__Domain *));
    char next[16] = "", expected[16] = "";

    (void)handle;
    xenres__v1__list_domains_response__init(&response);
    xenres__v1__domain__init(&domain);
    assert_non_null(domains);
    if (s->given > 0) {
        snprintf(expected, sizeof(expected), "%u", s->given);
    }
    assert_string_equal(page_token, expected);
    s->given++;
    if (s->given < s->pages) {
        snprintf(next, sizeof(next), "%u", s->given);
    }
    for (unsigned i = 0; i < s->size; i++) {
        domains[i] = &domain;
    }
    response.n_domains = s->size;
    response.domains = domains;
    response.next_page_token = next;
    xenres_reply *reply = reply_new(MESSAGE_BYTES, fault);
    size_t len = xenres__v1__list_domains_response__get_packed_size(&response);

    assert_non_null(reply);
    xenres__v1__list_domains_response__pack(&response, buffer_extend(&reply->bytes, len));
    free(domains);
    assert_int_equal(reply_unpack(reply, &xenres__v1__list_domains_response__descriptor, fault), 0);
    *page = reply;
    return 0;
}

static struct pages_list list_of(ProtobufCMessage *message)
{
    Xenres__V1__ListDomainsResponse *m = (Xenres__V1__ListDomainsResponse *)message;

    return (struct pages_list){ (ProtobufCMessage ***)(void *)&m->domains, &m->n_domains,
                                &m->next_page_token };
}

static const struct pages_kind kind = { .call = give_page, .list = list_of };

/* How many came; or the failure's code. */
static long collect(unsigned pages, unsigned size)
{
    struct server server = { .pages = pages, .size = size };
    struct fault fault = { 0 };
    xenres_reply *all = NULL;
    int result = pages_collect(NULL, &kind, &server, &all, &fault);

    if (result < 0) {
        assert_null(all);
        assert_true(fault.failure.message[0] != '\0' && fault.failure.cause[0] != '\0');
        return result;
    }
    assert_int_equal(server.given, pages);
    struct pages_list list = list_of(all->message);
    long count = (long)*list.count;

    assert_string_equal(*list.next_page_token, "");
    xenres_reply_free(all);
    return count;
}

static void so_many_pages_and_not_one_more(void **state)
{
    (void)state;
    assert_int_equal(collect(PAGES_MAX, 1), PAGES_MAX);
    assert_int_equal(collect(PAGES_MAX + 1, 1), -ERROR_RESOURCE_EXHAUSTED);
    assert_int_equal(collect(UINT32_MAX, 0), -ERROR_RESOURCE_EXHAUSTED);
}

static void so_many_elements_and_not_one_more(void **state)
{
    (void)state;
    assert_int_equal(collect(64, PAGES_ELEMENTS_MAX / 64), PAGES_ELEMENTS_MAX);
    assert_int_equal(collect(65, PAGES_ELEMENTS_MAX / 64), -ERROR_RESOURCE_EXHAUSTED);
    assert_int_equal(collect(1, PAGES_ELEMENTS_MAX), PAGES_ELEMENTS_MAX);
    assert_int_equal(collect(1, PAGES_ELEMENTS_MAX + 1), -ERROR_RESOURCE_EXHAUSTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(so_many_pages_and_not_one_more),
        cmocka_unit_test(so_many_elements_and_not_one_more),
    };

    return UNIT_RUN(tests);
}
