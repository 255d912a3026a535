/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Several handles on one simulated host, each in a thread of its own, while domains change, come and
 * go. Run it with SANITIZE=thread as well. The samplers read by atomic loads, as copy.h does.
 */
#include "server/mapper/backend.h"

#include <poll.h>
#include <pthread.h>

#include "tests/lib/sim_rig.h"

enum { SAMPLERS = 3, SAMPLES = 400, DOMAINS_MAX = 64 };

static uint64_t sum_of(const volatile void *address, size_t len_bytes)
{
    const volatile uint64_t *words = address;
    uint64_t sum = 0;

    for (size_t i = 0; i < len_bytes / 8; i++) {
        sum += __atomic_load_n(words + i, __ATOMIC_RELAXED);
    }
    return sum;
}

/* --- a domain dies under a mapping ------------------------------------------------------------- */

static void a_dead_domain_stays_for_as_long_as_a_sampler_holds_its_pages(void **state)
{
    SIM_AUTO *b = sim_rig_open(SIM_VIRTUAL SIM_DOMAIN(
        "grants { entries = 512 }") "event { step = 1 do = \"destroy\" domain = \"a\" }\n");
    struct backend *sampler = NULL;
    struct backend_mapping m = { 0 };
    struct backend_domain d;
    struct pollfd row = { .fd = backend_ops->event_fd(b), .events = POLLIN };
    unsigned events;
    uint16_t domid;

    (void)state;
    assert_int_equal(backend_ops->open_sampler(b, &sampler, NULL), 0);
    assert_int_equal(backend_ops->map(sampler, 7, RESOURCE_GRANT_TABLE, 0, 0, 1, &m, NULL), 0);
    uint64_t before = sum_of(m.address, LAYOUT_FRAME_BYTES);

    sim_step(b);
    assert_int_equal(backend_ops->find(sampler, 7, &d, NULL), 0);
    assert_true(d.dying);
    assert_int_equal(sim_ledger(b).zombies, 1);
    assert_int_equal(sum_of(m.address, LAYOUT_FRAME_BYTES), before);
    while (backend_ops->next_event(b, &events, &domid)) {
    }
    assert_int_equal(poll(&row, 1, 0), 0);
    backend_ops->unmap(sampler, &m); /* which ends it, and wakes the parent's thread */
    assert_int_equal(poll(&row, 1, 0), 1);
    assert_int_equal(backend_ops->find(sampler, 7, &d, NULL), -ERROR_NOT_FOUND);
    assert_int_equal(sim_ledger(b).zombies, 0);
    backend_ops->close(sampler);
}

static void a_domain_can_die_in_a_samplers_own_call(void **state)
{
    SIM_AUTO *b = sim_rig_open(SIM_VIRTUAL SIM_DOMAIN(
        "grants { entries = 512 }") "fault { operation = \"map\" effect = \"dies\" call = 2 }\n");
    struct backend *sampler = NULL;
    struct backend_mapping first = { 0 }, second = { 0 };

    (void)state;
    assert_int_equal(backend_ops->open_sampler(b, &sampler, NULL), 0);
    assert_int_equal(backend_ops->map(b, 7, RESOURCE_GRANT_TABLE, 0, 0, 1, &first, NULL), 0);
    assert_int_equal(backend_ops->map(sampler, 7, RESOURCE_GRANT_TABLE, 0, 0, 1, &second, NULL),
                     0); /* the second of all handles' */
    assert_int_equal(sum_of(first.address, LAYOUT_FRAME_BYTES),
                     sum_of(second.address, LAYOUT_FRAME_BYTES));
    backend_ops->unmap(sampler, &second);
    assert_int_equal(sim_ledger(b).zombies, 1); /* the parent has it still */
    backend_ops->unmap(b, &first);
    assert_int_equal(sim_ledger(b).zombies, 0);
    backend_ops->close(sampler);
}

static void the_host_is_there_until_the_last_handle_is_closed(void **state)
{
    struct backend *b = sim_rig_open(SIM_VIRTUAL SIM_DOMAIN(""));
    struct backend *sampler = NULL;

    (void)state;
    assert_int_equal(backend_ops->open_sampler(b, &sampler, NULL), 0);
    backend_ops->close(b);
    assert_true(sim_rig_is_there(sampler, 7));
    backend_ops->close(sampler);
}

/* --- threads ------------------------------------------------------------------------------------- */

struct sampling {
    struct backend *handle;
    pthread_t thread;
    uint64_t sampled, gone, wrong;
};

static void sample_one(struct sampling *s, uint16_t domid, uint32_t type, uint32_t id)
{
    struct backend_size size;
    struct backend_mapping m = { 0 };
    struct failure f = { 0 };
    int result = backend_ops->size(s->handle, domid, type, id, &size, &f);

    if (result == 0) {
        result =
            backend_ops->map(s->handle, domid, type, id, type == RESOURCE_IOREQ_SERVER, 1, &m, &f);
    }
    if (result == 0) {
        (void)sum_of(m.address, LAYOUT_FRAME_BYTES);
        backend_ops->unmap(s->handle, &m);
        s->sampled++;
    } else if (result == -ERROR_NOT_FOUND || result == -ERROR_FAILED_PRECONDITION) {
        s->gone++; /* destroyed, or dying, or of the other version just now */
    } else {
        s->wrong++;
    }
}

static void *sample_all(void *arg)
{
    struct sampling *s = arg;

    for (int i = 0; i < SAMPLES; i++) {
        struct message_vcpu vcpu[4];
        uint32_t count;

        for (uint16_t domid = 100; domid < 104; domid++) {
            sample_one(s, domid, RESOURCE_GRANT_TABLE, GRANT_TABLE_SHARED);
        }
        sample_one(s, 7, RESOURCE_GRANT_TABLE, GRANT_TABLE_SHARED);
        sample_one(s, 7, RESOURCE_GRANT_TABLE, GRANT_TABLE_STATUS);
        sample_one(s, 7, RESOURCE_IOREQ_SERVER, 0);
        s->wrong += backend_ops->vcpu_info(s->handle, 7, vcpu, 4, &count, NULL) != 0;
    }
    return NULL;
}

static void samplers_read_while_domains_change_come_and_go(void **state)
{
    SIM_AUTO *b = sim_rig_open(SIM_VIRTUAL "step_ms = 3\n" SIM_DOMAIN(
        "type = \"hvm\" ioreq \"0\" { requests_per_second = 20000 }"
        "grants { version = 2 entries = 256 changes_per_second = 100000 "
        "}") "churn { domains = 2 period_ms = 1 like = \"a\" "
             "first_domid = 100 }\n");
    struct sampling samplers[SAMPLERS] = { 0 };
    uint64_t calls = 0;

    (void)state;
    for (int i = 0; i < SAMPLERS; i++) {
        struct sampling *s = &samplers[i];

        assert_int_equal(backend_ops->open_sampler(b, &s->handle, NULL), 0);
        assert_int_equal(pthread_create(&s->thread, NULL, sample_all, s), 0);
    }
    for (int i = 0; i < SAMPLES; i++) {
        struct backend_domain domains[DOMAINS_MAX];
        uint32_t count = 0;
        unsigned events;
        uint16_t domid;

        sim_step(b);
        while (backend_ops->next_event(b, &events, &domid)) {
        }
        assert_int_equal(backend_ops->list(b, 0, domains, DOMAINS_MAX, &count, NULL), 0);
        assert_true(count >= 1);
    }
    for (int i = 0; i < SAMPLERS; i++) {
        struct sampling *s = &samplers[i];

        assert_int_equal(pthread_join(s->thread, NULL), 0);
        assert_int_equal(s->wrong, 0);
        assert_true(s->sampled >= 3 * SAMPLES && s->gone > 0);
        calls += backend_ops->hypercalls(s->handle);
        backend_ops->close(s->handle);
    }
    assert_true(calls > SAMPLERS * SAMPLES * 10);
    assert_int_equal(sim_ledger(b).live_mappings, 0);
    assert_int_equal(sim_ledger(b).zombies, 0);
    assert_int_equal(sim_ledger(b).grant_tables_grown, 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dead_domain_stays_for_as_long_as_a_sampler_holds_its_pages),
        cmocka_unit_test(a_domain_can_die_in_a_samplers_own_call),
        cmocka_unit_test(the_host_is_there_until_the_last_handle_is_closed),
        cmocka_unit_test(samplers_read_while_domains_change_come_and_go),
    };

    return UNIT_RUN(tests);
}
