/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See psb.h. */
#include "server/mapper/psb.h"

#include <string.h>

enum { FIRST = 0x02, SECOND = 0x82 };

int64_t psb_find(const uint8_t *bytes, size_t len_bytes)
{
    static const uint8_t psb[PSB_BYTES] = { FIRST, SECOND, FIRST, SECOND, FIRST, SECOND,
                                            FIRST, SECOND, FIRST, SECOND, FIRST, SECOND,
                                            FIRST, SECOND, FIRST, SECOND };
    const uint8_t *found = memmem(bytes, len_bytes, psb, sizeof(psb));
    return found ? found - bytes : -1;
}

size_t psb_cut(const uint8_t *bytes, size_t len_bytes)
{
    size_t run = 0; /* of bytes that alternate, from a first one on */
    for (size_t at = len_bytes; at > 0; at--) {
        uint8_t byte = bytes[at - 1];
        if (byte != FIRST && byte != SECOND) {
            break;
        }
        if (at < len_bytes && bytes[at] == byte) {
            break;
        }
        run = byte == FIRST ? len_bytes - at + 1 : run;
    }
    return run % PSB_BYTES;
}
