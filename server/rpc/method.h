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
    METHOD_UNARY, /* of Connect: a message, a message; POST, and GET where it has no side effects */
    METHOD_STREAM, /* of Connect: a message, then any number of them; POST */
    METHOD_RAW,    /* plain HTTP: GET and HEAD, bytes */
};

/* What a call costs beside its place among the caller's calls. */
enum method_cost {
    METHOD_COST_LIST,  /* at most hypercalls that read lists and sizes, which the mapper bounds */
    METHOD_COST_COPY,  /* holds a slot of the arena: of the caller's share, which has to have room
                         before anything is copied */
    METHOD_COST_WATCH, /* a call until it begins; then a subscriber, whose number is limited where
                          they subscribe */
};

struct method {
    const char *path; /* of RAW: a pattern, see uri_matches() */
    enum method_kind kind;
    const ProtobufCMessageDescriptor *request, *response; /* of UNARY and STREAM */
    bool no_side_effects;                                 /* as the .proto says */
    bool open;                                            /* to whoever is known, of no policy */
    enum action action;                                   /* that the policy has to allow, else */
    enum method_cost cost;
    const struct handler *handler;
};

struct method_table {
    const struct method *methods;
    size_t count;
    const struct json_types *types; /* that may stand in a google.protobuf.Any; NULL: none */
    bool plain_errors;              /* without the details that describe a failure */
};
/* Of the API itself: services.c. */
extern const struct method_table services_table;

/* NULL: there is none, and `f` says why (NOT_FOUND, or INVALID_ARGUMENT for a malformed target).
 * `uri`, zeroed by the caller, is filled for RAW methods; uri_done() is the caller's. */
const struct method *method_find(const struct method_table *t, const char *target, struct uri *uri,
                                 struct failure *f);

/* "POST", "GET, HEAD": for the Allow header. */
const char *method_allow(const struct method *m);
bool method_allows(const struct method *m, const char *http_method);

#endif
