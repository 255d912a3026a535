/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "common/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/text.h"

/* Written by log_open() before threads start, read by all. */
static const char *program_name = "xenresd";
static enum log_level level_max = LOG_LEVEL_INFO;
static bool to_journal;

/* JOURNAL_STREAM names device and inode of the journal's pipe: a child whose stderr was sent
 * elsewhere inherits the variable, and would write `<3>` into somebody's file. */
static bool is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    char ours[64];
    struct stat st;

    if (stream == NULL || fstat(STDERR_FILENO, &st) != 0) {
        return false;
    }
    (void)snprintf(ours, sizeof(ours), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
    return strcmp(stream, ours) == 0;
}

void log_open(const char *program, enum log_level max)
{
    program_name = program;
    level_max = max;
    to_journal = is_journal();
}

static const char *level_word(enum log_level level)
{
    switch (level) {
    case LOG_LEVEL_ERROR: return "error: ";
    case LOG_LEVEL_WARNING: return "warning: ";
    case LOG_LEVEL_INFO: return "";
    case LOG_LEVEL_DEBUG: return "debug: ";
    }
    return "";
}

/* Returns the length of what stands before the text; well below LOG_LINE_MAX for any clock. */
static size_t write_prefix(char *line, size_t size, enum log_level level)
{
    int len;

    if (to_journal) {
        len = snprintf(line, size, "<%d>", (int)level);
    } else {
        uint64_t now_ns = clock_wall_ns();
        time_t seconds = (time_t)(now_ns / CLOCK_NS_PER_S);
        struct tm tm = { 0 };
        char stamp[32];

        (void)gmtime_r(&seconds, &tm);
        if (strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm) == 0) {
            stamp[0] = '\0';
        }
        len = snprintf(line, size, "%s.%03uZ %.64s: %s", stamp,
                       (unsigned)(now_ns % CLOCK_NS_PER_S / CLOCK_NS_PER_MS), program_name,
                       level_word(level));
    }
    return len > 0 && (size_t)len < size ? (size_t)len : 0;
}

static void write_line(enum log_level level, const char *text)
{
    char line[LOG_LINE_MAX];
    size_t used = write_prefix(line, sizeof(line), level);

    /* Escaping is what keeps a name with a newline in it from being a line of its own. The NUL that
     * text_escape() leaves is where the newline goes. */
    (void)text_escape(line + used, sizeof(line) - used, text, TEXT_ASCII);
    used += strlen(line + used);
    line[used++] = '\n';

    while (write(STDERR_FILENO, line, used) < 0 && errno == EINTR) {
    }
}

static void log_text(enum log_level level, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

static void log_text(enum log_level level, const char *format, va_list args)
{
    if (level > level_max) {
        return;
    }
    int saved_errno = errno; /* callers log between a call and its report */
    char text[LOG_LINE_MAX];

    if (vsnprintf(text, sizeof(text), format, args) < 0) {
        (void)snprintf(text, sizeof(text), "a log line could not be formatted");
    }
    write_line(level, text);
    errno = saved_errno;
}

#define LOG_FUNCTION(name, level)                                                                  \
    void name(const char *format, ...)                                                             \
    {                                                                                              \
        va_list args;                                                                              \
                                                                                                   \
        va_start(args, format);                                                                    \
        log_text((level), format, args);                                                           \
        va_end(args);                                                                              \
    }

LOG_FUNCTION(log_error, LOG_LEVEL_ERROR)
LOG_FUNCTION(log_warning, LOG_LEVEL_WARNING)
LOG_FUNCTION(log_info, LOG_LEVEL_INFO)
LOG_FUNCTION(log_debug, LOG_LEVEL_DEBUG)

static void log_at(enum log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void log_at(enum log_level level, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    log_text(level, format, args);
    va_end(args);
}

void log_failure(enum log_level level, const char *doing, const struct failure *f)
{
    char call[FAILURE_CALL_MAX + 32] = "";
    struct failure safe = *f;

    failure_sanitize(&safe);
    if (safe.call[0] != '\0') {
        (void)snprintf(call, sizeof(call), " (%s: %s)", safe.call,
                       safe.xen_errno != 0 ? error_errno_name(safe.xen_errno) : "failed");
    }
    log_at(level, "%s: %s%s%s%s%s%s", doing,
           safe.message[0] != '\0' ? safe.message : error_text(safe.code), call,
           safe.cause[0] != '\0' ? "; " : "", safe.cause, safe.next_step[0] != '\0' ? "; " : "",
           safe.next_step);
}
