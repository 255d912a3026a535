/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "common/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/scope.h"
#include "common/settings_text.h"

/* libconfuse hands its callbacks no argument of the caller's: the parse that this thread is in. */
struct parse {
    const char *path;
    struct buffer *faults;
    unsigned count;
};
static _Thread_local struct parse *current;

static void append_fault(struct buffer *faults, const char *path, unsigned line, const char *format,
                         va_list ap)
{
    char text[1024];

    vsnprintf(text, sizeof(text), format, ap);
    if (line > 0) {
        buffer_printf(faults, "%s:%u: %s\n", path, line, text);
    } else {
        buffer_printf(faults, "%s: %s\n", path, text);
    }
}

/* "effect, identities": what may stand in a section. */
static void option_names(const cfg_opt_t *options, char *out, size_t out_bytes)
{
    size_t used = 0;

    out[0] = '\0';
    for (const cfg_opt_t *o = options; o != NULL && o->name != NULL; o++) {
        int n = snprintf(out + used, out_bytes - used, "%s%s", used > 0 ? ", " : "", o->name);

        if (n < 0 || (size_t)n >= out_bytes - used) {
            return;
        }
        used += (size_t)n;
    }
}

static void report(cfg_t *cfg, const char *format, va_list ap)
{
    unsigned line = cfg != NULL ? (unsigned)cfg->line : 0;

    if (current != NULL) {
        current->count++;
        append_fault(current->faults, current->path, line, format, ap);
    }
}

void settings_fault(cfg_t *cfg, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    report(cfg, format, ap);
    va_end(ap);
}

void settings_fault_at(struct buffer *faults, const char *path, unsigned line, const char *format,
                       ...)
{
    va_list ap;

    va_start(ap, format);
    append_fault(faults, path, line, format, ap);
    va_end(ap);
}

static int unreadable(struct failure *f, const char *path, int errnum)
{
    enum error_code code = errnum == ENOENT ? ERROR_NOT_FOUND : ERROR_PERMISSION_DENIED;
    int result = failure_set(f, code, "cannot read %s: %s", path, strerror(errnum));

    return failure_next(f, result, "check that the file is there and that this user may read it");
}

int settings_read_file(const char *path, size_t max_bytes, struct buffer *content,
                       struct failure *f)
{
    SCOPE_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0) {
        return unreadable(f, path, errno);
    }
    if (!S_ISREG(st.st_mode)) {
        return failure_set(f, ERROR_INVALID_ARGUMENT, "%s is not a regular file", path);
    }
    for (size_t total = 0;;) {
        char piece[4096];
        ssize_t n = read(fd, piece, sizeof(piece));

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return unreadable(f, path, errno);
        }
        if (n == 0) {
            return 0;
        }
        total += (size_t)n;
        if (total > max_bytes || !buffer_append(content, piece, (size_t)n)) {
            return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "%s has more than %zu bytes", path,
                               max_bytes);
        }
    }
}

/* As libconfuse reads it. */
static bool is_integer(const struct settings_statement *s)
{
    char text[32], *end;

    if (s->value_len == 0 || s->value_len >= sizeof(text)) {
        return false;
    }
    memcpy(text, s->value, s->value_len);
    text[s->value_len] = '\0';
    errno = 0;
    (void)strtol(text, &end, 0);
    return *end == '\0' && errno == 0;
}

/* What libconfuse would end at: options that the schema does not have, and numbers that are none. */
static bool judge(void *arg, const struct settings_statement *s, const void **inside)
{
    struct parse *parse = arg;
    const cfg_opt_t *o = s->level;
    char names[512];

    while (o->name != NULL &&
           (strlen(o->name) != s->name_len || memcmp(o->name, s->name, s->name_len) != 0)) {
        o++;
    }
    if (o->name == NULL) {
        parse->count++;
        option_names(s->level, names, sizeof(names));
        settings_fault_at(parse->faults, parse->path, s->line,
                          "no such option '%.*s'; expected one of: %s", (int)s->name_len, s->name,
                          names);
        return false;
    }
    if (o->type == CFGT_INT && s->value != NULL && !is_integer(s)) {
        parse->count++;
        settings_fault_at(
            parse->faults, parse->path, s->line,
            "invalid integer value for option '%s'; expected a whole number without quotes",
            o->name);
        return false;
    }
    *inside = o->subopts;
    return true;
}

/* Under parser_lock: libconfuse has one lexer in a process. */
static bool parse_locked(cfg_t *cfg, const char *text, struct parse *parse)
{
    static pthread_mutex_t parser_lock = PTHREAD_MUTEX_INITIALIZER;
    int result;

    (void)pthread_mutex_lock(&parser_lock);
    current = parse;
    cfg_set_error_function(cfg, report);
    result = cfg_parse_buf(cfg, text);
    current = NULL;
    (void)pthread_mutex_unlock(&parser_lock);
    return result == CFG_SUCCESS;
}

int settings_parse_text(cfg_t *cfg, const char *path, char *text, size_t len_bytes,
                        struct buffer *faults, bool *is_whole, struct failure *f)
{
    struct parse parse = { .path = path, .faults = faults };
    bool parsed;

    *is_whole = false;
    if (!settings_text_check(path, text, len_bytes, faults)) {
        return failure_set(f, ERROR_INVALID_ARGUMENT, "%s has faults", path);
    }
    settings_text_filter(text, len_bytes, cfg->opts, judge, &parse);
    parsed = parse_locked(cfg, text, &parse);
    *is_whole = parsed;
    if (!parsed && parse.count == 0) {
        settings_fault_at(faults, path, 0, "cannot be parsed");
    }
    if (!parsed || parse.count > 0) {
        return failure_set(f, ERROR_INVALID_ARGUMENT, "%s has faults", path);
    }
    return 0;
}
