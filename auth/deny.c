/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/deny.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "auth/guarded_file.h"
#include "auth/identity_pattern.h"
#include "common/text.h"

enum {
    FINGERPRINT_BYTES = 32,
    FAULTS_MAX = 100, /* that are told of one file */
    SHOWN_BYTES = 64, /* of what is wrong */
};

enum kind { KIND_FINGERPRINT, KIND_TOKEN, KIND_IDENTITY, KIND_COUNT };

/* In one spelling, fingerprints with small digits: found by comparing bytes. */
struct entry {
    enum kind kind;
    const char *value; /* in the list's own copy of the file */
    unsigned line;
};

struct deny {
    char *text;
    struct entry *entries;
    size_t count;
    /* Numbers of entries from 1 on, each at its hash or in the first empty place behind it (0): half of all
     * places are empty at least. Each request looks here, with all that its caller has shown. */
    uint32_t *places;
    size_t place_mask;
};

struct reading {
    const char *name;
    struct buffer *faults;
    unsigned fault_count;
    unsigned line;
    struct deny *deny;
    size_t room; /* of `entries` */
    bool out_of_memory;
};

static void fault(struct reading *r, const char *what, const char *text)
{
    char shown[TEXT_ESCAPED_MAX * SHOWN_BYTES + 1] = "";

    if (++r->fault_count > FAULTS_MAX) {
        return;
    }
    if (text == NULL) {
        buffer_printf(r->faults, "%s:%u: %s\n", r->name, r->line, what);
    } else {
        buffer_printf(r->faults, "%s:%u: %s: \"%s\"\n", r->name, r->line, what,
                      text_escape(shown, sizeof shown, text, TEXT_ASCII));
    }
}

/* --- entries ---------------------------------------------------------------------------------- */

static const char *fingerprint_fault(char *value)
{
    uint8_t bytes[FINGERPRINT_BYTES];

    if (!text_to_hex(value, bytes, sizeof bytes)) {
        return "expected 64 hexadecimal digits behind fingerprint:";
    }
    text_from_hex(bytes, sizeof bytes, value);
    return NULL;
}

static const char *token_fault(char *value)
{
    for (const char *c = value; *c != '\0'; c++) {
        if (*c <= ' ' || *c > '~') {
            return "ids of tokens are printable ASCII without spaces";
        }
    }
    return value[0] == '\0'                           ? "expected an id behind token:"
           : strlen(value) >= IDENTITY_TOKEN_ID_BYTES ? "longer than any token's id"
                                                      : NULL;
}

static const char *identity_fault_of(char *value)
{
    return identity_exact_fault(value);
}

static const struct {
    const char *prefix;
    const char *(*fault)(char *value); /* may write it otherwise, as long */
} kinds[KIND_COUNT] = {
    [KIND_FINGERPRINT] = { "fingerprint:", fingerprint_fault },
    [KIND_TOKEN] = { "token:", token_fault },
    [KIND_IDENTITY] = { "identity:", identity_fault_of },
};

static const char *parse_entry(char *text, struct entry *out)
{
    for (size_t i = 0; i < KIND_COUNT; i++) {
        size_t len = strlen(kinds[i].prefix);

        if (strncmp(text, kinds[i].prefix, len) == 0) {
            out->kind = (enum kind)i;
            out->value = text + len;
            return kinds[i].fault(text + len);
        }
    }
    return "expected fingerprint:HEX, token:ID or identity:TEXT";
}

static void add(struct reading *r, const struct entry *entry)
{
    struct deny *d = r->deny;

    if (d->count == DENY_ENTRIES_MAX) {
        fault(r, "one entry too many", NULL);
        return;
    }
    if (d->count == r->room) {
        size_t room = r->room > 0 ? 2 * r->room : 64;
        struct entry *more = realloc(d->entries, room * sizeof *more);

        if (more == NULL) {
            r->out_of_memory = true;
            return;
        }
        d->entries = more;
        r->room = room;
    }
    d->entries[d->count++] = *entry;
}

/* --- lines ------------------------------------------------------------------------------------ */

/* NUL-ended. Its word, if it has one, is an entry; behind that may be nothing but a comment. */
static void read_line(struct reading *r, char *line)
{
    char *word = line + strspn(line, " \t");
    size_t len = strcspn(word, " \t");
    char *rest = word + len + strspn(word + len, " \t");

    if (word[0] == '\0' || word[0] == '#') {
        return;
    }
    word[len] = '\0';
    struct entry entry = { .line = r->line };
    const char *what = parse_entry(word, &entry);

    if (what != NULL) {
        fault(r, what, word);
    } else if (rest[0] != '\0' && rest[0] != '#') {
        fault(r, "expected the line's end, or a comment", rest);
    } else {
        add(r, &entry);
    }
}

static void read_lines(struct reading *r, size_t len_bytes)
{
    char *at = r->deny->text, *end = at + len_bytes;

    if (at == end) {
        r->line = 1;
        fault(r, "the file is empty; expected a line at least, and be it a comment", NULL);
    }
    while (at < end && !r->out_of_memory) {
        char *stop = memchr(at, '\n', (size_t)(end - at));

        r->line++;
        if (stop == NULL) {
            fault(r, "the last line has no end: is there more of the file?", NULL);
            return;
        }
        *stop = '\0';
        if (memchr(at, '\0', (size_t)(stop - at)) != NULL) {
            fault(r, "a NUL byte; expected plain text", NULL);
        } else {
            read_line(r, at);
        }
        at = stop + 1;
    }
}

/* Where it is, or the empty place where it would be. */
static uint32_t *place_of(const struct deny *d, enum kind kind, const char *value)
{
    size_t at = XXH3_64bits_withSeed(value, strlen(value), kind) & d->place_mask;

    while (d->places[at] != 0) {
        const struct entry *e = &d->entries[d->places[at] - 1];

        if (e->kind == kind && strcmp(e->value, value) == 0) {
            break;
        }
        at = (at + 1) & d->place_mask;
    }
    return &d->places[at];
}

/* Of equal ones the first counts. False: no memory. */
static bool arrange(struct deny *d)
{
    size_t room = 4;

    while (room < 2 * d->count) {
        room *= 2;
    }
    d->places = calloc(room, sizeof *d->places);
    d->place_mask = room - 1;
    for (size_t i = 0; d->places != NULL && i < d->count; i++) {
        uint32_t *place = place_of(d, d->entries[i].kind, d->entries[i].value);

        *place = *place == 0 ? (uint32_t)i + 1 : *place;
    }
    return d->places != NULL;
}
_Static_assert(DENY_ENTRIES_MAX < UINT32_MAX / 2, "numbers of entries");

static int finish(struct reading *r, struct failure *f)
{
    if (r->fault_count > FAULTS_MAX) {
        buffer_printf(r->faults, "%s: faults beyond these: %u\n", r->name,
                      r->fault_count - FAULTS_MAX);
    }
    if (r->fault_count > 0) {
        return failure_set(f, ERROR_INVALID_ARGUMENT, "%s has faults", r->name);
    }
    if (r->out_of_memory || !arrange(r->deny)) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "out of memory for %s", r->name);
    }
    return 0;
}

int deny_parse(const char *name, const char *text, size_t len_bytes, struct deny **out,
               struct buffer *faults, struct failure *f)
{
    struct reading r = { .name = name, .faults = faults };
    struct deny *d = calloc(1, sizeof *d);
    int result;

    if (len_bytes > DENY_FILE_MAX_BYTES) {
        free(d);
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "%s is longer than %d bytes", name,
                           DENY_FILE_MAX_BYTES);
    }
    if (d != NULL) {
        d->text = malloc(len_bytes + 1);
    }
    if (d == NULL || d->text == NULL) {
        deny_free(d);
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "out of memory for %s", name);
    }
    if (len_bytes > 0) {
        memcpy(d->text, text, len_bytes);
    }
    r.deny = d;
    read_lines(&r, len_bytes);
    result = finish(&r, f);
    if (result != 0) {
        deny_free(d);
        return result;
    }
    *out = d;
    return 0;
}

int deny_load(const char *path, struct deny **out, struct buffer *faults, struct failure *f)
{
    BUFFER_AUTO(content, DENY_FILE_MAX_BYTES);
    int result = guarded_file_read(path, GUARDED_PUBLIC, &content, f);

    return result != 0
               ? result
               : deny_parse(path, (const char *)content.data, content.len_bytes, out, faults, f);
}

void deny_free(struct deny *d)
{
    if (d != NULL) {
        free(d->places);
        free(d->entries);
        free(d->text);
        free(d);
    }
}

/* --- looking ---------------------------------------------------------------------------------- */

static unsigned find(const struct deny *d, enum kind kind, const char *value)
{
    uint32_t number = *place_of(d, kind, value);

    return number > 0 ? d->entries[number - 1].line : 0;
}

unsigned deny_find(const struct deny *d, const struct identity *who)
{
    static const uint8_t none[FINGERPRINT_BYTES];
    char hex[2 * FINGERPRINT_BYTES + 1];
    unsigned line = 0;

    if (d == NULL || d->count == 0) {
        return 0;
    }
    if (memcmp(who->fingerprint, none, sizeof none) != 0) {
        text_from_hex(who->fingerprint, sizeof who->fingerprint, hex);
        line = find(d, KIND_FINGERPRINT, hex);
    }
    if (line == 0 && who->token_id[0] != '\0') {
        line = find(d, KIND_TOKEN, who->token_id);
    }
    return line > 0 ? line : find(d, KIND_IDENTITY, who->text);
}
