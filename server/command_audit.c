/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* `xenresd audit verify`: whether the files of an audit are as they were written. See xenresd-audit(5). */
#include "server/command_audit.h"

#include <errno.h>
#include <getopt.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "auth/audit_state.h"
#include "auth/audit_verify.h"
#include "auth/guarded_file.h"
#include "common/log.h"
#include "common/scope.h"
#include "server/command.h"

enum { PIECE_BYTES = 65536, OPTION_KEY = 256, OPTION_PUBLIC, OPTION_STATE, OPTION_CHECKPOINTS };

static const struct option long_options[] = {
    { "key", required_argument, NULL, OPTION_KEY },
    { "public-key", required_argument, NULL, OPTION_PUBLIC },
    { "state", required_argument, NULL, OPTION_STATE },
    { "checkpoints", required_argument, NULL, OPTION_CHECKPOINTS },
    { NULL, 0, NULL, 0 },
};

struct arguments {
    const char *key, *public_key, *state, *checkpoints;
};

static int usage(const char *what)
{
    fprintf(stderr, "xenresd audit: %s\nxenresd audit: see xenresd --help\n", what);
    return COMMAND_STATUS_USAGE;
}

static int failed(const struct failure *f)
{
    log_failure(LOG_LEVEL_ERROR, "xenresd audit", f);
    return error_exit_status(f->code);
}

static int cannot_read(const char *path, struct failure *f)
{
    int errnum = errno;

    return failure_call(f,
                        failure_set(f,
                                    errnum == ENOENT ? ERROR_NOT_FOUND : ERROR_FAILED_PRECONDITION,
                                    "cannot read %s: %s", path, strerror(errnum)),
                        "read", errnum);
}

/* "-": standard input. */
static FILE *open_file(const char *path)
{
    return strcmp(path, "-") == 0 ? fdopen(dup(STDIN_FILENO), "re") : fopen(path, "re");
}

static int read_checkpoints(struct audit_verifier *v, const char *path, struct failure *f)
{
    char line[AUDIT_LINE_MAX_BYTES + 2];
    SCOPE_FILE FILE *file = open_file(path);
    int result = file != NULL ? 0 : cannot_read(path, f);

    while (result == 0 && fgets(line, sizeof(line), file) != NULL) {
        result = audit_verify_anchor(v, line, strlen(line), f);
    }
    return result == 0 && ferror(file) != 0 ? cannot_read(path, f) : result;
}

static int read_file(struct audit_verifier *v, const char *path, struct failure *f)
{
    static char piece[PIECE_BYTES];
    SCOPE_FILE FILE *file = open_file(path);
    size_t n;
    int result = file != NULL ? audit_verify_file(v, path, f) : cannot_read(path, f);

    while (result == 0 && (n = fread(piece, 1, sizeof(piece), file)) > 0) {
        result = audit_verify_bytes(v, piece, n, f);
    }
    return result == 0 && ferror(file) != 0 ? cannot_read(path, f) : result;
}

static void print_report(const struct audit_report *r, const struct arguments *a)
{
    if (r->first_sequence == 0) {
        puts("no record");
        return;
    }
    printf("records %llu to %llu were read\n", (unsigned long long)r->first_sequence,
           (unsigned long long)r->last_sequence);
    if (r->verified_sequence > 0) {
        printf("verified up to record %llu, of %s\n", (unsigned long long)r->verified_sequence,
               r->verified_time);
    } else {
        puts("nothing of it is verified: there is no checkpoint");
    }
    if (r->checkpoint_sequence > 0) {
        printf("last signed checkpoint: record %llu, of %s\n",
               (unsigned long long)r->checkpoint_sequence, r->checkpoint_time);
    }
    if (r->first_sequence > 1) {
        printf("of the %llu records before them nothing is said: no file of theirs was given\n",
               (unsigned long long)r->first_sequence - 1);
    }
    if (r->torn_bytes > 0) {
        printf("the last line is not finished (%llu bytes): the service was ended while it wrote\n",
               (unsigned long long)r->torn_bytes);
    }
    if (a->checkpoints == NULL && a->state == NULL) {
        puts("whether records behind the last one are missing cannot be told without --checkpoints "
             "or --state");
    }
}

static int run_verifier(const struct arguments *a, struct audit_verifier *v, char **files,
                        struct failure *f)
{
    struct audit_report report;
    int result = a->checkpoints != NULL ? read_checkpoints(v, a->checkpoints, f) : 0;

    for (; result == 0 && *files != NULL; files++) {
        result = read_file(v, *files, f);
    }
    if (result == 0 || result == -ERROR_DATA_LOSS) {
        result = audit_verify_end(v, &report, f);
        print_report(&report, a);
    }
    return result;
}

/* The keys are the service's, whoever looks at its audit: whose the folder is may own them, too. */
static int read_key(const char *path, bool is_secret, uint8_t key[AUDIT_KEY_BYTES],
                    struct failure *f)
{
    char folder[PATH_MAX];
    struct stat st = { .st_uid = (uid_t)-1 };

    if (strlen(path) < sizeof(folder)) {
        memcpy(folder, path, strlen(path) + 1);
        (void)stat(dirname(folder), &st);
    }
    guarded_file_accept_user(st.st_uid, GUARDED_PUBLIC);
    return audit_key_read(path, is_secret, key, f);
}

static int verify(const struct arguments *a, char **files)
{
    uint8_t key[AUDIT_KEY_BYTES], public_key[AUDIT_KEY_BYTES];
    struct audit_verify_options options = {
        .key = a->key != NULL ? key : NULL,
        .public_key = a->public_key != NULL ? public_key : NULL,
        .steps_max = AUDIT_STEPS_MAX,
    };
    struct audit_verifier *v = NULL;
    struct failure f = { 0 };
    int result = a->key != NULL ? read_key(a->key, true, key, &f) : 0;

    if (result == 0 && a->public_key != NULL) {
        result = read_key(a->public_key, false, public_key, &f);
    }
    if (result == 0 && a->state != NULL) { /* before the files, which may grow meanwhile */
        result = audit_state_peek(a->state, &options.expected_last, &f);
    }
    if (result == 0) {
        result = audit_verifier_new(&options, &v, &f);
    }
    explicit_bzero(key, sizeof(key));
    if (result == 0) {
        result = run_verifier(a, v, files, &f);
    }
    audit_verifier_free(v);
    return result == 0 ? 0 : failed(&f);
}

int command_audit(int argc, char **argv)
{
    struct arguments a = { 0 };
    int id;

    if (argc < 2 || strcmp(argv[1], "verify") != 0) {
        return usage("expected: audit verify");
    }
    argc--;
    argv++;
    while ((id = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        switch (id) {
        case OPTION_KEY: a.key = optarg; break;
        case OPTION_PUBLIC: a.public_key = optarg; break;
        case OPTION_STATE: a.state = optarg; break;
        case OPTION_CHECKPOINTS: a.checkpoints = optarg; break;
        default: return usage("the option is wrong");
        }
    }
    if (optind == argc) {
        return usage("expected the files, the oldest first");
    }
    if (a.key == NULL && a.public_key == NULL) {
        return usage("expected --key or --public-key");
    }
    return verify(&a, argv + optind);
}
