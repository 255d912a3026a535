/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Who the host is: its UUID and the id of this boot. Read once, at the mapper's start, because the
 * firmware's UUID is root's alone to read.
 *
 * The UUID is the firmware's (DMI). Where there is none, or one that a vendor left unset, xenresd puts
 * one in its place that needs no privilege. Any thread.
 */
#ifndef XENRES_MAPPER_XEN_HOST_IDENTITY_H
#define XENRES_MAPPER_XEN_HOST_IDENTITY_H

#include "common/text.h"

struct host_identity {
    uint8_t uuid[UUID_BYTES];      /* all zero where none was found */
    char uuid_source[16];          /* "dmi", "" */
    char boot_id[UUID_TEXT_BYTES]; /* "" where it cannot be read */
};

/* Where to look. */
struct host_identity_files {
    const char *product_uuid, *boot_id;
};
extern const struct host_identity_files host_identity_of_linux;

/* Never fails: what cannot be read is empty. */
void host_identity_read(struct host_identity *out, const struct host_identity_files *files);

#endif
