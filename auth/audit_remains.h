/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What is in the audit's file behind the place that its state knows, after a process that was killed:
 * whole lines that are the next ones of the chain, then perhaps a line that was not finished, or bytes
 * that are not of this audit. Reads only, and remembers nothing: asked again, it says the same. One
 * thread's crypto.
 */
#ifndef XENRES_AUTH_AUDIT_REMAINS_H
#define XENRES_AUTH_AUDIT_REMAINS_H

#include "auth/audit_chain.h"

struct audit_remains {
    struct audit_link link; /* behind the last record of ours; a key is in it */
    uint64_t end_bytes;     /* where that record ends in the file */
    uint64_t records;       /* of ours, that were found */
    uint64_t torn_bytes;    /* behind them: one line that was not finished, or foreign */
    bool is_foreign;
};

/* Of the bytes `from` to `end` of the file, where `link` comes next. 0, or -1 with errno. */
int audit_remains_read(struct audit_crypto *c, const struct audit_link *link, int fd, uint64_t from,
                       uint64_t end, struct audit_remains *out);

#endif
