/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Who the host is: its UUID and the id of this boot. Read once, at the mapper's start, because the
 * firmware's UUID is root's alone to read.
 *
 * The UUID is the firmware's (DMI); where there is none, or one that a vendor left unset, it is
 * made of /etc/machine-id, as `systemd-id128 machine-id --app-specific=HOST_IDENTITY_APPLICATION`
 * makes it: machine-id(5) asks for the id itself to be kept from others. Any thread.
 */
#ifndef XENRES_MAPPER_XEN_HOST_IDENTITY_H
#define XENRES_MAPPER_XEN_HOST_IDENTITY_H

#include "common/text.h"

struct host_identity {
    uint8_t uuid[UUID_BYTES];           /* all zero where none was found */
    char uuid_source[16];               /* "dmi", "machine-id", "" */
    char boot_id[UUID_TEXT_BYTES];      /* "" where it cannot be read */
};

/* Where to look. */
struct host_identity_files {
    const char *product_uuid, *machine_id, *boot_id;
};
extern const struct host_identity_files host_identity_of_linux;

#define HOST_IDENTITY_APPLICATION "ea85ea2e-c39b-46ae-a5fc-56b3af4d8e44"

/* Never fails: what cannot be read is empty. */
void host_identity_read(struct host_identity *out, const struct host_identity_files *files);

#endif
