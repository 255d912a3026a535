/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The export list: which domains, resource types and actions may ever leave this host, whatever
 * xenresd, its policy or its callers say. By default nothing does.
 *
 * A strict line format (xenresd-export(5)), read once at the start by this small parser, before
 * privileges are dropped. The first thing that is not understood refuses the whole file:
 * -ERROR_INVALID_ARGUMENT with file, line and what was expected. Immutable after that.
 */
#ifndef XENRES_MAPPER_EXPORT_H
#define XENRES_MAPPER_EXPORT_H

#include <sys/types.h>

#include "common/error.h"
#include "common/message.h"

enum {
    EXPORT_FILE_BYTES_MAX = 65536,
    EXPORT_LINE_BYTES_MAX = 1024,
    EXPORT_RULES_MAX = 256,
};

enum export_action {
    EXPORT_LIST,          /* the domain is listed, its resources are described */
    EXPORT_SNAPSHOT,      /* frames and run times are copied */
    EXPORT_WATCH,         /* frames are followed */
    EXPORT_DECODE,        /* decoded content is computed */
    EXPORT_TRACE_READ,    /* traces are read */
    EXPORT_TRACE_CONTROL, /* traces are started and stopped */
    EXPORT_ACTION_COUNT
};

struct export_list;

/*
 * Reads `path`. The file must be a regular one that belongs to root (or to `owner`, the user who
 * started the mapper) and that nobody else may write: else whoever can write it decides what leaves.
 */
int export_load(const char *path, uid_t owner, struct export_list **out, struct failure *f);
/* The same from memory; `name` stands for the file in messages. */
int export_parse(const char *text, size_t len_bytes, const char *name, struct export_list **out,
                 struct failure *f);
void export_free(struct export_list *e); /* NULL is fine */
uint32_t export_rule_count(const struct export_list *e);

/* Is this allowed? Domain 0 only by a line that names it (dom0, its UUID, its name without globs). */
bool export_allows(const struct export_list *e, const struct domain_identity *domain, uint32_t type,
                   enum export_action action);
/* Is it allowed for any type? */
bool export_allows_any(const struct export_list *e, const struct domain_identity *domain,
                       enum export_action action);
/* Is it allowed of any domain that there may be? */
bool export_grants(const struct export_list *e, enum export_action action);
/* -ERROR_PERMISSION_DENIED, in words. */
int export_refusal(const struct domain_identity *domain, uint32_t type, enum export_action action,
                   struct failure *f);

#endif
