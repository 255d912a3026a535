/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Any bytes as the manifest of a recorded trace: parsed or refused; what is parsed is verified within
 * bounds, never complete while it has a gap, and is printed as what is parsed to the same again.
 */
#include <stdlib.h>
#include <string.h>

#include "client/cli/trace_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void verify(const struct manifest *m)
{
    TRACE_CHECK_AUTO c = { .findings = NULL };

    trace_check_run(&c, m, -1);
    check(c.finding_count <= TRACE_FINDINGS_MAX);
    for (size_t i = 0; i < m->vcpu_count; i++) {
        check(m->vcpus[i].gap_count == 0 || !trace_check_is_complete(&c));
        check(m->vcpus[i].has_end || !trace_check_is_complete(&c));
    }
    for (size_t i = 0; i < c.finding_count; i++) {
        check(c.findings[i].why[0] != '\0');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    MANIFEST_AUTO m = { .vcpus = NULL };
    MANIFEST_AUTO again = { .vcpus = NULL };
    BUFFER_AUTO(first, MANIFEST_MAX_BYTES);
    BUFFER_AUTO(second, MANIFEST_MAX_BYTES);
    struct failure f = { 0 };

    if (manifest_parse(data, size, &m, &f) != 0) {
        check(f.message[0] != '\0' && f.next_step[0] != '\0');
        return 0;
    }
    verify(&m);
    check(manifest_print(&m, &first));
    check(manifest_parse(first.data, first.len_bytes, &again, &f) == 0);
    check(manifest_print(&again, &second));
    check(first.len_bytes == second.len_bytes &&
          memcmp(first.data, second.data, first.len_bytes) == 0);
    return 0;
}
