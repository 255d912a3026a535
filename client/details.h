/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The details of an error: all of them as they came, for the caller, and what the library itself
 * understands, into the fault: xenres.v1.XenFailure, google.rpc.RetryInfo, google.rpc.BadRequest.
 * A detail that makes no sense is left out, and never the reason for another failure. Bounded.
 */
#ifndef XENRES_CLIENT_DETAILS_H
#define XENRES_CLIENT_DETAILS_H

#include <jansson.h>

#include "client/fault.h"

enum {
    DETAILS_MAX = 16,
    DETAIL_MAX_BYTES = 16 * 1024,
    DETAIL_TYPE_MAX_BYTES = 128,
};

struct details {
    size_t count;
    xenres_detail items[DETAILS_MAX]; /* `type_name` begins the allocation that has the bytes too */
};

void details_clear(struct details *d);
/* Reads Connect's array (any JSON, NULL too), into `d` where that is not NULL, and into the fault,
 * whose failure is set. */
void details_read(struct details *d, const json_t *array, struct fault *fault);

#endif
