/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Lists that come in pages → one reply whose message has them all, with an empty next_page_token,
 * as if the server had answered at once. Bounded in pages and elements: a server whose tokens go
 * round in a circle does not keep us forever.
 */
#ifndef XENRES_CLIENT_PAGES_H
#define XENRES_CLIENT_PAGES_H

#include "client/handle.h"
#include "client/reply.h"

enum {
    PAGES_SIZE = 1000, /* elements asked for at once: the most that the server gives */
    PAGES_ELEMENTS_MAX = 65536,
    PAGES_MAX = 4096, /* the server may give smaller ones */
};

/* Where a response keeps its list: pointers into the message. */
struct pages_list {
    ProtobufCMessage ***items; /* an array from malloc(), or NULL */
    size_t *count;
    char **next_page_token;
};

struct pages_kind {
    /* Gets one page; `page_token` is "" for the first. */
    int (*call)(xenres *handle, void *arg, const char *page_token, xenres_reply **page,
                struct fault *fault);
    struct pages_list (*list)(ProtobufCMessage *message);
    /* Does this page belong with the first? May be NULL: always. */
    int (*match)(const ProtobufCMessage *first, const ProtobufCMessage *page, struct fault *fault);
};

int pages_collect(xenres *handle, const struct pages_kind *kind, void *arg, xenres_reply **out,
                  struct fault *fault);

#endif
