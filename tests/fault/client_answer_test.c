/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* What libxenres makes of answers that are proper messages, but not to what was asked; and of lists
 * that come in pages. */
#include "tests/lib/client_fixture.h"

#include "xenres/v1/host.pb-c.h"
#include "xenres/v1/inspect.pb-c.h"
#include "xenres/v1/resource.pb-c.h"

/* --- identity --- */

struct grants {
    Xenres__V1__GetGrantTableResponse answer;
    Xenres__V1__DomainIdentity domain;
    Xenres__V1__GrantEntry entry;
    Xenres__V1__GrantEntry *entries[1];
    char uuid[sizeof(UUID_A)], life[sizeof(LIFE_A)];
};

static void make_grants(struct grants *g)
{
    xenres__v1__get_grant_table_response__init(&g->answer);
    xenres__v1__domain_identity__init(&g->domain);
    xenres__v1__grant_entry__init(&g->entry);
    memcpy(g->uuid, UUID_A, sizeof(UUID_A));
    memcpy(g->life, LIFE_A, sizeof(LIFE_A));
    g->domain.domid = 5;
    g->domain.uuid = g->uuid;
    g->domain.incarnation = g->life;
    g->answer.domain = &g->domain;
    g->entries[0] = &g->entry;
    g->entry.reference = 8;
    g->entry.kind = (Xenres__V1__GrantKind)77;
    g->answer.entries = g->entries;
    g->answer.n_entries = 1;
}

static int ask_grants(const struct grants *g, const char *domain, const char *incarnation,
                      uint32_t first_reference)
{
    static struct fixture f;
    BUFFER_AUTO(bytes, 0);
    xenres_grant_query query = XENRES_GRANT_QUERY_INIT(domain);
    const xenres_grant_table *table;
    const struct tls_server_step step = fixture_message(&bytes, &g->answer.base);

    query.incarnation = incarnation;
    query.first_reference = first_reference;
    fixture_start(&f, &step, 1);
    int result = xenres_get_grant_table(f.handle, &query, &f.reply, &table, &f.error);

    if (result == 0) {
        assert_int_equal(table->grants[0].kind, 77); /* a number of a later version */
    }
    fixture_end(&f);
    return result;
}

static void identity_that_was_asked_for_is_taken(void **state)
{
    static const char *const spellings[] = { "5",     "domid:5", UUID_A,        "uuid:" UUID_A,
                                             "guest", "name:7",  "name:" UUID_B };
    struct grants g;

    (void)state;
    make_grants(&g);
    for (size_t i = 0; i < sizeof(spellings) / sizeof(spellings[0]); i++) {
        assert_int_equal(ask_grants(&g, spellings[i], NULL, 0), 0);
    }
    assert_int_equal(ask_grants(&g, "5", LIFE_A, 0), 0);
}

static void other_identity_is_refused(void **state)
{
    struct grants g;

    (void)state;
    make_grants(&g);
    assert_int_equal(ask_grants(&g, "6", NULL, 0), -XENRES_INTERNAL);
    assert_int_equal(ask_grants(&g, "domid:6", NULL, 0), -XENRES_INTERNAL);
    assert_int_equal(ask_grants(&g, UUID_B, NULL, 0), -XENRES_INTERNAL);
    assert_int_equal(ask_grants(&g, "uuid:" UUID_B, NULL, 0), -XENRES_INTERNAL);
    assert_int_equal(ask_grants(&g, "guest", LIFE_B, 0), -XENRES_INTERNAL);
    g.answer.domain = NULL;
    assert_int_equal(ask_grants(&g, "guest", NULL, 0), -XENRES_INTERNAL);
}

static void grants_that_lead_backwards_are_refused(void **state)
{
    struct grants g;

    (void)state;
    make_grants(&g);
    assert_int_equal(ask_grants(&g, "5", NULL, 9), -XENRES_INTERNAL); /* entry 8 comes before */
    g.answer.next_reference = 8;
    assert_int_equal(ask_grants(&g, "5", NULL, 0), -XENRES_INTERNAL);
    g.answer.next_reference = 9;
    assert_int_equal(ask_grants(&g, "5", NULL, 0), 0);
}

/* --- lists --- */

static struct tls_server_step domains_page(struct buffer *bytes, uint32_t domid, const char *token)
{
    Xenres__V1__ListDomainsResponse answer;
    Xenres__V1__Domain domain;
    Xenres__V1__Domain *domains[] = { &domain };
    Xenres__V1__DomainIdentity identity;
    char next[16];

    xenres__v1__list_domains_response__init(&answer);
    xenres__v1__domain__init(&domain);
    xenres__v1__domain_identity__init(&identity);
    identity.domid = domid;
    domain.identity = &identity;
    answer.domains = domains;
    answer.n_domains = 1;
    (void)snprintf(next, sizeof(next), "%s", token);
    answer.next_page_token = next;
    return fixture_message(bytes, &answer.base);
}

static void pages_become_one_list(void **state)
{
    static struct fixture f;
    BUFFER_AUTO(a, 0);
    BUFFER_AUTO(b, 0);
    BUFFER_AUTO(c, 0);
    const xenres_domain_list *list;
    size_t len_bytes;
    const struct tls_server_step steps[] = { domains_page(&a, 1, "x"), domains_page(&b, 2, "y"),
                                             domains_page(&c, 3, "") };

    (void)state;
    fixture_start(&f, steps, 3);
    assert_int_equal(xenres_list_domains(f.handle, NULL, &f.reply, &list, &f.error), 0);
    assert_int_equal(list->domain_count, 3);
    assert_int_equal(list->domains[2].identity.domid, 3);
    const void *bytes = xenres_reply_message(f.reply, &len_bytes, NULL);
    Xenres__V1__ListDomainsResponse *whole =
        xenres__v1__list_domains_response__unpack(NULL, len_bytes, bytes);

    assert_int_equal(whole->n_domains, 3);
    assert_string_equal(whole->next_page_token, "");
    xenres__v1__list_domains_response__free_unpacked(whole, NULL);
    fixture_end(&f);
    assert_int_equal(f.server.connections, 1);
}

static void query_of_domains_is_sent_with_each_page(void **state)
{
    static const uint32_t states[] = { XENRES_DOMAIN_RUNNING, XENRES_DOMAIN_PAUSED };
    static const uint32_t types[] = { XENRES_DOMAIN_PVH };
    struct fixture f;
    BUFFER_AUTO(a, 0);
    BUFFER_AUTO(b, 0);
    const xenres_domain_list *list;
    xenres_domain_query query = XENRES_DOMAIN_QUERY_INIT;
    const struct tls_server_step steps[] = { domains_page(&a, 1, "x"), domains_page(&b, 2, "") };

    (void)state;
    query.name_glob = "web-*";
    query.states = states;
    query.state_count = 2;
    query.types = types;
    query.type_count = 1;
    fixture_start(&f, steps, 2);
    assert_int_equal(xenres_list_domains(f.handle, &query, &f.reply, &list, &f.error), 0);
    fixture_end(&f);
    Xenres__V1__ListDomainsRequest *request = xenres__v1__list_domains_request__unpack(
        NULL, f.server.body_len, (const uint8_t *)f.server.body);

    assert_non_null(request);
    assert_string_equal(request->page_token, "x");
    assert_string_equal(request->filter->name_glob, "web-*");
    assert_int_equal(request->filter->n_states, 2);
    assert_int_equal(request->filter->states[1], XENRES_DOMAIN_PAUSED);
    assert_int_equal(request->filter->n_types, 1);
    assert_int_equal(request->filter->types[0], XENRES_DOMAIN_PVH);
    xenres__v1__list_domains_request__free_unpacked(request, NULL);
}

static void query_of_domains_has_bounds(void **state)
{
    static const uint32_t values[XENRES_DOMAIN_QUERY_MAX + 1];
    struct fixture f;
    BUFFER_AUTO(bytes, 0);
    const xenres_domain_list *list;
    xenres_domain_query query = XENRES_DOMAIN_QUERY_INIT;
    const struct tls_server_step step = domains_page(&bytes, 1, "");

    (void)state;
    query.states = values;
    query.types = values;
    query.state_count = XENRES_DOMAIN_QUERY_MAX;
    query.type_count = XENRES_DOMAIN_QUERY_MAX;
    fixture_start(&f, &step, 1);
    assert_int_equal(xenres_list_domains(f.handle, &query, &f.reply, &list, &f.error), 0);
    query.state_count++;
    assert_int_equal(xenres_list_domains(f.handle, &query, NULL, NULL, &f.error),
                     -XENRES_INVALID_ARGUMENT);
    assert_string_equal(f.error.field, "filter.states");
    query.state_count--;
    query.type_count++;
    assert_int_equal(xenres_list_domains(f.handle, &query, NULL, NULL, &f.error),
                     -XENRES_INVALID_ARGUMENT);
    assert_string_equal(f.error.field, "filter.types");
    query.type_count--;
    query.size--;
    assert_int_equal(xenres_list_domains(f.handle, &query, NULL, NULL, &f.error),
                     -XENRES_INVALID_ARGUMENT);
    fixture_end(&f);
    assert_int_equal(f.server.next_step, 1);
}

static void tokens_in_a_circle_come_to_an_end(void **state)
{
    enum { STEPS = 4200 };
    static struct tls_server_step steps[STEPS];
    static struct fixture f;
    BUFFER_AUTO(bytes, 0);
    const xenres_domain_list *list;

    (void)state;
    steps[0] = domains_page(&bytes, 1, "again");
    for (size_t i = 1; i < STEPS; i++) {
        steps[i] = steps[0];
    }
    fixture_start(&f, steps, STEPS);
    assert_int_equal(xenres_list_domains(f.handle, NULL, &f.reply, &list, &f.error),
                     -XENRES_RESOURCE_EXHAUSTED);
    assert_null(f.reply);
    fixture_end(&f);
    assert_int_equal(f.server.next_step, 4096);
}

static struct tls_server_step resources_page(struct buffer *bytes, const char *life,
                                             const char *token)
{
    Xenres__V1__ListResourcesResponse answer;
    Xenres__V1__DomainIdentity identity;
    char uuid[] = UUID_A;
    char incarnation[64], next[16];

    xenres__v1__list_resources_response__init(&answer);
    xenres__v1__domain_identity__init(&identity);
    (void)snprintf(incarnation, sizeof(incarnation), "%s", life);
    (void)snprintf(next, sizeof(next), "%s", token);
    identity.uuid = uuid;
    identity.incarnation = incarnation;
    answer.domain = &identity;
    answer.next_page_token = next;
    return fixture_message(bytes, &answer.base);
}

static void pages_of_two_lives_are_no_list(void **state)
{
    static struct fixture f;
    BUFFER_AUTO(a, 0);
    BUFFER_AUTO(b, 0);
    const xenres_resource_query query = XENRES_RESOURCE_QUERY_INIT("guest");
    const xenres_resource_list *list;
    const struct tls_server_step steps[] = { resources_page(&a, LIFE_A, "x"),
                                             resources_page(&b, LIFE_B, "") };

    (void)state;
    fixture_start(&f, steps, 2);
    assert_int_equal(xenres_list_resources(f.handle, &query, &f.reply, &list, &f.error),
                     -XENRES_ABORTED);
    fixture_end(&f);
}

/* --- snapshot --- */

struct snapshot {
    Xenres__V1__GetSnapshotResponse answer;
    Xenres__V1__DomainIdentity domain;
    Xenres__V1__Observation observation;
    char uuid[sizeof(UUID_A)], life[sizeof(LIFE_A)];
    uint8_t bytes[8192];
};

static void make_snapshot(struct snapshot *s)
{
    memset(s, 0, sizeof(*s));
    xenres__v1__get_snapshot_response__init(&s->answer);
    xenres__v1__domain_identity__init(&s->domain);
    xenres__v1__observation__init(&s->observation);
    memcpy(s->uuid, UUID_A, sizeof(UUID_A));
    memcpy(s->life, LIFE_A, sizeof(LIFE_A));
    s->domain.domid = 5;
    s->domain.uuid = s->uuid;
    s->domain.incarnation = s->life;
    s->observation.frame_count = 2;
    s->observation.frame_bytes = 4096;
    s->answer.domain = &s->domain;
    s->answer.observation = &s->observation;
    s->answer.type = XENRES__V1__RESOURCE_TYPE__RESOURCE_TYPE_GRANT_TABLE;
    s->answer.frames.data = s->bytes;
    s->answer.frames.len = sizeof(s->bytes);
}

static int ask_snapshot(const struct snapshot *s, uint32_t count)
{
    static struct fixture f;
    BUFFER_AUTO(bytes, 0);
    xenres_frames_query query = XENRES_FRAMES_QUERY_INIT("5", XENRES_GRANT_TABLE, 0);
    const xenres_snapshot *snapshot;
    const struct tls_server_step step = fixture_message(&bytes, &s->answer.base);

    query.frame_count = count;
    fixture_start(&f, &step, 1);
    int result = xenres_get_snapshot(f.handle, &query, &f.reply, &snapshot, &f.error);

    if (result == 0) {
        assert_int_equal(snapshot->len_bytes, sizeof(s->bytes));
    }
    fixture_end(&f);
    return result;
}

static void snapshot_has_to_be_what_was_asked_for(void **state)
{
    struct snapshot s;

    (void)state;
    make_snapshot(&s);
    assert_int_equal(ask_snapshot(&s, XENRES_ALL), 0);
    assert_int_equal(ask_snapshot(&s, 2), 0);
    assert_int_equal(ask_snapshot(&s, 1), -XENRES_INTERNAL);
    s.answer.frames.len--;
    assert_int_equal(ask_snapshot(&s, 2), -XENRES_INTERNAL);
    make_snapshot(&s);
    s.answer.id = 1;
    assert_int_equal(ask_snapshot(&s, 2), -XENRES_INTERNAL);
    make_snapshot(&s);
    s.answer.type = XENRES__V1__RESOURCE_TYPE__RESOURCE_TYPE_VMTRACE_BUF;
    assert_int_equal(ask_snapshot(&s, 2), -XENRES_INTERNAL);
    make_snapshot(&s);
    s.observation.first_frame = 1;
    assert_int_equal(ask_snapshot(&s, 2), -XENRES_INTERNAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(identity_that_was_asked_for_is_taken),
        cmocka_unit_test(other_identity_is_refused),
        cmocka_unit_test(grants_that_lead_backwards_are_refused),
        cmocka_unit_test(pages_become_one_list),
        cmocka_unit_test(query_of_domains_is_sent_with_each_page),
        cmocka_unit_test(query_of_domains_has_bounds),
        cmocka_unit_test(tokens_in_a_circle_come_to_an_end),
        cmocka_unit_test(pages_of_two_lives_are_no_list),
        cmocka_unit_test(snapshot_has_to_be_what_was_asked_for),
    };

    return UNIT_RUN(tests);
}
