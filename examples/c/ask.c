/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* ask [DOMAIN]: asks a gateway with libxenres. libxenres(3) is the overview, <xenres.h> the rest. */
#include <stdio.h>
#include <xenres.h>

static const char *const availabilities[] = { "unspecified", "available", "unavailable",
                                              "on_request" };

static int ask_host(xenres *gateway, xenres_error *error)
{
    xenres_reply *reply;
    const xenres_host *host;
    int result = xenres_get_host(gateway, &reply, &host, error);

    if (result == 0) {
        printf("host %s: Xen %s\n", host->hostname, host->xen_version);
        xenres_reply_free(reply);
    }
    return result;
}

static int ask_domains(xenres *gateway, xenres_error *error)
{
    const uint32_t states[] = { XENRES_DOMAIN_PAUSED };
    xenres_domain_query query = XENRES_DOMAIN_QUERY_INIT;
    xenres_reply *reply;
    const xenres_domain_list *list;

    query.name_glob = "*s*";
    query.states = states;
    query.state_count = 1;
    int result = xenres_list_domains(gateway, &query, &reply, &list, error);

    if (result != 0) {
        return result;
    }
    for (size_t i = 0; i < list->domain_count; i++) {
        printf("domain %u: %s\n", list->domains[i].identity.domid, list->domains[i].identity.name);
    }
    xenres_reply_free(reply);
    return 0;
}

static int ask_resources(xenres *gateway, const char *domain, xenres_error *error)
{
    xenres_resource_query query = XENRES_RESOURCE_QUERY_INIT(domain);
    xenres_reply *reply;
    const xenres_resource_list *list;

    query.type = XENRES_GRANT_TABLE;
    int result = xenres_list_resources(gateway, &query, &reply, &list, error);

    if (result != 0) {
        return result;
    }
    for (size_t i = 0; i < list->resource_count; i++) {
        const xenres_resource *r = &list->resources[i];

        printf("resource %s %u: %s\n", xenres_resource_type_name(r->type), r->id,
               r->availability < 4 ? availabilities[r->availability] : "?");
    }
    xenres_reply_free(reply);
    return 0;
}

static int count(void *arg, const void *bytes, size_t len_bytes)
{
    (void)bytes;
    *(size_t *)arg += len_bytes;
    return 0;
}

static int ask_first_frame(xenres *gateway, const char *domain, xenres_error *error)
{
    xenres_frames_query query = XENRES_FRAMES_QUERY_INIT(domain, XENRES_GRANT_TABLE, 0);
    xenres_frames_sink sink = XENRES_FRAMES_SINK_INIT;
    size_t bytes = 0;
    xenres_reply *reply;
    const xenres_frames *frames;

    query.frame_count = 1;
    sink.data = count;
    sink.arg = &bytes;
    int result = xenres_read_snapshot(gateway, &query, &sink, &reply, &frames, error);

    if (result == 0) {
        printf("first frame: %zu bytes\n", bytes);
        xenres_reply_free(reply);
    }
    return result;
}

static void show_error(xenres *gateway)
{
    xenres_grant_query query = XENRES_GRANT_QUERY_INIT("nobody");
    xenres_reply *reply;
    const xenres_grant_table *table;
    xenres_error error;

    if (xenres_get_grant_table(gateway, &query, &reply, &table, &error) != 0) {
        printf("error %s: %s\n  cause: %s\n  next step: %s\n", xenres_code_name(error.code),
               error.message, error.cause, error.next_step);
    }
}

int main(int argc, char **argv)
{
    const char *domain = argc > 1 ? argv[1] : "standby";
    xenres_options options = XENRES_OPTIONS_INIT;
    xenres *gateway;
    xenres_error error;

    xenres_options_from_environment(&options);
    if (xenres_new(&options, &gateway, &error) != 0) {
        fprintf(stderr, "%s; %s\n", error.message, error.next_step);
        return 1;
    }
    int failed = ask_host(gateway, &error) != 0 || ask_domains(gateway, &error) != 0 ||
                 ask_resources(gateway, domain, &error) != 0 ||
                 ask_first_frame(gateway, domain, &error) != 0;

    if (failed) {
        fprintf(stderr, "%s; %s\n", error.message, error.next_step);
    } else {
        show_error(gateway);
    }
    xenres_free(gateway);
    return failed;
}
