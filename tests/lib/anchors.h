/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Access for who comes below the authorities in one file, whoever that is. */
#ifndef XENRES_TESTS_ANCHORS_H
#define XENRES_TESTS_ANCHORS_H

#include <stdio.h>
#include <stdlib.h>

#include "auth/access.h"

/* Ends the program where that cannot be. */
static inline struct access *anchors_in(const char *ca_path)
{
    const struct access_options options = { .trusts = { { .ca = ca_path } }, .trust_count = 1 };
    struct access *access = NULL;
    BUFFER_AUTO(faults, 4096);

    if (access_load(&options, &access, &faults, NULL) != 0) {
        (void)fprintf(stderr, "anchors.h: %s", buffer_string(&faults));
        abort();
    }
    return access;
}

#endif
