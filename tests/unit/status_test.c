/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* What the service manager is told to show. */
#include "server/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/lib/folder.h"
#include "tests/lib/unit.h"

struct manager {
    struct folder folder;
    int fd;
    char heard[2 * STATUS_MAX_BYTES];
};

static void manager_init(struct manager *m)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    m->folder = folder_make();
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", folder_path(&m->folder, "s"));
    m->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(m->fd >= 0);
    assert_int_equal(bind(m->fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(setenv("NOTIFY_SOCKET", address.sun_path, 1), 0);
}

static void manager_done(struct manager *m)
{
    assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
    assert_int_equal(close(m->fd), 0);
    folder_done(&m->folder);
}

/* "": nothing. */
static const char *hear(struct manager *m)
{
    ssize_t n = recv(m->fd, m->heard, sizeof(m->heard) - 1, 0);

    m->heard[n > 0 ? n : 0] = '\0';
    return m->heard;
}

static void it_is_one_line_whatever_is_in_it(void **state)
{
    struct manager m;

    (void)state;
    manager_init(&m);
    status_tell(false, "serving %d", 7);
    assert_string_equal(hear(&m), "STATUS=serving 7");
    status_tell(true, "serving");
    assert_string_equal(hear(&m), "READY=1\nSTATUS=serving");
    status_tell(false, "a\x1b[0m\xff é\nSTOPPING=1");
    assert_string_equal(hear(&m), "STATUS=a?[0m? é");
    manager_done(&m);
}

static void it_has_a_maximum_between_characters(void **state)
{
    char text[STATUS_MAX_BYTES + 2];
    struct manager m;

    (void)state;
    manager_init(&m);
    memset(text, 'x', sizeof(text));
    text[STATUS_MAX_BYTES] = '\0';
    status_tell(false, "%s", text);
    assert_int_equal(strlen(hear(&m)), strlen("STATUS=") + STATUS_MAX_BYTES);
    text[STATUS_MAX_BYTES] = 'x';
    text[STATUS_MAX_BYTES + 1] = '\0';
    status_tell(false, "%s", text);
    assert_int_equal(strlen(hear(&m)), strlen("STATUS=") + STATUS_MAX_BYTES);
    memcpy(text + STATUS_MAX_BYTES - 1, "é", 2);
    status_pass_on("STATUS=");
    assert_string_equal(hear(&m), "STATUS=");
    status_tell(false, "%s", text);
    assert_true(strlen(hear(&m)) <= strlen("STATUS=") + STATUS_MAX_BYTES);
    assert_null(strchr(m.heard, '\xc3'));
    manager_done(&m);
}

static void nothing_but_a_status_is_passed_on(void **state)
{
    struct manager m;

    (void)state;
    manager_init(&m);
    status_pass_on("READY=1\nSTATUS=serving\nMAINPID=1");
    assert_string_equal(hear(&m), "STATUS=serving");
    status_pass_on("STATUS=first\nSTATUS=second");
    assert_string_equal(hear(&m), "STATUS=first");
    assert_string_equal(hear(&m), "");
    status_pass_on("MAINPID=1\nWATCHDOG=trigger\n");
    status_pass_on("XSTATUS=no");
    status_pass_on("");
    assert_string_equal(hear(&m), "");
    manager_done(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_one_line_whatever_is_in_it),
        cmocka_unit_test(it_has_a_maximum_between_characters),
        cmocka_unit_test(nothing_but_a_status_is_passed_on),
    };

    return UNIT_RUN(tests);
}
