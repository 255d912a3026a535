/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See feed_record.h. */
#include "common/feed_record.h"

#include <string.h>

_Static_assert(sizeof(struct feed_stamp) == 32, "stamp");
_Static_assert(sizeof(struct feed_begin) == 32 + 16 + 12 * 4 + 8, "begin");
_Static_assert(sizeof(struct feed_changes) == 32 + 16 + 16, "changes");
_Static_assert(sizeof(struct feed_still) == 32 + 24 + 16, "still");
_Static_assert(sizeof(struct feed_bytes) == 32 + 16 + 24 + 8, "bytes");
_Static_assert(sizeof(struct feed_loss) == 32 + 24 + 24, "loss");
_Static_assert(sizeof(struct feed_domain) ==
                   40 + sizeof(struct message_domain) + sizeof(struct domain_identity),
               "domain");
_Static_assert(sizeof(struct feed_end) == 40 + sizeof(struct failure), "end");
_Static_assert(sizeof(struct failure) % 8 == 0 && sizeof(struct domain_identity) % 8 == 0,
               "what follows is aligned");

/* Each looks at a record whose first bytes are of its kind, and says what is wrong; NULL: nothing. */
typedef const char *check_function(const uint8_t *bytes, size_t len_bytes, struct feed_record *out);

static bool is_between(uint32_t value, uint32_t least, uint32_t most)
{
    return value >= least && value <= most;
}

static const char *check_begin(const uint8_t *bytes, size_t len_bytes, struct feed_record *out)
{
    const struct feed_begin *b = out->begin = (const void *)bytes;

    if (len_bytes != sizeof(*b)) {
        return "length";
    }
    if (!is_between(b->reason, FEED_BEGIN_START, FEED_BEGIN_RESET)) {
        return "reason";
    }
    if (b->frame_count > UINT32_MAX - b->first_frame ||
        b->status_frame_count > UINT32_MAX - b->first_status_frame) {
        return "frame_count";
    }
    uint64_t frames_bytes =
        ((uint64_t)b->frame_count + b->status_frame_count) * MESSAGE_FRAME_BYTES;

    if (b->image_bytes > FEED_IMAGE_MAX_BYTES || b->image_bytes % FEED_BLOCK_BYTES != 0 ||
        frames_bytes > b->image_bytes) {
        return "image_bytes";
    }
    return b->grant_version <= 2 ? NULL : "grant_version";
}

static const char *check_changes(const uint8_t *bytes, size_t len_bytes, struct feed_record *out)
{
    enum { BLOCKS_MAX = FEED_IMAGE_MAX_BYTES / FEED_BLOCK_BYTES };
    const struct feed_changes *c = out->changes = (const void *)bytes;

    if (!is_between(c->block_count, 1, BLOCKS_MAX)) {
        return "block_count";
    }
    size_t numbers_bytes = ((size_t)c->block_count * sizeof(uint32_t) + 7) / 8 * 8;

    if (len_bytes != sizeof(*c) + numbers_bytes + (size_t)c->block_count * FEED_BLOCK_BYTES) {
        return "length";
    }
    out->blocks = (const void *)(bytes + sizeof(*c));
    out->contents = bytes + sizeof(*c) + numbers_bytes;
    for (uint32_t i = 0; i < c->block_count; i++) {
        if (out->blocks[i] >= BLOCKS_MAX || (i > 0 && out->blocks[i] <= out->blocks[i - 1])) {
            return "blocks";
        }
    }
    return c->more <= 1 ? NULL : "more";
}

static const char *check_still(const uint8_t *bytes, size_t len_bytes, struct feed_record *out)
{
    out->still = (const void *)bytes;
    return len_bytes == sizeof(*out->still) ? NULL : "length";
}

/* Within a segment, and over all of them. */
static bool is_countable(uint64_t offset, uint64_t bytes_before, uint64_t len_bytes)
{
    return offset <= bytes_before && len_bytes <= UINT64_MAX - bytes_before;
}

static const char *check_bytes(const uint8_t *bytes, size_t len_bytes, struct feed_record *out)
{
    const struct feed_bytes *b = out->bytes = (const void *)bytes;

    if (b->len_bytes == 0 || b->len_bytes > FEED_BYTES_MAX ||
        len_bytes != sizeof(*b) + b->len_bytes) {
        return "length";
    }
    if (!is_countable(b->offset, b->bytes_before, b->len_bytes)) {
        return "offset";
    }
    out->contents = bytes + sizeof(*b);
    return b->sync_offset >= -1 && b->sync_offset < (int64_t)b->len_bytes ? NULL : "sync_offset";
}

static const char *check_loss(const uint8_t *bytes, size_t len_bytes, struct feed_record *out)
{
    const struct feed_loss *l = out->loss = (const void *)bytes;

    if (len_bytes != sizeof(*l)) {
        return "length";
    }
    if (!is_between(l->reason, FEED_LOSS_LAPPED, FEED_LOSS_RESET)) {
        return "reason";
    }
    if (!is_countable(l->offset, l->bytes_before, l->len_bytes)) {
        return "offset";
    }
    if (l->at_least > 1) {
        return "at_least";
    }
    return l->len_bytes > 0 || l->at_least == 1 ? NULL : "len_bytes";
}

static const char *check_domain(const uint8_t *bytes, size_t len_bytes, struct feed_record *out)
{
    const struct feed_domain *d = out->domain = (const void *)bytes;

    if (len_bytes != sizeof(*d)) {
        return "length";
    }
    if (!is_between(d->kind, FEED_DOMAIN_CREATED, FEED_DOMAIN_RETAGGED)) {
        return "kind";
    }
    if (d->had_name != (d->kind == FEED_DOMAIN_RENAMED || d->kind == FEED_DOMAIN_RETAGGED)) {
        return "had_name";
    }
    if (!is_between(d->now.type, DOMAIN_PV, DOMAIN_PVH) ||
        !is_between(d->now.state, DOMAIN_RUNNING, DOMAIN_DYING)) {
        return "domain";
    }
    const char *wrong = domain_identity_wrong(&d->now.identity);

    return wrong != NULL ? wrong : domain_identity_wrong(&d->before);
}

static const char *check_end(const uint8_t *bytes, size_t len_bytes, struct feed_record *out)
{
    const struct feed_end *e = out->end = (const void *)bytes;

    if (len_bytes != sizeof(*e)) {
        return "length";
    }
    if (!is_between(e->reason, FEED_END_INCARNATION, FEED_END_TAKEN_OVER)) {
        return "reason";
    }
    if (e->detail != 0 && e->reason != FEED_END_SHUTDOWN) {
        return "detail";
    }
    return e->failure.code >= 0 ? failure_wrong(&e->failure) : "failure.code";
}

static const struct record_row {
    const char *name;
    size_t least_bytes;
    check_function *check;
} record_rows[] = {
    [FEED_RECORD_BEGIN] = { "begin", sizeof(struct feed_begin), check_begin },
    [FEED_RECORD_CHANGES] = { "changes", sizeof(struct feed_changes), check_changes },
    [FEED_RECORD_STILL] = { "still", sizeof(struct feed_still), check_still },
    [FEED_RECORD_BYTES] = { "bytes", sizeof(struct feed_bytes), check_bytes },
    [FEED_RECORD_LOSS] = { "loss", sizeof(struct feed_loss), check_loss },
    [FEED_RECORD_DOMAIN] = { "domain", sizeof(struct feed_domain), check_domain },
    [FEED_RECORD_END] = { "end", sizeof(struct feed_end), check_end },
};

int feed_record_check(uint32_t kind, const void *bytes, size_t len_bytes, struct feed_record *out,
                      struct failure *f)
{
    memset(out, 0, sizeof(*out));
    if (kind >= sizeof(record_rows) / sizeof(record_rows[0]) || record_rows[kind].check == NULL) {
        return failure_set(f, ERROR_DATA_LOSS, "a feed's record is of no known kind: %u",
                           (unsigned)kind);
    }
    const struct record_row *row = &record_rows[kind];
    const char *wrong = len_bytes < row->least_bytes ? "length" : row->check(bytes, len_bytes, out);

    if (wrong != NULL) {
        return failure_set(f, ERROR_DATA_LOSS, "a feed's record of kind %s: wrong %s", row->name,
                           wrong);
    }
    out->kind = (enum feed_record_kind)kind;
    return 0;
}
