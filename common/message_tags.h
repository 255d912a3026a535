/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The tags in a domain's identity: a set, in one form for each, so that sets are compared as bytes.
 * Each is NUL-ended and filled with zeros, they ascend, no two are alike, and empty ones are last.
 * Pure, any thread.
 */
#ifndef XENRES_COMMON_MESSAGE_TAGS_H
#define XENRES_COMMON_MESSAGE_TAGS_H

#include "common/message.h"

bool domain_tags_equal(const struct domain_identity *a, const struct domain_identity *b);

/* [a-z0-9-], 1 to MESSAGE_TAG_BYTES - 1 of them. */
bool domain_tag_is_valid(const char *tag);
/* Adds one, in its place; nothing where it is there already. False: it is none, or one too many. */
bool domain_tag_add(struct domain_identity *d, const char *tag);
bool domain_has_tag(const struct domain_identity *d, const char *tag);

/* Of what another program wrote: in that form? */
bool domain_tags_are_right(const struct domain_identity *d);

#endif
