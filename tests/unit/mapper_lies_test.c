/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* What a mapper that lies can do to xenresd: lose its connection, and nothing else. */
#include "tests/lib/fake_mapper.h"

#include <sys/socket.h>

#include "common/log.h"

static void on_connected(void *arg, bool connected)
{
    if (connected) {
        outcome_tick(arg);
    }
}

static struct mapper_client *new_client(const struct fake_mapper *m, struct outcome *connected)
{
    const struct mapper_client_options options = {
        .socket_path = m->path,
        .backoff_min_ms = 1,
        .backoff_max_ms = 5,
        .on_connected = on_connected,
        .arg = connected,
    };
    struct mapper_client *c = NULL;

    assert_int_equal(mapper_client_new(&options, &c, NULL), 0);
    return c;
}

static void fill_snapshot(union message *m)
{
    memset(&m->snapshot, 0, sizeof(m->snapshot));
    m->head.type = MESSAGE_SNAPSHOT;
    m->snapshot.type = RESOURCE_GRANT_TABLE;
    m->snapshot.first_frame = 2;
    m->snapshot.frame_count = 3;
    m->snapshot.flags = SNAPSHOT_WITH_STATUS;
}

/* --- answers ---------------------------------------------------------------------------------- */

typedef void lie(union message *answer);

static void offset_beyond(union message *m)
{
    m->snapshot_answer.slot.offset_bytes = (uint64_t)FAKE_ARENA_FRAMES * MESSAGE_FRAME_BYTES;
}
static void offset_that_wraps(union message *m)
{
    m->snapshot_answer.slot.offset_bytes = UINT64_MAX - 2 * MESSAGE_FRAME_BYTES + 1;
}
static void end_beyond(union message *m)
{
    m->snapshot_answer.slot.offset_bytes = (uint64_t)(FAKE_ARENA_FRAMES - 2) * MESSAGE_FRAME_BYTES;
}
static void unaligned(union message *m)
{
    m->snapshot_answer.slot.offset_bytes += 8;
}
static void longer_slot(union message *m)
{
    m->snapshot_answer.slot.len_bytes += MESSAGE_FRAME_BYTES;
}
static void shorter_slot(union message *m)
{
    m->snapshot_answer.slot.len_bytes -= 1;
}
static void slot_beyond_its_maximum(union message *m)
{
    m->snapshot_answer.slot.len_bytes = (uint64_t)FAKE_ARENA_FRAMES * MESSAGE_FRAME_BYTES;
    m->snapshot_answer.slot.offset_bytes = 0;
}
static void another_frame(union message *m)
{
    m->snapshot_answer.observation.first_frame = 1;
}
static void more_frames(union message *m)
{
    m->snapshot_answer.observation.frame_count++;
    m->snapshot_answer.observation.frames_in_use++;
    m->snapshot_answer.slot.len_bytes += MESSAGE_FRAME_BYTES;
}
static void frames_beyond_use(union message *m)
{
    m->snapshot_answer.observation.frames_in_use = 4;
}
static void use_beyond_most(union message *m)
{
    m->snapshot_answer.observation.frames_max = 4;
}
static void no_grant_version(union message *m)
{
    m->snapshot_answer.observation.grant_version = 0;
}
static void status_of_version_1(union message *m)
{
    m->snapshot_answer.status_frame_count = 1;
    m->snapshot_answer.slot.len_bytes += MESSAGE_FRAME_BYTES;
}
static void version_2_without_status(union message *m)
{
    m->snapshot_answer.observation.grant_version = 2;
}
static void no_consistency(union message *m)
{
    m->snapshot_answer.observation.consistency = 0;
}
static void another_serial(union message *m)
{
    m->head.serial ^= UINT64_C(1) << 20;
}
static void no_serial(union message *m)
{
    m->head.serial = 0;
}
static void another_magic(union message *m)
{
    m->head.magic++;
}
static void another_version(union message *m)
{
    m->head.version++;
}
static void another_length(union message *m)
{
    m->head.len_bytes--;
}

static const struct {
    const char *name;
    lie *tell;
    int code; /* of the call */
} lies[] = {
    { "offset beyond the arena", offset_beyond, ERROR_INTERNAL },
    { "offset that wraps", offset_that_wraps, ERROR_UNAVAILABLE },
    { "end beyond the arena", end_beyond, ERROR_INTERNAL },
    { "unaligned slot", unaligned, ERROR_UNAVAILABLE },
    { "slot longer than its frames", longer_slot, ERROR_INTERNAL },
    { "slot shorter than its frames", shorter_slot, ERROR_UNAVAILABLE },
    { "slot beyond its maximum", slot_beyond_its_maximum, ERROR_INTERNAL },
    { "another first frame", another_frame, ERROR_INTERNAL },
    { "more frames than asked for", more_frames, ERROR_INTERNAL },
    { "frames beyond those in use", frames_beyond_use, ERROR_INTERNAL },
    { "more in use than there can be", use_beyond_most, ERROR_INTERNAL },
    { "grant table without version", no_grant_version, ERROR_INTERNAL },
    { "status frames of version 1", status_of_version_1, ERROR_INTERNAL },
    { "version 2 without status frames", version_2_without_status, ERROR_INTERNAL },
    { "no consistency", no_consistency, ERROR_UNAVAILABLE },
    { "another serial", another_serial, ERROR_UNAVAILABLE },
    { "no serial", no_serial, ERROR_UNAVAILABLE },
    { "another magic", another_magic, ERROR_UNAVAILABLE },
    { "another version", another_version, ERROR_UNAVAILABLE },
    { "another length", another_length, ERROR_UNAVAILABLE },
};

/* Sends the answer with a lie in it: true where the call fails with `code`. */
static bool is_refused(lie *tell, int code)
{
    struct fake_mapper m;
    struct outcome connected = OUTCOME_INIT, o = OUTCOME_INIT;
    union message request, answer;

    fake_mapper_init(&m);
    fake_mapper_listen(&m);
    struct mapper_client *c = new_client(&m, &connected);

    fake_mapper_join(&m);
    outcome_wait(&connected, 1);
    fill_snapshot(&request);
    assert_int_equal(
        mapper_client_call(c, &request, fake_deadline(FAKE_WAIT_MS), outcome_done, &o, NULL), 0);
    fake_mapper_request(&m, &request);
    fake_snapshot(&m, &request, 5, 3, &answer);
    message_init(&answer, MESSAGE_SNAPSHOT | MESSAGE_ANSWER, request.head.serial);
    tell(&answer);
    assert_int_equal(channel_send(&m.peer, &answer, sizeof(answer.snapshot_answer), NULL, 0, NULL),
                     0);
    outcome_wait(&o, 1);
    bool refused = o.code == code && o.slot == NULL;

    if (!refused) {
        print_message("got %d: %s\n", o.code, o.failure.message);
    }
    fake_mapper_wait_end(&m);
    fake_mapper_leave(&m);
    fake_mapper_join(&m); /* it is given another chance */
    outcome_wait(&connected, 2);
    mapper_slot_unref(o.slot);
    mapper_client_free(c);
    fake_mapper_done(&m);
    return refused;
}

static void no_lie_about_a_slot_is_believed(void **state)
{
    bool good = true;

    (void)state;
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        if (!is_refused(lies[i].tell, lies[i].code)) {
            print_message("believed: %s\n", lies[i].name);
            good = false;
        }
    }
    assert_true(good);
}

/* A call of `type`, answered with what `answer` holds. */
static int answer_to(uint16_t type, union message *answer, uint16_t answer_type)
{
    struct fake_mapper m;
    struct outcome connected = OUTCOME_INIT, o = OUTCOME_INIT;
    union message request;

    fake_mapper_init(&m);
    fake_mapper_listen(&m);
    struct mapper_client *c = new_client(&m, &connected);

    fake_mapper_join(&m);
    outcome_wait(&connected, 1);
    memset(&request, 0, sizeof(request.snapshot));
    request.head.type = type;
    if (type == MESSAGE_DOMAINS) {
        request.domains.first_domid = 10;
    }
    assert_int_equal(
        mapper_client_call(c, &request, fake_deadline(FAKE_WAIT_MS), outcome_done, &o, NULL), 0);
    fake_mapper_request(&m, &request);
    fake_mapper_send(&m, answer, answer_type, request.head.serial);
    outcome_wait(&o, 1);
    if (o.code != 0) {
        fake_mapper_wait_end(&m);
    }
    mapper_client_free(c);
    fake_mapper_done(&m);
    return o.code;
}

static void an_answer_of_another_type_is_refused(void **state)
{
    union message answer;

    (void)state;
    memset(&answer, 0, sizeof(answer));
    assert_int_equal(answer_to(MESSAGE_DESCRIBE, &answer, MESSAGE_HOST | MESSAGE_ANSWER),
                     ERROR_INTERNAL);
    memset(&answer, 0, sizeof(answer));
    assert_int_equal(answer_to(MESSAGE_DESCRIBE, &answer, MESSAGE_DESCRIBE | MESSAGE_ANSWER), 0);
}

static void domains_that_were_not_asked_for_are_refused(void **state)
{
    union message answer;

    (void)state;
    memset(&answer, 0, sizeof(answer));
    answer.domains_answer.domain_count = 1;
    answer.domains_answer.domains[0] = fake_domain(9, "nine", 1, 1);
    assert_int_equal(answer_to(MESSAGE_DOMAINS, &answer, MESSAGE_DOMAINS | MESSAGE_ANSWER),
                     ERROR_INTERNAL);
    answer.domains_answer.domains[0] = fake_domain(32752, "reserved", 1, 1);
    assert_int_equal(answer_to(MESSAGE_DOMAINS, &answer, MESSAGE_DOMAINS | MESSAGE_ANSWER),
                     ERROR_INTERNAL);
    answer.domains_answer.domains[0] = fake_domain(10, "ten", 1, 1);
    assert_int_equal(answer_to(MESSAGE_DOMAINS, &answer, MESSAGE_DOMAINS | MESSAGE_ANSWER), 0);
}

static void resources_that_cannot_be_are_refused(void **state)
{
    union message answer;

    (void)state;
    memset(&answer, 0, sizeof(answer));
    answer.describe_answer.resource_count = 1;
    answer.describe_answer.resources[0] =
        (struct message_resource){ .type = RESOURCE_VMTRACE_BUF,
                                   .id_count = MESSAGE_VCPUS_MAX + 1,
                                   .availability = RESOURCE_AVAILABLE };
    assert_int_equal(answer_to(MESSAGE_DESCRIBE, &answer, MESSAGE_DESCRIBE | MESSAGE_ANSWER),
                     ERROR_INTERNAL);
    answer.describe_answer.resources[0].id_count = MESSAGE_VCPUS_MAX;
    assert_int_equal(answer_to(MESSAGE_DESCRIBE, &answer, MESSAGE_DESCRIBE | MESSAGE_ANSWER), 0);
    answer.describe_answer.resources[0].frames_in_use = 1;
    assert_int_equal(answer_to(MESSAGE_DESCRIBE, &answer, MESSAGE_DESCRIBE | MESSAGE_ANSWER),
                     ERROR_INTERNAL);
}

static void a_second_answer_ends_the_connection(void **state)
{
    struct fake_mapper m;
    struct outcome connected = OUTCOME_INIT, o = OUTCOME_INIT;
    union message request;

    (void)state;
    fake_mapper_init(&m);
    fake_mapper_listen(&m);
    struct mapper_client *c = new_client(&m, &connected);

    fake_mapper_join(&m);
    outcome_wait(&connected, 1);
    fill_snapshot(&request);
    assert_int_equal(
        mapper_client_call(c, &request, fake_deadline(FAKE_WAIT_MS), outcome_done, &o, NULL), 0);
    fake_mapper_request(&m, &request);
    fake_mapper_failed(&m, request.head.serial, ERROR_NOT_FOUND, 0);
    fake_mapper_failed(&m, request.head.serial, ERROR_NOT_FOUND, 0);
    fake_mapper_wait_end(&m);
    outcome_wait(&o, 1);
    mapper_client_free(c);
    fake_mapper_done(&m);
}

static void a_request_or_a_descriptor_from_the_mapper_ends_the_connection(void **state)
{
    struct fake_mapper m;
    struct outcome connected = OUTCOME_INIT;
    union message event;

    (void)state;
    fake_mapper_init(&m);
    fake_mapper_listen(&m);
    struct mapper_client *c = new_client(&m, &connected);

    fake_mapper_join(&m);
    outcome_wait(&connected, 1);
    memset(&event, 0, sizeof(event));
    fake_mapper_send(&m, &event, MESSAGE_HOST, 5);
    fake_mapper_wait_end(&m);
    fake_mapper_leave(&m);
    fake_mapper_join(&m);
    outcome_wait(&connected, 2);
    memset(&event, 0, sizeof(event));
    message_init(&event, MESSAGE_EVENT_DOMAINS, 0);
    assert_int_equal(
        channel_send(&m.peer, &event, sizeof(event.event_domains), &m.arena_fd, 1, NULL), 0);
    fake_mapper_wait_end(&m);
    mapper_client_free(c);
    fake_mapper_done(&m);
}

/* --- hellos and arenas ------------------------------------------------------------------------ */

/* Says hello as `m` is set up, with `fd` (-1: none): true where xenresd ends the connection. */
static bool hello_is_refused(struct fake_mapper *m, int fd)
{
    fake_mapper_accept(m);
    fake_mapper_answer_hello(m, fd);
    fake_mapper_wait_end(m);
    channel_close(&m->peer);
    return true;
}

struct arena_lie {
    struct fake_mapper m;
    struct outcome connected;
    struct mapper_client *client;
};

static void begin(struct arena_lie *l)
{
    *l = (struct arena_lie){ .connected = OUTCOME_INIT };
    fake_mapper_init(&l->m);
    fake_mapper_listen(&l->m);
    l->client = new_client(&l->m, &l->connected);
}

static void end(struct arena_lie *l)
{
    struct message_hello_answer hello;

    assert_int_equal(l->connected.count, 0);
    assert_false(mapper_client_hello(l->client, &hello));
    mapper_client_free(l->client);
    fake_mapper_done(&l->m);
}

static void an_arena_that_could_change_under_us_is_refused(void **state)
{
    static const int missing[] = { F_SEAL_GROW, F_SEAL_SHRINK, F_SEAL_SEAL, F_SEAL_FUTURE_WRITE };
    struct arena_lie l;

    (void)state;
    begin(&l);
    for (size_t i = 0; i < sizeof(missing) / sizeof(missing[0]); i++) {
        l.m.seals = FAKE_SEALS & ~missing[i];
        fake_mapper_make_arena(&l.m);
        assert_true(hello_is_refused(&l.m, l.m.arena_fd));
        fake_mapper_drop_arena(&l.m);
    }
    end(&l);
}

static void an_arena_of_another_size_is_refused(void **state)
{
    struct arena_lie l;

    (void)state;
    begin(&l);
    fake_mapper_make_arena(&l.m);
    l.m.hello.arena_bytes += MESSAGE_FRAME_BYTES;
    assert_true(hello_is_refused(&l.m, l.m.arena_fd));
    l.m.hello.arena_bytes -= 2 * MESSAGE_FRAME_BYTES;
    assert_true(hello_is_refused(&l.m, l.m.arena_fd));
    l.m.hello.arena_bytes = 0;
    l.m.hello.slot_max_bytes = 0;
    assert_true(hello_is_refused(&l.m, l.m.arena_fd));
    end(&l);
}

static void what_is_no_sealed_memory_is_no_arena(void **state)
{
    struct arena_lie l;
    int ends[2];

    (void)state;
    begin(&l);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_true(hello_is_refused(&l.m, ends[0]));
    assert_true(hello_is_refused(&l.m, -1));
    (void)close(ends[0]);
    (void)close(ends[1]);
    end(&l);
}

static void a_hello_that_takes_no_requests_is_refused(void **state)
{
    struct arena_lie l;

    (void)state;
    begin(&l);
    fake_mapper_make_arena(&l.m);
    l.m.hello.requests_max = 0;
    assert_true(hello_is_refused(&l.m, l.m.arena_fd));
    end(&l);
}

static void a_mapper_of_another_release_is_named_as_the_cause(void **state)
{
    struct arena_lie l;
    union message hello, answer, request;
    struct failure f = { 0 };

    (void)state;
    begin(&l);
    fake_mapper_accept(&l.m);
    fake_mapper_receive(&l.m, &hello);
    memset(&answer, 0, sizeof(answer));
    message_init(&answer, MESSAGE_HELLO | MESSAGE_ANSWER, hello.head.serial);
    answer.head.version = MESSAGE_VERSION + 1;
    assert_int_equal(channel_send(&l.m.peer, &answer, sizeof(answer.hello_answer), NULL, 0, NULL),
                     0);
    fake_mapper_wait_end(&l.m);
    fill_snapshot(&request);
    assert_int_equal(
        mapper_client_call(l.client, &request, fake_deadline(1000), outcome_done, NULL, &f),
        -ERROR_UNAVAILABLE);
    assert_non_null(strstr(f.cause, "version"));
    end(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_lie_about_a_slot_is_believed),
        cmocka_unit_test(an_answer_of_another_type_is_refused),
        cmocka_unit_test(domains_that_were_not_asked_for_are_refused),
        cmocka_unit_test(resources_that_cannot_be_are_refused),
        cmocka_unit_test(a_second_answer_ends_the_connection),
        cmocka_unit_test(a_request_or_a_descriptor_from_the_mapper_ends_the_connection),
        cmocka_unit_test(an_arena_that_could_change_under_us_is_refused),
        cmocka_unit_test(an_arena_of_another_size_is_refused),
        cmocka_unit_test(what_is_no_sealed_memory_is_no_arena),
        cmocka_unit_test(a_hello_that_takes_no_requests_is_refused),
        cmocka_unit_test(a_mapper_of_another_release_is_named_as_the_cause),
    };

    log_open("mapper_lies_test", (enum log_level)0);
    return UNIT_RUN(tests);
}
