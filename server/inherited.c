/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/inherited.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "common/log.h"

static int *place_of(struct inherited *all, const char *name)
{
    return strcmp(name, "health") == 0   ? &all->health_fd
           : strcmp(name, "keeper") == 0 ? &all->keeper_fd
                                         : NULL;
}

void inherited_take(struct inherited *out, struct doors *doors)
{
    char **names = NULL;
    int count = sd_listen_fds_with_names(1, &names);

    *out = (struct inherited){ -1, -1 };
    for (int i = 0; i < count; i++) {
        int fd = SD_LISTEN_FDS_START + i;
        int *place = place_of(out, names[i]);

        if (place != NULL && *place < 0) {
            *place = fd;
        } else if (!doors_take(doors, names[i], fd)) {
            log_warning("a socket named %s was handed over, and is not used", names[i]);
            (void)close(fd);
        }
        free(names[i]);
    }
    free(names);
}
