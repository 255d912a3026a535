/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See options.h. An option and its value are two arguments, or one with `=` between. */
#include "server/mapper/options.h"

#include <stddef.h>
#include <string.h>

#include "common/text.h"
#include "server/mapper/backend.h"

enum kind { FLAG, TEXT, NUMBER };

static const struct row {
    const char *name;
    enum kind kind;
    size_t offset;     /* of its field: bool, const char * or int64_t */
    const char *value; /* what to write for the value */
    int64_t min, max, preset;
    const char *text;
} rows[] = {
    { "socket", TEXT, offsetof(struct options, socket_path), "PATH", 0, 0, 0,
      "listen on a unix socket at PATH (mode 0660)" },
    { "listen-fd", NUMBER, offsetof(struct options, listen_fd), "N", 0, 1 << 20, OPTIONS_UNSET,
      "or: serve the listening unix seqpacket socket that was inherited as descriptor N" },
    { "export", TEXT, offsetof(struct options, export_path), "FILE", 0, 0, 0,
      "the export list: what may leave this host" },
    { "peer-user", TEXT, offsetof(struct options, peer_user), "NAME|UID", 0, 0, 0,
      "the user that xenresd runs as; without it, the one that started the mapper and that of "
      "--user" },
    { "user", TEXT, offsetof(struct options, user), "NAME", 0, 0, 0,
      "become this user, with its groups, once everything is open" },
    { "exit-with-peer", FLAG, offsetof(struct options, exit_with_peer), "", 0, 0, 0,
      "end when xenresd, or the process that started the mapper, ends" },
    { "grace", NUMBER, offsetof(struct options, grace_s), "SECONDS", 0, 3600, 10,
      "how long mappings and feeds stay after xenresd went" },
    { "arena-mib", NUMBER, offsetof(struct options, arena_mib), "MIB", 1, 65536, 256,
      "memory for snapshots that are being sent" },
    { "slot-max-mib", NUMBER, offsetof(struct options, slot_max_mib), "MIB", 1, 65536, 64,
      "memory for one snapshot at most (64 hold 16384 frames)" },
    { "mappings-max", NUMBER, offsetof(struct options, mappings_max), "N", 1, 4096, 256,
      "live mappings at once" },
    { "mapping-idle", NUMBER, offsetof(struct options, mapping_idle_s), "SECONDS", 0, 3600, 30,
      "how long an unused mapping is kept" },
    { "hypercalls-per-second", NUMBER, offsetof(struct options, hypercalls_per_second), "N", 10,
      10000000, 100000, "ceiling; requests beyond are refused, samples are late" },
    { "samplers", NUMBER, offsetof(struct options, samplers), "N", 1, 8, 1,
      "threads that take the samples of feeds" },
    { "feeds-max", NUMBER, offsetof(struct options, feeds_max), "N", 1, 4096, 1024,
      "feeds at once" },
    { "spool-kib-max", NUMBER, offsetof(struct options, spool_kib_max), "KIB", 128, 1048576, 4096,
      "memory for what one feed tells, until it is overwritten" },
    { "spools-mib", NUMBER, offsetof(struct options, spools_mib), "MIB", 1, 65536, 256,
      "memory for the spools and images of all feeds" },
    { "period-min-ms", NUMBER, offsetof(struct options, period_min_ms), "MS", 1, 3600000, 10,
      "the shortest period of a feed" },
    { "journal", TEXT, offsetof(struct options, journal_path), "FILE", 0, 0, 0,
      "where it is written down what is traced, so that what a killed mapper left on is stopped" },
    { "traces-max", NUMBER, offsetof(struct options, traces_max), "N", 1, 64, 64,
      "domains traced at once" },
    { "trace-budget", NUMBER, offsetof(struct options, trace_budget), "N", 1, 1000000, 400,
      "how often a second each traced vCPU may be paused, where a trace asks for nothing else" },
    { "pauses-per-second", NUMBER, offsetof(struct options, pauses_per_second), "N", 1, 1000000,
      5000, "ceiling on pauses of all vCPUs together; samples beyond are late" },
    { "trace-period-max-ms", NUMBER, offsetof(struct options, trace_period_max_ms), "MS", 1, 1000,
      20, "the longest time between two samples of a trace" },
    { "doctor", FLAG, offsetof(struct options, doctor), "", 0, 0, 0,
      "say what stands in the way on this host (Xen, rights, clock, tracing), and who traces now; "
      "change nothing" },
    { "log-level", TEXT, offsetof(struct options, log_level_name), "LEVEL", 0, 0, 0,
      "error, warning, info (default) or debug" },
    { "scenario", TEXT, offsetof(struct options, backend_argument), "FILE", 0, 0, 0,
      "" /* the backend's own words */ },
    { "version", FLAG, offsetof(struct options, version), "", 0, 0, 0, "print the version" },
    { "help", FLAG, offsetof(struct options, help), "", 0, 0, 0, "print this" },
};
enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

static bool exists(const struct row *r)
{
    return r->text[0] != '\0' || backend_argument_help[0] != '\0';
}

static const struct row *find(const char *name, size_t len)
{
    for (size_t i = 0; i < ROWS; i++) {
        if (exists(&rows[i]) && strlen(rows[i].name) == len &&
            memcmp(rows[i].name, name, len) == 0) {
            return &rows[i];
        }
    }
    return NULL;
}

static int usage_failure(struct failure *f, int result)
{
    return failure_next(f, result, "see --help");
}

static int set(const struct row *r, const char *value, struct options *o, struct failure *f)
{
    void *field = (char *)o + r->offset;
    if (r->kind == FLAG) {
        *(bool *)field = true;
        return 0;
    }
    if (r->kind == TEXT) {
        if (value[0] == '\0') {
            return usage_failure(f,
                                 failure_set(f, ERROR_INVALID_ARGUMENT, "--%s is empty", r->name));
        }
        *(const char **)field = value;
        return 0;
    }
    uint64_t number;
    if (!text_to_u64(value, (uint64_t)r->max, &number) || (int64_t)number < r->min) {
        return usage_failure(f, failure_set(f, ERROR_INVALID_ARGUMENT,
                                            "--%s %s: expected a number from %lld to %lld", r->name,
                                            value, (long long)r->min, (long long)r->max));
    }
    *(int64_t *)field = (int64_t)number;
    return 0;
}

static int check(struct options *o, struct failure *f)
{
    static const struct {
        const char *name;
        enum log_level level;
    } levels[] = {
        { "error", LOG_LEVEL_ERROR },
        { "warning", LOG_LEVEL_WARNING },
        { "info", LOG_LEVEL_INFO },
        { "debug", LOG_LEVEL_DEBUG },
    };
    o->log_level = LOG_LEVEL_INFO;
    bool level_known = o->log_level_name == NULL;
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]) && !level_known; i++) {
        level_known = strcmp(levels[i].name, o->log_level_name) == 0;
        if (level_known) {
            o->log_level = levels[i].level;
        }
    }
    int result = 0;
    if (!level_known) {
        result = failure_set(f, ERROR_INVALID_ARGUMENT,
                             "--log-level %s: expected error, warning, info or debug",
                             o->log_level_name);
    } else if (o->doctor) {
        return 0;
    } else if ((o->socket_path == NULL) == (o->listen_fd == OPTIONS_UNSET)) {
        result = failure_set(f, ERROR_INVALID_ARGUMENT,
                             "expected exactly one of --socket and --listen-fd");
    } else if (!o->export_path) {
        result = failure_set(f, ERROR_INVALID_ARGUMENT,
                             "expected --export FILE: without an export"
                             " list nothing leaves this host");
    } else if (o->slot_max_mib > o->arena_mib) {
        o->slot_max_mib = o->arena_mib;
    }
    return result < 0 ? usage_failure(f, result) : 0;
}

int options_parse(int argc, char *argv[], struct options *out, struct failure *f)
{
    struct options o = { 0 };
    for (size_t i = 0; i < ROWS; i++) {
        if (rows[i].kind == NUMBER) {
            *(int64_t *)(void *)((char *)&o + rows[i].offset) = rows[i].preset;
        }
    }
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i];
        const char *equals = strchr(name, '=');
        size_t len = equals ? (size_t)(equals - name) : strlen(name);
        const struct row *r =
            len > 2 && memcmp(name, "--", 2) == 0 ? find(name + 2, len - 2) : NULL;
        if (!r) {
            return usage_failure(
                f, failure_set(f, ERROR_INVALID_ARGUMENT, "%s: no such option", argv[i]));
        }
        const char *value = equals ? equals + 1 : "";
        if (r->kind == FLAG && equals) {
            return usage_failure(
                f, failure_set(f, ERROR_INVALID_ARGUMENT, "--%s takes no value", r->name));
        }
        if (r->kind != FLAG && !equals) {
            if (++i == argc) {
                return usage_failure(f, failure_set(f, ERROR_INVALID_ARGUMENT, "--%s: expected %s",
                                                    r->name, r->value));
            }
            value = argv[i];
        }
        int result = set(r, value, &o, f);
        if (result < 0) {
            return result;
        }
    }
    if (!o.help && !o.version) {
        int result = check(&o, f);
        if (result < 0) {
            return result;
        }
    }
    *out = o;
    return 0;
}

void options_help(FILE *to, const char *program)
{
    fprintf(to,
            "Usage: %s (--socket PATH | --listen-fd N) --export FILE [OPTION…]\n"
            "       %s --doctor [--journal FILE]\n\n"
            "Maps and copies pages that Xen shares with dom0, for xenresd.\n\n",
            program, program);
    for (size_t i = 0; i < ROWS; i++) {
        const struct row *r = &rows[i];
        if (!exists(r)) {
            continue;
        }
        char left[64];
        snprintf(left, sizeof(left), "--%s %s", r->name, r->value);
        fprintf(to, "  %-28s %s", left, r->text[0] ? r->text : backend_argument_help);
        if (r->kind == NUMBER) {
            fprintf(to, " (%lld to %lld", (long long)r->min, (long long)r->max);
            if (r->preset != OPTIONS_UNSET) {
                fprintf(to, ", default %lld", (long long)r->preset);
            }
            fprintf(to, ")");
        }
        fprintf(to, "\n");
    }
}
