/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/fault.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* The public numbers are those of the table, which are those of Connect. */
#define ERROR(name, number, connect, http, exit, text)                                             \
    static_assert((int)XENRES_##name == (number), "xenres.h and errors.def differ");
#include "common/errors.def"
#undef ERROR

static_assert(sizeof(((xenres_error *)0)->call) == FAILURE_CALL_MAX, "a call's name fits");
static_assert(sizeof(((xenres_error *)0)->message) == FAILURE_TEXT_MAX, "a text fits");
static_assert(sizeof(((xenres_error *)0)->field) == FAILURE_FIELD_MAX, "a field's path fits");

int fault_export(int result, const struct fault *fault, xenres_error *error)
{
    if (result >= 0 || error == NULL) {
        return result;
    }
    struct failure f = fault->failure;

    failure_sanitize(&f);
    memset(error, 0, sizeof(*error));
    error->code = (uint32_t)f.code;
    error->http_status = fault->http_status;
    memcpy(error->call, f.call, sizeof(error->call));
    memcpy(error->message, f.message, sizeof(error->message));
    memcpy(error->cause, f.cause, sizeof(error->cause));
    memcpy(error->next_step, f.next_step, sizeof(error->next_step));
    memcpy(error->field, f.field, sizeof(error->field));
    error->retry_after_ms = f.retry_after_ms;
    error->tries = fault->tries;
    const char *errno_name =
        fault->errno_name[0] != '\0' ? fault->errno_name : error_errno_name(f.xen_errno);

    (void)snprintf(error->errno_name, sizeof(error->errno_name), "%s", errno_name);
    return result;
}

int fault_copy_sized(void *out, const void *in, size_t size_bytes, const char *what,
                     struct fault *fault)
{
    size_t given_bytes;

    if (in == NULL) {
        return failure_set(&fault->failure, ERROR_INVALID_ARGUMENT, "no %s given", what);
    }
    memcpy(&given_bytes, in, sizeof(given_bytes));
    if (given_bytes < size_bytes || given_bytes > 65536) {
        return failure_next(&fault->failure,
                            failure_set(&fault->failure, ERROR_INVALID_ARGUMENT,
                                        "the size of %s is %zu, not %zu", what, given_bytes,
                                        size_bytes),
                            "set `size` with the macro that ends in _INIT");
    }
    const uint8_t *bytes = in;

    for (size_t i = size_bytes; i < given_bytes; i++) {
        if (bytes[i] != 0) {
            return failure_set(&fault->failure, ERROR_INVALID_ARGUMENT,
                               "%s asks for what libxenres %s does not have", what, XENRES_VERSION);
        }
    }
    memcpy(out, in, size_bytes);
    return 0;
}

const char *xenres_code_name(uint32_t code)
{
    return error_connect_code(code <= INT32_MAX ? (int)code : 0);
}

const char *xenres_version(void)
{
    return XENRES_VERSION;
}

unsigned xenres_version_number(void)
{
    return XENRES_VERSION_NUMBER;
}
