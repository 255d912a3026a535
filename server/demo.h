/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * `xenresd --demo DIR`: a whole gateway in one folder, on the simulator: certificates, configuration,
 * policy and export list that a reader can open, and DIR/env for the clients when it serves.
 * What is there already is used as it is, so that a demo can be changed and started again.
 */
#ifndef XENRES_SERVER_DEMO_H
#define XENRES_SERVER_DEMO_H

#include "common/error.h"
#include "server/config.h"

struct demo_options {
    const char *dir;      /* made where it is not */
    const char *listen;   /* NULL: loopback, a port of the kernel's choice */
    const char *scenario; /* NULL: the simulator's own */
};

/* Makes what is missing. DIR/xenresd.conf is written anew when options ask for another one. A DIR
 * that others can write into is refused: -ERROR_FAILED_PRECONDITION. */
int demo_prepare(const struct demo_options *options, char config_path[CONFIG_TEXT_BYTES],
                 struct failure *f);

/* For supervisor_options.on_ready: writes DIR/env, whole or not at all. `arg`: the absolute DIR. */
int demo_ready(void *arg, const char *address, uint16_t port, struct failure *f);

#endif
