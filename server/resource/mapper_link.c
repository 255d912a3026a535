/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/resource/mapper_link.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "common/scope.h"

struct mapper_slot {
    atomic_uint refs;
    uint32_t index, generation;
    struct mapper_link *link; /* counted */
    const uint8_t *bytes;
    size_t len_bytes;
    struct mapper_slot *next; /* in the list of releases */
};

struct mapper_link {
    atomic_uint refs;
    atomic_uint calls; /* answers to come */
    struct channel channel;
    int wake_fd;
    const uint8_t *arena; /* written once, before any slot */
    size_t arena_bytes;
    uint64_t slot_max_bytes;

    pthread_mutex_t lock;         /* of what follows */
    struct mapper_slot *releases; /* newest first: order does not matter */
    unsigned release_count;
    size_t release_bytes;
    bool sending; /* a thread is in flush(); it takes what is added meanwhile */
    bool blocked; /* the socket was full */
    bool watched; /* the receiving thread looks again within MAPPER_LINK_GATHER_MS */
    bool ended;
};

int mapper_link_open(const char *path, int wake_fd, struct mapper_link **out, struct failure *f)
{
    SCOPE_FREE struct mapper_link *l = calloc(1, sizeof(*l));

    if (l == NULL) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for a connection to the mapper");
    }
    SCOPE_FD int wake = fcntl(wake_fd, F_DUPFD_CLOEXEC, 0);

    if (wake < 0) {
        int result = failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no descriptor: %s", strerror(errno));

        return failure_call(f, result, "fcntl", errno);
    }
    int result = channel_connect(path, &l->channel, f);

    if (result != 0) {
        return result;
    }
    atomic_init(&l->refs, 1);
    atomic_init(&l->calls, 0);
    pthread_mutex_init(&l->lock, NULL);
    l->wake_fd = scope_take_fd(&wake);
    *out = scope_take_pointer(l);
    return 0;
}

struct mapper_link *mapper_link_ref(struct mapper_link *l)
{
    atomic_fetch_add_explicit(&l->refs, 1, memory_order_relaxed);
    return l;
}

void mapper_link_unref(struct mapper_link *l)
{
    if (l == NULL || atomic_fetch_sub_explicit(&l->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    assert(l->releases == NULL); /* each that waits counts, and end() forgets them */
    if (l->arena != NULL) {
        (void)munmap((void *)(uintptr_t)l->arena, l->arena_bytes);
    }
    channel_close(&l->channel);
    (void)close(l->wake_fd);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

int mapper_link_fd(const struct mapper_link *l)
{
    return l->channel.fd;
}

static int refuse_arena(struct failure *f, const char *what)
{
    int result = failure_set(f, ERROR_INTERNAL, "the mapper's arena is not as agreed: %s", what);

    failure_cause(f, result, "the mapper is not the one of this release, or it is taken over");
    return failure_next(f, result, "see the mapper's log; install both programs from one release");
}

/* Nobody can change its size, punch holes into it or map it writable any more; and it is plain
 * shared memory (huge pages give SIGBUS where the pool is empty). */
static int check_arena(const struct message_hello_answer *hello, int fd, struct failure *f)
{
    const int seals_needed = F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL | F_SEAL_FUTURE_WRITE;
    struct stat st;
    struct statfs fs;
    int seals = fcntl(fd, F_GET_SEALS);

    if (seals < 0 || (seals & seals_needed) != seals_needed) {
        return refuse_arena(f, "not sealed");
    }
    if (fstat(fd, &st) != 0 || fstatfs(fd, &fs) != 0 || fs.f_type != TMPFS_MAGIC) {
        return refuse_arena(f, "no shared memory");
    }
    if (hello->arena_bytes == 0 || hello->arena_bytes > SIZE_MAX / 2 ||
        hello->arena_bytes % MESSAGE_FRAME_BYTES != 0 || hello->slot_max_bytes == 0 ||
        hello->slot_max_bytes > hello->arena_bytes) {
        return refuse_arena(f, "sizes that cannot be");
    }
    if (st.st_size < 0 || (uint64_t)st.st_size != hello->arena_bytes) {
        return refuse_arena(f, "another size than announced");
    }
    return 0;
}

int mapper_link_set_arena(struct mapper_link *l, const struct message_hello_answer *hello, int fd,
                          struct failure *f)
{
    int result = check_arena(hello, fd, f);

    if (result != 0) {
        return result;
    }
    assert(l->arena == NULL);
    void *arena = mmap(NULL, (size_t)hello->arena_bytes, PROT_READ, MAP_SHARED, fd, 0);

    if (arena == MAP_FAILED) {
        result = failure_set(f, ERROR_RESOURCE_EXHAUSTED, "the mapper's arena cannot be mapped: %s",
                             strerror(errno));
        return failure_call(f, result, "mmap", errno);
    }
    l->arena = arena;
    l->arena_bytes = (size_t)hello->arena_bytes;
    l->slot_max_bytes = hello->slot_max_bytes;
    return 0;
}

int mapper_link_send(struct mapper_link *l, const union message *m, struct failure *f)
{
    return channel_send(&l->channel, m, m->head.len_bytes, NULL, 0, f);
}

ssize_t mapper_link_receive(struct mapper_link *l, union message *m, int *fds, size_t *fd_count,
                            struct failure *f)
{
    return channel_receive(&l->channel, m, sizeof(*m), fds, fd_count, f);
}

void mapper_link_call_begins(struct mapper_link *l)
{
    atomic_fetch_add(&l->calls, 1);
}

void mapper_link_call_ends(struct mapper_link *l)
{
    unsigned before = atomic_fetch_sub(&l->calls, 1);

    assert(before > 0);
}

unsigned mapper_link_calls(const struct mapper_link *l)
{
    return atomic_load(&l->calls);
}

static void free_slots(struct mapper_slot *slot)
{
    while (slot != NULL) {
        struct mapper_slot *next = slot->next;
        struct mapper_link *link = slot->link;

        free(slot);
        mapper_link_unref(link);
        slot = next;
    }
}

/* Moves at most one message's worth from the list to `m`; the slots moved are returned. */
static struct mapper_slot *gather(struct mapper_link *l, union message *m)
{
    struct mapper_slot *taken = NULL;
    uint32_t count = 0;

    memset(&m->release, 0, sizeof(m->release));
    message_init(m, MESSAGE_RELEASE, 1);
    while (l->releases != NULL && count < MESSAGE_RELEASES_MAX) {
        struct mapper_slot *slot = l->releases;

        l->releases = slot->next;
        l->release_count--;
        l->release_bytes -= slot->len_bytes;
        m->release.slots[count].index = slot->index;
        m->release.slots[count].generation = slot->generation;
        count++;
        slot->next = taken;
        taken = slot;
    }
    m->release.slot_count = count;
    return taken;
}

static void put_back(struct mapper_link *l, struct mapper_slot *slots)
{
    while (slots != NULL) {
        struct mapper_slot *next = slots->next;

        slots->next = l->releases;
        l->releases = slots;
        l->release_count++;
        l->release_bytes += slots->len_bytes;
        slots = next;
    }
}

void mapper_link_flush(struct mapper_link *l)
{
    union message m __attribute__((uninitialized)); /* 27 KiB, of which a release is little */
    struct mapper_slot *done = NULL;
    bool wake = false;

    pthread_mutex_lock(&l->lock);
    if (l->sending) { /* that thread takes ours along */
        pthread_mutex_unlock(&l->lock);
        return;
    }
    l->sending = true;
    l->blocked = false;
    while (l->releases != NULL && !l->blocked) {
        struct mapper_slot *batch = gather(l, &m);

        pthread_mutex_unlock(&l->lock);
        int result = mapper_link_send(l, &m, NULL);

        pthread_mutex_lock(&l->lock);
        if (result == -ERROR_RESOURCE_EXHAUSTED && !l->ended) {
            put_back(l, batch);
            l->blocked = true; /* the receiving thread waits for room */
            wake = true;
            break;
        }
        while (batch != NULL) { /* sent; or the mapper is gone, and has freed all itself */
            struct mapper_slot *next = batch->next;

            batch->next = done;
            done = batch;
            batch = next;
        }
    }
    l->sending = false;
    pthread_mutex_unlock(&l->lock);
    if (wake) {
        uint64_t one = 1;

        (void)!write(l->wake_fd, &one, sizeof(one)); /* full: it is awake already */
    }
    free_slots(done);
}

struct mapper_link_wants mapper_link_tend(struct mapper_link *l, enum mapper_link_pace pace)
{
    pthread_mutex_lock(&l->lock);
    l->watched = pace == MAPPER_LINK_BUSY;
    /* `calls` was reduced before this lock was taken, and release() looks at it under the lock: of
     * a release and the last answer, whoever comes second sends. */
    bool due = l->releases != NULL && (pace == MAPPER_LINK_IDLE || l->blocked ||
                                       (!l->watched && atomic_load(&l->calls) == 0) ||
                                       l->release_count >= MAPPER_LINK_GATHER);
    pthread_mutex_unlock(&l->lock);
    if (due) {
        mapper_link_flush(l);
    }
    pthread_mutex_lock(&l->lock);
    struct mapper_link_wants wants = {
        .writable = l->blocked,
        .timeout_ms =
            l->watched || (l->releases != NULL && !l->blocked) ? MAPPER_LINK_GATHER_MS : -1,
    };
    pthread_mutex_unlock(&l->lock);
    return wants;
}

void mapper_link_end(struct mapper_link *l)
{
    pthread_mutex_lock(&l->lock);
    struct mapper_slot *forgotten = l->releases;

    l->ended = true;
    l->releases = NULL;
    l->release_count = 0;
    l->release_bytes = 0;
    l->blocked = false;
    pthread_mutex_unlock(&l->lock);
    /* Not close(): a thread may be about to send, and the number must stay ours until it has. */
    (void)shutdown(l->channel.fd, SHUT_RDWR);
    free_slots(forgotten);
}

int mapper_link_take_slot(struct mapper_link *l, const struct message_slot *slot,
                          struct mapper_slot **out, struct failure *f)
{
    if (slot->offset_bytes > l->arena_bytes || slot->len_bytes > l->slot_max_bytes ||
        slot->len_bytes > l->arena_bytes - slot->offset_bytes) {
        return failure_set(f, ERROR_INTERNAL, "the mapper named a slot outside its arena");
    }
    struct mapper_slot *s = malloc(sizeof(*s));

    if (s == NULL) {
        union message m;

        memset(&m.release, 0, sizeof(m.release));
        message_init(&m, MESSAGE_RELEASE, 1);
        m.release.slot_count = 1;
        m.release.slots[0].index = slot->index;
        m.release.slots[0].generation = slot->generation;
        (void)mapper_link_send(l, &m, NULL);
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for a slot");
    }
    *s = (struct mapper_slot){
        .index = slot->index,
        .generation = slot->generation,
        .link = mapper_link_ref(l),
        .bytes = l->arena + slot->offset_bytes,
        .len_bytes = (size_t)slot->len_bytes,
    };
    atomic_init(&s->refs, 1);
    *out = s;
    return 0;
}

const void *mapper_slot_bytes(const struct mapper_slot *s, size_t *len_bytes)
{
    *len_bytes = s->len_bytes;
    return s->bytes;
}

struct mapper_slot *mapper_slot_ref(struct mapper_slot *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

static void release(struct mapper_link *l, struct mapper_slot *s)
{
    pthread_mutex_lock(&l->lock);
    if (l->ended) {
        pthread_mutex_unlock(&l->lock);
        s->next = NULL;
        free_slots(s);
        return;
    }
    s->next = l->releases;
    l->releases = s;
    l->release_count++;
    l->release_bytes += s->len_bytes;
    bool due = !l->blocked && ((!l->watched && atomic_load(&l->calls) == 0) ||
                               l->release_count >= MESSAGE_RELEASES_MAX ||
                               l->release_bytes >= MAPPER_LINK_GATHER_BYTES);
    if (due) {
        mapper_link_ref(l); /* the slot's own goes with the slot, maybe in another thread */
    }
    pthread_mutex_unlock(&l->lock);
    if (due) {
        mapper_link_flush(l);
        mapper_link_unref(l);
    }
}

void mapper_slot_unref(struct mapper_slot *s)
{
    if (s == NULL || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    release(s->link, s);
}
