/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/head.h"

#include <string.h>
#include <strings.h>

bool head_is_type(const char *value, const char *type)
{
    size_t len = strlen(type);

    if (value == NULL || strncasecmp(value, type, len) != 0) {
        return false;
    }
    return value[len] == '\0' || value[len] == ';' || value[len] == ' ';
}

static bool has_stated_end(xenres *handle)
{
    const char *transfer = transport_header(handle, "Transfer-Encoding");

    return transport_header(handle, "Content-Length") != NULL ||
           (transfer != NULL && strcasecmp(transfer, "chunked") == 0);
}

int head_check(xenres *handle, const char *type, const char *encoding_header, bool *is_gzip,
               struct fault *fault)
{
    const char *given = transport_header(handle, "Content-Type");
    const char *encoding = transport_header(handle, encoding_header);
    bool is_plain = encoding == NULL || strcasecmp(encoding, "identity") == 0;
    bool is_packed = !is_plain && handle->gzip && strcasecmp(encoding, "gzip") == 0;

    if (!head_is_type(given, type) || (!is_plain && !is_packed)) {
        int result =
            failure_set(&fault->failure, ERROR_INTERNAL, "%s answers with %s%s%s, not %s",
                        handle->server, given != NULL ? given : "no content type",
                        encoding != NULL ? " in " : "", encoding != NULL ? encoding : "", type);

        return failure_next(&fault->failure, result,
                            "check that the address is xenresd's own, and no proxy's");
    }
    if (!has_stated_end(handle)) {
        return failure_set(&fault->failure, ERROR_INTERNAL, "%s does not say where its answer ends",
                           handle->server);
    }
    *is_gzip = is_packed;
    return 0;
}
