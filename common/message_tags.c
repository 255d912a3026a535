/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "common/message_tags.h"

#include <string.h>

bool domain_tags_equal(const struct domain_identity *a, const struct domain_identity *b)
{
    return a->tags_unknown == b->tags_unknown && memcmp(a->tags, b->tags, sizeof(a->tags)) == 0;
}

bool domain_tag_is_valid(const char *tag)
{
    size_t len = strspn(tag, "abcdefghijklmnopqrstuvwxyz0123456789-");

    return len > 0 && len < MESSAGE_TAG_BYTES && tag[len] == '\0';
}

bool domain_tag_add(struct domain_identity *d, const char *tag)
{
    size_t at = 0;

    if (!domain_tag_is_valid(tag)) {
        return false;
    }
    while (at < MESSAGE_TAGS_MAX && d->tags[at][0] != '\0' && strcmp(d->tags[at], tag) < 0) {
        at++;
    }
    if (at < MESSAGE_TAGS_MAX && strcmp(d->tags[at], tag) == 0) {
        return true;
    }
    if (d->tags[MESSAGE_TAGS_MAX - 1][0] != '\0') {
        return false;
    }
    memmove(d->tags[at + 1], d->tags[at], (MESSAGE_TAGS_MAX - 1 - at) * MESSAGE_TAG_BYTES);
    memset(d->tags[at], 0, MESSAGE_TAG_BYTES);
    memcpy(d->tags[at], tag, strlen(tag));
    return true;
}

bool domain_has_tag(const struct domain_identity *d, const char *tag)
{
    for (size_t i = 0; i < MESSAGE_TAGS_MAX && d->tags[i][0] != '\0'; i++) {
        if (d->tags[i][0] == tag[0] && strcmp(d->tags[i], tag) == 0) {
            return true;
        }
    }
    return false;
}

bool domain_tags_are_right(const struct domain_identity *d)
{
    static const char zeros[MESSAGE_TAG_BYTES];

    for (size_t i = 0; i < MESSAGE_TAGS_MAX; i++) {
        const char *tag = d->tags[i];
        size_t len = strnlen(tag, MESSAGE_TAG_BYTES);

        if (len == 0
                ? memcmp(tag, zeros, sizeof(zeros)) != 0
                : len == MESSAGE_TAG_BYTES || !domain_tag_is_valid(tag) ||
                      memcmp(tag + len, zeros, MESSAGE_TAG_BYTES - len) != 0 ||
                      (i > 0 && (d->tags[i - 1][0] == '\0' || strcmp(d->tags[i - 1], tag) >= 0))) {
            return false;
        }
    }
    return true;
}
