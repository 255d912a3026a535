/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/rpc/page.h"

#include <assert.h>
#include <string.h>

#include "common/buffer.h"

/* What a token seals. Of the caller a digest, since a name has room for more than a token. That it
 * is no cryptographic one does no harm: a token gives nobody anything that he could not list. */
struct content {
    XXH128_canonical_t caller;
    uint8_t place[PAGE_PLACE_MAX_BYTES];
};
_Static_assert(sizeof(struct content) <= SEAL_CONTENT_MAX_BYTES, "fits a token");

XXH128_canonical_t page_caller_digest(const struct identity *who)
{
    XXH128_canonical_t digest;

    XXH128_canonicalFromHash(&digest, XXH3_128bits(who->text, strlen(who->text)));
    return digest;
}

int page_size(int32_t asked, uint32_t *out, struct failure *f)
{
    if (asked < 0) {
        int result = failure_set(f, ERROR_INVALID_ARGUMENT, "page_size is %d", asked);

        failure_field(f, result, "page_size");
        failure_cause(f, result, "a page has 1 to %d rows", PAGE_MAX);
        return failure_next(f, result, "leave it out for %d", PAGE_DEFAULT);
    }
    *out = asked == 0 ? PAGE_DEFAULT : asked > PAGE_MAX ? PAGE_MAX : (uint32_t)asked;
    return 0;
}

int page_token_make(struct call *c, const char *list, const void *place, size_t place_bytes,
                    char **token, struct failure *f)
{
    struct content content = { .caller = page_caller_digest(c->who) };
    BUFFER_AUTO(text, SEAL_TOKEN_MAX_BYTES);

    assert(place_bytes <= sizeof(content.place));
    memcpy(content.place, place, place_bytes);
    int result =
        seal_make(c->seal, list, &content, offsetof(struct content, place) + place_bytes, &text, f);

    if (result == 0) {
        *token = pool_string(&c->pool, buffer_string(&text));
    }
    return result;
}

static int not_ours(struct failure *f)
{
    int result = failure_set(f, ERROR_INVALID_ARGUMENT, "page_token is none of this list");

    failure_field(f, result, "page_token");
    failure_cause(f, result, "it was changed, or made for another list, caller or arguments");
    return failure_next(f, result, "begin again without one, and send each as it came");
}

int page_token_of_another(struct failure *f)
{
    int result = failure_set(f, ERROR_INVALID_ARGUMENT, "page_token is of another question");

    failure_field(f, result, "page_token");
    return failure_next(f, result, "ask for each page with the same arguments");
}

int page_token_open(struct call *c, const char *list, const char *token, void *place,
                    size_t place_bytes, struct failure *f)
{
    struct content content;
    size_t len_bytes = 0;
    XXH128_canonical_t caller = page_caller_digest(c->who);

    if (token[0] == '\0') {
        return 0;
    }
    if (strlen(token) > SEAL_TOKEN_MAX_BYTES ||
        seal_open(c->seal, list, token, &content, sizeof(content), &len_bytes, NULL) != 0 ||
        len_bytes != offsetof(struct content, place) + place_bytes ||
        memcmp(&content.caller, &caller, sizeof(caller)) != 0) {
        return not_ours(f);
    }
    memcpy(place, content.place, place_bytes);
    return 0;
}
