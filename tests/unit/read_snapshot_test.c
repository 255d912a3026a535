/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* ReadSnapshot: a head, then the arena's frames in their order, from one copy; what it holds is given
 * back at its end, and when its reader goes away. */
#include "tests/lib/rpc_calls.h"

#include "common/log.h"
#include "xenres/v1/resource.pb-c.h"

enum { CHUNK_FRAMES = 64 }; /* of one message */

#define READ    "ResourceService/ReadSnapshot"
#define REQUEST "{\"domain\":\"web-1\",\"type\":\"RESOURCE_TYPE_GRANT_TABLE\"}"

static const struct rpc_rig_limits roomy = { .response_max_bytes = 1 << 20, .arena_frames = 500 };
static const struct rpc_rig_limits tight = { .response_max_bytes = 64 << 10, .arena_frames = 500 };

/* With the domains listed already. */
static void begin(struct rpc_rig *r, const struct rpc_rig_limits *limits)
{
    struct flight f = { 0 };

    rpc_rig_init_limited(r, NULL, limits);
    rpc_rig_join(r);
    flight_send(r, &f, &r->alice, "GET", "/v1/domains/web-1/resources/grant_table/0/frames", NULL,
                0);
    rpc_rig_domains(r);
    rpc_rig_frames(r, 0, 1);
    assert_int_equal(flight_reply(&f)->status, 200);
    flight_done(&f);
}

static void read_as(struct rpc_rig *r, struct flight *f, const struct identity *who)
{
    flight_json(r, f, who, READ, true, REQUEST);
}

static void start(struct rpc_rig *r, struct flight *f, uint32_t arena_frame, uint32_t frame_count)
{
    read_as(r, f, &r->alice);
    rpc_rig_frames(r, arena_frame, frame_count);
    assert_true(flight_reply(f)->streamed);
}

/* --- what it says ------------------------------------------------------------------------------------- */

/* The message behind `*at`, which goes on to the next one. */
static const uint8_t *next_message(const uint8_t **at, size_t *len_bytes)
{
    const uint8_t *head = *at;

    assert_int_equal(head[0], 0);
    *len_bytes = (size_t)head[1] << 24 | (size_t)head[2] << 16 | (size_t)head[3] << 8 | head[4];
    *at = head + ENVELOPE_HEAD_BYTES + *len_bytes;
    return head + ENVELOPE_HEAD_BYTES;
}

static Xenres__V1__ReadSnapshotResponse *parse_message(const uint8_t **at, bool is_json)
{
    const struct wire_limits limits = { .len_max_bytes = 1 << 20,
                                        .elements_max = 1000,
                                        .memory_max_bytes = 1 << 22 };
    size_t len_bytes;
    const uint8_t *bytes = next_message(at, &len_bytes);
    ProtobufCMessage *m = NULL;

    assert_int_equal(codec_decode(is_json ? CODEC_JSON : CODEC_PROTO,
                                  &xenres__v1__read_snapshot_response__descriptor, bytes, len_bytes,
                                  &limits, NULL, &m, NULL),
                     0);
    return (void *)m;
}

/* As the fake mapper makes them: frame n of the arena holds n + 1 in each byte. */
static void expect_frames(const uint8_t *at, bool is_json, uint32_t arena_frame, uint32_t count)
{
    Xenres__V1__ReadSnapshotResponse *m = parse_message(&at, is_json);
    uint32_t seen = 0;

    assert_int_equal(m->content_case, XENRES__V1__READ_SNAPSHOT_RESPONSE__CONTENT_HEAD);
    assert_string_equal(m->head->domain->name, "web-1");
    assert_int_equal(m->head->type, XENRES__V1__RESOURCE_TYPE__RESOURCE_TYPE_GRANT_TABLE);
    assert_int_equal(m->head->observation->frame_count, count);
    assert_int_equal(m->head->observation->grant_version, 1);
    wire_free(&m->base);
    while (seen < count) {
        m = parse_message(&at, is_json);
        assert_int_equal(m->content_case, XENRES__V1__READ_SNAPSHOT_RESPONSE__CONTENT_CHUNK);
        assert_int_equal(m->chunk->first_frame, seen);
        assert_int_equal(m->chunk->frames.len,
                         (count - seen < CHUNK_FRAMES ? count - seen : CHUNK_FRAMES) *
                             MESSAGE_FRAME_BYTES);
        for (size_t i = 0; i < m->chunk->frames.len; i++) {
            size_t frame = arena_frame + seen + i / MESSAGE_FRAME_BYTES;

            if (m->chunk->frames.data[i] != ((frame + 1) & 0xff)) {
                fail_msg("byte %zu of the chunk from %u on", i, seen);
            }
        }
        seen += (uint32_t)(m->chunk->frames.len / MESSAGE_FRAME_BYTES);
        wire_free(&m->base);
    }
}

static void expect_stream(struct rpc_rig *r, bool is_json, uint32_t arena_frame, uint32_t count)
{
    struct flight f = { 0 };

    if (is_json) {
        read_as(r, &f, &r->alice);
    } else {
        static const char body[] = "\0\0\0\0\x09\x0a\x05web-1\x18\x02";

        assert_int_equal(XENRES__V1__RESOURCE_TYPE__RESOURCE_TYPE_GRANT_TABLE, 2);
        flight_add(&f, "Content-Type", "application/connect+proto");
        flight_send(r, &f, &r->alice, "POST", "/xenres.v1." READ, body, sizeof(body) - 1);
    }
    rpc_rig_frames(r, arena_frame, count);
    struct answer a = flight_answer(&f);

    assert_int_equal(a.code, 0);
    assert_int_equal(a.messages, 1 + (count + CHUNK_FRAMES - 1) / CHUNK_FRAMES);
    expect_frames(a.body.data, is_json, arena_frame, count);
    answer_done(&a);
    flight_done(&f);
}

static void a_head_is_followed_by_the_arenas_frames_without_a_gap(void **state)
{
    static const uint32_t counts[] = { 1, CHUNK_FRAMES, CHUNK_FRAMES + 1, 2 * CHUNK_FRAMES + 2 };
    struct rpc_rig r;

    (void)state;
    begin(&r, &roomy);
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        expect_stream(&r, false, 3, counts[i]);
        expect_stream(&r, true, 7, counts[i]);
    }
    rpc_rig_done(&r);
}

/* --- errors ------------------------------------------------------------------------------------------- */

static void what_is_wrong_before_the_first_message_is_told_within_the_stream(void **state)
{
    static const struct {
        const char *json;
        enum error_code code;
        const char *field;
    } wrong[] = {
        { "{\"domain\":\"web-1\"}", ERROR_INVALID_ARGUMENT, "type" },
        { "{\"domain\":\"web-1\",\"type\":77}", ERROR_INVALID_ARGUMENT, "type" },
        { "{\"domain\":\"web-1\",\"type\":\"NONE\"}", ERROR_INVALID_ARGUMENT, "type" },
        { "{\"domain\":7,\"type\":2}", ERROR_INVALID_ARGUMENT, "domain" },
        { "{\"domain\":\"web-1\",\"type\":2,\"frameCount\":0}", ERROR_INVALID_ARGUMENT,
          "frame_count" },
        { "{\"domain\":\"web-1\",\"type\":2,\"incarnation\":\"0x\"}", ERROR_INVALID_ARGUMENT,
          "incarnation" },
        { "{\"domain\":\"web-1\",\"type\":2,\"incarnation\":\"02000000000000000000000000000000\"}",
          ERROR_ABORTED, NULL },
        { "{\"domain\":\"nobody\",\"type\":2}", ERROR_NOT_FOUND, NULL },
        { "{\"domain\":\"vault\",\"type\":2}", ERROR_NOT_FOUND, NULL },
        { "{", ERROR_INVALID_ARGUMENT, NULL },
    };
    struct rpc_rig r;

    (void)state;
    begin(&r, &roomy);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct flight f = { 0 };

        flight_json(&r, &f, &r.alice, READ, true, wrong[i].json);
        rpc_rig_list_if_asked(&r, &f);
        assert_int_equal(flight_reply(&f)->status, 200);
        flight_json_error(&f, wrong[i].code, wrong[i].field);
    }
    rpc_rig_done(&r);
}

static void who_may_not_is_told_within_the_stream(void **state)
{
    struct rpc_rig r;
    struct flight f = { 0 };

    (void)state;
    begin(&r, &roomy);
    read_as(&r, &f, &r.viewer);
    flight_json_error(&f, ERROR_PERMISSION_DENIED, NULL);
    read_as(&r, &f, &r.nobody);
    rpc_rig_list_if_asked(&r, &f);
    flight_json_error(&f, ERROR_NOT_FOUND, NULL); /* not even that it is there */
    read_as(&r, &f, NULL);
    assert_int_equal(flight_reply(&f)->status, 401); /* before its codec is looked at */
    flight_json_error(&f, ERROR_UNAUTHENTICATED, NULL);
    rpc_rig_done(&r);
}

static void what_the_mapper_refuses_is_told_within_the_stream(void **state)
{
    struct rpc_rig r;
    struct flight f = { 0 };
    union message request;

    (void)state;
    begin(&r, &roomy);
    read_as(&r, &f, &r.alice);
    fake_mapper_request(&r.mapper, &request);
    fake_mapper_failed(&r.mapper, request.head.serial, ERROR_OUT_OF_RANGE, 22);
    flight_json_error(&f, ERROR_OUT_OF_RANGE, NULL);
    rpc_rig_done(&r);
}

static void a_mapper_that_says_nothing_is_a_deadline(void **state)
{
    struct rpc_rig r;
    struct flight f = { 0 };

    (void)state;
    begin(&r, &roomy);
    flight_add(&f, "Connect-Timeout-Ms", "5");
    read_as(&r, &f, &r.alice);
    flight_json_error(&f, ERROR_DEADLINE_EXCEEDED, NULL);
    rpc_rig_done(&r);
}

/* --- what it holds -------------------------------------------------------------------------------------- */

static void wait_released(struct rpc_rig *r)
{
    union message m;

    fake_mapper_receive(&r->mapper, &m);
    assert_int_equal(m.head.type, MESSAGE_RELEASE);
}

/* Until its own slot is: that of begin() went before. */
static void begin_without_slots(struct rpc_rig *r, const struct rpc_rig_limits *limits)
{
    begin(r, limits);
    wait_released(r);
}

static void at_its_end_all_is_given_back_also_while_the_reader_is_there(void **state)
{
    struct rpc_rig r;
    struct flight held[RPC_RIG_CALLS] = { { 0 } }, f = { 0 };

    (void)state;
    begin_without_slots(&r, &roomy);
    for (int i = 0; i < RPC_RIG_CALLS; i++) {
        start(&r, &held[i], 0, 2);
    }
    read_as(&r, &f, &r.alice);
    flight_json_error(&f, ERROR_RESOURCE_EXHAUSTED, NULL); /* its share of calls */
    struct answer a = flight_answer(&held[0]);             /* to its end */

    assert_int_equal(a.code, 0);
    wait_released(&r);
    start(&r, &f, 0, 1);
    flight_done(&f);
    wait_released(&r);
    answer_done(&a);
    for (int i = 0; i < RPC_RIG_CALLS; i++) {
        flight_done(&held[i]);
    }
    rpc_rig_done(&r);
}

static void a_reader_that_goes_away_holds_nothing(void **state)
{
    static uint8_t piece[100];
    struct rpc_rig r;

    (void)state;
    begin_without_slots(&r, &roomy);
    for (int reads = 0; reads < 8; reads++) {
        struct flight f = { 0 };

        start(&r, &f, 0, 100);
        for (int i = 0; i < reads; i++) {
            assert_true(exchange_read(f.exchange, piece, sizeof(piece)) > 0);
        }
        flight_done(&f);
        wait_released(&r);
    }
    rpc_rig_done(&r);
}

static void a_chunk_too_large_for_a_message_ends_the_stream_and_holds_nothing(void **state)
{
    struct rpc_rig r;
    struct flight f = { 0 };

    (void)state;
    begin_without_slots(&r, &tight);
    start(&r, &f, 0, 16);
    struct answer a = flight_answer(&f);

    assert_int_equal(a.messages, 1); /* the head */
    assert_int_equal(a.code, ERROR_RESOURCE_EXHAUSTED);
    wait_released(&r);
    answer_done(&a);
    flight_done(&f);
    rpc_rig_done(&r);
}

static void its_copy_outlives_the_mapper(void **state)
{
    static uint8_t piece[100];
    struct rpc_rig r;
    struct flight f = { 0 };

    (void)state;
    begin(&r, &roomy);
    start(&r, &f, 5, 70);
    assert_int_equal(exchange_read(f.exchange, piece, sizeof(piece)), sizeof(piece));
    fake_mapper_leave(&r.mapper);
    fake_mapper_join(&r.mapper);
    outcome_wait(&r.connected, 2);
    struct answer a = { .reply = f.reply, .body.max_bytes = ANSWER_MAX_BYTES };

    assert_true(buffer_append(&a.body, piece, sizeof(piece)));
    assert_true(answer_read_stream(&a, f.exchange, 5000));
    assert_null(answer_check_stream(&a, true));
    assert_int_equal(a.code, 0);
    expect_frames(a.body.data, true, 5, 70);
    answer_done(&a);
    flight_done(&f);
    rpc_rig_done(&r);
}

/* --- whose it is ---------------------------------------------------------------------------------------- */

/* Alice may see web-1, and take no copy of it any more. */
static void withdraw_by_policy(struct rpc_rig *r)
{
    struct policy *policy = rpc_rig_parse_policy(
        "rule \"r\" { effect = allow identities = \"cn:alice\" domains = all types = all actions = "
        "\"list\" }\n");

    rpc_set_rules(r->rpc, policy, NULL);
    policy_unref(policy);
}

static void revoke_alice(struct rpc_rig *r)
{
    static const char text[] = "identity:cn:alice\n";
    struct deny *deny = NULL;
    struct access *access = NULL;
    BUFFER_AUTO(faults, 4096);

    assert_int_equal(deny_parse("deny", text, strlen(text), &deny, &faults, NULL), 0);
    assert_int_equal(access_new(NULL, 0, deny, &access, NULL), 0);
    rpc_set_access(r->rpc, access);
    access_unref(access);
}

/* A stream of a copy is as long as its reader likes, and so it is decided on anew as any other: the message
 * that is on its way comes to its end, and then it says why. */
static void what_was_withdrawn_ends_it_and_holds_nothing(void **state)
{
    void (*const ways[])(struct rpc_rig *r) = { withdraw_by_policy, revoke_alice };

    (void)state;
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        static uint8_t piece[100];
        struct rpc_rig r;
        struct flight f = { 0 };

        begin_without_slots(&r, &roomy);
        r.alice.not_after_s = INT64_MAX;
        start(&r, &f, 0, 2 * CHUNK_FRAMES);
        assert_int_equal(exchange_read(f.exchange, piece, sizeof(piece)), sizeof(piece));
        ways[i](&r);
        struct answer a = { .reply = f.reply, .body.max_bytes = ANSWER_MAX_BYTES };

        assert_true(buffer_append(&a.body, piece, sizeof(piece)));
        assert_true(answer_read_stream(&a, f.exchange, 5000));
        assert_null(answer_check_stream(&a, true));
        assert_int_equal(a.code, ERROR_PERMISSION_DENIED);
        assert_int_equal(a.messages, 1); /* of three: the head */
        wait_released(&r);
        answer_done(&a);
        flight_done(&f);
        rpc_rig_done(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_head_is_followed_by_the_arenas_frames_without_a_gap),
        cmocka_unit_test(what_is_wrong_before_the_first_message_is_told_within_the_stream),
        cmocka_unit_test(who_may_not_is_told_within_the_stream),
        cmocka_unit_test(what_the_mapper_refuses_is_told_within_the_stream),
        cmocka_unit_test(a_mapper_that_says_nothing_is_a_deadline),
        cmocka_unit_test(at_its_end_all_is_given_back_also_while_the_reader_is_there),
        cmocka_unit_test(a_reader_that_goes_away_holds_nothing),
        cmocka_unit_test(a_chunk_too_large_for_a_message_ends_the_stream_and_holds_nothing),
        cmocka_unit_test(its_copy_outlives_the_mapper),
        cmocka_unit_test(what_was_withdrawn_ends_it_and_holds_nothing),
    };

    log_open("read_snapshot_test", (enum log_level)0);
    return UNIT_RUN(tests);
}
