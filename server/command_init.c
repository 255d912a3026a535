/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "server/command_init.h"

#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "server/command.h"
#include "server/init.h"

enum option_id { OPTION_DIR = 256, OPTION_NAME, OPTION_ADMIN, OPTION_USER, OPTION_STATE };

static const struct option long_options[] = {
    { "dir", required_argument, NULL, OPTION_DIR },
    { "name", required_argument, NULL, OPTION_NAME },
    { "admin", required_argument, NULL, OPTION_ADMIN },
    { "user", required_argument, NULL, OPTION_USER },
    { "state", required_argument, NULL, OPTION_STATE },
    { NULL, 0, NULL, 0 },
};

static int usage(const char *what)
{
    fprintf(stderr, "xenresd init: %s\nxenresd init: see xenresd --help\n", what);
    return COMMAND_STATUS_USAGE;
}

/* What is wrong, or NULL. */
static const char *take_option(int id, struct init_options *o)
{
    switch (id) {
    case OPTION_DIR: o->dir = optarg; return NULL;
    case OPTION_ADMIN: o->admin = optarg; return NULL;
    case OPTION_USER: o->user = optarg; return NULL;
    case OPTION_STATE: o->state_dir = optarg; return NULL;
    case OPTION_NAME:
        if (o->name_count == INIT_NAMES_MAX) {
            return "there are more --name than a certificate gets";
        }
        o->names[o->name_count++] = optarg;
        return NULL;
    default: return "the option is wrong";
    }
}

/* The configuration says it from wherever it is read. */
static bool make_absolute(const char **path, char out[PATH_MAX])
{
    char here[PATH_MAX];
    size_t len = strlen(*path);

    while (len > 1 && (*path)[len - 1] == '/') {
        len--;
    }
    if ((*path)[0] == '/') {
        snprintf(out, PATH_MAX, "%.*s", (int)len, *path);
    } else if (getcwd(here, sizeof(here)) == NULL ||
               (size_t)snprintf(out, PATH_MAX, "%s/%.*s", here, (int)len, *path) >= PATH_MAX) {
        return false;
    }
    *path = out;
    return true;
}

static void tell(const struct init_options *o)
{
    const char *dir = o->dir;
    const char *host = o->name_count > 0 ? o->names[0] : "THIS-HOST";
    const char *open = strchr(host, ':') != NULL ? "[" : "", *close = open[0] != '\0' ? "]" : "";

    printf(
        "made in %s:\n"
        "    xenresd.conf               what the gateway does; all options with their meaning\n"
        "    policy.conf                who may do what: cn:%s all but to start traces\n"
        "    export                     what may ever leave this host: all but domain 0's, and no\n"
        "                               trace is started\n"
        "    deny                       who is kept out: nobody so far\n"
        "    server.crt, server.key     of the server, for %d days; the key is %s's alone\n"
        "    clients.crt                the authority that clients' certificates come from\n"
        "    ca/ca.crt, ca/ca.key       that authority: who has its key is anybody. Take it off "
        "this\n"
        "                               host, to where certificates are made\n"
        "    ca/%s.crt, ca/%s.key   of the administrator, for %d days: move them, with ca.crt,\n"
        "                               to where the clients are\n"
        "\n",
        dir, o->admin, INIT_LEAF_DAYS, geteuid() == 0 ? o->user : "this user", o->admin, o->admin,
        INIT_LEAF_DAYS);
    printf("next:\n"
           "    1. xenresd --check --config %s/xenresd.conf\n"
           "    2. systemctl enable --now xenresd-mapper xenresd; "
           "xenresd doctor --config %s/xenresd.conf\n"
           "    3. on a client: export XENRES_SERVER='https://%s%s%s:8443'\n"
           "                    export XENRES_CACERT=ca.crt XENRES_CERT=%s.crt XENRES_KEY=%s.key\n"
           "                    xenres host\n",
           dir, dir, open, host, close, o->admin, o->admin);
}

int command_init(int argc, char **argv)
{
    struct init_options o = { .admin = "admin",
                              .user = "xenresd",
                              .state_dir = "/var/lib/xenresd" };
    char dir[PATH_MAX], state_dir[PATH_MAX];
    struct failure f = { 0 };
    int id;

    while ((id = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        const char *wrong = take_option(id, &o);

        if (wrong != NULL) {
            return usage(wrong);
        }
    }
    if (optind < argc) {
        return usage("there is an argument too many");
    }
    if (o.dir == NULL) {
        return usage("expected --dir DIR, as /etc/xenresd");
    }
    if (!make_absolute(&o.dir, dir) || !make_absolute(&o.state_dir, state_dir)) {
        return usage("the path is too long");
    }
    if (init_make(&o, &f) < 0) {
        log_failure(LOG_LEVEL_ERROR, "init", &f);
        return error_exit_status(f.code);
    }
    tell(&o);
    return fflush(stdout) == 0 ? 0 : COMMAND_STATUS_FAILED;
}
