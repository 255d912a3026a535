/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/doors.h"

#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "common/scope.h"

_Static_assert(1 + sizeof(((struct config *)0)->listener) / sizeof(struct config_listener) ==
                   LISTENER_DOORS_MAX,
               "as many doors as a configuration may have");

/* One of the choices of config.def. */
static enum listener_demand demand(const char *word)
{
    return strcmp(word, "none") == 0       ? LISTENER_NONE
           : strcmp(word, "optional") == 0 ? LISTENER_OPTIONAL
                                           : LISTENER_REQUIRED;
}

void doors_init(struct doors *d, const struct config *c)
{
    *d = (struct doors){ .count = 1 + c->listener_count };
    d->door[0] = (struct listener_door){ .listen_fd = -1,
                                         .certificate = demand(c->tls_client_certificate),
                                         .token = demand(c->tokens_bearer_token) };
    (void)snprintf(d->name[0], DOORS_NAME_BYTES, "public");
    for (size_t i = 1; i < d->count; i++) {
        const struct config_listener *section = &c->listener[i - 1];

        d->door[i] = (struct listener_door){ .listen_fd = -1,
                                             .certificate = demand(section->client_certificate),
                                             .token = demand(section->bearer_token) };
        (void)snprintf(d->name[i], DOORS_NAME_BYTES, "listener.%s", section->title);
    }
}

bool doors_take(struct doors *d, const char *name, int fd)
{
    for (size_t i = 0; i < d->count; i++) {
        if (d->door[i].listen_fd < 0 && strcmp(d->name[i], name) == 0) {
            d->door[i].listen_fd = fd;
            d->door[i].is_shared = true;
            return true;
        }
    }
    return false;
}

int doors_bind(struct doors *d, const struct config *c, struct failure *f)
{
    int result = 0;

    for (size_t i = 0; result == 0 && i < d->count; i++) {
        if (d->door[i].listen_fd < 0) {
            result = listener_bind(i == 0 ? c->server_listen : c->listener[i - 1].listen,
                                   &d->door[i].listen_fd, f);
        }
    }
    return result;
}

void doors_log(const struct doors *d)
{
    for (size_t i = 0; i < d->count; i++) {
        log_info("%s%slistening on port %u", i > 0 ? d->name[i] : "", i > 0 ? ": " : "",
                 listener_bound_port(d->door[i].listen_fd));
    }
}

void doors_close(struct doors *d)
{
    for (size_t i = 0; i < d->count; i++) {
        scope_close_fd(&d->door[i].listen_fd);
    }
}

void doors_handed_on(struct doors *d)
{
    for (size_t i = 0; i < d->count; i++) {
        d->door[i].listen_fd = -1;
    }
}
