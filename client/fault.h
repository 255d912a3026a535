/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * A failure on its way through the library: the project's own value, and what only a client knows.
 * Each public function has one on its stack and hands it to fault_export() at its end. Pure.
 */
#ifndef XENRES_CLIENT_FAULT_H
#define XENRES_CLIENT_FAULT_H

#include "client/include/xenres.h"
#include "common/error.h"

struct fault {
    struct failure failure;
    int http_status;     /* 0: no answer came */
    char errno_name[24]; /* as the gateway wrote it; else "" and failure.xen_errno counts */
    bool may_pass;       /* it is of the moment: the same request may succeed when sent again */
    bool is_cut;         /* what came is the beginning of a proper answer, without its end */
    uint32_t tries;      /* how often it was sent, or was tried to be */
};

/* Returns `result`; where that is a failure, fills the caller's value (may be NULL). */
int fault_export(int result, const struct fault *fault, xenres_error *error);

/*
 * A struct with its size first, from a program that may be older or newer than the library: copies
 * what both know. -ERROR_INVALID_ARGUMENT for a size below the first version's (`size_bytes`, as
 * long as there is one version), and where a newer program uses what this library does not have.
 */
int fault_copy_sized(void *out, const void *in, size_t size_bytes, const char *what,
                     struct fault *fault);

#endif
