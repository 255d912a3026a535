/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Manifests of recorded traces: printed and parsed, bounded, and held against themselves and the files. */
#include "tests/lib/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client/cli/trace_check.h"
#include "common/text.h"
#include "tests/lib/folder.h"

#define FEED "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define ID   "11111111111111111111111111111111"

static const uint32_t one_vcpu[] = { 3 };

static void set_trace(struct manifest *m)
{
    const xenres_trace trace = {
        .trace_id = ID,
        .domain = { .domid = 5, .uuid = "u", .name = "web-1\\x1b", .incarnation = FEED },
        .owner = "cn:alice",
        .vcpus = one_vcpu,
        .vcpu_count = 1,
        .tsc = true,
        .laps_detectable = true,
        .start_seconds = 1700000000,
        .start_nanoseconds = 5,
        .metadata = { .rtit_ctl = UINT64_MAX, .cpu_vendor = "GenuineIntel", .tsc_khz = 7 },
    };

    manifest_set_trace(m, &trace);
}

/* Ten bytes, a loss that may be larger, and twenty bytes of the next segment, up to the end. */
static struct manifest made(void)
{
    struct manifest m = { .is_closed = true, .closed_why = "the trace ended" };

    set_trace(&m);
    assert_true(manifest_set_vcpus(&m, one_vcpu, 1));
    struct manifest_vcpu *v = &m.vcpus[0];

    memcpy(v->feed, FEED, sizeof(FEED));
    assert_true(manifest_add_file(v, &(struct manifest_file){ .bytes = 10 }));
    assert_true(manifest_add_gap(v, &(struct manifest_gap){ .reason = XENRES_TRACE_GAP_LAPPED,
                                                            .position = 10,
                                                            .length = 5,
                                                            .at_least = true,
                                                            .offset = 15,
                                                            .seconds = 9 }));
    assert_true(manifest_add_file(
        v, &(struct manifest_file){
               .position = 15, .segment = 1, .bytes = 20, .has_sync = true, .sync = 2 }));
    assert_true(manifest_add_time(v, &(struct manifest_time){ .position = 10, .tsc = UINT64_MAX }));
    v->position = v->end_position = 35;
    v->has_end = true;
    v->end_reason = XENRES_TRACE_STOPPED;
    return m;
}

static void what_is_printed_is_parsed(void **state)
{
    MANIFEST_AUTO m = made();
    MANIFEST_AUTO again = { .vcpus = NULL };
    BUFFER_AUTO(first, 1 << 20);
    BUFFER_AUTO(second, 1 << 20);
    struct failure f = { 0 };

    (void)state;
    assert_true(manifest_print(&m, &first));
    assert_int_equal(manifest_parse(first.data, first.len_bytes, &again, &f), 0);
    assert_int_equal(again.trace.metadata.rtit_ctl, UINT64_MAX);
    assert_int_equal(again.vcpus[0].vcpu, 3);
    assert_int_equal(again.vcpus[0].gaps[0].reason, XENRES_TRACE_GAP_LAPPED);
    assert_int_equal(again.vcpus[0].times[0].tsc, UINT64_MAX);
    assert_int_equal(again.vcpus[0].end_reason, XENRES_TRACE_STOPPED);
    assert_true(manifest_print(&again, &second));
    assert_int_equal(first.len_bytes, second.len_bytes);
    assert_memory_equal(first.data, second.data, first.len_bytes);
}

/* Whatever time a gateway says, what is written can be read. */
static void any_time_is_read_again(void **state)
{
    static const struct {
        int64_t seconds, want;
        uint32_t nanoseconds;
    } times[] = {
        { 1, 1, 0 },
        { 253402300799, 253402300799, 999999999 },
        { 253402300800, 0, 0 },
        { INT64_MAX, 0, 0 },
        { INT64_MIN, 0, 0 },
        { -1, 0, 0 },
        { 1, 0, 1000000000 },
        { 1, 0, UINT32_MAX },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        MANIFEST_AUTO m = made();
        MANIFEST_AUTO again = { .vcpus = NULL };
        BUFFER_AUTO(text, 1 << 20);
        struct failure f = { 0 };

        m.trace.start_seconds = m.vcpus[0].gaps[0].seconds = m.vcpus[0].times[0].seconds =
            times[i].seconds;
        m.trace.start_nanoseconds = m.vcpus[0].gaps[0].nanoseconds =
            m.vcpus[0].times[0].nanoseconds = times[i].nanoseconds;
        assert_true(manifest_print(&m, &text));
        assert_int_equal(manifest_parse(text.data, text.len_bytes, &again, &f), 0);
        assert_int_equal(again.trace.start_seconds, times[i].want);
        assert_int_equal(again.vcpus[0].gaps[0].seconds, times[i].want);
        assert_int_equal(again.vcpus[0].times[0].seconds, times[i].want);
    }
}

/* One byte after the other is another one: parsed or refused, and never complete with a hole. */
static void any_damage_is_parsed_or_refused(void **state)
{
    MANIFEST_AUTO m = made();
    BUFFER_AUTO(text, 1 << 20);
    static const char others[] = "9\"}],:x";
    struct failure f;

    (void)state;
    assert_true(manifest_print(&m, &text));
    for (size_t i = 0; i < text.len_bytes; i++) {
        uint8_t byte = text.data[i];
        struct manifest got;

        text.data[i] = (uint8_t)others[i % (sizeof(others) - 1)];
        if (manifest_parse(text.data, text.len_bytes, &got, &f) == 0) {
            struct trace_check check;

            trace_check_run(&check, &got, -1);
            assert_false(trace_check_is_complete(&check)); /* the gap at least is there */
            trace_check_done(&check);
            manifest_done(&got);
        }
        text.data[i] = byte;
    }
}

static void those_of_later_versions_are_not_guessed_at(void **state)
{
    static const char later[] = "{\"format\": \"xenres-trace\", \"version\": 2}";
    static const char other[] = "{\"format\": \"else\", \"version\": 1}";
    struct manifest m;
    struct failure f;

    (void)state;
    assert_int_equal(manifest_parse(later, strlen(later), &m, &f), -ERROR_UNIMPLEMENTED);
    assert_int_equal(manifest_parse(other, strlen(other), &m, &f), -ERROR_INVALID_ARGUMENT);
    assert_int_equal(manifest_parse("[]", 2, &m, &f), -ERROR_INVALID_ARGUMENT);
    assert_int_equal(manifest_parse("", 0, &m, &f), -ERROR_INVALID_ARGUMENT);
}

static void there_are_maxima(void **state)
{
    struct manifest_vcpu v = { .time_stride = 1 };

    (void)state;
    for (size_t i = 0; i < MANIFEST_GAPS_MAX; i++) {
        assert_true(manifest_add_gap(&v, &(struct manifest_gap){ .position = i }));
    }
    assert_false(manifest_add_gap(&v, &(struct manifest_gap){ .position = 1 }));
    assert_int_equal(v.gap_count, MANIFEST_GAPS_MAX);
    for (size_t i = 0; i < MANIFEST_FILES_MAX; i++) {
        assert_true(manifest_add_file(&v, &(struct manifest_file){ .position = i }));
    }
    assert_false(manifest_add_file(&v, &(struct manifest_file){ .position = 1 }));
    manifest_done_vcpu(&v);
}

enum {
    PRINT_MAX_S = 4
}; /* of the processor's; hundreds of times what it takes, but for a square of it */

/* A file, a gap, and so on: each gap is behind its file, at a cost that goes up with their number. */
static void the_largest_is_printed_soon(void **state)
{
    MANIFEST_AUTO m = made();
    BUFFER_AUTO(out, MANIFEST_MAX_BYTES);
    struct manifest_vcpu *v = &m.vcpus[0];
    clock_t before = clock();

    (void)state;
    v->file_count = v->gap_count = 0;
    for (size_t i = 0; i < MANIFEST_GAPS_MAX; i++) {
        assert_true(manifest_add_file(v, &(struct manifest_file){ .position = 2 * i, .bytes = 1 }));
        assert_true(
            manifest_add_gap(v, &(struct manifest_gap){ .position = 2 * i + 1, .length = 1 }));
    }
    assert_true(manifest_print(&m, &out));
    assert_true(clock() - before < PRINT_MAX_S * CLOCKS_PER_SEC);
    const char *text = buffer_string(&out);

    assert_non_null(text);
    for (size_t i = 0; i < MANIFEST_GAPS_MAX; i++) {
        char name[MANIFEST_NAME_BYTES], want[64];

        manifest_file_name(v->vcpu, i, name);
        (void)snprintf(want, sizeof(want), "\"behind\": \"%s\"", name);
        text = strstr(text, want);
        assert_non_null(text);
    }
}

/* However long it is: from the beginning on, evenly. */
static void times_are_thinned_out(void **state)
{
    struct manifest_vcpu v = { .time_stride = 1 };

    (void)state;
    for (uint64_t i = 0; i < 100000; i++) {
        assert_true(manifest_add_time(&v, &(struct manifest_time){ .position = i }));
        assert_true(v.time_count <= MANIFEST_TIMES_MAX);
    }
    assert_true(v.time_count >= MANIFEST_TIMES_MAX / 4);
    assert_int_equal(v.times[0].position, 0);
    for (size_t i = 1; i < v.time_count; i++) {
        assert_int_equal(v.times[i].position - v.times[i - 1].position, v.time_stride);
    }
    manifest_done_vcpu(&v);
}

/* What was copied grows as what it was copied from. */
static void a_copy_can_grow(void **state)
{
    struct manifest_vcpu v = { .time_stride = 1 };

    (void)state;
    for (uint64_t i = 0; i < 300; i++) {
        struct manifest_vcpu copy;

        assert_true(manifest_copy_vcpu(&copy, &v));
        manifest_done_vcpu(&v);
        v = copy;
        assert_true(manifest_add_gap(&v, &(struct manifest_gap){ .position = i }));
        assert_true(manifest_add_file(&v, &(struct manifest_file){ .position = i }));
        assert_true(manifest_add_time(&v, &(struct manifest_time){ .position = i }));
    }
    for (uint64_t i = 0; i < 300; i++) {
        assert_int_equal(v.gaps[i].position, i);
    }
    manifest_done_vcpu(&v);
}

/* --- complete? --- */

static void expect(const struct manifest *m, int dir_fd, size_t count, enum trace_finding_kind kind,
                   uint64_t position, uint64_t length)
{
    struct trace_check c;

    trace_check_run(&c, m, dir_fd);
    assert_int_equal(c.finding_count, count);
    assert_int_equal(trace_check_is_complete(&c), count == 0);
    if (count > 0) {
        const struct trace_finding *f = &c.findings[count - 1];

        assert_string_equal(trace_finding_name(f->kind), trace_finding_name(kind));
        assert_int_equal(f->vcpu, 3);
        assert_int_equal(f->position, position);
        assert_int_equal(f->length, length);
        assert_true(f->why[0] != '\0');
    }
    trace_check_done(&c);
}

/* All of it in one file. */
static struct manifest whole(void)
{
    struct manifest m = made();
    struct manifest_vcpu *v = &m.vcpus[0];

    v->gap_count = 0;
    v->file_count = 1;
    v->files[0].bytes = 35;
    return m;
}

static void each_lack_is_found(void **state)
{
    MANIFEST_AUTO gap = made();
    MANIFEST_AUTO m = whole();
    struct manifest_vcpu *v = &m.vcpus[0];

    (void)state;
    expect(&gap, -1, 1, TRACE_FINDING_GAP, 10, 5);
    expect(&m, -1, 0, 0, 0, 0);
    v->files[0].bytes = 30;
    expect(&m, -1, 1, TRACE_FINDING_HOLE, 30, 5);
    v->files[0].bytes = 40;
    expect(&m, -1, 1, TRACE_FINDING_CONTRADICTION, 40, 0);
    v->files[0].bytes = 35;
    v->end_position = 36;
    expect(&m, -1, 1, TRACE_FINDING_CONTRADICTION, 35, 0);
    v->end_position = 35;
    v->files[0].segment = 1; /* what became of the first one? */
    expect(&m, -1, 1, TRACE_FINDING_CONTRADICTION, 0, 0);
    v->files[0].segment = 0;
    for (uint32_t reason = 0; reason <= 128; reason++) {
        bool is_end = reason >= 1 && reason <= XENRES_TRACE_HARDWARE_STOPPED;

        v->end_reason = reason;
        expect(&m, -1, is_end ? 0 : 1, TRACE_FINDING_NOT_ENDED, 35, 0);
    }
    v->has_end = false;
    expect(&m, -1, 1, TRACE_FINDING_NOT_ENDED, 35, 0);
    m.is_closed = false;
    expect(&m, -1, 1, TRACE_FINDING_NOT_ENDED, 35, 0);
}

static void files_that_follow_without_a_loss_are_one_segment(void **state)
{
    MANIFEST_AUTO m = made();
    struct manifest_vcpu *v = &m.vcpus[0];

    (void)state;
    v->gap_count = 0;
    v->files[1].position = 10;
    v->files[1].bytes = 25;
    expect(&m, -1, 1, TRACE_FINDING_CONTRADICTION, 0, 0); /* another, and no loss before it */
    v->files[1].epoch = 1;                                /* nor does a reset come without one */
    expect(&m, -1, 1, TRACE_FINDING_CONTRADICTION, 0, 0);
    v->files[1].segment = v->files[1].epoch = 0;
    v->files[1].offset = 10;
    expect(&m, -1, 0, 0, 0, 0);
    v->files[1].offset = 11;
    expect(&m, -1, 1, TRACE_FINDING_CONTRADICTION, 0, 0);
}

/* Behind a loss that may be larger, the segment is over. */
static void an_open_loss_ends_a_segment(void **state)
{
    MANIFEST_AUTO m = made();
    struct manifest_vcpu *v = &m.vcpus[0];

    (void)state;
    v->files[1].segment = 0;
    v->files[1].offset = 15;
    expect(&m, -1, 2, TRACE_FINDING_CONTRADICTION, 0, 0);
    v->gaps[0].at_least = false;
    expect(&m, -1, 1, TRACE_FINDING_GAP, 10, 5);
}

static void next_is(const struct manifest_vcpu *v, uint64_t position, uint32_t segment,
                    uint64_t offset, bool is_open)
{
    struct manifest_place place = manifest_next(v);

    assert_int_equal(place.position, position);
    assert_int_equal(place.segment, segment);
    assert_int_equal(place.offset, offset);
    assert_int_equal(place.is_open, is_open);
}

static void the_next_byte_is_behind_the_last_file_or_gap(void **state)
{
    struct manifest_file files[] = { { .position = 0, .bytes = 10 },
                                     { .position = 15, .offset = 15, .bytes = 5 },
                                     { .position = 30, .segment = 2, .offset = 4, .bytes = 1 } };
    struct manifest_gap gaps[] = {
        { .position = 10, .length = 5, .offset = 15 },
        { .position = 20, .at_least = true, .offset = 20 },
        { .position = 20, .length = 10, .segment = 2, .offset = 4, .at_least = true }
    };
    struct manifest_vcpu v = { .files = files, .gaps = gaps };

    (void)state;
    next_is(&v, 0, 0, 0, false);
    v.file_count = 1;
    next_is(&v, 10, 0, 10, false);
    v.gap_count = 1;
    next_is(&v, 15, 0, 15, false);
    v.file_count = 2;
    next_is(&v, 20, 0, 20, false);
    v.gap_count = 2;
    next_is(&v, 20, 0, 20, true); /* the segment ends with it */
    v.gap_count = 3;
    next_is(&v, 30, 2, 4, false); /* this one leads into another */
    v.file_count = 3;
    next_is(&v, 31, 2, 5, false);
    v = (struct manifest_vcpu){ .gaps = &gaps[1], .gap_count = 1 };
    gaps[1] =
        (struct manifest_gap){ .length = 7, .offset = 7, .at_least = true }; /* without a byte */
    next_is(&v, 7, 0, 7, true);
}

static void put(int dir_fd, const char *name, size_t len)
{
    int fd = openat(dir_fd, name, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)len), 0);
    (void)close(fd);
}

static void files_have_what_the_manifest_says(void **state)
{
    MANIFEST_AUTO m = whole();
    struct folder folder = folder_make();

    (void)state;
    int dir_fd = open(folder.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    expect(&m, dir_fd, 1, TRACE_FINDING_FILE_MISSING, 0, 35);
    put(dir_fd, "vcpu3.pt", 35);
    expect(&m, dir_fd, 0, 0, 0, 0);
    put(dir_fd, "vcpu3.pt", 34);
    expect(&m, dir_fd, 1, TRACE_FINDING_FILE_SHORT, 34, 1);
    put(dir_fd, "vcpu3.pt", 36);
    expect(&m, dir_fd, 1, TRACE_FINDING_FILE_LONG, 0, 0);
    put(dir_fd, "vcpu3.pt", 35);
    put(dir_fd, "vcpu3.1.pt", 1);
    expect(&m, dir_fd, 1, TRACE_FINDING_FILE_LONG, 0, 0);
    (void)close(dir_fd);
    folder_done(&folder);
}

/* JSON takes no half of a character. */
static void texts_are_cut_between_characters(void **state)
{
    MANIFEST_AUTO m = whole();
    char name[MANIFEST_TEXT_BYTES + 2];
    struct trace_check c;

    (void)state;
    for (size_t head = 190; head < MANIFEST_TEXT_BYTES; head++) {
        memset(name, 'a', head);
        memcpy(name + head, "\xc3\xa9", 3);
        manifest_take_text(m.closed_why, sizeof(m.closed_why), name);
        assert_int_equal(strlen(m.closed_why), head + 2 < MANIFEST_TEXT_BYTES ? head + 2 : head);
        manifest_set_host(&m, &(xenres_host){ .uuid = "",
                                              .boot_id = "",
                                              .hostname = name,
                                              .xen_version = "",
                                              .gateway_version = "",
                                              .backend = "" });
        assert_string_equal(m.host.hostname, m.closed_why);
        m.vcpus[0].has_end = false;
        trace_check_run(&c, &m, -1);
        assert_int_equal(c.finding_count, 1);
        assert_true(text_is_utf8(c.findings[0].why, strlen(c.findings[0].why)));
        trace_check_done(&c);
    }
}

static void findings_are_bounded(void **state)
{
    MANIFEST_AUTO m = whole();
    struct manifest_vcpu *v = &m.vcpus[0];
    struct trace_check c;

    (void)state;
    for (int i = 0; i < TRACE_FINDINGS_MAX + 1; i++) {
        assert_true(manifest_add_gap(v, &(struct manifest_gap){ .offset = 0 }));
    }
    trace_check_run(&c, &m, -1);
    assert_int_equal(c.finding_count, TRACE_FINDINGS_MAX);
    assert_int_equal(c.left_off, 1);
    trace_check_done(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_printed_is_parsed),
        cmocka_unit_test(any_time_is_read_again),
        cmocka_unit_test(any_damage_is_parsed_or_refused),
        cmocka_unit_test(those_of_later_versions_are_not_guessed_at),
        cmocka_unit_test(there_are_maxima),
        cmocka_unit_test(the_largest_is_printed_soon),
        cmocka_unit_test(times_are_thinned_out),
        cmocka_unit_test(a_copy_can_grow),
        cmocka_unit_test(each_lack_is_found),
        cmocka_unit_test(files_that_follow_without_a_loss_are_one_segment),
        cmocka_unit_test(an_open_loss_ends_a_segment),
        cmocka_unit_test(the_next_byte_is_behind_the_last_file_or_gap),
        cmocka_unit_test(files_have_what_the_manifest_says),
        cmocka_unit_test(texts_are_cut_between_characters),
        cmocka_unit_test(findings_are_bounded),
    };

    return UNIT_RUN(tests);
}
