/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The files that the service reads at its start and again at a reload: server certificate and key,
 * client authorities, policy. All of them, or none.
 */
#ifndef XENRES_SERVER_MATERIAL_H
#define XENRES_SERVER_MATERIAL_H

#include "auth/access.h"
#include "auth/policy.h"
#include "common/buffer.h"
#include "server/config.h"
#include "server/http/listener.h"

enum { MATERIAL_PEM_MAX_BYTES = 256 * 1024 };

struct material {
    struct buffer certificate, key; /* PEM */
    struct access *access;
    struct policy *policy;
};

/* Where root loads it: secrets may also belong to server.user, whom root becomes before anybody is served.
 * Where there is no such user: to anybody whose the key is, so that not more is said to be wrong. */
void material_accept_user(const struct config *config);
/* Every fault is a line in `faults`; -ERROR_INVALID_ARGUMENT (or what the first one is) then. */
int material_load(const struct config *config, struct material *out, struct buffer *faults,
                  struct failure *f);
/* Where a configuration has what decides who clients are; borrowed from it. */
void material_access_options(const struct config *config, struct access_options *out);
/* That part by itself. */
int material_load_access(const struct config *config, struct access **out, struct buffer *faults,
                         struct failure *f);
/* As the listener takes them; borrowed from `m`. */
struct listener_pem material_pem(const struct material *m);
/* Wipes the key. Fine on a zeroed one. */
void material_done(struct material *m);

#endif
