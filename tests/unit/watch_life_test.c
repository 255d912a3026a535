/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* ResourceService.Watch on feeds that the test plays: how streams end, from where they go on, and what is
 * refused. */
#include "tests/lib/watch_stream.h"

#include "server/rpc/watch.h"

/* --- its end -------------------------------------------------------------------------------------------- */

static void each_end_has_its_reason(void **state)
{
    static const struct {
        uint32_t reason;
        const char *name;
        enum error_code code;
        enum watch_end end;
    } rows[] = {
        { FEED_END_INCARNATION, "INCARNATION_ENDED", 0, WATCH_END_INCARNATION },
        { FEED_END_RENAMED, "RENAMED", 0, WATCH_END_RENAMED },
        { FEED_END_RESOURCE, "RESOURCE_GONE", 0, WATCH_END_RESOURCE_GONE },
        { FEED_END_FAILED, "SAMPLING_FAILED", ERROR_ABORTED, WATCH_END_SAMPLING_FAILED },
        { FEED_END_STOPPED, "MAPPER_GONE", ERROR_UNAVAILABLE, WATCH_END_MAPPER_GONE },
        { 0, "MAPPER_GONE", ERROR_UNAVAILABLE, WATCH_END_MAPPER_GONE },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct watching w;
        struct watch_counters counters;
        char name[64];

        open_begun(&w, "{" GRANTS "}");
        fake_feeds_put(
            w.feed,
            &(struct subscription_item){
                .kind = SUBSCRIPTION_ENDED,
                .ended = { .mapper_gone = rows[i].reason == 0,
                           .end = { .reason = rows[i].reason,
                                    .failure = { .code = ERROR_ABORTED, .message = "it was so" } },
                           .batch = 9 } });
        const json_t *said = watch_expect(&w, "end");

        (void)snprintf(name, sizeof(name), "WATCH_END_REASON_%s", rows[i].name);
        assert_string_equal(watch_text(said, "reason"), name);
        assert_int_equal(watch_number(said, "sequence"), 9);
        assert_int_equal(json_object_get(said, "failure") != NULL,
                         rows[i].reason == FEED_END_FAILED);
        watch_expect_end(&w, rows[i].code);
        watch_done(&w);
        rpc_watches(rig.rpc, &counters);
        assert_true(counters.ends[rows[i].end] > 0);
    }
}

/* Slowed, and not ended; its end is not slowed. */
static void who_was_sent_enough_waits_and_is_told_an_end_at_once(void **state)
{
    static uint32_t blocks[4];
    static uint8_t contents[sizeof(blocks) / sizeof(blocks[0]) * FEED_BLOCK_BYTES];
    struct policy *policy = rpc_rig_parse_policy(
        "rule \"all\" { effect = allow identities = { \"cn:alice\" } domains = { \"all\" }"
        " types = { \"all\" } actions = { \"watch\" } }\n"
        "limits \"slow\" { identities = { \"cn:alice\" } bytes_per_second = 10 }\n");
    uint64_t hits[QUOTA_LIMIT_COUNT], began_ns;
    struct watching w;

    (void)state;
    rpc_set_rules(rig.rpc, policy, NULL);
    policy_unref(policy);
    open_begun(&w, "{" GRANTS "}");
    began_ns = clock_monotonic_ns();
    put_changes(&w, 6, blocks, 4, contents, false);
    watch_expect_nothing(&w);
    (void)watch_await(&w,
                      "changes"); /* with the time of a heartbeat, for which it has not enough */
    assert_true(clock_monotonic_ns() - began_ns >
                RPC_RIG_HEARTBEAT_MS * CLOCK_NS_PER_MS - CLOCK_NS_PER_MS * 20);
    quota_count_hits(rig.quota, hits);
    assert_true(hits[QUOTA_STREAM_BYTES] >= 2);
    put_changes(&w, 7, blocks, 4, contents, false);
    watch_expect_nothing(&w);
    rpc_drain(rig.rpc);
    (void)watch_expect(&w, "end");
    watch_expect_end(&w, ERROR_UNAVAILABLE);
    watch_done(&w);
    /* And what comes new is refused until that is paid for. */
    open_watch(&w, "{" GRANTS "}");
    watch_expect_end(&w, ERROR_RESOURCE_EXHAUSTED);
    watch_done(&w);
}

static void with_a_deadline_it_says_where_it_was(void **state)
{
    struct watching w = { .feed = NULL };

    (void)state;
    flight_add(&w.flight, "Connect-Timeout-Ms", "100");
    watch_open_as(&rig, &w, &rig.alice, WATCH, "{" GRANTS "}");
    fake_feeds_begin(w.feed, 5, true);
    (void)watch_expect(&w, "begin");
    const json_t *said = NULL;

    while (said == NULL) { /* there may be a heartbeat before */
        json_t *json = watch_read(&w);

        if (json == NULL) {
            outcome_wait_at_least(&w.flight.ready, 1);
            continue;
        }
        said = json_object_get(json, "end");
        if (said != NULL) {
            assert_string_equal(watch_text(said, "reason"), "WATCH_END_REASON_DEADLINE");
            assert_true(watch_text(said, "cursor")[0] != '\0');
        }
        json_decref(json);
    }
    watch_expect_end(&w, ERROR_DEADLINE_EXCEEDED);
    watch_done(&w);
}

static void when_the_gateway_stops_every_stream_says_where_it_was(void **state)
{
    static uint32_t blocks[WATCH_CHANGES_PART_BLOCKS + 1];
    static uint8_t contents[sizeof(blocks) / sizeof(blocks[0]) * FEED_BLOCK_BYTES];
    struct mapper_slot *slot = slot_of(0, 100);
    struct watching idle, mid_image, mid_changes, fresh;

    (void)state;
    open_begun(&idle, "{" GRANTS "}");
    open_begun(&mid_image, "{" GRANTS "}");
    open_begun(&mid_changes, "{" GRANTS "}");
    watch_expect_nothing(&idle);
    put_image(&mid_image, slot, 100, 6, 0);
    (void)watch_expect(&mid_image, "image");
    put_changes(&mid_changes, 6, blocks, WATCH_CHANGES_PART_BLOCKS + 1, contents, false);
    (void)watch_expect(&mid_changes, "changes");
    rpc_drain(rig.rpc);
    outcome_wait_at_least(&idle.flight.ready, 1);
    assert_string_equal(watch_text(watch_expect(&idle, "end"), "reason"),
                        "WATCH_END_REASON_SHUTTING_DOWN");
    watch_expect_end(&idle, ERROR_UNAVAILABLE);
    /* The image is not waited for, and there is no place within it; of changes there is little left. */
    assert_string_equal(watch_text(watch_expect(&mid_image, "end"), "cursor"), "");
    watch_expect_end(&mid_image, ERROR_UNAVAILABLE);
    assert_false(watch_flag(watch_expect(&mid_changes, "changes"), "more"));
    assert_true(watch_text(watch_expect(&mid_changes, "end"), "cursor")[0] != '\0');
    watch_expect_end(&mid_changes, ERROR_UNAVAILABLE);
    open_watch(&fresh, "{" GRANTS "}");
    watch_expect_end(&fresh, ERROR_UNAVAILABLE);
    watch_done(&idle);
    watch_done(&mid_image);
    watch_done(&mid_changes);
    watch_done(&fresh);
    mapper_slot_unref(slot);
}

static void set_policy_text(const char *text)
{
    struct policy *policy = rpc_rig_parse_policy(text);

    rpc_set_rules(rig.rpc, policy, NULL);
    policy_unref(policy);
}

static void set_policy(const char *actions)
{
    char text[512];

    (void)snprintf(text, sizeof(text),
                   "rule \"all\" { effect = allow identities = { \"cn:alice\" } domains = { "
                   "\"all\" } types = { \"grant_table\" } actions = { %s } }\n",
                   actions);
    set_policy_text(text);
}

static void another_policy_ends_what_it_does_not_allow_and_nothing_else(void **state)
{
    struct watching raw, decoded;

    (void)state;
    open_begun(&raw, "{" GRANTS "}");
    open_begun(&decoded, "{" GRANTS ",\"decode\":true}");
    watch_expect_nothing(&raw);
    watch_expect_nothing(&decoded);
    set_policy("\"list\", \"watch\", \"decode\"");
    watch_expect_nothing(&raw);
    watch_expect_nothing(&decoded);
    set_policy("\"watch\"");
    watch_expect_nothing(&raw);
    assert_string_equal(watch_text(watch_expect(&decoded, "end"), "reason"),
                        "WATCH_END_REASON_PERMISSION_WITHDRAWN");
    watch_expect_end(&decoded, ERROR_PERMISSION_DENIED);
    set_policy("\"list\"");
    (void)watch_expect(&raw, "end");
    watch_expect_end(&raw, ERROR_PERMISSION_DENIED);
    watch_done(&raw);
    watch_done(&decoded);
}

#define WATCHES(effect, identities, domains, more)                                                 \
    "rule \"" effect identities domains "\" { effect = " effect " identities = \"" identities      \
    "\" domains = \"" domains "\" types = all actions = watch " more " }\n"

/* Tags, groups, and keys that are proved: what a stream was opened by, and is judged by anew. */
static void another_policy_judges_streams_by_tags_groups_and_keys_too(void **state)
{
    static const struct {
        const char *text;
        bool allowed;
    } rows[] = {
        { WATCHES("allow", "group:ops", "tag:fake", ""), true },
        { WATCHES("allow", "group:ops", "tag:fakes", ""), false },
        { WATCHES("allow", "group:op", "tag:fake", ""), false },
        { WATCHES("allow", "group:d?v", "tag:fake", ""), true },
        { WATCHES("allow", "group:ops", "all", "require_bound = true"), false },
        { WATCHES("allow", "group:ops", "all", "") WATCHES("deny", "group:dev", "tag:fake", ""),
          false },
        { WATCHES("allow", "group:ops", "all", "") WATCHES("deny", "group:dev", "tag:other", ""),
          true },
    };

    (void)state;
    memcpy(rig.alice.groups, "ops\0dev\0", 9);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct watching w;

        set_policy_text(rows[0].text);
        open_begun(&w, "{" GRANTS "}");
        watch_expect_nothing(&w);
        set_policy_text(rows[i].text);
        if (rows[i].allowed) {
            watch_expect_nothing(&w);
        } else {
            assert_string_equal(watch_text(watch_expect(&w, "end"), "reason"),
                                "WATCH_END_REASON_PERMISSION_WITHDRAWN");
            watch_expect_end(&w, ERROR_PERMISSION_DENIED);
        }
        watch_done(&w);
    }
}

static void who_has_proved_a_key_keeps_what_asks_for_it(void **state)
{
    struct watching w;

    (void)state;
    rig.alice.is_bound = true;
    open_begun(&w, "{" GRANTS "}");
    watch_expect_nothing(&w);
    set_policy_text(WATCHES("allow", "cn:alice", "all", "require_bound = true"));
    watch_expect_nothing(&w);
    watch_done(&w);
}

/* Not as when the gateway stops: what is left of the changes is for who may see it. */
static void nothing_more_is_sent_of_what_is_not_allowed_any_more(void **state)
{
    static uint32_t blocks[WATCH_CHANGES_PART_BLOCKS + 1];
    static uint8_t contents[sizeof(blocks) / sizeof(blocks[0]) * FEED_BLOCK_BYTES];
    struct watching w;

    (void)state;
    open_begun(&w, "{" GRANTS "}");
    put_changes(&w, 6, blocks, WATCH_CHANGES_PART_BLOCKS + 1, contents, false);
    (void)watch_expect(&w, "changes");
    set_policy("\"list\"");
    const json_t *end = watch_expect(&w, "end");

    assert_string_equal(watch_text(end, "reason"), "WATCH_END_REASON_PERMISSION_WITHDRAWN");
    assert_string_equal(watch_text(end, "cursor"), "");
    watch_expect_end(&w, ERROR_PERMISSION_DENIED);
    watch_done(&w);
}

/* With so much of the deny list, "" for none of it. */
static void set_access(const char *deny_text)
{
    struct deny *deny = NULL;
    struct access *access = NULL;
    BUFFER_AUTO(faults, 4096);

    assert_int_equal(deny_parse("deny", deny_text, strlen(deny_text), &deny, &faults, NULL), 0);
    assert_int_equal(access_new(NULL, 0, deny, &access, NULL), 0);
    rpc_set_access(rig.rpc, access);
    access_unref(access);
}

static void who_is_revoked_has_his_streams_ended(void **state)
{
    struct watching w;

    (void)state;
    rig.alice.not_after_s = INT64_MAX;
    open_begun(&w, "{" GRANTS "}");
    set_access("identity:cn:bob\n");
    watch_expect_nothing(&w);
    set_access("identity:cn:alice\n");
    const json_t *end = watch_expect(&w, "end");

    assert_string_equal(watch_text(end, "reason"), "WATCH_END_REASON_PERMISSION_WITHDRAWN");
    assert_string_equal(watch_text(end, "message"), "the gateway no longer allows it");
    watch_expect_end(&w, ERROR_PERMISSION_DENIED);
    watch_done(&w);
    /* Nor does he begin another. */
    struct watching again;

    open_watch(&again, "{" GRANTS "}");
    watch_expect_end(&again, ERROR_UNAUTHENTICATED);
    watch_done(&again);
}

/* Whether or not there is anything to say. */
static void when_what_was_shown_expires_the_stream_says_so(void **state)
{
    static const int64_t end_s = 4000000000;
    struct watching w;

    (void)state;
    set_access("# nobody\n");
    rig.alice.not_after_s = end_s;
    open_begun(&w, "{" GRANTS "}");
    rpc_expire(rig.rpc, end_s);
    watch_expect_nothing(&w);
    rpc_expire(rig.rpc, end_s + 1); /* looks, and finds that the clock is not as far */
    watch_expect_nothing(&w);
    rig.alice.not_after_s = 1;
    rpc_expire(rig.rpc, end_s + 1);
    const json_t *end = watch_expect(&w, "end");

    assert_string_equal(watch_text(end, "reason"), "WATCH_END_REASON_CREDENTIALS_EXPIRED");
    watch_expect_end(&w, ERROR_UNAUTHENTICATED);
    watch_done(&w);
}

static void what_fails_before_it_has_begun_is_an_error_like_any_other(void **state)
{
    struct watching w;

    (void)state;
    open_watch(&w, "{" GRANTS "}");
    fake_feeds_fail(w.feed, ERROR_FAILED_PRECONDITION);
    watch_expect_end(&w, ERROR_FAILED_PRECONDITION);
    watch_done(&w);
    fake_feeds.refuse = ERROR_RESOURCE_EXHAUSTED;
    open_watch(&w, "{" GRANTS "}");
    assert_null(w.feed);
    fake_feeds.refuse = 0;
    flight_json_error(&w.flight, ERROR_RESOURCE_EXHAUSTED, NULL);
    free(w.bytes);
}

static void what_fails_later_has_an_end_too(void **state)
{
    struct watching w;

    (void)state;
    open_begun(&w, "{" GRANTS "}");
    fake_feeds_fail(w.feed, ERROR_DATA_LOSS);
    const json_t *said = watch_expect(&w, "end");

    assert_string_equal(watch_text(said, "reason"), "WATCH_END_REASON_FAILED");
    assert_non_null(json_object_get(said, "failure"));
    watch_expect_end(&w, ERROR_DATA_LOSS);
    watch_done(&w);
}

/* --- cursors -------------------------------------------------------------------------------------------- */

/* The cursor of a stream of alice's that was at batch 6. */
static void take_cursor(const char *json, char *cursor, size_t room)
{
    struct mapper_slot *slot = slot_of(0, 1);
    struct watching w;

    open_begun(&w, json);
    put_image(&w, slot, 1, 6, 0);
    (void)watch_expect(&w, strstr(json, "decode") != NULL ? "decoded" : "image");
    (void)snprintf(cursor, room, "%s", watch_text(watch_expect(&w, "checkpoint"), "cursor"));
    watch_done(&w);
    mapper_slot_unref(slot);
}

static void open_with_cursor(struct watching *w, const char *json, const char *cursor)
{
    char request[2048];

    (void)snprintf(request, sizeof(request), "{%s,\"cursor\":\"%s\"}", json, cursor);
    open_watch(w, request);
}

static void a_stream_goes_on_from_its_cursor(void **state)
{
    char cursor[SEAL_TOKEN_MAX_BYTES];
    struct watching w;

    (void)state;
    take_cursor("{" GRANTS "}", cursor, sizeof(cursor));
    open_with_cursor(&w, GRANTS, cursor);
    assert_int_equal(w.feed->resumed.batch, 6);
    assert_false(w.feed->request.is_image_needed);
    fake_feeds_begin(w.feed, 6, true);
    const json_t *said = watch_expect(&w, "begin");

    assert_true(watch_flag(said, "resumed"));
    assert_int_equal(watch_number(said, "sequence"), 6);
    watch_done(&w);
}

/* One that is cut again soon has not to begin where this one did. */
static void a_stream_that_has_caught_up_has_a_checkpoint_there(void **state)
{
    static const uint32_t blocks[] = { 1 };
    static const uint8_t contents[FEED_BLOCK_BYTES];
    char cursor[SEAL_TOKEN_MAX_BYTES];
    struct watching w;

    (void)state;
    take_cursor("{" GRANTS "}", cursor, sizeof(cursor));
    open_with_cursor(&w, GRANTS, cursor);
    fake_feeds_begin(w.feed, 6, true);
    (void)watch_expect(&w, "begin");
    assert_int_equal(watch_number(watch_expect(&w, "checkpoint"), "sequence"), 6);
    watch_expect_nothing(&w); /* once */
    watch_done(&w);
    open_with_cursor(&w, GRANTS, cursor);
    fake_feeds_begin(w.feed, 6, true);
    put_changes(&w, 7, blocks, 1, contents, false);
    (void)watch_expect(&w, "begin");
    (void)watch_expect(&w, "changes");
    (void)watch_expect(&w, "checkpoint"); /* the first change's */
    fake_feeds_forget_shared();
    put_changes(&w, 8, blocks, 1, contents, false);
    (void)watch_expect(&w, "changes");
    assert_int_equal(watch_number(watch_expect(&w, "checkpoint"), "sequence"), 8);
    fake_feeds_forget_shared();
    put_changes(&w, 9, blocks, 1, contents, false);
    (void)watch_expect(&w, "changes");
    watch_expect_nothing(&w); /* not within the second */
    watch_done(&w);
}

/* What it needs to know of the image before, nobody kept. */
static void decoding_goes_on_from_a_new_image(void **state)
{
    struct mapper_slot *slot = slot_of(0, 1);
    char cursor[SEAL_TOKEN_MAX_BYTES];
    struct watching w;

    (void)state;
    take_cursor("{" GRANTS ",\"decode\":true}", cursor, sizeof(cursor));
    open_with_cursor(&w, GRANTS ",\"decode\":true", cursor);
    assert_int_equal(w.feed->resumed.batch, 6);
    assert_true(w.feed->request.is_image_needed);
    fake_feeds_begin(w.feed, 6, true);
    assert_true(watch_flag(watch_expect(&w, "begin"), "resumed"));
    put_image(&w, slot, 1, 8, 0);
    assert_true(watch_flag(watch_expect(&w, "decoded"), "whole"));
    watch_done(&w);
    mapper_slot_unref(slot);
}

static void expect_refused(const struct identity *who, const char *json, enum error_code code,
                           const char *field)
{
    struct flight f = { 0 };

    flight_json(&rig, &f, who, WATCH, true, json);
    flight_json_error(&f, code, field);
}

static void a_cursor_is_good_for_its_caller_and_resource_only(void **state)
{
    static const char *const others[] = { GRANTS ",\"frameCount\":1", GRANTS ",\"firstFrame\":1",
                                          GRANTS ",\"id\":1", IOREQS, GRANTS ",\"decode\":true" };
    char cursor[SEAL_TOKEN_MAX_BYTES], json[2048];
    struct identity twin = rig.alice;

    (void)state;
    take_cursor("{" GRANTS "}", cursor, sizeof(cursor));
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        (void)snprintf(json, sizeof(json), "{%s,\"cursor\":\"%s\"}", others[i], cursor);
        expect_refused(&rig.alice, json, ERROR_INVALID_ARGUMENT, "cursor");
    }
    (void)snprintf(json, sizeof(json), "{\"domain\":\"web-2\",\"type\":2,\"cursor\":\"%s\"}",
                   cursor);
    expect_refused(&rig.alice, json, ERROR_ABORTED, "cursor");
    set_policy("\"watch\"");
    strcpy(twin.text, "cn:alicia");
    (void)snprintf(json, sizeof(json), "{" GRANTS ",\"cursor\":\"%s\"}", cursor);
    expect_refused(&twin, json, ERROR_INVALID_ARGUMENT, "cursor");
    cursor[10] = cursor[10] == 'A' ? 'B' : 'A';
    (void)snprintf(json, sizeof(json), "{" GRANTS ",\"cursor\":\"%s\"}", cursor);
    expect_refused(&rig.alice, json, ERROR_INVALID_ARGUMENT, "cursor");
}

/* --- what it refuses ------------------------------------------------------------------------------------ */

static void what_cannot_be_watched_is_refused_by_its_field(void **state)
{
    static const struct {
        const char *json;
        enum error_code code;
        const char *field;
    } rows[] = {
        { "{" GRANTS ",\"frameCount\":0}", ERROR_INVALID_ARGUMENT, "frame_count" },
        { "{" GRANTS ",\"period\":\"-1s\"}", ERROR_INVALID_ARGUMENT, "period" },
        { "{" GRANTS ",\"period\":\"-0.001s\"}", ERROR_INVALID_ARGUMENT, "period" },
        { "{" GRANTS ",\"period\":\"3600.000000001s\"}", ERROR_INVALID_ARGUMENT, "period" },
        { "{" GRANTS ",\"mode\":9}", ERROR_INVALID_ARGUMENT, "mode" },
        { "{" GRANTS ",\"cursor\":\"x\"}", ERROR_INVALID_ARGUMENT, "cursor" },
        { "{" GRANTS ",\"id\":1,\"decode\":true}", ERROR_INVALID_ARGUMENT, "id" },
        { "{" VCPUS "}", ERROR_INVALID_ARGUMENT, "decode" },
        { "{\"domain\":\"web-1\"}", ERROR_INVALID_ARGUMENT, "type" },
        { "{\"domain\":\"web-1\",\"type\":\"RESOURCE_TYPE_VMTRACE_BUF\"}", ERROR_UNIMPLEMENTED,
          "type" },
        { "{\"type\":2}", ERROR_INVALID_ARGUMENT, "domain" },
        { "{" GRANTS ",\"incarnation\":\"x\"}", ERROR_INVALID_ARGUMENT, "incarnation" },
    };
    struct watching w;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        expect_refused(&rig.alice, rows[i].json, rows[i].code, rows[i].field);
    }
    open_watch(&w, "{" GRANTS ",\"period\":\"3600s\"}"); /* the most */
    assert_int_equal(w.feed->request.period_ns, 3600 * CLOCK_NS_PER_S);
    watch_done(&w);
}

static void the_policy_has_to_allow_watching_and_decoding(void **state)
{
    (void)state;
    expect_refused(&rig.viewer, "{" GRANTS "}", ERROR_PERMISSION_DENIED, NULL);
    expect_refused(&rig.nobody, "{" GRANTS "}", ERROR_NOT_FOUND, NULL);
    set_policy("\"watch\"");
    expect_refused(&rig.alice, "{" GRANTS ",\"decode\":true}", ERROR_PERMISSION_DENIED, NULL);
    set_policy("\"decode\"");
    expect_refused(&rig.alice, "{" GRANTS ",\"decode\":true}", ERROR_PERMISSION_DENIED, NULL);
}

static void streams_are_no_calls_but_what_they_hold_is_the_callers(void **state)
{
    struct mapper_slot *slot = slot_of(0, 300);
    struct watching all[RPC_RIG_CALLS + 1], decoded;

    (void)state;
    for (size_t i = 0; i < RPC_RIG_CALLS + 1; i++) {
        open_begun(&all[i], "{" GRANTS "}");
    }
    put_image(&all[0], slot, 300, 6, 0); /* of a share of 500 */
    put_image(&all[1], slot, 300, 6, 0);
    (void)watch_expect(&all[0], "image");
    assert_string_equal(watch_text(watch_expect(&all[1], "end"), "reason"),
                        "WATCH_END_REASON_FAILED");
    watch_expect_end(&all[1], ERROR_RESOURCE_EXHAUSTED);
    while (!watch_flag(watch_expect(&all[0], "image"), "complete")) {
    }
    put_image(&all[2], slot, 300, 6, 0); /* what was sent is not held any more */
    (void)watch_expect(&all[2], "image");
    for (size_t i = 0; i < RPC_RIG_CALLS + 1; i++) {
        watch_done(&all[i]);
    }
    open_begun(&decoded, "{" GRANTS ",\"decode\":true}"); /* which keeps two of them */
    put_image(&decoded, slot, 300, 6, 0);
    (void)watch_expect(&decoded, "end");
    watch_expect_end(&decoded, ERROR_RESOURCE_EXHAUSTED);
    watch_done(&decoded);
    mapper_slot_unref(slot);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, watch_begin, watch_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_end_has_its_reason),
        TEST(who_was_sent_enough_waits_and_is_told_an_end_at_once),
        TEST(with_a_deadline_it_says_where_it_was),
        TEST(when_the_gateway_stops_every_stream_says_where_it_was),
        TEST(another_policy_ends_what_it_does_not_allow_and_nothing_else),
        TEST(another_policy_judges_streams_by_tags_groups_and_keys_too),
        TEST(who_has_proved_a_key_keeps_what_asks_for_it),
        TEST(nothing_more_is_sent_of_what_is_not_allowed_any_more),
        TEST(who_is_revoked_has_his_streams_ended),
        TEST(when_what_was_shown_expires_the_stream_says_so),
        TEST(what_fails_before_it_has_begun_is_an_error_like_any_other),
        TEST(what_fails_later_has_an_end_too),
        TEST(a_stream_goes_on_from_its_cursor),
        TEST(a_stream_that_has_caught_up_has_a_checkpoint_there),
        TEST(decoding_goes_on_from_a_new_image),
        TEST(a_cursor_is_good_for_its_caller_and_resource_only),
        TEST(what_cannot_be_watched_is_refused_by_its_field),
        TEST(the_policy_has_to_allow_watching_and_decoding),
        TEST(streams_are_no_calls_but_what_they_hold_is_the_callers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
