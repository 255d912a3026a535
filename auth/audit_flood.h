/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Records that somebody can cause as often as he likes (a stranger whose handshakes fail, a caller who
 * asks for what he may not) are thinned: of one event and one identity, or one address where nobody is
 * known, AUDIT_FLOOD_RECORDS in a period are written, and AUDIT_FLOOD_ALL of all who are known; of all
 * others AUDIT_FLOOD_STRANGERS, since there can be any number of them: what they cause takes nothing from
 * the former, and is the more a bound on what the disk has to hold. Of the
 * rest how many there were, when the period ends; until that is told it is kept. Those whose names have no
 * room are counted together. The memory is fixed. One lock of its own, the innermost; any thread.
 */
#ifndef XENRES_AUTH_AUDIT_FLOOD_H
#define XENRES_AUTH_AUDIT_FLOOD_H

#include "auth/audit_record.h"

enum {
    AUDIT_FLOOD_RECORDS = 20,
    AUDIT_FLOOD_S = 60, /* a period, as a rule */
    AUDIT_FLOOD_ALL = 2000,
    AUDIT_FLOOD_STRANGERS = 200,
    AUDIT_FLOOD_NAMES = 1024,
};

struct audit_flood;
int audit_flood_new(unsigned period_ms, struct audit_flood **out, struct failure *f);
void audit_flood_free(struct audit_flood *d); /* NULL is fine */

/* False: not this one. */
bool audit_flood_take(struct audit_flood *d, const struct audit_record *r, uint64_t now_ns);

struct audit_flood_sum {
    enum audit_event event;
    bool is_peer, is_others; /* `who` is an address; is several */
    char who[IDENTITY_TEXT_BYTES];
    uint64_t suppressed;
    size_t place; /* audit_flood.c's */
};
/* One whose period has ended, or with `all` any, and of which records were left out; false: there are no
 * more. It stays the one until it is told. One thread. */
bool audit_flood_next(struct audit_flood *d, uint64_t now_ns, bool all,
                      struct audit_flood_sum *out);
/* That one was: so many are not to be told any more. */
void audit_flood_told(struct audit_flood *d, const struct audit_flood_sum *sum);
/* The record that tells of it; it has parts of `sum` and of `who`, which it fills. */
void audit_flood_record(const struct audit_flood_sum *sum, struct identity *who,
                        struct audit_record *out);

#endif
