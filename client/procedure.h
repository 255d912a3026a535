/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* The gateway's methods, as this library knows them; and what may be the name of one. Pure. */
#ifndef XENRES_CLIENT_PROCEDURE_H
#define XENRES_CLIENT_PROCEDURE_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

#include "client/fault.h"

enum { PROCEDURE_MAX_BYTES = 256 }; /* of a name */

struct procedure {
    const char *name;                         /* "xenres.v1.HostService/GetHost" */
    const ProtobufCMessageDescriptor *answer; /* or of each message of a stream */
    bool is_stream;
    bool is_idempotent; /* NO_SIDE_EFFECTS: may be sent again */
};

/* What is known of it; `.answer` NULL for a method that a newer gateway may have. Then it is not
 * sent again. -ERROR_INVALID_ARGUMENT for what is no method's name, or one of the other kind. */
int procedure_find(const char *name, bool is_stream, struct procedure *out, struct fault *fault);

#endif
