/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See tags.h. */
#include "server/mapper/tags.h"

#include <string.h>

#include "common/message_tags.h"

static const char *add_all(const char *value, struct domain_identity *out)
{
    for (const char *at = value + strspn(value, " "); *at; at += strspn(at, " ")) {
        char tag[MESSAGE_TAG_BYTES] = "";
        size_t len = strcspn(at, " ");
        if (len >= sizeof(tag)) {
            return "a tag of more than 31 characters";
        }
        memcpy(tag, at, len);
        if (!domain_tag_is_valid(tag)) {
            return "a tag that has other characters than a-z, 0-9 and -";
        }
        if (!domain_tag_add(out, tag)) {
            return "more than 16 tags";
        }
        at += len;
    }
    return NULL;
}

bool tags_read(const struct backend_tags *node, struct domain_identity *out, const char **why)
{
    struct domain_identity read = { 0 };
    *why = node->is_untrusted ? "others than dom0 may write or remove it"
           : node->is_cut     ? "it is longer than 16 tags can be, or has a NUL byte"
                              : add_all(node->value, &read);
    if (*why) {
        memset(read.tags, 0, sizeof(read.tags));
    }
    memcpy(out->tags, read.tags, sizeof(out->tags));
    out->tags_unknown = *why != NULL;
    return *why == NULL;
}
