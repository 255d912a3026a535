/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/papers.h"

#include <string.h>
#include <sys/stat.h>

static struct paper look(const char *path)
{
    struct stat st;

    if (path == NULL || stat(path, &st) != 0) {
        return (struct paper){ 0 };
    }
    return (struct paper){ .device = st.st_dev,
                           .inode = st.st_ino,
                           .size_bytes = st.st_size,
                           .modified_s = st.st_mtim.tv_sec,
                           .modified_ns = st.st_mtim.tv_nsec,
                           .changed_s = st.st_ctim.tv_sec,
                           .changed_ns = st.st_ctim.tv_nsec };
}

void papers_note(struct papers *p, const xenres *handle)
{
    *p = (struct papers){ { look(handle->cert_file), look(handle->key_file),
                            look(handle->token_file) } };
}

bool papers_changed(const struct papers *p, const xenres *handle)
{
    struct papers now;

    papers_note(&now, handle);
    return memcmp(&now, p, sizeof(now)) != 0;
}
