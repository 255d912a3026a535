/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/policy_limits.h"

#include <inttypes.h>

static uint64_t read_number(struct policy_reading *r, cfg_t *section, const char *name,
                            uint64_t max)
{
    const cfg_opt_t *option = cfg_getopt(section, name);
    const struct policy_value *value = option->nvalues > 0 ? option->values[0]->ptr : NULL;
    uint64_t number = 0;

    if (value != NULL && (!text_to_u64(value->text, max, &number) || number == 0)) {
        policy_fault(r, value->line, "%s \"%s\": expected a whole number from 1 to %" PRIu64, name,
                     value->text, max);
        number = 1; /* so that it counts as set */
    }
    return number;
}

void policy_limits_read(struct policy_reading *r, cfg_t *section, struct policy_limit_section *out)
{
    const struct policy_place place = { .kind = "limits", .name = out->name, .line = out->line };
    struct policy_limits *l = &out->limits;

    policy_list_identities(r, cfg_getopt(section, "identities"), &place, &out->identities);
    l->requests_per_second =
        read_number(r, section, "requests_per_second", POLICY_REQUESTS_PER_SECOND_MAX);
    l->bytes_per_second = read_number(r, section, "bytes_per_second", POLICY_BYTES_PER_SECOND_MAX);
    l->snapshots = (uint32_t)read_number(r, section, "snapshots", POLICY_SNAPSHOTS_MAX);
    l->streams = (uint32_t)read_number(r, section, "streams", POLICY_STREAMS_MAX);
    l->spool_mib = (uint32_t)read_number(r, section, "spool_mib", POLICY_SPOOL_MAX_MIB);
    l->pauses_per_second =
        (uint32_t)read_number(r, section, "pauses_per_second", POLICY_PAUSES_PER_SECOND_MAX);
    if (l->requests_per_second == 0 && l->bytes_per_second == 0 && l->snapshots == 0 &&
        l->streams == 0 && l->spool_mib == 0 && l->pauses_per_second == 0) {
        policy_fault(r, out->line, "limits \"%s\" sets no limit; expected one at least", out->name);
    }
}
