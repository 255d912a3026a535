/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* A recording's file, read: what was written comes back, and what was not is told. */
#include "tests/lib/recording_file.h"

/* Three records: a message of some bytes, an empty one, a note. */
static void three_records(struct recording_file *r)
{
    recording_file_begin(r, RECORDING_OF_RESOURCE);
    recording_file_add(r, RECORDING_MESSAGE, "first", 5);
    recording_file_add(r, RECORDING_MESSAGE, "", 0);
    recording_file_note(r, RECORDING_CLOSED, 14, "why");
}

/* The steps of a file of the first `len_bytes`, a letter each: Record, Damage, Torn, Unreadable. */
static const char *steps_of(const struct recording_file *file, size_t len_bytes)
{
    static const char letters[] = { 'R', 'D', '.', 'T', 'U' };
    static char steps[64];
    RECORDING_READER_AUTO r = { 0 };
    struct recording_step step = { .found = RECORDING_FOUND_RECORD };
    uint64_t at = RECORDING_HEADER_BYTES;
    size_t count = 0;

    assert_int_equal(recording_reader_open(&r, recording_file_open(file, len_bytes), NULL), 0);
    for (;;) {
        assert_int_equal(recording_reader_next(&r, &step, NULL), 0);
        assert_int_equal(step.offset_bytes, at);
        at += step.len_bytes;
        if (step.found == RECORDING_FOUND_END) {
            break;
        }
        assert_true(count < sizeof(steps) - 1);
        steps[count++] = letters[step.found];
    }
    assert_int_equal(at, len_bytes); /* nothing is passed over */
    steps[count] = '\0';
    return steps;
}

static void what_was_written_comes_back(void **state)
{
    RECORDING_READER_AUTO r = { 0 };
    struct recording_file file;
    struct recording_step step;
    struct recording_note note;

    (void)state;
    three_records(&file);
    assert_int_equal(
        recording_reader_open(&r, recording_file_open(&file, file.bytes.len_bytes), NULL), 0);
    assert_int_equal(r.stream, RECORDING_OF_RESOURCE);
    assert_int_equal(recording_reader_next(&r, &step, NULL), 0);
    assert_int_equal(step.record.kind, RECORDING_MESSAGE);
    assert_int_equal(step.record.index, 0);
    assert_int_equal(step.record.wall_ns, RECORDING_FILE_WALL_NS(0));
    assert_int_equal(step.record.len_bytes, 5);
    assert_memory_equal(step.record.payload, "first", 5);
    assert_int_equal(recording_reader_next(&r, &step, NULL), 0);
    assert_int_equal(step.record.index, 1);
    assert_int_equal(step.record.len_bytes, 0);
    assert_int_equal(recording_reader_next(&r, &step, NULL), 0);
    assert_true(recording_get_note(&step.record, &note));
    assert_int_equal(note.code, 14);
    assert_string_equal(note.text, "why");
    recording_file_done(&file);
}

static void a_gap_comes_back(void **state)
{
    const xenres_watch_gap gap = {
        .reason = XENRES_GAP_INTERRUPTED,
        .first_sequence = 5,
        .sequence = 9,
        .exact = true,
        .blocks = 3,
    };
    uint8_t payload[RECORDING_GAP_BYTES];
    struct recording_record record = { .payload = payload, .len_bytes = sizeof(payload) };
    xenres_watch_gap back;

    (void)state;
    recording_put_gap(&gap, payload);
    assert_true(recording_get_gap(&record, &back));
    assert_int_equal(back.reason, gap.reason);
    assert_int_equal(back.first_sequence, 5);
    assert_int_equal(back.sequence, 9);
    assert_int_equal(back.blocks, 3);
    assert_true(back.exact);
    record.len_bytes--;
    assert_false(recording_get_gap(&record, &back));
}

static void notes_are_text_of_a_bounded_length(void **state)
{
    static char long_text[RECORDING_NOTE_MAX_BYTES + 2];
    struct recording_note note;
    BUFFER_AUTO(payload, 8192);

    (void)state;
    memset(long_text, 'x', RECORDING_NOTE_MAX_BYTES + 1);
    recording_put_note(&payload, 0, long_text);
    assert_int_equal(payload.len_bytes, 4 + RECORDING_NOTE_MAX_BYTES);
    buffer_append_byte(&payload, 'x'); /* one beyond, of another's making */
    assert_true(recording_get_note(
        &(struct recording_record){ .payload = payload.data, .len_bytes = payload.len_bytes },
        &note));
    assert_int_equal(strlen(note.text), RECORDING_NOTE_MAX_BYTES);
    payload.data[4] = 0xff;
    assert_false(recording_get_note(
        &(struct recording_record){ .payload = payload.data, .len_bytes = payload.len_bytes },
        &note));
    assert_false(recording_get_note(
        &(struct recording_record){ .payload = payload.data, .len_bytes = 3 }, &note));
}

static void a_tail_is_torn_wherever_it_is_cut(void **state)
{
    struct recording_file file;
    size_t second = RECORDING_HEADER_BYTES + RECORDING_HEAD_BYTES + 5;
    size_t third = second + RECORDING_HEAD_BYTES;

    (void)state;
    three_records(&file);
    for (size_t len = RECORDING_HEADER_BYTES; len < file.bytes.len_bytes; len++) {
        bool is_between = len == RECORDING_HEADER_BYTES || len == second || len == third;
        int whole = (len >= second) + (len >= third);
        char expected[8];

        (void)snprintf(expected, sizeof(expected), "%.*s%s", whole, "RR", is_between ? "" : "T");
        assert_string_equal(steps_of(&file, len), expected);
    }
    assert_string_equal(steps_of(&file, file.bytes.len_bytes), "RRR");
    recording_file_done(&file);
}

/* What some file systems leave of what was not on the disk when the machine stopped. */
static void zeroes_at_the_end_are_a_torn_tail(void **state)
{
    struct recording_file file;

    (void)state;
    three_records(&file);
    memset(buffer_extend(&file.bytes, 5000), 0, 5000);
    assert_string_equal(steps_of(&file, file.bytes.len_bytes), "RRRT");
    buffer_append_byte(&file.bytes, 1);
    assert_string_equal(steps_of(&file, file.bytes.len_bytes), "RRRU");
    recording_file_done(&file);
}

static void a_damaged_payload_costs_itself(void **state)
{
    struct recording_file file;

    (void)state;
    three_records(&file);
    file.bytes.data[RECORDING_HEADER_BYTES + RECORDING_HEAD_BYTES] ^= 1;
    assert_string_equal(steps_of(&file, file.bytes.len_bytes), "DRR");
    /* The last one was being written. */
    file.bytes.data[file.bytes.len_bytes - 1] ^= 1;
    assert_string_equal(steps_of(&file, file.bytes.len_bytes), "DRT");
    recording_file_done(&file);
}

static void behind_a_damaged_head_nothing_can_be_read(void **state)
{
    struct recording_file file;

    (void)state;
    three_records(&file);
    for (size_t i = 0; i < RECORDING_HEAD_BYTES; i++) {
        uint8_t *at = &file.bytes.data[RECORDING_HEADER_BYTES + i];

        *at ^= 0x10;
        assert_string_equal(steps_of(&file, file.bytes.len_bytes), "U");
        *at ^= 0x10;
    }
    recording_file_done(&file);
}

static void what_is_no_recording_is_refused(void **state)
{
    struct recording_file file;
    struct failure f;

    (void)state;
    three_records(&file);
    for (size_t i = 0; i < RECORDING_HEADER_BYTES; i++) {
        RECORDING_READER_AUTO r = { 0 };

        file.bytes.data[i] ^= 1;
        assert_int_equal(
            recording_reader_open(&r, recording_file_open(&file, file.bytes.len_bytes), &f),
            -ERROR_INVALID_ARGUMENT);
        file.bytes.data[i] ^= 1;
    }
    for (size_t len = 0; len < RECORDING_HEADER_BYTES; len++) {
        RECORDING_READER_AUTO r = { 0 };

        assert_int_equal(recording_reader_open(&r, recording_file_open(&file, len), &f),
                         -ERROR_INVALID_ARGUMENT);
        assert_true(f.next_step[0] != '\0');
    }
    recording_file_done(&file);
}

static void those_of_later_versions_are_told_as_such(void **state)
{
    uint8_t header[RECORDING_HEADER_BYTES];
    enum recording_stream stream;
    uint32_t crc;

    (void)state;
    recording_put_header(RECORDING_OF_DOMAINS, header);
    assert_int_equal(recording_get_header(header, &stream, NULL), 0);
    assert_int_equal(stream, RECORDING_OF_DOMAINS);
    header[8] = RECORDING_VERSION + 1;
    crc = recording_checksum(header, sizeof(header) - sizeof(crc));
    memcpy(header + sizeof(header) - sizeof(crc), &crc, sizeof(crc));
    assert_int_equal(recording_get_header(header, &stream, NULL), -ERROR_UNIMPLEMENTED);
}

static void a_record_has_a_largest_size(void **state)
{
    static const uint8_t byte;
    struct recording_record record = { .payload = &byte, .len_bytes = 1 };
    uint8_t head[RECORDING_HEAD_BYTES];
    struct recording_head got;
    uint32_t len, crc;

    (void)state;
    recording_put_head(&record, head);
    for (int beyond = 0; beyond <= 1; beyond++) {
        len = RECORDING_PAYLOAD_MAX_BYTES + (uint32_t)beyond;
        memcpy(head, &len, sizeof(len));
        crc = recording_checksum(head, sizeof(head) - sizeof(crc));
        memcpy(head + sizeof(head) - sizeof(crc), &crc, sizeof(crc));
        assert_int_equal(recording_get_head(head, &got), beyond == 0);
    }
    assert_int_equal(got.len_bytes, RECORDING_PAYLOAD_MAX_BYTES);
}

/* A length that lies costs no more memory than the file has bytes. */
static void a_length_that_lies_allocates_little(void **state)
{
    RECORDING_READER_AUTO r = { 0 };
    struct recording_file file;
    struct recording_step step;
    uint32_t len = RECORDING_PAYLOAD_MAX_BYTES, crc;
    uint8_t *head;

    (void)state;
    recording_file_begin(&file, RECORDING_OF_RESOURCE);
    recording_file_add(&file, RECORDING_MESSAGE, "x", 1);
    head = file.bytes.data + RECORDING_HEADER_BYTES;
    memcpy(head, &len, sizeof(len));
    crc = recording_checksum(head, RECORDING_HEAD_BYTES - sizeof(crc));
    memcpy(head + RECORDING_HEAD_BYTES - sizeof(crc), &crc, sizeof(crc));
    assert_int_equal(
        recording_reader_open(&r, recording_file_open(&file, file.bytes.len_bytes), NULL), 0);
    assert_int_equal(recording_reader_next(&r, &step, NULL), 0);
    assert_int_equal(step.found, RECORDING_FOUND_TORN);
    assert_true(r.payload.capacity_bytes <= 4 << 20);
    recording_file_done(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_comes_back),
        cmocka_unit_test(a_gap_comes_back),
        cmocka_unit_test(notes_are_text_of_a_bounded_length),
        cmocka_unit_test(a_tail_is_torn_wherever_it_is_cut),
        cmocka_unit_test(zeroes_at_the_end_are_a_torn_tail),
        cmocka_unit_test(a_damaged_payload_costs_itself),
        cmocka_unit_test(behind_a_damaged_head_nothing_can_be_read),
        cmocka_unit_test(what_is_no_recording_is_refused),
        cmocka_unit_test(those_of_later_versions_are_told_as_such),
        cmocka_unit_test(a_record_has_a_largest_size),
        cmocka_unit_test(a_length_that_lies_allocates_little),
    };

    return UNIT_RUN(tests);
}
