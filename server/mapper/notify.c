/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See notify.h. */
#include "server/mapper/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/log.h"
#include "common/scope.h"
#include "common/text.h"

uint64_t notify_silence_ns(void)
{
    const char *silence = getenv("WATCHDOG_USEC");
    const char *pid = getenv("WATCHDOG_PID");
    uint64_t silence_us, number;
    if (!silence || !text_to_u64(silence, UINT64_MAX / 1000, &silence_us)) {
        return 0;
    }
    if (pid && (!text_to_u64(pid, INT32_MAX, &number) || number != (uint64_t)getpid())) {
        return 0; /* somebody else's, who has started us */
    }
    return silence_us * 1000;
}

void notify_send(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    if (!path || path[0] == '\0') {
        return;
    }
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    size_t len = strlen(path);
    if (len >= sizeof(address.sun_path) || (path[0] != '/' && path[0] != '@')) {
        log_warning("NOTIFY_SOCKET is no socket's path");
        return;
    }
    memcpy(address.sun_path, path, len);
    if (path[0] == '@') {
        address.sun_path[0] = '\0'; /* abstract */
    }
    SCOPE_FD int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t address_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    if (fd < 0 || sendto(fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT,
                         (const struct sockaddr *)&address, address_len) < 0) {
        log_warning("telling the service manager: %s", error_errno_name(errno));
    }
}
