/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* A root and the access by it, for all tests of a program: a key takes its time. Included by one file
 * of the program, which passes these two to cmocka_run_group_tests(). */
#ifndef XENRES_TESTS_CERTIFICATE_ROOT_H
#define XENRES_TESTS_CERTIFICATE_ROOT_H

#include "tests/lib/certificates.h"

static const struct certificate_spec root_spec = CERTIFICATES_ROOT;
static struct certificate root;
static struct access *root_access;

static inline int certificate_root_make(void **state)
{
    const struct certificate *anchors[] = { &root };

    (void)state;
    root = certificates_make(&root_spec, NULL);
    root_access = certificates_access(anchors, 1);
    return root_access == NULL;
}

static inline int certificate_root_free(void **state)
{
    (void)state;
    access_unref(root_access);
    certificates_free(&root);
    return 0;
}

#endif
