/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Tells a service manager how the start went: sd_notify(3)'s datagram, by hand, as libsystemd would
 * link a compressor and a cipher library into the privileged program. Without NOTIFY_SOCKET in the
 * environment nothing happens; that connecting succeeds is the readiness that needs no manager.
 */
#ifndef XENRES_MAPPER_NOTIFY_H
#define XENRES_MAPPER_NOTIFY_H

#include <stdint.h>

/* How long the manager lets this process be silent before it ends it; 0: for ever. "WATCHDOG=1" is what
 * it wants to hear, twice in that time. */
uint64_t notify_silence_ns(void);

/* "READY=1", "STOPPING=1". Failures are logged: nobody can do more about them. */
void notify_send(const char *state);

#endif
