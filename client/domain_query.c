/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/domain_query.h"

#include "client/call.h"

int domain_query_take(const xenres_domain_query *given, struct domain_query *out,
                      struct fault *fault)
{
    xenres_domain_query query = XENRES_DOMAIN_QUERY_INIT;
    int result = given != NULL
                     ? fault_copy_sized(&query, given, sizeof(query), "xenres_domain_query", fault)
                     : 0;

    if (result != 0) {
        return result;
    }
    if (query.state_count > XENRES_DOMAIN_QUERY_MAX || query.type_count > XENRES_DOMAIN_QUERY_MAX) {
        result =
            failure_set(&fault->failure, ERROR_INVALID_ARGUMENT,
                        "more than %d states or types to choose from", XENRES_DOMAIN_QUERY_MAX);
        failure_field(&fault->failure, result, "filter.%s",
                      query.state_count > XENRES_DOMAIN_QUERY_MAX ? "states" : "types");
        return failure_next(&fault->failure, result, "give each once, or none for all");
    }
    xenres__v1__domain_filter__init(&out->filter);
    out->filter.name_glob = call_string(query.name_glob);
    out->filter.states = out->states;
    out->filter.n_states = query.state_count;
    out->filter.types = out->types;
    out->filter.n_types = query.type_count;
    for (size_t i = 0; i < query.state_count; i++) {
        out->states[i] = (Xenres__V1__DomainState)query.states[i];
    }
    for (size_t i = 0; i < query.type_count; i++) {
        out->types[i] = (Xenres__V1__DomainType)query.types[i];
    }
    return 0;
}
