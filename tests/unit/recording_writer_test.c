/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* A recording's file, written: what is there is a recording at any time, whatever ends the writing. */
#include "tests/lib/unit.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "client/cli/recording_reader.h"
#include "client/cli/recording_writer.h"
#include "tests/lib/folder.h"

static void begin(struct recording_writer *w, const char *path)
{
    bool is_new = false;

    assert_int_equal(recording_writer_open(w, path, false, &is_new, NULL), 0);
    assert_true(is_new);
    assert_int_equal(recording_writer_begin(w, RECORDING_OF_RESOURCE, NULL), 0);
}

static void put(struct recording_writer *w, const char *text)
{
    assert_int_equal(recording_writer_append(w, RECORDING_MESSAGE, 1, text, strlen(text), NULL), 0);
}

/* Its records' payloads, with a '|' behind each, and a '!' where it is not whole. */
static const char *content_of(const char *path)
{
    static char text[4096];
    RECORDING_READER_AUTO r = { 0 };
    struct recording_step step;
    size_t len = 0;

    assert_int_equal(recording_reader_open_path(&r, path, NULL), 0);
    for (;;) {
        assert_int_equal(recording_reader_next(&r, &step, NULL), 0);
        if (step.found != RECORDING_FOUND_RECORD) {
            break;
        }
        len +=
            (size_t)snprintf(text + len, sizeof(text) - len, "%.*s|", (int)step.record.len_bytes,
                             step.record.payload != NULL ? (const char *)step.record.payload : "");
        assert_true(len < sizeof(text));
    }
    (void)snprintf(text + len, sizeof(text) - len, "%s",
                   step.found == RECORDING_FOUND_END ? "" : "!");
    return text;
}

static void new_files_are_private_and_whole(void **state)
{
    FOLDER_AUTO folder = folder_make();
    const char *path = folder_path(&folder, "new");
    RECORDING_WRITER_AUTO w = { .fd = -1 };
    struct stat there;

    (void)state;
    begin(&w, path);
    put(&w, "a");
    put(&w, "");
    put(&w, "bc");
    assert_string_equal(content_of(path), "a||bc|"); /* before it is closed */
    assert_int_equal(recording_writer_sync(&w, NULL), 0);
    assert_int_equal(recording_writer_close(&w, NULL), 0);
    assert_int_equal(stat(path, &there), 0);
    assert_int_equal(there.st_mode & 0777, 0600);
}

static void what_is_there_is_not_written_over(void **state)
{
    FOLDER_AUTO folder = folder_make();
    const char *path = folder_path(&folder, "old");
    RECORDING_WRITER_AUTO w = { .fd = -1 };
    struct failure f;
    bool is_new;

    (void)state;
    folder_write(path, "precious", 8);
    assert_int_equal(recording_writer_open(&w, path, false, &is_new, &f),
                     -ERROR_FAILED_PRECONDITION);
    assert_non_null(strstr(f.next_step, "--resume"));
    assert_int_equal(recording_writer_open(&w, folder.path, true, &is_new, &f), -ERROR_UNKNOWN);
    assert_int_equal(mkfifo(folder_path(&folder, "pipe"), 0600), 0);
    assert_int_equal(recording_writer_open(&w, folder_path(&folder, "pipe"), true, &is_new, &f),
                     -ERROR_FAILED_PRECONDITION);
}

static void one_recorder_at_a_time(void **state)
{
    FOLDER_AUTO folder = folder_make();
    const char *path = folder_path(&folder, "one");
    RECORDING_WRITER_AUTO first = { .fd = -1 };
    RECORDING_WRITER_AUTO second = { .fd = -1 };
    struct failure f;
    bool is_new;

    (void)state;
    begin(&first, path);
    assert_int_equal(recording_writer_open(&second, path, true, &is_new, &f),
                     -ERROR_FAILED_PRECONDITION);
    assert_non_null(strstr(f.message, "another program"));
    recording_writer_abandon(&first);
    assert_int_equal(recording_writer_open(&second, path, true, &is_new, &f), 0);
    assert_false(is_new);
}

static void going_on_cuts_what_is_behind(void **state)
{
    FOLDER_AUTO folder = folder_make();
    const char *path = folder_path(&folder, "on");
    RECORDING_WRITER_AUTO w = { .fd = -1 };
    uint64_t end_bytes;
    bool is_new;

    (void)state;
    begin(&w, path);
    put(&w, "kept");
    end_bytes = w.end_bytes;
    put(&w, "cut");
    recording_writer_abandon(&w);
    assert_int_equal(recording_writer_open(&w, path, true, &is_new, NULL), 0);
    assert_int_equal(recording_writer_go_on(&w, end_bytes, 1, NULL), 0);
    put(&w, "new");
    assert_string_equal(content_of(path), "kept|new|");
}

/* Runs `write` in a child, on a file that may not grow beyond `max_bytes`. */
static int in_small_room(const char *path, rlim_t max_bytes)
{
    pid_t pid = fork();
    int status = -1;

    assert_true(pid >= 0);
    if (pid == 0) {
        const struct rlimit room = { max_bytes, max_bytes };
        struct recording_writer w = { .fd = -1 };
        struct failure f = { 0 };
        int result;

        (void)signal(SIGXFSZ, SIG_IGN);
        begin(&w, path);
        put(&w, "fits");
        (void)setrlimit(RLIMIT_FSIZE, &room);
        do {
            result = recording_writer_append(&w, RECORDING_MESSAGE, 1, "0123456789abcdef", 16, &f);
        } while (result == 0);
        _exit(result == -ERROR_UNKNOWN && strstr(f.cause, "EFBIG") != NULL &&
                      strstr(f.next_step, "--resume") != NULL && w.failed
                  ? 0
                  : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void a_full_disk_leaves_a_recording(void **state)
{
    const rlim_t start = RECORDING_HEADER_BYTES + RECORDING_HEAD_BYTES + 4;

    (void)state;
    for (rlim_t room = 0; room < 160; room += 7) {
        FOLDER_AUTO folder = folder_make();
        const char *path = folder_path(&folder, "full");

        assert_int_equal(in_small_room(path, start + room), 0);
        const char *content = content_of(path);

        assert_int_equal(strncmp(content, "fits|", 5), 0);
        assert_null(strchr(content, '!'));
    }
}

/* Whenever it is killed, all that was written before can be read. */
static void a_kill_leaves_a_recording(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 10; i++) {
        FOLDER_AUTO folder = folder_make();
        const char *path = folder_path(&folder, "killed");
        int ready[2];
        char byte;

        assert_int_equal(pipe(ready), 0);
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
            struct recording_writer w = { .fd = -1 };

            begin(&w, path);
            put(&w, "first");
            (void)!write(ready[1], "x", 1);
            for (;;) {
                put(&w, "more");
            }
        }
        assert_int_equal(read(ready[0], &byte, 1), 1);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        (void)close(ready[0]);
        (void)close(ready[1]);

        RECORDING_READER_AUTO r = { 0 };
        struct recording_step step;
        uint64_t records = 0;

        assert_int_equal(recording_reader_open_path(&r, path, NULL), 0);
        do {
            assert_int_equal(recording_reader_next(&r, &step, NULL), 0);
            records += step.found == RECORDING_FOUND_RECORD;
        } while (step.found == RECORDING_FOUND_RECORD);
        assert_true(records >= 1);
        assert_true(step.found == RECORDING_FOUND_END || step.found == RECORDING_FOUND_TORN);
    }
}

static void a_record_beyond_the_largest_is_refused(void **state)
{
    FOLDER_AUTO folder = folder_make();
    const char *path = folder_path(&folder, "large");
    RECORDING_WRITER_AUTO w = { .fd = -1 };
    uint8_t *payload = calloc(1, (size_t)RECORDING_PAYLOAD_MAX_BYTES + 1);

    (void)state;
    assert_non_null(payload);
    begin(&w, path);
    assert_int_equal(recording_writer_append(&w, RECORDING_MESSAGE, 1, payload,
                                             RECORDING_PAYLOAD_MAX_BYTES, NULL),
                     0);
    assert_int_equal(recording_writer_append(&w, RECORDING_MESSAGE, 1, payload,
                                             (size_t)RECORDING_PAYLOAD_MAX_BYTES + 1, NULL),
                     -ERROR_UNKNOWN);
    free(payload);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_files_are_private_and_whole),
        cmocka_unit_test(what_is_there_is_not_written_over),
        cmocka_unit_test(one_recorder_at_a_time),
        cmocka_unit_test(going_on_cuts_what_is_behind),
        cmocka_unit_test(a_full_disk_leaves_a_recording),
        cmocka_unit_test(a_kill_leaves_a_recording),
        cmocka_unit_test(a_record_beyond_the_largest_is_refused),
    };

    return UNIT_RUN(tests);
}
