/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * A sorted array. A scan walks the backend's list and the array side by side: both ascend.
 */
#include "server/mapper/directory.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/message_tags.h"
#include "server/mapper/explain.h"
#include "server/mapper/tags.h"

enum {
    LIST_PAGE = 64, /* domains asked for at once */
    ENTRIES_FIRST = 64,
    EVENTS_MAX = 65536, /* taken in one drain: a flood must not hold the loop */
};
/* Run times of two processors may disagree by so much when they are added up. */
#define CPU_TIME_SLACK_NS (100 * CLOCK_NS_PER_MS)

struct directory {
    const struct backend_ops *ops;
    struct backend *backend;
    directory_gone *gone;
    void *gone_arg;
    directory_told *told; /* NULL: nobody listens */
    void *told_arg;
    struct directory_entry *entries;
    uint32_t count, capacity;
    uint64_t generation;
    uint64_t scanned_ns;
    bool stale;                      /* the list must be read before anything here is believed */
    uint64_t looks;                  /* for changes, so far */
    bool has_written;                /* some name was written, and not read again since */
    bool has_untold;                 /* there may be one that is to be told some time */
    uint8_t written[UINT16_MAX + 1]; /* by domid: how often, up to 2 */
    bool has_retagged;               /* the same of tags */
    bool retagged[UINT16_MAX + 1];
    uint64_t tags_ignored;
};

int directory_new(const struct backend_ops *ops, struct backend *backend, directory_gone *gone,
                  void *arg, struct directory **out, struct failure *f)
{
    struct directory *d = calloc(1, sizeof(*d));
    if (d) {
        d->entries = calloc(ENTRIES_FIRST, sizeof(*d->entries));
    }
    if (!d || !d->entries) {
        free(d);
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for the domain directory");
    }
    d->ops = ops;
    d->backend = backend;
    d->gone = gone;
    d->gone_arg = arg;
    d->capacity = ENTRIES_FIRST;
    d->generation = 1;
    d->stale = true;
    d->looks = 1; /* 0 is none */
    *out = d;
    return 0;
}

void directory_free(struct directory *d)
{
    if (!d) {
        return;
    }
    for (uint32_t i = 0; i < d->count; i++) {
        d->ops->unwatch_name(d->backend, d->entries[i].domain.domid);
    }
    free(d->entries);
    free(d);
}

void directory_listen(struct directory *d, directory_told *told, void *arg)
{
    d->told = told;
    d->told_arg = arg;
}

static void tell(struct directory *d, enum feed_domain_kind kind, const struct directory_entry *e,
                 const struct domain_identity *before)
{
    if (e->is_untold) {
        return;
    }
    d->generation++;
    if (d->told) {
        d->told(d->told_arg, kind, e, before);
    }
}

static void tell_at_last(struct directory *d, struct directory_entry *e)
{
    e->is_untold = false;
    e->told_by_ns = 0;
    tell(d, FEED_DOMAIN_CREATED, e, NULL);
}

/* A random number that nobody can foresee: whoever holds it has seen this very incarnation. */
static void draw_incarnation(struct directory_entry *e)
{
    uint8_t *at = e->identity.incarnation;
    size_t left = sizeof(e->identity.incarnation);
    while (left > 0) {
        ssize_t n = getrandom(at, left, 0);
        assert(n > 0 || errno == EINTR); /* at most 256 bytes: cannot fail otherwise */
        if (n > 0) {
            at += n;
            left -= (size_t)n;
        }
    }
}

/* Untold ones too: whatever is held under it is let go of. */
static void end_incarnation(struct directory *d, const struct directory_entry *e,
                            enum feed_domain_kind kind)
{
    d->gone(d->gone_arg, e->identity.incarnation);
    tell(d, kind, e, NULL);
}

/* Where `domid` is in the array, or belongs. */
static uint32_t position_of(const struct directory *d, uint16_t domid)
{
    uint32_t low = 0, high = d->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (d->entries[middle].domain.domid < domid) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Somebody else by the same number; untold where `fresh` is. */
static void begin_incarnation(struct directory *d, struct directory_entry *e,
                              const struct directory_entry *fresh)
{
    end_incarnation(d, e, FEED_DOMAIN_GONE);
    *e = *fresh;
    draw_incarnation(e);
    d->has_untold = d->has_untold || e->is_untold;
    tell(d, FEED_DOMAIN_CREATED, e, NULL);
}

static void remove_at(struct directory *d, uint32_t at)
{
    end_incarnation(d, &d->entries[at], FEED_DOMAIN_GONE);
    d->ops->unwatch_name(d->backend, d->entries[at].domain.domid);
    memmove(&d->entries[at], &d->entries[at + 1], (d->count - at - 1) * sizeof(d->entries[0]));
    d->count--;
}

/* Told once, not at each write: a guest that may write the node could fill the log. */
static void tell_ignored(struct directory *d, const struct domain_identity *who, bool were_unknown,
                         const char *why)
{
    d->tags_ignored++;
    if (!were_unknown) {
        log_warning("the tags of domain %u are not used, and rules that deny by tag hold for it:"
                    " /local/domain/%u/" BACKEND_TAGS_NODE ": %s",
                    who->domid, who->domid, why);
    }
}

static int read_tags(struct directory *d, struct domain_identity *out, struct failure *f)
{
    struct backend_tags node = { 0 };
    bool were_unknown = out->tags_unknown != 0;
    const char *why;
    int result = d->ops->domain_tags(d->backend, out->domid, &node, f);
    if (result == 0 && !tags_read(&node, out, &why)) {
        tell_ignored(d, out, were_unknown, why);
    }
    return result;
}

static void forget_tags(struct domain_identity *identity)
{
    memset(identity->tags, 0, sizeof(identity->tags));
    identity->tags_unknown = 1;
}

/* And tags. */
static int read_name(struct directory *d, uint16_t domid, struct domain_identity *out,
                     struct failure *f)
{
    char name[MESSAGE_NAME_BYTES] = "";
    bool cut = false;
    int result = d->ops->domain_name(d->backend, domid, name, &cut, f);
    if (result == 0) {
        result = read_tags(d, out, f);
    }
    if (result < 0) {
        return result;
    }
    memset(out->name, 0, sizeof(out->name)); /* identities are compared and sent whole */
    if (!cut) {
        memcpy(out->name, name, strnlen(name, sizeof(out->name) - 1));
    }
    out->name_cut = cut;
    return 0;
}

static bool has_name(const struct domain_identity *identity)
{
    return identity->name[0] != '\0' || identity->name_cut;
}

/* Under the name of the one before it would be taken for that one. */
static void forget_name(struct directory_entry *e)
{
    memset(e->identity.name, 0, sizeof(e->identity.name));
    e->identity.name_cut = false;
    forget_tags(&e->identity);
    e->is_untold = true;
    e->named_at = e->told_by_ns = 0;
}

static void set_written(struct directory *d, uint16_t domid)
{
    d->written[domid] = d->written[domid] == 0 ? 1 : 2;
    d->has_written = true;
}

static int add_at(struct directory *d, uint32_t at, const struct backend_domain *fresh,
                  struct failure *f)
{
    if (d->count == DIRECTORY_DOMAINS_MAX) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "this host has more than %d domains",
                           DIRECTORY_DOMAINS_MAX);
    }
    if (d->count == d->capacity) {
        struct directory_entry *grown = realloc(d->entries, 2 * d->capacity * sizeof(*grown));
        if (!grown) {
            return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for %u domains", d->count);
        }
        d->entries = grown;
        d->capacity *= 2;
    }
    struct directory_entry e = { .domain = *fresh, .named_at = d->looks };
    e.identity.domid = fresh->domid;
    memcpy(e.identity.uuid, fresh->uuid, UUID_BYTES);
    draw_incarnation(&e);
    d->ops->watch_name(d->backend, fresh->domid); /* before reading: no write is missed */
    int result = read_name(d, fresh->domid, &e.identity, f);
    if (result < 0) {
        d->ops->unwatch_name(d->backend, fresh->domid);
        return result;
    }
    memmove(&d->entries[at + 1], &d->entries[at], (d->count - at) * sizeof(d->entries[0]));
    d->entries[at] = e;
    d->count++;
    tell(d, FEED_DOMAIN_CREATED, &d->entries[at], NULL);
    return 0;
}

static bool is_over(uint32_t state)
{
    return state == DOMAIN_SHUTDOWN || state == DOMAIN_CRASHED;
}

bool directory_is_another(const struct backend_domain *before, const struct backend_domain *now)
{
    return memcmp(before->uuid, now->uuid, UUID_BYTES) != 0 ||
           now->cpu_time_ns + CPU_TIME_SLACK_NS < before->cpu_time_ns ||
           (before->dying && !now->dying); /* nobody comes back from dying */
}

/* The same number is there again: is it the same domain? */
static void update_entry(struct directory *d, struct directory_entry *e,
                         const struct backend_domain *fresh)
{
    struct backend_domain before = e->domain;
    if (directory_is_another(&before, fresh)) {
        struct directory_entry next = { .domain = *fresh,
                                        .identity = e->identity,
                                        .named_at = d->looks };
        struct failure ignored;
        memcpy(next.identity.uuid, fresh->uuid, UUID_BYTES);
        if (read_name(d, fresh->domid, &next.identity, &ignored) < 0) {
            forget_name(&next);
            set_written(d, fresh->domid);
        }
        begin_incarnation(d, e, &next);
        return;
    }
    e->domain = *fresh;
    if (fresh->dying && !before.dying) {
        /* It is still listed, but nothing may hold on to it. */
        end_incarnation(d, e, FEED_DOMAIN_DYING);
    } else if (is_over(fresh->state) != is_over(before.state)) {
        tell(d, FEED_DOMAIN_STATE, e, NULL);
    }
}

static int scan(struct directory *d, struct failure *f)
{
    struct backend_domain page[LIST_PAGE];
    uint32_t at = 0;
    uint32_t next_domid = 0;
    for (;;) {
        uint32_t count = 0;
        int result = d->ops->list(d->backend, (uint16_t)next_domid, page, LIST_PAGE, &count, f);
        if (result < 0) {
            return result;
        }
        for (uint32_t i = 0; i < count; i++) {
            while (at < d->count && d->entries[at].domain.domid < page[i].domid) {
                remove_at(d, at);
            }
            if (at < d->count && d->entries[at].domain.domid == page[i].domid) {
                update_entry(d, &d->entries[at], &page[i]);
            } else {
                result = add_at(d, at, &page[i], f);
                if (result < 0) {
                    return result;
                }
            }
            at++;
        }
        if (count < LIST_PAGE || page[count - 1].domid >= EXPLAIN_DOMID_RESERVED) {
            break;
        }
        next_domid = page[count - 1].domid + 1U;
    }
    while (at < d->count) {
        remove_at(d, at);
    }
    d->stale = false;
    d->scanned_ns = clock_monotonic_ns();
    return 0;
}

/* Written more than once, the name may have been another domain's in between. */
static int reread_name(struct directory *d, struct directory_entry *e, bool is_again,
                       struct failure *f)
{
    struct directory_entry next = *e;
    next.named_at = d->looks;
    int result = read_name(d, e->domain.domid, &next.identity, f);
    if (result < 0) {
        /* A write was seen and its value was not: treat it as the worst that it can be. */
        forget_name(&next);
        begin_incarnation(d, e, &next);
        return result;
    }
    struct domain_identity before = e->identity;
    bool had_name = has_name(&before);
    bool same =
        before.name_cut == next.identity.name_cut && strcmp(before.name, next.identity.name) == 0;
    if (is_again || (had_name && (same || !has_name(&next.identity)))) {
        next.is_untold = !has_name(&next.identity);
        next.told_by_ns = next.is_untold ? e->told_by_ns : 0;
        begin_incarnation(d, e, &next);
        return 0;
    }
    *e = next;
    if (e->is_untold && has_name(&e->identity)) {
        tell_at_last(d, e);
    } else if (!same) {
        tell(d, FEED_DOMAIN_RENAMED, e, &before);
    } else if (!domain_tags_equal(&before, &e->identity)) {
        tell(d, FEED_DOMAIN_RETAGGED, e, &before);
    }
    return 0;
}

/* Names that were written, of those who are there, and whose name was not read since. What cannot be read is
 * read with the next look. */
static int reread_names(struct directory *d, struct failure *f)
{
    int worst = 0;
    uint32_t unread = 0;
    for (uint32_t i = 0; i < d->count && d->has_written; i++) {
        struct directory_entry *e = &d->entries[i];
        unsigned times = d->written[e->domain.domid];
        if (times > 0 && e->named_at != d->looks && !e->domain.dying) {
            int result = reread_name(d, e, times > 1, f);
            worst = result < 0 ? result : worst;
            unread += result < 0;
        }
    }
    memset(d->written, 0, sizeof(d->written));
    d->has_written = false;
    for (uint32_t i = 0; i < d->count && unread > 0; i++) {
        if (d->entries[i].named_at == 0 && !d->entries[i].domain.dying) {
            set_written(d, d->entries[i].domain.domid);
        }
    }
    return worst;
}

static int reread_entry_tags(struct directory *d, struct directory_entry *e, struct failure *f)
{
    struct domain_identity before = e->identity;
    int result = read_tags(d, &e->identity, f);
    if (result < 0) {
        forget_tags(&e->identity);
    }
    if (!domain_tags_equal(&before, &e->identity)) {
        tell(d, FEED_DOMAIN_RETAGGED, e, &before);
    }
    return result;
}

/* Tags that were written, of those who are there, but for those read with a name just now. What cannot be
 * read is unknown until the next look. */
static int reread_tags(struct directory *d, struct failure *f)
{
    int worst = 0;
    bool has_retagged = false;
    for (uint32_t i = 0; i < d->count && d->has_retagged; i++) {
        struct directory_entry *e = &d->entries[i];
        bool is_due = d->retagged[e->domain.domid] && e->named_at != d->looks && !e->domain.dying;
        int result = is_due ? reread_entry_tags(d, e, f) : 0;
        worst = result < 0 ? result : worst;
        d->retagged[e->domain.domid] = result < 0;
        has_retagged = has_retagged || result < 0;
    }
    d->has_retagged = has_retagged;
    return worst;
}

int directory_drain(struct directory *d, struct failure *f)
{
    unsigned events;
    uint16_t domid = 0;
    d->looks++;
    for (int i = 0; i < EVENTS_MAX && d->ops->next_event(d->backend, &events, &domid); i++) {
        if (events & BACKEND_EVENT_DOMAINS) {
            d->stale = true;
        }
        if (events & BACKEND_EVENT_NAME) {
            set_written(d, domid);
        }
        if (events & BACKEND_EVENT_TAGS) {
            d->has_retagged = d->retagged[domid] = true;
        }
    }
    /* A name goes when its domain does, and it may be told of first. */
    int result = d->stale || d->has_written || d->has_retagged ? scan(d, f) : 0;
    if (result < 0) {
        return result;
    }
    int names = reread_names(d, f), tags = reread_tags(d, f);
    return names < 0 ? names : tags;
}

int directory_refresh(struct directory *d, uint64_t max_age_ns, struct failure *f)
{
    if (clock_monotonic_ns() - d->scanned_ns > max_age_ns) {
        d->stale = true;
    }
    return directory_drain(d, f);
}

int directory_find(struct directory *d, uint16_t domid, const struct directory_entry **out,
                   struct failure *f)
{
    struct backend_domain fresh;
    int result = d->ops->find(d->backend, domid, &fresh, f);
    uint32_t at = position_of(d, domid);
    bool known = at < d->count && d->entries[at].domain.domid == domid;
    if (result < 0) {
        if (result == -ERROR_NOT_FOUND && known) {
            remove_at(d, at);
        }
        return result;
    }
    if (known) {
        update_entry(d, &d->entries[at], &fresh);
    } else {
        result = add_at(d, at, &fresh, f);
        if (result < 0) {
            return result;
        }
    }
    *out = &d->entries[at];
    return 0;
}

/* Where it dies untold, or its name has to be read first, there is nothing to wait for. */
static bool is_to_be_told(const struct directory_entry *e)
{
    return e->is_untold && e->named_at != 0 && !e->domain.dying;
}

/* Its time is over. -ERROR_NOT_FOUND: so is its life, and it is no entry any more. */
static int tell_late(struct directory *d, struct directory_entry *e, struct failure *f)
{
    const struct directory_entry *found;
    int result = directory_find(d, e->domain.domid, &found, f);
    if (result == 0 && is_to_be_told(e)) {
        tell_at_last(d, e);
    } else if (result < 0 && result != -ERROR_NOT_FOUND) {
        e->told_by_ns = 0; /* as long again */
    }
    return result;
}

int directory_settle(struct directory *d, uint64_t now_ns, uint64_t *next_ns, struct failure *f)
{
    int worst = 0;
    bool has_untold = false;
    *next_ns = UINT64_MAX;
    for (uint32_t i = 0; i < d->count && d->has_untold;) {
        struct directory_entry *e = &d->entries[i];
        bool is_due = is_to_be_told(e) && e->told_by_ns != 0 && now_ns >= e->told_by_ns;
        int result = is_due ? tell_late(d, e, f) : 0;
        if (result == -ERROR_NOT_FOUND) {
            continue; /* the next one has its place now */
        }
        worst = result < 0 ? result : worst;
        if (is_to_be_told(e)) {
            if (e->told_by_ns == 0) {
                e->told_by_ns = now_ns + DIRECTORY_UNTOLD_MS * CLOCK_NS_PER_MS;
            }
            *next_ns = e->told_by_ns < *next_ns ? e->told_by_ns : *next_ns;
        }
        has_untold = has_untold || (e->is_untold && !e->domain.dying);
        i++;
    }
    d->has_untold = has_untold;
    return worst;
}

const struct directory_entry *directory_entries(const struct directory *d, uint32_t *count)
{
    *count = d->count;
    return d->entries;
}

uint64_t directory_tags_ignored(const struct directory *d)
{
    return d->tags_ignored;
}

uint64_t directory_generation(const struct directory *d)
{
    return d->generation;
}
