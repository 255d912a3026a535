/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See describe.h. */
#include "server/mapper/describe.h"

#include <assert.h>
#include <string.h>

#include "server/mapper/range.h"
#include "server/mapper/claim.h"

/* A row of the answer; asks for the size, unless the type has none. */
static void add_row(struct mapper *m, struct message_describe_answer *a,
                    const struct domain_identity *domain, const struct message_resource *asked)
{
    assert(a->resource_count < MESSAGE_RESOURCES_MAX);
    struct message_resource *row = &a->resources[a->resource_count++];
    *row = *asked;
    if (row->type == RESOURCE_VCPU_STATS) {
        return;
    }

    struct backend_size size = { 0 };
    int result =
        m->ops->size(m->backend, domain->domid, row->type, row->first_id, &size, &row->failure);
    if (result == 0) {
        result = range_check_size(domain->domid, row->type, row->first_id, &size, &row->failure);
    }
    if (result < 0) {
        row->availability = RESOURCE_UNAVAILABLE;
        return;
    }
    row->frames_in_use = size.frames_in_use;
    row->frames_max = size.frames_max;
    row->grant_version = size.grant_version;
    if (row->type == RESOURCE_IOREQ_SERVER && row->frames_in_use > IOREQ_FRAMES) {
        row->frames_in_use = row->frames_max = IOREQ_FRAMES;
    }
}

int describe(struct mapper *m, const struct message_describe *request, union message *out,
             struct failure *f)
{
    const struct domain_identity *domain = &request->domain;
    const struct directory_entry *e;
    int result = claim_allowed(m, domain, RESOURCE_TYPE_COUNT, EXPORT_LIST, f);
    if (result == 0) {
        result = claim_check(m, domain, &e, f);
    }
    if (result < 0) {
        return result;
    }
    uint32_t vcpus = e->domain.max_vcpus > 0 ? e->domain.max_vcpus : 1;

    const struct message_resource rows[] = {
        { .type = RESOURCE_GRANT_TABLE,
          .first_id = GRANT_TABLE_SHARED,
          .id_count = 1,
          .availability = RESOURCE_AVAILABLE },
        { .type = RESOURCE_GRANT_TABLE,
          .first_id = GRANT_TABLE_STATUS,
          .id_count = 1,
          .availability = RESOURCE_AVAILABLE },
        { .type = RESOURCE_IOREQ_SERVER,
          .first_id = 0,
          .id_count = IOREQ_SERVERS,
          .availability = RESOURCE_ON_REQUEST },
        { .type = RESOURCE_VMTRACE_BUF,
          .first_id = 0,
          .id_count = vcpus,
          .availability = RESOURCE_AVAILABLE },
        { .type = RESOURCE_VCPU_STATS,
          .first_id = 0,
          .id_count = 1,
          .availability = RESOURCE_AVAILABLE },
    };
    _Static_assert(sizeof(rows) / sizeof(rows[0]) <= MESSAGE_RESOURCES_MAX, "one answer holds all");
    struct message_describe_answer *a = &out->describe_answer;
    memset(a, 0, sizeof(*a));
    message_init(out, MESSAGE_DESCRIBE | MESSAGE_ANSWER, request->head.serial);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (export_allows(m->export, domain, rows[i].type, EXPORT_LIST)) {
            add_row(m, a, domain, &rows[i]);
        }
    }
    /* Sizes were asked for by number: were they all of the domain that is meant? */
    return claim_check(m, domain, NULL, f);
}
