/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What threads share of auth/ and of the listener's limits: certificates and tokens are verified, limits
 * counted and decisions written down by several at a time, while files are read again, the policy is
 * another, and the audit is put aside. Each sees the one or the other, and the accounts are right in the
 * end. For the thread sanitizer above all.
 */
#include "tests/lib/audit_rig.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "auth/access.h"
#include "auth/opaque_file.h"
#include "auth/policy_file.h"
#include "auth/quota.h"
#include "server/http/handshakes.h"
#include "tests/lib/certificate_root.h"
#include "tests/lib/minter.h"

enum { THREADS = 4, TURNS = 300, JWTS = 24, RELOADS = 50, CHANGES = 1000, RENAMES = 12 };
enum { CHEAP_TURNS = 20 * TURNS };

/* Assertions are the main thread's to make: the others say what is wrong, and go on. */
static atomic_uint wrong;

#define EXPECT(condition) atomic_fetch_add(&wrong, (condition) ? 0 : 1)

struct worker {
    pthread_t thread;
    unsigned number;
    void *shared;
};

static atomic_uint done; /* turns, of all */

static void end_turn(void)
{
    atomic_fetch_add(&done, 1);
}

/* Runs `work` on all of them, each of so many turns, and meanwhile `change` here, spread over that time. */
static void run_all(void *(*work)(void *), unsigned turns, void *shared,
                    void (*change)(void *, unsigned), unsigned changes)
{
    struct worker workers[THREADS];

    atomic_store(&wrong, 0);
    atomic_store(&done, 0);
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){ .number = i, .shared = shared };
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (unsigned i = 0; i < changes; i++) {
        while (atomic_load(&done) < i * (THREADS * turns / changes)) {
            (void)sched_yield();
        }
        change(shared, i);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
    }
    assert_int_equal(atomic_load(&wrong), 0);
}

/* --- who somebody is --------------------------------------------------------------------------- */

struct who {
    struct folder dir;
    struct access_options options;
    struct certificate alice;
    char jwts[JWTS][1024], opaque[OPAQUE_TOKEN_BYTES];
    pthread_mutex_t lock; /* of `access`, as rpc has one */
    struct access *access;
};

static struct access *take_access(struct who *w)
{
    (void)pthread_mutex_lock(&w->lock);
    struct access *access = access_ref(w->access);

    (void)pthread_mutex_unlock(&w->lock);
    return access;
}

/* Half of them end early: the memory forgets and learns them again and again, as time goes to and fro. */
static void verify_token(struct access *access, const struct who *w, unsigned number, bool late)
{
    const char *text = w->jwts[number];
    int64_t now_s = MINTER_NOW_S + (late ? 1000 : 0);
    char name[64];
    struct token token = { 0 };
    int result = access_token(access, text, strlen(text), NULL, now_s, &token, NULL);

    (void)snprintf(name, sizeof(name), "jwt:corp:%u", number);
    EXPECT((result == 0) == (!late || number % 2 == 0));
    EXPECT(result != 0 ||
           (strcmp(token.who.text, name) == 0 && access_token_still(access, &token, NULL) == 0));
}

static void *verify_all(void *arg)
{
    const struct worker *self = arg;
    struct who *w = self->shared;

    for (unsigned i = 0; i < TURNS; i++) {
        struct access *access = take_access(w);
        const struct certificate *chain = &w->alice;
        struct identity who = { 0 };
        struct token token = { 0 };

        EXPECT(i % 8 != 0 || certificates_verify(access, &chain, 1, &who) == IDENTITY_OK);
        verify_token(access, w, (i * 7 + self->number) % JWTS, i / 16 % 2 == 1);
        EXPECT(access_token(access, w->opaque, strlen(w->opaque), NULL, MINTER_NOW_S, &token,
                            NULL) == 0);
        EXPECT(access_still(access, &token.who, MINTER_NOW_S, NULL, NULL) == 0);
        access_unref(access);
        end_turn();
    }
    return NULL;
}

static void read_again(void *shared, unsigned turn)
{
    struct who *w = shared;
    struct access *fresh = NULL;
    BUFFER_AUTO(faults, 4096);

    (void)turn;
    assert_int_equal(access_load(&w->options, &fresh, &faults, NULL), 0);
    (void)pthread_mutex_lock(&w->lock);
    struct access *old = w->access;

    w->access = fresh;
    (void)pthread_mutex_unlock(&w->lock);
    access_unref(old);
}

static void mint_all(struct who *w, const char *keys)
{
    struct minter minter;
    BUFFER_AUTO(text, 8192);

    minter_init(&minter);
    minter_jwks(&minter, &text);
    folder_write(keys, text.data, text.len_bytes);
    for (unsigned i = 0; i < JWTS; i++) {
        char claims[256];
        BUFFER_AUTO(token, 1024);

        (void)snprintf(claims, sizeof(claims),
                       "{\"iss\":\"https://issuer.example\",\"aud\":\"xenresd\",\"sub\":\"%u\","
                       "\"exp\":%lld}",
                       i, (long long)MINTER_NOW_S + (i % 2 == 0 ? 100000 : 100));
        minter_mint(&minter, JOSE_ES256, "{\"alg\":\"ES256\",\"kid\":\"ES256\"}", claims, &token);
        (void)snprintf(w->jwts[i], sizeof(w->jwts[i]), "%s", buffer_string(&token));
    }
    minter_done(&minter);
}

static void write_root(const char *path)
{
    BIO *pem = BIO_new(BIO_s_mem());
    char *bytes;

    assert_int_equal(PEM_write_bio_X509(pem, root.x509), 1);
    long len = BIO_get_mem_data(pem, &bytes);

    folder_write(path, bytes, (size_t)len);
    BIO_free(pem);
}

static void files_are_read_again_under_those_who_verify(void **state)
{
    static const char deny[] = "identity:spiffe:spiffe://corp/mallory\n";
    const struct certificate_spec spec = { CERTIFICATES_CLIENT,
                                           .names = "URI:spiffe://corp/alice" };
    struct who w = { .dir = folder_make(), .lock = PTHREAD_MUTEX_INITIALIZER };
    const char *ca = folder_path(&w.dir, "ca"), *keys = folder_path(&w.dir, "keys"),
               *file = folder_path(&w.dir, "tokens"), *list = folder_path(&w.dir, "deny");

    (void)state;
    w.alice = certificates_make(&spec, &root);
    write_root(ca);
    mint_all(&w, keys);
    folder_write(list, deny, sizeof(deny) - 1);
    assert_int_equal(opaque_file_add(file, "backup", "", MINTER_NOW_S + 10, w.opaque, NULL), 0);
    w.options = (struct access_options){
        .trusts = { { .ca = ca } },
        .trust_count = 1,
        .tokens = { .issuers = { { .name = "corp",
                                   .issuer = "https://issuer.example",
                                   .audience = "xenresd",
                                   .groups_claim = "groups",
                                   .jwks = keys } },
                    .issuer_count = 1,
                    .file = file },
        .deny = list,
    };
    read_again(&w, 0);
    run_all(verify_all, TURNS, &w, read_again, RELOADS);
    access_unref(w.access);
    certificates_free(&w.alice);
    folder_done(&w.dir);
}

/* --- what he may use --------------------------------------------------------------------------- */

struct limits {
    struct quota *quota;
    struct policy *policies[2];
};

enum { FEW = 3, MANY = 5, BYTES = 100, PAUSES = 10 };

static struct policy *policy_of(unsigned snapshots)
{
    char text[512];
    struct policy *policy = NULL;
    BUFFER_AUTO(faults, 4096);
    int len =
        snprintf(text, sizeof(text),
                 "rule \"none\" { effect = deny identities = { \"all\" } domains = { \"all\" }"
                 " types = { \"all\" } actions = { \"all\" } }\n"
                 "limits \"all\" { identities = { \"all\" } snapshots = %u }\n",
                 snapshots);

    assert_int_equal(policy_file_parse("test", text, (size_t)len, &policy, &faults, NULL), 0);
    return policy;
}

static void start_a_trace(struct quota *q, const struct identity *who)
{
    const struct quota_running none = { .own = 0 };
    uint64_t round = 0;

    if (quota_start_begin(q, who, PAUSES, &round, NULL) == 0) {
        int result = quota_start_judge(q, who, PAUSES, &none, &round, NULL);

        EXPECT(result == 0 || result == -ERROR_ABORTED || result == -ERROR_RESOURCE_EXHAUSTED);
        quota_start_end(q, who, PAUSES);
    }
}

/* More of them than the table keeps when they hold nothing would take longer than a test should. */
static void *use_all(void *arg)
{
    const struct worker *self = arg;
    struct quota *q = ((struct limits *)self->shared)->quota;

    for (unsigned i = 0; i < CHEAP_TURNS; i++) {
        enum quota_call kind = i % 2 == 0 ? QUOTA_CALL_SNAPSHOT : QUOTA_CALL_PLAIN;
        struct identity who = { 0 };
        struct quota_share share;

        (void)snprintf(who.text, sizeof(who.text), "cn:%u", (i + self->number) % 3);
        (void)quota_request(q, &who, NULL);
        quota_share_of(q, &who, &share);
        EXPECT(share.snapshots == FEW || share.snapshots == MANY);
        EXPECT(share.arena_bytes == BYTES || share.arena_bytes == 2 * BYTES);
        if (quota_take(q, &who, kind, i % BYTES, NULL) == 0) {
            if (quota_hold(q, &who, 1, NULL) == 0) {
                quota_release(q, &who, 1);
            }
            (void)quota_sent(q, &who, i);
            quota_give(q, &who, kind, i % BYTES);
        }
        start_a_trace(q, &who);
        end_turn();
    }
    return NULL;
}

static void set_others(void *shared, unsigned turn)
{
    struct limits *l = shared;
    uint64_t hits[QUOTA_LIMIT_COUNT];

    quota_set_policy(l->quota, l->policies[turn % 2]);
    quota_set_arena_limit(l->quota, turn % 3 == 0 ? BYTES : 2 * BYTES);
    quota_set_pauses_limit(l->quota, turn % 5 == 0 ? PAUSES : 2 * PAUSES, 4 * PAUSES);
    assert_true(quota_pauses_in_all(l->quota) > 0);
    quota_count_hits(l->quota, hits);
}

static void limits_change_under_those_who_hold(void **state)
{
    const struct quota_limits limits = {
        .each = { .requests_per_second = 1000,
                  .bytes_per_second = 1 << 20,
                  .calls = 3,
                  .snapshots = MANY + 1,
                  .arena_bytes = BYTES,
                  .pauses_per_second = 2 * PAUSES },
        .all = { .requests_per_second = 2000, .snapshots = 4 },
    };
    struct limits l = { .policies = { policy_of(FEW), policy_of(MANY) } };

    (void)state;
    assert_int_equal(quota_new(&limits, &l.quota, NULL), 0);
    set_others(&l, 0);
    run_all(use_all, CHEAP_TURNS, &l, set_others, CHANGES);
    policy_unref(l.policies[0]);
    policy_unref(l.policies[1]);
    quota_free(l.quota); /* asserts that everything was given back */
}

/* --- what is written of it --------------------------------------------------------------------- */

static void *write_all(void *arg)
{
    const struct worker *self = arg;
    struct audit_rig *r = self->shared;

    for (unsigned i = 0; i < TURNS; i++) {
        struct identity who = { 0 };
        const struct audit_record denied = { .event = AUDIT_DENIED,
                                             .who = &who,
                                             .peer = "192.0.2.1:5",
                                             .action = "watch",
                                             .outcome = ERROR_PERMISSION_DENIED };

        (void)snprintf(who.text, sizeof(who.text), "cn:%u", i % 3);
        EXPECT(audit_rig_write(r, i) == 0);
        EXPECT(audit_write(r->audit, &denied, NULL) == 0);
        EXPECT(audit_check(r->audit, NULL) == 0);
        end_turn();
    }
    return NULL;
}

/* As an operator's logrotate(8) does it. */
static void put_aside(void *shared, unsigned turn)
{
    struct audit_rig *r = shared;
    struct audit_counters counted;
    char name[32];

    (void)snprintf(name, sizeof(name), "audit.log.%04u", turn);
    assert_int_equal(rename(folder_path(&r->dir, "audit.log"), folder_path(&r->dir, name)), 0);
    audit_reopen(r->audit);
    audit_reopen(r->audit); /* nobody has: nothing */
    audit_count(r->audit, &counted);
    assert_int_equal(counted.lost, 0);
}

/* All that were written, and all that were left out. */
static uint64_t told(const struct audit_rig *r)
{
    static char names[AUDIT_RIG_FILES][NAME_MAX + 1];
    size_t files = audit_rig_list(r, names);
    uint64_t suppressed = 0;
    unsigned denied = 0, sums = 0;

    for (size_t i = 0; i < files; i++) {
        uint64_t ignored = 0;

        denied += audit_rig_count_in(r, names[i], "\"event\":\"denied\"", &ignored);
        sums += audit_rig_count_in(r, names[i], "\"suppressed\":", &suppressed);
    }
    return denied - sums + suppressed;
}

static void the_audit_is_put_aside_under_those_who_write(void **state)
{
    static const enum audit_sync syncs[] = { AUDIT_SYNC_NONE, AUDIT_SYNC_INTERVAL,
                                             AUDIT_SYNC_EACH };

    (void)state;
    for (size_t i = 0; i < sizeof(syncs) / sizeof(syncs[0]); i++) {
        struct audit_rig r;

        audit_rig_init(&r);
        r.options.sync = syncs[i];
        r.options.log.max_bytes = AUDIT_RIG_MAX_BYTES;
        r.options.checkpoint_records = 50;
        r.options.tick_ms = 1;
        audit_rig_start(&r);
        run_all(write_all, TURNS, &r, put_aside, RENAMES);
        audit_rig_stop(&r);
        (void)audit_rig_whole(&r);
        assert_int_equal(audit_rig_count_all(&r, "\"event\":\"snapshot\""), THREADS * TURNS);
        assert_int_equal(told(&r), THREADS * TURNS);
        folder_done(&r.dir);
    }
}

/* --- who may begin ----------------------------------------------------------------------------- */

static atomic_uint admitted;

static void *shake_hands(void *arg)
{
    const struct worker *self = arg;
    struct handshakes *h = self->shared;

    for (unsigned i = 0; i < CHEAP_TURNS; i++) {
        struct sockaddr_in address = { .sin_family = AF_INET,
                                       .sin_addr.s_addr = htonl(0x0a000000 + i % 1000) };
        struct socket_origin origin;

        socket_origin((const struct sockaddr *)&address, &origin);
        if (handshakes_admit(h, &origin, CLOCK_NS_PER_S)) {
            atomic_fetch_add(&admitted, 1);
            if (i % 3 == 0) {
                handshakes_failed(h, &origin, CLOCK_NS_PER_S);
            }
        }
        end_turn();
    }
    return NULL;
}

static void look_on(void *shared, unsigned turn)
{
    static const struct socket_origin nowhere;

    (void)turn;
    assert_true(handshakes_admit(shared, &nowhere, CLOCK_NS_PER_S));
}

/* At one moment: what may come at once has come, and no more. */
static void handshakes_of_all_threads_have_one_budget(void **state)
{
    enum { IN_ALL = 100 };
    const struct handshakes_limits limits = { .per_second = 2, .per_second_in_all = IN_ALL };
    struct handshakes h;

    (void)state;
    assert_int_equal(handshakes_init(&h, &limits, CLOCK_NS_PER_S, NULL), 0);
    run_all(shake_hands, CHEAP_TURNS, &h, look_on, CHANGES);
    assert_int_equal(atomic_load(&admitted), IN_ALL * HANDSHAKES_BURST_S);
    handshakes_done(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_read_again_under_those_who_verify),
        cmocka_unit_test(limits_change_under_those_who_hold),
        cmocka_unit_test(the_audit_is_put_aside_under_those_who_write),
        cmocka_unit_test(handshakes_of_all_threads_have_one_budget),
    };

    return cmocka_run_group_tests(tests, certificate_root_make, certificate_root_free);
}
