/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See doctor.h. */
#include "server/mapper/doctor.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/scope.h"
#include "server/mapper/journal.h"
#include "server/mapper/trace_can.h"

enum { DOMAINS_A_LOOK = 32 };

/* No host has been right with a clock before this program was written: 2026-01-01. */
#define OLDEST_NOW_NS (UINT64_C(1767225600) * CLOCK_NS_PER_S)

struct look {
    FILE *to;
    const struct backend_ops *ops;
    struct backend *b;
    struct journal_entry *ours; /* as the journal has them */
    uint32_t our_count;
    uint32_t with_buffers, without;
    uint32_t asked, unasked; /* vCPUs, whether they are traced */
    bool has_no;
};

static void row(struct look *l, bool ok, const char *name, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static void row(struct look *l, bool ok, const char *name, const char *format, ...)
{
    va_list arguments;
    fprintf(l->to, "%s  %-20s ", ok ? "ok" : "no", name);
    va_start(arguments, format);
    vfprintf(l->to, format, arguments);
    va_end(arguments);
    fputc('\n', l->to);
    l->has_no = l->has_no || !ok;
}

void doctor_tell_failure(FILE *to, const char *name, const struct failure *why)
{
    fprintf(to, "no  %-20s %s%s%s%s%s\n", name, why->message, why->cause[0] ? ": " : "", why->cause,
            why->next_step[0] ? "; " : "", why->next_step);
}

static void row_failed(struct look *l, const char *name, const struct failure *f)
{
    doctor_tell_failure(l->to, name, f);
    l->has_no = true;
}

/* --- the host ----------------------------------------------------------------------------------- */

static void look_at_host(struct look *l, const struct message_host_answer *host)
{
    for (uint32_t i = 0; i < host->check_count; i++) {
        const struct message_check_row *c = &host->checks[i];
        row(l, c->ok, c->name, "%s", c->detail);
    }
    struct failure f;
    if (trace_can_host(host, &f) < 0) {
        row_failed(l, "vmtrace", &f);
    } else {
        row(l, true, "vmtrace", "the hypervisor offers to trace vCPUs");
    }
}

/* By which it dates what it tells. */
static void look_at_clock(struct look *l, const struct message_host_answer *host)
{
    if (host->wall_ns < OLDEST_NOW_NS) {
        row(l, false, "clock",
            "it is %llu s after 1970: set dom0's clock (chronyd, timedatectl set-ntp true)",
            (unsigned long long)(host->wall_ns / CLOCK_NS_PER_S));
    } else {
        row(l, true, "clock", "the wall clock is set");
    }
}

static void look_at_journal(struct look *l, const char *path, const char *boot_id)
{
    struct failure f;
    if (!path) {
        row(l, true, "journal", "not looked at: --journal names it");
    } else if (journal_read(path, boot_id, l->ours, JOURNAL_RECORDS_MAX, &l->our_count, &f) == 0) {
        row(l, true, "journal", "%u vCPUs are traced by a mapper, or were when it was killed",
            l->our_count);
    } else if (f.xen_errno == ENOENT) {
        row(l, true, "journal", "there is none at %s: no mapper has traced since the boot", path);
    } else {
        row_failed(l, "journal", &f);
    }
}

/* --- domains ------------------------------------------------------------------------------------ */

static bool is_ours(const struct look *l, const struct backend_domain *d, uint32_t vcpu)
{
    for (uint32_t i = 0; i < l->our_count; i++) {
        const struct journal_entry *e = &l->ours[i];
        if (e->domid == d->domid && e->vcpu == vcpu &&
            memcmp(e->uuid, d->uuid, sizeof(e->uuid)) == 0) {
            return true;
        }
    }
    return false;
}

/* Whose tracing is on, of one domain's vCPUs. */
struct tracing {
    uint32_t asked, unasked; /* of those that can be traced */
    uint32_t by_us, by_others;
    uint32_t first_of_others;
};

static int look_at_vcpus(struct look *l, const struct backend_domain *d, struct tracing *out,
                         struct failure *f)
{
    uint32_t count =
        d->max_vcpus < MESSAGE_TRACED_VCPUS_MAX ? d->max_vcpus : MESSAGE_TRACED_VCPUS_MAX;
    uint32_t left = DOCTOR_VCPUS_MAX - l->asked;
    out->asked = count < left ? count : left;
    out->unasked = count - out->asked;
    l->unasked += out->unasked;
    for (uint32_t vcpu = 0; vcpu < out->asked; vcpu++) {
        uint64_t ctl = 0;
        l->asked++;
        int result =
            l->ops->vmtrace(l->b, d->domid, vcpu, VMTRACE_GET_OPTION, VMTRACE_KEY_CTL, &ctl, f);
        if (result < 0) {
            return result;
        }
        if (!(ctl & VMTRACE_CTL_ENABLED)) {
            continue;
        }
        if (is_ours(l, d, vcpu)) {
            out->by_us++;
        } else if (out->by_others++ == 0) {
            out->first_of_others = vcpu;
        }
    }
    return 0;
}

static void look_at_domain(struct look *l, const struct backend_domain *d)
{
    struct backend_size size;
    struct failure f;
    char name[32];
    snprintf(name, sizeof(name), "domain %u", d->domid);
    if (l->ops->size(l->b, d->domid, RESOURCE_VMTRACE_BUF, 0, &size, &f) < 0) {
        if (f.xen_errno == EINVAL || f.xen_errno == EOPNOTSUPP) {
            l->without++;
        } else if (f.code != ERROR_NOT_FOUND) { /* which has gone meanwhile */
            row_failed(l, name, &f);
        }
        return;
    }
    l->with_buffers++;
    unsigned long long kib = (unsigned long long)size.frames_max * MESSAGE_FRAME_BYTES / 1024;
    struct tracing tracing = { 0 };
    if (look_at_vcpus(l, d, &tracing, &f) < 0) {
        row_failed(l, name, &f);
    } else if (tracing.by_others > 0) {
        row(l, false, name,
            "has buffers of %llu KiB, and %u of its vCPUs (%u first) are traced by somebody who is"
            " not in the journal: end that tool, or `xenres trace start --takeover`",
            kib, tracing.by_others, tracing.first_of_others);
    } else if (tracing.by_us > 0) {
        row(l, true, name, "has buffers of %llu KiB, and %u of its vCPUs are traced by the mapper",
            kib, tracing.by_us);
    } else if (tracing.unasked > 0) {
        row(l, true, name,
            "has buffers of %llu KiB for each of its %u vCPUs; %u were asked, and nobody traces "
            "them",
            kib, d->max_vcpus, tracing.asked);
    } else {
        row(l, true, name, "has buffers of %llu KiB for each of its %u vCPUs, and nobody traces it",
            kib, d->max_vcpus);
    }
}

static void tell_unasked(struct look *l)
{
    if (l->unasked > 0) {
        row(l, true, "vCPUs not asked",
            "%u, whether they are traced: that pauses each for a moment, and no more than %d are"
            " paused; `xenres trace start` asks those that it is of",
            l->unasked, DOCTOR_VCPUS_MAX);
    }
}

static void look_at_domains(struct look *l)
{
    struct backend_domain domains[DOMAINS_A_LOOK];
    uint32_t count = DOMAINS_A_LOOK;
    struct failure f;
    for (uint32_t first = 1; count == DOMAINS_A_LOOK && first <= UINT16_MAX;) {
        if (l->ops->list(l->b, (uint16_t)first, domains, DOMAINS_A_LOOK, &count, &f) < 0) {
            row_failed(l, "domains", &f);
            return;
        }
        for (uint32_t i = 0; i < count; i++) {
            look_at_domain(l, &domains[i]);
            first = domains[i].domid + 1U;
        }
    }
    if (l->with_buffers > 0) {
        row(l, true, "trace buffers", "%u domains have some, and %u have none", l->with_buffers,
            l->without);
    } else {
        row(l, false, "trace buffers",
            "none of %u domains has any: set vmtrace_buf_kb in the configuration of an HVM or PVH"
            " guest, and restart it",
            l->without);
    }
}

bool doctor_look(FILE *to, const struct backend_ops *ops, struct backend *b,
                 const char *journal_path)
{
    struct look l = { .to = to, .ops = ops, .b = b };
    SCOPE_FREE struct journal_entry *ours = calloc(JOURNAL_RECORDS_MAX, sizeof(*ours));
    struct message_host_answer host;
    if (!ours) {
        row(&l, false, "memory", "there is none to look with");
        return false;
    }
    l.ours = ours;
    memset(&host, 0, sizeof(host));
    ops->host(b, &host);
    look_at_host(&l, &host);
    look_at_clock(&l, &host);
    look_at_journal(&l, journal_path, host.boot_id);
    look_at_domains(&l);
    tell_unasked(&l);
    return !l.has_no;
}
