/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/audit_line.h"

#include <string.h>

#include "common/text.h"

/* What is left of a line. Once something else stands there than was expected, nothing does any more. */
struct cursor {
    const char *at, *end;
    bool failed;
};

static void expect(struct cursor *c, const char *text)
{
    size_t len = strlen(text);

    c->failed |= (size_t)(c->end - c->at) < len || memcmp(c->at, text, len) != 0;
    c->at += c->failed ? 0 : len;
}

/* Lower case alone: what is written is the one spelling. */
static void take_hex(struct cursor *c, uint8_t *out, size_t len)
{
    char text[2 * 64 + 1];

    c->failed |= (size_t)(c->end - c->at) < 2 * len;
    if (!c->failed) {
        memcpy(text, c->at, 2 * len);
        text[2 * len] = '\0';
        c->failed = strspn(text, "0123456789abcdef") != 2 * len || !text_to_hex(text, out, len);
        c->at += 2 * len;
    }
}

static void take_hex_field(struct cursor *c, const char *before, uint8_t *out, size_t len)
{
    expect(c, before);
    take_hex(c, out, len);
    expect(c, "\"");
}

/* Characters of a word up to its quote. */
static size_t word_length(const struct cursor *c, const char *characters)
{
    size_t len = 0;

    while (!c->failed && c->at + len < c->end && strchr(characters, c->at[len]) != NULL &&
           c->at[len] != '\0') {
        len++;
    }
    return len;
}

static void take_sequence(struct cursor *c, uint64_t *out)
{
    char digits[24] = "";
    size_t len = word_length(c, "0123456789");

    c->failed |= len == 0 || len >= sizeof digits;
    if (!c->failed) {
        memcpy(digits, c->at, len);
        c->failed = !text_to_u64(digits, UINT64_MAX, out) || *out == 0;
        c->at += len;
    }
}

static void take_time(struct cursor *c, char out[AUDIT_TIME_BYTES])
{
    static const char form[] = "dddd-dd-ddTdd:dd:dd.ddddddZ";

    c->failed |= c->end - c->at < AUDIT_TIME_BYTES - 1;
    for (size_t i = 0; !c->failed && i < AUDIT_TIME_BYTES - 1; i++) {
        char byte = c->at[i];

        c->failed = form[i] == 'd' ? byte < '0' || byte > '9' : byte != form[i];
    }
    if (!c->failed) {
        memcpy(out, c->at, AUDIT_TIME_BYTES - 1);
        out[AUDIT_TIME_BYTES - 1] = '\0';
        c->at += AUDIT_TIME_BYTES - 1;
    }
}

static int take_event(struct cursor *c)
{
    size_t len = word_length(c, "abcdefghijklmnopqrstuvwxyz_");
    int found = -1;

    for (int e = 0; e < AUDIT_EVENT_COUNT; e++) {
        const char *name = audit_event_name((enum audit_event)e);

        if (strlen(name) == len && memcmp(name, c->at, len) == 0) {
            found = e;
        }
    }
    c->at += len;
    expect(c, "\"");
    return found;
}

/* `reason`, `chain` and, from the end, the two that have a fixed length; between them a name. */
static void take_file_begun(struct cursor *c, struct audit_line *out)
{
    const size_t tail_len = sizeof(",\"previous_mac\":\"\",\"previous_digest\":\"\"") - 1 +
                            2 * AUDIT_MAC_BYTES + 2 * AUDIT_DIGEST_BYTES;

    expect(c, ",\"reason\":\"");
    size_t len = word_length(c, "abcdefghijklmnopqrstuvwxyz_");

    out->previous.is_broken = (len == 7 && memcmp(c->at, "damaged", 7) == 0) ||
                              (len == 7 && memcmp(c->at, "missing", 7) == 0);
    c->at += len;
    take_hex_field(c, "\",\"chain\":\"", out->chain, sizeof out->chain);
    expect(c, ",\"previous\":\"");
    c->failed |= (size_t)(c->end - c->at) < tail_len;
    if (!c->failed) {
        c->at = c->end - tail_len;
    }
    take_hex_field(c, ",\"previous_mac\":\"", out->previous.mac, sizeof out->previous.mac);
    take_hex_field(c, ",\"previous_digest\":\"", out->previous.digest, sizeof out->previous.digest);
    c->failed |= c->at != c->end;
}

static void take_checkpoint(struct cursor *c, const char *line, struct audit_line *out)
{
    take_hex_field(c, ",\"chain\":\"", out->chain, sizeof out->chain);
    take_hex_field(c, ",\"digest\":\"", out->checkpoint.digest, sizeof out->checkpoint.digest);
    out->checkpoint.signed_len = (size_t)(c->at - line);
    take_hex_field(c, ",\"signature\":\"", out->checkpoint.signature,
                   sizeof out->checkpoint.signature);
    c->failed |= c->at != c->end;
}

bool audit_line_parse(const char *bytes, size_t len, struct audit_line *out)
{
    struct audit_line line = { 0 };

    if (len <= AUDIT_TAIL_BYTES || len > AUDIT_LINE_MAX_BYTES) {
        return false;
    }
    line.covered_len = len - AUDIT_TAIL_BYTES;
    struct cursor tail = { .at = bytes + line.covered_len, .end = bytes + len };
    struct cursor c = { .at = bytes, .end = bytes + line.covered_len };

    take_hex_field(&tail, ",\"mac\":\"", line.mac, sizeof line.mac);
    expect(&tail, "}\n");
    expect(&c, "{\"seq\":");
    take_sequence(&c, &line.sequence);
    expect(&c, ",\"time\":\"");
    take_time(&c, line.time);
    expect(&c, "\",\"event\":\"");
    line.event = take_event(&c);
    if (line.event == AUDIT_FILE_BEGUN) {
        take_file_begun(&c, &line);
    } else if (line.event == AUDIT_CHECKPOINT) {
        take_checkpoint(&c, bytes, &line);
    }
    if (tail.failed || c.failed) {
        return false;
    }
    *out = line;
    return true;
}
