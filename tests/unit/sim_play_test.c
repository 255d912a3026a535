/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Play files: what is taken and refused, and guests whose pages move as one says. */
#include "server/mapper/sim/play.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/buffer.h"
#include "common/text.h"
#include "server/mapper/sim/scenario.h"
#include "tests/lib/folder.h"
#include "tests/lib/sim_rig.h"

enum { BLOCKS = LAYOUT_FRAME_BYTES / PLAY_BLOCK_BYTES, TEXT_BYTES_MAX = PLAY_FILE_BYTES_MAX };

/* A line for a block of one byte's value. */
static void put_line(struct buffer *text, unsigned at_ms, unsigned block, uint8_t value)
{
    uint8_t bytes[PLAY_BLOCK_BYTES];
    char hex[2 * PLAY_BLOCK_BYTES + 1];

    memset(bytes, value, sizeof(bytes));
    text_from_hex(bytes, sizeof(bytes), hex);
    buffer_printf(text, "%u %u %s\n", at_ms, block, hex);
}

/* A head, and an image in which each block holds its number. */
static void put_image(struct buffer *text, unsigned frames, unsigned grant_version)
{
    buffer_printf(text, "xenres-play 1 64 %u %u\n", frames, grant_version);
    for (unsigned block = 0; block < frames * BLOCKS; block++) {
        put_line(text, 0, block, (uint8_t)block);
    }
}

static int parse(struct buffer *text, struct play **out, struct failure *f)
{
    const char *content = buffer_string(text);

    assert_non_null(content);
    return play_parse(content, text->len_bytes, "file", out, f);
}

static void a_file_is_read_whole(void **state)
{
    BUFFER_AUTO(text, TEXT_BYTES_MAX);
    struct play *p = NULL;

    (void)state;
    put_image(&text, 2, 2);
    put_line(&text, 15, 127, 0xee);
    put_line(&text, 15, 3, 0xef);
    put_line(&text, UINT32_MAX, 0, 0xf0);
    assert_int_equal(parse(&text, &p, NULL), 0);
    assert_int_equal(p->frame_count, 2);
    assert_int_equal(p->grant_version, 2);
    assert_int_equal(p->change_count, 2 * BLOCKS + 3);
    assert_int_equal(p->changes[5].bytes[63], 5);
    assert_int_equal(p->changes[2 * BLOCKS].at_ms, 15);
    assert_int_equal(p->changes[2 * BLOCKS].block, 127);
    assert_int_equal(p->changes[2 * BLOCKS].bytes[0], 0xee);
    assert_int_equal(p->changes[2 * BLOCKS + 2].at_ms, UINT32_MAX);
    free(p);
}

static void refused(struct buffer *text, const char *said)
{
    struct play *p = NULL;
    struct failure f = { 0 };

    assert_int_equal(parse(text, &p, &f), -ERROR_INVALID_ARGUMENT);
    if (strstr(f.message, said) == NULL) {
        fail_msg("`%s` is not in `%s`", said, f.message);
    }
    assert_true(f.next_step[0] != '\0');
    assert_null(p);
}

static void a_head_that_is_none_is_refused(void **state)
{
    static const struct {
        const char *head, *said;
    } heads[] = {
        { "", "file:1: expected \"xenres-play 1 64 FRAMES GRANT_VERSION\"" },
        { "xenres-play", "file:1: expected \"xenres-play" },
        { "xenres-record 1 64 1 1\n", "file:1: expected \"xenres-play" },
        { "xenres-play 2 64 1 1\n", "file:1: expected format 1" },
        { "xenres-play 1 32 1 1\n", "file:1: expected blocks of 64 bytes" },
        { "xenres-play 1 64 0 1\n", "frames from 1 to 4096" },
        { "xenres-play 1 64 4097 1\n", "frames from 1 to 4096" },
        { "xenres-play 1 64 01 1\n", "frames from 1 to 4096" },
        { "xenres-play 1 64 1 3\n", "a grant table's version" },
        { "xenres-play 1 64 1\n", "frames from 1 to 4096" },
        { "xenres-play 1 64 1 1 \n", "a grant table's version" },
        { "xenres-play 1 64 1 1\r\n", "a grant table's version" },
        { "xenres-play  1 64 1 1\n", "expected format 1" },
        { "xenres-play 1 64 1 1", "a grant table's version" },
        { "xenres-play 1 64 1 1\n", "file:1: the image at 0 is not whole" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        BUFFER_AUTO(text, TEXT_BYTES_MAX);

        buffer_append_string(&text, heads[i].head);
        refused(&text, heads[i].said);
    }
}

static void a_line_that_is_none_is_refused_with_its_number(void **state)
{
    char hex[2 * PLAY_BLOCK_BYTES + 1];
    static const struct {
        const char *before, *after, *said; /* of the digits */
        int digits;
    } lines[] = {
        { "", "\n", "file:66: expected a time", 128 },
        { "-1 0 ", "\n", "file:66: expected a time", 128 },
        { "4294967296 0 ", "\n", "file:66: expected a time", 128 },
        { "1 64 ", "\n", "file:66: expected the number of a block", 128 },
        { "1 0 ", "\n", "file:66: expected 128 hexadecimal digits", 126 },
        { "1 0 ", "00\n", "file:66: expected 128 hexadecimal digits", 128 },
        { "1 0 ", "g\n", "file:66: expected 128 hexadecimal digits", 127 },
        { "1 0  ", "\n", "file:66: expected 128 hexadecimal digits", 128 },
        { "1 0 ", " \n", "file:66: expected 128 hexadecimal digits", 128 },
        { "1 0 ", "\r\n", "file:66: expected 128 hexadecimal digits", 128 },
        { "1 0 ", "", "file:66: expected 128 hexadecimal digits", 128 },
        { "\n", "", "file:66: expected a time", 0 },
        { "# ", "\n", "file:66: expected a time", 0 },
    };

    (void)state;
    memset(hex, '0', sizeof(hex) - 1);
    hex[sizeof(hex) - 1] = '\0';
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        BUFFER_AUTO(text, TEXT_BYTES_MAX);

        put_image(&text, 1, 1);
        buffer_printf(&text, "%s%.*s%s", lines[i].before, lines[i].digits, hex, lines[i].after);
        refused(&text, lines[i].said);
    }
}

static void time_never_goes_back(void **state)
{
    BUFFER_AUTO(text, TEXT_BYTES_MAX);

    (void)state;
    put_image(&text, 1, 1);
    put_line(&text, 20, 0, 1);
    put_line(&text, 20, 0, 2);
    put_line(&text, 19, 0, 3);
    refused(&text, "file:68: the time is before that of the line above");
}

static void an_image_with_a_hole_is_refused(void **state)
{
    BUFFER_AUTO(text, TEXT_BYTES_MAX);

    (void)state;
    buffer_append_string(&text, "xenres-play 1 64 1 1\n");
    for (unsigned block = 0; block < BLOCKS - 1; block++) {
        put_line(&text, 0, block, 1);
    }
    put_line(&text, 0, 0, 2);          /* twice is no image of the last one */
    put_line(&text, 1, BLOCKS - 1, 1); /* nor is later */
    refused(&text, "the image at 0 is not whole");
}

static void a_nul_in_a_line_ends_nothing(void **state)
{
    BUFFER_AUTO(text, TEXT_BYTES_MAX);

    (void)state;
    put_image(&text, 1, 1);
    buffer_append(&text, "1 0\0 00\n", 8);
    refused(&text, "file:66: expected the number of a block");
}

static void the_largest_file_is_taken_and_no_larger_one(void **state)
{
    FOLDER_AUTO folder = folder_make();
    const char *path = folder_path(&folder, "play");
    struct failure f = { 0 };
    struct play *p = NULL;
    FILE *file = fopen(path, "we");

    (void)state;
    assert_non_null(file);
    assert_int_equal(ftruncate(fileno(file), PLAY_FILE_BYTES_MAX), 0); /* zeros: no head */
    assert_int_equal(play_load(path, &p, &f), -ERROR_INVALID_ARGUMENT);
    assert_int_equal(ftruncate(fileno(file), PLAY_FILE_BYTES_MAX + 1), 0);
    assert_int_equal(play_load(path, &p, &f), -ERROR_RESOURCE_EXHAUSTED);
    assert_non_null(strstr(f.message, "more than"));
    assert_int_equal(fclose(file), 0);
    BUFFER_AUTO(text, TEXT_BYTES_MAX);

    put_image(&text, PLAY_FRAMES_MAX, 1);
    assert_int_equal(parse(&text, &p, NULL), 0);
    assert_int_equal(p->change_count, PLAY_FRAMES_MAX * BLOCKS);
    free(p);
}

/* --- guests that play ---------------------------------------------------------------------------- */

static void write_play(const struct folder *folder, const char *name, unsigned frames,
                       unsigned grant_version)
{
    BUFFER_AUTO(text, TEXT_BYTES_MAX);

    put_image(&text, frames, grant_version);
    put_line(&text, 10, 1, 0xa1);
    put_line(&text, 20, 1, 0xa2);
    put_line(&text, 20, frames * BLOCKS - 1, 0xa3);
    assert_non_null(buffer_string(&text));
    folder_write(folder_path(folder, name), text.data, text.len_bytes);
}

static int open_playing(const struct folder *folder, const char *scenario, struct backend **b,
                        struct failure *f)
{
    folder_write(folder_path(folder, "scenario"), scenario, strlen(scenario));
    return backend_open(folder_path(folder, "scenario"), b, f);
}

static struct backend *playing(const struct folder *folder, const char *scenario)
{
    struct backend *b = NULL;
    struct failure f = { 0 };

    if (open_playing(folder, scenario, &b, &f) < 0) {
        fail_msg("%s", f.message);
    }
    return b;
}

static uint8_t byte_of(struct backend *b, uint32_t type, unsigned block)
{
    return sim_rig_frame(b, type, 0, block / BLOCKS)[block % BLOCKS * PLAY_BLOCK_BYTES];
}

static void a_grant_table_plays_its_file_and_stands_still_at_the_end(void **state)
{
    FOLDER_AUTO folder = folder_make();
    struct backend_size size;

    (void)state;
    write_play(&folder, "g.play", 3, 2);
    SIM_AUTO *b = playing(&folder, SIM_VIRTUAL SIM_DOMAIN("grants { play = \"g.play\" }"));

    assert_int_equal(backend_ops->size(b, 7, RESOURCE_GRANT_TABLE, 0, &size, NULL), 0);
    assert_int_equal(size.frames_in_use, 3);
    assert_int_equal(size.grant_version, 2);
    assert_int_equal(byte_of(b, RESOURCE_GRANT_TABLE, 1), 1);
    assert_int_equal(byte_of(b, RESOURCE_GRANT_TABLE, 150), 150);
    sim_rig_advance_ms(b, 10);
    assert_int_equal(byte_of(b, RESOURCE_GRANT_TABLE, 1), 0xa1);
    assert_int_equal(byte_of(b, RESOURCE_GRANT_TABLE, 191), 191);
    sim_rig_advance_ms(b, 9);
    assert_int_equal(byte_of(b, RESOURCE_GRANT_TABLE, 1), 0xa1);
    sim_rig_advance_ms(b, 1);
    assert_int_equal(byte_of(b, RESOURCE_GRANT_TABLE, 1), 0xa2);
    assert_int_equal(byte_of(b, RESOURCE_GRANT_TABLE, 191), 0xa3);
    struct sim_changes end = sim_rig_changes(b);

    sim_rig_advance_ms(b, 1000000);
    assert_int_equal(sim_rig_changes(b).words, end.words);
    assert_int_equal(end.grants, 3 * BLOCKS - 1 + 3); /* block 0 was zero from the start */
}

static void a_domain_that_is_created_again_plays_from_the_beginning(void **state)
{
    FOLDER_AUTO folder = folder_make();

    (void)state;
    write_play(&folder, "g.play", 1, 1);
    SIM_AUTO *b = playing(
        &folder,
        SIM_VIRTUAL SIM_DOMAIN(
            "grants { play = \"g.play\" }") "event { at_ms = 30 do = \"restore\" domain = \"a\" }\n"
                                            "event { at_ms = 45 do = \"pause\" domain = \"a\" }\n");

    sim_rig_advance_ms(b, 29);
    assert_int_equal(byte_of(b, RESOURCE_GRANT_TABLE, 1), 0xa2);
    sim_rig_advance_ms(b, 1);
    assert_int_equal(byte_of(b, RESOURCE_GRANT_TABLE, 1), 1);
    sim_rig_advance_ms(b, 1000); /* it was paused in between the two changes */
    assert_int_equal(byte_of(b, RESOURCE_GRANT_TABLE, 1), 0xa1);
}

static void an_ioreq_server_plays_whenever_it_is_acquired(void **state)
{
    FOLDER_AUTO folder = folder_make();

    (void)state;
    write_play(&folder, "i.play", 2, 0);
    SIM_AUTO *b = playing(
        &folder, SIM_VIRTUAL SIM_DOMAIN("type = \"hvm\" ioreq \"0\" { play = \"i.play\" }"));

    sim_rig_advance_ms(b, 15);
    assert_int_equal(sim_rig_acquire(b, 0), 0);
    assert_int_equal(byte_of(b, RESOURCE_IOREQ_SERVER, 1), 0xa1);
    assert_int_equal(byte_of(b, RESOURCE_IOREQ_SERVER, 70), 70);
    sim_rig_advance_ms(b, 5);
    assert_int_equal(byte_of(b, RESOURCE_IOREQ_SERVER, 1), 0xa2);
    assert_int_equal(byte_of(b, RESOURCE_IOREQ_SERVER, 127), 0xa3);
}

static void what_a_scenario_cannot_play_is_said(void **state)
{
    static const struct {
        const char *scenario, *said;
    } cases[] = {
        { SIM_DOMAIN("grants { play = \"none.play\" }"), "none.play" },
        { SIM_DOMAIN("grants { play = \"broken.play\" }"), "broken.play:1: expected \"xenres" },
        { SIM_DOMAIN("grants { play = \"i.play\" }"), "none of a grant table" },
        { SIM_DOMAIN("grants { play = \"g.play\" changes_per_second = 1 }"), "one of them" },
        { SIM_DOMAIN("grants { play = \"g.play\" frames_max = 2 }"), "above frames_max" },
        { SIM_DOMAIN("type = \"hvm\" ioreq \"0\" { play = \"g.play\" }"), "of a grant table" },
        { SIM_DOMAIN("type = \"hvm\" ioreq \"0\" { play = \"long.play\" }"), "has 3 frames" },
        { SIM_DOMAIN("type = \"hvm\" ioreq \"0\" { play = \"i.play\" requests_per_second = 1 }"),
          "one of them" },
        { SIM_DOMAIN("grants { play = \"g.play\" }") "event { step = 1 do = \"change\" domain = "
                                                     "\"a\" value = 1 }\n",
          "its grants are those of its play file" },
        { SIM_DOMAIN("grants { play = \"g.play\" }") "event { step = 1 do = \"set_version\" "
                                                     "domain = \"a\" value = 1 }\n",
          "its grants are those of its play file" },
    };
    FOLDER_AUTO folder = folder_make();

    (void)state;
    write_play(&folder, "g.play", 3, 2);
    write_play(&folder, "i.play", 2, 0);
    write_play(&folder, "long.play", 3, 0);
    folder_write(folder_path(&folder, "broken.play"), "x", 1);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct backend *b = NULL;
        struct failure f = { 0 };

        assert_int_equal(open_playing(&folder, cases[i].scenario, &b, &f), -ERROR_INVALID_ARGUMENT);
        if (strstr(f.message, cases[i].said) == NULL) {
            fail_msg("`%s` is not in `%s`", cases[i].said, f.message);
        }
    }
}

static void so_many_files_are_played_and_no_more(void **state)
{
    FOLDER_AUTO folder = folder_make();
    BUFFER_AUTO(scenario, SCENARIO_FILE_BYTES_MAX);
    struct backend *b = NULL;
    struct failure f = { 0 };

    (void)state;
    write_play(&folder, "g.play", 1, 1);
    for (unsigned i = 0; i <= SCENARIO_PLAYS_MAX; i++) {
        if (i == SCENARIO_PLAYS_MAX) {
            assert_int_equal(open_playing(&folder, buffer_string(&scenario), &b, NULL), 0);
            backend_ops->close(b);
        }
        buffer_printf(&scenario,
                      "domain \"d%u\" { domid = %u uuid = \"" SIM_UUID
                      "\" grants { play = \"%s/g.play\" } }\n",
                      i, i + 1, folder.path);
    }
    assert_int_equal(open_playing(&folder, buffer_string(&scenario), &b, &f),
                     -ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(f.message, "more than 16 play files"));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_read_whole),
        cmocka_unit_test(a_head_that_is_none_is_refused),
        cmocka_unit_test(a_line_that_is_none_is_refused_with_its_number),
        cmocka_unit_test(time_never_goes_back),
        cmocka_unit_test(an_image_with_a_hole_is_refused),
        cmocka_unit_test(a_nul_in_a_line_ends_nothing),
        cmocka_unit_test(the_largest_file_is_taken_and_no_larger_one),
        cmocka_unit_test(a_grant_table_plays_its_file_and_stands_still_at_the_end),
        cmocka_unit_test(a_domain_that_is_created_again_plays_from_the_beginning),
        cmocka_unit_test(an_ioreq_server_plays_whenever_it_is_acquired),
        cmocka_unit_test(what_a_scenario_cannot_play_is_said),
        cmocka_unit_test(so_many_files_are_played_and_no_more),
    };

    return UNIT_RUN(tests);
}
