/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "tests/lib/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/ring_view.h"
#include "common/scope.h"
#include "tests/lib/ring_records.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

struct pair {
    struct ring *ring;
    struct ring_view *view;
    uint32_t max_bytes;
    uint8_t *bytes;
};

static struct pair new_pair(uint64_t capacity_bytes, const struct ring_place *first)
{
    struct pair p = { .max_bytes = ring_record_max(capacity_bytes) };

    assert_int_equal(ring_new(capacity_bytes, first, &p.ring, NULL), 0);
    assert_int_equal(ring_view_open(ring_fd(p.ring), capacity_bytes, &p.view, NULL), 0);
    p.bytes = malloc(p.max_bytes); /* no byte more, for the address sanitizer */
    assert_non_null(p.bytes);
    return p;
}

static void free_pair(struct pair *p)
{
    ring_view_close(p->view);
    ring_free(p->ring);
    free(p->bytes);
}

static void append(struct pair *p, int count)
{
    for (int i = 0; i < count; i++) {
        ring_records_append(p->ring, p->max_bytes);
    }
}

static int append_len(struct ring *r, size_t len_bytes)
{
    uint8_t *bytes = calloc(1, len_bytes + 1);
    int result = ring_append(r, 1, &(struct ring_part){ bytes, len_bytes }, 1, NULL);

    free(bytes);
    return result;
}

/* --- limits ---------------------------------------------------------------------------------- */

static void capacities_have_limits(void **state)
{
    static const uint64_t wrong[] = {
        0, 8, 255, 257, 384, RING_CAPACITY_MIN / 2, UINT64_C(2) * RING_CAPACITY_MAX, UINT64_MAX
    };
    struct ring *r = NULL;
    struct failure f;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(ring_new(wrong[i], NULL, &r, &f), -ERROR_INVALID_ARGUMENT);
        assert_null(r);
    }
    assert_int_equal(ring_new(RING_CAPACITY_MIN, NULL, &r, &f), 0);
    ring_free(r);
    ring_free(NULL);
    ring_view_close(NULL);
}

static void a_record_has_a_maximum(void **state)
{
    static const uint64_t capacities[] = { RING_CAPACITY_MIN, 4096, 1 << 20 };

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct pair p = new_pair(capacities[i], NULL);
        struct ring_place at = { 0 };
        struct ring_record record;

        assert_int_equal(append_len(p.ring, p.max_bytes + 1), -ERROR_RESOURCE_EXHAUSTED);
        assert_int_equal(ring_next(p.ring).position, 0);
        struct ring_part huge[] = { { "", SIZE_MAX & ~(size_t)7 }, { "", 16 } };

        assert_int_equal(ring_append(p.ring, 1, huge, 2, NULL), -ERROR_RESOURCE_EXHAUSTED);
        assert_int_equal(append_len(p.ring, p.max_bytes), 0);
        assert_int_equal(ring_view_read(p.view, &at, p.bytes, p.max_bytes, &record, NULL),
                         RING_RECORD);
        assert_int_equal(record.len_bytes, p.max_bytes);
        assert_int_equal(at.position, capacities[i] / RING_RECORD_FRACTION);
        free_pair(&p);
    }
}

static void a_record_may_be_empty(void **state)
{
    struct pair p = new_pair(RING_CAPACITY_MIN, NULL);
    struct ring_place at = { 0 };
    struct ring_record record;

    (void)state;
    assert_int_equal(ring_append(p.ring, UINT32_MAX, NULL, 0, NULL), 0);
    assert_int_equal(ring_view_read(p.view, &at, p.bytes, p.max_bytes, &record, NULL), RING_RECORD);
    assert_int_equal(record.kind, UINT32_MAX);
    assert_int_equal(record.len_bytes, 0);
    assert_int_equal(ring_view_read(p.view, &at, p.bytes, p.max_bytes, &record, NULL),
                     RING_NOTHING);
    free_pair(&p);
}

static void positions_end_and_never_wrap(void **state)
{
    uint64_t last_start = RING_POSITION_MAX / 8 * 8 - RING_HEADER_BYTES - 8;
    struct ring_place first = { last_start - 40, UINT64_C(1) << 62, UINT64_C(1) << 62 };
    struct pair p = new_pair(RING_CAPACITY_MIN, &first);
    struct ring_place at = first;
    struct ring_record record;

    (void)state;
    assert_int_equal(append_len(p.ring, 8), 0);
    assert_int_equal(append_len(p.ring, 9), -ERROR_RESOURCE_EXHAUSTED);
    assert_int_equal(append_len(p.ring, 8), 0);
    assert_int_equal(append_len(p.ring, 0), -ERROR_RESOURCE_EXHAUSTED);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(ring_view_check(p.view, &at, NULL), RING_RECORD);
        assert_int_equal(ring_view_read(p.view, &at, p.bytes, p.max_bytes, &record, NULL),
                         RING_RECORD);
    }
    assert_int_equal(ring_view_read(p.view, &at, p.bytes, p.max_bytes, &record, NULL),
                     RING_NOTHING);
    assert_int_equal(ring_view_check(p.view, &at, NULL), RING_NOTHING);
    free_pair(&p);
}

/* --- order ----------------------------------------------------------------------------------- */

/* Where a ring begins moves its end to every word of a record, high and low. */
static void records_go_over_the_rings_end_at_each_alignment(void **state)
{
    static const uint64_t bases[] = { 0, UINT64_C(1) << 32, UINT64_C(1) << 62,
                                      RING_POSITION_MAX / 4096 * 4096 - 65536 };

    (void)state;
    for (size_t b = 0; b < 4; b++) {
        for (uint64_t shift = 0; shift < RING_CAPACITY_MIN; shift += 8) {
            struct ring_place first = { bases[b] + shift, b * 1000, b * 7 };
            struct pair p = new_pair(RING_CAPACITY_MIN, &first);
            struct ring_books books = { .at = first };

            for (int i = 0; i < 100; i++) {
                append(&p, 1 + i % 3);
                ring_books_drain(&books, p.view, p.max_bytes, p.bytes);
            }
            assert_int_equal(books.gaps, 0);
            ring_books_close(&books, p.view, p.ring, &first, p.max_bytes, p.bytes);
            free_pair(&p);
        }
    }
}

static void who_was_overtaken_goes_on_at_the_oldest_record_and_knows_what_it_missed(void **state)
{
    (void)state;
    for (int lag = 0; lag < 200; lag++) {
        for (int read = 0; read < 4; read++) {
            struct pair p = new_pair(512, NULL);
            struct ring_books books = { .at = { 0 } };
            struct ring_place from = { 0 };

            append(&p, read);
            for (int i = 0; i < read; i++) {
                assert_int_equal(ring_books_step(&books, p.view, RING_OLDEST, p.max_bytes, p.bytes),
                                 RING_RECORD);
            }
            append(&p, lag);
            ring_books_close(&books, p.view, p.ring, &from, p.max_bytes, p.bytes);
            /* Three quarters of a ring are held, whatever the records' sizes. */
            assert_true(books.gaps <= 1);
            free_pair(&p);
        }
    }
}

static void a_reader_can_go_on_behind_the_newest_record(void **state)
{
    struct pair p = new_pair(512, NULL);
    struct ring_place at = { 0 }, end;
    struct ring_missed missed;
    struct ring_record record;

    (void)state;
    assert_int_equal(ring_view_find(p.view, RING_NEWEST, &at, NULL), 0);
    assert_int_equal(at.position, 0);
    assert_int_equal(ring_view_find(p.view, RING_OLDEST, &at, NULL), 0);
    assert_int_equal(at.position, 0);
    append(&p, 99);
    end = ring_next(p.ring);
    assert_int_equal(ring_view_skip(p.view, RING_NEWEST, &at, &missed, NULL), 0);
    assert_int_equal(missed.records, 99);
    assert_int_equal(missed.bytes, end.bytes);
    assert_memory_equal(&at, &end, sizeof(at));
    assert_int_equal(ring_view_read(p.view, &at, p.bytes, p.max_bytes, &record, NULL),
                     RING_NOTHING);
    append(&p, 1);
    assert_int_equal(ring_view_read(p.view, &at, p.bytes, p.max_bytes, &record, NULL), RING_RECORD);
    assert_int_equal(record.place.sequence, 99);
    free_pair(&p);
}

static void readers_are_independent(void **state)
{
    struct pair p = new_pair(4096, NULL);
    struct ring_books fast = { .at = { 0 } }, slow = { .at = { 0 } };
    struct ring_place from = { 0 };

    (void)state;
    for (int i = 0; i < 1000; i++) {
        append(&p, 1);
        ring_books_drain(&fast, p.view, p.max_bytes, p.bytes);
        if (i % 50 == 0) {
            (void)ring_books_step(&slow, p.view, RING_OLDEST, p.max_bytes, p.bytes);
        }
    }
    assert_int_equal(fast.gaps, 0);
    assert_true(slow.gaps > 0);
    ring_books_close(&fast, p.view, p.ring, &from, p.max_bytes, p.bytes);
    ring_books_close(&slow, p.view, p.ring, &from, p.max_bytes, p.bytes);
    free_pair(&p);
}

/* --- places from outside --------------------------------------------------------------------- */

/* Every multiple of 8 and the others, from before the ring to behind it. */
static void a_place_from_outside_is_held_overtaken_of_the_future_or_none(void **state)
{
    struct ring_place first = { 4096, 100, 5000 }, boundaries[400], at;
    struct pair p = new_pair(512, &first);
    int count = 0, held = 0;

    (void)state;
    for (; count < 40; count++) {
        boundaries[count] = ring_next(p.ring);
        append(&p, 1);
    }
    boundaries[count] = ring_next(p.ring);
    uint64_t end = boundaries[count].position;

    assert_int_equal(ring_view_find(p.view, RING_OLDEST, &at, NULL), 0);
    for (uint64_t position = 0; position < end + 2048; position++) {
        struct ring_place place = { position, 0, 0 };
        bool boundary = false;

        for (int i = 0; i <= count; i++) {
            if (boundaries[i].position == position) {
                place = boundaries[i];
                boundary = true;
            }
        }
        int answer = ring_view_check(p.view, &place, NULL);

        if (position % 8 != 0 || position < first.position) {
            assert_int_equal(answer, RING_NO_BOUNDARY);
        } else if (position > end) {
            assert_int_equal(answer, RING_FUTURE);
        } else if (position == end) {
            assert_int_equal(answer, RING_NOTHING);
        } else if (position >= at.position) {
            assert_int_equal(answer, boundary ? RING_RECORD : RING_NO_BOUNDARY);
            held += boundary;
        } else if (boundary) {
            assert_int_equal(answer, RING_OVERTAKEN);
        } else {
            assert_true(answer == RING_OVERTAKEN || answer == RING_NO_BOUNDARY);
        }
    }
    assert_true(held > 2 && held < 40);
    free_pair(&p);
}

static void a_place_with_other_counts_is_none(void **state)
{
    struct pair p = new_pair(4096, NULL);
    struct ring_place place = { 0 }, wrong;

    (void)state;
    for (int i = 0; i < 3;
         i++) { /* an empty ring's end, a record, the end of one that is not empty */
        int right = i == 1 ? RING_RECORD : RING_NOTHING;

        if (i > 0) {
            append(&p, 5);
            place = i == 2 ? ring_next(p.ring) : place;
        }
        assert_int_equal(ring_view_check(p.view, &place, NULL), right);
        wrong = place;
        wrong.sequence++;
        assert_int_equal(ring_view_check(p.view, &wrong, NULL), RING_NO_BOUNDARY);
        wrong = place;
        wrong.bytes ^= 1;
        assert_int_equal(ring_view_check(p.view, &wrong, NULL), RING_NO_BOUNDARY);
    }
    place = ring_next(p.ring);
    append(&p, 1);
    for (int i = 0; i < 3; i++) { /* nor is anything read there */
        struct ring_record record;

        wrong = place;
        wrong.position += i == 0 ? 8 : 0;
        wrong.sequence += i == 1;
        wrong.bytes += i == 2;
        assert_int_equal(ring_view_read(p.view, &wrong, p.bytes, p.max_bytes, &record, NULL),
                         -ERROR_DATA_LOSS);
    }
    free_pair(&p);
}

/* A guest chooses a record's bytes: a header seen in another ring, or an earlier one of this. */
static void bytes_that_look_like_a_header_are_no_boundary(void **state)
{
    struct pair p = new_pair(4096, NULL);
    struct ring_place inside = { RING_HEADER_BYTES, 7, 7 };
    uint64_t header[4] = { 0, 7, 7, 0 };

    (void)state;
    header[3] = inside.position;
    assert_int_equal(ring_append(p.ring, 1, &(struct ring_part){ header, 32 }, 1, NULL), 0);
    assert_int_equal(ring_view_check(p.view, &inside, NULL), RING_NO_BOUNDARY);
    free_pair(&p);
}

/* --- the memory ------------------------------------------------------------------------------ */

static void the_reader_can_neither_write_nor_resize_it(void **state)
{
    struct pair p = new_pair(4096, NULL);
    int fd = ring_fd(p.ring);
    char path[64];

    (void)state;
    assert_ptr_equal(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
    assert_int_equal(errno, EPERM);
    void *seen = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);

    assert_ptr_not_equal(seen, MAP_FAILED);
    assert_true(mprotect(seen, 4096, PROT_READ | PROT_WRITE) < 0);
    assert_true(madvise(seen, 4096, MADV_REMOVE) < 0);
    munmap(seen, 4096);
    assert_true(write(fd, "x", 1) < 0);
    assert_true(ftruncate(fd, 0) < 0);
    assert_true(ftruncate(fd, 1 << 20) < 0);
    assert_true(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) < 0);
    assert_true(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) < 0); /* it would stop nothing but the seals */
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    SCOPE_FD int again = open(path, O_RDWR | O_CLOEXEC); /* the seals are the file's */

    assert_true(again >= 0);
    assert_ptr_equal(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, again, 0), MAP_FAILED);
    append(&p, 3); /* ours still writes */
    free_pair(&p);
}

static void its_memory_is_there_from_the_beginning(void **state)
{
    struct pair p = new_pair(1 << 20, NULL);
    struct stat st;

    (void)state;
    assert_int_equal(fstat(ring_fd(p.ring), &st), 0);
    assert_true(st.st_blocks * 512 >= (1 << 20) + RING_CONTROL_BYTES);
    free_pair(&p);
}

static void padding_tells_nothing_of_what_was_there(void **state)
{
    struct pair p = new_pair(RING_CAPACITY_MIN, NULL);
    static const uint8_t zeros[7];
    uint8_t seen[8];

    (void)state;
    memset(p.bytes, 0xff, p.max_bytes);
    for (int i = 0; i < RING_RECORD_FRACTION; i++) {
        assert_int_equal(
            ring_append(p.ring, 1, &(struct ring_part){ p.bytes, p.max_bytes }, 1, NULL), 0);
    }
    assert_int_equal(ring_append(p.ring, 1, &(struct ring_part){ p.bytes, 1 }, 1, NULL), 0);
    assert_int_equal(pread(ring_fd(p.ring), seen, 8, RING_CONTROL_BYTES + RING_HEADER_BYTES), 8);
    assert_int_equal(seen[0], 0xff);
    assert_memory_equal(seen + 1, zeros, 7);
    free_pair(&p);
}

static void a_view_outlives_the_ring(void **state)
{
    struct pair p = new_pair(4096, NULL);
    struct ring_books books = { .at = { 0 } };

    (void)state;
    append(&p, 3);
    ring_free(p.ring);
    p.ring = NULL;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ring_books_step(&books, p.view, RING_OLDEST, p.max_bytes, p.bytes),
                         RING_RECORD);
    }
    free_pair(&p);
}

static void a_view_is_of_a_sealed_ring_of_a_size_that_was_agreed(void **state)
{
    static const int needed[] = { F_SEAL_GROW, F_SEAL_SHRINK, F_SEAL_SEAL, F_SEAL_FUTURE_WRITE };
    static const off_t sizes[] = { 0, 4096, 4096 + 255, 4096 + 384, 4096 + 8192, 1 << 20 };
    struct pair p = new_pair(4096, NULL);
    struct ring_view *v = NULL;
    const int all = F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL | F_SEAL_FUTURE_WRITE;
    static char page[4096];

    (void)state;
    assert_int_equal(ring_view_open(ring_fd(p.ring), 2048, &v, NULL), -ERROR_INVALID_ARGUMENT);
    assert_int_equal(ring_view_open(-1, 4096, &v, NULL), -ERROR_INVALID_ARGUMENT);
    assert_int_equal(ring_view_open(STDIN_FILENO, 4096, &v, NULL), -ERROR_INVALID_ARGUMENT);
    assert_int_equal(pread(ring_fd(p.ring), page, sizeof(page), 0), sizeof(page));
    for (size_t i = 0; i < 4 + 6 + 2; i++) {
        SCOPE_FD int fd = memfd_create("ring-test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        off_t size = i >= 4 && i < 10 ? sizes[i - 4] : 8192;

        assert_int_equal(ftruncate(fd, size), 0);
        if (i != 10 && size > 0) { /* that one has holes */
            assert_int_equal(fallocate(fd, 0, 0, size), 0);
        }
        assert_int_equal(pwrite(fd, page, size < 4096 ? (size_t)size : 4096, 0),
                         size < 4096 ? size : 4096);
        assert_int_equal(fcntl(fd, F_ADD_SEALS, i < 4 ? all & ~needed[i] : all), 0);
        int result = ring_view_open(fd, 4096, &v, NULL);

        assert_int_equal(result, i == 11 ? 0 : -ERROR_INVALID_ARGUMENT);
    }
    ring_view_close(v);
    free_pair(&p);
}

static void the_newest_records_kind_is_seen_without_reading(void **state)
{
    struct pair p = new_pair(1 << 10, NULL);
    uint32_t kind = 0;

    (void)state;
    assert_false(ring_view_newest_kind(p.view, &kind));
    assert_true(ring_view_committed(p.view) == 0);
    for (uint32_t i = 1; i < 100; i++) {
        assert_int_equal(ring_append(p.ring, i, &(struct ring_part){ "x", 1 }, 1, NULL), 0);
        assert_true(ring_view_newest_kind(p.view, &kind));
        assert_int_equal(kind, i);
        assert_true(ring_view_committed(p.view) == ring_next(p.ring).position);
    }
    free_pair(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(capacities_have_limits),
        cmocka_unit_test(a_record_has_a_maximum),
        cmocka_unit_test(a_record_may_be_empty),
        cmocka_unit_test(positions_end_and_never_wrap),
        cmocka_unit_test(records_go_over_the_rings_end_at_each_alignment),
        cmocka_unit_test(who_was_overtaken_goes_on_at_the_oldest_record_and_knows_what_it_missed),
        cmocka_unit_test(a_reader_can_go_on_behind_the_newest_record),
        cmocka_unit_test(readers_are_independent),
        cmocka_unit_test(a_place_from_outside_is_held_overtaken_of_the_future_or_none),
        cmocka_unit_test(a_place_with_other_counts_is_none),
        cmocka_unit_test(bytes_that_look_like_a_header_are_no_boundary),
        cmocka_unit_test(the_reader_can_neither_write_nor_resize_it),
        cmocka_unit_test(its_memory_is_there_from_the_beginning),
        cmocka_unit_test(padding_tells_nothing_of_what_was_there),
        cmocka_unit_test(a_view_outlives_the_ring),
        cmocka_unit_test(a_view_is_of_a_sealed_ring_of_a_size_that_was_agreed),
        cmocka_unit_test(the_newest_records_kind_is_seen_without_reading),
    };

    return UNIT_RUN(tests);
}
