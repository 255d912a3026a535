/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Valid requests of each codec, changed at random places of head and body, unary, GET and stream, for
 * the echo services and those of the API: whatever they have become, the answer is a well-formed one.
 * The seed is fixed: a failure says which number it was, and comes again.
 */
#include "tests/lib/echo_call.h"

#include "common/base64.h"
#include "common/log.h"

enum {
    MUTATIONS = 10000, /* of each codec */
    REQUEST_MAX_BYTES = 8192,
    RESPONSE_MAX_BYTES = 65536,
    TEXT_MAX_BYTES = 16384,
    CHANGES_MAX = 4, /* of one request */
    PIECE_MAX = 24,  /* bytes at a time */
};

static struct echo_rig rig;
static uint64_t seed;

/* xorshift64*: below `below`, which is not 0. */
static size_t random_below(size_t below)
{
    seed ^= seed >> 12;
    seed ^= seed << 25;
    seed ^= seed >> 27;
    return (size_t)((seed * UINT64_C(0x2545f4914f6cdd1d)) >> 33) % below;
}

/* --- valid requests ----------------------------------------------------------------------------------- */

static const char zoo_json[] =
    "{\"anInt32\":-5,\"aUint32\":2,\"aSfixed64\":\"-77\",\"aDouble\":1.5e3,\"aBool\":true,"
    "\"aString\":\"d\\u00e4sh\",\"someBytes\":\"AAEC/w==\",\"kind\":\"KIND_MANY\","
    "\"child\":{\"child\":{\"strings\":[\"in\"]}},\"int32s\":[1,-2,3],\"strings\":[\"one\",\"two\"]"
    ","
    "\"chosenLeaf\":{\"size\":3},\"timestamp\":\"2026-01-02T03:04:05.678Z\",\"duration\":\"-1.5s\","
    "\"fieldMask\":\"aString,child.aBool\",\"aStruct\":{\"a\":[null,true,1,\"x\",{}]},"
    "\"any\":{\"@type\":\"type.googleapis.com/zoo.Leaf\",\"size\":9},\"wrappedUint64\":\"18\","
    "\"byName\":{\"k\":\"v\"},\"byInt32\":{\"-1\":{\"size\":1}},\"byBool\":{\"true\":0.5}}";

static const char *json_of(const char *method)
{
    return strstr(method, "ListDomains") != NULL ? "{\"pageSize\":3,\"filter\":{\"nameGlob\":\"web-"
                                                   "*\",\"states\":[1,2],\"types\":[3]}}"
           : strstr(method, "GetHost") != NULL   ? "{}"
           : strstr(method, "Snapshot") != NULL
               ? "{\"domain\":\"1\",\"type\":\"RESOURCE_TYPE_GRANT_TABLE\",\"frameCount\":2}"
           : strstr(method, "Echo") != NULL ? zoo_json
                                            : "{\"domain\":\"web-1\"}";
}

/* The message that `json` is, in a codec. */
static void encode(enum codec codec, const struct method *m, struct buffer *out)
{
    const struct wire_limits limits = { .len_max_bytes = 1 << 16,
                                        .elements_max = 1000,
                                        .memory_max_bytes = 1 << 20 };
    const char *json = json_of(m->path);
    ProtobufCMessage *message = NULL;
    struct failure f = { 0 };

    if (codec_decode(CODEC_JSON, m->request, json, strlen(json), &limits, &echo_types, &message,
                     &f) != 0) {
        fail_msg("%s: %s", m->path, f.message);
    }
    assert_int_equal(codec_encode(codec, message, &echo_types, out, &f), 0);
    wire_free(message);
}

static void append_compressed(struct buffer *out, enum compress_encoding e,
                              const struct buffer *message, bool *compressed)
{
    *compressed = compress_shrink(e, COMPRESS_ZSTD_LEVEL, message->data, message->len_bytes, out);
    if (!*compressed) {
        assert_true(buffer_append(out, message->data, message->len_bytes));
    }
}

static void write_get(const struct method *m, enum codec codec, enum compress_encoding e,
                      const struct buffer *message, struct buffer *out)
{
    BUFFER_AUTO(packed, REQUEST_MAX_BYTES);
    bool compressed;

    append_compressed(&packed, e, message, &compressed);
    buffer_printf(out, "GET %s?connect=v1&encoding=%s&base64=1&compression=%s&message=", m->path,
                  codec == CODEC_JSON ? "json" : "proto",
                  compress_name(compressed ? e : COMPRESS_IDENTITY));
    base64_encode(out, packed.data, packed.len_bytes, BASE64_URL | BASE64_UNPADDED);
    buffer_printf(out, "\nAccept-Encoding: %s\nConnect-Timeout-Ms: 30000\n\n", compress_name(e));
}

static void write_post(const struct method *m, enum codec codec, enum compress_encoding e,
                       const struct buffer *message, struct buffer *out)
{
    BUFFER_AUTO(packed, REQUEST_MAX_BYTES);
    const bool is_stream = m->kind == METHOD_STREAM;
    const char *prefix = is_stream ? "Connect-" : "";
    bool compressed;

    append_compressed(&packed, e, message, &compressed);
    buffer_printf(out,
                  "POST %s\nContent-Type: %s\n%sContent-Encoding: %s\n%sAccept-Encoding: %s;q=0.9\n"
                  "Connect-Protocol-Version: 1\nConnect-Timeout-Ms: 30000\nOrigin: https://a\n\n",
                  m->path, codec_content_type(codec, is_stream), prefix,
                  compress_name(compressed || is_stream ? e : COMPRESS_IDENTITY), prefix,
                  compress_name(e));
    if (is_stream) {
        echo_envelope(out, compressed ? ENVELOPE_COMPRESSED : 0, packed.data, packed.len_bytes);
    } else {
        buffer_append(out, packed.data, packed.len_bytes);
    }
}

/* Of any method, encoding and kind. */
static void write_valid(enum codec codec, struct buffer *out)
{
    BUFFER_AUTO(message, REQUEST_MAX_BYTES);
    const struct method *m;
    enum compress_encoding e = (enum compress_encoding)random_below(COMPRESS_COUNT);

    do { /* the echo services half of the time: they show the whole way */
        m = &rig.methods[random_below(random_below(2) == 0 ? 2 : rig.table.count)];
    } while (m->kind == METHOD_RAW);
    encode(codec, m, &message);
    if (m->kind == METHOD_UNARY && random_below(3) == 0) {
        write_get(m, codec, e, &message, out);
    } else {
        write_post(m, codec, e, &message, out);
    }
    assert_false(out->failed);
}

/* --- changes ------------------------------------------------------------------------------------------ */

struct text {
    size_t len;
    uint8_t bytes[TEXT_MAX_BYTES];
};

/* Makes `len` bytes at `at` into `other`, of `other_len`. */
static void splice(struct text *t, size_t at, size_t len, const uint8_t *other, size_t other_len)
{
    if (at + len > t->len || t->len - len + other_len >= TEXT_MAX_BYTES) {
        return;
    }
    memmove(t->bytes + at + other_len, t->bytes + at + len, t->len - at - len);
    if (other_len > 0) {
        memcpy(t->bytes + at, other, other_len);
    }
    t->len = t->len - len + other_len;
}

static void change(struct text *t, size_t at)
{
    uint8_t piece[PIECE_MAX];
    size_t len = 1 + random_below(PIECE_MAX), left = t->len - at;
    size_t from = random_below(t->len);

    for (size_t i = 0; i < len; i++) {
        piece[i] = (uint8_t)random_below(256);
    }
    switch (random_below(8)) {
    case 0: t->bytes[at] ^= (uint8_t)(1U << random_below(8)); break;
    case 1: t->bytes[at] = (uint8_t)random_below(256); break;
    case 2: t->bytes[at] = (uint8_t) "\0\xff\n\"{}[]:,%&=+ 019"[random_below(19)]; break;
    case 3: splice(t, at, len < left ? len : left, NULL, 0); break;
    case 4: splice(t, at, 0, piece, len); break;
    case 5: /* what stands elsewhere, twice */
        len = len < t->len - from ? len : t->len - from;
        memcpy(piece, t->bytes + from, len);
        splice(t, at, 0, piece, len);
        break;
    case 6: t->len = at + 1; break;
    default: splice(t, at, len < left ? len : left, piece, len); break;
    }
}

/* In the head, in the body, or anywhere. */
static void mutate(struct text *t)
{
    for (size_t changes = 1 + random_below(CHANGES_MAX); changes > 0 && t->len > 1; changes--) {
        const uint8_t *end = memmem(t->bytes, t->len, "\n\n", 2);
        size_t head = end != NULL ? (size_t)(end - t->bytes) + 2 : t->len;

        if (random_below(2) == 0 && head < t->len) {
            change(t, head + random_below(t->len - head));
        } else {
            change(t, random_below(random_below(2) == 0 ? head : t->len));
        }
    }
}

/* --- the test ----------------------------------------------------------------------------------------- */

struct tally {
    size_t good, bad, streams;
};

static void send_text(const struct text *t, size_t number, struct tally *tally)
{
    char *exact = malloc(t->len + 1); /* so that a read beyond its end is seen */
    struct echo_request q;
    struct answer a;

    assert_non_null(exact);
    memcpy(exact, t->bytes, t->len);
    exact[t->len] = '\0';
    echo_parse(&q, exact, t->len);
    struct exchange *x = echo_send(&rig, &q, &rig.who);
    const char *wrong = answer_read(&a, x, 1 + number % 3000);

    if (wrong != NULL) {
        fail_msg("number %zu, %s %s: %s", number, q.method, q.target, wrong);
    }
    *(a.code == 0 ? &tally->good : &tally->bad) += 1;
    tally->streams += a.end != NULL && a.reply->status == 200;
    answer_done(&a);
    exchange_free(x);
    free(exact);
}

static void run(enum codec codec, bool changed, size_t count, struct tally *tally)
{
    static struct text t;

    for (size_t i = 0; i < count; i++) {
        BUFFER_AUTO(valid, TEXT_MAX_BYTES - 1);

        write_valid(codec, &valid);
        memcpy(t.bytes, valid.data, valid.len_bytes);
        t.len = valid.len_bytes;
        if (changed) {
            mutate(&t);
        }
        send_text(&t, i, tally);
    }
}

static void expect_well_formed(enum codec codec)
{
    struct tally valid = { 0 }, changed = { 0 };

    seed = 20261126 + (uint64_t)codec;
    run(codec, false, 200, &valid);
    assert_true(valid.good > 80); /* those of the API find no mapper */
    run(codec, true, MUTATIONS, &changed);
    assert_int_equal(changed.good + changed.bad, MUTATIONS);
    /* Neither of them so seldom that it was not tried. */
    assert_true(changed.good > MUTATIONS / 50);
    assert_true(changed.bad > MUTATIONS / 2);
    assert_true(changed.streams > MUTATIONS / 10);
}

static void changed_requests_in_proto_have_well_formed_answers(void **state)
{
    (void)state;
    expect_well_formed(CODEC_PROTO);
}

static void changed_requests_in_json_have_well_formed_answers(void **state)
{
    (void)state;
    expect_well_formed(CODEC_JSON);
}

static int begin(void **state)
{
    (void)state;
    echo_rig_init(&rig, REQUEST_MAX_BYTES, RESPONSE_MAX_BYTES, "https://a");
    return 0;
}

static int end(void **state)
{
    (void)state;
    echo_rig_done(&rig);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changed_requests_in_proto_have_well_formed_answers),
        cmocka_unit_test(changed_requests_in_json_have_well_formed_answers),
    };

    log_open("mutation_test", LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, begin, end);
}
