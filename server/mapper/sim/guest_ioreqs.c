/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* See guest_ioreqs.h. */
#include "server/mapper/sim/guest_ioreqs.h"

#include "common/clock.h"
#include "common/layout.h"
#include "server/mapper/sim/draw.h"

enum { REQUEST_STATES = 4 };

void guest_ioreqs_init(struct guest_ioreqs *q, const struct scenario_ioreq *spec, uint32_t id,
                       uint32_t vcpu_count, uint64_t seed)
{
    *q = (struct guest_ioreqs){
        .spec = spec,
        .id = id,
        .vcpu_count = vcpu_count < LAYOUT_IOREQS_PER_FRAME ? vcpu_count : LAYOUT_IOREQS_PER_FRAME,
        .exists = spec->exists,
        .pages = PAGES_NONE,
        .play = { .play = spec->play },
        .random = seed,
    };
}

void guest_ioreqs_done(struct guest_ioreqs *q)
{
    pages_done(&q->pages);
}

int guest_ioreqs_acquire(struct guest_ioreqs *q, uint64_t ran_ns,
                         const struct pages_observer *observer, bool *allocated, struct failure *f)
{
    *allocated = false;
    if (q->pages.memory) {
        return 0;
    }
    int result = pages_new(SCENARIO_IOREQ_FRAMES, &q->pages, f);
    if (result < 0) {
        return result;
    }
    *allocated = true;
    q->pages.type = RESOURCE_IOREQ_SERVER;
    q->pages.id = q->id;
    q->pages.observer = observer;
    q->play.next = 0;
    q->owed = 0;
    guest_ioreqs_advance(q, 0, ran_ns);
    return 0;
}

void guest_ioreqs_set_exists(struct guest_ioreqs *q, bool exists)
{
    if (!exists) {
        pages_done(&q->pages);
    }
    q->exists = exists;
}

/* A write to video memory goes into the queue; the device model takes the oldest when many wait. */
static void move_buffered(struct guest_ioreqs *q)
{
    uint32_t read, write;
    bool valid;
    uint64_t frame[LAYOUT_FRAME_BYTES / 8] = { 0 };
    layout_buffered_pointers(q->pages.memory, LAYOUT_FRAME_BYTES, &read, &write, &valid);
    uint64_t r = draw_next(&q->random);
    struct layout_buffered_ioreq request = { .address = 0xa0000U + (uint32_t)(r & 0xfffc),
                                             .data = r >> 32,
                                             .size_bytes = 4,
                                             .type = LAYOUT_IOREQ_COPY };
    /* Put into a frame of our own, from where its one slot goes out as one word. */
    layout_put_buffered_ioreq(frame, write, &request);
    size_t slot = 1 + write % LAYOUT_BUFFERED_SLOTS;
    pages_store(&q->pages, slot * sizeof(frame[0]), &frame[slot], sizeof(frame[0]));
    write++;
    if (write - read > GUEST_IOREQ_WAITING) {
        read++;
    }
    if (read >= LAYOUT_BUFFERED_SLOTS) { /* both at once, as Xen does it */
        read -= LAYOUT_BUFFERED_SLOTS;
        write -= LAYOUT_BUFFERED_SLOTS;
    }
    layout_put_buffered_pointers(frame, read, write);
    pages_store(&q->pages, 0, frame, sizeof(frame[0]));
    q->buffered++;
}

static struct layout_ioreq new_request(uint64_t r, uint32_t vcpu)
{
    return (struct layout_ioreq){
        .address = r & 1 ? 0x3f8 + (r >> 8 & 7) : 0xfebc0000 + (r >> 8 & 0xffc),
        .type = r & 1 ? LAYOUT_IOREQ_PIO : LAYOUT_IOREQ_COPY,
        .data = r >> 32,
        .count = 1,
        .size_bytes = r & 1 ? 1 : 4,
        .event_channel = 16 + vcpu,
        .read = (r & 2) != 0,
        .state = LAYOUT_IOREQ_READY,
    };
}

static void move_request(struct guest_ioreqs *q)
{
    uint32_t vcpu = (uint32_t)(draw_next(&q->random) % q->vcpu_count);
    size_t offset = LAYOUT_FRAME_BYTES + (size_t)vcpu * LAYOUT_IOREQ_BYTES;
    uint64_t bytes[LAYOUT_IOREQ_BYTES / 8] = { 0 };
    struct layout_ioreq request;
    layout_ioreq(q->pages.memory + offset, LAYOUT_IOREQ_BYTES, 0, &request);
    if (request.state == LAYOUT_IOREQ_NONE) {
        request = new_request(draw_next(&q->random), vcpu);
        if (q->spec->buffered) {
            move_buffered(q);
        }
    } else {
        request.state = (uint8_t)((request.state + 1) % REQUEST_STATES);
    }
    layout_put_ioreq(bytes, &request);
    q->moves += pages_store(&q->pages, offset, bytes, sizeof(bytes));
}

void guest_ioreqs_advance(struct guest_ioreqs *q, uint64_t elapsed_ns, uint64_t ran_ns)
{
    if (!q->pages.memory || q->pages.lost) {
        return;
    }
    q->moves += play_advance(&q->play, &q->pages, ran_ns);
    q->owed += elapsed_ns * q->spec->requests_per_second * REQUEST_STATES;
    uint64_t moves = q->owed / CLOCK_NS_PER_S;
    q->owed %= CLOCK_NS_PER_S;
    for (uint64_t i = 0; i < moves && i < GUEST_IOREQ_MOVES_MAX; i++) {
        move_request(q);
    }
}
