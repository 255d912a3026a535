/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/audit_record.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/text.h"

/* The most that each text may have, escaped. */
enum {
    IDENTITY_MAX = 2048,
    TOKEN_MAX = 256,
    PEER_MAX = 64,
    DOMAIN_MAX = 256,
    RULE_MAX = 256,
    WORD_MAX = 64,
    DETAIL_MAX = 256,
    PIECE_MAX = 8,  /* one character, escaped */
    CUT_BYTES = 11, /* `,"cut":true` */
    /* Names, quotes, numbers and the four words: counted generously by hand, held by a test. */
    FRAME_MAX = 780,
};
_Static_assert(IDENTITY_MAX + TOKEN_MAX + PEER_MAX + DOMAIN_MAX + RULE_MAX + DETAIL_MAX +
                       FRAME_MAX <=
                   AUDIT_BODY_MAX_BYTES,
               "every field has its room");

static const struct {
    const char *name;
    bool floods;
} events[] = {
#define AUDIT_EVENT(id, name_, floods_) [AUDIT_##id] = { (name_), (floods_) },
#include "auth/audit_events.def"
#undef AUDIT_EVENT
};

const char *audit_event_name(enum audit_event e)
{
    return events[e].name;
}

bool audit_event_floods(enum audit_event e)
{
    return events[e].floods;
}

/* --- one field after the other -------------------------------------------------------------------- */

static bool has_room(struct audit_writer *w, size_t len)
{
    if (w->room - w->len < len + CUT_BYTES) {
        w->cut = true;
        return false;
    }
    return true;
}

static void put(struct audit_writer *w, const char *bytes, size_t len)
{
    if (has_room(w, len)) {
        memcpy(w->out + w->len, bytes, len);
        w->len += len;
    }
}

static void put_string(struct audit_writer *w, const char *text)
{
    put(w, text, strlen(text));
}

/* `,"NAME":` */
static void put_name(struct audit_writer *w, const char *name)
{
    size_t len = strlen(name);

    if (has_room(w, len + 4)) {
        char *at = w->out + w->len;

        memcpy(at, ",\"", 2);
        memcpy(at + 2, name, len);
        memcpy(at + 2 + len, "\":", 2);
        w->len += len + 4;
    }
}

/* How `text` begins, as it stands in a string of JSON; *taken: bytes of it. Harmless characters are
 * themselves; each byte of others is \xNN (and a backslash two), as in the log, which JSON then escapes. */
static size_t escape_piece(const char *text, size_t len, char out[PIECE_MAX], size_t *taken)
{
    size_t harmless = text_harmless_length(text, len, TEXT_UTF8);

    *taken = 1;
    if (*text == '\\') {
        memcpy(out, "\\\\\\\\", 4);
        return 4;
    }
    if (*text == '"') {
        memcpy(out, "\\\"", 2);
        return 2;
    }
    if (harmless > 0) {
        *taken = harmless;
        memcpy(out, text, harmless);
        return harmless;
    }
    return (size_t)snprintf(out, PIECE_MAX, "\\\\x%02x", (unsigned)(unsigned char)*text);
}

/* How many characters at the start are ASCII that stands for itself: most texts are nothing else. */
static size_t plain_length(const char *text, size_t len)
{
    size_t plain = 0;

    while (plain < len && text[plain] >= ' ' && text[plain] <= '~' && text[plain] != '"' &&
           text[plain] != '\\') {
        plain++;
    }
    return plain;
}

/* Of the plain ones as many as there is room for, behind which a quote fits. */
static size_t put_plain(struct audit_writer *w, const char *text, size_t len)
{
    size_t kept = w->len + 1 + CUT_BYTES;
    size_t room = w->room > kept ? w->room - kept : 0;
    size_t taken = len < room ? len : room;

    put(w, text, taken);
    return taken;
}

void audit_writer_text(struct audit_writer *w, const char *name, const char *text, size_t max_bytes)
{
    size_t len = strlen(text), used = 0;

    put_name(w, name);
    put(w, "\"", 1);
    while (len > 0) {
        char piece[PIECE_MAX];
        size_t left = max_bytes - used;
        size_t plain = put_plain(w, text, plain_length(text, len < left ? len : left));

        text += plain;
        len -= plain;
        used += plain;
        if (len == 0) {
            break;
        }
        size_t taken, piece_len = escape_piece(text, len, piece, &taken);

        if (used + piece_len > max_bytes || !has_room(w, piece_len + 1)) {
            w->cut = true;
            break;
        }
        put(w, piece, piece_len);
        used += piece_len;
        text += taken;
        len -= taken;
    }
    put(w, "\"", 1);
}

/* In decimal, without printf(): most of a record is numbers. */
void audit_writer_number(struct audit_writer *w, const char *name, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;

    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    put_name(w, name);
    put(w, digits + at, sizeof digits - at);
}

static void put_word(struct audit_writer *w, const char *name, const char *word)
{
    size_t len = strlen(word);

    put_name(w, name);
    if (has_room(w, len + 2)) {
        char *at = w->out + w->len;

        at[0] = at[len + 1] = '"';
        memcpy(at + 1, word, len);
        w->len += len + 2;
    }
}

void audit_writer_hex(struct audit_writer *w, const char *name, const uint8_t *bytes, size_t len)
{
    char text[2 * 64 + 1];

    assert(len <= 64);
    text_from_hex(bytes, len, text);
    put_word(w, name, text);
}

/* Of the two digits that a calendar's numbers have. */
static void put_two(char *out, int value)
{
    out[0] = (char)('0' + value / 10 % 10);
    out[1] = (char)('0' + value % 10);
}

void audit_time_text(uint64_t wall_ns, char out[AUDIT_TIME_BYTES])
{
    time_t seconds = (time_t)(wall_ns / CLOCK_NS_PER_S);
    unsigned micros = (unsigned)(wall_ns % CLOCK_NS_PER_S / 1000);
    struct tm tm = { 0 };

    memcpy(out, "0000-00-00T00:00:00.000000Z", AUDIT_TIME_BYTES);
    (void)gmtime_r(&seconds, &tm);
    put_two(out, (tm.tm_year + 1900) / 100);
    put_two(out + 2, (tm.tm_year + 1900) % 100);
    put_two(out + 5, tm.tm_mon + 1);
    put_two(out + 8, tm.tm_mday);
    put_two(out + 11, tm.tm_hour);
    put_two(out + 14, tm.tm_min);
    put_two(out + 17, tm.tm_sec);
    for (int i = 25; i >= 20; i--, micros /= 10) {
        out[i] = (char)('0' + micros % 10);
    }
}

void audit_writer_begin(struct audit_writer *w, char *out, size_t room, enum audit_event event,
                        uint64_t wall_ns)
{
    char time[AUDIT_TIME_BYTES];

    *w = (struct audit_writer){ .out = out, .room = room };
    audit_time_text(wall_ns, time);
    put_string(w, "\"time\":\"");
    put_string(w, time);
    put_string(w, "\",\"event\":\"");
    put_string(w, audit_event_name(event));
    put_string(w, "\"");
}

/* --- a decision ------------------------------------------------------------------------------------ */

static void put_optional(struct audit_writer *w, const char *name, const char *text, size_t max)
{
    if (text != NULL && text[0] != '\0') {
        audit_writer_text(w, name, text, max);
    }
}

static void put_domain(struct audit_writer *w, const struct domain_identity *d)
{
    char uuid[UUID_TEXT_BYTES];

    text_from_uuid(d->uuid, uuid);
    audit_writer_number(w, "domid", d->domid);
    put_word(w, "uuid", uuid);
    put_optional(w, "domain", d->name, DOMAIN_MAX);
    audit_writer_hex(w, "incarnation", d->incarnation, sizeof(d->incarnation));
}

size_t audit_record_format(const struct audit_record *r, uint64_t wall_ns,
                           char body[AUDIT_BODY_MAX_BYTES])
{
    struct audit_writer w;

    audit_writer_begin(&w, body, AUDIT_BODY_MAX_BYTES, r->event, wall_ns);
    put_word(&w, "outcome", r->outcome == 0 ? "ok" : error_connect_code(r->outcome));
    if (r->who != NULL) {
        put_optional(&w, "identity", r->who->text, IDENTITY_MAX);
        put_optional(&w, "token", r->who->token_id, TOKEN_MAX);
    }
    put_optional(&w, "peer", r->peer, PEER_MAX);
    if (r->domain != NULL) {
        put_domain(&w, r->domain);
    } else {
        put_optional(&w, "named", r->named, DOMAIN_MAX);
    }
    put_optional(&w, "type", r->type, WORD_MAX);
    if (r->has_id) {
        audit_writer_number(&w, "id", r->id);
    }
    put_optional(&w, "action", r->action, WORD_MAX);
    put_optional(&w, "rule", r->rule, RULE_MAX);
    if (r->line > 0) {
        audit_writer_number(&w, "line", r->line);
    }
    put_optional(&w, "reason", r->reason, WORD_MAX);
    if (r->has_counts) {
        audit_writer_number(&w, "messages", r->messages);
        audit_writer_number(&w, "bytes", r->bytes);
        audit_writer_number(&w, "lost", r->lost);
    }
    if (r->suppressed > 0) {
        audit_writer_number(&w, "suppressed", r->suppressed);
    }
    put_optional(&w, "detail", r->detail, DETAIL_MAX);
    if (w.cut) {
        memcpy(w.out + w.len, ",\"cut\":true", CUT_BYTES); /* has_room() keeps its place */
        w.len += CUT_BYTES;
    }
    return w.len;
}
