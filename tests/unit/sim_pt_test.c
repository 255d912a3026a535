/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Generated traces are valid by libipt's account, and the same wherever one begins to look. */
#include "server/mapper/sim/pt.h"

#include <stdlib.h>
#include <zlib.h>

#include "common/scope.h"
#include "tests/lib/pt_decode.h"

enum { LEN_BYTES = 4 << 20, SEEDS = 16 };

static const struct pt_options usual = {
    .seed = 7,
    .tsc_start = 1000000,
    .tsc_per_block = 100000,
    .has_tsc = true,
    .has_sequence = true,
};

static uint8_t *generated(const struct pt_options *o, uint64_t from, size_t len)
{
    uint8_t *bytes = malloc(len);

    assert_non_null(bytes);
    pt_bytes(o, from, bytes, len);
    return bytes;
}

static void it_decodes_without_errors_and_has_every_kind_of_packet(void **state)
{
    static const enum pt_packet_type kinds[] = {
        ppt_psb, ppt_psbend,  ppt_tsc, ppt_cbr,     ppt_pip, ppt_mode,  ppt_fup,
        ppt_tip, ppt_tip_pge, ppt_ovf, ppt_tip_pgd, ppt_mnt, ppt_tnt_8, ppt_tnt_64,
    };

    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct pt_options o = usual;
        SCOPE_FREE uint8_t *bytes = NULL;

        o.seed = seed;
        bytes = generated(&o, 0, LEN_BYTES / SEEDS);
        struct pt_decoded d = pt_decode(bytes, LEN_BYTES / SEEDS);

        assert_int_equal(d.error, 0);
        assert_int_equal(d.synchronised_at, 0);
        assert_int_equal(d.decoded_to, LEN_BYTES / SEEDS);
        assert_int_equal(d.packets[ppt_psb], LEN_BYTES / SEEDS / PT_BLOCK_BYTES);
        for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
            if (d.packets[kinds[i]] == 0) {
                fail_msg("seed %u has no packet of type %d", (unsigned)seed, (int)kinds[i]);
            }
        }
    }
}

static void its_numbers_and_time_stamps_go_on_across_blocks(void **state)
{
    SCOPE_FREE uint8_t *bytes = generated(&usual, 0, LEN_BYTES);
    struct pt_decoded d = pt_decode(bytes, LEN_BYTES);

    (void)state;
    assert_int_equal(d.packets[ppt_mnt], LEN_BYTES / PT_BLOCK_BYTES * PT_SEQUENCE_PER_BLOCK);
    assert_int_equal(d.first_sequence, 0);
    assert_int_equal(d.sequence_gaps, 0);
    assert_int_equal(d.tsc_steps_back, 0);
    assert_in_range(d.first_tsc, usual.tsc_start, usual.tsc_start + usual.tsc_per_block);
    uint64_t end = pt_tsc(&usual, LEN_BYTES);

    assert_int_equal(end, usual.tsc_start + usual.tsc_per_block * (LEN_BYTES / PT_BLOCK_BYTES));
    assert_in_range(d.last_tsc, end - usual.tsc_per_block, end);
}

static void what_is_not_wanted_is_not_there(void **state)
{
    struct pt_options o = usual;

    (void)state;
    o.has_tsc = o.has_sequence = false;
    SCOPE_FREE uint8_t *bytes = generated(&o, 0, LEN_BYTES);
    struct pt_decoded d = pt_decode(bytes, LEN_BYTES);

    assert_int_equal(d.error, 0);
    assert_int_equal(d.packets[ppt_tsc] + d.packets[ppt_mnt], 0);
}

static void from_anywhere_a_decoder_synchronises_at_the_next_block(void **state)
{
    (void)state;
    for (uint64_t from = 1; from < 3 * PT_BLOCK_BYTES; from += 997) {
        SCOPE_FREE uint8_t *bytes = generated(&usual, from, LEN_BYTES / 16);
        struct pt_decoded d = pt_decode(bytes, LEN_BYTES / 16);

        assert_int_equal(d.error, 0);
        assert_int_equal((from + d.synchronised_at) % PT_BLOCK_BYTES, 0);
        assert_true(d.synchronised_at < PT_BLOCK_BYTES);
        assert_int_equal(d.sequence_gaps, 0);
    }
}

static void a_byte_is_told_by_its_offset_alone(void **state)
{
    static uint8_t whole[4 * PT_BLOCK_BYTES], part[4 * PT_BLOCK_BYTES], other[4 * PT_BLOCK_BYTES];
    struct pt_options another = usual;

    (void)state;
    another.seed++;
    pt_bytes(&usual, 0, whole, sizeof(whole));
    for (size_t from = 0; from < sizeof(whole); from += 1531) {
        for (size_t len = 1; len <= sizeof(whole) - from; len = len * 3 + 1) {
            pt_bytes(&usual, from, part, len);
            assert_memory_equal(part, whole + from, len);
        }
    }
    pt_bytes(&another, 0, other, sizeof(other));
    assert_memory_not_equal(other, whole, sizeof(whole));
}

/* Of real traces of busy guests, a fifth to a third is left. */
static void it_compresses_about_as_real_traces_do(void **state)
{
    SCOPE_FREE uint8_t *bytes = generated(&usual, 0, LEN_BYTES);
    uLongf len = compressBound(LEN_BYTES);
    SCOPE_FREE uint8_t *out = malloc(len);

    (void)state;
    assert_non_null(out);
    assert_int_equal(compress2(out, &len, bytes, LEN_BYTES, 1), Z_OK);
    print_message("# %u to %lu bytes\n", LEN_BYTES, len);
    assert_in_range(len, LEN_BYTES / 10, LEN_BYTES / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_decodes_without_errors_and_has_every_kind_of_packet),
        cmocka_unit_test(its_numbers_and_time_stamps_go_on_across_blocks),
        cmocka_unit_test(what_is_not_wanted_is_not_there),
        cmocka_unit_test(from_anywhere_a_decoder_synchronises_at_the_next_block),
        cmocka_unit_test(a_byte_is_told_by_its_offset_alone),
        cmocka_unit_test(it_compresses_about_as_real_traces_do),
    };

    return UNIT_RUN(tests);
}
