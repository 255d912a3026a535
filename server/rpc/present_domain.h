/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Domains as the API shows them, and as it is told which are meant: as present.h. Pure, any thread. */
#ifndef XENRES_RPC_PRESENT_DOMAIN_H
#define XENRES_RPC_PRESENT_DOMAIN_H

#include <xxhash.h>

#include "server/rpc/present.h"
#include "xenres/v1/host.pb-c.h"

Xenres__V1__Domain *present_domain(struct pool *p, const struct message_domain *row);

/* The filter of a request; NULL: none, which fits all. -ERROR_INVALID_ARGUMENT with the field. */
int present_filter_check(const Xenres__V1__DomainFilter *filter, struct failure *f);
bool present_filter_fits(const Xenres__V1__DomainFilter *filter, const struct message_domain *row);
/* Names it in a token. False: no memory. */
bool present_filter_digest(struct pool *p, const Xenres__V1__DomainFilter *filter,
                           XXH128_canonical_t *digest);

#endif
