/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The xen backend's own state: the handles through which it reaches hypervisor and xenstore. Owned
 * by backend.c, which opens all of them before the mapper drops its privileges:
 *
 *   foreign    /dev/xen/privcmd                     maps resources, asks for their sizes
 *   control    /dev/xen/privcmd, /dev/xen/hypercall domain lists, grant tables, run times
 *   store      xenstored's socket (root's alone), else /dev/xen/xenbus: names, and events
 *
 * Read and write permission on these files is all that Xen's and the kernel's checks ask for: no
 * capability is needed, and the handles go on working after setuid() and no_new_privs. None of them
 * survives a fork.
 *
 * One thread each: the mapper's loop, and a sampler for a handle that open_sampler() made, which has no
 * store. The libraries promise nothing to two threads on one handle. store.h has a thread of its own
 * inside.
 */
#ifndef XENRES_MAPPER_XEN_HANDLE_H
#define XENRES_MAPPER_XEN_HANDLE_H

#include <xenctrl.h>
#include <xenforeignmemory.h>
#include <xentoollog.h>

#include "server/mapper/backend.h"
#include "server/mapper/xen/host_identity.h"
#include "server/mapper/xen/store.h"

struct backend {
    xentoollog_logger quiet; /* for the libraries: what fails is told by our failures */
    xenforeignmemory_handle *foreign;
    xc_interface *control;
    struct store *store; /* NULL: a sampler's */
    struct host_identity identity;
    uint64_t hypercall_count;
    uint64_t pause_count; /* of those, they paused a vCPU */
};

#endif
