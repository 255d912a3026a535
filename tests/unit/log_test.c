/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "tests/lib/unit.h"

enum { ROOM_BYTES = 65536 };

static int saved_stderr = -1;
static int pipe_end = -1;
static char written[ROOM_BYTES];

static uint64_t fixed_wall_ns(void *arg)
{
    (void)arg;
    return UINT64_C(1700000000) * CLOCK_NS_PER_S + 7 * CLOCK_NS_PER_MS;
}

/* From here on stderr is a packet pipe: a read returns what one write(2) wrote. */
static int catch_stderr(void **state)
{
    static const struct clock_source source = { .wall_ns = fixed_wall_ns };
    int ends[2];

    (void)state;
    clock_set_source(&source);
    if (pipe2(ends, O_DIRECT | O_NONBLOCK | O_CLOEXEC) != 0) {
        return -1;
    }
    saved_stderr = dup(STDERR_FILENO);
    pipe_end = ends[0];
    return dup2(ends[1], STDERR_FILENO) < 0 || close(ends[1]) != 0 ? -1 : 0;
}

static int release_stderr(void **state)
{
    (void)state;
    clock_set_source(NULL);
    (void)dup2(saved_stderr, STDERR_FILENO);
    (void)close(saved_stderr);
    (void)close(pipe_end);
    (void)unsetenv("JOURNAL_STREAM");
    return 0;
}

/* What one write brought; "" when there was none. */
static const char *next_write(void)
{
    ssize_t len = read(pipe_end, written, sizeof(written) - 1);

    written[len > 0 ? len : 0] = '\0';
    return written;
}

static void assert_nothing_written(void)
{
    assert_string_equal(next_write(), "");
}

static void a_line_has_time_program_and_level(void **state)
{
    (void)state;
    log_open("prog", LOG_LEVEL_DEBUG);
    log_error("a %d", 1);
    assert_string_equal(next_write(), "2023-11-14T22:13:20.007Z prog: error: a 1\n");
    log_warning("b");
    assert_string_equal(next_write(), "2023-11-14T22:13:20.007Z prog: warning: b\n");
    log_info("c");
    assert_string_equal(next_write(), "2023-11-14T22:13:20.007Z prog: c\n");
    log_debug("d");
    assert_string_equal(next_write(), "2023-11-14T22:13:20.007Z prog: debug: d\n");
}

static void levels_above_the_limit_are_not_written(void **state)
{
    (void)state;
    log_open("prog", LOG_LEVEL_WARNING);
    log_info("x");
    log_debug("x");
    assert_nothing_written();
    log_warning("x");
    assert_true(next_write()[0] != '\0');
}

static void the_journal_gets_priorities_when_stderr_is_its_own(void **state)
{
    char stream[64];
    struct stat st;

    (void)state;
    assert_int_equal(fstat(STDERR_FILENO, &st), 0);
    (void)snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
    assert_int_equal(setenv("JOURNAL_STREAM", stream, 1), 0);
    log_open("prog", LOG_LEVEL_INFO);
    log_warning("a");
    assert_string_equal(next_write(), "<4>a\n");

    /* Inherited, but stderr is another file. */
    assert_int_equal(setenv("JOURNAL_STREAM", "1:2", 1), 0);
    log_open("prog", LOG_LEVEL_INFO);
    log_warning("a");
    assert_true(next_write()[0] != '<');
}

static void a_guests_string_cannot_forge_a_line(void **state)
{
    (void)state;
    log_open("p", LOG_LEVEL_INFO);
    log_info("domain %s", "x\n<3>forged\r\x1b[2J\t\x7f\xc2\x9b é\\");
    const char *line = next_write();

    assert_string_equal(strstr(line, "domain"), "domain x\\x0a<3>forged\\x0d\\x1b[2J\\x09\\x7f"
                                                "\\xc2\\x9b \\xc3\\xa9\\\\\n");
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
    assert_nothing_written();
}

static void every_byte_is_written_as_printable_ascii(void **state)
{
    (void)state;
    log_open("p", LOG_LEVEL_INFO);
    for (int byte = 1; byte < 256; byte++) {
        log_info("%c", byte);
        const char *line = next_write();

        size_t len = strlen(line);

        assert_int_equal(line[len - 1], '\n');
        for (size_t i = 0; i + 1 < len; i++) {
            assert_in_range(line[i], 0x20, 0x7e);
        }
    }
}

static void a_long_line_is_cut_at_the_maximum_with_its_newline(void **state)
{
    char text[4 * LOG_LINE_MAX];

    (void)state;
    log_open("p", LOG_LEVEL_INFO);
    memset(text, 'a', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    log_info("%s", text);
    assert_int_equal(strlen(next_write()), LOG_LINE_MAX);
    assert_int_equal(written[LOG_LINE_MAX - 1], '\n');

    memset(text, '\n', sizeof(text) - 1); /* each becomes four */
    log_info("%s", text);
    size_t len = strlen(next_write());

    assert_in_range(len, LOG_LINE_MAX - 3, LOG_LINE_MAX);
    assert_ptr_equal(strchr(written, '\n'), written + len - 1);
    assert_memory_equal(written + len - 5, "\\x0a", 4); /* no half escape */
}

static void errno_survives(void **state)
{
    (void)state;
    (void)dup2(pipe_end, STDERR_FILENO); /* not writable: write(2) fails */
    errno = ENOENT;
    log_error("x");
    assert_int_equal(errno, ENOENT);
}

static void a_failure_is_one_line_with_all_it_says(void **state)
{
    struct failure f;
    int result = failure_set(&f, ERROR_NOT_FOUND, "no domain 5");

    (void)state;
    log_open("p", LOG_LEVEL_INFO);
    result = failure_call(&f, result, "xc_domain_getinfolist", ESRCH);
    result = failure_cause(&f, result, "it is gone");
    (void)failure_next(&f, result, "list the domains");
    log_failure(LOG_LEVEL_WARNING, "mapping", &f);
    assert_string_equal(strstr(next_write(), "p: "),
                        "p: warning: mapping: no domain 5 (xc_domain_getinfolist: ESRCH); it is "
                        "gone; list the domains\n");
    memset(&f, 0, sizeof(f));
    f.code = ERROR_UNAVAILABLE;
    log_failure(LOG_LEVEL_ERROR, "mapping", &f);
    assert_string_equal(strstr(next_write(), "mapping"),
                        "mapping: not now; trying again may help\n");
}

static void a_failure_that_is_not_ended_is_no_overrun(void **state)
{
    struct failure f;

    (void)state;
    memset(&f, 'A', sizeof(f));
    log_failure(LOG_LEVEL_ERROR, "x", &f);
    assert_true(strlen(next_write()) <= LOG_LINE_MAX);
}

#define LOG_TEST(test) cmocka_unit_test_setup_teardown(test, catch_stderr, release_stderr)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        LOG_TEST(a_line_has_time_program_and_level),
        LOG_TEST(levels_above_the_limit_are_not_written),
        LOG_TEST(the_journal_gets_priorities_when_stderr_is_its_own),
        LOG_TEST(a_guests_string_cannot_forge_a_line),
        LOG_TEST(every_byte_is_written_as_printable_ascii),
        LOG_TEST(a_long_line_is_cut_at_the_maximum_with_its_newline),
        LOG_TEST(errno_survives),
        LOG_TEST(a_failure_is_one_line_with_all_it_says),
        LOG_TEST(a_failure_that_is_not_ended_is_no_overrun),
    };

    return UNIT_RUN(tests);
}
