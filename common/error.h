/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The one error table (errors.def), and the caller-owned value that carries a failure's detail.
 *
 * Functions that can fail return 0 or the negative of an `enum error_code`, and take a
 * `struct failure *` last, which may be NULL. Outputs change only on success. Whoever decides what
 * happens next logs the failure; nobody else does. Pure, any thread.
 */
#ifndef XENRES_COMMON_ERROR_H
#define XENRES_COMMON_ERROR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

enum error_code {
    ERROR_OK = 0,
#define ERROR(name, number, connect, http, exit, text) ERROR_##name = (number),
#include "common/errors.def"
#undef ERROR
};

enum {
    FAILURE_CALL_MAX = 48,
    FAILURE_TEXT_MAX = 256,
    FAILURE_FIELD_MAX = 60,
    FAILURE_RETRY_SOON_MS = 100,   /* as long as what others hold for a moment is held, as a rule */
    FAILURE_RETRY_LATER_MS = 1000, /* what is short is held by others as long as they like */
};

/* What failed, why, and what to do. Fixed in size: it travels in messages and lives on stacks.
 * Strings end with NUL and are UTF-8 without control characters: whatever a format's argument
 * brings (a guest's name) is cut between characters, and other bytes become '?'. */
struct failure {
    int32_t code;                     /* enum error_code; ERROR_OK: nothing failed */
    int32_t xen_errno;                /* errno as Xen or the kernel gave it, 0 if none did */
    char call[FAILURE_CALL_MAX];      /* the call that failed, "" if the gateway refused */
    char message[FAILURE_TEXT_MAX];   /* what could not be done, with names and numbers */
    char cause[FAILURE_TEXT_MAX];     /* the likely cause */
    char next_step[FAILURE_TEXT_MAX]; /* what to do now */
    char field[FAILURE_FIELD_MAX];    /* the request's field that is at fault, "" if none is */
    uint32_t retry_after_ms;          /* trying again helps after so long; 0: nobody knows */
};

/* Row of the table, or the row of UNKNOWN for a number that is in none. */
const char *error_name(int code);         /* "NOT_FOUND" */
const char *error_connect_code(int code); /* "not_found" */
int error_http_status(int code);
int error_exit_status(int code);
const char *error_text(int code);

/* Code for an exit status; ERROR_UNKNOWN where it is in no row. */
int error_from_exit_status(int status);
/* Code for a Connect code's name; ERROR_UNKNOWN where it is in no row. */
int error_from_connect_code(const char *name);

/* "EINVAL" for EINVAL; "" for 0; "E?" for what libc has no name for. */
const char *error_errno_name(int errnum);

/* Fills `f` (may be NULL) and returns -code, so that `return failure_set(…)` reads well. Texts are
 * printf formats; NULL leaves one empty. */
int failure_set(struct failure *f, enum error_code code, const char *message, ...)
    __attribute__((format(printf, 3, 4)));
/* Adds to a failure that failure_set() has filled. Return the same -code. */
int failure_cause(struct failure *f, int result, const char *cause, ...)
    __attribute__((format(printf, 3, 4)));
int failure_next(struct failure *f, int result, const char *next_step, ...)
    __attribute__((format(printf, 3, 4)));
int failure_call(struct failure *f, int result, const char *call, int errnum);
/* When to try again, where what is short now will not be by then. */
int failure_retry(struct failure *f, int result, uint32_t after_ms);
/* The path to the field, "filter.states[3]". */
int failure_field(struct failure *f, int result, const char *field, ...)
    __attribute__((format(printf, 3, 4)));

/* Makes a failure from outside safe to use: strings as above, code known (else UNKNOWN). */
void failure_sanitize(struct failure *f);

#endif
