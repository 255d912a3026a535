/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/pages.h"

#include <stdlib.h>
#include <string.h>

static int too_many(struct fault *fault)
{
    int result = failure_set(&fault->failure, ERROR_RESOURCE_EXHAUSTED,
                             "the list has more than %d elements or %d pages", PAGES_ELEMENTS_MAX,
                             PAGES_MAX);

    return failure_cause(&fault->failure, result, "no host has so many: a faulty gateway");
}

/* Moves the elements of `from` to the end of `into`. Arrays of unpacked messages are malloc()'s. */
static int move_elements(const struct pages_list *into, const struct pages_list *from,
                         struct fault *fault)
{
    size_t total = *into->count + *from->count; /* each at most PAGES_ELEMENTS_MAX */

    if (*from->count == 0) {
        return 0;
    }
    ProtobufCMessage **longer = realloc(*into->items, total * sizeof(*longer));

    if (longer == NULL) {
        return failure_set(&fault->failure, ERROR_RESOURCE_EXHAUSTED, "no memory for an answer");
    }
    memcpy(longer + *into->count, *from->items, *from->count * sizeof(*longer));
    *into->items = longer;
    *into->count = total;
    free(*from->items);
    *from->items = NULL;
    *from->count = 0;
    return 0;
}

/* The page's token for the next one moves to the first page's message: the unpacker's strings are
 * malloc()'s, but for the empty one, which is a constant of protobuf-c's. */
static void move_token(const struct pages_list *into, const struct pages_list *from)
{
    char *old = *into->next_page_token;

    *into->next_page_token = *from->next_page_token;
    *from->next_page_token = old;
}

static int add_page(xenres_reply *all, xenres_reply *page, const struct pages_kind *kind,
                    struct fault *fault)
{
    struct pages_list into = kind->list(all->message);
    struct pages_list from = kind->list(page->message);

    if (*from.count > PAGES_ELEMENTS_MAX - *into.count) {
        return too_many(fault);
    }
    int result = kind->match != NULL ? kind->match(all->message, page->message, fault) : 0;

    if (result == 0) {
        result = move_elements(&into, &from, fault);
    }
    if (result == 0) {
        move_token(&into, &from);
    }
    return result;
}

int pages_collect(xenres *handle, const struct pages_kind *kind, void *arg, xenres_reply **out,
                  struct fault *fault)
{
    REPLY_AUTO all = NULL;
    int result = kind->call(handle, arg, "", &all, fault);

    if (result != 0) {
        return result;
    }
    struct pages_list list = kind->list(all->message);
    unsigned pages = 1;

    if (*list.count > PAGES_ELEMENTS_MAX) {
        return too_many(fault);
    }
    for (; (*list.next_page_token)[0] != '\0'; pages++) {
        REPLY_AUTO page = NULL;

        if (pages >= PAGES_MAX) {
            return too_many(fault);
        }
        result = kind->call(handle, arg, *list.next_page_token, &page, fault);
        if (result == 0) {
            result = add_page(all, page, kind, fault);
        }
        if (result != 0) {
            return result;
        }
    }
    if (pages > 1) {
        result = reply_repack(all, fault);
    }
    if (result == 0) {
        *out = all;
        all = NULL;
    }
    return result;
}
