/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See play.h. A cursor over the text, whose fields are copied out before they are looked at. */
#include "server/mapper/sim/play.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "common/layout.h"
#include "common/scope.h"
#include "common/settings.h"
#include "common/text.h"

enum {
    BLOCKS_PER_FRAME = LAYOUT_FRAME_BYTES / PLAY_BLOCK_BYTES,
    HEX_BYTES = 2 * PLAY_BLOCK_BYTES,
    FIELD_BYTES = HEX_BYTES + 1,
};

struct reader {
    const char *at, *end;
    const char *name;
    unsigned line;
    struct failure *f;
};

static int fault(struct reader *r, const char *what)
{
    int result = failure_set(r->f, ERROR_INVALID_ARGUMENT, "%s:%u: %s", r->name, r->line, what);
    return failure_next(r->f, result, "make it again with xenres replay --to-scenario");
}

/* The bytes up to `stop`, which is passed. False: there is no such byte, or too many before it. */
static bool take_field(struct reader *r, char stop, char out[FIELD_BYTES])
{
    size_t left = (size_t)(r->end - r->at);
    size_t most = left < FIELD_BYTES ? left : FIELD_BYTES;
    const char *found = memchr(r->at, stop, most);
    if (!found || memchr(r->at, '\0', (size_t)(found - r->at))) {
        return false;
    }
    size_t len = (size_t)(found - r->at);
    memcpy(out, r->at, len);
    out[len] = '\0';
    r->at = found + 1;
    return true;
}

static bool take_number(struct reader *r, char stop, uint64_t max, uint64_t *out)
{
    char field[FIELD_BYTES];
    return take_field(r, stop, field) && text_to_u64(field, max, out);
}

static int read_head(struct reader *r, struct play *out)
{
    char field[FIELD_BYTES];
    uint64_t format, block_bytes, frames, version;
    if (!take_field(r, ' ', field) || strcmp(field, "xenres-play") != 0) {
        return fault(r, "expected \"xenres-play 1 64 FRAMES GRANT_VERSION\"");
    }
    if (!take_number(r, ' ', 1, &format) || format != 1) {
        return fault(r, "expected format 1");
    }
    if (!take_number(r, ' ', PLAY_BLOCK_BYTES, &block_bytes) || block_bytes != PLAY_BLOCK_BYTES) {
        return fault(r, "expected blocks of 64 bytes");
    }
    if (!take_number(r, ' ', PLAY_FRAMES_MAX, &frames) || frames == 0) {
        return fault(r, "expected a number of frames from 1 to 4096");
    }
    if (!take_number(r, '\n', 2, &version)) {
        return fault(r, "expected a grant table's version, 1 or 2, or 0 for none");
    }
    out->frame_count = (uint32_t)frames;
    out->grant_version = (uint32_t)version;
    return 0;
}

static int read_change(struct reader *r, const struct play *p, uint32_t not_before_ms,
                       struct play_change *out)
{
    char hex[FIELD_BYTES];
    uint64_t at_ms, block;
    if (!take_number(r, ' ', PLAY_AT_MS_MAX, &at_ms)) {
        return fault(r, "expected a time in milliseconds");
    }
    if (at_ms < not_before_ms) {
        return fault(r, "the time is before that of the line above");
    }
    if (!take_number(r, ' ', (uint64_t)p->frame_count * BLOCKS_PER_FRAME - 1, &block)) {
        return fault(r, "expected the number of a block within the frames");
    }
    if (!take_field(r, '\n', hex) || !text_to_hex(hex, out->bytes, PLAY_BLOCK_BYTES)) {
        return fault(r, "expected 128 hexadecimal digits and the end of the line");
    }
    out->at_ms = (uint32_t)at_ms;
    out->block = (uint32_t)block;
    return 0;
}

/* What stands at 0 has to be all of the image: a block that is left out is a fault of the file. */
static int check_image(struct reader *r, const struct play *p)
{
    size_t blocks = (size_t)p->frame_count * BLOCKS_PER_FRAME, known = 0;
    SCOPE_FREE bool *has = calloc(blocks, sizeof(*has));
    if (!has) {
        return failure_set(r->f, ERROR_RESOURCE_EXHAUSTED, "no memory for %s", r->name);
    }
    for (size_t i = 0; i < p->change_count && p->changes[i].at_ms == 0; i++) {
        known += !has[p->changes[i].block];
        has[p->changes[i].block] = true;
    }
    return known == blocks ? 0 : fault(r, "the image at 0 is not whole: blocks are missing");
}

static size_t count_lines(const char *text, size_t len_bytes)
{
    size_t lines = 0;
    for (size_t i = 0; i < len_bytes; i++) {
        lines += text[i] == '\n';
    }
    return lines;
}

int play_parse(const char *text, size_t len_bytes, const char *name, struct play **out,
               struct failure *f)
{
    struct reader r = { .at = text, .end = text + len_bytes, .name = name, .line = 1, .f = f };
    size_t lines = count_lines(text, len_bytes);
    SCOPE_FREE struct play *p = calloc(1, sizeof(*p) + lines * sizeof(p->changes[0]));
    uint32_t at_ms = 0;
    if (!p) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for %s", name);
    }
    int result = read_head(&r, p);
    while (result == 0 && r.at < r.end) {
        r.line++;
        assert(p->change_count < lines); /* the head and each change took a line feed */
        struct play_change *c = &p->changes[p->change_count];
        result = read_change(&r, p, at_ms, c);
        at_ms = c->at_ms;
        p->change_count++;
    }
    if (result == 0) {
        result = check_image(&r, p);
    }
    if (result < 0) {
        return result;
    }
    *out = scope_take_pointer(p);
    return 0;
}

int play_load(const char *path, struct play **out, struct failure *f)
{
    BUFFER_AUTO(content, PLAY_FILE_BYTES_MAX);
    int result = settings_read_file(path, PLAY_FILE_BYTES_MAX, &content, f);
    if (result < 0) {
        return result;
    }
    const char *text = content.data ? (const char *)content.data : "";
    return play_parse(text, content.len_bytes, path, out, f);
}

uint64_t play_advance(struct play_place *at, struct pages *p, uint64_t ran_ns)
{
    uint64_t changed = 0;
    if (!at->play) {
        return 0;
    }
    assert(at->play->frame_count <= p->frame_count);
    for (; at->next < at->play->change_count; at->next++) {
        const struct play_change *c = &at->play->changes[at->next];
        if (c->at_ms * CLOCK_NS_PER_MS > ran_ns) {
            break;
        }
        changed += pages_store(p, (size_t)c->block * PLAY_BLOCK_BYTES, c->bytes, sizeof(c->bytes));
    }
    return changed;
}
