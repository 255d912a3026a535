/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* A recording as a scenario and a play: the whole image at 0, each change at its time, and what no play
 * can hold is left out with a word. */
#include <sys/stat.h>

#include "client/cli/scenario_files.h"
#include "tests/lib/folder.h"
#include "tests/lib/recording_file.h"

enum { TEXT_BYTES = 1 << 20, LINES_OF_A_FRAME = 64 };

struct made {
    struct folder folder;
    struct recording_file file;
    struct buffer stream;
    char play[TEXT_BYTES], scenario[TEXT_BYTES];
};

static struct made *begin(struct say_begin what)
{
    static struct made m;

    m.folder = folder_make();
    recording_file_begin(&m.file, RECORDING_OF_RESOURCE);
    buffer_init(&m.stream, 1 << 26);
    say_begin(&m.stream, what);
    return &m;
}

static void read_file(const char *path, char text[TEXT_BYTES])
{
    FILE *file = fopen(path, "re");
    size_t len = file != NULL ? fread(text, 1, TEXT_BYTES - 1, file) : 0;

    text[len] = '\0';
    if (file != NULL) {
        fclose(file);
    }
}

/* The exit status; the texts are in `m`, "" where there is none. */
static int make(struct made *m)
{
    RECORDING_READER_AUTO reader = { 0 };

    recording_file_messages(&m->file, &m->stream);
    recording_file_close(&m->file);
    assert_int_equal(recording_reader_open(
                         &reader, recording_file_open(&m->file, m->file.bytes.len_bytes), NULL),
                     0);
    int status = scenario_files_write(&reader, folder_path(&m->folder, "a \"b\\c"));

    read_file(folder_path(&m->folder, "a \"b\\c.play"), m->play);
    read_file(folder_path(&m->folder, "a \"b\\c.scenario"), m->scenario);
    recording_file_done(&m->file);
    buffer_done(&m->stream);
    return status;
}

static void done(struct made *m)
{
    folder_done(&m->folder);
}

/* The line of an index, 0 the first. */
static const char *line(const char *text, unsigned index)
{
    for (; index > 0; index--) {
        text += strcspn(text, "\n") + 1;
    }
    return text;
}

static unsigned lines(const char *text)
{
    unsigned count = 0;

    for (; *text != '\0'; text++) {
        count += *text == '\n';
    }
    return count;
}

static bool starts(const char *text, const char *beginning)
{
    return strncmp(text, beginning, strlen(beginning)) == 0;
}

static void the_image_and_each_change_are_played(void **state)
{
    static uint8_t bytes[WATCH_FRAME_BYTES];
    struct made *m = begin((struct say_begin){ .feed = FEED_A });

    (void)state;
    bytes[64] = 0xab;
    say_image(&m->stream,
              (struct say_image){ .sequence = 3, .bytes = bytes, .len = 96, .more = true });
    say_image(&m->stream,
              (struct say_image){ .sequence = 3, .bytes = bytes + 96, .offset = 96, .len = 4000 });
    say_changes(&m->stream,
                (struct say_changes){ .sequence = 4, .blocks = { 5, 63 }, .block_count = 2 });
    bytes[64] = 0; /* another whole image: what is different */
    say_image(&m->stream, (struct say_image){ .first = 5, .sequence = 5, .bytes = bytes });
    assert_int_equal(make(m), 0);
    assert_true(starts(m->play, "xenres-play 1 64 1 0\n0 0 0000"));
    assert_true(starts(line(m->play, 2), "0 1 ab00"));
    assert_true(starts(line(m->play, 64), "0 63 0000"));
    assert_true(starts(line(m->play, 65), "0 5 0909"));
    assert_true(starts(line(m->play, 66), "0 63 4343"));
    /* Blocks 1, 5 and 63 are as they were. */
    assert_true(starts(line(m->play, 67), "0 1 0000"));
    assert_int_equal(lines(m->play), 1 + LINES_OF_A_FRAME + 2 + 3);
    for (unsigned i = 1; i < lines(m->play); i++) {
        const char *hex = strchr(strchr(line(m->play, i), ' ') + 1, ' ') + 1;

        assert_int_equal(strcspn(hex, "\n"), 128);
    }
    done(m);
}

static void the_scenario_has_the_domain_as_it_was(void **state)
{
    struct made *m = begin((struct say_begin){ .feed = FEED_A });

    (void)state;
    say_image(&m->stream, (struct say_image){ .sequence = 3 });
    assert_int_equal(make(m), 0);
    assert_non_null(strstr(m->scenario, "domid = 1\n"));
    assert_non_null(strstr(m->scenario, "uuid = \"" UUID_A "\"\n"));
    assert_non_null(strstr(m->scenario, "name = \"web-1\"\n"));
    /* Relative to it, and quoted. */
    assert_non_null(strstr(m->scenario, "play = \"a \\\"b\\\\c.play\"\n"));
    done(m);
}

static void a_table_of_another_size_ends_the_play(void **state)
{
    struct made *m = begin((struct say_begin){ .feed = FEED_A });

    (void)state;
    say_image(&m->stream, (struct say_image){ .sequence = 3 });
    say_gap(&m->stream, XENRES_GAP_NEW_SEGMENT, 4, 5);
    say_image(&m->stream,
              (struct say_image){
                  .sequence = 5, .segment = 1, .frame_count = 2, .len = 2 * WATCH_FRAME_BYTES });
    say_changes(&m->stream, (struct say_changes){
                                .sequence = 6, .segment = 1, .blocks = { 1 }, .block_count = 1 });
    assert_int_equal(make(m), 0);
    assert_int_equal(lines(m->play), 1 + LINES_OF_A_FRAME);
    done(m);
}

static void what_cannot_be_played_is_refused(void **state)
{
    struct made *m = begin((struct say_begin){ .feed = FEED_A });

    (void)state;
    assert_int_equal(make(m), 1); /* no image */
    assert_string_equal(m->play, "");
    assert_string_equal(m->scenario, "");
    done(m);
    m = begin((struct say_begin){ .feed = FEED_A, .decode = true });
    say_decoded(&m->stream, 0, 3, true, false);
    assert_int_equal(make(m), 1);
    assert_string_equal(m->scenario, "");
    done(m);
    m = begin((struct say_begin){ .feed = FEED_A, .first_frame = 1 });
    say_image(&m->stream, (struct say_image){ .sequence = 3 });
    assert_int_equal(make(m), 1);
    done(m);
    m = begin((struct say_begin){ .feed = FEED_A });
    say_image(&m->stream, (struct say_image){ .sequence = 3, .len = 100, .frame_count = 1 });
    assert_int_equal(make(m), 1);
    done(m);
}

static void a_play_has_a_largest_size(void **state)
{
    static uint8_t bytes[WATCH_FRAME_BYTES];
    static uint32_t blocks[WATCH_BLOCKS_A_FRAME];
    struct made *m = begin((struct say_begin){ .feed = FEED_A });
    struct stat play;

    (void)state;
    for (uint32_t i = 0; i < WATCH_BLOCKS_A_FRAME; i++) {
        blocks[i] = i;
    }
    say_image(&m->stream, (struct say_image){ .sequence = 3, .bytes = bytes });
    /* More than the simulator reads, by a little. */
    for (uint64_t i = 4; i < 4 + SCENARIO_FILES_PLAY_MAX_BYTES / (64 * 132); i++) {
        say_changes(&m->stream, (struct say_changes){ .sequence = i,
                                                      .block_list = blocks,
                                                      .block_count = WATCH_BLOCKS_A_FRAME });
    }
    assert_int_equal(make(m), 0);
    assert_int_equal(stat(folder_path(&m->folder, "a \"b\\c.play"), &play), 0);
    assert_in_range(play.st_size, SCENARIO_FILES_PLAY_MAX_BYTES - 256,
                    SCENARIO_FILES_PLAY_MAX_BYTES);
    done(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_image_and_each_change_are_played),
        cmocka_unit_test(the_scenario_has_the_domain_as_it_was),
        cmocka_unit_test(a_table_of_another_size_ends_the_play),
        cmocka_unit_test(what_cannot_be_played_is_refused),
        cmocka_unit_test(a_play_has_a_largest_size),
    };

    return UNIT_RUN(tests);
}
