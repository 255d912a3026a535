/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "common/message.h"

#include <stdlib.h>

#include "common/message_tags.h"
#include "tests/lib/trace_messages.h"

static const uint16_t types[] = {
    MESSAGE_HELLO,
    MESSAGE_HOST,
    MESSAGE_DOMAINS,
    MESSAGE_DESCRIBE,
    MESSAGE_SNAPSHOT,
    MESSAGE_VCPU_STATS,
    MESSAGE_RELEASE,
    MESSAGE_COUNTERS,
    MESSAGE_WATCH,
    MESSAGE_WATCH_DOMAINS,
    MESSAGE_UNWATCH,
    MESSAGE_IMAGE,
    MESSAGE_TRACE_START,
    MESSAGE_TRACE_STOP,
    MESSAGE_TRACE_RENEW,
    MESSAGE_TRACES,
    MESSAGE_TRACE_VCPUS,
    MESSAGE_HELLO | MESSAGE_ANSWER,
    MESSAGE_HOST | MESSAGE_ANSWER,
    MESSAGE_DOMAINS | MESSAGE_ANSWER,
    MESSAGE_DESCRIBE | MESSAGE_ANSWER,
    MESSAGE_SNAPSHOT | MESSAGE_ANSWER,
    MESSAGE_VCPU_STATS | MESSAGE_ANSWER,
    MESSAGE_COUNTERS | MESSAGE_ANSWER,
    MESSAGE_WATCH | MESSAGE_ANSWER,
    MESSAGE_WATCH_DOMAINS | MESSAGE_ANSWER,
    MESSAGE_IMAGE | MESSAGE_ANSWER,
    MESSAGE_TRACE_START | MESSAGE_ANSWER,
    MESSAGE_TRACE_STOP | MESSAGE_ANSWER,
    MESSAGE_TRACE_RENEW | MESSAGE_ANSWER,
    MESSAGE_TRACES | MESSAGE_ANSWER,
    MESSAGE_TRACE_VCPUS | MESSAGE_ANSWER,
    MESSAGE_FAILED,
    MESSAGE_EVENT_DOMAINS,
};

enum { TYPE_COUNT = sizeof(types) / sizeof(types[0]) };

/* A message of this type that passes, every list at its maximum. */
static void make(union message *m, uint16_t type)
{
    memset(m, 0, sizeof(*m));
    message_init(m, type, type == MESSAGE_EVENT_DOMAINS ? 0 : 1);
    switch (type) {
    case MESSAGE_HOST | MESSAGE_ANSWER: m->host_answer.check_count = MESSAGE_CHECKS_MAX; break;
    case MESSAGE_DOMAINS | MESSAGE_ANSWER:
        m->domains_answer.domain_count = MESSAGE_DOMAINS_MAX;
        for (uint16_t i = 0; i < MESSAGE_DOMAINS_MAX; i++) {
            m->domains_answer.domains[i].type = DOMAIN_PVH;
            m->domains_answer.domains[i].state = DOMAIN_DYING;
            m->domains_answer.domains[i].identity.domid = i;
        }
        break;
    case MESSAGE_DESCRIBE | MESSAGE_ANSWER:
        m->describe_answer.resource_count = MESSAGE_RESOURCES_MAX;
        for (uint32_t i = 0; i < MESSAGE_RESOURCES_MAX; i++) {
            m->describe_answer.resources[i].id_count = 1;
            m->describe_answer.resources[i].availability = RESOURCE_ON_REQUEST;
        }
        break;
    case MESSAGE_SNAPSHOT | MESSAGE_ANSWER:
        m->snapshot_answer.observation.frame_count = 2;
        m->snapshot_answer.observation.consistency = SNAPSHOT_ALIGNED_8_BYTES;
        m->snapshot_answer.status_frame_count = 1;
        m->snapshot_answer.slot.len_bytes = UINT64_C(3) * MESSAGE_FRAME_BYTES;
        break;
    case MESSAGE_VCPU_STATS | MESSAGE_ANSWER:
        m->vcpu_stats_answer.source = VCPU_STATS_INFO;
        m->vcpu_stats_answer.vcpu_count = MESSAGE_VCPUS_MAX;
        m->vcpu_stats_answer.slot.len_bytes = MESSAGE_VCPUS_MAX * sizeof(struct message_vcpu);
        break;
    case MESSAGE_RELEASE: m->release.slot_count = MESSAGE_RELEASES_MAX; break;
    case MESSAGE_COUNTERS | MESSAGE_ANSWER:
        m->counters_answer.arena_bytes = m->counters_answer.arena_used_bytes = 8192;
        m->counters_answer.mapped_frames = 2;
        m->counters_answer.mappings = m->counters_answer.zombies = 2;
        break;
    case MESSAGE_WATCH | MESSAGE_ANSWER:
    case MESSAGE_WATCH_DOMAINS | MESSAGE_ANSWER: m->watch_answer.feed_id[15] = 1; break;
    case MESSAGE_IMAGE | MESSAGE_ANSWER:
        m->image_answer.observation.frame_count = 2;
        m->image_answer.status_frame_count = 1;
        m->image_answer.slot.len_bytes = UINT64_C(3) * MESSAGE_FRAME_BYTES;
        break;
    case MESSAGE_FAILED: m->failed.failure.code = ERROR_NOT_FOUND; break;
    default: trace_messages_make(m, type); break;
    }
}

static int check(const union message *m)
{
    return message_check(m, message_size(m->head.type), NULL);
}

static void every_type_passes_with_its_lists_full(void **state)
{
    union message m;

    (void)state;
    for (size_t i = 0; i < TYPE_COUNT; i++) {
        make(&m, types[i]);
        assert_int_equal(check(&m), 0);
        assert_true(message_size(types[i]) <= sizeof(m));
    }
}

static void a_number_that_is_no_type_has_no_size_and_is_refused(void **state)
{
    union message m;
    size_t known = 0;

    (void)state;
    for (unsigned type = 0; type <= UINT16_MAX; type++) {
        size_t size = message_size((uint16_t)type);

        known += size != 0;
        if (size == 0) {
            make(&m, (uint16_t)type);
            m.head.len_bytes = sizeof(m);
            assert_int_equal(message_check(&m, sizeof(m), NULL), -ERROR_INVALID_ARGUMENT);
        }
    }
    assert_int_equal(known, TYPE_COUNT);
    assert_int_equal(message_size(MESSAGE_RELEASE | MESSAGE_ANSWER), 0);
}

static void only_the_exact_length_passes(void **state)
{
    union message m;

    (void)state;
    for (size_t i = 0; i < TYPE_COUNT; i++) {
        size_t size = message_size(types[i]);

        make(&m, types[i]);
        assert_int_equal(message_check(&m, size - 1, NULL), -ERROR_INVALID_ARGUMENT);
        assert_int_equal(message_check(&m, size + 1, NULL), -ERROR_INVALID_ARGUMENT);
        assert_int_equal(message_check(&m, 0, NULL), -ERROR_INVALID_ARGUMENT);
        m.head.len_bytes++;
        assert_int_equal(message_check(&m, size, NULL), -ERROR_INVALID_ARGUMENT);
    }
}

/* Under the sanitizer: nothing is read beyond what was received. */
static void a_short_message_is_not_read_beyond_its_end(void **state)
{
    union message m;

    (void)state;
    for (size_t i = 0; i < TYPE_COUNT; i++) {
        make(&m, types[i]);
        for (size_t len = 1; len < message_size(types[i]); len += len < 40 ? 1 : 97) {
            /* A whole union, as receivers have, of which only `len` bytes are set. */
            union message *cut = calloc(1, sizeof(*cut));

            assert_non_null(cut);
            memcpy(cut, &m, len);
            assert_int_not_equal(message_check(cut, len, NULL), 0);
            free(cut);
        }
    }
}

static void another_version_is_named_with_ours(void **state)
{
    union message m;
    struct failure f;

    (void)state;
    make(&m, MESSAGE_HELLO);
    m.head.version = 7;
    m.head.type = 0x7777; /* which that version may well have */
    assert_int_equal(message_check(&m, message_size(MESSAGE_HELLO), &f),
                     -ERROR_FAILED_PRECONDITION);
    assert_non_null(strstr(f.message, "version 7"));
    assert_non_null(strstr(f.message, "version 4"));
    assert_true(f.next_step[0] != '\0');
}

/* Sets one field of a passing message wrong, says so, and repairs it. */
#define REFUSES(m, type, field, wrong)                                                             \
    do {                                                                                           \
        make(&(m), (type));                                                                        \
        (field) = (wrong);                                                                         \
        assert_int_equal(check(&(m)), -ERROR_INVALID_ARGUMENT);                                    \
    } while (0)

#define REFUSES_UNENDED(m, type, array)                                                            \
    do {                                                                                           \
        make(&(m), (type));                                                                        \
        memset((array), 'a', sizeof(array));                                                       \
        assert_int_equal(check(&(m)), -ERROR_INVALID_ARGUMENT);                                    \
        (array)[sizeof(array) - 1] = '\0';                                                         \
        assert_int_equal(check(&(m)), 0);                                                          \
    } while (0)

static void a_wrong_head_is_refused(void **state)
{
    union message m;

    (void)state;
    for (size_t i = 0; i < TYPE_COUNT; i++) {
        REFUSES(m, types[i], m.head.magic, MESSAGE_MAGIC + 1);
        REFUSES(m, types[i], m.head.reserved, 1);
        REFUSES(m, types[i], m.head.serial, types[i] == MESSAGE_EVENT_DOMAINS ? 1 : 0);
    }
}

static void strings_without_an_end_are_refused(void **state)
{
    union message m;
    const uint16_t host = MESSAGE_HOST | MESSAGE_ANSWER;
    const uint16_t describe = MESSAGE_DESCRIBE | MESSAGE_ANSWER;

    (void)state;
    REFUSES_UNENDED(m, MESSAGE_HELLO, m.hello.version);
    REFUSES_UNENDED(m, MESSAGE_HELLO | MESSAGE_ANSWER, m.hello_answer.version);
    REFUSES_UNENDED(m, MESSAGE_HELLO | MESSAGE_ANSWER, m.hello_answer.backend);
    REFUSES_UNENDED(m, host, m.host_answer.uuid_source);
    REFUSES_UNENDED(m, host, m.host_answer.boot_id);
    REFUSES_UNENDED(m, host, m.host_answer.xen_version);
    REFUSES_UNENDED(m, host, m.host_answer.guest_abis);
    REFUSES_UNENDED(m, host, m.host_answer.checks[MESSAGE_CHECKS_MAX - 1].name);
    REFUSES_UNENDED(m, host, m.host_answer.checks[0].detail);
    REFUSES_UNENDED(m, MESSAGE_DOMAINS | MESSAGE_ANSWER,
                    m.domains_answer.domains[MESSAGE_DOMAINS_MAX - 1].identity.name);
    REFUSES_UNENDED(m, MESSAGE_DESCRIBE, m.describe.domain.name);
    REFUSES_UNENDED(m, MESSAGE_SNAPSHOT, m.snapshot.domain.name);
    REFUSES_UNENDED(m, MESSAGE_VCPU_STATS, m.vcpu_stats.domain.name);
    REFUSES_UNENDED(m, MESSAGE_WATCH, m.watch.domain.name);
    REFUSES_UNENDED(m, describe, m.describe_answer.resources[7].failure.call);
    REFUSES_UNENDED(m, describe, m.describe_answer.resources[0].failure.message);
    REFUSES_UNENDED(m, MESSAGE_FAILED, m.failed.failure.call);
    REFUSES_UNENDED(m, MESSAGE_FAILED, m.failed.failure.message);
    REFUSES_UNENDED(m, MESSAGE_FAILED, m.failed.failure.cause);
    REFUSES_UNENDED(m, MESSAGE_FAILED, m.failed.failure.next_step);
    REFUSES_UNENDED(m, MESSAGE_FAILED, m.failed.failure.field);
}

static void reserved_fields_are_zero(void **state)
{
    union message m;

    (void)state;
    REFUSES(m, MESSAGE_HOST | MESSAGE_ANSWER, m.host_answer.reserved, 1);
    REFUSES(m, MESSAGE_HOST | MESSAGE_ANSWER, m.host_answer.checks[3].reserved, 1);
    REFUSES(m, MESSAGE_DOMAINS, m.domains.reserved, 1);
    REFUSES(m, MESSAGE_DOMAINS | MESSAGE_ANSWER, m.domains_answer.domains[5].identity.reserved, 1);
    REFUSES(m, MESSAGE_DESCRIBE, m.describe.domain.reserved, 1);
    REFUSES(m, MESSAGE_DESCRIBE | MESSAGE_ANSWER, m.describe_answer.reserved, 1);
    REFUSES(m, MESSAGE_DESCRIBE | MESSAGE_ANSWER, m.describe_answer.resources[2].reserved, 1);
    REFUSES(m, MESSAGE_SNAPSHOT, m.snapshot.reserved, 1);
    REFUSES(m, MESSAGE_SNAPSHOT, m.snapshot.domain.reserved, 1);
    REFUSES(m, MESSAGE_SNAPSHOT | MESSAGE_ANSWER, m.snapshot_answer.reserved, 1);
    REFUSES(m, MESSAGE_VCPU_STATS, m.vcpu_stats.domain.reserved, 1);
    REFUSES(m, MESSAGE_RELEASE, m.release.reserved, 1);
    REFUSES(m, MESSAGE_WATCH, m.watch.reserved, 1);
    REFUSES(m, MESSAGE_WATCH, m.watch.domain.reserved, 1);
    REFUSES(m, MESSAGE_UNWATCH, m.unwatch.reserved, 1);
    REFUSES(m, MESSAGE_IMAGE, m.image.reserved, 1);
}

static void counts_beyond_their_maxima_are_refused(void **state)
{
    static const uint32_t beyond[] = { 1, 2, 1000, UINT32_MAX / 2 };
    union message m;

    (void)state;
    for (size_t i = 0; i < sizeof(beyond) / sizeof(beyond[0]); i++) {
        REFUSES(m, MESSAGE_HOST | MESSAGE_ANSWER, m.host_answer.check_count,
                MESSAGE_CHECKS_MAX + beyond[i]);
        REFUSES(m, MESSAGE_DOMAINS | MESSAGE_ANSWER, m.domains_answer.domain_count,
                MESSAGE_DOMAINS_MAX + beyond[i]);
        REFUSES(m, MESSAGE_DESCRIBE | MESSAGE_ANSWER, m.describe_answer.resource_count,
                MESSAGE_RESOURCES_MAX + beyond[i]);
        REFUSES(m, MESSAGE_RELEASE, m.release.slot_count, MESSAGE_RELEASES_MAX + beyond[i]);
        make(&m, MESSAGE_VCPU_STATS | MESSAGE_ANSWER);
        m.vcpu_stats_answer.slot.len_bytes = UINT64_C(1) << 40;
        m.vcpu_stats_answer.vcpu_count = MESSAGE_VCPUS_MAX + beyond[i];
        assert_int_equal(check(&m), -ERROR_INVALID_ARGUMENT);
    }
}

static void values_that_are_none_of_an_enum_are_refused(void **state)
{
    union message m;
    const uint16_t domains = MESSAGE_DOMAINS | MESSAGE_ANSWER;
    const uint16_t describe = MESSAGE_DESCRIBE | MESSAGE_ANSWER;
    const uint16_t snapshot = MESSAGE_SNAPSHOT | MESSAGE_ANSWER;

    (void)state;
    REFUSES(m, MESSAGE_HOST | MESSAGE_ANSWER, m.host_answer.checks[0].ok, 2);
    REFUSES(m, domains, m.domains_answer.domains[0].type, 0);
    REFUSES(m, domains, m.domains_answer.domains[0].type, DOMAIN_PVH + 1);
    REFUSES(m, domains, m.domains_answer.domains[0].state, 0);
    REFUSES(m, domains, m.domains_answer.domains[0].state, DOMAIN_DYING + 1);
    REFUSES(m, domains, m.domains_answer.more, 2);
    REFUSES(m, describe, m.describe_answer.resources[0].type, RESOURCE_TYPE_COUNT);
    REFUSES(m, describe, m.describe_answer.resources[0].availability, 0);
    REFUSES(m, describe, m.describe_answer.resources[0].availability, RESOURCE_ON_REQUEST + 1);
    REFUSES(m, describe, m.describe_answer.resources[0].grant_version, 3);
    REFUSES(m, describe, m.describe_answer.resources[0].id_count, 0);
    REFUSES(m, MESSAGE_SNAPSHOT, m.snapshot.flags, 4);
    REFUSES(m, snapshot, m.snapshot_answer.observation.consistency, 0);
    REFUSES(m, snapshot, m.snapshot_answer.observation.consistency, 3);
    REFUSES(m, snapshot, m.snapshot_answer.observation.grant_version, 3);
    REFUSES(m, MESSAGE_VCPU_STATS | MESSAGE_ANSWER, m.vcpu_stats_answer.source, 0);
    REFUSES(m, MESSAGE_VCPU_STATS | MESSAGE_ANSWER, m.vcpu_stats_answer.source, 3);
    REFUSES(m, MESSAGE_FAILED, m.failed.failure.code, 0);
    REFUSES(m, MESSAGE_FAILED, m.failed.failure.code, -1);
}

static void feeds_have_an_id_and_images_their_frames(void **state)
{
    union message m;
    const uint16_t image = MESSAGE_IMAGE | MESSAGE_ANSWER;

    (void)state;
    REFUSES(m, MESSAGE_WATCH, m.watch.flags, 4);
    REFUSES(m, MESSAGE_WATCH, m.watch.trace_id[15], 1); /* of what is no trace */
    make(&m, MESSAGE_WATCH);
    m.watch.trace_id[15] = 1;
    m.watch.type = RESOURCE_VMTRACE_BUF;
    assert_int_equal(check(&m), 0);
    REFUSES(m, MESSAGE_WATCH | MESSAGE_ANSWER, m.watch_answer.feed_id[15], 0);
    REFUSES(m, MESSAGE_WATCH_DOMAINS | MESSAGE_ANSWER, m.watch_answer.feed_id[15], 0);
    REFUSES(m, MESSAGE_WATCH | MESSAGE_ANSWER, m.watch_answer.joined, 2);
    REFUSES(m, image, m.image_answer.slot.len_bytes, UINT64_C(3) * MESSAGE_FRAME_BYTES - 1);
    REFUSES(m, image, m.image_answer.slot.offset_bytes, 8);
    REFUSES(m, image, m.image_answer.observation.frame_count, UINT32_MAX);
    REFUSES(m, image, m.image_answer.observation.first_frame, UINT32_MAX - 1);
    REFUSES(m, image, m.image_answer.observation.grant_version, 3);
    REFUSES(m, image, m.image_answer.observation.consistency, 3);
    REFUSES(m, image, m.image_answer.status_frame_count, UINT32_MAX);
    REFUSES(m, image, m.image_answer.first_status_frame, UINT32_MAX);
}

static void counters_that_contradict_each_other_are_refused(void **state)
{
    union message m;
    const uint16_t counters = MESSAGE_COUNTERS | MESSAGE_ANSWER;

    (void)state;
    REFUSES(m, counters, m.counters_answer.arena_used_bytes, 8193);
    REFUSES(m, counters, m.counters_answer.mappings, 3);
    REFUSES(m, counters, m.counters_answer.zombies, 3);
}

static void a_page_of_domains_ascends_and_more_follows_something(void **state)
{
    union message m;
    const uint16_t domains = MESSAGE_DOMAINS | MESSAGE_ANSWER;

    (void)state;
    REFUSES(m, domains, m.domains_answer.domains[3].identity.domid, 2);
    REFUSES(m, domains, m.domains_answer.domains[3].identity.domid, 4);
    make(&m, domains);
    m.domains_answer.more = 1;
    assert_int_equal(check(&m), 0);
    m.domains_answer.domain_count = 0;
    assert_int_equal(check(&m), -ERROR_INVALID_ARGUMENT);
    m.domains_answer.more = 0;
    assert_int_equal(check(&m), 0);
}

static void rows_behind_the_count_are_not_looked_at(void **state)
{
    union message m;

    (void)state;
    make(&m, MESSAGE_DOMAINS | MESSAGE_ANSWER);
    m.domains_answer.domain_count = 1;
    memset(&m.domains_answer.domains[1], 0xff, sizeof(m.domains_answer.domains[1]));
    assert_int_equal(check(&m), 0);
}

static void a_slot_has_what_the_answer_says_it_has(void **state)
{
    union message m;
    const uint16_t snapshot = MESSAGE_SNAPSHOT | MESSAGE_ANSWER;
    const uint16_t stats = MESSAGE_VCPU_STATS | MESSAGE_ANSWER;
    struct message_slot *slot = &m.snapshot_answer.slot;

    (void)state;
    REFUSES(m, snapshot, slot->len_bytes, UINT64_C(3) * MESSAGE_FRAME_BYTES - 1);
    REFUSES(m, snapshot, slot->offset_bytes, 8);
    REFUSES(m, snapshot, slot->offset_bytes, UINT64_MAX - MESSAGE_FRAME_BYTES + 1);
    REFUSES(m, snapshot, m.snapshot_answer.observation.frame_count, UINT32_MAX);
    REFUSES(m, snapshot, m.snapshot_answer.observation.first_frame, UINT32_MAX - 1);
    REFUSES(m, snapshot, m.snapshot_answer.status_frame_count, UINT32_MAX);
    REFUSES(m, snapshot, m.snapshot_answer.first_status_frame, UINT32_MAX);
    REFUSES(m, stats, m.vcpu_stats_answer.slot.len_bytes,
            MESSAGE_VCPUS_MAX * sizeof(struct message_vcpu) - 1);
    REFUSES(m, stats, m.vcpu_stats_answer.slot.offset_bytes, 4095);
    REFUSES(m, MESSAGE_HELLO | MESSAGE_ANSWER, m.hello_answer.slot_max_bytes, 1);
}

static void a_run_of_ids_does_not_wrap(void **state)
{
    union message m;

    (void)state;
    make(&m, MESSAGE_DESCRIBE | MESSAGE_ANSWER);
    m.describe_answer.resources[0].first_id = UINT32_MAX;
    assert_int_equal(check(&m), 0);
    m.describe_answer.resources[0].id_count = 2;
    assert_int_equal(check(&m), -ERROR_INVALID_ARGUMENT);
}

static void a_name_that_was_cut_is_empty(void **state)
{
    union message m;

    (void)state;
    make(&m, MESSAGE_DESCRIBE);
    m.describe.domain.name_cut = 1;
    assert_int_equal(check(&m), 0);
    m.describe.domain.name[0] = 'a';
    assert_int_equal(check(&m), -ERROR_INVALID_ARGUMENT);
    REFUSES(m, MESSAGE_DESCRIBE, m.describe.domain.name_cut, 2);
}

static void random_bytes_behind_a_good_head_are_judged_without_fault(void **state)
{
    union message m;

    (void)state;
    srandom(4);
    for (int round = 0; round < 20000; round++) {
        uint16_t type = types[(size_t)random() % TYPE_COUNT];
        unsigned char *bytes = (unsigned char *)&m;

        for (size_t i = 0; i < message_size(type); i++) {
            /* Mostly zeros, or nothing would come past the first field. */
            bytes[i] = random() % 8 == 0 ? (unsigned char)random() : 0;
        }
        message_init(&m, type, 1);
        int result = message_check(&m, message_size(type), NULL);

        assert_true(result == 0 || result == -ERROR_INVALID_ARGUMENT);
    }
}

static void an_identity_differs_in_any_field(void **state)
{
    struct domain_identity a = { .domid = 5, .name = "web" };
    struct domain_identity b;

    (void)state;
    memset(a.uuid, 1, sizeof(a.uuid));
    memset(a.incarnation, 2, sizeof(a.incarnation));
    b = a;
    assert_true(domain_identity_equal(&a, &b));
    b.name[10] = 'x'; /* behind the NUL */
    assert_true(domain_identity_equal(&a, &b));
    b.name[3] = 'x';
    assert_false(domain_identity_equal(&a, &b));
    b = a;
    b.uuid[15]++;
    assert_false(domain_identity_equal(&a, &b));
    b = a;
    b.incarnation[15]++;
    assert_false(domain_identity_equal(&a, &b));
    b = a;
    b.domid++;
    assert_false(domain_identity_equal(&a, &b));
    b = a;
    b.name_cut = 1;
    assert_false(domain_identity_equal(&a, &b));
    b = a;
    b.tags_unknown = 1;
    assert_false(domain_identity_equal(&a, &b));
    b = a;
    assert_true(domain_tag_add(&b, "prod"));
    assert_false(domain_identity_equal(&a, &b));
    assert_true(domain_tag_add(&a, "prod"));
    assert_true(domain_identity_equal(&a, &b));
}

static void a_set_of_tags_has_one_form(void **state)
{
    struct domain_identity a = { 0 }, b = { 0 };

    (void)state;
    assert_true(domain_tag_add(&a, "web") && domain_tag_add(&a, "a") && domain_tag_add(&a, "prod"));
    assert_true(domain_tag_add(&b, "prod") && domain_tag_add(&b, "web") && domain_tag_add(&b, "a"));
    assert_true(domain_tag_add(&b, "web"));
    assert_true(domain_tags_equal(&a, &b));
    assert_true(domain_has_tag(&a, "web") && !domain_has_tag(&a, "we") && !domain_has_tag(&a, ""));
    assert_null(domain_identity_wrong(&a));
    assert_false(domain_tag_add(&a, "") || domain_tag_add(&a, "A") || domain_tag_add(&a, "a b"));
    assert_true(domain_tag_is_valid("0123456789-abcdefghijklmnopqrst"));
    assert_false(domain_tag_is_valid("0123456789-abcdefghijklmnopqrstu"));
    for (char c = 'a'; domain_identity_wrong(&a) == NULL && c <= 'n'; c++) {
        char tag[] = { 'x', c, '\0' };

        assert_int_equal(domain_tag_add(&a, tag), c < 'n'); /* 3 there already */
    }
    assert_null(domain_identity_wrong(&a));
}

static void other_forms_of_tags_are_refused(void **state)
{
    struct domain_identity right = { 0 }, d;

    (void)state;
    assert_true(domain_tag_add(&right, "prod") && domain_tag_add(&right, "web"));
    assert_null(domain_identity_wrong(&right));
#define WRONG_TAGS(change)                                                                         \
    d = right;                                                                                     \
    change;                                                                                        \
    assert_non_null(domain_identity_wrong(&d))
    WRONG_TAGS(d.tags[0][0] = '\0');                       /* a hole */
    WRONG_TAGS(d.tags[1][0] = 'a');                        /* not in order */
    WRONG_TAGS(memcpy(d.tags[1], d.tags[0], 32));          /* twice */
    WRONG_TAGS(d.tags[1][0] = 'W');                        /* not of the alphabet */
    WRONG_TAGS(d.tags[1][5] = 'x');                        /* something behind the NUL */
    WRONG_TAGS(d.tags[9][5] = 'x');                        /* in an empty one */
    WRONG_TAGS(memset(d.tags[1], 'x', sizeof(d.tags[1]))); /* not ended */
    WRONG_TAGS(d.tags_unknown = 1);                        /* and yet there are some */
    WRONG_TAGS(d.tags_unknown = 2);
}

static void resource_types_have_names_both_ways(void **state)
{
    (void)state;
    for (uint32_t type = 0; type < RESOURCE_TYPE_COUNT; type++) {
        assert_int_equal(resource_type_from_name(resource_type_name(type)), (int)type);
    }
    assert_string_equal(resource_type_name(RESOURCE_GRANT_TABLE), "grant_table");
    assert_null(resource_type_name(RESOURCE_TYPE_COUNT));
    assert_null(resource_type_name(UINT32_MAX));
    assert_int_equal(resource_type_from_name(""), -1);
    assert_int_equal(resource_type_from_name("grant_table "), -1);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_passes_with_its_lists_full),
        cmocka_unit_test(a_number_that_is_no_type_has_no_size_and_is_refused),
        cmocka_unit_test(only_the_exact_length_passes),
        cmocka_unit_test(a_short_message_is_not_read_beyond_its_end),
        cmocka_unit_test(another_version_is_named_with_ours),
        cmocka_unit_test(a_wrong_head_is_refused),
        cmocka_unit_test(strings_without_an_end_are_refused),
        cmocka_unit_test(reserved_fields_are_zero),
        cmocka_unit_test(counts_beyond_their_maxima_are_refused),
        cmocka_unit_test(values_that_are_none_of_an_enum_are_refused),
        cmocka_unit_test(feeds_have_an_id_and_images_their_frames),
        cmocka_unit_test(counters_that_contradict_each_other_are_refused),
        cmocka_unit_test(a_page_of_domains_ascends_and_more_follows_something),
        cmocka_unit_test(rows_behind_the_count_are_not_looked_at),
        cmocka_unit_test(a_slot_has_what_the_answer_says_it_has),
        cmocka_unit_test(a_run_of_ids_does_not_wrap),
        cmocka_unit_test(a_name_that_was_cut_is_empty),
        cmocka_unit_test(random_bytes_behind_a_good_head_are_judged_without_fault),
        cmocka_unit_test(an_identity_differs_in_any_field),
        cmocka_unit_test(a_set_of_tags_has_one_form),
        cmocka_unit_test(other_forms_of_tags_are_refused),
        cmocka_unit_test(resource_types_have_names_both_ways),
    };

    return UNIT_RUN(tests);
}
