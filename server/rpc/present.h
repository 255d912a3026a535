/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What the mapper says, as the API's shared messages. Everything is made in a pool; where that is
 * exhausted, pointers may be NULL and the pool's `failed` is set: look once, before sending.
 * Numbers become enums by tables: what no row has becomes the enum's UNSPECIFIED. Texts from guests
 * and toolstacks are escaped. Pure, any thread.
 */
#ifndef XENRES_RPC_PRESENT_H
#define XENRES_RPC_PRESENT_H

#include "common/message.h"
#include "server/rpc/pool.h"
#include "xenres/v1/domain.pb-c.h"
#include "xenres/v1/failure.pb-c.h"

enum { CONTENT_TAG_BYTES = 2 * 16 + 1 };

/* Escaped, UTF-8. */
char *present_text(struct pool *p, const char *text);
char *present_uuid(struct pool *p, const uint8_t uuid[UUID_BYTES]);

Xenres__V1__DomainIdentity *present_identity(struct pool *p, const struct domain_identity *d);
Xenres__V1__Observation *present_observation(struct pool *p, const struct message_observation *o);
Google__Protobuf__Timestamp *present_time(struct pool *p, uint64_t wall_ns);
Xenres__V1__XenFailure *present_failure(struct pool *p, const struct failure *f);

Xenres__V1__ResourceType present_resource_type(uint32_t type);
/* enum resource_type, or -1. */
int present_to_resource_type(Xenres__V1__ResourceType type);
/* "aligned_8_bytes": for headers. */
const char *present_consistency_name(uint32_t consistency);

/* 32 hexadecimal digits. */
void present_content_tag(const struct message_observation *o, char out[CONTENT_TAG_BYTES]);

/* A message of generated type T, initialised, in the pool; NULL when that failed. */
#define PRESENT_NEW(pool, T, prefix)                                                               \
    (__extension__({                                                                               \
        T *present_new_ = pool_alloc((pool), sizeof(T));                                           \
        if (present_new_ != NULL) {                                                                \
            prefix##__init(present_new_);                                                          \
        }                                                                                          \
        present_new_;                                                                              \
    }))

#endif
