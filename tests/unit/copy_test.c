/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * runs-alone: it shows how fast copying is
 */
#include "server/mapper/copy.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "tests/lib/unit.h"

enum { PAGE = 4096, GUARD = 0x5a };

/* cmocka sets handlers of its own before each test: ours go over them again. */
static void guard_again(void)
{
    assert_int_equal(copy_init(NULL), 0);
}

static uint8_t *shared_pages(size_t bytes, int *fd)
{
    *fd = memfd_create("copy-test", MFD_CLOEXEC);
    assert_true(*fd >= 0);
    assert_int_equal(ftruncate(*fd, (off_t)bytes), 0);
    uint8_t *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);

    assert_ptr_not_equal(memory, MAP_FAILED);
    return memory;
}

static void every_length_is_copied_exactly(void **state)
{
    static uint64_t from[4096], to[4098];

    (void)state;
    for (size_t i = 0; i < 4096; i++) {
        from[i] = i * UINT64_C(0x9e3779b97f4a7c15);
    }
    for (size_t words = 0; words <= 4096; words += words < 40 ? 1 : 507) {
        memset(to, GUARD, sizeof(to));
        assert_int_equal(copy_step(to + 1, from, words * 8, NULL, NULL), 0);
        assert_memory_equal(to + 1, from, words * 8);
        assert_int_equal(((uint8_t *)to)[7], GUARD);
        assert_int_equal(((uint8_t *)(to + 1))[words * 8], GUARD);
    }
}

static void pages_that_go_away_are_an_error(void **state)
{
    int fd;
    uint8_t *from = shared_pages(4 * PAGE, &fd);
    static uint64_t to[4 * PAGE / 8];
    struct failure f;

    (void)state;
    guard_again();
    for (int keep = 3; keep >= 0; keep--) {
        assert_int_equal(ftruncate(fd, (off_t)keep * PAGE), 0);
        assert_int_equal(copy_step(to, from, 4 * PAGE, NULL, &f), -ERROR_ABORTED);
        assert_int_equal(copy_step(to, from, (size_t)keep * PAGE, NULL, &f), 0);
    }
    munmap(from, 4 * PAGE);
    assert_int_equal(copy_step(to, from, PAGE, NULL, &f), -ERROR_ABORTED); /* SIGSEGV */
    close(fd);
}

/* Each thread's faults are its own, and hit no other's copy. */
static void *copy_with_faults(void *arg)
{
    enum { ROUNDS = 2000 };
    int fd;
    uint8_t *gone = shared_pages(2 * PAGE, &fd);
    uint64_t *from = calloc(2, PAGE), *to = calloc(2, PAGE);
    bool *is_fine = arg;

    *is_fine = from != NULL && to != NULL && ftruncate(fd, PAGE) == 0;
    for (uint64_t round = 1; round <= ROUNDS && *is_fine; round++) {
        from[0] = from[2 * PAGE / 8 - 1] = round;
        *is_fine = copy_step(to, gone, 2 * PAGE, NULL, NULL) == -ERROR_ABORTED &&
                   copy_step(to, from, 2 * PAGE, NULL, NULL) == 0 && to[0] == round &&
                   to[2 * PAGE / 8 - 1] == round;
    }
    munmap(gone, 2 * PAGE);
    close(fd);
    free(from);
    free(to);
    return NULL;
}

static void threads_fault_by_themselves(void **state)
{
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    bool are_fine[THREADS];

    (void)state;
    guard_again();
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, copy_with_faults, &are_fine[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_true(are_fine[i]);
    }
}

static void a_destination_without_memory_is_an_error(void **state)
{
    int fd;
    uint8_t *to = shared_pages(PAGE, &fd);
    static uint64_t from[PAGE / 8];
    struct failure f;

    (void)state;
    guard_again();
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(copy_step(to, from, PAGE, NULL, &f), -ERROR_RESOURCE_EXHAUSTED);
    munmap(to, PAGE);
    close(fd);
}

static void a_fault_elsewhere_still_kills(void **state)
{
    (void)state;
    guard_again();
    fflush(NULL);
    pid_t pid = fork();

    if (pid == 0) {
        volatile char *nowhere = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (freopen("/dev/null", "w", stderr) == NULL) {
            _exit(2);
        }
        *nowhere = 1;
        _exit(0);
    }
    int status = 0;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void the_digest_is_of_the_bytes_however_they_are_cut(void **state)
{
    static uint64_t from[65536], to[65536];
    uint8_t whole[COPY_DIGEST_BYTES], parts[COPY_DIGEST_BYTES], other[COPY_DIGEST_BYTES];
    struct copy_digest *d = copy_digest_new();

    (void)state;
    guard_again();
    assert_non_null(d);
    for (size_t i = 0; i < 65536; i++) {
        from[i] = i * i;
    }
    copy_digest_begin(d);
    assert_int_equal(copy_step(to, from, sizeof(from), d, NULL), 0);
    copy_digest_end(d, whole);
    copy_digest_begin(d);
    for (size_t done = 0; done < sizeof(from); done += 4096) {
        assert_int_equal(copy_step(to, from + done / 8, 4096, d, NULL), 0);
    }
    copy_digest_end(d, parts);
    assert_memory_equal(whole, parts, sizeof(whole));
    from[65535] ^= 1;
    copy_digest_begin(d);
    assert_int_equal(copy_step(to, from, sizeof(from), d, NULL), 0);
    copy_digest_end(d, other);
    assert_memory_not_equal(whole, other, sizeof(whole));
    copy_digest_free(d);
}

static void a_sequence_lock_is_waited_for_a_bounded_time(void **state)
{
    uint64_t entry[2] = { 4, 77 };
    uint64_t value = 0;
    struct failure f;

    (void)state;
    assert_int_equal(copy_sequence_locked(&entry[0], &entry[1], &value, &f), 0);
    assert_int_equal(value, 77);
    entry[0] = 5;
    assert_int_equal(copy_sequence_locked(&entry[0], &entry[1], &value, &f), -ERROR_UNAVAILABLE);
    entry[0] = 6 | UINT64_C(1) << 32; /* the padding above the number means nothing */
    assert_int_equal(copy_sequence_locked(&entry[0], &entry[1], &value, &f), 0);
}

static double gib_per_second(void *to, const void *from, size_t bytes, struct copy_digest *d)
{
    uint64_t best_ns = UINT64_MAX;

    for (int round = 0; round < 5; round++) {
        uint64_t start_ns = clock_monotonic_ns();

        for (size_t done = 0; done < bytes; done += COPY_STEP_BYTES) {
            copy_step((uint8_t *)to + done, (const uint8_t *)from + done, COPY_STEP_BYTES, d, NULL);
        }
        uint64_t took_ns = clock_monotonic_ns() - start_ns;

        best_ns = took_ns < best_ns ? took_ns : best_ns;
    }
    return (double)bytes / (double)best_ns * 1e9 / (1 << 30);
}

/* Printed, not asserted: figures belong to machines. */
static void its_speed_is_shown(void **state)
{
    size_t bytes = 32 << 20;
    uint8_t *from = aligned_alloc(PAGE, bytes), *to = aligned_alloc(PAGE, bytes);
    struct copy_digest *d = copy_digest_new();
    uint64_t memcpy_ns = UINT64_MAX;

    (void)state;
    assert_true(from && to && d);
    memset(from, 1, bytes);
    memset(to, 2, bytes);
    for (int round = 0; round < 5; round++) {
        uint64_t start_ns = clock_monotonic_ns();

        memcpy(to, from, bytes);
        uint64_t took_ns = clock_monotonic_ns() - start_ns;

        memcpy_ns = took_ns < memcpy_ns ? took_ns : memcpy_ns;
    }
    copy_digest_begin(d);
    print_message("# 32 MiB, GiB/s: memcpy %.1f, copy %.1f, copy and digest %.1f\n",
                  (double)bytes / (double)memcpy_ns * 1e9 / (1 << 30),
                  gib_per_second(to, from, bytes, NULL), gib_per_second(to, from, bytes, d));
    copy_digest_free(d);
    free(from);
    free(to);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_length_is_copied_exactly),
        cmocka_unit_test(pages_that_go_away_are_an_error),
        cmocka_unit_test(threads_fault_by_themselves),
        cmocka_unit_test(a_destination_without_memory_is_an_error),
        cmocka_unit_test(a_fault_elsewhere_still_kills),
        cmocka_unit_test(the_digest_is_of_the_bytes_however_they_are_cut),
        cmocka_unit_test(a_sequence_lock_is_waited_for_a_bounded_time),
        cmocka_unit_test(its_speed_is_shown),
    };

    return UNIT_RUN(tests);
}
