/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* What libxenres makes of servers that answer calls wrongly, badly, late, or not at all. */
#include "tests/lib/client_fixture.h"

#include "xenres/v1/host.pb-c.h"
#include "xenres/v1/inspect.pb-c.h"
#include "xenres/v1/resource.pb-c.h"

/* Asks for the host of a server with one step; returns the error's code. */
static uint32_t get_host_code(struct fixture *f)
{
    const xenres_host *host;
    int result = xenres_get_host(f->handle, &f->reply, &host, &f->error);

    assert_int_equal(result, result == 0 ? 0 : -(int)f->error.code);
    return result == 0 ? 0 : f->error.code;
}

static void expect_host_error(struct tls_server_step step, uint32_t code)
{
    struct fixture f;

    fixture_start(&f, &step, 1);
    assert_int_equal(get_host_code(&f), code);
    assert_true(f.error.message[0] != '\0');
    fixture_end(&f);
}

#define EXPECT_HOST_ERROR(text, then, code)                                                        \
    expect_host_error((struct tls_server_step)FIXTURE_TEXT(text, then), code)

static void good_answer_is_taken(void **state)
{
    struct fixture f;
    BUFFER_AUTO bytes;
    Xenres__V1__GetHostResponse answer;
    Xenres__V1__Host host;
    char name[] = "dom0";
    const char *type_name;
    size_t len_bytes;
    const xenres_host *view;

    (void)state;
    xenres__v1__get_host_response__init(&answer);
    xenres__v1__host__init(&host);
    answer.host = &host;
    host.hostname = name;
    const struct tls_server_step step = fixture_message(&bytes, &answer.base);

    fixture_start(&f, &step, 1);
    assert_int_equal(xenres_get_host(f.handle, &f.reply, &view, &f.error), 0);
    assert_string_equal(view->hostname, "dom0");
    assert_string_equal(view->xen_version, "");
    assert_false(view->mapper_connected);
    assert_non_null(xenres_reply_message(f.reply, &len_bytes, &type_name));
    assert_int_equal(len_bytes, protobuf_c_message_get_packed_size(&answer.base));
    assert_string_equal(type_name, "xenres.v1.GetHostResponse");
    fixture_end(&f);
    assert_non_null(strstr(f.server.requests[0], "POST /xenres.v1.HostService/GetHost HTTP/1.1"));
    assert_non_null(strstr(f.server.requests[0], "Connect-Protocol-Version: 1"));
    assert_non_null(strstr(f.server.requests[0], "Connect-Timeout-Ms: 10000"));
}

static void empty_answer_is_an_empty_message(void **state)
{
    const struct tls_server_step step = FIXTURE_TEXT(
        "HTTP/1.1 200 OK\r\nContent-Type: application/proto\r\nContent-Length: 0\r\n\r\n",
        TLS_SERVER_KEEP);
    struct fixture f;
    size_t len_bytes;

    (void)state;
    fixture_start(&f, &step, 1);
    assert_int_equal(get_host_code(&f), 0);
    assert_non_null(xenres_reply_message(f.reply, &len_bytes, NULL));
    assert_int_equal(len_bytes, 0);
    fixture_end(&f);
}

static void truncated_body_is_unavailable(void **state)
{
    (void)state;
    EXPECT_HOST_ERROR("HTTP/1.1 200 OK\r\nContent-Type: application/proto\r\n"
                      "Content-Length: 100\r\n\r\n0123", TLS_SERVER_CLOSE, XENRES_UNAVAILABLE);
    EXPECT_HOST_ERROR("HTTP/1.1 200 OK\r\nContent-Type: application/proto\r\n"
                      "Transfer-Encoding: chunked\r\n\r\n10\r\n0123", TLS_SERVER_CLOSE,
                      XENRES_UNAVAILABLE);
}

static void close_without_answer_is_unavailable(void **state)
{
    (void)state;
    EXPECT_HOST_ERROR("", TLS_SERVER_CLOSE, XENRES_UNAVAILABLE);
    EXPECT_HOST_ERROR("HTTP/1.1 200 OK\r\nContent-Ty", TLS_SERVER_CLOSE, XENRES_UNAVAILABLE);
}

static void wrong_content_type_is_refused(void **state)
{
    (void)state;
    EXPECT_HOST_ERROR("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nhi",
                      TLS_SERVER_KEEP, XENRES_INTERNAL);
    EXPECT_HOST_ERROR("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", TLS_SERVER_KEEP,
                      XENRES_INTERNAL);
    EXPECT_HOST_ERROR("HTTP/1.1 200 OK\r\nContent-Type: application/protobuf\r\n"
                      "Content-Length: 0\r\n\r\n", TLS_SERVER_KEEP, XENRES_INTERNAL);
}

static void encoding_that_nobody_asked_for_is_refused(void **state)
{
    (void)state;
    EXPECT_HOST_ERROR("HTTP/1.1 200 OK\r\nContent-Type: application/proto\r\n"
                      "Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x8b",
                      TLS_SERVER_KEEP, XENRES_INTERNAL);
}

static void huge_length_is_refused_before_any_byte(void **state)
{
    (void)state;
    EXPECT_HOST_ERROR("HTTP/1.1 200 OK\r\nContent-Type: application/proto\r\n"
                      "Content-Length: 1099511627776\r\n\r\n", TLS_SERVER_HANG,
                      XENRES_RESOURCE_EXHAUSTED);
}

/* Bodies of exactly the maximum pass, one byte more does not, announced or not. */
static uint32_t code_for_body_of(size_t len_bytes, bool chunked)
{
    const xenres_options options = {.size = sizeof(options), .message_max_bytes = 5000};
    struct fixture f = {0};
    BUFFER_AUTO bytes;

    buffer_init(&bytes, 65536);
    buffer_append_string(&bytes, "HTTP/1.1 200 OK\r\nContent-Type: application/proto\r\n");
    if (chunked) {
        buffer_printf(&bytes, "Transfer-Encoding: chunked\r\n\r\n%zx\r\n", len_bytes);
    } else {
        buffer_printf(&bytes, "Content-Length: %zu\r\n\r\n", len_bytes);
    }
    /* An unknown field of bytes: a proper message of any length. */
    size_t content = len_bytes - 4;
    const uint8_t head[] = {0xfa, 0x07, (uint8_t)(content & 0x7f) | 0x80, (uint8_t)(content >> 7)};

    buffer_append(&bytes, head, sizeof(head));
    memset(buffer_extend(&bytes, content), 'x', content);
    buffer_append_string(&bytes, chunked ? "\r\n0\r\n\r\n" : "");
    const struct tls_server_step step = {bytes.data, bytes.len_bytes, TLS_SERVER_KEEP};

    tls_server_start(&f.server, "IP:127.0.0.1", TLS1_3_VERSION, &step, 1);
    fixture_connect(&f, options);
    uint32_t code = get_host_code(&f);

    fixture_end(&f);
    return code;
}

static void message_bound_is_exact(void **state)
{
    (void)state;
    assert_int_equal(code_for_body_of(5000, false), 0);
    assert_int_equal(code_for_body_of(5000, true), 0);
    assert_int_equal(code_for_body_of(5001, false), XENRES_RESOURCE_EXHAUSTED);
    assert_int_equal(code_for_body_of(5001, true), XENRES_RESOURCE_EXHAUSTED);
}

static void garbage_is_no_message(void **state)
{
    (void)state;
    EXPECT_HOST_ERROR("HTTP/1.1 200 OK\r\nContent-Type: application/proto\r\n"
                      "Content-Length: 8\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff",
                      TLS_SERVER_KEEP, XENRES_INTERNAL);
    /* host = a message of 100 bytes, of which there are two */
    EXPECT_HOST_ERROR("HTTP/1.1 200 OK\r\nContent-Type: application/proto\r\n"
                      "Content-Length: 4\r\n\r\n\x0a\x64zz", TLS_SERVER_KEEP, XENRES_INTERNAL);
    /* host.hostname with a NUL in it */
    EXPECT_HOST_ERROR("HTTP/1.1 200 OK\r\nContent-Type: application/proto\r\n"
                      "Content-Length: 7\r\n\r\n\x0a\x05\x22\x03""a\0b",
                      TLS_SERVER_KEEP, XENRES_INTERNAL);
}

static void endless_head_is_ended(void **state)
{
    BUFFER_AUTO bytes;

    (void)state;
    buffer_init(&bytes, 1 << 20);
    buffer_append_string(&bytes, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < 2000; i++) {
        buffer_printf(&bytes, "X-%d: 0123456789012345678901234567890123456789\r\n", i);
    }
    expect_host_error((struct tls_server_step){bytes.data, bytes.len_bytes, TLS_SERVER_HANG},
                      XENRES_INTERNAL);
}

static void silence_ends_at_the_timeout(void **state)
{
    const struct tls_server_step step = FIXTURE_TEXT("", TLS_SERVER_HANG);
    struct fixture f;

    (void)state;
    fixture_start_impatient(&f, &step, 1);
    assert_int_equal(get_host_code(&f), XENRES_DEADLINE_EXCEEDED);
    fixture_end(&f);
}

static void slow_drip_ends_at_the_timeout(void **state)
{
    const struct tls_server_step step = FIXTURE_TEXT(
        "HTTP/1.1 200 OK\r\nContent-Type: application/proto\r\nContent-Length: 100000\r\n\r\n",
        TLS_SERVER_DRIP);
    struct fixture f;

    (void)state;
    fixture_start_impatient(&f, &step, 1);
    assert_int_equal(get_host_code(&f), XENRES_DEADLINE_EXCEEDED);
    fixture_end(&f);
}

static void redirect_is_not_followed(void **state)
{
    static const struct tls_server_step steps[] = {
        FIXTURE_TEXT("HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n",
                     TLS_SERVER_KEEP),
        FIXTURE_TEXT("", TLS_SERVER_CLOSE),
    };
    struct fixture f;

    (void)state;
    fixture_start(&f, steps, 2);
    assert_int_equal(get_host_code(&f), XENRES_UNKNOWN);
    assert_int_equal(f.error.http_status, 302);
    fixture_end(&f);
    assert_int_equal(f.server.next_step, 1);
}

static void error_comes_with_its_detail(void **state)
{
    /* call "c", errno "EINVAL", cause "why", next "do" */
    const struct tls_server_step step = FIXTURE_TEXT(
        "HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: 141\r\n\r\n"
        "{\"code\":\"not_found\",\"message\":\"no domain 7\",\"details\":[{\"type\":\"a.B\"},"
        "{\"type\":\"xenres.v1.XenFailure\",\"value\":\"CgFjEgZFSU5WQUwaA3doeSICZG8\"}]}",
        TLS_SERVER_KEEP);
    struct fixture f;

    (void)state;
    fixture_start(&f, &step, 1);
    assert_int_equal(get_host_code(&f), XENRES_NOT_FOUND);
    assert_string_equal(f.error.message, "no domain 7");
    assert_string_equal(f.error.call, "c");
    assert_string_equal(f.error.errno_name, "EINVAL");
    assert_string_equal(f.error.cause, "why");
    assert_string_equal(f.error.next_step, "do");
    assert_int_equal(f.error.http_status, 404);
    fixture_end(&f);
}

static void error_texts_steer_no_terminal(void **state)
{
    const struct tls_server_step step = FIXTURE_TEXT(
        "HTTP/1.1 500 Oops\r\nContent-Type: application/json\r\nContent-Length: 63\r\n\r\n"
        "{\"code\":\"internal\",\"message\":\"a\\u001b[2Jb\\u202ec\",\"details\":17}   ",
        TLS_SERVER_KEEP);
    struct fixture f;

    (void)state;
    fixture_start(&f, &step, 1);
    assert_int_equal(get_host_code(&f), XENRES_INTERNAL);
    assert_string_equal(f.error.message, "a?[2Jb???c");
    fixture_end(&f);
}

/* A status and a body that is no error object: the status decides. */
static void expect_status_code(int status, const char *body, size_t len, uint32_t code)
{
    BUFFER_AUTO bytes;

    buffer_init(&bytes, 1 << 20);
    buffer_printf(&bytes, "HTTP/1.1 %d X\r\nContent-Type: application/json\r\n"
                          "Content-Length: %zu\r\n\r\n", status, len);
    buffer_append(&bytes, body, len);
    expect_host_error((struct tls_server_step){bytes.data, bytes.len_bytes, TLS_SERVER_KEEP}, code);
}

static void malformed_errors_fall_back_to_the_status(void **state)
{
    static const char *const bodies[] = {
        "", "{", "[]", "17", "{\"code\":5}", "{\"message\":\"no code\"}", "not JSON at all",
        "{\"code\":\"internal\",\"code\":\"not_found\"}", "\xff\xfe", "{\"code\":\"made_up\"}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        expect_status_code(503, bodies[i], strlen(bodies[i]), XENRES_UNAVAILABLE);
    }
    expect_status_code(404, "", 0, XENRES_UNIMPLEMENTED);
    expect_status_code(500, "", 0, XENRES_UNKNOWN);
    expect_status_code(401, "", 0, XENRES_UNAUTHENTICATED);
    expect_status_code(204, "", 0, XENRES_UNKNOWN);
}

static void nested_error_is_no_bomb(void **state)
{
    static char nested[60000];

    (void)state;
    memset(nested, '[', sizeof(nested));
    expect_status_code(500, nested, sizeof(nested), XENRES_UNKNOWN);
}

static void long_error_body_is_cut(void **state)
{
    static char body[300000];

    (void)state;
    memset(body, ' ', sizeof(body));
    expect_status_code(429, body, sizeof(body), XENRES_UNAVAILABLE);
}

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
    struct fixture f;
    BUFFER_AUTO bytes;
    xenres_grant_query query = XENRES_GRANT_QUERY_INIT(domain);
    const xenres_grant_table *table;
    const struct tls_server_step step = fixture_message(&bytes, &g->answer.base);

    query.incarnation = incarnation;
    query.first_reference = first_reference;
    fixture_start(&f, &step, 1);
    int result = xenres_get_grant_table(f.handle, &query, &f.reply, &table, &f.error);

    if (result == 0) {
        assert_int_equal(table->grants[0].kind, 77);    /* a number of a later version */
    }
    fixture_end(&f);
    return result;
}

static void identity_that_was_asked_for_is_taken(void **state)
{
    static const char *const spellings[] = {
        "5", "domid:5", UUID_A, "uuid:" UUID_A, "guest", "name:7", "name:" UUID_B};
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
    assert_int_equal(ask_grants(&g, "5", NULL, 9), -XENRES_INTERNAL);   /* entry 8 comes before */
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
    Xenres__V1__Domain *domains[] = {&domain};
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
    struct fixture f;
    BUFFER_AUTO a;
    BUFFER_AUTO b;
    BUFFER_AUTO c;
    const xenres_domain_list *list;
    size_t len_bytes;
    const struct tls_server_step steps[] = {
        domains_page(&a, 1, "x"), domains_page(&b, 2, "y"), domains_page(&c, 3, "")};

    (void)state;
    fixture_start(&f, steps, 3);
    assert_int_equal(xenres_list_domains(f.handle, &f.reply, &list, &f.error), 0);
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

static void tokens_in_a_circle_come_to_an_end(void **state)
{
    enum { STEPS = 4200 };
    static struct tls_server_step steps[STEPS];
    struct fixture f;
    BUFFER_AUTO bytes;
    const xenres_domain_list *list;

    (void)state;
    steps[0] = domains_page(&bytes, 1, "again");
    for (size_t i = 1; i < STEPS; i++) {
        steps[i] = steps[0];
    }
    fixture_start(&f, steps, STEPS);
    assert_int_equal(xenres_list_domains(f.handle, &f.reply, &list, &f.error),
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
    struct fixture f;
    BUFFER_AUTO a;
    BUFFER_AUTO b;
    const xenres_resource_query query = XENRES_RESOURCE_QUERY_INIT("guest");
    const xenres_resource_list *list;
    const struct tls_server_step steps[] = {resources_page(&a, LIFE_A, "x"),
                                            resources_page(&b, LIFE_B, "")};

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
    struct fixture f;
    BUFFER_AUTO bytes;
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
        cmocka_unit_test(good_answer_is_taken),
        cmocka_unit_test(empty_answer_is_an_empty_message),
        cmocka_unit_test(truncated_body_is_unavailable),
        cmocka_unit_test(close_without_answer_is_unavailable),
        cmocka_unit_test(wrong_content_type_is_refused),
        cmocka_unit_test(encoding_that_nobody_asked_for_is_refused),
        cmocka_unit_test(huge_length_is_refused_before_any_byte),
        cmocka_unit_test(message_bound_is_exact),
        cmocka_unit_test(garbage_is_no_message),
        cmocka_unit_test(endless_head_is_ended),
        cmocka_unit_test(silence_ends_at_the_timeout),
        cmocka_unit_test(slow_drip_ends_at_the_timeout),
        cmocka_unit_test(redirect_is_not_followed),
        cmocka_unit_test(error_comes_with_its_detail),
        cmocka_unit_test(error_texts_steer_no_terminal),
        cmocka_unit_test(malformed_errors_fall_back_to_the_status),
        cmocka_unit_test(nested_error_is_no_bomb),
        cmocka_unit_test(long_error_body_is_cut),
        cmocka_unit_test(identity_that_was_asked_for_is_taken),
        cmocka_unit_test(other_identity_is_refused),
        cmocka_unit_test(grants_that_lead_backwards_are_refused),
        cmocka_unit_test(pages_become_one_list),
        cmocka_unit_test(tokens_in_a_circle_come_to_an_end),
        cmocka_unit_test(pages_of_two_lives_are_no_list),
        cmocka_unit_test(snapshot_has_to_be_what_was_asked_for),
    };

    return UNIT_RUN(tests);
}
