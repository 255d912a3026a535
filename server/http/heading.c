/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/http/heading.h"

#include <string.h>
#include <strings.h>

#include "common/text.h"
#include "server/rpc/metadata.h"

static enum MHD_Result match(void *arg, enum MHD_ValueKind kind, const char *name,
                             const char *value)
{
    struct heading_search *s = arg;

    (void)kind;
    if (strcasecmp(name, s->name) == 0 && s->count++ == 0) {
        s->value = value != NULL ? value : "";
    }
    return MHD_YES;
}

struct heading_search heading_find(struct MHD_Connection *mhd, const char *name)
{
    struct heading_search s = { .name = name };

    (void)MHD_get_connection_values(mhd, MHD_HEADER_KIND, match, &s);
    return s;
}

/* What a look at all headers finds. */
struct heading {
    struct heading_search length, coding, expect;
    bool is_malformed;
};

static enum MHD_Result note_header(void *arg, enum MHD_ValueKind kind, const char *name,
                                   const char *value)
{
    struct heading *h = arg;

    h->is_malformed |= !metadata_is_name(name);
    (void)match(&h->length, kind, name, value);
    (void)match(&h->coding, kind, name, value);
    return match(&h->expect, kind, name, value);
}

struct framing heading_framing(struct MHD_Connection *mhd, const char *version)
{
    struct heading h = { .length.name = MHD_HTTP_HEADER_CONTENT_LENGTH,
                         .coding.name = MHD_HTTP_HEADER_TRANSFER_ENCODING,
                         .expect.name = MHD_HTTP_HEADER_EXPECT };
    struct framing f = { 0 };

    (void)MHD_get_connection_values(mhd, MHD_HEADER_KIND, note_header, &h);
    f.expects_continue = h.expect.count > 0;
    if (h.is_malformed) { /* "Transfer-Encoding :" is framing to some, and nothing to others */
        f.fault = "a header whose name is none";
    } else if (h.coding.count > 0) {
        if (h.length.count > 0) {
            f.fault = "both Content-Length and Transfer-Encoding";
        } else if (h.coding.count > 1 || strcasecmp(h.coding.value, "chunked") != 0) {
            f.fault = "a Transfer-Encoding other than chunked";
        } else if (strcmp(version, MHD_HTTP_VERSION_1_1) != 0) {
            f.fault = "a Transfer-Encoding, which HTTP/1.0 does not have"; /* 9112, 6.1 */
        }
        f.has_body = true;
    } else if (h.length.count > 0) {
        f.has_length = true;
        if (h.length.count > 1) {
            f.fault = "more than one Content-Length";
        } else if (!text_to_u64(h.length.value, UINT64_MAX, &f.length_bytes)) {
            f.fault = "a Content-Length that is no plain number";
        }
    }
    f.has_body |= f.fault != NULL || f.length_bytes > 0;
    return f;
}
