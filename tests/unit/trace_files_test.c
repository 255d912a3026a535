/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* A folder with a recorded trace: one writer, files without a hole, and what is left of it by one that was
 * killed. */
#include "tests/lib/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/cli/trace_check.h"
#include "client/cli/trace_files.h"
#include "tests/lib/folder.h"

#define FEED "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const uint32_t one_vcpu[] = { 0 };

struct rig {
    struct folder folder;
    int dir_fd;
    struct manifest m;
    struct trace_writer w;
    struct failure f;
};

static struct rig rig;

/* In libc's place. As Linux does: what the disk has lost is said once. */
static bool disk_fails;

int fdatasync(int fd)
{
    if (disk_fails) {
        disk_fails = false;
        errno = EIO;
        return -1;
    }
    return fsync(fd);
}

static int begin(void **state)
{
    (void)state;
    rig = (struct rig){ .folder = folder_make() };
    assert_int_equal(trace_files_open(rig.folder.path, true, &rig.dir_fd, &rig.f), 0);
    assert_true(manifest_set_vcpus(&rig.m, one_vcpu, 1));
    trace_writer_init(&rig.w, rig.dir_fd, &rig.m.vcpus[0]);
    return 0;
}

static int end(void **state)
{
    (void)state;
    trace_writer_done(&rig.w);
    manifest_done(&rig.m);
    (void)close(rig.dir_fd);
    folder_done(&rig.folder);
    return 0;
}

static void data(uint64_t position, uint32_t segment, uint64_t offset, size_t len)
{
    static const uint8_t bytes[1 << 16];
    const xenres_trace_data d = {
        .position = position, .offset = offset, .segment = segment, .bytes = bytes, .len_bytes = len
    };

    assert_int_equal(trace_writer_data(&rig.w, &d), 0);
}

static void gap(uint32_t reason, uint64_t position, uint64_t length, bool at_least,
                uint32_t segment, uint64_t offset)
{
    const xenres_trace_gap g = { .reason = reason,
                                 .position = position,
                                 .length = length,
                                 .at_least = at_least,
                                 .segment = segment,
                                 .offset = offset };

    assert_int_equal(trace_writer_gap(&rig.w, &g), 0);
}

static void save(void)
{
    struct manifest_vcpu now;

    assert_int_equal(trace_writer_settle(&rig.w, &now, &rig.f), 0);
    manifest_done_vcpu(&rig.m.vcpus[0]);
    rig.m.vcpus[0] = now;
    assert_int_equal(trace_files_save(rig.dir_fd, &rig.m, &rig.f), 0);
}

static long size_of(const char *name)
{
    struct stat st;

    return fstatat(rig.dir_fd, name, &st, 0) == 0 ? (long)st.st_size : -1;
}

static void begun(void)
{
    const xenres_trace_begin b = { .feed = FEED };

    assert_int_equal(trace_writer_begin(&rig.w, &b), 0);
}

static void no_file_has_a_hole(void **state)
{
    (void)state;
    begun();
    data(0, 0, 0, 10);
    data(10, 0, 10, 10);
    gap(XENRES_TRACE_GAP_TOO_SLOW, 20, 5, false, 0, 25);
    data(25, 0, 25, 7);
    gap(XENRES_TRACE_GAP_LAPPED, 32, 0, true, 0, 32);
    data(32, 1, 0, 3);
    save();
    assert_int_equal(size_of("vcpu0.pt"), 20);
    assert_int_equal(size_of("vcpu0.1.pt"), 7);
    assert_int_equal(size_of("vcpu0.2.pt"), 3);
    assert_int_equal(rig.m.vcpus[0].position, 35);
    assert_int_equal(manifest_sum(&rig.m.vcpus[0]).delivered, 30);
}

static void there_is_one_writer(void **state)
{
    int fd;

    (void)state;
    assert_int_equal(trace_files_open(rig.folder.path, false, &fd, &rig.f),
                     -ERROR_FAILED_PRECONDITION);
}

static void a_recording_is_not_written_over(void **state)
{
    int fd;

    (void)state;
    save();
    (void)close(rig.dir_fd);
    assert_int_equal(trace_files_open(rig.folder.path, true, &fd, &rig.f), -ERROR_ALREADY_EXISTS);
    assert_int_equal(trace_files_open(rig.folder.path, false, &rig.dir_fd, &rig.f), 0);
}

/* Killed between two manifests. */
static void what_is_behind_the_manifest_is_cut_off(void **state)
{
    MANIFEST_AUTO m = { .vcpus = NULL };
    struct trace_check c;

    (void)state;
    begun();
    data(0, 0, 0, 10);
    save();
    data(10, 0, 10, 100);
    gap(XENRES_TRACE_GAP_LAPPED, 110, 1, true, 0, 111);
    data(111, 1, 0, 50);
    data(161, 1, 50, 1);
    assert_int_equal(trace_files_load(rig.dir_fd, &m, &rig.f), 0);
    trace_check_run(&c, &m, rig.dir_fd);
    assert_int_equal(c.finding_count, 3); /* not ended, too long, and another file */
    trace_check_done(&c);
    assert_int_equal(trace_files_trim(rig.dir_fd, &m, &rig.f), 0);
    assert_int_equal(size_of("vcpu0.pt"), 10);
    assert_int_equal(size_of("vcpu0.1.pt"), -1);
    trace_check_run(&c, &m, rig.dir_fd);
    assert_int_equal(c.finding_count, 1);
    trace_check_done(&c);
    /* And goes on in the same file. */
    trace_writer_done(&rig.w);
    trace_writer_init(&rig.w, rig.dir_fd, &m.vcpus[0]);
    data(10, 0, 10, 5);
    save();
    assert_int_equal(size_of("vcpu0.pt"), 15);
    assert_int_equal(rig.m.vcpus[0].file_count, 1);
}

static void less_than_the_manifest_says_is_data_loss(void **state)
{
    (void)state;
    begun();
    data(0, 0, 0, 10);
    save();
    int fd = openat(rig.dir_fd, "vcpu0.pt", O_WRONLY | O_CLOEXEC);

    assert_int_equal(ftruncate(fd, 9), 0);
    (void)close(fd);
    assert_int_equal(trace_files_trim(rig.dir_fd, &rig.m, &rig.f), -ERROR_DATA_LOSS);
}

static void an_open_loss_that_comes_again_is_told_once(void **state)
{
    (void)state;
    begun();
    data(0, 0, 0, 10);
    gap(XENRES_TRACE_GAP_LAPPED, 10, 0, true, 0, 10);
    gap(XENRES_TRACE_GAP_LAPPED, 10, 0, true, 0, 10);
    save();
    assert_int_equal(rig.m.vcpus[0].gap_count, 1);
}

/* Killed when all of segment 0 was there, and reset before it went on: never complete, and told once. */
static void a_reset_while_nobody_recorded_is_a_loss(void **state)
{
    struct trace_check c;

    (void)state;
    begun();
    data(0, 0, 0, 10);
    gap(XENRES_TRACE_GAP_INTERRUPTED, 10, 0, true, 1, 0);
    gap(XENRES_TRACE_GAP_INTERRUPTED, 10, 0, true, 1, 0); /* and killed again */
    data(10, 1, 0, 5);
    rig.w.vcpu.has_end = true;
    rig.w.vcpu.end_reason = XENRES_TRACE_STOPPED;
    rig.w.vcpu.end_position = 15;
    save();
    trace_check_run(&c, &rig.m, rig.dir_fd);
    assert_int_equal(c.finding_count, 1);
    assert_int_equal(c.findings[0].kind, TRACE_FINDING_GAP);
    trace_check_done(&c);
}

/* Nor does it wait for who reads a FIFO. */
static void what_is_there_is_not_written_over(void **state)
{
    static const uint8_t byte[1];
    const xenres_trace_data d = { .bytes = byte, .len_bytes = 1 };
    int fd = openat(rig.dir_fd, "vcpu0.pt", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

    (void)state;
    assert_int_equal(write(fd, "theirs", 6), 6);
    (void)close(fd);
    begun();
    assert_int_not_equal(trace_writer_data(&rig.w, &d), 0);
    assert_string_equal(rig.w.f.next_step, "record into another folder");
    assert_int_equal(size_of("vcpu0.pt"), 6);
    assert_int_equal(unlinkat(rig.dir_fd, "vcpu0.pt", 0), 0);
    assert_int_equal(mkfifoat(rig.dir_fd, "vcpu0.pt", 0600), 0);
    assert_int_not_equal(trace_writer_data(&rig.w, &d), 0);
    /* Where one goes on with it, too. */
    assert_true(manifest_add_file(&rig.w.vcpu, &(struct manifest_file){ .position = 0 }));
    assert_int_not_equal(trace_writer_data(&rig.w, &d), 0);
    rig.w.vcpu.file_count = 0;
    save();
    assert_int_equal(rig.m.vcpus[0].position, 0);
}

static void expect_not_saved(void)
{
    rig.f = (struct failure){ .code = 0 };
    assert_int_not_equal(trace_files_save(rig.dir_fd, &rig.m, &rig.f), 0);
    assert_non_null(strstr(rig.f.message, "it is no file of this recording"));
    assert_string_equal(rig.f.next_step, "remove it, then go on with record --resume");
    assert_int_equal(unlinkat(rig.dir_fd, "manifest.json.new", 0), 0);
}

/* Nor does the manifest go where somebody else wants it, or wait for him. */
static void the_manifest_is_written_into_a_file_of_its_own_only(void **state)
{
    int theirs = openat(rig.dir_fd, "theirs", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

    (void)state;
    assert_int_equal(write(theirs, "theirs", 6), 6);
    (void)close(theirs);
    assert_int_equal(symlinkat("theirs", rig.dir_fd, "manifest.json.new"), 0);
    expect_not_saved();
    assert_int_equal(symlinkat("nowhere", rig.dir_fd, "manifest.json.new"), 0);
    expect_not_saved();
    assert_int_equal(linkat(rig.dir_fd, "theirs", rig.dir_fd, "manifest.json.new", 0), 0);
    expect_not_saved();
    assert_int_equal(size_of("theirs"), 6);
    assert_int_equal(size_of("nowhere"), -1);
    assert_int_equal(mkfifoat(rig.dir_fd, "manifest.json.new", 0600), 0);
    expect_not_saved();
    assert_int_equal(mkfifoat(rig.dir_fd, "manifest.json.new", 0600), 0);
    int reader = openat(rig.dir_fd, "manifest.json.new", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    uint8_t byte;

    expect_not_saved();
    assert_int_equal(read(reader, &byte, 1), 0); /* nothing came */
    (void)close(reader);
    assert_int_equal(mkdirat(rig.dir_fd, "manifest.json.new", 0700), 0);
    assert_int_not_equal(trace_files_save(rig.dir_fd, &rig.m, &rig.f), 0);
    assert_int_equal(unlinkat(rig.dir_fd, "manifest.json.new", AT_REMOVEDIR), 0);
    /* What one that was killed has left is written over. */
    int left = openat(rig.dir_fd, "manifest.json.new", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

    assert_int_equal(ftruncate(left, 1 << 20), 0);
    (void)close(left);
    save();
    assert_in_range(size_of("manifest.json"), 1, 1 << 16);
    assert_int_equal(size_of("manifest.json.new"), -1);
}

/* What could not be written does not count. */
static void a_full_disk_ends_it(void **state)
{
    static const uint8_t bytes[100];
    const xenres_trace_data d = { .bytes = bytes, .len_bytes = sizeof(bytes) };
    struct rlimit before, none = { .rlim_cur = 40 };

    (void)state;
    begun();
    save();
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    none.rlim_max = before.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    int result = trace_writer_data(&rig.w, &d);

    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_true(result != 0 && rig.w.f.code != 0 && rig.w.f.next_step[0] != '\0');
    save();
    assert_int_equal(rig.m.vcpus[0].position, 0);
    assert_int_equal(rig.m.vcpus[0].file_count, 0);
}

static void settles_no_more(uint64_t saved)
{
    struct manifest_vcpu now;

    for (int i = 0; i < 2; i++) {
        rig.f = (struct failure){ .code = 0 };
        assert_int_not_equal(trace_writer_settle(&rig.w, &now, &rig.f), 0);
        assert_int_not_equal(rig.f.code, 0);
    }
    assert_int_equal(rig.m.vcpus[0].position, saved);
}

static void what_the_disk_has_lost_never_counts(void **state)
{
    (void)state;
    begun();
    data(0, 0, 0, 10);
    save();
    data(10, 0, 10, 10);
    disk_fails = true;
    settles_no_more(10);
}

/* Said to the thread that writes, as it begins another file. */
static void nor_does_what_it_has_lost_of_a_file_before(void **state)
{
    static const uint8_t byte[1];
    const xenres_trace_data d = { .position = 20, .segment = 1, .bytes = byte, .len_bytes = 1 };

    (void)state;
    begun();
    data(0, 0, 0, 10);
    save();
    data(10, 0, 10, 10);
    gap(XENRES_TRACE_GAP_LAPPED, 20, 0, true, 0, 20);
    disk_fails = true;
    assert_int_not_equal(trace_writer_data(&rig.w, &d), 0);
    settles_no_more(10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_file_has_a_hole, begin, end),
        cmocka_unit_test_setup_teardown(there_is_one_writer, begin, end),
        cmocka_unit_test_setup_teardown(a_recording_is_not_written_over, begin, end),
        cmocka_unit_test_setup_teardown(what_is_behind_the_manifest_is_cut_off, begin, end),
        cmocka_unit_test_setup_teardown(less_than_the_manifest_says_is_data_loss, begin, end),
        cmocka_unit_test_setup_teardown(an_open_loss_that_comes_again_is_told_once, begin, end),
        cmocka_unit_test_setup_teardown(a_reset_while_nobody_recorded_is_a_loss, begin, end),
        cmocka_unit_test_setup_teardown(what_is_there_is_not_written_over, begin, end),
        cmocka_unit_test_setup_teardown(the_manifest_is_written_into_a_file_of_its_own_only, begin,
                                        end),
        cmocka_unit_test_setup_teardown(a_full_disk_ends_it, begin, end),
        cmocka_unit_test_setup_teardown(what_the_disk_has_lost_never_counts, begin, end),
        cmocka_unit_test_setup_teardown(nor_does_what_it_has_lost_of_a_file_before, begin, end),
    };

    return UNIT_RUN(tests);
}
