/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/config_changes.h"

#include <string.h>

/* Read by server/reload.c, or by what it calls, of the configuration that was read again. */
static const char *const live[CONFIG_LIVE_OPTIONS] = {
    "server.policy",
    "server.deny",
    "tls.certificate",
    "tls.key",
    "tls.client_ca",
    "tls.client_certificate",
    "tls.client_crl",
    "tls.expired_crl",
    "tokens.file",
    "tokens.bearer_token",
    "limits.calls_per_identity",
    "limits.arena_percent_per_identity",
    "limits.snapshots",
    "limits.snapshots_per_identity",
    "limits.requests_per_s",
    "limits.requests_per_s_per_identity",
    "limits.bytes_per_s",
    "limits.bytes_per_s_per_identity",
    "limits.pauses_percent",
    "limits.pauses_percent_per_identity",
    "limits.feed_linger_s",
    "limits.subscribers",
    "limits.subscribers_per_identity",
    "limits.spool_mib_per_identity",
    "limits.handshakes_per_s_per_address",
    "limits.handshakes_per_s",
    "limits.handshake_exempt",
};

bool config_is_live(const char *option)
{
    for (size_t i = 0; i < CONFIG_LIVE_OPTIONS; i++) {
        if (strcmp(option, live[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_same_listener(const struct config_listener *a, const struct config_listener *b)
{
    return strcmp(a->title, b->title) == 0 && strcmp(a->listen, b->listen) == 0 &&
           strcmp(a->client_certificate, b->client_certificate) == 0 &&
           strcmp(a->bearer_token, b->bearer_token) == 0;
}

static bool are_same_listeners(const struct config *before, const struct config *now)
{
    bool same = before->listener_count == now->listener_count;

    for (size_t i = 0; same && i < now->listener_count; i++) {
        same = is_same_listener(&before->listener[i], &now->listener[i]);
    }
    return same;
}

void config_changes(const struct config *before, const struct config *now,
                    void (*tell)(void *arg, const char *option), void *arg)
{
#define IF_CHANGED(section, name, is_same)                                                         \
    if (!(is_same) && !config_is_live(#section "." #name)) {                                       \
        tell(arg, #section "." #name);                                                             \
    }
#define CONFIG_TEXT(section, name, value, text)                                                    \
    IF_CHANGED(section, name, strcmp(before->section##_##name, now->section##_##name) == 0)
#define CONFIG_CHOICE(section, name, value, words, text) CONFIG_TEXT(section, name, value, text)
#define CONFIG_NUMBER(section, name, value, low, high, unit, text)                                 \
    IF_CHANGED(section, name, before->section##_##name == now->section##_##name)
#include "server/config.def"
#undef CONFIG_TEXT
#undef CONFIG_CHOICE
#undef CONFIG_NUMBER
#undef IF_CHANGED
    if (!are_same_listeners(before, now)) {
        tell(arg, "listener");
    }
}
