/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * A xenresd that was taken over, or is no xenresd at all, against a real mapper. Whatever it sends:
 * the mapper lives, stays within its limits, lets nothing out that the export list does not name,
 * and serves the next peer that behaves.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>

#include "tests/lib/mapper_rig.h"

enum { NOBODY = 65534, MEMORY_MAX_KIB = 10240 };

/* An instrumented build's memory says nothing of the program's. */
#ifdef XENRES_SANITIZED
enum { IS_INSTRUMENTED = 1 };
#else
enum { IS_INSTRUMENTED = 0 };
#endif

static const char two_domains[] =
    "domain \"open\" { domid = 1 uuid = \"11111111-1111-1111-1111-111111111111\" type = \"hvm\""
    "  grants { frames = 4 entries = 100 } ioreq \"0\" { } }\n"
    "domain \"closed\" { domid = 2 uuid = \"22222222-2222-2222-2222-222222222222\" type = \"hvm\""
    "  grants { frames = 4 entries = 100 } ioreq \"0\" { } }\n";
static const char narrow[] = "allow name:open grant_table list,snapshot\n";

static struct rig rig;
static size_t fds_at_start;

/* Descriptors of the mapper; 0 where they may not be counted. */
static size_t mapper_fds(void)
{
    char path[64];
    size_t count = 0;

    snprintf(path, sizeof(path), "/proc/%d/fd", (int)rig.pid);
    DIR *dir = opendir(path);

    while (dir != NULL && readdir(dir) != NULL) {
        count++;
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return count;
}

/* Memory of its own, without what is shared with the peer. */
static unsigned long mapper_memory_kib(void)
{
    char path[64], line[128];
    unsigned long sum = 0, value;

    snprintf(path, sizeof(path), "/proc/%d/status", (int)rig.pid);
    FILE *file = fopen(path, "re");

    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        if (sscanf(line, "RssAnon: %lu", &value) == 1 ||
            sscanf(line, "RssFile: %lu", &value) == 1) {
            sum += value;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return sum;
}

static int set_up(void **state)
{
    static const char *const small[] = { "--arena-mib", "1", NULL };
    struct rig_peer peer;

    (void)state;
    rig_start(&rig, two_domains, narrow, small);
    rig_join(&rig, &peer);
    rig_leave(&peer);
    fds_at_start = mapper_fds();
    return 0;
}

/* The next one that behaves is served, in full. */
static void serves_well(void)
{
    struct rig_peer peer;
    union message m, a;

    rig_join(&rig, &peer);
    struct domain_identity d = rig_domain(&peer, "open");

    m = rig_snapshot_message(&d, RESOURCE_GRANT_TABLE, 0, 0, MESSAGE_FRAMES_ALL);
    assert_true(rig_call(&peer, &m, &a));
    assert_int_equal(a.snapshot_answer.slot.len_bytes, 4 * MESSAGE_FRAME_BYTES);
    rig_leave(&peer);
}

static int tear_down(void **state)
{
    uint64_t end_ns = clock_monotonic_ns() + RIG_LIMIT_MS * CLOCK_NS_PER_MS;
    size_t fds;

    (void)state;
    /* Every round makes the mapper's loop turn: those that left before are closed in some of them. */
    do {
        serves_well();
        fds = mapper_fds();
        /* The peer that just left: its socket and its arena. */
    } while (fds > fds_at_start + 2 && clock_monotonic_ns() < end_ns);
    if (fds > fds_at_start + 2) {
        fail_msg("%zu descriptors, and %zu at the start", fds, fds_at_start);
    }
    assert_true(IS_INSTRUMENTED || mapper_memory_kib() <= MEMORY_MAX_KIB);
    rig_stop(&rig);
    return 0;
}

/* Raw bytes, with descriptors; false when the mapper has closed. */
static bool send_raw(const struct rig_peer *p, const void *bytes, size_t len, const int *fds,
                     size_t fd_count)
{
    return channel_send(&p->channel, bytes, len, fds, fd_count, NULL) == 0;
}

static void assert_closed(struct rig_peer *p)
{
    union message m;

    while (rig_receive(p, &m, NULL) > 0) {
    }
}

static void expect_failure(struct rig_peer *p, int code)
{
    union message m;

    assert_true(rig_receive(p, &m, NULL) > 0);
    assert_int_equal(m.head.type, MESSAGE_FAILED);
    if (m.failed.failure.code != code) {
        fail_msg("%s", m.failed.failure.message);
    }
}

static void garbage_instead_of_hello(void **state)
{
    static const size_t lengths[] = { 1, 7, 23, 24, 25, 56, 57, 1000, sizeof(union message) };
    static uint8_t bytes[sizeof(union message)];

    (void)state;
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct rig_peer p;

        memset(bytes, (int)(0x41 + i), sizeof(bytes));
        rig_connect(&rig, &p);
        send_raw(&p, bytes, lengths[i], NULL, 0);
        expect_failure(&p, ERROR_INVALID_ARGUMENT);
        assert_closed(&p);
        rig_leave(&p);
    }
}

static void garbage_after_hello(void **state)
{
    static uint8_t bytes[2 * sizeof(union message)];
    unsigned seed = 7;

    (void)state;
    for (int round = 0; round < 300; round++) {
        struct rig_peer p;
        size_t len = 1 + (size_t)(seed >> 8) % sizeof(bytes);

        rig_join(&rig, &p);
        for (size_t i = 0; i < len; i++) {
            seed = seed * 1103515245 + 12345;
            bytes[i] = (uint8_t)(seed >> 16);
        }
        send_raw(&p, bytes, len, NULL, 0);
        assert_closed(&p);
        rig_leave(&p);
    }
}

/* Well-formed heads with every type there could be, and every field's bytes at random. */
static void random_bodies_of_every_type(void **state)
{
    unsigned seed = 11;
    struct rig_peer p;

    (void)state;
    rig_join(&rig, &p);
    for (uint32_t round = 0; round < 20000; round++) {
        union message m;
        uint16_t type = (uint16_t)(round % 16 ? round % 10 : round * 37);
        size_t len = message_size(type) ? message_size(type) : sizeof(m.plain);

        for (size_t i = 0; i < len; i++) {
            seed = seed * 1103515245 + 12345;
            ((uint8_t *)&m)[i] = (uint8_t)(round % 3 ? seed >> 16 : 0);
        }
        message_init(&m, type, round + 2);
        m.head.len_bytes = (uint32_t)len;
        rig_send(&p, &m); /* fails when the mapper dropped a peer whose heads are right */
        while (rig_readable(&p, 0)) {
            assert_true(rig_receive(&p, &m, NULL) > 0);
        }
    }
    rig_leave(&p);
}

static void wrong_sizes_of_every_type(void **state)
{
    (void)state;
    for (uint16_t type = MESSAGE_HELLO; type <= MESSAGE_IMAGE; type++) {
        for (int more = -8; more <= 8; more += 4) {
            struct rig_peer p;
            union message m = rig_message(type);
            size_t len = message_size(type) + (size_t)more;

            if (more == 0 || (more < 0 && len < sizeof(m.head))) {
                continue;
            }
            rig_join(&rig, &p);
            m.head.len_bytes = (uint32_t)len;
            send_raw(&p, &m, len, NULL, 0);
            expect_failure(&p, ERROR_INVALID_ARGUMENT);
            rig_leave(&p);
        }
    }
}

static void another_version_is_told_both(void **state)
{
    struct rig_peer p;
    union message m = rig_hello_message();

    (void)state;
    m.head.version = MESSAGE_VERSION + 6;
    rig_connect(&rig, &p);
    rig_send(&p, &m);
    assert_true(rig_receive(&p, &m, NULL) > 0);
    assert_int_equal(m.head.type, MESSAGE_FAILED);
    assert_int_equal(m.failed.failure.code, ERROR_FAILED_PRECONDITION);
    assert_non_null(strstr(m.failed.failure.message, "version 10"));
    assert_non_null(strstr(m.failed.failure.message, "version 4"));
    assert_closed(&p);
    rig_leave(&p);
}

static void hello_comes_first_and_once(void **state)
{
    struct rig_peer p;
    union message m = rig_message(MESSAGE_HOST);

    (void)state;
    rig_connect(&rig, &p);
    rig_send(&p, &m);
    expect_failure(&p, ERROR_FAILED_PRECONDITION);
    assert_closed(&p);
    rig_leave(&p);
    rig_join(&rig, &p);
    m = rig_hello_message();
    rig_send(&p, &m);
    expect_failure(&p, ERROR_FAILED_PRECONDITION);
    m = rig_message(MESSAGE_HOST);
    rig_send(&p, &m);
    assert_true(rig_receive(&p, &m, NULL) > 0);
    assert_int_equal(m.head.type, MESSAGE_HOST | MESSAGE_ANSWER);
    rig_leave(&p);
}

static void a_second_peer_is_told_that_there_is_one(void **state)
{
    struct rig_peer first, second;
    union message m = rig_hello_message();

    (void)state;
    rig_join(&rig, &first);
    m.head.serial = 77;
    rig_connect(&rig, &second);
    rig_send(&second, &m);
    assert_true(rig_receive(&second, &m, NULL) > 0);
    assert_int_equal(m.head.serial, 77);
    assert_int_equal(m.failed.failure.code, ERROR_UNAVAILABLE);
    assert_closed(&second);
    rig_leave(&second);
    rig_domain(&first, "open"); /* who was served still is */
    rig_leave(&first);
}

static void silent_connections_keep_nobody_out(void **state)
{
    struct rig_peer silent[40];

    (void)state;
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 40; i++) {
            silent[i].channel.fd = -1;
            silent[i].arena = NULL;
            (void)channel_connect(rig.socket, &silent[i].channel, NULL); /* or it is full */
        }
        for (int i = 0; i < 40; i++) {
            rig_leave(&silent[i]);
        }
        serves_well();
    }
}

static void a_stranger_is_refused(void **state)
{
    (void)state;
    if (getuid() != 0) {
        skip();
    }
    fflush(NULL);
    pid_t pid = fork();

    if (pid == 0) {
        struct rig_peer p = { .channel.fd = -1 };
        union message m = rig_hello_message();
        int fds[CHANNEL_FDS_MAX];
        size_t fd_count = 0;

        if (setresuid(NOBODY, NOBODY, NOBODY) != 0 ||
            channel_connect(rig.socket, &p.channel, NULL) < 0 ||
            channel_send(&p.channel, &m, m.head.len_bytes, NULL, 0, NULL) < 0 ||
            !rig_readable(&p, RIG_LIMIT_MS) ||
            channel_receive(&p.channel, &m, sizeof(m), fds, &fd_count, NULL) <= 0) {
            _exit(2);
        }
        bool refused = m.head.type == MESSAGE_FAILED && fd_count == 0 &&
                       m.failed.failure.code == ERROR_PERMISSION_DENIED;

        _exit(refused ? 0 : 3);
    }
    int status = 0;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void descriptors_end_the_connection_and_do_not_stay(void **state)
{
    (void)state;
    for (int count = 1; count <= CHANNEL_FDS_MAX; count++) {
        struct rig_peer p;
        union message m = rig_message(MESSAGE_HOST);
        int fds[CHANNEL_FDS_MAX] = { 0, 0, 0, 0 };

        rig_join(&rig, &p);
        send_raw(&p, &m, m.head.len_bytes, fds, (size_t)count);
        assert_closed(&p);
        rig_leave(&p);
        m = rig_hello_message();
        rig_connect(&rig, &p);
        send_raw(&p, &m, m.head.len_bytes, fds, (size_t)count);
        expect_failure(&p, ERROR_INVALID_ARGUMENT);
        assert_closed(&p);
        rig_leave(&p);
    }
}

/* Whoever closes it last waits a minute, unless something ends the wait. */
static int lingering_socket(int *other_side)
{
    static const char bytes[65536];
    const struct linger minute = { .l_onoff = 1, .l_linger = 60 };
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(address);
    int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(listening, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(listening, 1), 0);
    assert_int_equal(getsockname(listening, (struct sockaddr *)&address, &len), 0);
    *other_side = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(*other_side, (struct sockaddr *)&address, len), 0);
    int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    close(listening);
    while (write(fd, bytes, sizeof(bytes)) > 0) {
    }
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &minute, sizeof(minute)), 0);
    return fd;
}

/* As a request, behind one that ends the connection, and before the hello. */
static void descriptors_that_take_long_to_close_hold_up_nothing(void **state)
{
    (void)state;
    uint64_t began_ns = clock_monotonic_ns();

    for (int when = 0; when < 3; when++) {
        struct rig_peer p;
        union message m = rig_message(MESSAGE_HOST);
        int other_side;
        int fd = lingering_socket(&other_side);

        if (when < 2) {
            rig_join(&rig, &p);
        } else {
            m = rig_hello_message();
            rig_connect(&rig, &p);
        }
        kill(rig.pid, SIGSTOP); /* so that all of it waits there, and the last reference with it */
        if (when == 1) {
            assert_true(send_raw(&p, "nonsense", 8, NULL, 0));
        }
        assert_true(send_raw(&p, &m, m.head.len_bytes, &fd, 1));
        close(fd);
        rig_leave(&p);
        kill(rig.pid, SIGCONT);
        rig_join(&rig, &p); /* it is there for others */
        rig_leave(&p);
        close(other_side);
    }
    assert_true(clock_monotonic_ns() - began_ns < 15 * CLOCK_NS_PER_S);
}

static void slots_of_others_and_of_nobody_are_not_freed(void **state)
{
    struct rig_peer p;
    union message m, a;

    (void)state;
    rig_join(&rig, &p);
    struct domain_identity d = rig_domain(&p, "open");

    m = rig_snapshot_message(&d, RESOURCE_GRANT_TABLE, 0, 0, 4);
    assert_true(rig_call(&p, &m, &a));
    struct message_slot mine = a.snapshot_answer.slot;

    for (uint32_t i = 0; i < 300; i++) {
        m = rig_message(MESSAGE_RELEASE);
        m.release.slot_count = MESSAGE_RELEASES_MAX;
        for (uint32_t k = 0; k < MESSAGE_RELEASES_MAX; k++) {
            m.release.slots[k].index = k % 2 ? mine.index : i * 32 + k;
            m.release.slots[k].generation = k % 2 ? mine.generation + 1 + k : i;
        }
        rig_send(&p, &m);
    }
    rig_release(&p, &mine);
    rig_release(&p, &mine);
    for (int i = 0; i < 64; i++) { /* all of the arena: one slot too few, and this fails */
        m = rig_snapshot_message(&d, RESOURCE_GRANT_TABLE, 0, 0, 4);
        assert_true(rig_call(&p, &m, &a));
    }
    m = rig_snapshot_message(&d, RESOURCE_GRANT_TABLE, 0, 0, 1);
    assert_false(rig_call(&p, &m, &a));
    assert_int_equal(a.failed.failure.code, ERROR_RESOURCE_EXHAUSTED);
    m = rig_message(MESSAGE_RELEASE);
    m.release.slot_count = MESSAGE_RELEASES_MAX + 1;
    rig_send(&p, &m);
    expect_failure(&p, ERROR_INVALID_ARGUMENT);
    rig_leave(&p);
}

static void nothing_outside_the_export_list_comes_out(void **state)
{
    struct rig_peer p;
    union message m, a;
    struct message_domain found;

    (void)state;
    rig_join(&rig, &p);
    struct domain_identity open = rig_domain(&p, "open");

    assert_false(rig_find(&p, "closed", &found));
    m = rig_message(MESSAGE_COUNTERS); /* nor that it is there */
    assert_true(rig_call(&p, &m, &a));
    assert_int_equal(a.counters_answer.domains, 1);
    m = rig_snapshot_message(&open, RESOURCE_IOREQ_SERVER, 0, 1, 1);
    assert_false(rig_call(&p, &m, &a));
    assert_int_equal(a.failed.failure.code, ERROR_PERMISSION_DENIED);
    m = rig_message(MESSAGE_VCPU_STATS);
    m.vcpu_stats.domain = open;
    assert_false(rig_call(&p, &m, &a));
    assert_int_equal(a.failed.failure.code, ERROR_PERMISSION_DENIED);
    m = rig_message(MESSAGE_DESCRIBE);
    m.describe.domain = open;
    assert_true(rig_call(&p, &m, &a));
    for (uint32_t i = 0; i < a.describe_answer.resource_count; i++) {
        assert_int_equal(a.describe_answer.resources[i].type, RESOURCE_GRANT_TABLE);
    }
    /* Under the name of the one that is exported, with the number of the one that is not: found out,
     * and told nothing of who that is. */
    struct domain_identity mixed = open;

    mixed.domid = 2;
    m = rig_snapshot_message(&mixed, RESOURCE_GRANT_TABLE, 0, 0, 1);
    assert_false(rig_call(&p, &m, &a));
    assert_int_equal(a.failed.failure.code, ERROR_ABORTED);
    assert_null(strstr(a.failed.failure.message, "closed"));
    /* By its own name, guessed right: not exported, whether it is there or not. */
    snprintf(mixed.name, sizeof(mixed.name), "closed");
    memset(mixed.uuid, 0x22, sizeof(mixed.uuid));
    m = rig_snapshot_message(&mixed, RESOURCE_GRANT_TABLE, 0, 0, 1);
    assert_false(rig_call(&p, &m, &a));
    assert_int_equal(a.failed.failure.code, ERROR_PERMISSION_DENIED);
    rig_leave(&p);
}

/* Sends until the socket is full, and reads nothing. */
static void one_that_does_not_read_blocks_nobody_but_itself(void **state)
{
    struct rig_peer p;
    union message m = rig_message(MESSAGE_HOST);
    int sent = 0;

    (void)state;
    rig_join(&rig, &p);
    while (sent < 100000 && send_raw(&p, &m, m.head.len_bytes, NULL, 0)) {
        sent++;
    }
    assert_true(sent > 0);
    struct rig_peer second;
    union message hello = rig_hello_message();

    rig_connect(&rig, &second); /* the loop still turns */
    rig_send(&second, &hello);
    expect_failure(&second, ERROR_UNAVAILABLE);
    rig_leave(&second);
    rig_leave(&p);
}

static void a_flood_of_snapshots_stays_within_the_limits(void **state)
{
    struct rig_peer p;
    union message m, a;
    int asked = 0, answered = 0;

    (void)state;
    rig_join(&rig, &p);
    struct domain_identity d = rig_domain(&p, "open");

    while (asked < 20000) {
        m = rig_snapshot_message(&d, RESOURCE_GRANT_TABLE, 0, 0, 4);
        m.head.serial = (uint64_t)(1000 + asked);
        if (send_raw(&p, &m, m.head.len_bytes, NULL, 0)) {
            asked++;
        } else if (!rig_readable(&p, RIG_LIMIT_MS)) {
            fail_msg("neither takes nor answers");
        }
        while (rig_readable(&p, 0)) {
            assert_true(rig_receive(&p, &a, NULL) > 0);
            answered += a.head.serial >= 1000;
        }
    }
    while (answered < asked) {
        assert_true(rig_receive(&p, &a, NULL) > 0);
        answered += a.head.serial >= 1000;
    }
    assert_int_equal(answered, asked); /* each exactly once */
    rig_leave(&p);
}

static void peers_that_come_and_go_leave_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < 300; i++) {
        struct rig_peer p;
        union message m;

        rig_join(&rig, &p);
        struct domain_identity d = rig_domain(&p, "open");

        m = rig_snapshot_message(&d, RESOURCE_GRANT_TABLE, 0, 0, 4);
        rig_send(&p, &m);
        rig_leave(&p); /* without waiting, holding a slot */
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(garbage_instead_of_hello),
        TEST(garbage_after_hello),
        TEST(random_bodies_of_every_type),
        TEST(wrong_sizes_of_every_type),
        TEST(another_version_is_told_both),
        TEST(hello_comes_first_and_once),
        TEST(a_second_peer_is_told_that_there_is_one),
        TEST(silent_connections_keep_nobody_out),
        TEST(a_stranger_is_refused),
        TEST(descriptors_end_the_connection_and_do_not_stay),
        TEST(descriptors_that_take_long_to_close_hold_up_nothing),
        TEST(slots_of_others_and_of_nobody_are_not_freed),
        TEST(nothing_outside_the_export_list_comes_out),
        TEST(one_that_does_not_read_blocks_nobody_but_itself),
        TEST(a_flood_of_snapshots_stays_within_the_limits),
        TEST(peers_that_come_and_go_leave_nothing),
    };

    return UNIT_RUN(tests);
}
