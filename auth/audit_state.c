/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "auth/audit_state.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <xxhash.h>

#include "auth/certificate.h"
#include "auth/guarded_file.h"
#include "common/scope.h"
#include "common/text.h"

enum { STATE_BYTES = 4096, KEY_TEXT_BYTES = 2 * AUDIT_KEY_BYTES + 1, PLACES = 2 };
#define STATE_MAGIC UINT64_C(0x3274696475417258)

/* In the file, in the byte order of the host, which it never leaves. */
struct place {
    uint64_t magic, turn; /* the later turn counts */
    struct audit_position position;
    uint8_t chain[AUDIT_ID_BYTES];
    uint64_t check; /* of all before it: against tearing, not against people */
};
_Static_assert(PLACES * sizeof(struct place) <= STATE_BYTES, "both have room");

struct audit_state {
    int fd; /* holds the lock */
    struct place *places;
    struct place now; /* as the newer one is */
    struct audit_signer *signer;
};

static uint64_t check_of(const struct place *p)
{
    return XXH3_64bits(p, offsetof(struct place, check));
}

static const struct place *newest(const struct place *places)
{
    const struct place *found = NULL;

    for (size_t i = 0; i < PLACES; i++) {
        const struct place *p = &places[i];

        if (p->magic == STATE_MAGIC && p->check == check_of(p) &&
            (found == NULL || p->turn > found->turn)) {
            found = p;
        }
    }
    return found;
}

/* --- keys ------------------------------------------------------------------------------------------ */

int audit_key_read(const char *path, bool is_secret, uint8_t key[AUDIT_KEY_BYTES],
                   struct failure *f)
{
    BUFFER_AUTO(text, KEY_TEXT_BYTES);
    uint8_t read[AUDIT_KEY_BYTES];
    int result = guarded_file_read(path, is_secret ? GUARDED_SECRET : GUARDED_PUBLIC, &text, f);

    if (result == 0 || result == -ERROR_RESOURCE_EXHAUSTED) {
        const char *digits = buffer_string(&text);

        if (result != 0 || text.len_bytes != KEY_TEXT_BYTES || digits[KEY_TEXT_BYTES - 1] != '\n') {
            result = -1;
        } else {
            text.data[KEY_TEXT_BYTES - 1] = '\0';
            result = text_to_hex(digits, read, sizeof read) ? 0 : -1;
        }
        if (result != 0) {
            result = failure_set(f, ERROR_FAILED_PRECONDITION, "%s is no key of the audit", path);
            result = failure_next(f, result, "give the file as xenresd made it: 64 hex digits");
        }
    }
    if (result == 0) {
        memcpy(key, read, sizeof read);
    }
    OPENSSL_cleanse(read, sizeof read);
    if (text.data != NULL) {
        OPENSSL_cleanse(text.data, text.capacity_bytes);
    }
    return result;
}

static int write_key(const char *path, enum guarded_kind kind, const uint8_t key[AUDIT_KEY_BYTES],
                     struct failure *f)
{
    char text[KEY_TEXT_BYTES + 1];

    text_from_hex(key, AUDIT_KEY_BYTES, text);
    text[KEY_TEXT_BYTES - 1] = '\n';
    int result = guarded_file_create(path, kind, text, KEY_TEXT_BYTES, f);

    OPENSSL_cleanse(text, sizeof text);
    return result;
}

static int random_key(uint8_t key[AUDIT_KEY_BYTES], struct failure *f)
{
    return RAND_priv_bytes(key, AUDIT_KEY_BYTES) == 1
               ? 0
               : certificate_cause(f,
                                   failure_set(f, ERROR_INTERNAL, "no random numbers for a key"));
}

/* Reads the signing key, or makes it and its public half. */
static int take_signing_key(const char *dir, struct audit_signer **out, struct failure *f)
{
    char path[PATH_MAX], public_path[PATH_MAX];
    uint8_t key[AUDIT_KEY_BYTES] = { 0 }, public_key[AUDIT_KEY_BYTES];

    (void)snprintf(path, sizeof path, "%s/audit.sign.key", dir);
    (void)snprintf(public_path, sizeof public_path, "%s/audit.sign.pub", dir);
    int result = audit_key_read(path, true, key, f);

    if (result == -ERROR_NOT_FOUND) {
        result = random_key(key, f);
        if (result == 0) {
            result = write_key(path, GUARDED_SECRET, key, f);
        }
    }
    if (result == 0) {
        result = audit_signer_new(key, out, f);
    }
    OPENSSL_cleanse(key, sizeof key);
    if (result == 0) {
        result = audit_signer_public(*out, public_key, f);
    }
    if (result == 0) {
        result = write_key(public_path, GUARDED_PUBLIC, public_key, f);
        result = result == -ERROR_ALREADY_EXISTS ? 0 : result;
    }
    return result;
}

/* --- the state ------------------------------------------------------------------------------------- */

static int fail_call(struct failure *f, const char *call, const char *path)
{
    int errnum = errno;
    int result =
        failure_set(f, ERROR_FAILED_PRECONDITION, "cannot use %s: %s", path, strerror(errnum));

    return failure_call(f, result, call, errnum);
}

static int state_is_gone(struct failure *f, const char *dir)
{
    int result = failure_set(f, ERROR_FAILED_PRECONDITION,
                             "%s has a key of the audit, but not the state that goes with it", dir);

    failure_cause(f, result, "somebody removed audit.state");
    return failure_next(f, result,
                        "look at the audit first; then move audit.key and the audit's files away "
                        "together: a new chain begins");
}

/* With the first key in it; audit.key is made of that. So whoever is killed in between leaves no key without
 * its state. */
static int make_state(const char *dir, const char *path, struct failure *f)
{
    char key_path[PATH_MAX];
    uint8_t key[AUDIT_KEY_BYTES], bytes[STATE_BYTES] = { 0 };
    struct place first = { .magic = STATE_MAGIC, .turn = 1 };
    struct audit_crypto *crypto = NULL;
    struct stat st;

    (void)snprintf(key_path, sizeof key_path, "%s/audit.key", dir);
    int result = lstat(key_path, &st) == 0 ? state_is_gone(f, dir) : random_key(key, f);

    if (result == 0) {
        result = audit_crypto_new(&crypto, f);
    }
    if (result == 0) {
        audit_link_first(&first.position.link, key);
        first.position.flags = AUDIT_STATE_ROTATING;
        result = audit_chain_id(crypto, key, first.chain);
        first.check = check_of(&first);
        memcpy(bytes, &first, sizeof first);
    }
    if (result == 0) {
        result = guarded_file_create(path, GUARDED_SECRET, bytes, sizeof bytes, f);
    }
    audit_crypto_free(crypto);
    OPENSSL_cleanse(key, sizeof key);
    OPENSSL_cleanse(&first, sizeof first);
    OPENSSL_cleanse(bytes, sizeof bytes);
    return result;
}

/* The first key, as long as it is the next one. *made: it was not there. */
static int give_first_key(const char *dir, const struct audit_state *s, bool *made,
                          struct failure *f)
{
    char path[PATH_MAX];
    const struct audit_link *link = &s->now.position.link;

    if (link->sequence != 1) {
        return 0;
    }
    (void)snprintf(path, sizeof path, "%s/audit.key", dir);
    int result = write_key(path, GUARDED_SECRET, link->key, f);

    *made = result == 0;
    return result == -ERROR_ALREADY_EXISTS ? 0 : result;
}

/* Of root's, and the service's before it gave up being root, whoever it was. */
static int check_file(int fd, const char *path, const struct audit_owner *owner, struct failure *f)
{
    struct stat st;

    if (fstat(fd, &st) != 0) {
        return fail_call(f, "fstat", path);
    }
    if (!S_ISREG(st.st_mode) || st.st_nlink != 1 || (st.st_mode & 077) != 0 ||
        (st.st_uid != 0 && st.st_uid != geteuid() && st.st_uid != owner->uid) ||
        st.st_size != STATE_BYTES) {
        int result = failure_set(f, ERROR_FAILED_PRECONDITION,
                                 "%s is not the audit's state, or others can reach it", path);

        return failure_next(f, result, "it belongs to the service's user, mode 600");
    }
    if (geteuid() == 0 && owner->uid != (uid_t)-1 && st.st_uid != owner->uid &&
        fchown(fd, owner->uid, owner->gid) != 0) {
        return fail_call(f, "fchown", path);
    }
    return 0;
}

static int map(struct audit_state *s, const char *path, const struct audit_owner *owner,
               struct failure *f)
{
    int result = check_file(s->fd, path, owner, f);

    if (result != 0) {
        return result;
    }
    if (flock(s->fd, LOCK_EX | LOCK_NB) != 0) {
        int errnum = errno;

        result = failure_set(f, ERROR_UNAVAILABLE, "the audit's %s is in use", path);
        failure_call(f, result, "flock", errnum);
        return failure_next(f, result,
                            "another xenresd writes this audit: end it, or give this one "
                            "a server.state_dir of its own");
    }
    void *mapped = mmap(NULL, STATE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd, 0);

    if (mapped == MAP_FAILED) {
        return fail_call(f, "mmap", path);
    }
    (void)madvise(mapped, STATE_BYTES, MADV_DONTDUMP); /* as far as there are dumps */
    s->places = mapped;
    const struct place *found = newest(s->places);

    if (found == NULL) {
        result = failure_set(f, ERROR_FAILED_PRECONDITION, "%s is damaged", path);
        return failure_next(f, result,
                            "look at the audit first; then move the audit's files and keys away "
                            "together: a new chain begins");
    }
    s->now = *found;
    return 0;
}

int audit_state_open(const char *dir, const struct audit_owner *owner, struct audit_state **out,
                     bool *made, struct failure *f)
{
    char path[PATH_MAX];
    struct audit_state *s = calloc(1, sizeof *s);
    int result = 0;

    if (s == NULL) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "out of memory for the audit");
    }
    *made = false;
    (void)snprintf(path, sizeof path, "%s/audit.state", dir);
    s->fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (s->fd < 0 && errno == ENOENT) {
        result = make_state(dir, path, f);
        s->fd = result == 0 ? open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK) : -1;
    }
    if (result == 0 && s->fd < 0) {
        result = fail_call(f, "open", path);
    }
    if (result == 0) {
        result = map(s, path, owner, f);
    }
    if (result == 0) {
        result = give_first_key(dir, s, made, f);
    }
    if (result == 0) {
        result = take_signing_key(dir, &s->signer, f);
    }
    if (result != 0) {
        audit_state_close(s);
        return result;
    }
    *out = s;
    return 0;
}

void audit_state_close(struct audit_state *s)
{
    if (s != NULL) {
        if (s->places != NULL) {
            (void)munmap(s->places, STATE_BYTES);
        }
        scope_close_fd(&s->fd);
        audit_signer_free(s->signer);
        OPENSSL_cleanse(s, sizeof *s);
        free(s);
    }
}

const uint8_t *audit_state_chain(const struct audit_state *s)
{
    return s->now.chain;
}

const struct audit_signer *audit_state_signer(const struct audit_state *s)
{
    return s->signer;
}

void audit_state_read(const struct audit_state *s, struct audit_position *out)
{
    *out = s->now.position;
}

/* A kill between any two of these stores leaves one place whole; the fences keep the compiler from
 * changing their order. */
void audit_state_store(struct audit_state *s, const struct audit_position *p)
{
    s->now.turn++;
    s->now.position = *p;
    s->now.check = check_of(&s->now);
    struct place *place = &s->places[s->now.turn % PLACES];
    struct place *other = &s->places[(s->now.turn + 1) % PLACES];

    place->magic = 0;
    atomic_signal_fence(memory_order_seq_cst);
    *place = s->now;
    atomic_signal_fence(memory_order_seq_cst);
    other->magic = 0;
    OPENSSL_cleanse(&other->position.link, sizeof other->position.link);
}

int audit_state_sync(struct audit_state *s)
{
    return msync(s->places, STATE_BYTES, MS_SYNC);
}

int audit_state_peek(const char *path, uint64_t *last_sequence, struct failure *f)
{
    struct place places[STATE_BYTES / sizeof(struct place)] = { 0 };
    SCOPE_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0 || pread(fd, places, sizeof places, 0) < (ssize_t)(PLACES * sizeof places[0])) {
        return fail_call(f, "open", path);
    }
    const struct place *found = newest(places);

    if (found != NULL) {
        *last_sequence = found->position.link.sequence - 1;
    }
    OPENSSL_cleanse(places, sizeof places);
    return found != NULL
               ? 0
               : failure_set(f, ERROR_FAILED_PRECONDITION, "%s is not a state of the audit", path);
}
