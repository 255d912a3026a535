/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* An audit in a folder of the test's own, and its files verified as a whole. */
#ifndef XENRES_TESTS_AUDIT_RIG_H
#define XENRES_TESTS_AUDIT_RIG_H

#include <sys/resource.h>

#include "tests/lib/folder.h"
#include "tests/lib/unit.h"

#include "auth/audit.h"
#include "auth/audit_flood.h"
#include "auth/audit_verify.h"
#include "common/buffer.h"
#include "common/clock.h"

enum { AUDIT_RIG_FILES = 64, AUDIT_RIG_MAX_BYTES = 16 << 20 };

struct audit_rig {
    struct folder dir;
    struct audit *audit;
    struct audit_options options;
};

static inline void audit_rig_init(struct audit_rig *r)
{
    *r = (struct audit_rig){ .dir = folder_make() };
    r->options = (struct audit_options){
        .log = { .owner = { (uid_t)-1, (gid_t)-1 } },
        .sync = AUDIT_SYNC_NONE,
        .checkpoint_records = AUDIT_CHECKPOINT_RECORDS,
        .checkpoint_ms = AUDIT_CHECKPOINT_S * 1000,
        .flood_ms = AUDIT_FLOOD_S * 1000,
        .tick_ms = 20,
    };
}

static inline int audit_rig_try_start(struct audit_rig *r, struct failure *f)
{
    char path[FOLDER_PATH_BYTES];

    snprintf(path, sizeof(path), "%s/audit.log", r->dir.path);
    r->options.log.path = path;
    r->options.log.state_dir = r->dir.path;
    int result = audit_new(&r->options, &r->audit, f);

    if (result == 0) {
        result = audit_start(r->audit, f);
        if (result != 0) {
            audit_stop(r->audit);
        }
    }
    if (result != 0) {
        r->audit = NULL;
    }
    return result;
}

static inline void audit_rig_start(struct audit_rig *r)
{
    assert_int_equal(audit_rig_try_start(r, NULL), 0);
}

static inline void audit_rig_stop(struct audit_rig *r)
{
    audit_stop(r->audit);
    r->audit = NULL;
}

static inline void audit_rig_done(struct audit_rig *r)
{
    audit_rig_stop(r);
    folder_done(&r->dir);
}

/* For tests that have a rig of their own: `*state` is one, which was not started. */
static inline int audit_rig_setup(void **state)
{
    static struct audit_rig rig;

    audit_rig_init(&rig);
    *state = &rig;
    return 0;
}

static inline int audit_rig_teardown(void **state)
{
    audit_rig_done(*state);
    return 0;
}

#define AUDIT_RIG_TEST(name)                                                                       \
    cmocka_unit_test_setup_teardown(name, audit_rig_setup, audit_rig_teardown)

/* Runs, and ends as it should. */
static inline void audit_rig_run(struct audit_rig *r)
{
    audit_rig_start(r);
    audit_rig_stop(r);
}

/* A decision of some kind, number `n`. */
static inline int audit_rig_write(struct audit_rig *r, unsigned n)
{
    const struct identity who = { .text = "spiffe:spiffe://example.org/agent" };
    const struct domain_identity domain = { .domid = (uint16_t)n, .name = "web-\n\"1" };
    const struct audit_record record = { .event = AUDIT_SNAPSHOT,
                                         .who = &who,
                                         .peer = "192.0.2.1:50000",
                                         .domain = &domain,
                                         .action = "snapshot",
                                         .has_counts = true,
                                         .bytes = n };

    return audit_write(r->audit, &record, NULL);
}

/* So many of them, and each is taken. */
static inline void audit_rig_write_all(struct audit_rig *r, unsigned count)
{
    for (unsigned n = 0; n < count; n++) {
        assert_int_equal(audit_rig_write(r, n), 0);
    }
}

/* As a disk that is full: no file may grow beyond so many bytes; 0: any may. */
static inline void audit_rig_limit_files(uint64_t bytes)
{
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes != 0 ? bytes : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* Nothing can be opened any more. */
static inline void audit_rig_limit_descriptors(bool is_limited)
{
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = is_limited ? 0 : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* --- files --------------------------------------------------------------------------------------- */

struct audit_bytes {
    char *bytes;
    size_t len;
};

static inline struct audit_bytes audit_rig_read(const char *path)
{
    struct audit_bytes b = { .bytes = NULL };
    FILE *file = fopen(path, "re");

    if (file != NULL) {
        b.bytes = malloc(AUDIT_RIG_MAX_BYTES);
        assert_non_null(b.bytes);
        b.len = fread(b.bytes, 1, AUDIT_RIG_MAX_BYTES, file);
        (void)fclose(file);
    }
    return b;
}

static inline void audit_rig_key(const struct audit_rig *r, const char *name,
                                 uint8_t key[AUDIT_KEY_BYTES])
{
    assert_int_equal(audit_key_read(folder_path(&r->dir, name), false, key, NULL), 0);
}

static inline int audit_rig_compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* The files of the audit, the oldest first: those put aside have longer names, and sort by them. */
static inline size_t audit_rig_list(const struct audit_rig *r,
                                    char names[AUDIT_RIG_FILES][NAME_MAX + 1])
{
    DIR *dir = opendir(r->dir.path);
    const struct dirent *entry;
    size_t count = 0;

    while ((entry = readdir(dir)) != NULL) {
        if (strncmp(entry->d_name, "audit.log.", 10) == 0) {
            assert_true(count < AUDIT_RIG_FILES - 1);
            snprintf(names[count++], NAME_MAX + 1, "%s", entry->d_name);
        }
    }
    (void)closedir(dir);
    qsort(names, count, NAME_MAX + 1, audit_rig_compare);
    snprintf(names[count++], NAME_MAX + 1, "audit.log");
    return count;
}

struct audit_rig_check {
    bool without_key, without_public_key;
    uint64_t expected_last;
};

/* All files as they are. */
static inline int audit_rig_verify(const struct audit_rig *r, const struct audit_rig_check *check,
                                   struct audit_report *report, struct failure *f)
{
    static char names[AUDIT_RIG_FILES][NAME_MAX + 1];
    uint8_t key[AUDIT_KEY_BYTES], public_key[AUDIT_KEY_BYTES];
    size_t count = audit_rig_list(r, names);
    struct audit_verifier *v = NULL;

    audit_rig_key(r, "audit.key", key);
    audit_rig_key(r, "audit.sign.pub", public_key);
    const struct audit_verify_options options = {
        .key = check->without_key ? NULL : key,
        .public_key = check->without_public_key ? NULL : public_key,
        .steps_max = AUDIT_STEPS_MAX,
        .expected_last = check->expected_last,
    };

    assert_int_equal(audit_verifier_new(&options, &v, NULL), 0);
    for (size_t i = 0; i < count; i++) {
        struct audit_bytes b = audit_rig_read(folder_path(&r->dir, names[i]));

        (void)audit_verify_file(v, names[i], NULL);
        (void)audit_verify_bytes(v, b.bytes, b.len, NULL);
        free(b.bytes);
    }
    int result = audit_verify_end(v, report, f);

    audit_verifier_free(v);
    return result;
}

/* It is whole, whatever happened; the report is static. */
static inline const struct audit_report *audit_rig_whole(const struct audit_rig *r)
{
    static struct audit_report report;
    static const struct audit_rig_check with_all;
    struct failure f = { 0 };

    if (audit_rig_verify(r, &with_all, &report, &f) != 0) {
        print_message("%s: %s\n", f.message, f.cause);
        fail();
    }
    return &report;
}

/* How often a file has `text`; *sum: of the numbers behind it. */
static inline unsigned audit_rig_count_in(const struct audit_rig *r, const char *name,
                                          const char *text, uint64_t *sum)
{
    struct audit_bytes b = audit_rig_read(folder_path(&r->dir, name));
    unsigned count = 0;

    for (const char *at = b.bytes; at != NULL; at++) {
        at = memmem(at, b.len - (size_t)(at - b.bytes), text, strlen(text));
        if (at == NULL) {
            break;
        }
        count++;
        *sum += strtoull(at + strlen(text), NULL, 10);
    }
    free(b.bytes);
    return count;
}

/* … and the current one. */
static inline unsigned audit_rig_count(const struct audit_rig *r, const char *text)
{
    uint64_t sum = 0;

    return audit_rig_count_in(r, "audit.log", text, &sum);
}

/* … and all together. */
static inline unsigned audit_rig_count_all(const struct audit_rig *r, const char *text)
{
    static char names[AUDIT_RIG_FILES][NAME_MAX + 1];
    size_t files = audit_rig_list(r, names);
    uint64_t sum = 0;
    unsigned count = 0;

    for (size_t i = 0; i < files; i++) {
        count += audit_rig_count_in(r, names[i], text, &sum);
    }
    return count;
}

#endif
