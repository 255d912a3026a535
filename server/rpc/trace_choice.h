/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Which trace of a domain is meant: the one that is named, else the running one, else the last that the
 * mapper holds yet. Only those of the domain's incarnation and name. Pure, any thread.
 */
#ifndef XENRES_RPC_TRACE_CHOICE_H
#define XENRES_RPC_TRACE_CHOICE_H

#include "server/rpc/call.h"

struct trace_choice {
    bool has_id;
    uint8_t id[16];
};

/* What a call about the traces of one domain says in prepare(). */
void trace_choice_of_domain(struct call *c, const char *domain, const char *incarnation);
/* "": any. -ERROR_INVALID_ARGUMENT: not 32 hexadecimal digits. */
int trace_choice_read(struct trace_choice *choice, const char *text, struct failure *f);
/* Asks the mapper for the traces of c->identity. */
void trace_choice_ask(const struct call *c, union message *m);
/* Among its answer. -ERROR_ABORTED: there is none of that id; else, where there is none at all, `if_none`. */
int trace_choice_find(const struct call *c, const struct trace_choice *choice,
                      const struct message_traces_answer *a, enum error_code if_none,
                      const struct message_trace **out, struct failure *f);

#endif
