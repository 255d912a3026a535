/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The domains as the mapper last saw them, and who each of them is: domid, UUID, name, and an
 * incarnation, 128 random bits drawn when the domain is first seen and anew after any gap in sight:
 *   - it was missing from the list in between;
 *   - its UUID is another, or its run time went back by more than clocks disagree;
 *   - its name node was written again with the same name, or taken away. (One write of another name
 *     is a rename: the same incarnation, another identity.)
 * Too many incarnations cost a caller a retry; one too few would show it another guest's pages.
 * Tags are read with the name. Other tags are another identity of the same incarnation, as another name is.
 *
 * A toolstack that destroys a domain takes its name away first. So an incarnation that succeeds one whose
 * name was taken away is *untold*: nobody is told of it, and it is to be listed nowhere, until it has a name,
 * or lived for DIRECTORY_UNTOLD_MS without one; when it dies before, nothing is said of it. The same of one
 * whose name could not be read when its incarnation began, but without that time.
 *
 * When an incarnation ends, or its domain begins to die, `gone` is called, so that nothing of it
 * stays mapped. Owns its table. One thread.
 */
#ifndef XENRES_MAPPER_DIRECTORY_H
#define XENRES_MAPPER_DIRECTORY_H

#include "common/error.h"
#include "common/feed_record.h"
#include "common/message.h"
#include "server/mapper/backend.h"

enum {
    DIRECTORY_DOMAINS_MAX = 4096, /* a host with more is refused, never shown in part */
    DIRECTORY_UNTOLD_MS = 2000,
};

struct directory;

/* Two looks at one number, one after the other: another domain, or another life of the same. */
bool directory_is_another(const struct backend_domain *before, const struct backend_domain *now);

struct directory_entry {
    struct backend_domain domain; /* as last seen */
    struct domain_identity identity;
    bool is_untold; /* has no name, and its incarnation is known here alone */
    /* The directory's: during which look for changes its name was read, 0: it has to be; and when one
     * that is untold is told nevertheless, 0: not known yet. */
    uint64_t named_at, told_by_ns;
};

typedef void directory_gone(void *arg, const uint8_t incarnation[16]);

/* What happened: the entry as it is now (GONE: as it was last), once the generation is what it is after
 * it; `before`: of RENAMED and RETAGGED, else NULL. A new incarnation is one GONE and one CREATED, the latter
 * later where it is untold. */
typedef void directory_told(void *arg, enum feed_domain_kind kind, const struct directory_entry *e,
                            const struct domain_identity *before);

int directory_new(const struct backend_ops *ops, struct backend *backend, directory_gone *gone,
                  void *arg, struct directory **out, struct failure *f);
void directory_free(struct directory *d); /* NULL is fine */
/* From now on tells `told` of every change; it must not call here. */
void directory_listen(struct directory *d, directory_told *told, void *arg);

/* Takes what the backend reports, and reads the list and then names again where it must: so the name that
 * goes with its domain is no change of the name, nor is that with which another one came. On failure the
 * directory knows that it is out of date, and the next call tries again. */
int directory_drain(struct directory *d, struct failure *f);
/* Reads the whole list again, if it was read longer than `max_age_ns` ago. */
int directory_refresh(struct directory *d, uint64_t max_age_ns, struct failure *f);
/* Asks for one domain now. -ERROR_NOT_FOUND when it is gone. */
int directory_find(struct directory *d, uint16_t domid, const struct directory_entry **out,
                   struct failure *f);
/* Tells of those that were untold for long enough, each after a look at whether it still lives. To be called
 * after each of the above; `next_ns` is when again, on the clock of `now_ns`; UINT64_MAX: not before then. */
int directory_settle(struct directory *d, uint64_t now_ns, uint64_t *next_ns, struct failure *f);

/* The entries, untold ones among them, ascending by domid. Valid until the next call that reads. */
const struct directory_entry *directory_entries(const struct directory *d, uint32_t *count);
/* Another number after each change that is told. */
uint64_t directory_generation(const struct directory *d);
/* How often a domain's tags were read and not used: malformed, or for others than dom0 to write. */
uint64_t directory_tags_ignored(const struct directory *d);

#endif
