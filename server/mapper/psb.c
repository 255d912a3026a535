/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See psb.h. */
#include "server/mapper/psb.h"

#include <stdbool.h>
#include <string.h>

enum { FIRST = 0x02, SECOND = 0x82 };

static bool is_psb(const uint8_t *bytes)
{
    static const uint8_t psb[PSB_BYTES] = { FIRST, SECOND, FIRST, SECOND, FIRST, SECOND,
                                            FIRST, SECOND, FIRST, SECOND, FIRST, SECOND,
                                            FIRST, SECOND, FIRST, SECOND };
    return memcmp(bytes, psb, sizeof(psb)) == 0;
}

/* A whole one has one of two words at every multiple of 8 within it: only those are looked at. */
int64_t psb_find(const uint8_t *bytes, size_t len_bytes)
{
    static const uint8_t words[2][sizeof(uint64_t)] = {
        { FIRST, SECOND, FIRST, SECOND, FIRST, SECOND, FIRST, SECOND },
        { SECOND, FIRST, SECOND, FIRST, SECOND, FIRST, SECOND, FIRST },
    };
    uint64_t even, odd, word;
    memcpy(&even, words[0], sizeof(even));
    memcpy(&odd, words[1], sizeof(odd));
    for (size_t at = 0; at + sizeof(word) <= len_bytes; at += sizeof(word)) {
        memcpy(&word, bytes + at, sizeof(word));
        if (word != even && word != odd) {
            continue;
        }
        size_t first = at < sizeof(word) ? 0 : at - (sizeof(word) - 1);
        for (size_t i = first; i <= at + 1 && i + PSB_BYTES <= len_bytes; i++) {
            if (is_psb(bytes + i)) {
                return (int64_t)i;
            }
        }
    }
    return -1;
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
