/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The mapper's main thread, beside which only the samplers' do anything: waits for signals, connections,
 * the peer, the samplers and the hypervisor's events, and gives every copy its turn. Nothing in it blocks
 * but, for a bounded time, the end of what is sampled of a domain that dies.
 */
#ifndef XENRES_MAPPER_LOOP_H
#define XENRES_MAPPER_LOOP_H

#include "server/mapper/mapper.h"

struct loop_options {
    int signal_fd; /* a signalfd: anything that it reports ends the loop */
    bool exit_with_peer;
    uint64_t grace_ns;   /* how long mappings and feeds outlive the peer */
    uint64_t silence_ns; /* notify_silence_ns() */
};

/* Returns when told to stop, or with exit_with_peer when the first peer is gone. Nothing is mapped
 * then. */
void loop_run(struct mapper *m, const struct loop_options *options);

#endif
