/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* When the resolver asks the mapper for the domains, and whom it answers from which list. */
#include "tests/lib/fake_mapper.h"

#include <stdatomic.h>

#include "common/log.h"
#include "server/resource/resolver.h"

struct rig {
    struct fake_mapper mapper;
    struct outcome connected;
    struct mapper_client *client;
    struct resolver *resolver;
};

static void rig_init(struct rig *r, bool with_mapper)
{
    *r = (struct rig){ .connected = OUTCOME_INIT };
    fake_mapper_init(&r->mapper);
    if (with_mapper) { /* before the client: with a clock that stands it would not try again */
        fake_mapper_listen(&r->mapper);
    }
    r->client = fake_mapper_client(&r->mapper, &r->connected);
    assert_int_equal(resolver_new(r->client, &r->resolver, NULL), 0);
    if (with_mapper) {
        fake_mapper_join(&r->mapper);
        outcome_wait(&r->connected, 1);
    }
}

static void rig_done(struct rig *r)
{
    mapper_client_free(r->client);
    resolver_free(r->resolver);
    fake_mapper_done(&r->mapper);
}

static bool all_visible(void *arg, const struct domain_identity *d)
{
    (void)arg;
    (void)d;
    return true;
}

static void on_done(void *arg)
{
    outcome_tick(arg);
}

static void ask(struct resolver_request *q, const char *text, uint32_t deadline_ms,
                struct outcome *o)
{
    *q = (struct resolver_request){
        .filter = { .visible = all_visible },
        .deadline_ns = fake_deadline(deadline_ms),
        .done = on_done,
        .arg = o,
    };
    assert_int_equal(domain_spelling_parse(text, &q->spelling, NULL), 0);
}

/* Answers one page request with one domain. */
static void answer_page(struct rig *r, uint16_t domid, const char *name, bool more)
{
    union message request;
    const struct message_domain d = fake_domain(domid, name, (uint8_t)domid, 1);

    fake_mapper_request(&r->mapper, &request);
    assert_int_equal(request.head.type, MESSAGE_DOMAINS);
    fake_mapper_domains(&r->mapper, request.head.serial, &d, 1, more);
}

/* Resolves with a list of one domain; `list` false: nothing is asked of the mapper. */
static int resolve(struct rig *r, const char *text, bool anew, bool list, uint16_t domid,
                   const char *name)
{
    struct resolver_request q;
    struct outcome o = OUTCOME_INIT;

    ask(&q, text, FAKE_WAIT_MS, &o);
    q.anew = anew;
    bool at_once = resolver_start(r->resolver, &q);

    assert_int_equal(at_once, !list);
    if (list) {
        answer_page(r, domid, name, false);
        outcome_wait(&o, 1);
    }
    return q.result == 0 ? q.domain.identity.domid : q.result;
}

static void a_list_is_made_once_and_made_anew_when_it_changed(void **state)
{
    struct rig r;

    (void)state;
    rig_init(&r, true);
    assert_int_equal(resolve(&r, "web", false, true, 5, "web"), 5);
    assert_int_equal(resolve(&r, "web", false, false, 0, NULL), 5);
    assert_int_equal(resolve(&r, "5", false, false, 0, NULL), 5);
    resolver_changed(r.resolver);
    assert_int_equal(resolve(&r, "web", false, true, 6, "web"), 6);
    assert_int_equal(resolve(&r, "web", false, false, 0, NULL), 6);
    assert_int_equal(resolve(&r, "web", true, true, 7, "web"), 7); /* asked for anew */
    rig_done(&r);
}

static bool nobody_visible(void *arg, const struct domain_identity *d)
{
    (void)arg;
    (void)d;
    return false;
}

/* By number and incarnation, of the newest list, and whoever may see it. */
static void a_life_is_found_whatever_it_is_called_and_whoever_asks(void **state)
{
    struct domain_identity life = fake_domain(5, "web", 5, 1).identity, other = life, now;
    struct rig r;
    struct resolver_request q;
    struct outcome o = OUTCOME_INIT;

    (void)state;
    rig_init(&r, true);
    assert_false(resolver_finds_life(r.resolver, &life, &now)); /* there is no list yet */
    ask(&q, "web", FAKE_WAIT_MS, &o);
    q.filter.visible = nobody_visible;
    assert_false(resolver_start(r.resolver, &q));
    answer_page(&r, 5, "vault", false);
    outcome_wait(&o, 1);
    assert_int_equal(q.result, -ERROR_NOT_FOUND);
    assert_true(resolver_finds_life(r.resolver, &life, &now));
    assert_string_equal(now.name, "vault");
    other.incarnation[0]++;
    assert_false(resolver_finds_life(r.resolver, &other, &now));
    other = life;
    other.domid = 6;
    assert_false(resolver_finds_life(r.resolver, &other, &now));
    rig_done(&r);
}

/* One that is good, or that is made for it. */
static void a_list_alone_can_be_asked_for(void **state)
{
    struct rig r;
    struct resolver_request q;
    struct outcome o = OUTCOME_INIT;

    (void)state;
    rig_init(&r, true);
    ask(&q, "none", FAKE_WAIT_MS, &o);
    q.only_list = true;
    assert_false(resolver_start(r.resolver, &q));
    answer_page(&r, 5, "web", false);
    outcome_wait(&o, 1);
    assert_int_equal(q.result, 0);
    q.result = -1;
    assert_true(resolver_start(r.resolver, &q));
    assert_int_equal(q.result, 0);
    resolver_changed(r.resolver);
    assert_false(resolver_start(r.resolver, &q));
    answer_page(&r, 5, "web", false);
    outcome_wait(&o, 2);
    rig_done(&r);
}

static atomic_uint_fast64_t fake_now_ns;
static uint64_t fake_now(void *arg)
{
    (void)arg;
    return atomic_load(&fake_now_ns);
}

static void what_is_missed_is_looked_for_but_not_in_a_loop(void **state)
{
    const struct clock_source source = { .monotonic_ns = fake_now, .wall_ns = fake_now };
    struct rig r;

    (void)state;
    fake_now_ns = CLOCK_NS_PER_S;
    clock_set_source(&source);
    rig_init(&r, true);
    assert_int_equal(resolve(&r, "web", false, true, 5, "web"), 5);
    assert_int_equal(resolve(&r, "new", false, false, 0, NULL), -ERROR_NOT_FOUND);
    fake_now_ns += RESOLVER_MISS_NS;
    assert_int_equal(resolve(&r, "new", false, true, 8, "new"), 8);
    assert_int_equal(resolve(&r, "gone", false, false, 0, NULL), -ERROR_NOT_FOUND);
    fake_now_ns += RESOLVER_MISS_NS;
    assert_int_equal(resolve(&r, "gone", false, true, 8, "new"), -ERROR_NOT_FOUND);
    rig_done(&r);
    clock_set_source(NULL);
}

static void pages_are_put_together(void **state)
{
    struct rig r;
    struct resolver_request q;
    struct outcome o = OUTCOME_INIT;
    union message request;
    const struct message_domain last = fake_domain(90, "last", 9, 9);

    (void)state;
    rig_init(&r, true);
    ask(&q, "last", FAKE_WAIT_MS, &o);
    assert_false(resolver_start(r.resolver, &q));
    answer_page(&r, 5, "first", true);
    fake_mapper_request(&r.mapper, &request);
    assert_int_equal(request.domains.first_domid, 6);
    fake_mapper_domains(&r.mapper, request.head.serial, &last, 1, false);
    outcome_wait(&o, 1);
    assert_int_equal(q.result, 0);
    assert_true(domain_identity_equal(&q.domain.identity, &last.identity));
    assert_int_equal(q.domain.max_vcpus, 2);
    rig_done(&r);
}

/* Who asks while a list is being made is answered by the next one: the first may be older. */
static void many_who_ask_at_once_share_a_list(void **state)
{
    enum { MANY = 20 };
    struct rig r;
    struct resolver_request first, q[MANY];
    struct outcome o_first = OUTCOME_INIT, o = OUTCOME_INIT;
    union message none;

    (void)state;
    rig_init(&r, true);
    ask(&first, "web", FAKE_WAIT_MS, &o_first);
    assert_false(resolver_start(r.resolver, &first));
    for (int i = 0; i < MANY; i++) {
        ask(&q[i], "web", FAKE_WAIT_MS, &o);
        assert_false(resolver_start(r.resolver, &q[i]));
    }
    answer_page(&r, 5, "web", false);
    outcome_wait(&o_first, 1);
    assert_int_equal(first.domain.identity.domid, 5);
    assert_int_equal(o.count, 0);
    answer_page(&r, 6, "web", false);
    outcome_wait(&o, MANY);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(q[i].domain.identity.domid, 6);
    }
    assert_int_equal(channel_receive(&r.mapper.peer, &none, sizeof(none), NULL, NULL, NULL), 0);
    rig_done(&r);
}

static void each_waits_no_longer_than_its_own_deadline(void **state)
{
    struct rig r;
    struct resolver_request patient, hasty;
    struct outcome o_patient = OUTCOME_INIT, o_hasty = OUTCOME_INIT;
    union message request;
    const struct message_domain d = fake_domain(5, "web", 5, 1);

    (void)state;
    rig_init(&r, true);
    ask(&patient, "web", FAKE_WAIT_MS, &o_patient);
    ask(&hasty, "web", 5, &o_hasty);
    assert_false(resolver_start(r.resolver, &patient));
    assert_false(resolver_start(r.resolver, &hasty));
    outcome_wait(&o_hasty, 1);
    assert_int_equal(hasty.result, -ERROR_DEADLINE_EXCEEDED);
    fake_mapper_request(&r.mapper, &request);
    fake_mapper_domains(&r.mapper, request.head.serial, &d, 1, false);
    outcome_wait(&o_patient, 1);
    assert_int_equal(patient.result, 0);
    rig_done(&r);
}

static void without_a_mapper_the_answer_is_unavailable_at_once(void **state)
{
    struct rig r;
    struct resolver_request q;
    struct outcome o = OUTCOME_INIT;

    (void)state;
    rig_init(&r, false);
    ask(&q, "web", FAKE_WAIT_MS, &o);
    assert_true(resolver_start(r.resolver, &q));
    assert_int_equal(q.result, -ERROR_UNAVAILABLE);
    assert_int_equal(o.count, 0);
    rig_done(&r);
}

static void a_mapper_that_dies_is_told_to_all_who_wait(void **state)
{
    struct rig r;
    struct resolver_request q[3];
    struct outcome o = OUTCOME_INIT;
    union message request;

    (void)state;
    rig_init(&r, true);
    for (int i = 0; i < 3; i++) {
        ask(&q[i], "web", FAKE_WAIT_MS, &o);
        assert_false(resolver_start(r.resolver, &q[i]));
    }
    fake_mapper_request(&r.mapper, &request);
    fake_mapper_leave(&r.mapper);
    outcome_wait(&o, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(q[i].result, -ERROR_UNAVAILABLE);
    }
    fake_mapper_join(&r.mapper);
    outcome_wait(&r.connected, 2);
    assert_int_equal(resolve(&r, "web", false, true, 5, "web"), 5);
    rig_done(&r);
}

static void the_end_of_the_client_ends_all_who_wait(void **state)
{
    struct rig r;
    struct resolver_request q[3];
    struct outcome o = OUTCOME_INIT;

    (void)state;
    rig_init(&r, true);
    for (int i = 0; i < 3; i++) {
        ask(&q[i], "web", FAKE_WAIT_MS, &o);
        assert_false(resolver_start(r.resolver, &q[i]));
    }
    mapper_client_free(r.client);
    r.client = NULL;
    assert_int_equal(o.count, 3);
    rig_done(&r);
}

/* --- many threads: for the thread sanitizer --------------------------------------------------- */

enum { ASKERS = 4, ASKS_EACH = 300 };

static void *ask_on(void *arg)
{
    struct rig *r = arg;

    for (int i = 0; i < ASKS_EACH; i++) {
        struct resolver_request q;
        struct outcome o = OUTCOME_INIT;

        ask(&q, i % 3 == 0 ? "web" : "7", i % 40 == 0 ? 0 : FAKE_WAIT_MS, &o);
        q.anew = i % 5 == 0;
        if (!resolver_start(r->resolver, &q)) {
            outcome_wait(&o, 1);
        }
        if (i % 7 == 0) {
            resolver_changed(r->resolver);
        }
    }
    return NULL;
}

static void many_threads_are_each_answered_once(void **state)
{
    pthread_t threads[ASKERS];
    struct rig r;
    bool busy = true;

    (void)state;
    rig_init(&r, true);
    for (int i = 0; i < ASKERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, ask_on, &r), 0);
    }
    while (busy) {
        struct pollfd p = { .fd = r.mapper.peer.fd, .events = POLLIN };

        if (poll(&p, 1, 20) == 1) {
            answer_page(&r, 7, "web", false);
            continue;
        }
        busy = false;
        for (int i = 0; i < ASKERS; i++) {
            if (threads[i] != 0) {
                if (pthread_tryjoin_np(threads[i], NULL) == 0) {
                    threads[i] = 0;
                } else {
                    busy = true;
                }
            }
        }
    }
    rig_done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_is_made_once_and_made_anew_when_it_changed),
        cmocka_unit_test(what_is_missed_is_looked_for_but_not_in_a_loop),
        cmocka_unit_test(a_life_is_found_whatever_it_is_called_and_whoever_asks),
        cmocka_unit_test(a_list_alone_can_be_asked_for),
        cmocka_unit_test(pages_are_put_together),
        cmocka_unit_test(many_who_ask_at_once_share_a_list),
        cmocka_unit_test(each_waits_no_longer_than_its_own_deadline),
        cmocka_unit_test(without_a_mapper_the_answer_is_unavailable_at_once),
        cmocka_unit_test(a_mapper_that_dies_is_told_to_all_who_wait),
        cmocka_unit_test(the_end_of_the_client_ends_all_who_wait),
        cmocka_unit_test(many_threads_are_each_answered_once),
    };

    log_open("resolver_test", (enum log_level)0);
    return UNIT_RUN(tests);
}
