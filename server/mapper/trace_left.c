/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See trace_left.h. */
#include "server/mapper/trace_left.h"

#include <errno.h>
#include <string.h>

#include "common/log.h"

enum left { WAS_ON, IS_OFF, IS_UNKNOWN };

static enum left stop(const struct backend_ops *ops, struct backend *b,
                      const struct journal_entry *entry, struct failure *f)
{
    struct backend_domain domain;
    int result = ops->find(b, entry->domid, &domain, f);
    if (result == 0 && memcmp(domain.uuid, entry->uuid, sizeof(domain.uuid)) != 0) {
        return IS_OFF; /* another domain has the number: its tracing is not ours */
    }
    if (result == 0) {
        result = ops->vmtrace(b, entry->domid, entry->vcpu, VMTRACE_DISABLE, 0, NULL, f);
    }
    if (result == 0) {
        return WAS_ON;
    }
    bool is_gone = result == -ERROR_NOT_FOUND || result == -ERROR_UNIMPLEMENTED;
    return is_gone || f->xen_errno == EINVAL ? IS_OFF : IS_UNKNOWN;
}

uint32_t trace_left_stop(const struct backend_ops *ops, struct backend *b, struct journal *journal,
                         const struct trace_table *traces)
{
    struct journal_entry entry;
    uint32_t stopped = 0;
    for (uint32_t at = 0; journal_next(journal, &at, &entry);) {
        struct failure f = { 0 };
        if (traces && trace_is_of(traces, &entry)) {
            continue;
        }
        switch (stop(ops, b, &entry, &f)) {
        case WAS_ON:
            stopped++;
            log_warning("vCPU %u of domain %u was still being traced for nobody, as a mapper was"
                        " killed or could not disable it: stopped",
                        entry.vcpu, entry.domid);
            journal_remove(journal, &entry);
            break;
        case IS_OFF: journal_remove(journal, &entry); break;
        case IS_UNKNOWN:
            log_failure(LOG_LEVEL_ERROR, "stopping a trace that was left on", &f);
            break;
        }
    }
    return stopped;
}
