/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Which trace of a domain is meant: the one that is named, else the running one, else the last that the
 * mapper holds yet. Only those of the domain's incarnation and name.
 *
 * Where no domain answers to the name, it is that of a domain which did when it was traced: among all traces,
 * page by page, those whose recorded identity the name means and on which the policy lets the caller do
 * this. So a name is never about another domain than before, and what is hidden is as what is not there: a
 * domain of now that he may see always comes first; and where the life that was traced goes on, renamed, the
 * policy's word on who that is now counts as well. Any thread.
 */
#ifndef XENRES_RPC_TRACE_CHOICE_H
#define XENRES_RPC_TRACE_CHOICE_H

#include "server/rpc/call.h"

struct trace_choice {
    bool has_id;
    uint8_t id[16];

    /* Of a domain that is no more: how far it was looked for, and what was found. */
    uint32_t next_domid;
    bool is_found, is_ambiguous;
    struct message_trace found; /* of those of one domain the last */
};

/* Does the policy let the caller do this to it: on who its domain was, and on who that is, where it lives? */
bool trace_choice_allows(struct call *c, const struct message_trace *t, enum action action);
/* What a call about the traces of one domain says in prepare(). */
void trace_choice_of_domain(struct call *c, const char *domain, const char *incarnation);
/* "": any. -ERROR_INVALID_ARGUMENT: not 32 hexadecimal digits. */
int trace_choice_read(struct trace_choice *choice, const char *text, struct failure *f);
/* Asks the mapper for the traces of c->identity, or, where that is absent, for the next page of all. */
void trace_choice_ask(const struct call *c, const struct trace_choice *choice, union message *m);
/*
 * Takes its answer: HANDLER_DONE with *out, which lasts as long as both; HANDLER_ASK_AGAIN; or a failure.
 * -ERROR_ABORTED: there is none of that id; else, where there is none at all, `if_none`. Of an absent domain:
 * it sets c->identity, or says -ERROR_NOT_FOUND as of any domain that is not there, or
 * -ERROR_FAILED_PRECONDITION where several domains had that name.
 */
int trace_choice_take(struct call *c, struct trace_choice *choice,
                      const struct message_traces_answer *a, enum error_code if_none,
                      const struct message_trace **out, struct failure *f);

#endif
