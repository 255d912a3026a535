/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * A simulated host made of chance, on a clock that only the test moves, and what its pages held at each
 * sample that was taken: the truth that receivers are held against. Its own account: where pages differ
 * from those of the sample before, that is a batch, and each block of 64 bytes that does is one of its.
 */
#ifndef XENRES_TESTS_CHAIN_WORLD_H
#define XENRES_TESTS_CHAIN_WORLD_H

#include "tests/lib/lockstep.h"
#include "tests/lib/unit.h"

#include <xxhash.h>

#include "common/feed_record.h"
#include "common/layout.h"
#include "server/mapper/backend.h"
#include "server/mapper/sim/truth.h"

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "seed %llu: %s:%d: %s\n", (unsigned long long)lockstep.chance_seed,    \
                    __FILE__, __LINE__, #condition);                                               \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

enum {
    TRUTH_IMAGE_MAX_BYTES = 96 * MESSAGE_FRAME_BYTES,
    TRUTH_POINTS_MAX = 512,
    WORLD_FAULTS_MAX = 3,
    WORLD_LONG_MS = 2500, /* within which what the scenario has happens */
};

/* --- the clock ----------------------------------------------------------------------------------------- */

#define WORLD_BEGIN_NS (1000 * CLOCK_NS_PER_S)
#define WORLD_WALL_NS  (UINT64_C(1700000000) * CLOCK_NS_PER_S)
static uint64_t world_clock_ns = WORLD_BEGIN_NS;

static inline uint64_t world_read_clock(void *arg)
{
    (void)arg;
    return world_clock_ns;
}

static inline uint64_t world_read_wall(void *arg)
{
    (void)arg;
    return WORLD_WALL_NS + world_clock_ns;
}

/* --- the host ------------------------------------------------------------------------------------------ */

/* How the first life of domain "a" ends. */
enum world_fate { FATE_NONE, FATE_DESTROY, FATE_REBOOT, FATE_RESTORE, FATE_REUSE, FATE_COUNT };

struct sim_world {
    struct backend *backend; /* the loop's handle */
    struct backend *sampler; /* the sampler's */
    uint64_t opened_ns;      /* the clock when the simulation's was 0 */
    enum world_fate fate;
    uint64_t fate_ns;
    bool is_fulfilled; /* the mapper has heard of it */
    struct domain_identity domain;
    bool is_there; /* as the mapper knows */
    char scenario[8192];
};

#define WORLD_UUID "0b3c9f52-6f1e-4d5a-9a0c-3c1d5e7f9a01"
enum { WORLD_DOMID = 7, WORLD_REBOOT_DOMID = 9 };

struct text_to {
    char *at;
    size_t left;
};

static inline void __attribute__((format(printf, 2, 3)))
say(struct text_to *t, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    int n = vsnprintf(t->at, t->left, format, arguments);

    va_end(arguments);
    MUST(n >= 0 && (size_t)n < t->left);
    t->at += n;
    t->left -= (size_t)n;
}

static inline uint32_t choose(const uint32_t *values, size_t count)
{
    return values[chance((uint32_t)count)];
}
#define CHOOSE(...)                                                                                \
    choose((const uint32_t[]){ __VA_ARGS__ },                                                      \
           sizeof((const uint32_t[]){ __VA_ARGS__ }) / sizeof(uint32_t))

/* True: its table is so large that more can change at once than a spool has room for. */
static inline bool say_domain(struct text_to *t)
{
    bool is_large = chance(12) == 0;
    uint32_t version = 1 + chance(2), frames = 1 + chance(3),
             rate = CHOOSE(0, 30, 300, 3000, 20000);

    if (is_large) {
        frames = 17 + chance(3);
        rate = CHOOSE(0, 30, 3000);
    } else if (chance(150) == 0) { /* an image that is sent in parts */
        frames = 64 + chance(5);
        rate = 300;
    }
    say(t, "domain \"a\" { domid = %d uuid = \"%s\" type = \"pvh\" ", WORLD_DOMID, WORLD_UUID);
    say(t,
        "grants { version = %u frames = %u frames_max = %u entries = %u changes_per_second = %u } ",
        version, frames, frames + 2 + chance(3),
        is_large ? frames * layout_grants_per_frame(version)
                 : 8 + chance(frames * layout_grants_per_frame(version) - 7),
        rate);
    say(t, "ioreq \"0\" { requests_per_second = %u } }\n", CHOOSE(0, 20, 200, 2000));
    return is_large;
}

static inline void say_event(struct text_to *t, uint64_t at_ms, const char *what, uint32_t value)
{
    say(t, "event { at_ms = %llu domain = \"a\" do = \"%s\" value = %u }\n",
        (unsigned long long)at_ms, what, value);
}

static inline void say_events(struct text_to *t, bool is_large)
{
    static const char *const kinds[] = { "grow",          "set_version",  "change", "change",
                                         "destroy_ioreq", "create_ioreq", "pause",  "unpause" };

    for (uint32_t i = chance(6) + (is_large ? 4 : 0); i > 0; i--) {
        const char *what = kinds[chance(8)];
        uint32_t value = 0;

        if (strcmp(what, "grow") == 0) {
            value = 1 + chance(5);
        } else if (strcmp(what, "set_version") == 0) {
            value = 1 + chance(2);
        } else if (strcmp(what, "change") == 0) {
            value = is_large ? 8000 : 1 + chance(40);
        }
        say_event(t, chance(WORLD_LONG_MS), what, value);
    }
}

static inline void say_faults(struct text_to *t)
{
    static const char *const operations[] = { "find", "size", "grant_version", "map" };
    static const char *const errors[] = { "EIO", "ENOMEM", "EINVAL", "EFAULT", "EBUSY" };

    for (uint32_t i = chance(2 * WORLD_FAULTS_MAX); i > WORLD_FAULTS_MAX - 1; i--) {
        const char *operation = operations[chance(4)];

        say(t, "fault { operation = \"%s\" call = %u ", operation, 1 + chance(200));
        if (chance(10) == 0) {
            say(t, "effect = \"dies\" }\n");
        } else if (chance(3) == 0 && operation[0] == 'm') {
            say(t, "effect = \"pages_lost\" count = %u }\n", 1 + chance(2));
        } else {
            say(t, "errno = \"%s\" count = %u }\n", errors[chance(5)],
                chance(6) == 0 ? 40 : 1 + chance(4));
        }
    }
}

static inline void say_fate(struct text_to *t, const struct sim_world *w)
{
    uint64_t at_ms = (w->fate_ns - w->opened_ns) / CLOCK_NS_PER_MS;

    switch (w->fate) {
    case FATE_DESTROY: say_event(t, at_ms, "destroy", 0); break;
    case FATE_REBOOT: say_event(t, at_ms, "reboot", WORLD_REBOOT_DOMID); break;
    case FATE_RESTORE: say_event(t, at_ms, "restore", 0); break;
    case FATE_REUSE: /* another one takes its number */
        say(t,
            "domain \"b\" { domid = %d uuid = \"0b3c9f52-6f1e-4d5a-9a0c-3c1d5e7f9a02\" type = "
            "\"pvh\" "
            "present = false grants { frames = 2 entries = 300 } ioreq \"0\" { } }\n",
            WORLD_DOMID);
        say_event(t, at_ms, "destroy", 0);
        say(t, "event { at_ms = %llu domain = \"b\" do = \"create\" }\n",
            (unsigned long long)at_ms);
        break;
    case FATE_NONE:
    case FATE_COUNT: break;
    }
}

static inline void world_give_life(struct sim_world *w, uint16_t domid)
{
    w->domain = (struct domain_identity){ .domid = domid, .name = "a" };
    MUST(getrandom(w->domain.incarnation, sizeof(w->domain.incarnation), 0) > 0);
    struct backend_domain d;

    w->is_there = true;
    if (backend_ops->find(w->backend, domid, &d, NULL) == 0) {
        memcpy(w->domain.uuid, d.uuid, sizeof(d.uuid));
    }
}

static inline void world_begin(struct sim_world *w)
{
    struct text_to t = { w->scenario, sizeof(w->scenario) };
    struct failure f = { 0 };

    w->opened_ns = world_clock_ns;
    w->fate = chance(3) != 0 ? FATE_NONE : FATE_DESTROY + chance(FATE_COUNT - FATE_DESTROY);
    w->fate_ns = w->fate == FATE_NONE
                     ? UINT64_MAX
                     : w->opened_ns + (200 + chance(WORLD_LONG_MS)) * CLOCK_NS_PER_MS;
    w->is_fulfilled = false;
    say(&t, "clock = \"virtual\"\nseed = %llu\n", (unsigned long long)(lockstep_draw() >> 1));
    say_events(&t, say_domain(&t));
    say_fate(&t, w);
    if (chance(2) == 0) {
        say_faults(&t);
    }
    if (sim_open(w->scenario, &w->backend, &f) < 0) {
        fprintf(stderr, "%s\n%s\n", f.message, w->scenario);
        abort();
    }
    MUST(backend_ops->open_sampler(w->backend, &w->sampler, NULL) == 0);
    memset(&w->domain, 0, sizeof(w->domain));
    world_give_life(w, WORLD_DOMID);
}

static inline void world_end(struct sim_world *w)
{
    backend_ops->close(w->sampler);
    backend_ops->close(w->backend);
}

/* By whole milliseconds: what happens in less a guest does later. */
static inline void world_advance_to(struct sim_world *w, uint64_t until_ns)
{
    sim_advance(w->backend, until_ns - world_clock_ns);
    world_clock_ns = until_ns;
}

/* --- what pages hold ----------------------------------------------------------------------------------- */

struct truth_image {
    uint8_t bytes[TRUTH_IMAGE_MAX_BYTES];
    uint64_t len_bytes;
    uint32_t version, frames; /* of the table */
};

static inline bool truth_add(struct backend *b, const struct sim_resource *what, uint32_t frames,
                             struct truth_image *out)
{
    MUST(out->len_bytes + (uint64_t)frames * MESSAGE_FRAME_BYTES <= sizeof(out->bytes));
    if (!sim_read(b, what, 0, frames, out->bytes + out->len_bytes)) {
        return false;
    }
    out->len_bytes += (uint64_t)frames * MESSAGE_FRAME_BYTES;
    return true;
}

/* All of what is wanted as it is now; false: there is none, it is another domain's, or it is lost. */
static inline bool truth_read(struct backend *b, const struct message_snapshot *wanted,
                              struct truth_image *out)
{
    struct sim_resource what = { wanted->domain.domid, wanted->type, wanted->id };
    bool is_grants = wanted->type == RESOURCE_GRANT_TABLE;
    struct sim_table table;
    uint32_t first, status;

    out->len_bytes = 0;
    if (!sim_table(b, what.domid, &table) ||
        memcmp(table.uuid, wanted->domain.uuid, sizeof(table.uuid)) != 0) {
        return false;
    }
    out->version = is_grants ? table.version : 0;
    out->frames = is_grants ? table.frames_in_use : (uint32_t)IOREQ_FRAMES;
    layout_status_range(0, table.frames_in_use, &first, &status);
    if (is_grants && wanted->id == GRANT_TABLE_STATUS) {
        out->frames = status;
        return table.version == 2 && truth_add(b, &what, status, out);
    }
    if (!truth_add(b, &what, out->frames, out)) {
        return false;
    }
    what.id = GRANT_TABLE_STATUS;
    return !is_grants || !(wanted->flags & SNAPSHOT_WITH_STATUS) || table.version != 2 ||
           truth_add(b, &what, status, out);
}

/* --- what they held ------------------------------------------------------------------------------------ */

/* From the sample in which it was new to the last one that found it so. */
struct truth_point {
    uint32_t segment;
    uint64_t batch, blocks;
    uint64_t first_ns, last_ns;
    uint64_t len_bytes;
    XXH64_hash_t hash;
};

struct truth {
    struct truth_image images[2]; /* of the last sample, and of the one before */
    unsigned newest;
    struct truth_point points[TRUTH_POINTS_MAX];
    unsigned count;
};

static inline XXH64_hash_t truth_hash(const void *bytes, uint64_t len_bytes)
{
    return XXH3_64bits(bytes, len_bytes);
}

static inline uint32_t truth_differences(const struct truth_image *a, const struct truth_image *b)
{
    uint32_t count = 0;

    MUST(a->len_bytes == b->len_bytes);
    for (uint64_t at = 0; at < a->len_bytes; at += FEED_BLOCK_BYTES) {
        count += memcmp(a->bytes + at, b->bytes + at, FEED_BLOCK_BYTES) != 0;
    }
    return count;
}

static inline const struct truth_point *truth_last(const struct truth *t)
{
    MUST(t->count > 0);
    return &t->points[t->count - 1];
}

static inline struct truth_image *truth_fresh(struct truth *t)
{
    return &t->images[1 - t->newest];
}

/* What was read into truth_fresh() is what was sampled now. */
static inline void truth_note(struct truth *t, const struct truth_point *numbers)
{
    const struct truth_image *i = truth_fresh(t);

    MUST(t->count < TRUTH_POINTS_MAX);
    t->newest = 1 - t->newest;
    struct truth_point *p = &t->points[t->count++];

    *p = *numbers;
    p->first_ns = p->last_ns = world_clock_ns;
    p->len_bytes = i->len_bytes;
    p->hash = truth_hash(i->bytes, i->len_bytes);
}

/* As it was behind that number; NULL: it never was. */
static inline const struct truth_point *truth_at(const struct truth *t, uint32_t segment,
                                                 uint64_t batch)
{
    for (unsigned i = t->count; i > 0; i--) {
        if (t->points[i - 1].segment == segment && t->points[i - 1].batch == batch) {
            return &t->points[i - 1];
        }
    }
    return NULL;
}

/* Blocks produced up to this number. */
static inline uint64_t truth_blocks(const struct truth *t, uint64_t batch)
{
    for (unsigned i = t->count; i > 0; i--) {
        if (t->points[i - 1].batch == batch) {
            return t->points[i - 1].blocks;
        }
    }
    MUST(!"a batch that never was");
    return 0;
}

#endif
