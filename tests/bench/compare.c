/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What it costs to compare pages with an image of them, and nothing else: prints CPU seconds for
 * each GiB of memcmp(), a page at a time, over two equal buffers that no cache holds.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PAGE_BYTES = 4096, PAGES = 8192, TIMES = 32 };

int main(void)
{
    uint8_t *a = malloc((size_t)PAGES * PAGE_BYTES), *b = malloc((size_t)PAGES * PAGE_BYTES);
    struct timespec start, end;
    unsigned different = 0;

    if (a == NULL || b == NULL) {
        return 1;
    }
    memset(a, 1, (size_t)PAGES * PAGE_BYTES);
    memset(b, 1, (size_t)PAGES * PAGE_BYTES);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
    for (size_t i = 0; i < (size_t)TIMES * PAGES; i++) {
        size_t at = i % PAGES * PAGE_BYTES;

        different += memcmp(a + at, b + at, PAGE_BYTES) != 0;
    }
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
    double seconds =
        (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9;

    printf("%.6f\n", seconds / ((double)TIMES * PAGES * PAGE_BYTES / (1 << 30)));
    free(a);
    free(b);
    return different != 0;
}
