/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Which domains are asked about. Pure. */
#ifndef XENRES_CLIENT_DOMAIN_QUERY_H
#define XENRES_CLIENT_DOMAIN_QUERY_H

#include "client/fault.h"
#include "xenres/v1/host.pb-c.h"

/* What is asked, with the arrays as protobuf-c wants them. */
struct domain_query {
    Xenres__V1__DomainFilter filter;
    Xenres__V1__DomainState states[XENRES_DOMAIN_QUERY_MAX];
    Xenres__V1__DomainType types[XENRES_DOMAIN_QUERY_MAX];
};

/* `given` may be NULL: all. The name stays the caller's; *out must not be moved. */
int domain_query_take(const xenres_domain_query *given, struct domain_query *out,
                      struct fault *fault);

#endif
