/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* The limits of xenresd.conf as the parts take them, and those of them that are shares of what the mapper
 * has. Pure but for the quota; any thread. */
#ifndef XENRES_SERVER_LIMITS_H
#define XENRES_SERVER_LIMITS_H

#include "auth/quota.h"
#include "common/message.h"
#include "server/config.h"
#include "server/http/listener.h"
#include "server/resource/feeds.h"

/* A guess of the mapper's arena, until it is known. Pauses are not limited until then. */
void limits_of_config(const struct config *c, struct quota_limits *out);
struct feeds_options limits_of_feeds(const struct config *c);
/* handshake_exempt is borrowed. */
struct listener_limits limits_of_listener(const struct config *c);
/* A mapper is there. */
void limits_follow_mapper(const struct config *c, const struct message_hello_answer *hello,
                          struct quota *q);

#endif
