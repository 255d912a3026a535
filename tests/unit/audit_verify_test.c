/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Whatever is done to an audit's files is found, as far as the verifier's word reaches, and nothing is found
 * in files that nobody touched.
 */
#include "auth/audit_verify.h"

#include <stdlib.h>
#include <time.h>

#include "tests/lib/audit_rig.h"

enum { TAMPERINGS = 10000, RECORDS = 52, FILES = 3 };

/* The files of one audit, in memory, and what is known of it. */
struct sample {
    size_t file_count;
    struct audit_bytes files[AUDIT_RIG_FILES];
    uint8_t key[AUDIT_KEY_BYTES], public_key[AUDIT_KEY_BYTES];
    uint64_t last;
    char checkpoint[AUDIT_LINE_MAX_BYTES]; /* the last one, as the journal has it */
};

static void keep_checkpoint(void *arg, const char *line, uint64_t sequence)
{
    struct sample *s = arg;

    snprintf(s->checkpoint, sizeof(s->checkpoint), "%s", line);
    s->last = sequence;
}

/* Three files, of which the last ends with a checkpoint. */
static void make(struct sample *s)
{
    static char names[AUDIT_RIG_FILES][NAME_MAX + 1];
    struct audit_rig r;

    memset(s, 0, sizeof(*s));
    audit_rig_init(&r);
    r.options.log.max_bytes = 8192;
    r.options.on_checkpoint = keep_checkpoint;
    r.options.arg = s;
    audit_rig_start(&r);
    audit_rig_write_all(&r, RECORDS);
    audit_rig_stop(&r);
    s->file_count = audit_rig_list(&r, names);
    assert_true(s->file_count >= FILES);
    for (size_t i = 0; i < s->file_count; i++) {
        s->files[i] = audit_rig_read(folder_path(&r.dir, names[i]));
    }
    audit_rig_key(&r, "audit.key", s->key);
    audit_rig_key(&r, "audit.sign.pub", s->public_key);
    audit_rig_done(&r);
}

static void drop(struct sample *s)
{
    for (size_t i = 0; i < s->file_count; i++) {
        free(s->files[i].bytes);
    }
}

enum means { WITH_KEY = 1, WITH_PUBLIC_KEY = 2, WITH_CHECKPOINT = 4, WITH_STATE = 8 };

static int verify(const struct sample *s, const struct audit_bytes *files, size_t count, int means,
                  struct audit_report *report, struct failure *f)
{
    const struct audit_verify_options options = {
        .key = (means & WITH_KEY) != 0 ? s->key : NULL,
        .public_key = (means & WITH_PUBLIC_KEY) != 0 ? s->public_key : NULL,
        .steps_max = 100000,
        .expected_last = (means & WITH_STATE) != 0 ? s->last : 0,
    };
    struct audit_verifier *v = NULL;

    assert_int_equal(audit_verifier_new(&options, &v, NULL), 0);
    if ((means & WITH_CHECKPOINT) != 0) {
        assert_int_equal(audit_verify_anchor(v, s->checkpoint, strlen(s->checkpoint), NULL), 0);
    }
    for (size_t i = 0; i < count; i++) {
        (void)audit_verify_file(v, "file", NULL);
        (void)audit_verify_bytes(v, files[i].bytes, files[i].len, NULL);
    }
    int result = audit_verify_end(v, report, f);

    audit_verifier_free(v);
    return result;
}

/* --- what is done to them ----------------------------------------------------------------------------- */

static uint64_t seed;

static size_t draw(size_t below)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (size_t)(seed >> 33) % below;
}

static struct audit_bytes copy_of(const struct audit_bytes *b)
{
    struct audit_bytes copy = { .bytes = malloc(2 * b->len + AUDIT_LINE_MAX_BYTES), .len = b->len };

    assert_non_null(copy.bytes);
    memcpy(copy.bytes, b->bytes, b->len);
    return copy;
}

/* Of the line in which byte `at` is. */
static void line_around(const struct audit_bytes *b, size_t at, size_t *begin, size_t *end)
{
    *begin = *end = at;
    while (*begin > 0 && b->bytes[*begin - 1] != '\n') {
        --*begin;
    }
    while (b->bytes[(*end)++] != '\n') {
    }
}

static void remove_bytes(struct audit_bytes *b, size_t at, size_t len)
{
    memmove(b->bytes + at, b->bytes + at + len, b->len - at - len);
    b->len -= len;
}

static void insert_bytes(struct audit_bytes *b, size_t at, const char *bytes, size_t len)
{
    memmove(b->bytes + at + len, b->bytes + at, b->len - at);
    memcpy(b->bytes + at, bytes, len);
    b->len += len;
}

static void move_line(struct audit_bytes *b, bool is_copied)
{
    char line[AUDIT_LINE_MAX_BYTES];
    size_t begin, end, other, ignored;

    line_around(b, draw(b->len), &begin, &end);
    memcpy(line, b->bytes + begin, end - begin);
    if (!is_copied) {
        remove_bytes(b, begin, end - begin);
    }
    line_around(b, draw(b->len), &other, &ignored);
    insert_bytes(b, other, line, end - begin);
}

/* What comes from another audit, or another place of this one. */
static void splice(struct audit_bytes *b, const struct audit_bytes *from)
{
    size_t begin, end, at, ignored;

    line_around(from, draw(from->len), &begin, &end);
    line_around(b, draw(b->len), &at, &ignored);
    insert_bytes(b, at, from->bytes + begin, end - begin);
}

/* Something is done to one of the files, or to their order; false: it happened to change nothing. */
static bool tamper(struct audit_bytes *files, size_t *count, const struct sample *s,
                   const struct sample *other)
{
    size_t which = draw(*count), begin, end;
    struct audit_bytes *b = &files[which];

    switch (draw(9)) {
    case 0: b->bytes[draw(b->len)] ^= (char)(1 << draw(8)); break;
    case 1:
        line_around(b, draw(b->len), &begin, &end);
        remove_bytes(b, begin, end - begin);
        break;
    case 2: move_line(b, false); break;
    case 3: move_line(b, true); break;
    case 4:
        b->len = draw(b->len);
        if (which == 0 && b->len == 0) { /* as if it were gone: see below */
            return false;
        }
        break;
    case 5: splice(b, &other->files[draw(other->file_count)]); break;
    case 6: splice(b, &s->files[draw(s->file_count)]); break;
    case 7: {
        struct audit_bytes swapped = *b;
        struct audit_bytes *second = &files[draw(*count)];

        *b = *second;
        *second = swapped;
        break;
    }
    default: /* a file is gone; the first ones may be, and so may all: nothing is said of them then */
        if (which == 0) {
            return false;
        }
        free(b->bytes);
        memmove(b, b + 1, (--*count - which) * sizeof(*b));
    }
    if (*count != s->file_count) {
        return true;
    }
    for (size_t i = 0; i < *count; i++) {
        if (files[i].len != s->files[i].len ||
            memcmp(files[i].bytes, s->files[i].bytes, files[i].len) != 0) {
            return true;
        }
    }
    return false;
}

static void every_tampering_is_found(void **state)
{
    static struct sample s, other;
    const char *given = getenv("XENRES_SEED");
    unsigned done = 0;

    (void)state;
    make(&s);
    make(&other);
    seed = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    for (unsigned i = 0; done < TAMPERINGS; i++) {
        uint64_t begun_with = seed;
        struct audit_bytes files[AUDIT_RIG_FILES];
        struct audit_report report;
        size_t count = s.file_count;
        const int ways[] = { WITH_KEY | WITH_PUBLIC_KEY | WITH_CHECKPOINT,
                             WITH_PUBLIC_KEY | WITH_CHECKPOINT, WITH_KEY | WITH_STATE };
        int means = ways[i % 3];

        for (size_t k = 0; k < count; k++) {
            files[k] = copy_of(&s.files[k]);
        }
        if (tamper(files, &count, &s, &other)) {
            done++;
            if (verify(&s, files, count, means, &report, NULL) != -ERROR_DATA_LOSS) {
                print_message("XENRES_SEED=%llu, means %d\n", (unsigned long long)begun_with,
                              means);
                fail();
            }
        } else {
            assert_true(count < s.file_count ||
                        verify(&s, files, count, means, &report, NULL) == 0);
        }
        for (size_t k = 0; k < count; k++) {
            free(files[k].bytes);
        }
    }
    drop(&s);
    drop(&other);
}

static void what_nobody_touched_is_whole(void **state)
{
    static struct sample s;
    const int ways[] = { WITH_KEY, WITH_PUBLIC_KEY, WITH_KEY | WITH_PUBLIC_KEY,
                         WITH_PUBLIC_KEY | WITH_CHECKPOINT, WITH_KEY | WITH_STATE };
    struct audit_report report;

    (void)state;
    make(&s);
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        assert_int_equal(verify(&s, s.files, s.file_count, ways[i], &report, NULL), 0);
        assert_int_equal(report.first_sequence, 1);
        assert_int_equal(report.last_sequence, s.last);
        assert_int_equal(report.verified_sequence, s.last);
        assert_int_equal(report.checkpoint_sequence, (ways[i] & WITH_PUBLIC_KEY) != 0 ? s.last : 0);
    }
    /* Also the later files alone, though nothing is said of what was before them. */
    assert_int_equal(verify(&s, s.files + 1, s.file_count - 1, ways[2], &report, NULL), 0);
    assert_true(report.first_sequence > 1);
    drop(&s);
}

/* What is behind the last checkpoint that is known is not missed when it is cut off; then its word says how
 * far it reaches. */
static void its_word_says_how_far_it_reaches(void **state)
{
    static struct sample s;
    struct audit_report report;
    size_t begin, end;

    (void)state;
    make(&s);
    struct audit_bytes *last = &s.files[s.file_count - 1];

    line_around(last, last->len - 1, &begin, &end); /* the checkpoint */
    last->len = begin;
    assert_int_equal(verify(&s, s.files, s.file_count, WITH_KEY | WITH_PUBLIC_KEY, &report, NULL),
                     0);
    assert_int_equal(report.verified_sequence, s.last - 1);
    assert_true(report.checkpoint_sequence < s.last - 1); /* that of the rotation */
    assert_int_equal(verify(&s, s.files, s.file_count, WITH_PUBLIC_KEY, &report, NULL), 0);
    assert_int_equal(report.verified_sequence, report.checkpoint_sequence);
    struct failure f;

    assert_int_equal(verify(&s, s.files, s.file_count, WITH_KEY | WITH_CHECKPOINT, &report, &f),
                     -ERROR_DATA_LOSS);
    assert_non_null(strstr(f.message, "the end is missing"));
    last->len -= 10; /* as one leaves it who is killed */
    assert_int_equal(verify(&s, s.files, s.file_count, WITH_KEY, &report, NULL), 0);
    assert_true(report.torn_bytes > 0);
    drop(&s);
}

/* Whoever has the service as it was after record N makes no other record N, nor one before it. */
static void a_later_key_makes_no_earlier_record(void **state)
{
    struct audit_crypto *c = NULL;
    struct audit_link first, second, again;
    char line[AUDIT_LINE_MAX_BYTES], other[AUDIT_LINE_MAX_BYTES];
    const uint8_t key[AUDIT_KEY_BYTES] = { 1 };
    const char body[] = "\"time\":\"2026-01-01T00:00:00.000000Z\",\"event\":\"stop\"";

    (void)state;
    assert_int_equal(audit_crypto_new(&c, NULL), 0);
    audit_link_first(&first, key);
    size_t len = audit_chain_seal(c, &first, body, sizeof body - 1, line, &second);

    assert_true(len > 0);
    assert_memory_not_equal(first.key, second.key, sizeof first.key);
    again = first;
    memcpy(again.key, second.key, sizeof again.key); /* all that is left in memory and state */
    assert_int_equal(audit_chain_seal(c, &again, body, sizeof body - 1, other, &again), len);
    assert_memory_not_equal(line, other, len);
    audit_crypto_free(c);
}

static void anchors_are_checked(void **state)
{
    static struct sample s, other;
    struct audit_verifier *v = NULL;

    (void)state;
    make(&s);
    make(&other);
    const struct audit_verify_options options = { .public_key = s.public_key, .steps_max = 1000 };

    assert_int_equal(audit_verifier_new(&options, &v, NULL), 0);
    assert_int_equal(audit_verify_anchor(v, s.checkpoint, strlen(s.checkpoint), NULL), 0);
    assert_int_equal(audit_verify_anchor(v, other.checkpoint, strlen(other.checkpoint), NULL),
                     -ERROR_INVALID_ARGUMENT);
    assert_int_equal(audit_verify_anchor(v, "", 0, NULL), -ERROR_INVALID_ARGUMENT);
    s.checkpoint[40] ^= 1;
    assert_int_equal(audit_verify_anchor(v, s.checkpoint, strlen(s.checkpoint), NULL),
                     -ERROR_INVALID_ARGUMENT);
    audit_verifier_free(v);
    drop(&s);
    drop(&other);
}

static void anchors_have_a_maximum(void **state)
{
    static struct sample s;
    struct audit_verifier *v = NULL;

    (void)state;
    make(&s);
    const struct audit_verify_options options = { .key = s.key, .steps_max = 1000 };

    assert_int_equal(audit_verifier_new(&options, &v, NULL), 0);
    for (size_t i = 0; i < AUDIT_ANCHORS_MAX; i++) {
        assert_int_equal(audit_verify_anchor(v, s.checkpoint, strlen(s.checkpoint), NULL), 0);
    }
    assert_int_equal(audit_verify_anchor(v, s.checkpoint, strlen(s.checkpoint), NULL),
                     -ERROR_INVALID_ARGUMENT);
    audit_verifier_free(v);
    drop(&s);
}

/* Bytes that come in pieces of any length are the same file. */
static void pieces_make_no_difference(void **state)
{
    static struct sample s;
    struct audit_verifier *v = NULL;
    struct audit_report report;

    (void)state;
    make(&s);
    const struct audit_verify_options options = { .key = s.key, .steps_max = 1000 };

    assert_int_equal(audit_verifier_new(&options, &v, NULL), 0);
    for (size_t i = 0; i < s.file_count; i++) {
        assert_int_equal(audit_verify_file(v, "file", NULL), 0);
        for (size_t at = 0; at < s.files[i].len; at++) {
            assert_int_equal(audit_verify_bytes(v, s.files[i].bytes + at, 1, NULL), 0);
        }
    }
    assert_int_equal(audit_verify_end(v, &report, NULL), 0);
    assert_int_equal(report.verified_sequence, s.last);
    audit_verifier_free(v);
    drop(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_nobody_touched_is_whole),
        cmocka_unit_test(every_tampering_is_found),
        cmocka_unit_test(its_word_says_how_far_it_reaches),
        cmocka_unit_test(a_later_key_makes_no_earlier_record),
        cmocka_unit_test(anchors_are_checked),
        cmocka_unit_test(anchors_have_a_maximum),
        cmocka_unit_test(pieces_make_no_difference),
    };

    return UNIT_RUN(tests);
}
