/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/mapper/sim/guest_scribbler.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/layout.h"
#include "server/mapper/sim/draw.h"

struct guest_scribbler {
    uint64_t *words;
    size_t word_count;
    uint64_t random;
    atomic_bool stopping;
    pthread_t thread;
};

static void *scribble(void *arg)
{
    struct guest_scribbler *s = arg;

    while (!atomic_load_explicit(&s->stopping, memory_order_relaxed)) {
        size_t word = (size_t)(draw_next(&s->random) % s->word_count);

        __atomic_store_n(s->words + word, draw_next(&s->random), __ATOMIC_RELAXED);
    }
    return NULL;
}

int guest_scribbler_start(const struct pages *pages, uint32_t frame_count, uint64_t seed,
                          struct guest_scribbler **out, struct failure *f)
{
    struct guest_scribbler *s = calloc(1, sizeof(*s));

    if (s == NULL) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for a guest that scribbles");
    }
    s->words = (uint64_t *)(void *)pages->memory;
    s->word_count = (size_t)frame_count * LAYOUT_FRAME_BYTES / sizeof(*s->words);
    s->random = seed;
    atomic_init(&s->stopping, false);
    sigset_t all, before;

    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* they are for the mapper's own threads */
    int errnum = pthread_create(&s->thread, NULL, scribble, s);

    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (errnum != 0) {
        free(s);
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "cannot start a guest that scribbles: %s",
                           strerror(errnum));
    }
    *out = s;
    return 0;
}

void guest_scribbler_stop(struct guest_scribbler *s)
{
    if (s == NULL) {
        return;
    }
    atomic_store_explicit(&s->stopping, true, memory_order_relaxed);
    (void)pthread_join(s->thread, NULL);
    free(s);
}
