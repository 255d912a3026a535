/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/cli/preflight.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"

#define WRITE(field, ...) (void)snprintf(field, sizeof(field), __VA_ARGS__)

static const char http[] = "http://";

static bool refuse(xenres_error *error)
{
    error->code = XENRES_INVALID_ARGUMENT;
    return false;
}

static bool check_server(const char *server, xenres_error *error)
{
    if (server == NULL || server[0] == '\0') {
        WRITE(error->message, "which gateway is to be asked? None is named");
        WRITE(error->next_step, "set XENRES_SERVER=https://HOST[:PORT], or give --server");
        return refuse(error);
    }
    if (strchr(server, '@') != NULL) {
        return true; /* maybe a password, which no message repeats */
    }
    if (strncasecmp(server, http, sizeof(http) - 1) == 0) {
        WRITE(error->message, "a gateway is never asked without TLS: %.160s", server);
        WRITE(error->next_step, "give it as https://%.160s", server + sizeof(http) - 1);
        return refuse(error);
    }
    if (strstr(server, "://") == NULL) {
        WRITE(error->message, "this is no URL: %.160s", server);
        WRITE(error->next_step, "give it as https://%.160s", server);
        return refuse(error);
    }
    return true;
}

/* Looked at, not opened: it may be a pipe. */
static bool check_file(const char *path, const char *what, const char *variable, const char *option,
                       xenres_error *error)
{
    struct stat there;

    if (path == NULL || path[0] == '\0') {
        return true;
    }
    int failed = stat(path, &there) != 0 || access(path, R_OK) != 0 ? errno : 0;

    failed = failed == 0 && S_ISDIR(there.st_mode) ? EISDIR : failed;
    if (failed == 0) {
        return true;
    }
    WRITE(error->message, "cannot read %s: %.160s", what, path);
    WRITE(error->cause, "%s: %s", error_errno_name(failed), strerror(failed));
    WRITE(error->next_step,
          failed == EACCES ? "make %s or %s name a file that you may read"
                           : "make %s or %s name the file where it is",
          variable, option);
    return refuse(error);
}

bool preflight_check(const xenres_options *o, xenres_error *error)
{
    *error = (xenres_error){ 0 };
    return check_server(o->server, error) &&
           check_file(o->ca_file, "the CA certificates to check the gateway's with",
                      "XENRES_CACERT", "--cacert", error) &&
           check_file(o->cert_file, "our certificate", "XENRES_CERT", "--cert", error) &&
           check_file(o->key_file, "our certificate's key", "XENRES_KEY", "--key", error) &&
           check_file(o->token_file, "the bearer token", "XENRES_TOKEN_FILE", "--token-file",
                      error);
}
