/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Gives a fuzzer's committed inputs to it, once each: `NAME_fuzz [FOLDER…]`, or
 * tests/fuzz/corpus/NAME where none is named. Linked with one tests/fuzz/NAME_fuzz.c, so that every
 * test run replays what fuzzing has found. To look for more, the same file is linked with libFuzzer
 * instead (clang -fsanitize=fuzzer,address,undefined).
 *
 * Prints TAP; fails where a folder has no input, as a test of nothing proves nothing.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/scope.h"

enum { INPUT_MAX_BYTES = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool replay_file(const char *path)
{
    SCOPE_FILE FILE *file = fopen(path, "rbe");
    SCOPE_FREE uint8_t *content = NULL;
    SCOPE_FREE uint8_t *exact = NULL;
    size_t size;

    content = malloc(INPUT_MAX_BYTES);
    if (file == NULL || content == NULL) {
        (void)fprintf(stderr, "cannot read %s: %s\n", path, strerror(errno));
        return false;
    }
    size = fread(content, 1, INPUT_MAX_BYTES, file);
    if (ferror(file) || !feof(file)) {
        (void)fprintf(stderr, "cannot read %s whole\n", path);
        return false;
    }
    exact = malloc(size > 0 ? size : 1); /* so that the sanitizer sees a read beyond its end */
    if (exact == NULL) {
        return false;
    }
    memcpy(exact, content, size);
    (void)LLVMFuzzerTestOneInput(exact, size);
    return true;
}

/* Inputs replayed; -1 where one could not be. */
static int replay_folder(const char *path)
{
    SCOPE_DIR DIR *folder = opendir(path);
    const struct dirent *entry;
    int count = 0;

    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        char input[4096];

        if (entry->d_name[0] == '.') {
            continue;
        }
        if (snprintf(input, sizeof(input), "%s/%s", path, entry->d_name) >= (int)sizeof(input) ||
            !replay_file(input)) {
            return -1;
        }
        count++;
    }
    return count;
}

/* One line of TAP. */
static bool replay(int number, const char *folder)
{
    int count = replay_folder(folder);

    (void)printf("%sok %d - %d inputs of %s\n", count > 0 ? "" : "not ", number, count, folder);
    return count > 0;
}

int main(int argc, char **argv)
{
    const char *base = strrchr(argv[0], '/') != NULL ? strrchr(argv[0], '/') + 1 : argv[0];
    int name_len = (int)strcspn(base, "_");
    bool good = true;
    char folder[256];

    (void)printf("1..%d\n", argc > 1 ? argc - 1 : 1);
    for (int i = 1; i < argc; i++) {
        good &= replay(i, argv[i]);
    }
    if (argc == 1) {
        (void)snprintf(folder, sizeof(folder), "tests/fuzz/corpus/%.*s", name_len, base);
        good = replay(1, folder);
    }
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
