/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* What simulated traces hold, and how they fill, on a virtual clock. */
#include "server/mapper/sim/guest_vmtrace.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/scope.h"
#include "server/mapper/sim/draw.h"
#include "tests/lib/folder.h"
#include "tests/lib/pt_decode.h"
#include "tests/lib/vmtrace_rig.h"

enum { RING_BYTES = 65536, RING_FRAMES = RING_BYTES / LAYOUT_FRAME_BYTES };
#define RING "size = 65536 "

static uint8_t ring[RING_BYTES], known[RING_BYTES];

/* The ring holds exactly what the truth says that it must: the newest bytes, each at its place. */
static void assert_ring_is_true(struct backend *b, uint32_t vcpu)
{
    struct sim_trace t = vmtrace_rig_truth(b, vcpu);
    uint64_t since = t.produced - t.reset_at;
    size_t len = since < RING_BYTES ? (size_t)since : RING_BYTES;

    assert_int_equal(t.position, since % RING_BYTES);
    vmtrace_rig_ring(b, vcpu, RING_FRAMES, ring);
    assert_true(sim_trace_bytes(b, 7, vcpu, t.produced - len, known, len));
    for (size_t i = 0; i < len; i++) {
        if (ring[(t.position + RING_BYTES - len + i) % RING_BYTES] != known[i]) {
            fail_msg("byte %zu of the newest %zu is another", i, len);
        }
    }
}

static void bytes_come_at_their_rate_however_often_one_looks(void **state)
{
    static uint8_t other[RING_BYTES];
    SIM_AUTO *often = sim_rig_open(VMTRACE_RIG(RING "rate = 1000003"));
    SIM_AUTO *once = sim_rig_open(VMTRACE_RIG(RING "rate = 1000003"));

    (void)state;
    vmtrace_rig_start(often, 0);
    vmtrace_rig_start(once, 0);
    for (int i = 0; i < 7000; i++) {
        sim_advance(often, 99991);
        assert_int_equal(vmtrace_rig_position(often, 0), vmtrace_rig_truth(often, 0).position);
    }
    sim_advance(once, UINT64_C(7000) * 99991);
    assert_int_equal(vmtrace_rig_truth(once, 0).produced,
                     UINT64_C(7000) * 99991 * 1000003 / 1000000000);
    assert_int_equal(vmtrace_rig_truth(often, 0).produced, vmtrace_rig_truth(once, 0).produced);
    assert_ring_is_true(often, 0);
    assert_ring_is_true(once, 0);
    vmtrace_rig_ring(often, 0, RING_FRAMES, other);
    assert_memory_equal(other, ring, sizeof(ring));
}

static void only_what_lets_packets_through_writes(void **state)
{
    static const struct {
        uint64_t ctl, status;
        bool writes;
    } cases[] = {
        { VMTRACE_RIG_CTL | VMTRACE_CTL_ENABLED, 0, true },
        { VMTRACE_CTL_ENABLED | VMTRACE_CTL_OS, 0, true },
        { VMTRACE_CTL_ENABLED | VMTRACE_CTL_USER, 0, true },
        { VMTRACE_CTL_ENABLED | VMTRACE_CTL_BRANCH, 0, false },
        { VMTRACE_RIG_CTL, 0, false }, /* without TraceEn, though it is "enabled" */
        { VMTRACE_RIG_CTL | VMTRACE_CTL_ENABLED, VMTRACE_STATUS_ERROR, false },
        { VMTRACE_RIG_CTL | VMTRACE_CTL_ENABLED, VMTRACE_STATUS_STOPPED, false },
    };
    SIM_AUTO *b = sim_rig_open(VMTRACE_RIG(RING "rate = 1000000"));

    (void)state;
    assert_int_equal(vmtrace_rig_call(b, 0, VMTRACE_ENABLE, 0, NULL), 0);
    sim_rig_advance_ms(b, 10); /* no packet is of the kernel's nor of programs */
    assert_int_equal(vmtrace_rig_position(b, 0), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        vmtrace_rig_set(b, 0, VMTRACE_KEY_CTL, cases[i].ctl);
        vmtrace_rig_set(b, 0, VMTRACE_KEY_STATUS, cases[i].status);
        uint64_t before = vmtrace_rig_truth(b, 0).produced;

        assert_int_equal(vmtrace_rig_truth(b, 0).is_writing, cases[i].writes);
        sim_rig_advance_ms(b, 10);
        assert_int_equal(vmtrace_rig_truth(b, 0).produced - before, cases[i].writes ? 10000 : 0);
        assert_int_equal(vmtrace_rig_call(b, 0, VMTRACE_ENABLE, 0, NULL), EINVAL);
    }
    assert_ring_is_true(b, 0);
}

static void a_guest_that_stands_still_writes_nothing(void **state)
{
    SIM_AUTO *b = sim_rig_open(VMTRACE_RIG(
        RING "rate = 1000000") "event { at_ms = 10 do = \"pause\" domain = \"a\" }\n"
                               "event { at_ms = 500 do = \"unpause\" domain = \"a\" }\n"
                               "event { at_ms = 530 do = \"shutdown\" domain = \"a\" }\n");

    (void)state;
    vmtrace_rig_start(b, 0);
    sim_rig_advance_ms(b, 400);
    assert_int_equal(vmtrace_rig_truth(b, 0).produced, 10000);
    sim_rig_advance_ms(b, 1000);
    assert_int_equal(vmtrace_rig_truth(b, 0).produced, 40000);
    assert_ring_is_true(b, 0);
}

static void vcpus_that_never_run_or_are_offline_write_nothing(void **state)
{
    SIM_AUTO *b = sim_rig_open(SIM_VIRTUAL SIM_DOMAIN(
        "type = \"pvh\" vcpus = 3 max_vcpus = 4 vmtrace { " RING "rate = 1000 idle_vcpus = {1} }"));

    (void)state;
    for (uint32_t vcpu = 0; vcpu < 4; vcpu++) {
        vmtrace_rig_start(b, vcpu);
    }
    sim_rig_advance_ms(b, 1000);
    assert_int_equal(vmtrace_rig_position(b, 0), 1000);
    assert_int_equal(vmtrace_rig_position(b, 1), 0);
    assert_int_equal(vmtrace_rig_position(b, 2), 1000);
    assert_int_equal(vmtrace_rig_position(b, 3), 0);
}

static void neither_birth_nor_a_reset_clears_the_ring(void **state)
{
    SIM_AUTO *b = sim_rig_open(VMTRACE_RIG(RING "rate = 1000000"));

    (void)state;
    vmtrace_rig_ring(b, 0, RING_FRAMES, ring);
    for (size_t i = 0; i < RING_BYTES; i++) {
        assert_int_equal(ring[i], 0xa5);
    }
    vmtrace_rig_start(b, 0);
    sim_rig_advance_ms(b, 40);
    vmtrace_rig_ring(b, 0, RING_FRAMES, known);
    assert_int_equal(vmtrace_rig_call(b, 0, VMTRACE_DISABLE, 0, NULL), 0);
    sim_rig_advance_ms(b, 5);
    assert_int_equal(vmtrace_rig_position(b, 0), 40000); /* it is told when it is off, too */
    assert_int_equal(vmtrace_rig_call(b, 0, VMTRACE_RESET_AND_ENABLE, 0, NULL), 0);
    assert_int_equal(vmtrace_rig_position(b, 0), 0);
    assert_int_equal(vmtrace_rig_get(b, 0, VMTRACE_KEY_STATUS), 0);
    vmtrace_rig_ring(b, 0, RING_FRAMES, ring);
    assert_memory_equal(ring, known, RING_BYTES);
    sim_rig_advance_ms(b, 5);
    struct sim_trace t = vmtrace_rig_truth(b, 0);

    assert_int_equal(t.produced, 45000);
    assert_int_equal(t.reset_at, 40000);
    assert_int_equal(t.resets, 2);
    assert_ring_is_true(b, 0);
}

static void plain_enabling_goes_on_where_it_was(void **state)
{
    SIM_AUTO *b = sim_rig_open(VMTRACE_RIG(RING "rate = 1000000 sequence = true"));
    static uint8_t all[50000];

    (void)state;
    vmtrace_rig_start(b, 0);
    sim_rig_advance_ms(b, 30);
    assert_int_equal(vmtrace_rig_call(b, 0, VMTRACE_DISABLE, 0, NULL), 0);
    sim_rig_advance_ms(b, 1000);
    assert_int_equal(vmtrace_rig_call(b, 0, VMTRACE_ENABLE, 0, NULL), 0);
    sim_rig_advance_ms(b, 20);
    assert_int_equal(vmtrace_rig_position(b, 0), 50000);
    assert_true(sim_trace_bytes(b, 7, 0, 0, all, sizeof(all)));
    struct pt_decoded d = pt_decode(all, sizeof(all));

    assert_int_equal(d.error + (int)d.sequence_gaps + (int)d.tsc_steps_back, 0);
}

/* --- what is generated ------------------------------------------------------------------------- */

static void every_epoch_decodes_from_its_first_byte(void **state)
{
    SIM_AUTO *b = sim_rig_open(VMTRACE_RIG(RING "rate = 2000000 sequence = true"));
    static uint8_t all[2000000];

    (void)state;
    for (int epoch = 0; epoch < 5; epoch++) {
        vmtrace_rig_start(b, 0);
        uint64_t from = vmtrace_rig_truth(b, 0).reset_at, started = backend_ops->tsc(b);
        size_t len = 100001 + (size_t)epoch * 7;

        sim_advance(b, len * 500);
        assert_int_equal(vmtrace_rig_truth(b, 0).produced, from + len);
        assert_true(sim_trace_bytes(b, 7, 0, from, all, len));
        struct pt_decoded d = pt_decode(all, len);

        assert_int_equal(d.error, 0);
        assert_int_equal(d.synchronised_at, 0);
        assert_true(len - d.decoded_to < 16);
        assert_int_equal(d.first_sequence + d.sequence_gaps + d.tsc_steps_back, 0);
        assert_in_range(d.first_tsc, started, started + 1000000);
        assert_in_range(d.last_tsc, started, backend_ops->tsc(b) + 1000);
        assert_int_equal(vmtrace_rig_call(b, 0, VMTRACE_DISABLE, 0, NULL), 0);
    }
}

static void time_stamps_are_there_as_rtit_ctl_says(void **state)
{
    SIM_AUTO *b = sim_rig_open(VMTRACE_RIG(RING "rate = 1000000"));
    static uint8_t all[300000];

    (void)state;
    vmtrace_rig_start(b, 0);
    sim_rig_advance_ms(b, 100);
    vmtrace_rig_set(b, 0, VMTRACE_KEY_CTL,
                    VMTRACE_CTL_ENABLED | VMTRACE_CTL_OS | VMTRACE_CTL_BRANCH);
    sim_rig_advance_ms(b, 200);
    assert_true(sim_trace_bytes(b, 7, 0, 0, all, sizeof(all)));
    assert_int_equal(pt_decode(all, sizeof(all)).error, 0);
    assert_true(pt_decode(all, 100000).packets[ppt_tsc] > 10);
    assert_int_equal(pt_decode(all + 106000, sizeof(all) - 106000).packets[ppt_tsc], 0);
    assert_ring_is_true(b, 0);
}

static void options_that_change_do_so_between_packets(void **state)
{
    SIM_AUTO *b = sim_rig_open(VMTRACE_RIG(RING "rate = 1000000 sequence = true"));
    static uint8_t all[40 * 7001];
    uint64_t ctl = VMTRACE_RIG_CTL | VMTRACE_CTL_ENABLED;

    (void)state;
    vmtrace_rig_start(b, 0);
    for (int i = 0; i < 40; i++) {
        sim_advance(b, 7001000);
        ctl ^= VMTRACE_CTL_TSC;
        vmtrace_rig_set(b, 0, VMTRACE_KEY_CTL, ctl);
    }
    assert_true(sim_trace_bytes(b, 7, 0, 0, all, sizeof(all)));
    struct pt_decoded d = pt_decode(all, sizeof(all));

    assert_int_equal(d.error, 0);
    assert_int_equal(d.packets[ppt_mnt],
                     sizeof(all) / (PT_BLOCK_BYTES / PT_SEQUENCE_PER_BLOCK) + 1);
    assert_int_equal(d.sequence_gaps + d.tsc_steps_back, 0);
    assert_ring_is_true(b, 0);
}

static void a_reset_is_followed_by_other_packets(void **state)
{
    SIM_AUTO *b = sim_rig_open(VMTRACE_RIG(RING "rate = 1000000"));
    static uint8_t one[PT_BLOCK_BYTES], two[PT_BLOCK_BYTES];

    (void)state;
    vmtrace_rig_set(b, 0, VMTRACE_KEY_CTL, VMTRACE_CTL_OS); /* without TSC packets, which differ */
    for (uint64_t i = 0; i < 2; i++) {
        assert_int_equal(vmtrace_rig_call(b, 0, VMTRACE_RESET_AND_ENABLE, 0, NULL), 0);
        sim_rig_advance_ms(b, 5);
        assert_true(sim_trace_bytes(b, 7, 0, i * 5000, i == 0 ? one : two, sizeof(one)));
        assert_int_equal(vmtrace_rig_call(b, 0, VMTRACE_DISABLE, 0, NULL), 0);
    }
    assert_memory_not_equal(one, two, sizeof(one));
}

/* Where more was written than the rate says, its time stamps are ahead. */
static void time_stamps_never_go_back_over_a_reset(void **state)
{
    SIM_AUTO *b = sim_rig_open(VMTRACE_RIG(
        RING "rate = 1000000") "event { step = 1 do = \"vmtrace_emit\" domain = \"a\" value = "
                               "500000 }\n");
    static uint8_t all[20000];

    (void)state;
    sim_rig_advance_ms(b, 1);
    vmtrace_rig_start(b, 0);
    sim_step(b);
    assert_true(sim_trace_bytes(b, 7, 0, 480000, all, sizeof(all)));
    uint64_t last = pt_decode(all, sizeof(all)).last_tsc;

    assert_int_equal(vmtrace_rig_call(b, 0, VMTRACE_DISABLE, 0, NULL), 0);
    assert_int_equal(vmtrace_rig_call(b, 0, VMTRACE_RESET_AND_ENABLE, 0, NULL), 0);
    sim_rig_advance_ms(b, 20);
    assert_true(sim_trace_bytes(b, 7, 0, 500000, all, sizeof(all)));
    assert_true(last > 1000000);
    assert_true(pt_decode(all, sizeof(all)).first_tsc >= last);
}

static void the_same_seed_makes_the_same_bytes_and_each_vcpu_has_its_own(void **state)
{
    static uint8_t one[RING_BYTES], two[RING_BYTES];
    SIM_AUTO *a = sim_rig_open(VMTRACE_RIG_VCPUS("2", RING "rate = 1000000"));
    SIM_AUTO *b = sim_rig_open(VMTRACE_RIG_VCPUS("2", RING "rate = 1000000"));
    SIM_AUTO *other = sim_rig_open("seed = 9\n" VMTRACE_RIG_VCPUS("2", RING "rate = 1000000"));
    struct backend *const hosts[] = { a, b, other };

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        vmtrace_rig_start(hosts[i], 0);
        vmtrace_rig_start(hosts[i], 1);
        sim_rig_advance_ms(hosts[i], 60);
    }
    vmtrace_rig_ring(a, 1, RING_FRAMES, one);
    vmtrace_rig_ring(b, 1, RING_FRAMES, two);
    assert_memory_equal(one, two, RING_BYTES);
    vmtrace_rig_ring(other, 1, RING_FRAMES, two);
    assert_memory_not_equal(one, two, RING_BYTES);
    vmtrace_rig_ring(a, 0, RING_FRAMES, two);
    assert_memory_not_equal(one, two, RING_BYTES);
}

/* --- what is played ---------------------------------------------------------------------------- */

enum { FILE_BYTES = 3 * 1000 * 1000 + 17 };

/* A file of drawn bytes; the scenario that plays it. */
static uint8_t *write_source(const struct folder *folder, const char *name, uint64_t seed)
{
    char path[FOLDER_PATH_BYTES];
    uint8_t *bytes = malloc(FILE_BYTES + 8);

    assert_non_null(bytes);
    for (size_t i = 0; i < FILE_BYTES; i += 8) {
        uint64_t drawn = draw_next(&seed);

        memcpy(bytes + i, &drawn, sizeof(drawn));
    }
    snprintf(path, sizeof(path), "%s/%s", folder->path, name);
    FILE *out = fopen(path, "w");

    assert_non_null(out);
    assert_int_equal(fwrite(bytes, 1, FILE_BYTES, out), FILE_BYTES);
    assert_int_equal(fclose(out), 0);
    return bytes;
}

static struct backend *open_playing(const char *vcpus, const char *sources, const char *rest)
{
    char scenario[8192];
    int len = snprintf(scenario, sizeof(scenario),
                       SIM_VIRTUAL "domain \"a\" { domid = 7 uuid = \"" SIM_UUID
                                   "\" type = \"hvm\" vcpus = %s vmtrace { " RING
                                   "rate = 8388608 source = %s %s } }",
                       vcpus, sources, rest);

    assert_in_range(len, 1, sizeof(scenario) - 1);
    return sim_rig_open(scenario);
}

static void a_file_is_played_once_and_in_order(void **state)
{
    FOLDER_AUTO folder = folder_make();
    SCOPE_FREE uint8_t *bytes = write_source(&folder, "f", 1);
    SCOPE_FREE uint8_t *drained = malloc(FILE_BYTES);
    char source[FOLDER_PATH_BYTES + 8];
    uint64_t at = 0, position = 0;

    (void)state;
    snprintf(source, sizeof(source), "\"%s/f\"", folder.path);
    SIM_AUTO *b = open_playing("1", source, "");

    vmtrace_rig_start(b, 0);
    for (int i = 0; i < 200; i++) {
        sim_rig_advance_ms(b, 3); /* about a third of the ring */
        uint64_t to = vmtrace_rig_position(b, 0);

        vmtrace_rig_ring(b, 0, RING_FRAMES, ring);
        for (; position != to; position = (position + 1) % RING_BYTES) {
            assert_true(at < FILE_BYTES);
            drained[at++] = ring[position];
        }
    }
    assert_int_equal(at, FILE_BYTES);
    assert_memory_equal(drained, bytes, FILE_BYTES);
    sim_rig_advance_ms(b, 100000);
    assert_int_equal(vmtrace_rig_truth(b, 0).produced, FILE_BYTES);
    assert_int_equal(vmtrace_rig_call(b, 0, VMTRACE_DISABLE, 0, NULL), 0);
    vmtrace_rig_start(b, 0); /* and once it stays */
    sim_rig_advance_ms(b, 100);
    assert_int_equal(vmtrace_rig_position(b, 0), 0);
}

static void a_loop_begins_again_and_goes_on_over_a_reset(void **state)
{
    FOLDER_AUTO folder = folder_make();
    SCOPE_FREE uint8_t *bytes = write_source(&folder, "f", 1);
    char source[FOLDER_PATH_BYTES + 8];
    static uint8_t some[1000];

    (void)state;
    snprintf(source, sizeof(source), "\"%s/f\"", folder.path);
    SIM_AUTO *b = open_playing("1", source, "loop = true");

    vmtrace_rig_start(b, 0);
    sim_rig_advance_ms(b, 1000); /* nearly three times */
    assert_int_equal(vmtrace_rig_truth(b, 0).produced, 8388608);
    assert_int_equal(vmtrace_rig_call(b, 0, VMTRACE_DISABLE, 0, NULL), 0);
    vmtrace_rig_start(b, 0);
    sim_rig_advance_ms(b, 10);
    assert_int_equal(vmtrace_rig_truth(b, 0).reset_at, 8388608);
    assert_ring_is_true(b, 0);
    for (uint64_t from = 0; from < 8388608 + 80000; from += 34567) {
        assert_true(sim_trace_bytes(b, 7, 0, from, some, sizeof(some)));
        for (size_t i = 0; i < sizeof(some); i++) {
            assert_int_equal(some[i], bytes[(from + i) % FILE_BYTES]);
        }
    }
}

static void vcpus_take_files_in_turn(void **state)
{
    FOLDER_AUTO folder = folder_make();
    SCOPE_FREE uint8_t *one = write_source(&folder, "f", 1);
    SCOPE_FREE uint8_t *two = write_source(&folder, "g", 2);
    uint8_t *const of[] = { one, two, one };
    char sources[3 * FOLDER_PATH_BYTES];

    (void)state;
    snprintf(sources, sizeof(sources), "{ \"%s/f\", \"%s/g\" }", folder.path, folder.path);
    SIM_AUTO *b = open_playing("3", sources, "");

    for (uint32_t vcpu = 0; vcpu < 3; vcpu++) {
        vmtrace_rig_start(b, vcpu);
    }
    sim_rig_advance_ms(b, 5);
    for (uint32_t vcpu = 0; vcpu < 3; vcpu++) {
        vmtrace_rig_ring(b, vcpu, RING_FRAMES, ring);
        assert_memory_equal(ring, of[vcpu], vmtrace_rig_position(b, vcpu));
    }
}

/* --- truth ------------------------------------------------------------------------------------- */

static void truth_is_of_what_was_written_and_of_vcpus_there_are(void **state)
{
    SIM_AUTO *b = sim_rig_open(VMTRACE_RIG(RING "rate = 1000000"));
    struct sim_trace t;
    uint8_t byte;

    (void)state;
    vmtrace_rig_start(b, 0);
    sim_rig_advance_ms(b, 1);
    assert_true(sim_trace_bytes(b, 7, 0, 999, &byte, 1));
    assert_false(sim_trace_bytes(b, 7, 0, 1000, &byte, 1));
    assert_false(sim_trace_bytes(b, 7, 0, UINT64_MAX, &byte, 1));
    assert_false(sim_trace_bytes(b, 7, 1, 0, &byte, 1));
    assert_false(sim_trace(b, 7, 1, &t));
    assert_false(sim_trace(b, 8, 0, &t));
}

static void the_newest_64_resets_are_known(void **state)
{
    SIM_AUTO *b = sim_rig_open(VMTRACE_RIG(RING "rate = 1000000"));
    uint8_t byte;

    (void)state;
    for (int i = 0; i <= TRACE_SOURCE_STRETCHES_MAX; i++) {
        vmtrace_rig_start(b, 0);
        sim_rig_advance_ms(b, 1);
        assert_int_equal(vmtrace_rig_call(b, 0, VMTRACE_DISABLE, 0, NULL), 0);
        assert_int_equal(sim_trace_bytes(b, 7, 0, 0, &byte, 1), i < TRACE_SOURCE_STRETCHES_MAX);
    }
    assert_true(sim_trace_bytes(b, 7, 0, 1000, &byte, 1));
}

static uint64_t delay(void *arg, enum sim_moment moment, uint64_t nth)
{
    uint64_t *delays = arg;

    return delays[moment] * (nth % 2); /* each second one not at all */
}

static void time_passes_within_calls_as_a_test_wants_it(void **state)
{
    uint64_t delays[SIM_MOMENTS] = { [SIM_AFTER_POSITION] = 1000000, [SIM_AFTER_MAP] = 3000000 };
    SIM_AUTO *b = sim_rig_open(VMTRACE_RIG(RING "rate = 1000000"));
    struct backend_mapping m = { 0 };

    (void)state;
    vmtrace_rig_start(b, 0);
    sim_delay(b, &(struct sim_delays){ .after = delay, .arg = delays });
    assert_int_equal(vmtrace_rig_position(b, 0), 0); /* as it was before */
    assert_int_equal(vmtrace_rig_truth(b, 0).produced, 1000);
    assert_int_equal(vmtrace_rig_position(b, 0), 1000);
    assert_int_equal(vmtrace_rig_truth(b, 0).produced, 1000);
    assert_int_equal(backend_ops->map(b, 7, RESOURCE_VMTRACE_BUF, 0, 0, 1, &m, NULL), 0);
    assert_int_equal(vmtrace_rig_truth(b, 0).produced, 4000);
    backend_ops->unmap(b, &m);
    (void)vmtrace_rig_get(b, 0, VMTRACE_KEY_CTL);
    assert_int_equal(sim_now_ns(b), 4000000);
    sim_delay(b, &(struct sim_delays){ 0 });
    (void)vmtrace_rig_position(b, 0);
    assert_int_equal(sim_now_ns(b), 4000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_come_at_their_rate_however_often_one_looks),
        cmocka_unit_test(only_what_lets_packets_through_writes),
        cmocka_unit_test(a_guest_that_stands_still_writes_nothing),
        cmocka_unit_test(vcpus_that_never_run_or_are_offline_write_nothing),
        cmocka_unit_test(neither_birth_nor_a_reset_clears_the_ring),
        cmocka_unit_test(plain_enabling_goes_on_where_it_was),
        cmocka_unit_test(every_epoch_decodes_from_its_first_byte),
        cmocka_unit_test(time_stamps_are_there_as_rtit_ctl_says),
        cmocka_unit_test(options_that_change_do_so_between_packets),
        cmocka_unit_test(a_reset_is_followed_by_other_packets),
        cmocka_unit_test(time_stamps_never_go_back_over_a_reset),
        cmocka_unit_test(the_same_seed_makes_the_same_bytes_and_each_vcpu_has_its_own),
        cmocka_unit_test(a_file_is_played_once_and_in_order),
        cmocka_unit_test(a_loop_begins_again_and_goes_on_over_a_reset),
        cmocka_unit_test(vcpus_take_files_in_turn),
        cmocka_unit_test(truth_is_of_what_was_written_and_of_vcpus_there_are),
        cmocka_unit_test(the_newest_64_resets_are_known),
        cmocka_unit_test(time_passes_within_calls_as_a_test_wants_it),
    };

    return UNIT_RUN(tests);
}
