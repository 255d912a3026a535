/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * One connection to the mapper, with the arena that came with its hello, the slots handed out of
 * it, and their release. Counted: slots keep the mapping of an arena whose mapper is gone.
 *
 * Releases: sent at once by whoever drops the last reference, but left to the receiving thread
 * while an answer is on its way to it anyway, or in a busy time, so that a busy gateway sends one
 * message for many slots. A slot waits in a list made of the slots themselves: no release can be
 * lost for want of memory, and the list is as long as the arena has slots at most.
 *
 * Any thread; what only the receiving thread may call says so. Lock: one, of the list; nothing is
 * called under it.
 */
#ifndef XENRES_RESOURCE_MAPPER_LINK_H
#define XENRES_RESOURCE_MAPPER_LINK_H

#include <sys/types.h>

#include "common/channel.h"
#include "server/resource/mapper_client.h"

enum {
    /* Slots that a release waits for while answers are on their way: half a message, so that
     * neither the arena nor the thread that gathers notices. */
    MAPPER_LINK_GATHER = MESSAGE_RELEASES_MAX / 2,
    /* Slots of so many bytes together are released at once: others may want the room. */
    MAPPER_LINK_GATHER_BYTES = 1 << 20,
    /* How long the receiving thread leaves releases lying while no answer comes; and answers that
     * follow each other sooner are a busy time, in which releases are left to it. */
    MAPPER_LINK_GATHER_MS = 1,
};

struct mapper_link;

/* Connects. `wake_fd` is an eventfd, duplicated here, that wakes the receiving thread. */
int mapper_link_open(const char *path, int wake_fd, struct mapper_link **out, struct failure *f);
struct mapper_link *mapper_link_ref(struct mapper_link *l);
void mapper_link_unref(struct mapper_link *l); /* NULL is fine */
int mapper_link_fd(const struct mapper_link *l);

/*
 * Maps the arena that the hello describes, read-only. `fd` stays the caller's. -ERROR_INTERNAL
 * where the descriptor is not what an honest mapper sends: memory that the mapper could shrink or
 * punch under our mapping would end this process with SIGBUS, and memory that others could write
 * would let them put words into a guest's mouth. Receiving thread, once, before any slot.
 */
int mapper_link_set_arena(struct mapper_link *l, const struct message_hello_answer *hello, int fd,
                          struct failure *f);

/* -ERROR_RESOURCE_EXHAUSTED: the mapper does not read; -ERROR_UNAVAILABLE: it is gone, or the link
 * was ended. */
int mapper_link_send(struct mapper_link *l, const union message *m, struct failure *f);
/* As channel_receive(). Receiving thread. */
ssize_t mapper_link_receive(struct mapper_link *l, union message *m, int *fds, size_t *fd_count,
                            struct failure *f);

/* Counts the answers that are still to come. */
void mapper_link_call_begins(struct mapper_link *l);
void mapper_link_call_ends(struct mapper_link *l);
unsigned mapper_link_calls(const struct mapper_link *l);

/* A slot as an answer names it, with one reference. -ERROR_INTERNAL where it lies outside the
 * arena; -ERROR_RESOURCE_EXHAUSTED without memory (the slot is released then). */
int mapper_link_take_slot(struct mapper_link *l, const struct message_slot *slot,
                          struct mapper_slot **out, struct failure *f);

/* What the receiving thread has to wait for on the link's account. */
struct mapper_link_wants {
    bool writable;  /* releases wait for room in the socket */
    int timeout_ms; /* releases wait to be gathered; -1: none do */
};
enum mapper_link_pace {
    MAPPER_LINK_IDLE, /* it waited, and nothing came: all releases are due */
    MAPPER_LINK_CALM, /* something came after a while */
    MAPPER_LINK_BUSY, /* something came soon after what came before */
};
/* Sends releases that are due. Receiving thread, before it waits. */
struct mapper_link_wants mapper_link_tend(struct mapper_link *l, enum mapper_link_pace pace);
/* Sends all releases that wait. */
void mapper_link_flush(struct mapper_link *l);

/* Shuts the connection down: nothing is sent any more, and releases are forgotten, since the mapper
 * frees all slots of a peer that goes. Slots stay readable. */
void mapper_link_end(struct mapper_link *l);

#endif
