/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What tests/system/library.sh calls of the library, with its public header alone:
 *
 *      library_calls snapshot DOMAIN FIRST COUNT   the frames of its grant table, by ReadSnapshot
 *      library_calls messages DOMAIN               the type of each message of that stream
 *      library_calls domains GLOB STATE            their numbers; STATE 0: any
 *      library_calls cancel DOMAIN                 the stream, cancelled by a signal after a message
 *
 * On failure: "CODE FIELD DETAIL…" on standard output, status 1.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xenres.h>

static xenres *handle;
static xenres_error error;

static int failed(void)
{
    const xenres_detail *details;
    size_t count = xenres_error_details(handle, &details);

    printf("%s field=%s", xenres_code_name(error.code), error.field);
    for (size_t i = 0; i < count; i++) {
        printf(" %s", details[i].type_name);
    }
    printf("\n");
    return 1;
}

static uint32_t number(const char *text)
{
    return (uint32_t)strtoul(text, NULL, 10);
}

static int snapshot(char **arguments)
{
    xenres_frames_query query = XENRES_FRAMES_QUERY_INIT(arguments[0], XENRES_GRANT_TABLE, 0);
    xenres_frames_sink sink = XENRES_FRAMES_SINK_INIT;
    const xenres_frames *frames;
    xenres_reply *reply;

    query.first_frame = number(arguments[1]);
    query.frame_count = number(arguments[2]);
    sink.fd = STDOUT_FILENO;
    if (xenres_read_snapshot(handle, &query, &sink, &reply, &frames, &error) != 0) {
        return failed();
    }
    fprintf(stderr, "%" PRIu64 " bytes of domain %" PRIu32 "\n", frames->len_bytes,
            frames->domain.domid);
    xenres_reply_free(reply);
    return 0;
}

/* ReadSnapshotRequest { domain, type: grant_table }, by hand: this program has no protobuf. */
static xenres_stream *open_stream(const char *domain)
{
    unsigned char request[64] = { 0x0a, (unsigned char)strlen(domain) };
    size_t len = 2 + strlen(domain);
    xenres_stream *stream = NULL;

    memcpy(request + 2, domain, strlen(domain));
    request[len++] = 0x18;
    request[len++] = XENRES_GRANT_TABLE;
    (void)xenres_stream_open(handle, "xenres.v1.ResourceService/ReadSnapshot", request, len, NULL,
                             &stream, &error);
    return stream;
}

static int messages(char **arguments)
{
    xenres_stream *stream = open_stream(arguments[0]);
    xenres_reply *reply = NULL;
    const char *type_name = "";
    int result = -1;

    while (stream != NULL && (result = xenres_stream_next(stream, &reply, &error)) == 0 &&
           reply != NULL) {
        (void)xenres_reply_message(reply, NULL, &type_name);
        printf("%s\n", type_name);
        xenres_reply_free(reply);
    }
    xenres_stream_close(stream);
    return result == 0 ? 0 : failed();
}

static void interrupt(int signal_number)
{
    (void)signal_number;
    xenres_cancel(handle);
}

static int cancel(char **arguments)
{
    xenres_stream *stream = open_stream(arguments[0]);
    xenres_reply *reply = NULL;

    if (stream == NULL || xenres_stream_next(stream, &reply, &error) != 0) {
        return failed();
    }
    xenres_reply_free(reply);
    signal(SIGUSR1, interrupt);
    raise(SIGUSR1);
    if (xenres_stream_next(stream, &reply, &error) == 0) {
        return 0;
    }
    xenres_stream_close(stream);
    return failed();
}

static int domains(char **arguments)
{
    const uint32_t state = number(arguments[1]);
    xenres_domain_query query = XENRES_DOMAIN_QUERY_INIT;
    const xenres_domain_list *list;
    xenres_reply *reply;

    query.name_glob = arguments[0];
    query.states = &state;
    query.state_count = state != 0 ? 1 : 0;
    if (xenres_list_domains(handle, &query, &reply, &list, &error) != 0) {
        return failed();
    }
    for (size_t i = 0; i < list->domain_count; i++) {
        printf("%" PRIu32 "\n", list->domains[i].identity.domid);
    }
    xenres_reply_free(reply);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int arguments;
        int (*call)(char **arguments);
    } calls[] = {
        { "snapshot", 3, snapshot },
        { "messages", 1, messages },
        { "domains", 2, domains },
        { "cancel", 1, cancel },
    };
    xenres_options options = XENRES_OPTIONS_INIT;
    int status = 2;

    xenres_options_from_environment(&options);
    if (xenres_new(&options, &handle, &error) != 0) {
        fprintf(stderr, "%s\n", error.message);
        return 2;
    }
    for (size_t i = 0; argc > 1 && i < sizeof(calls) / sizeof(calls[0]); i++) {
        if (strcmp(calls[i].name, argv[1]) == 0 && argc == 2 + calls[i].arguments) {
            status = calls[i].call(argv + 2);
        }
    }
    xenres_free(handle);
    return status;
}
