/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * The guard: a record of the ranges being touched and a jump buffer, of each thread. A fault outside of them,
 * or while nothing is guarded, is a bug of ours and is delivered as it would be without us. The
 * handler is installed with SA_NODEFER, so that leaving it by a jump needs no system call to restore
 * the signal mask.
 */
#include "server/mapper/copy.h"

#include <assert.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#define XXH_STATIC_LINKING_ONLY /* the state's size, to place it aligned */
#include <xxhash.h>
#ifdef __x86_64__
#include <xxh_x86dispatch.h> /* the widest vectors that this processor has */
#endif

enum {
    SECRET_BYTES = 192,       /* XXH3's own default size; its minimum is 136 */
    HASH_CHUNK_BYTES = 16384, /* copied, then hashed while still in the first-level cache */
    WORDS_UNROLLED = 8,
};
_Static_assert(SECRET_BYTES >= XXH3_SECRET_SIZE_MIN, "XXH3 refuses shorter secrets");

static uint8_t secret[SECRET_BYTES];

/* Of each thread: a fault is delivered to the one that caused it. */
static _Thread_local struct {
    sigjmp_buf jump;
    uintptr_t from, from_end, to, to_end;
    volatile sig_atomic_t armed;
} guard;

/* The fences keep the compiler from moving guarded accesses out of the guard. */
static void arm(void)
{
    guard.armed = 1;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static void disarm(void)
{
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    guard.armed = 0;
}

enum guard_fault { FAULT_NONE = 0, FAULT_FROM = 1, FAULT_TO = 2 };

static void on_fault(int signal_number, siginfo_t *info, void *context)
{
    (void)context;
    uintptr_t address = (uintptr_t)info->si_addr;
    if (guard.armed) {
        guard.armed = 0;
        if (address >= guard.from && address < guard.from_end) {
            siglongjmp(guard.jump, FAULT_FROM);
        }
        if (address >= guard.to && address < guard.to_end) {
            siglongjmp(guard.jump, FAULT_TO);
        }
    }
    signal(signal_number, SIG_DFL); /* on return it faults again, and the process dies of it */
}

int copy_init(struct failure *f)
{
    size_t have = 0;
    while (have < sizeof(secret)) {
        ssize_t n = getrandom(secret + have, sizeof(secret) - have, 0);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            int result = failure_set(f, ERROR_INTERNAL, "no random numbers for a secret");
            return failure_call(f, result, "getrandom", errno);
        }
        have += (size_t)n;
    }
    struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER };
    sigemptyset(&action.sa_mask);
    if (sigaction(SIGBUS, &action, NULL) < 0 || sigaction(SIGSEGV, &action, NULL) < 0) {
        int result = failure_set(f, ERROR_INTERNAL, "cannot guard copies");
        return failure_call(f, result, "sigaction", errno);
    }
    return 0;
}

struct copy_digest {
    XXH3_state_t state;
};

struct copy_digest *copy_digest_new(void)
{
    /* XXH3_state_t asks for 64-byte alignment, which malloc() does not promise. */
    return aligned_alloc(_Alignof(struct copy_digest), sizeof(struct copy_digest));
}

void copy_digest_free(struct copy_digest *d)
{
    free(d);
}

void copy_digest_begin(struct copy_digest *d)
{
    XXH3_128bits_reset_withSecret(&d->state, secret, sizeof(secret));
}

void copy_digest_add(struct copy_digest *d, const void *bytes, size_t len_bytes)
{
#ifdef __x86_64__
    XXH3_128bits_update_dispatch(&d->state, bytes, len_bytes);
#else
    XXH3_128bits_update(&d->state, bytes, len_bytes);
#endif
}

void copy_digest_end(struct copy_digest *d, uint8_t out[COPY_DIGEST_BYTES])
{
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(&d->state));
    _Static_assert(sizeof(canonical) == COPY_DIGEST_BYTES, "XXH3-128 has 16 bytes");
    memcpy(out, &canonical, sizeof(canonical));
}

/*
 * Each word is read exactly once and whole; nothing orders the loads, as no order between words is
 * promised. The stores are plain.
 *
 * On x86-64 one load takes two words: an aligned 16-byte load never tears an aligned 8-byte word (nor,
 * where there is AVX, itself), and is twice as fast. In assembler, since no compiler promises that
 * it reads through a vector type just once.
 */
#ifdef __x86_64__
typedef uint64_t word_pair __attribute__((vector_size(16)));
#endif

static size_t copy_blocks(uint64_t *restrict to, const volatile uint64_t *from, size_t word_count)
{
    size_t i = 0;
#ifdef __x86_64__
    if ((uintptr_t)from % 16 != 0 || (uintptr_t)to % 16 != 0) {
        return 0;
    }
    for (; i + WORDS_UNROLLED <= word_count; i += WORDS_UNROLLED) {
        word_pair a, b, c, d;
        __asm__ volatile("movdqa %4, %0\n\tmovdqa %5, %1\n\tmovdqa %6, %2\n\tmovdqa %7, %3"
                         : "=&x"(a), "=&x"(b), "=&x"(c), "=&x"(d)
                         : "m"(*(const volatile word_pair *)(from + i)),
                           "m"(*(const volatile word_pair *)(from + i + 2)),
                           "m"(*(const volatile word_pair *)(from + i + 4)),
                           "m"(*(const volatile word_pair *)(from + i + 6)));
        word_pair *out = (word_pair *)(void *)(to + i);
        out[0] = a;
        out[1] = b;
        out[2] = c;
        out[3] = d;
    }
#else
    (void)to, (void)from, (void)word_count;
#endif
    return i;
}

static void copy_words(uint64_t *restrict to, const volatile uint64_t *from, size_t word_count)
{
    size_t i = copy_blocks(to, from, word_count);
    for (; i < word_count; i++) {
        to[i] = __atomic_load_n(from + i, __ATOMIC_RELAXED);
    }
}

static int fault_failure(enum guard_fault fault, struct failure *f)
{
    if (fault == FAULT_TO) {
        int result =
            failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory for the copy in the shared arena");
        failure_cause(f, result, "the machine or the mapper's control group is out of memory");
        return failure_next(f, result,
                            "free memory, or start the mapper with a smaller --arena-mib");
    }
    int result = failure_set(f, ERROR_ABORTED, "the pages went away while they were copied");
    failure_cause(f, result, "the domain was destroyed, or Xen took the pages back");
    return failure_next(f, result, "see the list of domains, and ask again if it still runs");
}

int copy_step(void *to, const volatile void *from, size_t len_bytes, struct copy_digest *d,
              struct failure *f)
{
    assert(len_bytes <= COPY_STEP_BYTES && len_bytes % 8 == 0);
    assert((uintptr_t)to % 8 == 0 && (uintptr_t)from % 8 == 0);
    guard.from = (uintptr_t)from;
    guard.from_end = guard.from + len_bytes;
    guard.to = (uintptr_t)to;
    guard.to_end = guard.to + len_bytes;
    int fault = sigsetjmp(guard.jump, 0);
    if (fault != FAULT_NONE) {
        return fault_failure((enum guard_fault)fault, f);
    }
    arm();

    uint64_t *out = to;
    const volatile uint64_t *in = from;
    for (size_t done = 0; done < len_bytes; done += HASH_CHUNK_BYTES) {
        size_t chunk = len_bytes - done < HASH_CHUNK_BYTES ? len_bytes - done : HASH_CHUNK_BYTES;
        copy_words(out + done / 8, in + done / 8, chunk / 8);
        if (d) {
            copy_digest_add(d, (const uint8_t *)to + done, chunk);
        }
    }
    disarm();
    return 0;
}

int copy_sequence_locked(const volatile uint64_t *sequence, const volatile uint64_t *value,
                         uint64_t *out, struct failure *f)
{
    assert((uintptr_t)sequence % 8 == 0 && (uintptr_t)value % 8 == 0);
    const volatile uint64_t *low = sequence < value ? sequence : value;
    const volatile uint64_t *high = sequence < value ? value : sequence;
    guard.from = (uintptr_t)low;
    guard.from_end = (uintptr_t)(high + 1);
    guard.to = guard.to_end = 0;
    int fault = sigsetjmp(guard.jump, 0);
    if (fault != FAULT_NONE) {
        return fault_failure((enum guard_fault)fault, f);
    }
    arm();

    for (int look = 0; look < COPY_SEQUENCE_RETRIES; look++) {
        uint32_t before = (uint32_t)__atomic_load_n(sequence, __ATOMIC_ACQUIRE);
        if (before % 2 != 0) {
            continue;
        }
        uint64_t read = __atomic_load_n(value, __ATOMIC_RELAXED);
        __atomic_thread_fence(__ATOMIC_ACQUIRE); /* the value is read before the number again */
        if ((uint32_t)__atomic_load_n(sequence, __ATOMIC_RELAXED) != before) {
            continue;
        }
        disarm();
        *out = read;
        return 0;
    }
    disarm();
    return failure_set(f, ERROR_UNAVAILABLE, "the counter was being written at each of %d looks",
                       COPY_SEQUENCE_RETRIES);
}
