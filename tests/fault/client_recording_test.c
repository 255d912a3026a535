/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Recordings by the command itself, against a scripted gateway: killed in the midst, gone on with,
 * ended by a signal, in too small a room. What is missing then is what verify says, and nothing else. */
#include <sys/resource.h>
#include <sys/stat.h>

#include "tests/lib/client_watch.h"
#include "tests/lib/folder.h"
#include "tests/lib/xenres_command.h"

enum { TEXT_BYTES = 1 << 20, DATA_LOSS = 25 };

static struct tls_server server;

static off_t size_of(const char *path)
{
    struct stat there;

    assert_int_equal(stat(path, &there), 0);
    return there.st_size;
}

/* The gateway says nothing of its host: each recording asks for that first. */
static void host_is_refused(struct script *s)
{
    static const char answer[] = "HTTP/1.1 501 Not Implemented\r\n"
                                 "Content-Type: application/json\r\nContent-Length: 24\r\n\r\n"
                                 "{\"code\":\"unimplemented\"}";

    assert_true(s->count < SCRIPT_STREAMS_MAX);
    s->steps[s->count++] = (struct tls_server_step){ answer, sizeof(answer) - 1, TLS_SERVER_KEEP };
}

/* Begin, an image at 3, a checkpoint there, and the batches up to `last`. */
static struct buffer *some_batches(struct script *s, uint64_t last)
{
    struct buffer *b = script_stream(s);

    say_begin(b, (struct say_begin){ .feed = FEED_A });
    say_image(b, (struct say_image){ .sequence = 3 });
    say_checkpoint(b, 3, "cursor-3");
    for (uint64_t i = 4; i <= last; i++) {
        say_batch(b, i);
    }
    return b;
}

/* It goes on behind 3, tells again what came, and then up to `last` and its end. */
static void the_rest(struct script *s, uint64_t last)
{
    struct buffer *b = script_stream(s);

    say_begin(b, (struct say_begin){ .feed = FEED_A, .resumed = true, .sequence = 3 });
    for (uint64_t i = 4; i <= last; i++) {
        say_batch(b, i);
    }
    say_end(b, XENRES_END_INCARNATION_ENDED, last, "");
    script_then(s, TLS_SERVER_KEEP);
}

static void serve(const struct script *s)
{
    tls_server_start(&server, "IP:127.0.0.1", TLS1_3_VERSION, s->steps, s->count);
}

/* Runs it to its end; what it printed is in `text`. */
static int run(const char *const arguments[], char text[TEXT_BYTES])
{
    FILE *out = tmpfile();

    assert_non_null(out);
    int status =
        xenres_command_wait(xenres_command_start(&server, fileno(out), fileno(out), arguments));

    rewind(out);
    size_t len = fread(text, 1, TEXT_BYTES - 1, out);

    text[len] = '\0';
    fclose(out);
    return status;
}

/* Starts it, and waits until it has shown a line with `awaited` in it: what it shows it has recorded. */
static pid_t run_until(const char *const arguments[], const char *awaited)
{
    char line[65536];
    int ends[2];
    bool is_there = false;

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid = xenres_command_start(&server, ends[1], STDERR_FILENO, arguments);

    (void)close(ends[1]);
    FILE *shown = fdopen(ends[0], "re");

    assert_non_null(shown);
    while (!is_there && fgets(line, sizeof(line), shown) != NULL) {
        is_there = strstr(line, awaited) != NULL;
    }
    assert_true(is_there);
    /* It stays open: nobody is to fail for want of a reader. */
    return pid;
}

static void expect_verified(const char *path, int status, const char *said)
{
    static char text[TEXT_BYTES];
    const char *const verify[] = { "verify", path, NULL };

    assert_int_equal(run(verify, text), status);
    if (strstr(text, said) == NULL) {
        fail_msg("\"%s\" is not in:\n%s", said, text);
    }
}

static void what_was_killed_is_gone_on_with(void **state)
{
    static char text[TEXT_BYTES];
    FOLDER_AUTO folder = folder_make();
    const char *path = folder_path(&folder, "killed");
    const char *const record[] = {
        "-o", "json", "watch", "1", "grant_table", "--output", path, NULL
    };
    const char *const resume[] = {
        "watch", "1", "grant_table", "--output", path, "--resume", NULL
    };
    struct script s = { .count = 0 };

    (void)state;
    host_is_refused(&s);
    some_batches(&s, 6);
    script_then(&s, TLS_SERVER_SILENT);
    host_is_refused(&s);
    the_rest(&s, 9);
    serve(&s);
    pid_t pid = run_until(record, "\"sequence\":\"6\"");

    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(xenres_command_wait(pid), -SIGKILL);
    expect_verified(path, DATA_LOSS, "behind batch 6 is not in it");

    /* As if it had been killed while it wrote. */
    assert_int_equal(truncate(path, size_of(path) - 3), 0);
    expect_verified(path, DATA_LOSS, "torn");
    assert_int_equal(run(resume, text), 0);
    assert_non_null(memmem(server.body, server.body_len, "cursor-3", 8));
    assert_non_null(memmem(server.body, server.body_len, LIFE_A, 32));
    expect_verified(path, 0, "6 batches delivered, 0 told as lost");
    tls_server_stop(&server);
    script_done(&s);
}

/* What the cursor leads to was told as lost since: from there it would be told again, and the content that
 * has to come would be known already. */
static void what_was_killed_behind_a_gap_begins_with_content(void **state)
{
    static char text[TEXT_BYTES];
    FOLDER_AUTO folder = folder_make();
    const char *path = folder_path(&folder, "gap");
    const char *const record[] = {
        "-o", "json", "watch", "1", "grant_table", "--output", path, NULL
    };
    const char *const resume[] = {
        "watch", "1", "grant_table", "--output", path, "--resume", NULL
    };
    struct script s = { .count = 0 };

    (void)state;
    host_is_refused(&s);
    say_gap(some_batches(&s, 5), XENRES_GAP_TOO_SLOW, 6, 8);
    script_then(&s, TLS_SERVER_SILENT);
    host_is_refused(&s);
    struct buffer *b = script_stream(&s);

    say_begin(b, (struct say_begin){ .feed = FEED_A });
    say_image(b, (struct say_image){ .sequence = 8 });
    say_batch(b, 9);
    say_end(b, XENRES_END_INCARNATION_ENDED, 9, "");
    script_then(&s, TLS_SERVER_KEEP);
    serve(&s);
    pid_t pid = run_until(record, "\"gap\"");

    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(xenres_command_wait(pid), -SIGKILL);
    assert_int_equal(run(resume, text), 0);
    assert_null(memmem(server.body, server.body_len, "cursor-3", 8));
    expect_verified(path, DATA_LOSS, "3 batches delivered, 3 told as lost");
    tls_server_stop(&server);
    script_done(&s);
}

static void a_signal_ends_it_cleanly(void **state)
{
    static const int signals[] = { SIGINT, SIGTERM, SIGHUP };

    (void)state;
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        FOLDER_AUTO folder = folder_make();
        const char *path = folder_path(&folder, "ended");
        const char *const record[] = { "-o",          "table",    "watch", "1",
                                       "grant_table", "--output", path,    NULL };
        struct script s = { .count = 0 };

        host_is_refused(&s);
        some_batches(&s, 6);
        script_then(&s, TLS_SERVER_SILENT);
        serve(&s);
        pid_t pid = run_until(record, "  6  ");

        assert_int_equal(kill(pid, signals[i]), 0);
        (void)kill(pid, signals[i]); /* who sends one to the group as well */
        assert_int_equal(xenres_command_wait(pid), 0);
        expect_verified(path, 0, "closed: ended by a signal");
        tls_server_stop(&server);
        script_done(&s);
    }
}

/* The first request of the script is answered so that the watch fails: nothing is left behind. */
static void what_did_not_begin_leaves_no_file(void **state)
{
    static char text[TEXT_BYTES];
    FOLDER_AUTO folder = folder_make();
    const char *path = folder_path(&folder, "never");
    const char *const record[] = { "watch", "1", "grant_table", "--output", path, NULL };
    struct script s = { .count = 0 };

    (void)state;
    host_is_refused(&s);
    script_error(&s, "{\"error\":{\"code\":\"not_found\",\"message\":\"no such domain\"}}");
    serve(&s);
    assert_int_equal(run(record, text), 15);
    assert_non_null(strstr(text, "no such domain"));
    assert_int_equal(access(path, F_OK), -1);
    tls_server_stop(&server);
    script_done(&s);
}

static void another_resource_does_not_go_on(void **state)
{
    static char text[TEXT_BYTES];
    FOLDER_AUTO folder = folder_make();
    const char *path = folder_path(&folder, "other");
    const char *const record[] = { "watch", "1", "grant_table", "--output", path, NULL };
    const char *const other[] = { "watch",    "1",  "grant_table", "1",
                                  "--output", path, "--resume",    NULL };
    const char *const domains[] = { "watch", "--domains", "--output", path, "--resume", NULL };
    struct script s = { .count = 0 };
    struct buffer *b;

    (void)state;
    host_is_refused(&s);
    some_batches(&s, 6);
    b = &s.bytes[s.count];
    say_end(b, XENRES_END_INCARNATION_ENDED, 6, "");
    script_then(&s, TLS_SERVER_KEEP);
    serve(&s);
    assert_int_equal(run(record, text), 0);
    off_t size = size_of(path);

    assert_int_equal(run(record, text), 1);
    assert_non_null(strstr(text, "--resume"));
    assert_int_equal(run(other, text), 1);
    assert_non_null(strstr(text, "another resource"));
    assert_int_equal(run(domains, text), 1);
    assert_non_null(strstr(text, "something else"));
    assert_int_equal(size_of(path), size);
    tls_server_stop(&server);
    script_done(&s);
}

static void too_small_a_room_is_told_and_gone_on_from(void **state)
{
    static char text[TEXT_BYTES];
    FOLDER_AUTO folder = folder_make();
    const char *path = folder_path(&folder, "full");
    const char *const record[] = { "watch", "1", "grant_table", "--output", path, NULL };
    const char *const resume[] = {
        "watch", "1", "grant_table", "--output", path, "--resume", NULL
    };
    const struct rlimit none = { RLIM_INFINITY, RLIM_INFINITY };
    const struct rlimit room = { 4096 + 700, RLIM_INFINITY };
    struct script s = { .count = 0 };

    (void)state;
    host_is_refused(&s);
    some_batches(&s, 40);
    script_then(&s, TLS_SERVER_SILENT);
    host_is_refused(&s);
    the_rest(&s, 41);
    serve(&s);
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &room), 0);
    const int out = open("/dev/null", O_WRONLY | O_CLOEXEC);
    int ends[2];

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    int status = xenres_command_wait(xenres_command_start(&server, out, ends[1], record));

    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    ssize_t n = read(ends[0], text, TEXT_BYTES - 1);

    assert_true(n > 0);
    text[n] = '\0';
    assert_int_equal(status, 1);
    assert_non_null(strstr(text, "cannot record to"));
    assert_non_null(strstr(text, "make room"));
    expect_verified(path, DATA_LOSS, "complete: no");
    assert_int_equal(run(resume, text), 0);
    expect_verified(path, 0, "38 batches delivered, 0 told as lost");
    (void)close(out);
    (void)close(ends[0]);
    (void)close(ends[1]);
    tls_server_stop(&server);
    script_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_killed_is_gone_on_with),
        cmocka_unit_test(what_was_killed_behind_a_gap_begins_with_content),
        cmocka_unit_test(a_signal_ends_it_cleanly),
        cmocka_unit_test(what_did_not_begin_leaves_no_file),
        cmocka_unit_test(another_resource_does_not_go_on),
        cmocka_unit_test(too_small_a_room_is_told_and_gone_on_from),
    };

    return UNIT_RUN(tests);
}
