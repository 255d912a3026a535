/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Watched run times: of those vCPUs whose changed. */
#include <string.h>

#include "server/rpc/present_inspect.h"
#include "server/rpc/watch_decoder.h"

enum { VCPUS_A_BLOCK = FEED_BLOCK_BYTES / sizeof(struct message_vcpu) };

static void begin_vcpus(const struct watch_decoder *d, struct pool *p, Xenres__V1__WatchDecoded *m)
{
    (void)d;
    m->vcpus = pool_array(p, WATCH_ENTRIES_MAX, sizeof(*m->vcpus));
}

static void tell_vcpus(const struct watch_decoder *d, uint32_t block, struct pool *p,
                       Xenres__V1__WatchDecoded *m)
{
    for (uint32_t i = 0; i < VCPUS_A_BLOCK; i++) {
        uint32_t index = block * VCPUS_A_BLOCK + i;
        size_t offset = index * sizeof(struct message_vcpu);
        struct message_vcpu now;

        memcpy(&now, d->now + offset, sizeof(now));
        /* The image is rounded up by entries of zeros. */
        if (now.vcpu == index && (d->whole || memcmp(d->told + offset, &now, sizeof(now)) != 0)) {
            m->vcpus[m->n_vcpus++] = present_vcpu_stats(p, &now);
        }
    }
}

const struct watch_decoding watch_decoding_vcpus = { .entries_a_block = VCPUS_A_BLOCK,
                                                     .begin = begin_vcpus,
                                                     .tell = tell_vcpus };
