/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* The table's rows by number, and the texts of a failure: always ended, always UTF-8 without
 * control characters, because they go into logs, terminals, JSON and protobuf strings. */
#include "common/error.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "common/text.h"

struct error_row {
    const char *name;
    const char *connect_code;
    const char *text;
    int http_status;
    int exit_status;
};

static const struct error_row rows[] = {
#define ERROR(row_name, number, connect, http, exit, row_text)                                     \
    [number] = { .name = #row_name,                                                                \
                 .connect_code = (connect),                                                        \
                 .text = (row_text),                                                               \
                 .http_status = (http),                                                            \
                 .exit_status = (exit) },
#include "common/errors.def"
#undef ERROR
};

enum { ROW_COUNT = sizeof(rows) / sizeof(rows[0]) };

static bool is_known(int code)
{
    return code > 0 && code < ROW_COUNT && rows[code].name != NULL;
}

static const struct error_row *row_of(int code)
{
    return is_known(code) ? &rows[code] : &rows[ERROR_UNKNOWN];
}

const char *error_name(int code)
{
    return row_of(code)->name;
}

const char *error_connect_code(int code)
{
    return row_of(code)->connect_code;
}

int error_http_status(int code)
{
    return row_of(code)->http_status;
}

int error_exit_status(int code)
{
    return row_of(code)->exit_status;
}

const char *error_text(int code)
{
    return row_of(code)->text;
}

int error_from_exit_status(int status)
{
    for (int code = 1; code < ROW_COUNT; code++) {
        if (is_known(code) && rows[code].exit_status == status) {
            return code;
        }
    }
    return ERROR_UNKNOWN;
}

int error_from_connect_code(const char *name)
{
    for (int code = 1; code < ROW_COUNT; code++) {
        if (is_known(code) && strcmp(rows[code].connect_code, name) == 0) {
            return code;
        }
    }
    return ERROR_UNKNOWN;
}

const char *error_errno_name(int errnum)
{
    if (errnum == 0) {
        return "";
    }
    const char *name = strerrorname_np(errnum);

    return name != NULL ? name : "E?";
}

/* Ends `text` within `size_bytes` and between characters; what is not harmless becomes '?'. */
static void make_harmless(char *text, size_t size_bytes)
{
    text[size_bytes - 1] = '\0';
    size_t len = text_cut(text, strlen(text));

    text[len] = '\0';
    for (size_t i = 0; i < len;) {
        size_t taken = text_harmless_length(text + i, len - i, TEXT_UTF8);

        if (taken == 0) {
            text[i] = '?';
            taken = 1;
        }
        i += taken;
    }
}

static void set_text(char *text, size_t size_bytes, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));

static void set_text(char *text, size_t size_bytes, const char *format, va_list args)
{
    memset(text, 0, size_bytes); /* a failure travels whole: no old bytes behind the NUL */
    if (format == NULL) {
        return;
    }
    if (vsnprintf(text, size_bytes, format, args) < 0) {
        text[0] = '\0';
    }
    make_harmless(text, size_bytes);
}

int failure_set(struct failure *f, enum error_code code, const char *message, ...)
{
    assert(is_known((int)code));
    if (f != NULL) {
        va_list args;

        /* The arguments may point into the failure that is replaced. */
        struct failure fresh = { .code = (int32_t)code };
        va_start(args, message);
        set_text(fresh.message, sizeof(fresh.message), message, args);
        va_end(args);
        *f = fresh;
    }
    return -(int)code;
}

int failure_cause(struct failure *f, int result, const char *cause, ...)
{
    if (f != NULL) {
        va_list args;

        va_start(args, cause);
        set_text(f->cause, sizeof(f->cause), cause, args);
        va_end(args);
    }
    return result;
}

int failure_next(struct failure *f, int result, const char *next_step, ...)
{
    if (f != NULL) {
        va_list args;

        va_start(args, next_step);
        set_text(f->next_step, sizeof(f->next_step), next_step, args);
        va_end(args);
    }
    return result;
}

int failure_call(struct failure *f, int result, const char *call, int errnum)
{
    if (f != NULL) {
        memset(f->call, 0, sizeof(f->call));
        if (call != NULL) {
            (void)snprintf(f->call, sizeof(f->call), "%s", call);
            make_harmless(f->call, sizeof(f->call));
        }
        f->xen_errno = errnum;
    }
    return result;
}

int failure_field(struct failure *f, int result, const char *field, ...)
{
    if (f != NULL) {
        va_list args;

        va_start(args, field);
        set_text(f->field, sizeof(f->field), field, args);
        va_end(args);
    }
    return result;
}

int failure_retry(struct failure *f, int result, uint32_t after_ms)
{
    if (f != NULL) {
        f->retry_after_ms = after_ms;
    }
    return result;
}

void failure_sanitize(struct failure *f)
{
    if (!is_known(f->code)) {
        f->code = ERROR_UNKNOWN;
    }
    if (f->xen_errno < 0) {
        f->xen_errno = 0;
    }
    make_harmless(f->call, sizeof(f->call));
    make_harmless(f->message, sizeof(f->message));
    make_harmless(f->cause, sizeof(f->cause));
    make_harmless(f->next_step, sizeof(f->next_step));
    make_harmless(f->field, sizeof(f->field));
}
