/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The method table: everything that can be asked for, once. What is common to all methods is
 * decided by the row, in dispatch; nothing is reachable that has no row. Immutable, any thread.
 */
#ifndef XENRES_RPC_METHOD_H
#define XENRES_RPC_METHOD_H

#include "server/rpc/call.h"

enum method_kind {
    METHOD_CONNECT, /* a Connect unary method: POST, messages */
    METHOD_RAW,     /* plain HTTP: GET and HEAD, bytes */
};

/* What a call costs the host. */
enum method_cost {
    METHOD_COST_LIST, /* hypercalls that read lists and sizes */
    METHOD_COST_COPY, /* maps, copies, and holds a slot of the arena */
};

struct method {
    const char *path; /* of RAW: a pattern, see uri_matches() */
    enum method_kind kind;
    const ProtobufCMessageDescriptor *request, *response; /* of CONNECT */
    bool no_side_effects;                                 /* as the .proto says */
    enum action action;                                   /* that the policy has to allow */
    enum method_cost cost;
    const struct handler *handler;
};

/* NULL: there is none, and `f` says why (NOT_FOUND, or INVALID_ARGUMENT for a malformed target).
 * `uri`, zeroed by the caller, is filled for RAW methods; uri_done() is the caller's. */
const struct method *method_find(const char *target, struct uri *uri, struct failure *f);

/* "POST", "GET, HEAD": for the Allow header. */
const char *method_allow(const struct method *m);
bool method_allows(const struct method *m, const char *http_method);

/* The table, for tests and documentation. */
const struct method *method_table(size_t *count);

#endif
