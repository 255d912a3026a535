/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * A backend of one domain, whose pages, sizes and failures the test sets: the guest moves when the test
 * says so, and at each call that is told to (`on_call`). Any number of handles; calls are made under one
 * lock, so that threads may have some.
 */
#ifndef XENRES_TESTS_FAKE_HOST_H
#define XENRES_TESTS_FAKE_HOST_H

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "server/mapper/backend.h"
#include "tests/lib/unit.h"

enum {
    FAKE_HOST_FRAMES_MAX = 64,
    FAKE_HOST_STATUS_MAX = 4,
    FAKE_HOST_DOMAINS_MAX = 64,
};

enum fake_call { FAKE_FIND, FAKE_SIZE, FAKE_MAP, FAKE_VCPUS, FAKE_CALLS };

struct fake_domain {
    struct backend_domain domain; /* all that are there have the same pages */
    char name[MESSAGE_NAME_BYTES];
    bool is_there;
};

static struct {
    pthread_mutex_t lock;
    struct fake_domain domains[FAKE_HOST_DOMAINS_MAX]; /* by domid */
    uint8_t *pages; /* FAKE_HOST_FRAMES_MAX, then status, then ioreqs */
    uint32_t frames_in_use, version, ioreq_present;
    uint64_t run_time_ns[16];
    uint32_t fails[FAKE_CALLS]; /* the so many next calls of a kind fail with EIO */
    void (*on_call)(enum fake_call call);
    uint32_t mapped, maps; /* live; made */
    uint32_t status_maps_of_v1, maps_beyond;
} fake_host = { .lock = PTHREAD_MUTEX_INITIALIZER };

struct backend {
    uint64_t calls;
};

static inline uint8_t *fake_host_status(void)
{
    return fake_host.pages + (size_t)FAKE_HOST_FRAMES_MAX * MESSAGE_FRAME_BYTES;
}

static inline uint8_t *fake_host_ioreqs(void)
{
    return fake_host_status() + (size_t)FAKE_HOST_STATUS_MAX * MESSAGE_FRAME_BYTES;
}

/* One domain, number 1. */
static inline void fake_host_init(uint32_t frames, uint32_t version)
{
    size_t bytes =
        (size_t)(FAKE_HOST_FRAMES_MAX + FAKE_HOST_STATUS_MAX + IOREQ_FRAMES) * MESSAGE_FRAME_BYTES;

    if (fake_host.pages == NULL) {
        fake_host.pages = aligned_alloc(MESSAGE_FRAME_BYTES, bytes);
        assert_non_null(fake_host.pages);
    }
    memset(fake_host.pages, 0, bytes);
    memset(fake_host.domains, 0, sizeof(fake_host.domains));
    memset(fake_host.fails, 0, sizeof(fake_host.fails));
    memset(fake_host.run_time_ns, 0, sizeof(fake_host.run_time_ns));
    fake_host.domains[1].is_there = true;
    fake_host.domains[1].domain = (struct backend_domain){
        .domid = 1, .uuid = { 7 }, .type = DOMAIN_HVM, .state = DOMAIN_RUNNING, .max_vcpus = 5
    };
    fake_host.frames_in_use = frames;
    fake_host.version = version;
    fake_host.ioreq_present = 3;
    fake_host.on_call = NULL;
    fake_host.mapped = fake_host.maps = 0;
    fake_host.status_maps_of_v1 = fake_host.maps_beyond = 0;
}

static inline void fake_host_done(void)
{
    free(fake_host.pages);
    fake_host.pages = NULL;
}

static inline int fake_host_enter(struct backend *b, enum fake_call call, uint16_t domid,
                                  struct failure *f)
{
    pthread_mutex_lock(&fake_host.lock);
    b->calls++;
    if (fake_host.on_call != NULL) {
        fake_host.on_call(call);
    }
    int result = 0;

    if (fake_host.fails[call] > 0) {
        fake_host.fails[call]--;
        result = failure_set(f, ERROR_INTERNAL, "the call was to fail");
        failure_call(f, result, "fake", EIO);
    } else if (domid >= FAKE_HOST_DOMAINS_MAX || !fake_host.domains[domid].is_there) {
        result = failure_set(f, ERROR_NOT_FOUND, "there is no domain %u", domid);
        failure_call(f, result, "fake", ESRCH);
    }
    return result;
}

static inline int fake_host_leave(int result)
{
    pthread_mutex_unlock(&fake_host.lock);
    return result;
}

static inline int fake_host_find(struct backend *b, uint16_t domid, struct backend_domain *out,
                                 struct failure *f)
{
    int result = fake_host_enter(b, FAKE_FIND, domid, f);

    if (result == 0) {
        *out = fake_host.domains[domid].domain;
    }
    return fake_host_leave(result);
}

static inline int fake_host_refuse(struct failure *f, enum error_code code, int errnum)
{
    int result = failure_set(f, code, "there is no such resource");

    return failure_call(f, result, "fake", errnum);
}

static inline uint32_t fake_host_in_use(uint32_t id)
{
    enum { FRAMES_A_STATUS_FRAME = 8 };

    if (id == GRANT_TABLE_SHARED) {
        return fake_host.frames_in_use;
    }
    return (fake_host.frames_in_use + FRAMES_A_STATUS_FRAME - 1) / FRAMES_A_STATUS_FRAME;
}

static inline int fake_host_size(struct backend *b, uint16_t domid, uint32_t type, uint32_t id,
                                 struct backend_size *out, struct failure *f)
{
    int result = fake_host_enter(b, FAKE_SIZE, domid, f);

    if (result == 0 && type == RESOURCE_GRANT_TABLE && id == GRANT_TABLE_STATUS &&
        fake_host.version != 2) {
        result = fake_host_refuse(f, ERROR_FAILED_PRECONDITION, EINVAL);
    } else if (result == 0 && type == RESOURCE_IOREQ_SERVER) {
        *out = (struct backend_size){ .frames_in_use = 2, .frames_max = 2 };
    } else if (result == 0) {
        *out = (struct backend_size){ .frames_in_use = fake_host_in_use(id),
                                      .frames_max = FAKE_HOST_FRAMES_MAX,
                                      .grant_version = fake_host.version };
    }
    return fake_host_leave(result);
}

static inline int fake_host_map(struct backend *b, uint16_t domid, uint32_t type, uint32_t id,
                                uint32_t first, uint32_t count, struct backend_mapping *out,
                                struct failure *f)
{
    int result = fake_host_enter(b, FAKE_MAP, domid, f);
    const uint8_t *from = fake_host.pages;

    if (result == 0 && type == RESOURCE_IOREQ_SERVER) {
        from = fake_host_ioreqs();
        if ((fake_host.ioreq_present >> first & 1) == 0 || count != 1) {
            result = fake_host_refuse(f, ERROR_NOT_FOUND, ENOENT);
        }
    } else if (result == 0 && type == RESOURCE_GRANT_TABLE) {
        if (id == GRANT_TABLE_STATUS && fake_host.version != 2) {
            fake_host.status_maps_of_v1++;
            result = fake_host_refuse(f, ERROR_FAILED_PRECONDITION, EINVAL);
        }
        fake_host.maps_beyond += first + count > fake_host_in_use(id);
        from = id == GRANT_TABLE_STATUS ? fake_host_status() : from;
    } else if (result == 0) {
        result = fake_host_refuse(f, ERROR_INVALID_ARGUMENT, EINVAL);
    }
    if (result == 0) {
        *out = (struct backend_mapping){ .address = from + (size_t)first * MESSAGE_FRAME_BYTES,
                                         .frame_count = count };
        fake_host.mapped++;
        fake_host.maps++;
    }
    return fake_host_leave(result);
}

static inline void fake_host_unmap(struct backend *b, struct backend_mapping *mapping)
{
    (void)b;
    pthread_mutex_lock(&fake_host.lock);
    assert_true(fake_host.mapped > 0 && mapping->address != NULL);
    fake_host.mapped--;
    mapping->address = NULL;
    pthread_mutex_unlock(&fake_host.lock);
}

static inline int fake_host_vcpu_info(struct backend *b, uint16_t domid, struct message_vcpu *out,
                                      uint32_t max, uint32_t *count, struct failure *f)
{
    int result = fake_host_enter(b, FAKE_VCPUS, domid, f);

    for (uint32_t i = 0; i < max && result == 0; i++) {
        out[i] = (struct message_vcpu){ .vcpu = i, .run_time_ns = fake_host.run_time_ns[i % 16] };
        *count = i + 1;
    }
    return fake_host_leave(result);
}

static inline uint64_t fake_host_hypercalls(struct backend *b)
{
    return b->calls;
}

static inline uint64_t fake_host_pauses(struct backend *b)
{
    (void)b;
    return 0; /* it has no vCPUs to pause */
}

static inline int fake_host_open(struct backend *parent, struct backend **child, struct failure *f)
{
    (void)parent, (void)f;
    *child = calloc(1, sizeof(**child));
    assert_non_null(*child);
    return 0;
}

static inline void fake_host_close(struct backend *b)
{
    free(b);
}

static const struct backend_ops fake_host_ops = {
    .name = "fake",
    .find = fake_host_find,
    .size = fake_host_size,
    .map = fake_host_map,
    .unmap = fake_host_unmap,
    .vcpu_info = fake_host_vcpu_info,
    .hypercalls = fake_host_hypercalls,
    .pauses = fake_host_pauses,
    .open_sampler = fake_host_open,
    .close = fake_host_close,
};

#endif
