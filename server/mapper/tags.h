/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What a node of tags says: words of [a-z0-9-], spaces between them, at most MESSAGE_TAGS_MAX. All of
 * it, or nothing: half a set of tags could be what a policy's rule is about. Pure, any thread.
 */
#ifndef XENRES_MAPPER_TAGS_H
#define XENRES_MAPPER_TAGS_H

#include "common/message.h"
#include "server/mapper/backend.h"

/* Sets `tags` and `tags_unknown`. False: they are unknown, and *why says how that came. */
bool tags_read(const struct backend_tags *node, struct domain_identity *out, const char **why);

#endif
