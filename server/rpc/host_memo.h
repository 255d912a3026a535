/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The mapper's last word about the host, for as long as it is fresh: however many ask for the host,
 * Xen is asked a hundred times a second at most. Of one start of the mapper: another one's is never
 * told. Any thread.
 */
#ifndef XENRES_RPC_HOST_MEMO_H
#define XENRES_RPC_HOST_MEMO_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/message.h"

enum { HOST_MEMO_FRESH_MS = 10 };

struct host_memo;

int host_memo_new(struct host_memo **out, struct failure *f);
void host_memo_free(struct host_memo *m); /* NULL is fine */

/* `mapper_id`: of its hello, 16 bytes. False: there is none, or it is not fresh any more. */
bool host_memo_get(struct host_memo *m, const uint8_t *mapper_id, struct message_host_answer *out);
void host_memo_put(struct host_memo *m, const uint8_t *mapper_id,
                   const struct message_host_answer *answer);

#endif
