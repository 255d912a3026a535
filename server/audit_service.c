/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/audit_service.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "common/log.h"
#include "server/rpc/rpc.h"
#include "server/sandbox.h"

/* Of checkpoints in the journal; xenresd-audit(5) has it, and it never changes. */
#define MESSAGE_ID_CHECKPOINT "5b1d6f0e2f744d5c9e0a8a3b7c41d2e6"

enum { DETAIL_BYTES = 256 };

/* The line is the message, so that `journalctl -o cat` prints what the verifier reads. */
static void on_checkpoint(void *arg, const char *line, uint64_t sequence)
{
    (void)arg;
    int result = sd_journal_send("MESSAGE=%s", line, "MESSAGE_ID=" MESSAGE_ID_CHECKPOINT,
                                 "PRIORITY=%i", LOG_NOTICE, "XENRESD_AUDIT_SEQUENCE=%llu",
                                 (unsigned long long)sequence, NULL);

    if (result < 0) {
        log_warning("a checkpoint of the audit could not be sent to the journal: %s",
                    strerror(-result));
    }
}

static void on_failing(void *arg, bool is_failing)
{
    _Atomic(struct rpc *) *place = arg;
    struct rpc *rpc = atomic_load(place);

    if (is_failing && rpc != NULL) {
        rpc_look_again(rpc);
    }
}

static enum audit_sync sync_of(const char *word)
{
    return strcmp(word, "none") == 0   ? AUDIT_SYNC_NONE
           : strcmp(word, "each") == 0 ? AUDIT_SYNC_EACH
                                       : AUDIT_SYNC_INTERVAL;
}

/* Who has to write the files once root is given up. */
static int find_owner(const struct config *c, struct audit_owner *owner, struct failure *f)
{
    *owner = (struct audit_owner){ (uid_t)-1, (gid_t)-1 };
    return geteuid() == 0 ? sandbox_find_user(c->server_user, &owner->uid, &owner->gid, f) : 0;
}

int audit_service_open(const struct config *config, _Atomic(struct rpc *) *rpc, struct audit **out,
                       struct failure *f)
{
    char path[2 * CONFIG_TEXT_BYTES + 2];
    bool is_absolute = config->audit_file[0] == '/';
    struct audit_options options = {
        .log = { .path = path,
                 .state_dir = config->server_state_dir,
                 .max_bytes = (uint64_t)config->audit_max_mib << 20,
                 .keep = (unsigned)config->audit_keep },
        .on_failure =
            strcmp(config->audit_on_failure, "continue") == 0 ? AUDIT_CONTINUE : AUDIT_REFUSE,
        .sync = sync_of(config->audit_sync),
        .checkpoint_records = AUDIT_CHECKPOINT_RECORDS,
        .checkpoint_ms = AUDIT_CHECKPOINT_S * 1000,
        .tick_ms = AUDIT_TICK_MS,
        .on_checkpoint = on_checkpoint,
        .on_failing = on_failing,
        .arg = rpc,
    };

    if (config->audit_file[0] == '\0') {
        *out = NULL;
        return 0;
    }
    (void)snprintf(path, sizeof(path), "%s%s%s", is_absolute ? "" : config->server_state_dir,
                   is_absolute ? "" : "/", config->audit_file);
    int result = find_owner(config, &options.log.owner, f);

    return result == 0 ? audit_new(&options, out, f) : result;
}

static void write_reload(struct audit *audit, const char *reason, const struct buffer *faults,
                         const struct failure *why)
{
    char detail[DETAIL_BYTES];
    bool has_fault = faults->len_bytes > 0;
    const char *end = has_fault ? memchr(faults->data, '\n', faults->len_bytes) : NULL;
    int len = end != NULL ? (int)(end - (const char *)faults->data) : 0;
    const struct audit_record r = {
        .event = AUDIT_RELOAD,
        .outcome = why->code,
        .reason = reason,
        .detail = why->code == 0 ? NULL : detail,
    };

    (void)snprintf(detail, sizeof(detail), "%.*s", has_fault ? len : FAILURE_TEXT_MAX,
                   has_fault ? (const char *)faults->data : why->message);
    (void)audit_write(audit, &r, NULL);
}

void audit_service_reloaded(struct audit *audit, const struct buffer *faults,
                            const struct failure *why)
{
    audit_reopen(audit);
    write_reload(audit, "signal", faults, why);
}

void audit_service_access_reloaded(struct audit *audit, const struct buffer *faults,
                                   const struct failure *why)
{
    write_reload(audit, "files_changed", faults, why);
}

bool audit_service_is_closed(const struct audit *audit, struct buffer *reasons)
{
    struct audit_counters counted;

    audit_count(audit, &counted);
    if (counted.is_failing) {
        (void)buffer_append_string(reasons, "the audit cannot be written: see the log\n");
    }
    return audit_check(audit, NULL) != 0;
}
