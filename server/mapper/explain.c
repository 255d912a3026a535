/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The table, and how a failure is made of a row. Rows are tried from the top; the first that fits
 * wins, so that the special stands above the general.
 */
#include "server/mapper/explain.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { ANY = -2 };

struct row {
    int errnum;            /* 0: any */
    int32_t type;          /* ANY, EXPLAIN_NO_RESOURCE or a type */
    int32_t id;            /* ANY or an id */
    const char *call_part; /* the call's name contains it; NULL any */
    /* About whom the call was; NO_RANGE: about all of a resource, not about frames of it. */
    enum { WHO_ANY, WHO_OWN, WHO_RESERVED, WHO_NONE, NO_RANGE } only;
    enum error_code code;
    const char *cause;
    const char *next_step;
};

static const struct row rows[] = {
    /* EACCES */
    { EACCES, ANY, ANY, "xs_open", WHO_ANY, ERROR_PERMISSION_DENIED,
      "the mapper's user may open neither xenstored's socket nor /dev/xen/xenbus",
      "give its group access to /dev/xen/xenbus, or let the mapper start as root" },
    { EACCES, ANY, ANY, "open", WHO_ANY, ERROR_PERMISSION_DENIED,
      "the mapper's user may not open Xen's device nodes",
      "give its group access to /dev/xen/privcmd and /dev/xen/hypercall" },
    { EACCES, ANY, ANY, "xc_", WHO_ANY, ERROR_FAILED_PRECONDITION,
      "the mapper's libxenctrl is of another version than the running hypervisor",
      "install the packages that belong to the running Xen, or reboot into the Xen that is "
      "installed" },
    { EACCES, ANY, ANY, "xs_", WHO_ANY, ERROR_PERMISSION_DENIED,
      "xenstored does not let the mapper's domain read this node", "run the mapper in dom0" },
    { EACCES, ANY, ANY, NULL, WHO_ANY, ERROR_FAILED_PRECONDITION,
      "Xen does not offer this on this machine's architecture, or to this library's version",
      "compare `xl info` with the version of the installed Xen libraries" },

    /* EPERM */
    { EPERM, ANY, ANY, NULL, WHO_OWN, ERROR_PERMISSION_DENIED,
      "Xen lets no domain acquire its own resources, and this is the mapper's own domain",
      "ask for another domain" },
    { EPERM, RESOURCE_IOREQ_SERVER, ANY, "map", WHO_ANY, ERROR_PERMISSION_DENIED,
      "the device model of this server runs in another domain (a stub domain), or has mapped the"
      " pages by their frame numbers: Xen gives them to it alone",
      "look at a device model that runs in dom0" },
    { EPERM, ANY, ANY, NULL, WHO_NONE, ERROR_PERMISSION_DENIED,
      "the mapper's domain is not privileged, or the XSM policy forbids it",
      "run the mapper in dom0, and see `xl dmesg` for what XSM denied" },
    { EPERM, ANY, ANY, NULL, WHO_ANY, ERROR_PERMISSION_DENIED,
      "the mapper's domain is not privileged over this one, or the XSM policy forbids it",
      "run the mapper in dom0, and see `xl dmesg` for what XSM denied" },

    /* ESRCH */
    { ESRCH, ANY, ANY, NULL, WHO_RESERVED, ERROR_NOT_FOUND,
      "numbers from 32752 (0x7ff0) on are reserved by Xen: no domain has them",
      "see the list of domains for the numbers in use" },
    { ESRCH, ANY, ANY, NULL, WHO_ANY, ERROR_NOT_FOUND,
      "there is no such domain: it was destroyed or has never been",
      "see the list of domains; after a reboot the domain has another number" },

    /* ENOENT */
    { ENOENT, RESOURCE_IOREQ_SERVER, ANY, NULL, WHO_ANY, ERROR_NOT_FOUND,
      "the domain has no ioreq server with this id, or the server has no page for buffered "
      "requests",
      "ask for frame 1 alone; ids go from 0 to 7, a device model has 0 as a rule" },
    { ENOENT, RESOURCE_VMTRACE_BUF, ANY, NULL, WHO_ANY, ERROR_NOT_FOUND,
      "the domain has no vCPU with this number",
      "ask with a vCPU number below the domain's number of vCPUs" },
    { ENOENT, RESOURCE_VCPU_STATS, ANY, NULL, WHO_ANY, ERROR_NOT_FOUND,
      "the domain has no such vCPU", "ask for the domain's vCPUs again" },
    { ENOENT, ANY, ANY, "xs_open", WHO_ANY, ERROR_UNAVAILABLE,
      "xenstored does not run, or this is no dom0 of a running Xen",
      "start it: systemctl start xenstored" },
    { ENOENT, ANY, ANY, "xs_", WHO_ANY, ERROR_NOT_FOUND,
      "xenstore has no such node: the toolstack has not written it, or the domain is gone",
      "see the list of domains" },
    { ENOENT, ANY, ANY, "open", WHO_NONE, ERROR_FAILED_PRECONDITION,
      "this is no dom0 of a running Xen, or the xen-privcmd module is not loaded",
      "boot under Xen and load xen-privcmd; without Xen, run xenresd-mapper-sim" },
    { ENOENT, ANY, ANY, NULL, WHO_ANY, ERROR_NOT_FOUND, "Xen has no such thing",
      "see what the domain offers in its list of resources" },

    /* EINVAL */
    { EINVAL, ANY, ANY, "xs_", WHO_ANY, ERROR_UNAVAILABLE, /* our paths are never wrong */
      "the connection to xenstored was lost during the call",
      "ask again; see whether xenstored runs, and restart the mapper if it stays so" },
    { EINVAL, RESOURCE_VMTRACE_BUF, ANY, "xc_vmtrace", WHO_OWN, ERROR_FAILED_PRECONDITION,
      "Xen lets no domain trace itself, and this is the mapper's own domain",
      "trace another domain" },
    { EINVAL, RESOURCE_VMTRACE_BUF, ANY, "enable", WHO_ANY, ERROR_FAILED_PRECONDITION,
      "this vCPU is being traced already, by another tool or by one that ended without disabling"
      " it; or the domain has no vmtrace buffer",
      "see `xenresd-mapper --doctor` for who traces; --takeover ends what they trace" },
    { EINVAL, RESOURCE_VMTRACE_BUF, ANY, "disable", WHO_ANY, ERROR_FAILED_PRECONDITION,
      "this vCPU is not being traced: another tool has disabled it; or the domain has no vmtrace"
      " buffer",
      "see that nobody else controls traces of this domain, and start anew" },
    { EINVAL, RESOURCE_VMTRACE_BUF, ANY, "set_option", WHO_ANY, ERROR_FAILED_PRECONDITION,
      "the domain has no vmtrace buffer, or this hypervisor does not offer one of the options of"
      " the trace",
      "set vmtrace_buf_kb in the domain's configuration and restart it; else trace with fewer"
      " options" },
    { EINVAL, RESOURCE_VMTRACE_BUF, ANY, NULL, NO_RANGE, ERROR_FAILED_PRECONDITION,
      "the domain has no vmtrace buffer",
      "set vmtrace_buf_kb in the domain's configuration and restart it (HVM and PVH guests, on"
      " processors with Intel PT)" },
    { EINVAL, RESOURCE_VMTRACE_BUF, ANY, NULL, WHO_ANY, ERROR_FAILED_PRECONDITION,
      "the domain has no vmtrace buffer, or the frames are beyond its end",
      "set vmtrace_buf_kb in the domain's configuration and restart it (HVM and PVH guests, on"
      " processors with Intel PT)" },
    { EINVAL, RESOURCE_GRANT_TABLE, GRANT_TABLE_STATUS, NULL, NO_RANGE, ERROR_FAILED_PRECONDITION,
      "status frames belong to grant tables of version 2, and this one is of version 1",
      "ask for grant_table 0: in version 1 the status is in the entries' flags" },
    { EINVAL, RESOURCE_GRANT_TABLE, GRANT_TABLE_STATUS, NULL, WHO_ANY, ERROR_FAILED_PRECONDITION,
      "status frames belong to grant tables of version 2, and this one is of version 1, or the"
      " frames are beyond its end",
      "ask for grant_table 0: in version 1 the status is in the entries' flags" },
    { EINVAL, RESOURCE_GRANT_TABLE, ANY, NULL, NO_RANGE, ERROR_INVALID_ARGUMENT,
      "a grant table has ids 0 (shared frames) and 1 (status frames) only", "ask for id 0 or 1" },
    { EINVAL, RESOURCE_GRANT_TABLE, ANY, NULL, WHO_ANY, ERROR_INVALID_ARGUMENT,
      "a grant table has ids 0 (shared frames) and 1 (status frames) only, or the frames are beyond"
      " its end",
      "ask within the frames in use; the domain's list of resources tells their number" },
    { EINVAL, RESOURCE_IOREQ_SERVER, ANY, "size", WHO_ANY, ERROR_FAILED_PRECONDITION,
      "only HVM and PVH guests have ioreq servers", "ask for an HVM or PVH domain" },
    { EINVAL, RESOURCE_IOREQ_SERVER, ANY, NULL, NO_RANGE, ERROR_INVALID_ARGUMENT,
      "the ids of ioreq servers are 0 to 7",
      "ask for one of these; a device model has 0 as a rule" },
    { EINVAL, RESOURCE_IOREQ_SERVER, ANY, NULL, WHO_ANY, ERROR_INVALID_ARGUMENT,
      "an ioreq server has frame 0 (buffered requests) and frame 1 (requests) only, its id is 0 to"
      " 7, and only HVM and PVH guests have any",
      "ask for frame 0 or 1 of an HVM or PVH domain" },
    { EINVAL, RESOURCE_VCPU_STATS, ANY, NULL, WHO_ANY, ERROR_UNIMPLEMENTED,
      "this hypervisor shares no table of run times",
      "none is needed: the run times are asked for by hypercall" },
    { EINVAL, EXPLAIN_NO_RESOURCE, ANY, NULL, WHO_ANY, ERROR_INVALID_ARGUMENT,
      "the hypervisor does not take these arguments in the domain's present state",
      "look at the domain's state in the list of domains" },
    { EINVAL, ANY, ANY, NULL, WHO_ANY, ERROR_INVALID_ARGUMENT,
      "the hypervisor knows no such resource type, id or range",
      "see what the domain offers in its list of resources" },

    /* Not there at all */
    { EOPNOTSUPP, RESOURCE_IOREQ_SERVER, ANY, NULL, WHO_ANY, ERROR_FAILED_PRECONDITION,
      "only HVM and PVH guests have ioreq servers, or they were compiled out of this hypervisor",
      "ask for an HVM or PVH domain" },
    { EOPNOTSUPP, RESOURCE_VMTRACE_BUF, ANY, "xc_vmtrace", WHO_ANY, ERROR_UNIMPLEMENTED,
      "this hypervisor cannot trace here: the processor has no Intel PT that it can use, or the"
      " domain is no HVM or PVH guest",
      "see `xenresd-mapper --doctor`" },
    { EOPNOTSUPP, RESOURCE_VCPU_STATS, ANY, NULL, WHO_ANY, ERROR_UNIMPLEMENTED,
      "this hypervisor shares no table of run times",
      "none is needed: the run times are asked for by hypercall" },
    { EOPNOTSUPP, ANY, ANY, NULL, WHO_ANY, ERROR_UNIMPLEMENTED,
      "the hypervisor does not know this resource type, or the kernel lacks the ioctl to acquire"
      " resources",
      "update Xen, or dom0's kernel to one of 2021 or newer" },
    { ENOTTY, ANY, ANY, NULL, WHO_ANY, ERROR_UNIMPLEMENTED,
      "dom0's kernel lacks the ioctl to acquire resources or to ask for their size",
      "update dom0's kernel to one of 2021 or newer" },
    { ENOSYS, ANY, ANY, NULL, WHO_ANY, ERROR_UNIMPLEMENTED, "this hypervisor was built without it",
      "use a hypervisor that has it" },

    /* Memory and other limits */
    { ENOMEM, ANY, ANY, NULL, WHO_ANY, ERROR_RESOURCE_EXHAUSTED,
      "dom0's kernel or Xen has no memory for it, or too many frames were asked for at once",
      "ask for fewer frames, and see `xl info` for free memory" },
    { E2BIG, ANY, ANY, NULL, WHO_ANY, ERROR_UNIMPLEMENTED,
      "a very old Xen maps at most 32 frames at once", "ask for at most 32 frames, or update Xen" },
    { EMFILE, ANY, ANY, NULL, WHO_ANY, ERROR_RESOURCE_EXHAUSTED,
      "the mapper is at its limit of open files", "raise LimitNOFILE of its service" },
    { ENFILE, ANY, ANY, NULL, WHO_ANY, ERROR_RESOURCE_EXHAUSTED,
      "dom0 is at its limit of open files", "raise fs.file-max" },
    { ENOSPC, ANY, ANY, NULL, WHO_ANY, ERROR_RESOURCE_EXHAUSTED,
      "a quota of xenstored or of the kernel is reached", "see xenstored's log" },

    /* In transit */
    { EIO, ANY, ANY, NULL, WHO_ANY, ERROR_UNAVAILABLE,
      "only a part of the frames could be mapped: the domain is changing or going away",
      "ask again; see `xl dmesg` if it stays so" },
    { ENODATA, ANY, ANY, NULL, WHO_ANY, ERROR_ABORTED,
      "Xen could not take a reference to a page: the domain is going away",
      "see the list of domains" },
    { EFAULT, ANY, ANY, NULL, WHO_ANY, ERROR_INTERNAL,
      "the hypervisor could not read or write the mapper's memory", "report this with `xl dmesg`" },
    { EBUSY, ANY, ANY, NULL, WHO_ANY, ERROR_UNAVAILABLE, "someone else is using it right now",
      "ask again" },
    { EAGAIN, ANY, ANY, "xs_watch", WHO_ANY, ERROR_UNAVAILABLE,
      "the connection to xenstored was lost, and the mapper has dropped the right to start the "
      "thread"
      " that a new one needs",
      "restart the mapper" },
    { EAGAIN, ANY, ANY, NULL, WHO_ANY, ERROR_UNAVAILABLE, "the hypervisor or xenstored was busy",
      "ask again" },
    { EINTR, ANY, ANY, NULL, WHO_ANY, ERROR_UNAVAILABLE, "a signal interrupted the call",
      "ask again" },
    { ECONNREFUSED, ANY, ANY, NULL, WHO_ANY, ERROR_UNAVAILABLE, "xenstored is not running",
      "start it: systemctl start xenstored" },
    { EPIPE, ANY, ANY, NULL, WHO_ANY, ERROR_UNAVAILABLE, "xenstored has closed the connection",
      "see whether xenstored runs; restart the mapper" },
    { ECONNRESET, ANY, ANY, NULL, WHO_ANY, ERROR_UNAVAILABLE, "xenstored has closed the connection",
      "see whether xenstored runs; restart the mapper" },
    { ENOTCONN, ANY, ANY, "xs_", WHO_ANY, ERROR_UNAVAILABLE, "there is no connection to xenstored",
      "see whether xenstored runs; restart the mapper" },
    { EBADF, ANY, ANY, "xs_", WHO_ANY, ERROR_UNAVAILABLE, /* as libxenstore puts it */
      "xenstored has closed the connection", "see whether xenstored runs; restart the mapper" },
    { ETIMEDOUT, ANY, ANY, "xs_", WHO_ANY, ERROR_UNAVAILABLE,
      "xenstored did not answer in time, now or a moment ago",
      "ask again in some seconds; see dom0's load and whether xenstored runs" },
    { 0, ANY, ANY, NULL, WHO_ANY, ERROR_UNKNOWN, "none that the gateway knows of",
      "see `xl dmesg` and the mapper's log" },
};

static bool row_fits(const struct row *r, const char *call, int errnum,
                     const struct explain_subject *s)
{
    if (r->errnum != 0 && r->errnum != errnum) {
        return false;
    }
    if (r->type != ANY && r->type != s->type) {
        return false;
    }
    if (r->id != ANY && (uint32_t)r->id != s->id) {
        return false;
    }
    if (r->call_part && !strstr(call, r->call_part)) {
        return false;
    }
    switch (r->only) {
    case WHO_OWN: return s->domid == 0; /* the mapper runs in dom0 */
    case WHO_RESERVED: return s->domid >= EXPLAIN_DOMID_RESERVED && s->domid != EXPLAIN_NO_DOMAIN;
    case WHO_NONE: return s->domid == EXPLAIN_NO_DOMAIN;
    case NO_RANGE: return s->frame_count == 0;
    case WHO_ANY: break;
    }
    return true;
}

/* "frames 0 to 3 of grant_table 0 of domain 5" */
static void subject_text(const struct explain_subject *s, char *out, size_t out_bytes)
{
    if (s->domid == EXPLAIN_NO_DOMAIN) {
        snprintf(out, out_bytes, "the hypervisor");
        return;
    }
    if (s->type == EXPLAIN_NO_RESOURCE) {
        snprintf(out, out_bytes, "domain %u", s->domid);
        return;
    }
    char range[64] = "";
    if (s->frame_count == 1) {
        snprintf(range, sizeof(range), "frame %u of ", s->first_frame);
    } else if (s->frame_count > 1) {
        snprintf(range, sizeof(range), "frames %u to %llu of ", s->first_frame,
                 (unsigned long long)s->first_frame + s->frame_count - 1);
    }
    const char *name = resource_type_name((uint32_t)s->type);
    if (name) {
        snprintf(out, out_bytes, "%s%s %u of domain %u", range, name, s->id, s->domid);
    } else {
        snprintf(out, out_bytes, "%sresource type %d of domain %u", range, s->type, s->domid);
    }
}

int failure_xen(struct failure *f, const char *call, int errnum, const struct explain_subject *s)
{
    const struct row *r = rows;
    while (r->errnum != 0 && !row_fits(r, call, errnum, s)) {
        r++; /* the last one fits all */
    }

    char subject[128];
    subject_text(s, subject, sizeof(subject));
    int result;
    if (call[0] != '\0') {
        result =
            failure_set(f, r->code, "%s: %s answered %s", subject, call, error_errno_name(errnum));
    } else {
        result = failure_set(f, r->code, "%s cannot be had", subject);
    }
    failure_call(f, result, call, errnum);
    failure_cause(f, result, "%s", r->cause);
    return failure_next(f, result, "%s", r->next_step);
}
