/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The whole chain against the truth: a simulated host whose guests change, grow, change versions, die,
 * reboot and give their numbers to others, and whose calls fail; the mapper's sources and spools; xenresd's
 * feeds and subscriptions; Watch's handler; libxenres' xenres_watch(), which is cut and goes on; all in
 * one process, in lockstep, on one virtual clock. In thousands of runs, each made of its seed: each receiver's
 * image is what the pages held at each stamped point, what was produced is what was delivered and what was
 * declared lost, nothing twice and nothing both.
 *
 * XENRES_SEED=n runs that one only, XENRES_RUNS=n so many. Sanitized, it runs fewer unless that is set, and says
 * so; ThreadSanitizer, which does not know strands, has nothing to see in one thread.
 */
#include "tests/lib/chain_receiver.h"

static struct sim_world host;

#ifdef XENRES_SANITIZED
enum { RUNS_USUAL = 1000 };
#else
enum { RUNS_USUAL = 10000 };
#endif

enum {
    RUNS = 10000,
    STEPS = 50,
    RECEIVERS_MAX = 4,
    LINGER_MS = 400,
    DRAIN_LOOKS_MAX = 20000,
};

/* --- a run --------------------------------------------------------------------------------------------- */

/* What the loop hears of domains, sooner or later; a life that another one follows under the same number
 * and UUID before anything else is sampled. */
static void hear_of_fate(bool now)
{
    struct sim_table table;

    if (host.is_there && !host.is_fulfilled && world_clock_ns >= host.fate_ns) {
        if (!now && host.fate != FATE_RESTORE && chance(3) != 0) {
            return;
        }
        mapper_end_life(&mapper);
        host.is_fulfilled = true;
        if (host.fate == FATE_REBOOT) {
            world_give_life(&host, WORLD_REBOOT_DOMID);
        } else if (host.fate == FATE_RESTORE) {
            world_give_life(&host, WORLD_DOMID);
        }
    } else if (host.is_there && /* a call has killed it */
               (!sim_table(host.backend, host.domain.domid, &table) || table.is_dying) &&
               (now || chance(3) == 0)) {
        mapper_end_life(&mapper);
    }
}

static void pass_time(void)
{
    uint64_t by_ms = chance(6) == 0 ? chance(900) : 1 + chance(70);
    uint64_t until_ns = world_clock_ns + by_ms * CLOCK_NS_PER_MS;

    if (host.fate_ns > world_clock_ns && host.fate_ns < until_ns) {
        mapper_advance(&mapper, host.fate_ns - CLOCK_NS_PER_MS);
        world_advance_to(&host, host.fate_ns);
        hear_of_fate(false);
    }
    mapper_advance(&mapper, until_ns);
    hear_of_fate(false);
}

static void pump_some(struct receiver *v)
{
    for (uint32_t i = 1 + chance(8); i > 0 && v->end.wire != NULL && wire_pump(v->end.wire); i--) {
    }
}

static void cut(struct receiver *v)
{
    /* Before it has begun, that is as any call's failure. */
    if (v->end.wire == NULL || v->end.wire->is_cut || (v->feed == NULL && chance(16) != 0)) {
        return;
    }
    totals.cuts++;
    v->end.refusals = chance(3) == 0 ? 1 + chance(3) : 0;
    if (chance(3) == 0) {
        wire_shut_down(v->end.wire);
    } else {
        wire_cut(v->end.wire);
    }
}

static void step(struct receiver *receivers, unsigned count)
{
    struct receiver *v = &receivers[chance(count)];

    switch (chance(10)) {
    case 0:
    case 1:
    case 2: pass_time(); break;
    case 3: cut(v); break;
    case 4:
    case 5: v->end.credit += chance(12); break;
    default: pump_some(v); break;
    }
    for (uint32_t i = chance(3); i > 0 && mapper_serve_one(&mapper); i--) {
    }
    for (uint32_t i = chance(12); i > 0 && lockstep_turn(); i--) {
    }
    wires_reap(false);
}

/* All that can go on without time goes on. */
static void settle(void)
{
    bool is_moving;

    do {
        is_moving = lockstep_turn() || mapper_serve_one(&mapper);
        for (size_t i = 0; i < WIRE_COUNT; i++) {
            is_moving = wire_pump(&wires[i]) || is_moving;
        }
        wires_reap(true);
    } while (is_moving);
}

/* Nothing is sampled any more, and everybody gets what there is. */
static void drain(struct receiver *receivers, unsigned count)
{
    hear_of_fate(true);
    for (int looks = 0;; looks++) {
        bool is_done = true;

        settle();
        for (unsigned i = 0; i < count; i++) {
            receivers[i].end.credit = UINT32_MAX;
            is_done = is_done && is_caught_up(&receivers[i]);
        }
        if (is_done) {
            return;
        }
        MUST(looks < DRAIN_LOOKS_MAX);
        world_advance_to(&host, world_clock_ns + 10 * CLOCK_NS_PER_MS);
    }
}

static void let_go(void)
{
    struct feeds_counters c;

    settle();
    world_advance_to(&host, world_clock_ns + 2 * LINGER_MS * CLOCK_NS_PER_MS);
    settle();
    feeds_count(gateway.feeds, &c);
    MUST(c.feeds == 0 && c.subscribers == 0);
    totals.feeds_delivered += c.delivered_batches;
    totals.feeds_lost += c.lost_batches;
}

static void on_connected(void *arg, bool connected)
{
    (void)arg;
    if (gateway.feeds != NULL) {
        feeds_connected(gateway.feeds, connected);
    }
}

/* A gateway of its own for each run, so that nothing of one is in another. */
static struct mapper_client *gateway_begin(void)
{
    static const struct feeds_options options = { .feeds_max = 16,
                                                  .subscribers_max = WIRE_COUNT,
                                                  .subscribers_per_identity = WIRE_COUNT,
                                                  .linger_ms = LINGER_MS };
    const struct mapper_client_options client_options = { .socket_path = mapper.peer.path,
                                                          .backoff_min_ms = 1,
                                                          .backoff_max_ms = 5,
                                                          .on_connected = on_connected };
    struct mapper_client *client = NULL;

    MUST(mapper_client_new(&client_options, &client, NULL) == 0);
    MUST(feeds_new(client, &options, &gateway.feeds, NULL) == 0);
    MUST(timers_new(&gateway.timers, NULL) == 0);
    mapper_join(&mapper);
    lockstep_settle();
    return client;
}

static void gateway_end(struct mapper_client *client)
{
    struct feeds *feeds = gateway.feeds;

    gateway.feeds = NULL;
    mapper_client_free(client);
    feeds_free(feeds);
    timers_free(gateway.timers);
    fake_mapper_leave(&mapper.peer);
}

static void run_one(uint64_t seed)
{
    static struct receiver receivers[RECEIVERS_MAX];

    lockstep_seed(seed);
    world_clock_ns = WORLD_BEGIN_NS;
    struct mapper_client *client = gateway_begin();
    unsigned count = 1 + chance(RECEIVERS_MAX);

    world_begin(&host);
    mapper_take_world(&mapper, &host);
    for (unsigned i = 0; i < count; i++) {
        receiver_begin(&receivers[i]);
    }
    for (int i = 0; i < STEPS; i++) {
        step(receivers, count);
    }
    drain(receivers, count);
    for (unsigned i = 0; i < count; i++) {
        if (!receivers[i].is_over) {
            (void)compare(&receivers[i]);
        }
        receiver_end(&receivers[i]);
    }
    let_go();
    mapper_leave_world(&mapper);
    world_end(&host);
    gateway_end(client);
}

/* --- all of them --------------------------------------------------------------------------------------- */

#define N(value) (unsigned long long)(value)

static void report(uint64_t runs)
{
    print_message("%llu runs, %llu turns: %llu samples (%llu failed), %llu batches of %llu blocks, "
                  "%llu segments "
                  "(%llu too many)\n",
                  N(runs), N(lockstep.turns), N(mapper.samples), N(mapper.failed),
                  N(mapper.batches), N(mapper.blocks), N(mapper.segments), N(mapper.too_many));
    print_message("%llu messages, %llu bytes; %llu numbers delivered (%llu batches by themselves, "
                  "%llu merged), "
                  "%llu lost, %llu images, %llu points compared\n",
                  N(gateway.messages), N(gateway.bytes), N(totals.delivered), N(totals.batches),
                  N(totals.merged), N(totals.lost), N(totals.images), N(totals.points));
    print_message("gaps: slow %llu, many %llu, segment %llu, resumed %llu; found: cut %llu, new "
                  "feed %llu, end %llu\n",
                  N(totals.gaps[XENRES_GAP_TOO_SLOW]), N(totals.gaps[XENRES_GAP_TOO_MANY]),
                  N(totals.gaps[XENRES_GAP_NEW_SEGMENT]), N(totals.gaps[XENRES_GAP_RESUMED]),
                  N(totals.gaps_found[0]), N(totals.gaps_found[1]), N(totals.gaps_found[2]));
    print_message("%llu cuts, %llu resumed, %llu anew, %llu ends, %llu given up; feeds: %llu "
                  "delivered, %llu lost\n",
                  N(totals.cuts), N(totals.resumed), N(totals.anew), N(totals.ends),
                  N(totals.given_up), N(totals.feeds_delivered), N(totals.feeds_lost));
}

static void each_receiver_has_what_the_pages_held(void **state)
{
    const char *only = getenv("XENRES_SEED"), *wanted = getenv("XENRES_RUNS");
    uint64_t first = only != NULL ? strtoull(only, NULL, 10) : 0;
    uint64_t runs = only != NULL ? 1 : wanted != NULL ? strtoull(wanted, NULL, 10) : RUNS_USUAL;
    static const struct clock_source source = { .monotonic_ns = world_read_clock,
                                                .wall_ns = world_read_wall };

    (void)state;
#ifdef __SANITIZE_THREAD__
    skip();
#endif
    if (only == NULL && runs < RUNS) {
        print_message("only %llu runs of %d: XENRES_RUNS=%d makes all of them\n", N(runs), RUNS,
                      RUNS);
    }
    clock_set_source(&source);
    mapper_begin(&mapper);
    MUST(seal_load(folder_path(&mapper.peer.folder, "key"), &gateway.seal, NULL) == 0);
    gateway.world = &host;
    for (uint64_t seed = first; seed < first + runs; seed++) {
        run_one(seed);
    }
    report(runs);
    if (runs >= RUNS) { /* all that can happen has happened */
        for (unsigned reason = XENRES_GAP_TOO_SLOW; reason <= XENRES_GAP_RESUMED; reason++) {
            assert_true(totals.gaps[reason] > 20);
        }
        assert_true(totals.gaps_found[0] > 20 && totals.gaps_found[1] > 20);
        assert_true(totals.merged > 1000 && totals.ends > 1000 && totals.resumed > 1000);
    }
    seal_free(gateway.seal);
    mapper_end(&mapper);
    clock_set_source(NULL);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_receiver_has_what_the_pages_held),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
