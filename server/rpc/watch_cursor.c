/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/rpc/watch_cursor.h"

#include <string.h>

#include "common/buffer.h"
#include "server/rpc/page.h"

#define PURPOSE "watch cursor"

struct content {
    XXH128_canonical_t caller, filter;
    uint64_t
        policy; /* which domains were seen; without a filter 0: of one resource access alone decides */
    struct feed_cursor cursor;
};
_Static_assert(sizeof(struct content) <= SEAL_CONTENT_MAX_BYTES, "fits a token");
_Static_assert(sizeof(struct content) ==
                   2 * sizeof(XXH128_canonical_t) + sizeof(uint64_t) + FEED_CURSOR_BYTES,
               "has no padding");

char *watch_cursor_make(const struct call *c, struct pool *p, const struct feed_cursor *cursor,
                        const XXH128_canonical_t *filter)
{
    struct content content = { .caller = page_caller_digest(c->who), .cursor = *cursor };
    BUFFER_AUTO(text, SEAL_TOKEN_MAX_BYTES);

    if (filter != NULL) {
        content.filter = *filter;
        content.policy = policy_digest(c->policy);
    }
    if (seal_make(c->seal, PURPOSE, &content, sizeof(content), &text, NULL) != 0) {
        return pool_string(p, "");
    }
    return pool_string(p, buffer_string(&text));
}

static int not_ours(struct failure *f)
{
    int result = failure_set(f, ERROR_INVALID_ARGUMENT, "cursor is none of this stream");

    failure_field(f, result, "cursor");
    failure_cause(f, result, "it was changed, or given to another caller, or for other arguments");
    return failure_next(f, result, "begin anew without one, and send each as it came");
}

int watch_cursor_open(const struct call *c, const char *token, const XXH128_canonical_t *filter,
                      struct feed_cursor *out, bool *same_policy, struct failure *f)
{
    static const XXH128_canonical_t none;
    struct content content;
    size_t len_bytes = 0;
    XXH128_canonical_t caller = page_caller_digest(c->who);

    if (strlen(token) > SEAL_TOKEN_MAX_BYTES ||
        seal_open(c->seal, PURPOSE, token, &content, sizeof(content), &len_bytes, NULL) != 0 ||
        len_bytes != sizeof(content) || memcmp(&content.caller, &caller, sizeof(caller)) != 0 ||
        memcmp(&content.filter, filter != NULL ? filter : &none, sizeof(none)) != 0) {
        return not_ours(f);
    }
    *out = content.cursor;
    *same_policy = content.policy == (filter != NULL ? policy_digest(c->policy) : 0);
    return 0;
}

int watch_cursor_of_another(struct failure *f)
{
    int result = failure_set(f, ERROR_INVALID_ARGUMENT, "cursor is of another stream");

    failure_field(f, result, "cursor");
    failure_cause(f, result, "it is of another resource, range, or kind of content");
    return failure_next(f, result, "send it with the request that it came from");
}
