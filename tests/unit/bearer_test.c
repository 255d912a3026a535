/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * A token that is shown again on its connection: known by its text, and by nothing less; and never longer
 * than it is good, nor by other rules than those that have accepted it.
 */
#include "tests/lib/unit.h"

#include "server/rpc/bearer.h"
#include "tests/lib/echo_rig.h"
#include "tests/lib/folder.h"
#include "tests/lib/minter.h"

enum { REQUEST_BYTES = 4096, DAY_S = 86400 };

#define ISSUER "https://issuer.example"

struct rig {
    struct echo_rig echo;
    struct folder dir;
    struct minter minter;
    struct access *access; /* in force */
    struct exchange_memory memory;
    struct buffer alice, bob; /* tokens */
};

/* --- one connection, and the rules ------------------------------------------------------------- */

/* Reads the files anew; `denied`: a line of the deny list. */
static void reload(struct rig *r, const char *denied)
{
    const struct access_options options = {
        .tokens = { .issuers = { { .name = "corp",
                                   .issuer = ISSUER,
                                   .audience = "xenresd",
                                   .groups_claim = "groups",
                                   .jwks = folder_path(&r->dir, "jwks") } },
                    .issuer_count = 1 },
        .deny = folder_path(&r->dir, "deny"),
    };
    struct access *access = NULL;
    BUFFER_AUTO(faults, 4096);

    folder_write(folder_path(&r->dir, "deny"), denied, strlen(denied));
    if (access_load(&options, &access, &faults, NULL) != 0) {
        fail_msg("%s", buffer_string(&faults));
    }
    rpc_set_access(r->echo.rpc, access);
    access_unref(r->access);
    r->access = access;
}

static void make_keys(struct rig *r)
{
    BUFFER_AUTO(keys, 8192);

    minter_init(&r->minter);
    minter_jwks(&r->minter, &keys);
    folder_write(folder_path(&r->dir, "jwks"), keys.data, keys.len_bytes);
    reload(r, "# nobody\n");
}

/* The issuer has others now, and what was signed with the old ones is worth nothing. */
static void change_keys(struct rig *r)
{
    minter_done(&r->minter);
    make_keys(r);
}

static void mint(struct rig *r, const char *subject, struct buffer *out)
{
    char claims[256];

    (void)snprintf(claims, sizeof(claims),
                   "{\"iss\":\"" ISSUER "\",\"aud\":\"xenresd\",\"sub\":\"%s\",\"exp\":%lld}",
                   subject, (long long)(clock_wall_ns() / CLOCK_NS_PER_S + DAY_S));
    minter_mint(&r->minter, JOSE_ES256, "{\"alg\":\"ES256\",\"kid\":\"ES256\"}", claims, out);
}

static int begin(void **state)
{
    static struct rig r;

    r = (struct rig){ .dir = folder_make() };
    buffer_init(&r.alice, 4096);
    buffer_init(&r.bob, 4096);
    echo_rig_init(&r.echo, 1024, 1024, "");
    make_keys(&r);
    mint(&r, "alice", &r.alice);
    mint(&r, "bobby", &r.bob);
    *state = &r;
    return 0;
}

static void close_connection(struct rig *r)
{
    if (r->memory.kept != NULL) {
        r->memory.release(r->memory.kept);
    }
    r->memory = (struct exchange_memory){ 0 };
}

static int end(void **state)
{
    struct rig *r = *state;

    close_connection(r);
    echo_rig_done(&r->echo);
    access_unref(r->access);
    minter_done(&r->minter);
    buffer_done(&r->alice);
    buffer_done(&r->bob);
    folder_done(&r->dir);
    return 0;
}

/* A request's head with it on the connection, as whom its certificate names (NULL: there is none). */
static struct exchange *begin_asking(struct rig *r, const char *token,
                                     const struct identity *certificate)
{
    static struct echo_request q;
    static char text[REQUEST_BYTES];

    (void)snprintf(text, sizeof(text), "GET /raw/any\nAuthorization: Bearer %s\n\n", token);
    echo_parse(&q, text, strlen(text));
    const struct exchange_head head = {
        .method = q.method,
        .target = q.target,
        .header = echo_header,
        .arg = &q,
        .memory = &r->memory,
        .who = certificate,
        .is_anonymous = certificate == NULL,
        .peer_address = "127.0.0.1",
        .received_ns = clock_monotonic_ns(),
    };
    struct exchange *x = exchange_new(r->echo.rpc, &head);

    assert_non_null(x);
    return x;
}

static int run(struct exchange *x)
{
    assert_true(exchange_run(x, NULL, NULL)); /* at once */
    return exchange_reply(x)->status;
}

static struct exchange *ask(struct rig *r, const char *token, const struct identity *certificate)
{
    struct exchange *x = begin_asking(r, token, certificate);

    (void)run(x);
    return x;
}

/* Its answer's status, and in *kept what remembers the token then: to compare, no more. */
static int status_of(struct rig *r, const char *token, const void **kept)
{
    struct exchange *x = ask(r, token, NULL);
    int status = exchange_reply(x)->status;

    *kept = r->memory.kept;
    assert_true(status != 200 || *kept == x->bearer);
    exchange_free(x);
    return status;
}

static const void *accepted(struct rig *r, struct buffer *token)
{
    const void *kept;

    assert_int_equal(status_of(r, buffer_string(token), &kept), 200);
    assert_non_null(kept);
    return kept;
}

/* --- the tests ------------------------------------------------------------------------------------ */

static void the_same_token_is_looked_at_once(void **state)
{
    struct rig *r = *state;
    const void *first = accepted(r, &r->alice);

    assert_ptr_equal(accepted(r, &r->alice), first);
    assert_ptr_equal(accepted(r, &r->alice), first);
    close_connection(r);
    (void)accepted(r, &r->alice);
}

/* Each of its characters is another one in turn; then it lacks some of its end, or has more. */
static void nothing_less_than_its_text_will_do(void **state)
{
    struct rig *r = *state;
    const void *first = accepted(r, &r->alice), *kept;
    char other[REQUEST_BYTES];
    size_t len = strlen(buffer_string(&r->alice));

    for (size_t i = 0; i < len; i++) {
        memcpy(other, buffer_string(&r->alice), len + 1);
        other[i] = other[i] == 'A' ? 'B' : 'A';
        assert_int_equal(status_of(r, other, &kept), 401);
        assert_ptr_equal(kept, first);
    }
    memcpy(other, buffer_string(&r->alice), len + 1);
    (void)strcpy(other + len, "A");
    assert_int_equal(status_of(r, other, &kept), 401);
    for (size_t i = len; i > 0; i--) {
        other[i - 1] = '\0';
        assert_int_equal(status_of(r, other, &kept), 401);
    }
    assert_ptr_equal(accepted(r, &r->alice), first);
}

static void another_token_takes_its_place(void **state)
{
    struct rig *r = *state;

    assert_int_equal(strlen(buffer_string(&r->alice)), strlen(buffer_string(&r->bob)));
    (void)accepted(r, &r->alice);
    struct exchange *x = ask(r, buffer_string(&r->bob), NULL);

    assert_string_equal(x->call.who->text, "jwt:corp:bobby");
    exchange_free(x);
    x = ask(r, buffer_string(&r->alice), NULL);
    assert_string_equal(x->call.who->text, "jwt:corp:alice");
    exchange_free(x);
}

static void what_was_accepted_by_other_rules_is_looked_at_again(void **state)
{
    struct rig *r = *state;
    const void *first = accepted(r, &r->alice), *kept;

    reload(r, "# nobody\n");
    assert_ptr_not_equal(accepted(r, &r->alice), first);
    reload(r, "identity:jwt:corp:alice\n");
    assert_int_equal(status_of(r, buffer_string(&r->alice), &kept), 401);
    reload(r, "# nobody\n");
    (void)accepted(r, &r->alice);
    change_keys(r);
    assert_int_equal(status_of(r, buffer_string(&r->alice), &kept), 401);
}

/* The head may have come long before the rest. */
static void rules_of_now_count_where_its_head_came_before(void **state)
{
    struct rig *r = *state;
    struct exchange *before, *x;

    (void)accepted(r, &r->alice);
    before = begin_asking(r, buffer_string(&r->alice), NULL);
    reload(r, "# nobody\n");
    assert_int_equal(run(before), 200);
    x = begin_asking(r, buffer_string(&r->alice), NULL);
    change_keys(r);
    assert_int_equal(run(x), 401);
    exchange_free(before);
    exchange_free(x);
}

/* A stream, say, that goes on: whose token it was is not forgotten with another one, nor with the connection. */
static void whoever_is_answered_outlives_its_connection(void **state)
{
    struct rig *r = *state;
    struct exchange *x = ask(r, buffer_string(&r->alice), NULL);

    (void)accepted(r, &r->bob);
    close_connection(r);
    assert_string_equal(x->call.who->text, "jwt:corp:alice");
    exchange_free(x);
}

static void it_is_good_beside_its_certificate_only(void **state)
{
    struct rig *r = *state;
    const struct identity one = { .text = "cn:one",
                                  .fingerprint = { 1 },
                                  .not_after_s = INT64_MAX },
                          two = { .text = "cn:two",
                                  .fingerprint = { 2 },
                                  .not_after_s = INT64_MAX };
    const struct identity *const shown[] = { &one, NULL, &two };
    const void *before = accepted(r, &r->alice);

    for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++) {
        static const uint8_t none[sizeof(one.fingerprint)];
        struct exchange *x = ask(r, buffer_string(&r->alice), shown[i]);

        assert_ptr_not_equal(r->memory.kept, before);
        assert_memory_equal(x->call.who->fingerprint,
                            shown[i] != NULL ? shown[i]->fingerprint : none, sizeof(none));
        before = r->memory.kept;
        exchange_free(x);
    }
}

/* The last: the clock goes on. */
static void it_ends_with_its_time(void **state)
{
    struct rig *r = *state;

    (void)accepted(r, &r->alice);
    clock_shift_wall(INT64_C(2) * DAY_S * (int64_t)CLOCK_NS_PER_S);
    struct exchange *x = begin_asking(r, buffer_string(&r->alice), NULL);

    assert_null(x->bearer); /* it is not even begun with it */
    assert_int_equal(run(x), 401);
    exchange_free(x);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_same_token_is_looked_at_once),
        TEST(nothing_less_than_its_text_will_do),
        TEST(another_token_takes_its_place),
        TEST(what_was_accepted_by_other_rules_is_looked_at_again),
        TEST(rules_of_now_count_where_its_head_came_before),
        TEST(whoever_is_answered_outlives_its_connection),
        TEST(it_is_good_beside_its_certificate_only),
        TEST(it_ends_with_its_time),
    };

    return UNIT_RUN(tests);
}
