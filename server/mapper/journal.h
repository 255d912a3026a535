/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Which vCPUs the mapper traces, in a file that outlives it: a mapper that was killed leaves their
 * tracing on, and the next one has to know what of that was its own. A vCPU is written down before its
 * tracing is enabled, and crossed out once it is disabled.
 *
 * The file is a row of records of JOURNAL_RECORD_BYTES, each written at once: its boot of the host,
 * domid, UUID, vCPU and a checksum; zeros are a free place. It belongs to one mapper at a time (a lock),
 * and to root or to the user who started the mapper, alone: who could write it could have other
 * people's tracing stopped. What another boot wrote is void, as its hypervisor is. Anything else in it is
 * not touched: -ERROR_FAILED_PRECONDITION, with what to do.
 *
 * Opened before privileges are dropped; any thread after that.
 */
#ifndef XENRES_MAPPER_JOURNAL_H
#define XENRES_MAPPER_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/error.h"
#include "common/text.h"

enum {
    JOURNAL_RECORD_BYTES = 64,
    JOURNAL_RECORDS_MAX = 8192, /* the most traces, of the most vCPUs each */
};

struct journal;

struct journal_entry {
    uint8_t uuid[UUID_BYTES];
    uint16_t domid;
    uint32_t vcpu;
};

/* Opens `path`, made where it is not there, or without one (NULL) a journal that ends with the process.
 * `owner`: the user who started the mapper; `boot_id`: text of a UUID; with a path anything else is
 * -ERROR_FAILED_PRECONDITION, and the file is not touched. */
int journal_open(const char *path, uid_t owner, const char *boot_id, struct journal **out,
                 struct failure *f);
/* NULL is fine. The file stays. */
void journal_close(struct journal *j);

/* Written when this returns; once more is fine. -ERROR_RESOURCE_EXHAUSTED: there is no place left. */
int journal_add(struct journal *j, const struct journal_entry *entry, struct failure *f);
/* Where it is not in there nothing happens. That a place could not be written is logged; it is written
 * again by journal_settle(), or the next mapper that reads it disables once more what is disabled. */
void journal_remove(struct journal *j, const struct journal_entry *entry);
/* Writes again what could not be crossed out in the file. */
void journal_settle(struct journal *j);
/* There is no entry, and nothing that is yet to be crossed out. */
bool journal_is_clear(struct journal *j);
bool journal_has(struct journal *j, const struct journal_entry *entry);
/* One entry after the other; false behind the last. `*at` begins as 0. */
bool journal_next(struct journal *j, uint32_t *at, struct journal_entry *out);

/* What is in the file now, whoever has it: for those who only look. As many as `max` of this boot. */
int journal_read(const char *path, const char *boot_id, struct journal_entry *out, uint32_t max,
                 uint32_t *count, struct failure *f);

#endif
