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
    DOMAIN_TEXT_MAX = 512, /* all that is said of one */
};
_Static_assert(DOMAIN_MAX + 128 + UUID_TEXT_BYTES + HEX128_TEXT_BYTES + CUT_BYTES <=
                   DOMAIN_TEXT_MAX,
               "it has its room");
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

/* `,"NAME":` of a name whose length the compiler knows. */
#define PUT_NAME(w, name) put((w), ",\"" name "\":", sizeof(",\"" name "\":") - 1)

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

static bool is_plain(char c)
{
    return c >= ' ' && c <= '~' && c != '"' && c != '\\';
}

#define EACH(byte) ((uint64_t)(byte)*UINT64_C(0x0101010101010101))

/* The highest bit of the first byte that is 0, and perhaps of some behind it; 0: none is. */
static uint64_t zeros(uint64_t bytes)
{
    return (bytes - EACH(1)) & ~bytes & EACH(0x80);
}

static bool are_plain(const char eight[8])
{
    uint64_t bytes;

    memcpy(&bytes, eight, sizeof bytes);
    return ((bytes & EACH(0x80)) | zeros(bytes & EACH(0xe0)) | zeros(bytes ^ EACH(0x7f)) |
            zeros(bytes ^ EACH('"')) | zeros(bytes ^ EACH('\\'))) == 0;
}

/* How many characters at the start are ASCII that stands for itself: most texts are nothing else. */
static size_t plain_length(const char *text, size_t len)
{
    size_t plain = 0;

    while (len - plain >= 8 && are_plain(text + plain)) {
        plain += 8;
    }
    while (plain < len && is_plain(text[plain])) {
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

/* At most `max_bytes` of the escaped text. */
static void put_text(struct audit_writer *w, const char *text, size_t max_bytes)
{
    size_t len = strlen(text), used = 0;

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
static void put_number(struct audit_writer *w, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;

    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    put(w, digits + at, sizeof digits - at);
}

/* A word of ours. */
static void put_word(struct audit_writer *w, const char *word)
{
    size_t len = strlen(word);

    if (has_room(w, len + 2)) {
        char *at = w->out + w->len;

        at[0] = at[len + 1] = '"';
        memcpy(at + 1, word, len);
        w->len += len + 2;
    }
}

static void put_hex(struct audit_writer *w, const uint8_t *bytes, size_t len)
{
    char text[2 * 64 + 1];

    assert(len <= 64);
    text_from_hex(bytes, len, text);
    put_word(w, text);
}

void audit_writer_text(struct audit_writer *w, const char *name, const char *text, size_t max_bytes)
{
    put_name(w, name);
    put_text(w, text, max_bytes);
}

void audit_writer_number(struct audit_writer *w, const char *name, uint64_t value)
{
    put_name(w, name);
    put_number(w, value);
}

void audit_writer_hex(struct audit_writer *w, const char *name, const uint8_t *bytes, size_t len)
{
    put_name(w, name);
    put_hex(w, bytes, len);
}

/* Of the two digits that a calendar's numbers have. */
static void put_two(char *out, int value)
{
    out[0] = (char)('0' + value / 10 % 10);
    out[1] = (char)('0' + value % 10);
}

/* A second has many records: its text is that of the one before, as a rule. */
static const char *second_text(time_t seconds)
{
    static _Thread_local char text[AUDIT_TIME_BYTES];
    static _Thread_local time_t is_of;
    struct tm tm = { 0 };

    if (text[0] != '\0' && is_of == seconds) {
        return text;
    }
    memcpy(text, "0000-00-00T00:00:00.000000Z", AUDIT_TIME_BYTES);
    (void)gmtime_r(&seconds, &tm);
    put_two(text, (tm.tm_year + 1900) / 100);
    put_two(text + 2, (tm.tm_year + 1900) % 100);
    put_two(text + 5, tm.tm_mon + 1);
    put_two(text + 8, tm.tm_mday);
    put_two(text + 11, tm.tm_hour);
    put_two(text + 14, tm.tm_min);
    put_two(text + 17, tm.tm_sec);
    is_of = seconds;
    return text;
}

void audit_time_text(uint64_t wall_ns, char out[AUDIT_TIME_BYTES])
{
    unsigned micros = (unsigned)(wall_ns % CLOCK_NS_PER_S / 1000);

    memcpy(out, second_text((time_t)(wall_ns / CLOCK_NS_PER_S)), AUDIT_TIME_BYTES);
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
    put(w, "\"time\":", sizeof "\"time\":" - 1);
    put_word(w, time);
    PUT_NAME(w, "event");
    put_word(w, audit_event_name(event));
}

/* --- a decision ------------------------------------------------------------------------------------ */

static bool is_set(const char *text)
{
    return text != NULL && text[0] != '\0';
}

#define PUT_TEXT_IF_SET(w, name, text, max)                                                        \
    do {                                                                                           \
        if (is_set(text)) {                                                                        \
            PUT_NAME(w, name);                                                                     \
            put_text((w), (text), (max));                                                          \
        }                                                                                          \
    } while (0)

static void render_domain(struct audit_writer *w, const struct domain_identity *d)
{
    char uuid[UUID_TEXT_BYTES];

    text_from_uuid(d->uuid, uuid);
    PUT_NAME(w, "domid");
    put_number(w, d->domid);
    PUT_NAME(w, "uuid");
    put_word(w, uuid);
    PUT_TEXT_IF_SET(w, "domain", d->name, DOMAIN_MAX);
    PUT_NAME(w, "incarnation");
    put_hex(w, d->incarnation, sizeof(d->incarnation));
}

/* As with the time: it is the same one as in the record before, as a rule. */
static void put_domain(struct audit_writer *w, const struct domain_identity *d)
{
    static _Thread_local struct {
        struct domain_identity is_of;
        struct audit_writer text;
        char bytes[DOMAIN_TEXT_MAX];
    } last;

    if (last.text.len == 0 || last.is_of.domid != d->domid ||
        memcmp(last.is_of.uuid, d->uuid, sizeof(d->uuid)) != 0 ||
        memcmp(last.is_of.incarnation, d->incarnation, sizeof(d->incarnation)) != 0 ||
        strcmp(last.is_of.name, d->name) != 0) {
        last.text = (struct audit_writer){ .out = last.bytes, .room = sizeof(last.bytes) };
        last.is_of = *d;
        render_domain(&last.text, d);
    }
    put(w, last.bytes, last.text.len);
    w->cut |= last.text.cut;
}

static void put_counts(struct audit_writer *w, const struct audit_record *r)
{
    if (r->has_counts) {
        PUT_NAME(w, "messages");
        put_number(w, r->messages);
    }
    if (r->has_counts || r->has_bytes) {
        PUT_NAME(w, "bytes");
        put_number(w, r->bytes);
    }
    if (r->has_counts) {
        PUT_NAME(w, "lost");
        put_number(w, r->lost);
    }
}

size_t audit_record_format(const struct audit_record *r, uint64_t wall_ns,
                           char body[AUDIT_BODY_MAX_BYTES])
{
    struct audit_writer w;

    audit_writer_begin(&w, body, AUDIT_BODY_MAX_BYTES, r->event, wall_ns);
    PUT_NAME(&w, "outcome");
    put_word(&w, r->outcome == 0 ? "ok" : error_connect_code(r->outcome));
    if (r->who != NULL) {
        PUT_TEXT_IF_SET(&w, "identity", r->who->text, IDENTITY_MAX);
        PUT_TEXT_IF_SET(&w, "token", r->who->token_id, TOKEN_MAX);
    }
    PUT_TEXT_IF_SET(&w, "peer", r->peer, PEER_MAX);
    if (r->domain != NULL) {
        put_domain(&w, r->domain);
    } else {
        PUT_TEXT_IF_SET(&w, "named", r->named, DOMAIN_MAX);
    }
    PUT_TEXT_IF_SET(&w, "type", r->type, WORD_MAX);
    if (r->has_id) {
        PUT_NAME(&w, "id");
        put_number(&w, r->id);
    }
    PUT_TEXT_IF_SET(&w, "action", r->action, WORD_MAX);
    PUT_TEXT_IF_SET(&w, "rule", r->rule, RULE_MAX);
    if (r->line > 0) {
        PUT_NAME(&w, "line");
        put_number(&w, r->line);
    }
    PUT_TEXT_IF_SET(&w, "reason", r->reason, WORD_MAX);
    put_counts(&w, r);
    if (r->suppressed > 0) {
        PUT_NAME(&w, "suppressed");
        put_number(&w, r->suppressed);
    }
    PUT_TEXT_IF_SET(&w, "detail", r->detail, DETAIL_MAX);
    if (w.cut) {
        memcpy(w.out + w.len, ",\"cut\":true", CUT_BYTES); /* has_room() keeps its place */
        w.len += CUT_BYTES;
    }
    return w.len;
}
