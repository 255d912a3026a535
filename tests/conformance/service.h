/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* connectrpc.conformance.v1.ConformanceService on the project's own rpc: answers as each request
 * says, so that the suite's client can see whether it comes out as asked for. */
#ifndef XENRES_TESTS_CONFORMANCE_SERVICE_H
#define XENRES_TESTS_CONFORMANCE_SERVICE_H

#include "server/rpc/method.h"

extern const struct method_table conformance_table;

#endif
