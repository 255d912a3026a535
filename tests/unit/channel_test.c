/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "common/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/scope.h"
#include "tests/lib/descriptors.h"
#include "tests/lib/unit.h"

enum { MESSAGE_BYTES = 64, MANY_FDS = 32 };

/* A directory of its own, a socket path in it, and a connected pair. */
struct fixture {
    char directory[72];
    char path[80];
    struct channel near, far;
    size_t open_before;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    int ends[2];

    fixture = (struct fixture){ .open_before = descriptors_open() };
    const char *base = getenv("TMPDIR");

    (void)snprintf(fixture.directory, sizeof(fixture.directory), "%s/channel_test.XXXXXX",
                   base != NULL ? base : "/tmp");
    if (mkdtemp(fixture.directory) == NULL) {
        return -1;
    }
    (void)snprintf(fixture.path, sizeof(fixture.path), "%s/socket", fixture.directory);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
        return -1;
    }
    fixture.near.fd = ends[0];
    fixture.far.fd = ends[1];
    *state = &fixture;
    return 0;
}

/* Every test is a test for leaks as well. */
static int tear_down(void **state)
{
    struct fixture *t = *state;

    channel_close(&t->near);
    channel_close(&t->far);
    (void)unlink(t->path);
    if (rmdir(t->directory) != 0) {
        return -1;
    }
    return descriptors_open() == t->open_before ? 0 : -1;
}

/* Sends what channel_send() refuses to: a hostile peer's message. */
static void send_raw(int fd, const void *bytes, size_t len_bytes, size_t fd_count)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(MANY_FDS * sizeof(int))];
    } control = { .bytes = { 0 } };
    struct iovec part = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = len_bytes };
    struct msghdr head = { .msg_iov = &part, .msg_iovlen = 1 };

    assert_true(fd_count <= MANY_FDS);
    if (fd_count > 0) {
        head.msg_control = control.bytes;
        head.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        struct cmsghdr *rights = CMSG_FIRSTHDR(&head);

        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
        for (size_t i = 0; i < fd_count; i++) {
            int self = fd;

            memcpy(CMSG_DATA(rights) + i * sizeof(int), &self, sizeof(self));
        }
    }
    assert_int_equal(sendmsg(fd, &head, MSG_NOSIGNAL), (ssize_t)len_bytes);
}

static void messages_arrive_whole_and_one_by_one(void **state)
{
    struct fixture *t = *state;
    char room[MESSAGE_BYTES];
    int fds[CHANNEL_FDS_MAX];
    size_t fd_count = 9;

    assert_int_equal(channel_receive(&t->far, room, sizeof(room), fds, &fd_count, NULL), 0);
    assert_int_equal(fd_count, 9);
    assert_int_equal(channel_send(&t->near, "one", 3, NULL, 0, NULL), 0);
    assert_int_equal(channel_send(&t->near, "second", 6, NULL, 0, NULL), 0);
    assert_int_equal(channel_receive(&t->far, room, sizeof(room), fds, &fd_count, NULL), 3);
    assert_memory_equal(room, "one", 3);
    assert_int_equal(fd_count, 0);
    assert_int_equal(channel_receive(&t->far, room, sizeof(room), fds, &fd_count, NULL), 6);
    assert_memory_equal(room, "second", 6);
}

static void a_message_at_the_maximum_passes_and_one_beyond_is_lost_data(void **state)
{
    struct fixture *t = *state;
    char bytes[MESSAGE_BYTES + 1] = { 0 };
    char room[MESSAGE_BYTES];
    struct failure f;

    assert_int_equal(channel_send(&t->near, bytes, MESSAGE_BYTES, NULL, 0, NULL), 0);
    assert_int_equal(channel_send(&t->near, bytes, MESSAGE_BYTES + 1, NULL, 0, NULL), 0);
    assert_int_equal(channel_receive(&t->far, room, sizeof(room), NULL, NULL, &f), MESSAGE_BYTES);
    assert_int_equal(channel_receive(&t->far, room, sizeof(room), NULL, NULL, &f),
                     -ERROR_DATA_LOSS);
    assert_int_equal(f.code, ERROR_DATA_LOSS);
}

static void as_many_descriptors_as_there_is_room_for_arrive_close_on_exec(void **state)
{
    struct fixture *t = *state;
    char room[MESSAGE_BYTES];
    int fds[CHANNEL_FDS_MAX];
    int sent[CHANNEL_FDS_MAX];
    size_t fd_count = 0;

    for (size_t count = 1; count <= CHANNEL_FDS_MAX; count++) {
        for (size_t i = 0; i < count; i++) {
            sent[i] = STDERR_FILENO; /* is not close-on-exec here */
        }
        assert_int_equal(channel_send(&t->near, "x", 1, sent, count, NULL), 0);
        assert_int_equal(channel_receive(&t->far, room, sizeof(room), fds, &fd_count, NULL), 1);
        assert_int_equal(fd_count, count);
        for (size_t i = 0; i < count; i++) {
            assert_true(descriptor_is_cloexec(fds[i]));
            assert_int_equal(close(fds[i]), 0);
        }
    }
}

static void more_descriptors_than_that_are_refused_and_closed(void **state)
{
    struct fixture *t = *state;
    char room[MESSAGE_BYTES];
    int fds[CHANNEL_FDS_MAX];
    size_t fd_count = 9;

    for (size_t count = CHANNEL_FDS_MAX + 1; count <= MANY_FDS; count++) {
        size_t before = descriptors_open();

        send_raw(t->near.fd, "x", 1, count);
        assert_int_equal(channel_receive(&t->far, room, sizeof(room), fds, &fd_count, NULL),
                         -ERROR_DATA_LOSS);
        assert_int_equal(descriptors_open(), before);
    }
    assert_int_equal(fd_count, 9);
}

static void descriptors_that_nobody_expects_are_not_let_in(void **state)
{
    struct fixture *t = *state;
    char room[MESSAGE_BYTES];
    size_t before = descriptors_open();

    send_raw(t->near.fd, "x", 1, 1);
    assert_int_equal(channel_receive(&t->far, room, sizeof(room), NULL, NULL, NULL),
                     -ERROR_DATA_LOSS);
    assert_int_equal(descriptors_open(), before);
}

static void descriptors_of_a_cut_message_are_closed(void **state)
{
    struct fixture *t = *state;
    char bytes[MESSAGE_BYTES + 1] = { 0 };
    char room[MESSAGE_BYTES];
    int fds[CHANNEL_FDS_MAX];
    size_t fd_count = 0;
    size_t before = descriptors_open();

    send_raw(t->near.fd, bytes, sizeof(bytes), CHANNEL_FDS_MAX);
    assert_int_equal(channel_receive(&t->far, room, sizeof(room), fds, &fd_count, NULL),
                     -ERROR_DATA_LOSS);
    assert_int_equal(descriptors_open(), before);
}

static void an_empty_message_is_the_end_and_leaves_no_descriptor(void **state)
{
    struct fixture *t = *state;
    char room[MESSAGE_BYTES];
    int fds[CHANNEL_FDS_MAX];
    size_t fd_count = 0;
    size_t before = descriptors_open();

    send_raw(t->near.fd, "", 0, 2);
    assert_int_equal(channel_receive(&t->far, room, sizeof(room), fds, &fd_count, NULL),
                     -ERROR_UNAVAILABLE);
    assert_int_equal(descriptors_open(), before);
}

static void a_peer_that_is_gone_is_unavailable_both_ways(void **state)
{
    struct fixture *t = *state;
    char room[MESSAGE_BYTES];
    struct failure f;

    assert_int_equal(channel_send(&t->far, "last", 4, NULL, 0, NULL), 0);
    channel_close(&t->far);
    assert_int_equal(t->far.fd, -1);
    channel_close(&t->far); /* twice is fine */
    assert_int_equal(channel_receive(&t->near, room, sizeof(room), NULL, NULL, &f), 4);
    assert_int_equal(channel_receive(&t->near, room, sizeof(room), NULL, NULL, &f),
                     -ERROR_UNAVAILABLE);
    assert_int_equal(channel_send(&t->near, "x", 1, NULL, 0, &f), -ERROR_UNAVAILABLE);
    assert_int_equal(f.xen_errno, EPIPE);
}

static void a_peer_that_does_not_read_never_blocks_us(void **state)
{
    struct fixture *t = *state;
    char bytes[4096] = { 0 };
    char room[4096];
    int result = 0;
    int sent = 0;

    while (result == 0) {
        result = channel_send(&t->near, bytes, sizeof(bytes), NULL, 0, NULL);
        sent += result == 0;
        assert_true(sent < 100000);
    }
    assert_int_equal(result, -ERROR_RESOURCE_EXHAUSTED);
    assert_int_equal(channel_receive(&t->far, room, sizeof(room), NULL, NULL, NULL), 4096);
    assert_int_equal(channel_send(&t->near, bytes, sizeof(bytes), NULL, 0, NULL), 0);
}

static void sending_on_a_bad_descriptor_is_an_error(void **state)
{
    struct channel closed = { .fd = -1 };
    char room[8];

    (void)state;
    assert_int_equal(channel_send(&closed, "x", 1, NULL, 0, NULL), -ERROR_INTERNAL);
    assert_int_equal(channel_receive(&closed, room, sizeof(room), NULL, NULL, NULL),
                     -ERROR_INTERNAL);
}

static void a_peer_that_connects_is_known_by_uid_and_pid(void **state)
{
    struct fixture *t = *state;
    SCOPE_FD int listening = -1;
    __attribute__((cleanup(channel_close))) struct channel client = { .fd = -1 };
    __attribute__((cleanup(channel_close))) struct channel server = { .fd = -1 };
    uid_t uid = 0;
    pid_t pid = 0;
    char room[MESSAGE_BYTES];

    assert_int_equal(channel_listen(t->path, &listening, NULL), 0);
    assert_true(descriptor_is_cloexec(listening));
    assert_int_equal(channel_accept(listening, &server, &uid, &pid, NULL), -ERROR_UNAVAILABLE);
    assert_int_equal(server.fd, -1);
    assert_int_equal(channel_connect(t->path, &client, NULL), 0);
    assert_int_equal(channel_accept(listening, &server, &uid, &pid, NULL), 0);
    assert_int_equal(uid, getuid());
    assert_int_equal(pid, getpid());
    assert_true(descriptor_is_cloexec(client.fd) && descriptor_is_cloexec(server.fd));
    assert_int_equal(channel_send(&client, "x", 1, NULL, 0, NULL), 0);
    assert_int_equal(channel_receive(&server, room, sizeof(room), NULL, NULL, NULL), 1);
}

static void the_socket_is_for_user_and_group_whatever_the_umask(void **state)
{
    struct fixture *t = *state;
    static const mode_t masks[] = { 0, 022, 077, 0777 };

    for (size_t i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
        SCOPE_FD int listening = -1;
        struct stat st;
        mode_t before = umask(masks[i]);
        int result = channel_listen(t->path, &listening, NULL);

        (void)umask(before);
        assert_int_equal(result, 0);
        assert_int_equal(stat(t->path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0660);
    }
}

static void a_stale_socket_is_replaced(void **state)
{
    struct fixture *t = *state;

    for (int round = 0; round < 3; round++) {
        SCOPE_FD int listening = -1; /* closed without unlink, as a killed program leaves it */

        assert_int_equal(channel_listen(t->path, &listening, NULL), 0);
    }
}

static void a_socket_in_use_is_refused_and_stays(void **state)
{
    struct fixture *t = *state;
    SCOPE_FD int listening = -1;
    int second = -7;
    struct failure f;
    __attribute__((cleanup(channel_close))) struct channel client = { .fd = -1 };

    assert_int_equal(channel_listen(t->path, &listening, NULL), 0);
    for (int i = 0; i < 20; i++) { /* beyond the backlog, too: a full one is in use */
        assert_int_equal(channel_listen(t->path, &second, &f), -ERROR_ALREADY_EXISTS);
    }
    assert_int_equal(second, -7);
    struct channel server = { .fd = -1 };
    uid_t uid;
    pid_t pid;

    while (channel_accept(listening, &server, &uid, &pid, NULL) == 0) {
        channel_close(&server); /* the probes */
    }
    assert_int_equal(channel_connect(t->path, &client, NULL), 0);
}

static void a_socket_of_another_type_is_refused_and_stays(void **state)
{
    struct fixture *t = *state;
    SCOPE_FD int stream = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int listening = -1;
    struct stat st;

    strcpy(address.sun_path, t->path);
    assert_int_equal(bind(stream, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(stream, 1), 0);
    assert_int_equal(channel_listen(t->path, &listening, NULL), -ERROR_ALREADY_EXISTS);
    assert_int_equal(stat(t->path, &st), 0);
}

static void what_is_no_socket_is_refused_and_stays(void **state)
{
    struct fixture *t = *state;
    int listening = -1;
    struct stat st;
    SCOPE_FD int file = open(t->path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

    assert_true(file >= 0);
    assert_int_equal(channel_listen(t->path, &listening, NULL), -ERROR_ALREADY_EXISTS);
    assert_int_equal(stat(t->path, &st), 0);
    assert_int_equal(unlink(t->path), 0);

    assert_int_equal(symlink("nowhere", t->path), 0);
    assert_int_equal(channel_listen(t->path, &listening, NULL), -ERROR_ALREADY_EXISTS);
    assert_int_equal(lstat(t->path, &st), 0);
    assert_int_equal(listening, -1);
}

/* It is judged itself: somebody put it there, and it is no socket of ours. */
static void a_link_to_a_stale_socket_is_refused_and_stays(void **state)
{
    struct fixture *t = *state;
    char link_path[128];
    int second = -1;
    struct stat st;

    {
        SCOPE_FD int listening = -1;

        assert_int_equal(channel_listen(t->path, &listening, NULL), 0);
    }
    (void)snprintf(link_path, sizeof(link_path), "%s/link", t->directory);
    assert_int_equal(symlink(t->path, link_path), 0);
    int result = channel_listen(link_path, &second, NULL);

    assert_int_equal(lstat(link_path, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(unlink(link_path), 0);
    assert_int_equal(result, -ERROR_ALREADY_EXISTS);
    assert_int_equal(second, -1);
}

static void two_that_begin_at_once_are_not_both_served(void **state)
{
    struct fixture *t = *state;
    SCOPE_FD int held = open(t->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int listening = -1;

    assert_int_equal(flock(held, LOCK_EX), 0);
    assert_int_equal(channel_listen(t->path, &listening, NULL), -ERROR_UNAVAILABLE);
}

static void a_path_at_the_maximum_works_and_one_beyond_is_refused(void **state)
{
    struct fixture *t = *state;
    char path[sizeof(((struct sockaddr_un *)NULL)->sun_path) + 1];
    SCOPE_FD int listening = -1;
    struct channel client = { .fd = -1 };
    struct failure f;
    size_t len = strlen(t->directory);

    memset(path, 'a', sizeof(path));
    memcpy(path, t->directory, len);
    path[len] = '/';
    path[sizeof(path) - 1] = '\0';
    assert_int_equal(channel_listen(path, &listening, &f), -ERROR_INVALID_ARGUMENT);
    assert_int_equal(channel_connect(path, &client, &f), -ERROR_INVALID_ARGUMENT);
    assert_int_equal(channel_connect("", &client, &f), -ERROR_INVALID_ARGUMENT);
    path[sizeof(path) - 2] = '\0';
    assert_int_equal(channel_listen(path, &listening, &f), 0);
    assert_int_equal(unlink(path), 0);
}

static void connecting_to_nobody_is_unavailable(void **state)
{
    struct fixture *t = *state;
    struct channel client = { .fd = -1 };
    struct failure f;

    assert_int_equal(channel_connect(t->path, &client, &f), -ERROR_UNAVAILABLE);
    assert_int_equal(f.xen_errno, ENOENT);
    {
        SCOPE_FD int listening = -1;

        assert_int_equal(channel_listen(t->path, &listening, NULL), 0);
    }
    assert_int_equal(channel_connect(t->path, &client, &f), -ERROR_UNAVAILABLE);
    assert_int_equal(f.xen_errno, ECONNREFUSED);
    assert_int_equal(client.fd, -1);
    assert_int_equal(channel_listen("/nonexistent/socket", &client.fd, &f),
                     -ERROR_FAILED_PRECONDITION);
}

#define CHANNEL_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        CHANNEL_TEST(messages_arrive_whole_and_one_by_one),
        CHANNEL_TEST(a_message_at_the_maximum_passes_and_one_beyond_is_lost_data),
        CHANNEL_TEST(as_many_descriptors_as_there_is_room_for_arrive_close_on_exec),
        CHANNEL_TEST(more_descriptors_than_that_are_refused_and_closed),
        CHANNEL_TEST(descriptors_that_nobody_expects_are_not_let_in),
        CHANNEL_TEST(descriptors_of_a_cut_message_are_closed),
        CHANNEL_TEST(an_empty_message_is_the_end_and_leaves_no_descriptor),
        CHANNEL_TEST(a_peer_that_is_gone_is_unavailable_both_ways),
        CHANNEL_TEST(a_peer_that_does_not_read_never_blocks_us),
        CHANNEL_TEST(sending_on_a_bad_descriptor_is_an_error),
        CHANNEL_TEST(a_peer_that_connects_is_known_by_uid_and_pid),
        CHANNEL_TEST(the_socket_is_for_user_and_group_whatever_the_umask),
        CHANNEL_TEST(a_stale_socket_is_replaced),
        CHANNEL_TEST(a_socket_in_use_is_refused_and_stays),
        CHANNEL_TEST(a_socket_of_another_type_is_refused_and_stays),
        CHANNEL_TEST(what_is_no_socket_is_refused_and_stays),
        CHANNEL_TEST(a_link_to_a_stale_socket_is_refused_and_stays),
        CHANNEL_TEST(two_that_begin_at_once_are_not_both_served),
        CHANNEL_TEST(a_path_at_the_maximum_works_and_one_beyond_is_refused),
        CHANNEL_TEST(connecting_to_nobody_is_unavailable),
    };

    return UNIT_RUN(tests);
}
