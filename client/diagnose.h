/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Why no answer came: libcurl's codes and words → a failure with its cause and the next step. */
#ifndef XENRES_CLIENT_DIAGNOSE_H
#define XENRES_CLIENT_DIAGNOSE_H

#include "client/handle.h"

/* Fills the fault from the request that just failed with `code` (not CURLE_OK); returns -code of
 * ours. */
int diagnose(xenres *handle, CURLcode code, struct fault *fault);

#endif
