/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See claim.h. */
#include "server/mapper/claim.h"

#include <errno.h>
#include <string.h>

#include "common/message_tags.h"
#include "server/mapper/explain.h"

int claim_allowed(const struct mapper *m, const struct domain_identity *claimed, uint32_t type,
                  enum export_action action, struct failure *f)
{
    bool allowed = type == RESOURCE_TYPE_COUNT ? export_allows_any(m->export, claimed, action)
                                               : export_allows(m->export, claimed, type, action);
    return allowed ? 0 : export_refusal(claimed, type, action, f);
}

/* Says which field differs, never what it is: the domain that is there now may not be exported. */
static int compare(const struct domain_identity *claimed, const struct directory_entry *e,
                   struct failure *f)
{
    const char *different = NULL;
    if (memcmp(claimed->uuid, e->identity.uuid, UUID_BYTES) != 0) {
        different = "has another UUID";
    } else if (claimed->name_cut != e->identity.name_cut ||
               strcmp(claimed->name, e->identity.name) != 0) {
        different = "has another name";
    } else if (!domain_tags_equal(claimed, &e->identity)) {
        different = "has other tags";
    } else if (memcmp(claimed->incarnation, e->identity.incarnation,
                      sizeof(claimed->incarnation)) != 0) {
        different = "is another incarnation: it was rebooted, restored or created anew";
    } else if (e->domain.dying) {
        different = "is dying";
    }
    if (!different) {
        return 0;
    }
    int result = failure_set(f, ERROR_ABORTED, "domain %u is not as it was named: it %s",
                             claimed->domid, different);
    failure_cause(f, result,
                  e->domain.dying ? "the domain is being destroyed"
                                  : "numbers and names are used again for other domains");
    return failure_next(f, result, "see the list of domains, and ask for the one meant");
}

int claim_check(struct mapper *m, const struct domain_identity *claimed,
                const struct directory_entry **out, struct failure *f)
{
    if (claimed->domid >= EXPLAIN_DOMID_RESERVED) {
        const struct explain_subject subject = { .domid = claimed->domid,
                                                 .type = EXPLAIN_NO_RESOURCE };
        return failure_xen(f, "", ESRCH, &subject);
    }
    /* Events first: a domain that was replaced in between is found out by them, not by its looks. */
    int result = directory_drain(m->directory, f);
    if (result < 0) {
        return result;
    }
    const struct directory_entry *e;
    result = directory_find(m->directory, claimed->domid, &e, f);
    if (result < 0) {
        return result;
    }
    result = compare(claimed, e, f);
    if (result < 0) {
        return result;
    }
    if (out) {
        *out = e;
    }
    return 0;
}
