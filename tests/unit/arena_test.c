/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/mapper/arena.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/lib/unit.h"

enum { PAGES = 64, BYTES = PAGES * ARENA_PAGE_BYTES };

static struct arena *new_arena(uint64_t bytes, uint64_t slot_max)
{
    struct arena *a = NULL;
    struct failure f;

    assert_int_equal(arena_new(bytes, slot_max, &a, &f), 0);
    return a;
}

static void the_peer_can_neither_write_nor_resize_it(void **state)
{
    struct arena *a = new_arena(BYTES, BYTES);
    int fd = arena_fd(a);
    struct message_slot slot;

    (void)state;
    assert_ptr_equal(mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
    assert_int_equal(errno, EPERM);
    assert_true(ftruncate(fd, 0) < 0);
    assert_true(ftruncate(fd, 2 * BYTES) < 0);
    assert_true(write(fd, "x", 1) < 0);
    assert_true(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) < 0);
    const char *seen = mmap(NULL, BYTES, PROT_READ, MAP_SHARED, fd, 0);

    assert_ptr_not_equal(seen, MAP_FAILED);
    assert_true(mprotect((void *)(uintptr_t)seen, BYTES, PROT_READ | PROT_WRITE) < 0);
    assert_int_equal(arena_take(a, 5, &slot, NULL), 0);
    memcpy(arena_slot_bytes(a, &slot), "hello", 5); /* ours still writes */
    assert_memory_equal(seen + slot.offset_bytes, "hello", 5);
    munmap((void *)(uintptr_t)seen, BYTES);
    arena_free(a);
}

static void full_is_said_at_once(void **state)
{
    struct arena *a = new_arena(BYTES, BYTES);
    struct message_slot all, more;
    struct failure f;

    (void)state;
    assert_int_equal(arena_take(a, BYTES, &all, &f), 0);
    assert_int_equal(arena_take(a, 1, &more, &f), -ERROR_RESOURCE_EXHAUSTED);
    arena_take_back(a, &all);
    assert_int_equal(arena_take(a, 1, &more, &f), 0);
    assert_int_equal(arena_usage(a).used_bytes, ARENA_PAGE_BYTES);
    arena_free(a);
}

static void a_slot_has_a_maximum(void **state)
{
    struct arena *a = new_arena(BYTES, 8 * ARENA_PAGE_BYTES);
    struct message_slot slot;
    struct failure f;

    (void)state;
    assert_int_equal(arena_take(a, 8 * ARENA_PAGE_BYTES, &slot, &f), 0);
    assert_int_equal(arena_take(a, 8 * ARENA_PAGE_BYTES + 1, &slot, &f), -ERROR_RESOURCE_EXHAUSTED);
    assert_int_equal(arena_take(a, UINT64_MAX, &slot, &f), -ERROR_RESOURCE_EXHAUSTED);
    arena_free(a);
}

static void slots_in_use_have_a_maximum(void **state)
{
    uint64_t bytes = (uint64_t)(ARENA_SLOTS_MAX + 1) * ARENA_PAGE_BYTES;
    struct arena *a = new_arena(bytes, bytes);
    struct message_slot slot;
    struct failure f;

    (void)state;
    for (int i = 0; i < ARENA_SLOTS_MAX; i++) {
        assert_int_equal(arena_take(a, 1, &slot, &f), 0);
    }
    assert_int_equal(arena_take(a, 1, &slot, &f), -ERROR_RESOURCE_EXHAUSTED);
    arena_take_back(a, &slot);
    assert_int_equal(arena_take(a, 1, &slot, &f), 0);
    arena_free(a);
}

static void a_false_release_is_counted_and_frees_nothing(void **state)
{
    struct arena *a = new_arena(BYTES, BYTES);
    struct message_slot first, second;

    (void)state;
    assert_int_equal(arena_take(a, 1, &first, NULL), 0);
    assert_false(arena_release(a, first.index, first.generation)); /* it is written */
    arena_hand_over(a, &first);
    assert_true(arena_release(a, first.index, first.generation));
    assert_false(arena_release(a, first.index, first.generation)); /* twice */
    assert_int_equal(arena_take(a, 1, &second, NULL), 0);
    assert_int_equal(second.index, first.index); /* used again */
    assert_int_not_equal(second.generation, first.generation);
    assert_false(arena_release(a, first.index, first.generation)); /* late */
    assert_false(arena_release(a, second.index, 0));
    assert_false(arena_release(a, ARENA_SLOTS_MAX, 1)); /* made up */
    assert_false(arena_release(a, UINT32_MAX, 1));
    assert_false(arena_release(a, second.index, second.generation)); /* that one was not given */
    assert_int_equal(arena_usage(a).false_releases, 7);
    assert_int_equal(arena_usage(a).slot_count, 1);
    arena_hand_over(a, &second);
    assert_true(arena_release(a, second.index, second.generation));
    arena_free(a);
}

/*
 * Against a model that is one owner a page: whatever is taken and given back in whatever order, no
 * two slots overlap, a request fails exactly when no gap is large enough, and usage adds up.
 */
static void it_does_what_a_map_of_pages_does(void **state)
{
    struct arena *a = new_arena(BYTES, BYTES);
    int owner[PAGES];
    struct message_slot held[PAGES];
    int held_count = 0;
    unsigned seed = 20240229;

    (void)state;
    memset(owner, -1, sizeof(owner));
    for (int round = 0; round < 200000; round++) {
        seed = seed * 1103515245 + 12345;
        if (held_count > 0 && (seed >> 16) % 5 < 2) {
            int victim = (int)((seed >> 20) % (unsigned)held_count);
            struct message_slot s = held[victim];

            assert_true(arena_release(a, s.index, s.generation));
            for (int p = 0; p < PAGES; p++) {
                if (owner[p] == (int)s.index) {
                    owner[p] = -1;
                }
            }
            held[victim] = held[--held_count];
            continue;
        }
        uint64_t len = 1 + (seed >> 8) % (9 * ARENA_PAGE_BYTES);
        int need = (int)((len + ARENA_PAGE_BYTES - 1) / ARENA_PAGE_BYTES);
        int largest = 0, run = 0, free_pages = 0;

        for (int p = 0; p < PAGES; p++) {
            run = owner[p] < 0 ? run + 1 : 0;
            largest = run > largest ? run : largest;
            free_pages += owner[p] < 0;
        }
        assert_int_equal(arena_usage(a).used_bytes, (PAGES - free_pages) * ARENA_PAGE_BYTES);
        struct message_slot s;
        int result = arena_take(a, len, &s, NULL);

        assert_int_equal(result, largest >= need ? 0 : -ERROR_RESOURCE_EXHAUSTED);
        if (result < 0) {
            continue;
        }
        assert_int_equal(s.offset_bytes % ARENA_PAGE_BYTES, 0);
        assert_int_equal(s.len_bytes, len);
        for (int p = 0; p < need; p++) {
            int page = (int)(s.offset_bytes / ARENA_PAGE_BYTES) + p;

            assert_true(page < PAGES && owner[page] < 0);
            owner[page] = (int)s.index;
        }
        arena_hand_over(a, &s);
        held[held_count++] = s;
    }
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_peer_can_neither_write_nor_resize_it),
        cmocka_unit_test(full_is_said_at_once),
        cmocka_unit_test(a_slot_has_a_maximum),
        cmocka_unit_test(slots_in_use_have_a_maximum),
        cmocka_unit_test(a_false_release_is_counted_and_frees_nothing),
        cmocka_unit_test(it_does_what_a_map_of_pages_does),
    };

    return UNIT_RUN(tests);
}
