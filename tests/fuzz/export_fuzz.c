/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Any bytes as an export list: refused with a fault, or read; and what was read never lets domain 0
 * out by a line that does not name it, nor anything when no line allows something.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "server/mapper/export.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds) {
        abort();
    }
}

static bool contains(const uint8_t *data, size_t size, const char *word)
{
    return memmem(data, size, word, strlen(word)) != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct domain_identity domains[] = {
        { .domid = 0, .name = "Domain-0", .uuid = { 9 } },
        { .domid = 1, .name = "web-1", .uuid = { 1, 2, 3 } },
        { .domid = 2, .name_cut = 1, .uuid = { 4 } },
    };
    struct export_list *e = NULL;
    struct failure f = { 0 };
    int result = export_parse((const char *)data, size, "fuzz", &e, &f);

    check(result == 0 || (result == -f.code && f.message[0] != '\0' && e == NULL));
    for (size_t i = 0; result == 0 && i < sizeof(domains) / sizeof(domains[0]); i++) {
        for (int action = 0; action < EXPORT_ACTION_COUNT; action++) {
            bool any = export_allows_any(e, &domains[i], (enum export_action)action);
            bool of_a_type = false;

            for (uint32_t type = 0; type <= RESOURCE_TYPE_COUNT; type++) {
                of_a_type =
                    export_allows(e, &domains[i], type, (enum export_action)action) || of_a_type;
            }
            check(any == of_a_type);
            check(!any || export_rule_count(e) > 0);
            check(!any || domains[i].domid != 0 || contains(data, size, "dom0") ||
                  contains(data, size, "name:Domain-0") || contains(data, size, "uuid:09000000"));
            check(!any || action != EXPORT_TRACE_CONTROL || contains(data, size, "trace.control"));
        }
    }
    export_free(e);
    return 0;
}
