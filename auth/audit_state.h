/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What the audit keeps beside its file, in server.state_dir:
 *
 *      audit.key       key 1 of the chain: whoever checks records needs it, the service never again. Made
 *                      once, root's where the service is started as root; to be moved to where the service
 *                      cannot read it
 *      audit.state     the link that comes next, and how long the file is: the service's, mapped, so
 *                      that it is as it was left whenever the process is killed. Locked while in use
 *      audit.sign.key  the key that signs checkpoints
 *      audit.sign.pub  its public half, for whoever checks them
 *
 * Keys are 64 hex digits and a newline. The state has two places that are written in turn, each with a
 * checksum; once one is written the other's key is wiped. One thread.
 */
#ifndef XENRES_AUTH_AUDIT_STATE_H
#define XENRES_AUTH_AUDIT_STATE_H

#include <sys/types.h>

#include "auth/audit_chain.h"

enum audit_state_flags {
    AUDIT_STATE_ROTATING = 1, /* the file ends here; what comes next is another's first record */
    AUDIT_STATE_STOPPED = 2,  /* the service ended by itself */
};

struct audit_position {
    struct audit_link link;
    uint64_t file_len_bytes; /* of what belongs to the chain */
    uint32_t flags;
};

/* Who the service will be: files that it has to write are made his. (uid_t)-1: who we are. */
struct audit_owner {
    uid_t uid;
    gid_t gid;
};

struct audit_state;
/* Opens what is in `dir`, or makes it all where there is nothing. *made: it was, and the operator should
 * know where the key is. -ERROR_FAILED_PRECONDITION: a part of it is gone or unsafe: nothing is made anew
 * over what a chain has left; -ERROR_UNAVAILABLE: another process has it. */
int audit_state_open(const char *dir, const struct audit_owner *owner, struct audit_state **out,
                     bool *made, struct failure *f);
void audit_state_close(struct audit_state *s); /* wipes what it knows; NULL is fine */

const uint8_t *audit_state_chain(const struct audit_state *s); /* AUDIT_ID_BYTES */
const struct audit_signer *audit_state_signer(const struct audit_state *s);
void audit_state_read(const struct audit_state *s, struct audit_position *out);
/* No system call, and never fails. */
void audit_state_store(struct audit_state *s, const struct audit_position *p);
int audit_state_sync(struct audit_state *s); /* to the disk; 0 or -1 with errno */

/* For whoever checks: a key of `path`, and how far a state file says the chain came. */
int audit_key_read(const char *path, bool is_secret, uint8_t key[AUDIT_KEY_BYTES],
                   struct failure *f);
int audit_state_peek(const char *path, uint64_t *last_sequence, struct failure *f);

#endif
