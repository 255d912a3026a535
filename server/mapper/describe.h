/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The resources of one domain, of the types that the export list lets be listed: sizes, and of what
 * is missing the reason. Nothing is mapped: to map an ioreq page makes Xen allocate it, so ioreq
 * servers are "on request".
 */
#ifndef XENRES_MAPPER_DESCRIBE_H
#define XENRES_MAPPER_DESCRIBE_H

#include "server/mapper/mapper.h"

int describe(struct mapper *m, const struct message_describe *request, union message *out,
             struct failure *f);

#endif
