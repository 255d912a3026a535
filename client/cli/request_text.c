/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/cli/request_text.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/report.h"
#include "common/scope.h"

static int read_all(int fd, const char *shown, struct buffer *out)
{
    char piece[16384];

    while (out->len_bytes <= REQUEST_TEXT_MAX_BYTES) {
        size_t room = REQUEST_TEXT_MAX_BYTES + 1 - out->len_bytes;
        ssize_t count = read(fd, piece, room < sizeof(piece) ? room : sizeof(piece));

        if (count == 0) {
            return 0;
        }
        if (count > 0) {
            buffer_append(out, piece, (size_t)count);
        } else if (errno != EINTR) {
            return report_local("cannot read", shown, errno, NULL);
        }
        if (out->failed) {
            return report_no_memory();
        }
    }
    return 0;
}

int request_text_read(const char *operand, struct buffer *out)
{
    SCOPE_FD int fd = -1;

    if (operand == NULL) {
        operand = "{}";
    }
    if (strcmp(operand, "-") == 0) {
        return read_all(STDIN_FILENO, "standard input", out);
    }
    if (operand[0] != '@') {
        size_t len = strlen(operand);

        buffer_append(out, operand,
                      len <= REQUEST_TEXT_MAX_BYTES ? len : REQUEST_TEXT_MAX_BYTES + 1);
        return out->failed ? report_no_memory() : 0;
    }
    fd = open(operand + 1, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    return fd >= 0 ? read_all(fd, operand + 1, out)
                   : report_local("cannot read", operand + 1, errno, NULL);
}
