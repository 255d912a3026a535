/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * One record of the audit: what is said of a decision, and its line of JSON. Everything in it that
 * somebody else chose (names of guests, identities, tokens' ids) is escaped and cut, so that it can
 * neither be another field nor another line, and a line never has more than AUDIT_LINE_MAX_BYTES.
 * What is cut says so ("cut": true). Pure, any thread.
 */
#ifndef XENRES_AUTH_AUDIT_RECORD_H
#define XENRES_AUTH_AUDIT_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/identity.h"
#include "common/message.h"

enum audit_event {
#define AUDIT_EVENT(id, name, floods) AUDIT_##id,
#include "auth/audit_events.def"
#undef AUDIT_EVENT
    AUDIT_EVENT_COUNT
};
const char *audit_event_name(enum audit_event e);
/* Whether who is refused can cause it as often as he likes: such records are thinned (audit_flood.h). */
bool audit_event_floods(enum audit_event e);

enum {
    AUDIT_LINE_MAX_BYTES = 4096, /* the whole line, its end included */
    AUDIT_TAIL_BYTES = 43,       /* `,"mac":"…"}` and a newline, which end each line */
    AUDIT_SEQUENCE_BYTES = 28,   /* `{"seq":18446744073709551615,` */
    AUDIT_BODY_MAX_BYTES = AUDIT_LINE_MAX_BYTES - AUDIT_TAIL_BYTES - AUDIT_SEQUENCE_BYTES,
};

/* Borrowed for the call. What is NULL, 0 or not set is left out. */
struct audit_record {
    enum audit_event event;
    const struct identity *who;           /* its text, and the id of its token */
    const char *peer;                     /* "192.0.2.1:50000" */
    const struct domain_identity *domain; /* as resolved and decided on */
    const char *named;                    /* how the caller named it, where it was not resolved */
    const char *type;                     /* resource_type_name()'s */
    bool has_id;
    uint32_t id;
    const char *action;         /* of the policy, or what else was done */
    const char *rule;           /* the rule that decided */
    unsigned line;              /* … where it stands in its file; 0: nowhere */
    int outcome;                /* enum error_code; 0: ok */
    const char *reason;         /* why a stream ended, a connection was refused: a word of ours */
    bool has_bytes, has_counts; /* the bytes alone; all three */
    uint64_t messages, bytes, lost;
    uint64_t suppressed; /* records like this one that were not written before it */
    const char *detail;  /* a sentence, as the log has it */
};
/* The line without its sequence and its MAC: `"time":…` to before the comma of `,"mac":`. Returns its
 * length, at most AUDIT_BODY_MAX_BYTES; no NUL behind it. */
size_t audit_record_format(const struct audit_record *r, uint64_t wall_ns,
                           char body[AUDIT_BODY_MAX_BYTES]);

/* For records that the audit makes of itself: the same, a field at a time. */
struct audit_writer {
    char *out;
    size_t len, room; /* of `out`; what does not fit is left out, and `cut` says so */
    bool cut;
};
void audit_writer_begin(struct audit_writer *w, char *out, size_t room, enum audit_event event,
                        uint64_t wall_ns);
/* At most `max_bytes` of the escaped text. */
void audit_writer_text(struct audit_writer *w, const char *name, const char *text,
                       size_t max_bytes);
void audit_writer_number(struct audit_writer *w, const char *name, uint64_t value);
void audit_writer_hex(struct audit_writer *w, const char *name, const uint8_t *bytes, size_t len);
/* "2026-01-31T23:59:59.123456Z" */
enum { AUDIT_TIME_BYTES = 28 };
void audit_time_text(uint64_t wall_ns, char out[AUDIT_TIME_BYTES]);

#endif
