/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* Streams that watch, on the services of rpc_rig.h and the feeds of fake_feeds.h. */
#ifndef XENRES_TESTS_WATCH_RIG_H
#define XENRES_TESTS_WATCH_RIG_H

#include "tests/lib/fake_feeds.h"
#include "tests/lib/watching.h"

/* Lists the domains for a first stream, which is then refused or ended: later ones find them known. */
static inline void watch_rig_begin(struct rpc_rig *r)
{
    const struct rpc_rig_limits limits = { .response_max_bytes = 2 << 20, .arena_frames = 500 };
    struct flight f = { 0 };

    rpc_rig_init_limited(r, NULL, &limits);
    rpc_rig_join(r);
    flight_send(r, &f, &r->alice, "GET", "/v1/domains/web-1/resources/grant_table/0/frames", NULL,
                0);
    rpc_rig_domains(r);
    rpc_rig_frames(r, 0, 1);
    assert_int_equal(flight_reply(&f)->status, 200);
    flight_done(&f);
}

static inline void watch_open_as(struct rpc_rig *r, struct watching *w, const struct identity *who,
                                 const char *method, const char *json)
{
    size_t before = fake_feeds.count;

    watch_ask(r, w, who, method, json);
    assert_true(flight_reply(&w->flight)->status == 200);
    w->feed = fake_feeds.count > before ? &fake_feeds.all[before] : NULL;
}

#endif
