/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * A source of frames: a grant table, with the status frames that belong to it where they are asked for,
 * or an ioreq server's pages.
 *
 * A sample copies each page once to a private one and compares that with the image; what differs is
 * applied and published once the checks that follow the copy have passed. The shared frames of a grant
 * table stay mapped: as long as they are, the number is nobody else's. Status and ioreq frames are mapped,
 * copied and unmapped each time, since a guest that goes back to version 1 meanwhile, and a device model
 * that ends its server, must find nobody there. Nothing beyond what is in use is mapped.
 */
#ifndef XENRES_MAPPER_SOURCE_FRAMES_H
#define XENRES_MAPPER_SOURCE_FRAMES_H

#include "server/mapper/source.h"

/* `wanted`: whose, and which; checked by range_check_request(). `known`: the domain as it was when its
 * identity was checked. */
int source_frames_new(const struct message_snapshot *wanted, const struct backend_domain *known,
                      struct source **out, struct failure *f);

#endif
