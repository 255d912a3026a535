/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Streams of HostService.WatchDomains for tests: the services of the program, who may see what, lists that
 * the mapper answers with, and what a feed of domains can be given. */
#ifndef XENRES_TESTS_WATCH_DOMAINS_H
#define XENRES_TESTS_WATCH_DOMAINS_H

#include "tests/lib/watch_rig.h"

#include "server/rpc/host_watch.h"

#define WATCH "HostService/WatchDomains"

static struct rpc_rig rig;

static inline int begin(void **state)
{
    static const struct rpc_rig_limits limits = { .response_max_bytes = 1 << 20,
                                                  .arena_frames = 1 };

    (void)state;
    rpc_rig_init_limited(&rig, NULL, &limits);
    rpc_rig_join(&rig);
    return 0;
}

static inline int end(void **state)
{
    (void)state;
    rpc_rig_done(&rig);
    return 0;
}

/* Who may see which domains, and do nothing else. */
static inline void set_policy(const char *who, const char *domains)
{
    char text[256];

    (void)snprintf(text, sizeof(text),
                   "rule \"a\" { effect = allow identities = { \"%s\" } domains = { \"%s\" } "
                   "types = { \"all\" } actions = { \"list\" } }\n",
                   who, domains);
    struct policy *policy = rpc_rig_parse_policy(text);

    rpc_set_rules(rig.rpc, policy, NULL);
    policy_unref(policy);
}

static inline void open_watch(struct watching *w, const struct identity *who, const char *json)
{
    *w = (struct watching){ .feed = NULL };
    watch_open_as(&rig, w, who, WATCH, json);
}

/* Answers a request for the list, of this generation. */
static inline void answer_list(uint64_t generation, const struct message_domain *domains,
                               uint32_t count, bool more)
{
    union message request, answer;

    fake_mapper_request(&rig.mapper, &request);
    assert_int_equal(request.head.type, MESSAGE_DOMAINS);
    memset(&answer.domains_answer, 0, sizeof(answer.domains_answer));
    memcpy(answer.domains_answer.domains, domains, count * sizeof(*domains));
    answer.domains_answer.generation = generation;
    answer.domains_answer.domain_count = count;
    answer.domains_answer.more = more;
    fake_mapper_send(&rig.mapper, &answer, MESSAGE_DOMAINS | MESSAGE_ANSWER, request.head.serial);
}

static inline void answer_usual(uint64_t generation)
{
    const struct message_domain domains[] = { fake_domain(1, "web-1", 0x11, 1),
                                              fake_domain(3, "vault", 0x33, 3),
                                              fake_domain(4, "db", 0x44, 4) };

    answer_list(generation, domains, 3, false);
}

/* An event, whose memory is the test's until the next but so many. */
static inline struct feed_domain *put_event(struct watching *w, uint64_t number,
                                            uint64_t generation, uint32_t kind,
                                            const struct message_domain *now, const char *before)
{
    static struct feed_domain events[FAKE_FEEDS_ITEMS];
    static size_t next;
    struct feed_domain *e = &events[next++ % FAKE_FEEDS_ITEMS];

    *e = (struct feed_domain){ .number = number,
                               .generation = generation,
                               .kind = kind,
                               .monotonic_ns = clock_monotonic_ns(),
                               .now = *now };
    if (before != NULL) {
        e->had_name = 1;
        e->before = now->identity;
        memset(e->before.name, 0, sizeof(e->before.name));
        strcpy(e->before.name, before);
    }
    fake_feeds_put(w->feed, &(struct subscription_item){
                                .kind = SUBSCRIPTION_RECORD,
                                .record.record = { .kind = FEED_RECORD_DOMAIN, .domain = e } });
    return e;
}

static inline void put(struct watching *w, uint64_t number, uint32_t kind, const char *name,
                       const char *before)
{
    const struct message_domain now = fake_domain(9, name, 0x99, 9);

    (void)put_event(w, number, 1000 + number, kind, &now, before);
}

static inline void put_gap(struct watching *w, uint64_t first, uint64_t last)
{
    fake_feeds_put(w->feed,
                   &(struct subscription_item){
                       .kind = SUBSCRIPTION_GAP,
                       .gap = { FEED_GAP_TOO_SLOW, .first_batch = first, .batch = last } });
}

/* Begun behind event 5, its list told. */
static inline void open_listed(struct watching *w, const struct identity *who, const char *json)
{
    open_watch(w, who, json);
    fake_feeds_begin(w->feed, 5, false);
    assert_false(watch_flag(watch_expect(w, "begin"), "resumed"));
    watch_expect_nothing(w);
    answer_usual(7);
    (void)watch_await(w, "list");
    (void)watch_expect(w, "checkpoint");
    watch_expect_nothing(w);
}

static inline void expect_change(struct watching *w, const char *kind, const char *name,
                                 uint64_t number, uint64_t first)
{
    const json_t *said = watch_expect(w, "change");
    char wanted[64];

    (void)snprintf(wanted, sizeof(wanted), "DOMAIN_CHANGE_KIND_%s", kind);
    assert_string_equal(watch_text(said, "kind"), wanted);
    assert_string_equal(
        watch_text(json_object_get(json_object_get(said, "domain"), "identity"), "name"), name);
    assert_int_equal(watch_number(said, "sequence"), number);
    assert_int_equal(watch_number(said, "firstSequence"), first);
}

#endif
