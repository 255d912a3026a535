/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/mapper/xen/host_identity.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/scope.h"

enum { LINE_ROOM_BYTES = 64 }; /* a UUID, its end of line, and room to see what is longer */

const struct host_identity_files host_identity_of_linux = {
    .product_uuid = "/sys/class/dmi/id/product_uuid",
    .boot_id = "/proc/sys/kernel/random/boot_id",
};

/* A file of one line, without its end; false where it cannot be read or is anything else. */
static bool read_line(const char *path, char line[LINE_ROOM_BYTES])
{
    SCOPE_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    ssize_t len;

    if (fd < 0) {
        return false;
    }
    do {
        len = read(fd, line, LINE_ROOM_BYTES);
    } while (len < 0 && errno == EINTR);
    if (len <= 0 || len == LINE_ROOM_BYTES) {
        return false;
    }
    if (line[len - 1] == '\n') {
        len--;
    }
    line[len] = '\0';
    return strlen(line) == (size_t)len;
}

/* What firmware answers where the vendor has set no UUID: many machines have these. */
static bool is_placeholder(const uint8_t uuid[UUID_BYTES])
{
    static const char *const unset[] = {
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
        "03000200-0400-0500-0006-000700080009",
        "00020003-0004-0005-0006-000700080009",
    };
    uint8_t one[UUID_BYTES];

    for (size_t i = 0; i < sizeof(unset) / sizeof(unset[0]); i++) {
        if (text_to_uuid(unset[i], one) && memcmp(one, uuid, UUID_BYTES) == 0) {
            return true;
        }
    }
    return false;
}

static bool uuid_of_firmware(const char *path, uint8_t uuid[UUID_BYTES])
{
    char line[LINE_ROOM_BYTES];

    return read_line(path, line) && text_to_uuid(line, uuid) && !is_placeholder(uuid);
}

void host_identity_read(struct host_identity *out, const struct host_identity_files *files)
{
    uint8_t uuid[UUID_BYTES];
    char line[LINE_ROOM_BYTES];

    memset(out, 0, sizeof(*out));
    if (uuid_of_firmware(files->product_uuid, uuid)) {
        memcpy(out->uuid, uuid, UUID_BYTES);
        memcpy(out->uuid_source, "dmi", sizeof("dmi"));
    }
    if (read_line(files->boot_id, line) && text_to_uuid(line, uuid)) {
        text_from_uuid(uuid, out->boot_id);
    }
}
