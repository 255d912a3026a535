/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Domains as the hypervisor lists them (xc_domain_getinfolist). Refuses nothing: dom0 is listed as
 * well. A dying domain is one that Xen has torn down and that somebody's mapping keeps; while it is
 * being torn down Xen does not tell. Errors as failure_xen() words them. The mapper's thread.
 */
#ifndef XENRES_MAPPER_XEN_DOMAIN_H
#define XENRES_MAPPER_XEN_DOMAIN_H

#include "server/mapper/backend.h"

int domain_list(struct backend *b, uint16_t first_domid, struct backend_domain *out, uint32_t max,
                uint32_t *count, struct failure *f);
/* -ERROR_NOT_FOUND where there is none. */
int domain_find(struct backend *b, uint16_t domid, struct backend_domain *out, struct failure *f);

#endif
