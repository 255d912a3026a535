/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* How simulated guests' pages move, on a virtual clock. */
#include "server/mapper/sim/guest.h"

#include "tests/lib/sim_rig.h"

static void grants_change_at_their_rate_however_often_one_looks(void **state)
{
    static const char scenario[] =
        SIM_VIRTUAL SIM_DOMAIN("grants { entries = 512 changes_per_second = 700 }");
    static uint8_t content[LAYOUT_FRAME_BYTES];
    SIM_AUTO *often = sim_rig_open(scenario);
    SIM_AUTO *once = sim_rig_open(scenario);

    (void)state;
    for (int i = 0; i < 1000; i++) {
        sim_rig_advance_ms(often, 10);
    }
    sim_rig_advance_ms(once, 10000);
    uint64_t changes = sim_rig_changes(often).grants;

    /* Drawn twice in a row, an unused entry is as it was: hence not exactly 7000. */
    assert_in_range(changes, 6000, 7000);
    assert_int_equal(changes, sim_rig_changes(once).grants);
    memcpy(content, sim_rig_frame(often, RESOURCE_GRANT_TABLE, GRANT_TABLE_SHARED, 0),
           sizeof(content));
    assert_memory_equal(content, sim_rig_frame(once, RESOURCE_GRANT_TABLE, GRANT_TABLE_SHARED, 0),
                        sizeof(content));
}

static void without_a_rate_or_time_nothing_moves(void **state)
{
    SIM_AUTO *still = sim_rig_open(SIM_VIRTUAL SIM_DOMAIN("grants { entries = 512 }"));
    SIM_AUTO *timeless =
        sim_rig_open(SIM_VIRTUAL SIM_DOMAIN("grants { entries = 512 changes_per_second = 1000 }"));
    struct backend_domain d;

    (void)state;
    uint64_t at_first = sim_rig_changes(timeless).words;

    sim_rig_advance_ms(still, 100000);
    assert_int_equal(sim_rig_changes(still).grants, 0);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(backend_ops->find(timeless, 7, &d, NULL), 0);
    }
    assert_int_equal(sim_rig_changes(timeless).words, at_first);
}

static void what_is_paused_stands_still(void **state)
{
    SIM_AUTO *b = sim_rig_open(SIM_VIRTUAL SIM_DOMAIN(
        "grants { entries = 512 changes_per_second = 1000 }") "event { at_ms = 1000 do = \"pause\" "
                                                              "domain = \"a\" }\n"
                                                              "event { at_ms = 60000 do = "
                                                              "\"unpause\" domain = \"a\" }\n");

    (void)state;
    sim_rig_advance_ms(b, 1500);
    uint64_t paused_at = sim_rig_changes(b).grants;

    assert_in_range(paused_at, 800, 1000); /* those of the second before the pause */
    sim_rig_advance_ms(b, 58000);
    assert_int_equal(sim_rig_changes(b).grants, paused_at);
    sim_rig_advance_ms(b, 1000); /* half of it paused */
    assert_in_range(sim_rig_changes(b).grants, paused_at + 400, paused_at + 500);
}

/* Status words that differ between two moments. */
static void use_of_version_2_moves_in_the_status_frames(void **state)
{
    static uint8_t before[LAYOUT_FRAME_BYTES];
    SIM_AUTO *b = sim_rig_open(
        SIM_VIRTUAL SIM_DOMAIN("grants { version = 2 entries = 256 changes_per_second = 1000 }"));
    unsigned changed = 0, used = 0;

    (void)state;
    memcpy(before, sim_rig_frame(b, RESOURCE_GRANT_TABLE, GRANT_TABLE_STATUS, 0), sizeof(before));
    sim_rig_advance_ms(b, 1000);
    const uint8_t *after = sim_rig_frame(b, RESOURCE_GRANT_TABLE, GRANT_TABLE_STATUS, 0);

    for (size_t i = 0; i < sizeof(before); i += LAYOUT_GRANT_STATUS_BYTES) {
        changed += memcmp(before + i, after + i, LAYOUT_GRANT_STATUS_BYTES) != 0;
        used += (after[i] & (LAYOUT_GTF_READING | LAYOUT_GTF_WRITING)) != 0;
    }
    assert_true(changed > 50);
    assert_in_range(used, 20, 200); /* some, not all */
}

static void another_version_keeps_within_its_frames(void **state)
{
    struct layout_grant g;
    SIM_AUTO
    *b = sim_rig_open(SIM_VIRTUAL SIM_DOMAIN("grants { frames = 1 frames_max = 1 entries = 512 "
                                             "}") "event { at_ms = 10 do = \"set_version\" "
                                                  "domain = \"a\" value = 2 }\n"
                                                  "event { at_ms = 20 do = \"change\" domain = "
                                                  "\"a\" value = 10000 }\n"
                                                  "event { at_ms = 30 do = \"set_version\" "
                                                  "domain = \"a\" value = 1 }\n");
    static const uint8_t unused[LAYOUT_FRAME_BYTES];

    (void)state;
    sim_rig_advance_ms(b, 25); /* twice the bytes for each entry: only half of them fit */
    assert_true(layout_grant_v2(sim_rig_frame(b, RESOURCE_GRANT_TABLE, GRANT_TABLE_SHARED, 0),
                                LAYOUT_FRAME_BYTES, 0, 1, NULL, 0, 0, &g));
    assert_int_equal(g.kind, LAYOUT_GRANT_PERMIT_ACCESS);
    sim_rig_advance_ms(b, 10);
    assert_true(layout_grant_v1(sim_rig_frame(b, RESOURCE_GRANT_TABLE, GRANT_TABLE_SHARED, 0),
                                LAYOUT_FRAME_BYTES, 0, 511, &g));
    assert_int_equal(g.kind, LAYOUT_GRANT_PERMIT_ACCESS);
    assert_memory_equal(sim_rig_frame(b, RESOURCE_GRANT_TABLE, GRANT_TABLE_STATUS, 0), unused,
                        sizeof(unused));
}

#define WITH_IOREQS(body)                                                                          \
    SIM_VIRTUAL SIM_DOMAIN("type = \"hvm\" vcpus = 2 ioreq \"3\" { " body " }")

static uint8_t state_of(struct backend *b, uint32_t vcpu)
{
    struct layout_ioreq q;

    assert_true(
        layout_ioreq(sim_rig_frame(b, RESOURCE_IOREQ_SERVER, 3, 1), LAYOUT_FRAME_BYTES, vcpu, &q));
    return q.state;
}

static void requests_go_through_their_states_in_order(void **state)
{
    SIM_AUTO *b = sim_rig_open(WITH_IOREQS("requests_per_second = 5"));
    unsigned moves = 0, requests = 0;
    uint8_t was[2] = { 0 };

    (void)state;
    assert_int_equal(sim_rig_acquire(b, 3), 0);
    for (int i = 0; i < 4000; i++) { /* 20 s, in looks that are each much shorter than a move */
        sim_rig_advance_ms(b, 5);
        for (uint32_t vcpu = 0; vcpu < 2; vcpu++) {
            uint8_t is = state_of(b, vcpu);

            if (is != was[vcpu]) {
                assert_int_equal(is, (was[vcpu] + 1) % 4);
                moves++;
                requests += is == LAYOUT_IOREQ_READY;
            }
            was[vcpu] = is;
        }
    }
    assert_int_equal(moves, 20 * 5 * 4);
    assert_in_range(requests, 95, 102);
    assert_int_equal(sim_rig_changes(b).ioreqs, moves);
}

static void buffered_requests_come_and_are_taken(void **state)
{
    SIM_AUTO *b = sim_rig_open(WITH_IOREQS("requests_per_second = 500"));
    struct layout_buffered_ioreq q;
    uint32_t read = 0, write = 0;
    bool valid = false;

    (void)state;
    assert_int_equal(sim_rig_acquire(b, 3), 0);
    for (int i = 0; i < 200; i++) { /* about 2000 requests: four times round the page */
        sim_rig_advance_ms(b, 20);
        const uint8_t *frame = sim_rig_frame(b, RESOURCE_IOREQ_SERVER, 3, 0);

        assert_true(layout_buffered_pointers(frame, LAYOUT_FRAME_BYTES, &read, &write, &valid));
        assert_true(valid && write - read <= 5 && read < LAYOUT_BUFFERED_SLOTS);
        assert_int_equal(layout_buffered_ioreq(frame, LAYOUT_FRAME_BYTES, write - 1, &q), 1);
        assert_in_range(q.address, 0xa0000, 0xaffff);
    }
    assert_in_range(sim_rig_changes(b).buffered_requests, 1900, 2100);
}

static void without_a_buffered_page_none_are_buffered(void **state)
{
    SIM_AUTO *b = sim_rig_open(WITH_IOREQS("requests_per_second = 500 buffered = false"));

    (void)state;
    assert_int_equal(sim_rig_acquire(b, 3), 0);
    sim_rig_advance_ms(b, 1000);
    assert_int_equal(sim_rig_changes(b).buffered_requests, 0);
    assert_int_equal(sim_rig_changes(b).ioreqs, 2000);
}

static void an_ioreq_server_goes_and_another_comes(void **state)
{
    SIM_AUTO *b = sim_rig_open(
        WITH_IOREQS("requests_per_second = 100") "event { step = 1 do = \"destroy_ioreq\" domain = "
                                                 "\"a\" value = 3 }\n"
                                                 "event { step = 2 do = \"create_ioreq\" domain = "
                                                 "\"a\" value = 3 }\n");
    const struct sim_resource pages = { .domid = 7, .type = RESOURCE_IOREQ_SERVER, .id = 3 };
    static uint8_t content[LAYOUT_FRAME_BYTES];
    static const uint8_t zeros[LAYOUT_FRAME_BYTES];
    struct backend_mapping m = { 0 };

    (void)state;
    assert_int_equal(backend_ops->map(b, 7, RESOURCE_IOREQ_SERVER, 3, 1, 1, &m, NULL), 0);
    sim_rig_advance_ms(b, 105);
    sim_step(b);
    assert_false(sim_read(b, &pages, 1, 1, content));
    assert_int_equal(sim_rig_acquire(b, 3), -ERROR_NOT_FOUND);
    /* Who has mapped the old ones still has them, as they were. */
    assert_true(memcmp((const void *)(uintptr_t)m.address, zeros, sizeof(zeros)) != 0);
    sim_step(b);
    assert_int_equal(sim_rig_acquire(b, 3), 0);
    assert_memory_equal(sim_rig_frame(b, RESOURCE_IOREQ_SERVER, 3, 1), zeros, sizeof(zeros));
    backend_ops->unmap(b, &m);
}

/* --- the truth that tests compare with ---------------------------------------------------------- */

struct history {
    uint64_t count, last_ns;
    uint8_t shared[LAYOUT_FRAME_BYTES]; /* rebuilt from what was told */
};

static void remember(void *arg, const struct sim_change *c)
{
    struct history *h = arg;

    h->count++;
    assert_true(c->at_ns >= h->last_ns);
    h->last_ns = c->at_ns;
    assert_true(c->before != c->after);
    if (c->of.type == RESOURCE_GRANT_TABLE && c->of.id == GRANT_TABLE_SHARED) {
        assert_memory_equal(h->shared + c->offset_bytes, &c->before, sizeof(c->before));
        memcpy(h->shared + c->offset_bytes, &c->after, sizeof(c->after));
    }
}

static void every_change_is_told_from_a_domains_first_byte_on(void **state)
{
    SIM_AUTO *b = sim_rig_open(
        SIM_VIRTUAL SIM_DOMAIN("present = false grants { entries = 400 changes_per_second = 3000 "
                               "}") "event { at_ms = 50 do = \"create\" domain = \"a\" }\n");
    struct history h = { 0 };

    (void)state;
    sim_observe(b, &(struct sim_observer){ .changed = remember, .arg = &h });
    for (int i = 0; i < 50; i++) {
        sim_rig_advance_ms(b, 7);
    }
    assert_true(h.count > 900 && h.count == sim_rig_changes(b).words);
    assert_memory_equal(h.shared, sim_rig_frame(b, RESOURCE_GRANT_TABLE, GRANT_TABLE_SHARED, 0),
                        sizeof(h.shared));
    uint64_t told = h.count;

    sim_observe(b, &(struct sim_observer){ .changed = NULL });
    sim_rig_advance_ms(b, 100);
    assert_int_equal(h.count, told);
}

static void what_is_not_there_is_not_read(void **state)
{
    SIM_AUTO *b = sim_rig_open(SIM_VIRTUAL SIM_DOMAIN("type = \"hvm\" ioreq \"0\" { }"));
    static uint8_t content[2 * LAYOUT_FRAME_BYTES];
    struct sim_changes changes;
    struct sim_table table;
    const struct sim_resource grants = { .domid = 7, .type = RESOURCE_GRANT_TABLE };
    const struct sim_resource none[] = {
        { .domid = 8, .type = RESOURCE_GRANT_TABLE },
        { .domid = 7, .type = RESOURCE_IOREQ_SERVER, .id = 0 }, /* not acquired */
        { .domid = 7, .type = RESOURCE_IOREQ_SERVER, .id = 8 },
        { .domid = 7, .type = RESOURCE_VCPU_STATS },
        { .domid = 7, .type = RESOURCE_VMTRACE_BUF },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        assert_false(sim_read(b, &none[i], 0, 1, content));
    }
    assert_true(sim_read(b, &grants, 62, 2, content));
    assert_false(sim_read(b, &grants, 63, 2, content));
    assert_false(sim_read(b, &grants, 64, 1, content));
    assert_false(sim_changes(b, 8, &changes));
    assert_false(sim_table(b, 8, &table));
    assert_true(sim_table(b, 7, &table));
    assert_true(table.version == 1 && table.frames_in_use == 1 && !table.is_dying);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(grants_change_at_their_rate_however_often_one_looks),
        cmocka_unit_test(without_a_rate_or_time_nothing_moves),
        cmocka_unit_test(what_is_paused_stands_still),
        cmocka_unit_test(use_of_version_2_moves_in_the_status_frames),
        cmocka_unit_test(another_version_keeps_within_its_frames),
        cmocka_unit_test(requests_go_through_their_states_in_order),
        cmocka_unit_test(buffered_requests_come_and_are_taken),
        cmocka_unit_test(without_a_buffered_page_none_are_buffered),
        cmocka_unit_test(an_ioreq_server_goes_and_another_comes),
        cmocka_unit_test(every_change_is_told_from_a_domains_first_byte_on),
        cmocka_unit_test(what_is_not_there_is_not_read),
    };

    return UNIT_RUN(tests);
}
