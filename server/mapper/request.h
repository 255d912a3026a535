/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The requests that the mapper takes: a table of types, each with its exact size and its handler.
 * What is not in the table, or not of that size, is refused before any of it is looked at. Every
 * request but RELEASE and UNWATCH is answered exactly once.
 */
#ifndef XENRES_MAPPER_REQUEST_H
#define XENRES_MAPPER_REQUEST_H

#include "server/mapper/mapper.h"

/* Answers the hello of a peer that was just admitted: makes its arena and doorbell, and sends the
 * descriptors. */
void request_welcome(struct mapper *m, const union message *hello);
/* Handles one message of `len_bytes` from the peer, and answers it or begins a job. The message is
 * overwritten. */
void request_handle(struct mapper *m, union message *request, size_t len_bytes);

#endif
