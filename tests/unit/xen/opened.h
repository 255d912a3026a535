/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* The xen backend, opened on a healthy host for each test and closed behind it, with all that it had.
 * Included by one file of a program. */
#ifndef XENRES_TESTS_XEN_OPENED_H
#define XENRES_TESTS_XEN_OPENED_H

#include "server/mapper/backend.h"
#include "tests/lib/unit.h"
#include "tests/unit/xen/fake_xen.h"

static struct backend *b;

static inline int open_backend(void **state)
{
    (void)state;
    fake_xen_set_healthy();
    return backend_open(NULL, &b, NULL);
}

static inline int close_backend(void **state)
{
    (void)state;
    backend_ops->close(b);
    b = NULL;
    return fake_xen.open_handles == 0 && fake_xen.live_mappings == 0 ? 0 : -1;
}

#define OPENED(test) cmocka_unit_test_setup_teardown(test, open_backend, close_backend)

#endif
