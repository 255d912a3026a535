/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * One rule a line: `allow DOMAIN TYPES ACTIONS`. What a line allows adds to what the others do;
 * there is nothing that takes away, so that the order of lines means nothing.
 */
#include "server/mapper/export.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/scope.h"

enum { WORDS = 4 }; /* of a line */

static const char *const action_names[EXPORT_ACTION_COUNT] = {
    [EXPORT_LIST] = "list",
    [EXPORT_SNAPSHOT] = "snapshot",
    [EXPORT_WATCH] = "watch",
    [EXPORT_DECODE] = "decode",
    [EXPORT_TRACE_READ] = "trace.read",
    [EXPORT_TRACE_CONTROL] = "trace.control",
};

struct rule {
    enum { MATCH_ALL, MATCH_DOM0, MATCH_NAME, MATCH_GLOB, MATCH_UUID } match;
    char name[MESSAGE_NAME_BYTES];
    uint8_t uuid[UUID_BYTES];
    uint32_t types;   /* bit n: enum resource_type n */
    uint32_t actions; /* bit n: enum export_action n */
};

struct export_list {
    uint32_t rule_count;
    struct rule rules[EXPORT_RULES_MAX];
};

struct place {
    const char *file;
    unsigned line;
};

static int bad_line(const struct place *at, struct failure *f, const char *found,
                    const char *expected)
{
    char shown[96];
    text_escape(shown, sizeof(shown), found, TEXT_ASCII);
    int result = failure_set(f, ERROR_INVALID_ARGUMENT, "%s:%u: `%s`: expected %s", at->file,
                             at->line, shown, expected);
    failure_cause(f, result,
                  "the export list is read strictly, so that a slip never lets more out"
                  " than was meant");
    return failure_next(f, result, "correct the line; the format is in xenresd-export(5)");
}

static int parse_domain(const char *word, const struct place *at, struct rule *r, struct failure *f)
{
    if (strcmp(word, "all") == 0) {
        r->match = MATCH_ALL;
        return 0;
    }
    if (strcmp(word, "dom0") == 0) {
        r->match = MATCH_DOM0;
        return 0;
    }
    if (strncmp(word, "uuid:", 5) == 0) {
        if (!text_to_uuid(word + 5, r->uuid)) {
            return bad_line(at, f, word,
                            "a UUID like 6c1f2ab4-0d5e-4a3b-9c7d-1e2f3a4b5c6d after"
                            " `uuid:`");
        }
        r->match = MATCH_UUID;
        return 0;
    }
    if (strncmp(word, "name:", 5) == 0) {
        size_t len = strlen(word + 5);
        if (len == 0 || len >= sizeof(r->name)) {
            return bad_line(at, f, word,
                            "a name of 1 to 255 bytes, in which * and ? stand for any"
                            " others, after `name:`");
        }
        memcpy(r->name, word + 5, len + 1);
        r->match = strpbrk(r->name, "*?") ? MATCH_GLOB : MATCH_NAME;
        return 0;
    }
    return bad_line(at, f, word, "which domains: `all`, `dom0`, `name:GLOB` or `uuid:UUID`");
}

/* The bit of one element of a list, or -1. */
typedef int element_bit(const char *element);

static int type_bit(const char *element)
{
    return resource_type_from_name(element);
}

static int action_bit(const char *element)
{
    for (int i = 0; i < EXPORT_ACTION_COUNT; i++) {
        if (strcmp(action_names[i], element) == 0) {
            return i;
        }
    }
    return -1;
}

/* `a,b,c` without blanks, empty elements or repetitions. Cuts `word` up. */
static int parse_list(char *word, element_bit *bit_of, const char *expected, const struct place *at,
                      uint32_t *bits, struct failure *f)
{
    *bits = 0;
    for (char *element = word; element;) {
        char *comma = strchr(element, ',');
        if (comma) {
            *comma = '\0';
        }
        int bit = bit_of(element);
        if (bit < 0) {
            return bad_line(at, f, element, expected);
        }
        if (*bits & UINT32_C(1) << bit) {
            return bad_line(at, f, element, "each word once");
        }
        *bits |= UINT32_C(1) << bit;
        element = comma ? comma + 1 : NULL;
    }
    return 0;
}

static int parse_rule(char *words[WORDS], const struct place *at, struct rule *r, struct failure *f)
{
    if (strcmp(words[0], "allow") != 0) {
        return bad_line(at, f, words[0], "`allow`");
    }
    int result = parse_domain(words[1], at, r, f);
    if (result < 0) {
        return result;
    }
    if (strcmp(words[2], "all") == 0) {
        r->types = (UINT32_C(1) << RESOURCE_TYPE_COUNT) - 1;
    } else {
        result = parse_list(words[2], type_bit,
                            "`all`, or a comma-separated list of ioreq_server,"
                            " grant_table, vmtrace_buf, vcpu_stats",
                            at, &r->types, f);
        if (result < 0) {
            return result;
        }
    }
    return parse_list(words[3], action_bit,
                      "a comma-separated list of list, snapshot, watch,"
                      " decode, trace.read, trace.control",
                      at, &r->actions, f);
}

/* One line, ended by NUL. Empty ones and comments say nothing. */
static int parse_line(char *line, const struct place *at, struct export_list *e, struct failure *f)
{
    char *words[WORDS + 1];
    size_t count = 0;
    char *rest = line;
    for (char *word; (word = strtok_r(rest, " \t", &rest)) != NULL;) {
        if (count == 0 && word[0] == '#') {
            return 0;
        }
        if (count == WORDS) {
            return bad_line(at, f, word, "nothing after the actions");
        }
        words[count++] = word;
    }
    if (count == 0) {
        return 0;
    }
    if (count < WORDS) {
        return bad_line(at, f, words[count - 1],
                        "`allow DOMAIN TYPES ACTIONS`, and the line ends"
                        " early");
    }
    if (e->rule_count == EXPORT_RULES_MAX) {
        return bad_line(at, f, words[0], "at most 256 lines that allow something");
    }
    struct rule r = { 0 };
    int result = parse_rule(words, at, &r, f);
    if (result < 0) {
        return result;
    }
    e->rules[e->rule_count++] = r;
    return 0;
}

int export_parse(const char *text, size_t len_bytes, const char *name, struct export_list **out,
                 struct failure *f)
{
    SCOPE_FREE struct export_list *e = calloc(1, sizeof(*e));
    if (!e) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for the export list");
    }

    struct place at = { .file = name };
    for (size_t start = 0; start < len_bytes;) {
        const char *newline = memchr(text + start, '\n', len_bytes - start);
        size_t end = newline ? (size_t)(newline - text) : len_bytes;
        size_t len = end - start;
        char line[EXPORT_LINE_BYTES_MAX + 1];
        at.line++;
        if (len > EXPORT_LINE_BYTES_MAX) {
            return bad_line(&at, f, "…", "at most 1024 bytes a line");
        }
        memcpy(line, text + start, len);
        line[len] = '\0';
        /* What a terminal does not show must not change what a line means. */
        for (size_t i = 0; i < len; i++) {
            unsigned char c = (unsigned char)line[i];
            if ((c < ' ' && c != '\t') || c == 0x7f) {
                char found[2] = { line[i], '\0' };
                return bad_line(&at, f, c ? found : "NUL",
                                "no control characters (lines end with"
                                " LF alone)");
            }
        }
        int result = parse_line(line, &at, e, f);
        if (result < 0) {
            return result;
        }
        start = end + 1;
    }
    *out = scope_take_pointer(e);
    return 0;
}

static int file_failure(const char *path, const char *call, struct failure *f)
{
    int errnum = errno;
    int result = failure_set(f, ERROR_FAILED_PRECONDITION, "cannot read the export list %s", path);
    failure_call(f, result, call, errnum);
    return failure_next(f, result,
                        "write it: without an export list nothing leaves this host;"
                        " see xenresd-export(5)");
}

static int check_owner(int fd, const char *path, uid_t owner, struct failure *f)
{
    struct stat st;
    if (fstat(fd, &st) < 0) {
        return file_failure(path, "fstat", f);
    }
    if (!S_ISREG(st.st_mode)) {
        return failure_set(f, ERROR_FAILED_PRECONDITION, "the export list %s is no regular file",
                           path);
    }
    if ((st.st_uid != 0 && st.st_uid != owner) || (st.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        int result =
            failure_set(f, ERROR_FAILED_PRECONDITION,
                        "the export list %s may be written by others (owner %u, mode %04o)", path,
                        st.st_uid, (unsigned)st.st_mode & 07777);
        failure_cause(f, result, "who can write it decides what leaves this host");
        return failure_next(f, result, "chown root %s; chmod go-w %s", path, path);
    }
    if (st.st_size > EXPORT_FILE_BYTES_MAX) {
        return failure_set(f, ERROR_INVALID_ARGUMENT, "the export list %s is longer than %d bytes",
                           path, EXPORT_FILE_BYTES_MAX);
    }
    return 0;
}

int export_load(const char *path, uid_t owner, struct export_list **out, struct failure *f)
{
    /* O_NONBLOCK: a FIFO there must not hang the start. */
    SCOPE_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        return file_failure(path, "open", f);
    }
    int result = check_owner(fd, path, owner, f);
    if (result < 0) {
        return result;
    }

    SCOPE_FREE char *text = malloc(EXPORT_FILE_BYTES_MAX + 1);
    if (!text) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for the export list");
    }
    size_t len = 0;
    while (len <= EXPORT_FILE_BYTES_MAX) {
        ssize_t n = read(fd, text + len, EXPORT_FILE_BYTES_MAX + 1 - len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return file_failure(path, "read", f);
        }
        if (n == 0) {
            return export_parse(text, len, path, out, f);
        }
        len += (size_t)n;
    }
    return failure_set(f, ERROR_INVALID_ARGUMENT, "the export list %s is longer than %d bytes",
                       path, EXPORT_FILE_BYTES_MAX);
}

void export_free(struct export_list *e)
{
    free(e);
}

uint32_t export_rule_count(const struct export_list *e)
{
    return e->rule_count;
}

static bool rule_matches(const struct rule *r, const struct domain_identity *d)
{
    switch (r->match) {
    case MATCH_DOM0: return d->domid == 0;
    case MATCH_UUID: return memcmp(r->uuid, d->uuid, UUID_BYTES) == 0;
    case MATCH_NAME: return !d->name_cut && strcmp(r->name, d->name) == 0;
    /* What is meant for guests must not open dom0, whose pages are everybody's. */
    case MATCH_ALL: return d->domid != 0;
    case MATCH_GLOB: return d->domid != 0 && !d->name_cut && text_glob(r->name, d->name);
    }
    return false;
}

static bool any_rule(const struct export_list *e, const struct domain_identity *d, uint32_t types,
                     enum export_action action)
{
    for (uint32_t i = 0; i < e->rule_count; i++) {
        const struct rule *r = &e->rules[i];
        if (r->types & types && r->actions & UINT32_C(1) << action && rule_matches(r, d)) {
            return true;
        }
    }
    return false;
}

bool export_allows(const struct export_list *e, const struct domain_identity *domain, uint32_t type,
                   enum export_action action)
{
    return type < RESOURCE_TYPE_COUNT && any_rule(e, domain, UINT32_C(1) << type, action);
}

bool export_allows_any(const struct export_list *e, const struct domain_identity *domain,
                       enum export_action action)
{
    return any_rule(e, domain, UINT32_MAX, action);
}

bool export_grants(const struct export_list *e, enum export_action action)
{
    for (uint32_t i = 0; i < e->rule_count; i++) {
        if (e->rules[i].actions & UINT32_C(1) << action) {
            return true;
        }
    }
    return false;
}

int export_refusal(const struct domain_identity *domain, uint32_t type, enum export_action action,
                   struct failure *f)
{
    const char *type_name = resource_type_name(type);
    char name[128];
    text_escape(name, sizeof(name), domain->name, TEXT_ASCII);
    int result =
        failure_set(f, ERROR_PERMISSION_DENIED,
                    "the host's export list does not allow %s of %s of domain %u (%s)",
                    action_names[action], type_name ? type_name : "this", domain->domid, name);
    failure_cause(f, result,
                  "no line of the mapper's export list names this domain, type and action"
                  "; domain 0 is never meant by `all` or a glob");
    return failure_next(f, result,
                        "the host's administrator may add a line, see xenresd-export(5),"
                        " and restart the mapper");
}
