/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * What tests/system/library_watch.sh watches with the library, its public header alone:
 *
 *      library_watch resource DOMAIN TYPE delta|full|latest raw|decode [FILE]
 *      library_watch domains GLOB STATE        STATE 0: any
 *
 * Writes what the callbacks are told, a line each, until the watch is over or SIGTERM cancels it. Then
 * FILE has the bytes that a raw watch adds up to, and a watch of domains says which there are. Numbers
 * that are told twice or not at all are WRONG. With STALL set, the first part of a batch that has more is
 * held until standard input has a line.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xenres.h>

enum { DOMIDS = 32768 };

static xenres *handle;
static xenres_image *image;
static xenres_error error;
static char names[DOMIDS][64];
static char feed[33];
static uint64_t last;            /* told of, in this feed */
static uint64_t last_checkpoint; /* its number */
static bool skips, is_listing, has_place;

static void cancel(int number)
{
    (void)number;
    xenres_cancel(handle);
}

/* --- numbers --- */

/* Numbers from `first` on to `until` are told of, here or as lost. */
static void cover(uint64_t first, uint64_t until)
{
    if (has_place && (skips ? first > until || until <= last : first != last + 1)) {
        printf("WRONG: %" PRIu64 " to %" PRIu64 " behind %" PRIu64 "\n", first, until, last);
    }
    last = until;
}

/* Whole content. */
static void stand(uint64_t first, uint64_t sequence)
{
    if (first != 0) {
        cover(first, sequence);
    } else if (has_place && sequence != last) {
        printf("WRONG: all of %" PRIu64 " at %" PRIu64 "\n", sequence, last);
    }
    last = sequence;
    has_place = true;
}

static void range(const char *what, uint64_t first, uint64_t until)
{
    printf("%s %" PRIu64 "-%" PRIu64, what, first, until);
}

/* --- callbacks of both --- */

static void begin(const char *id, bool resumed, uint64_t sequence)
{
    if (strcmp(feed, id) != 0) {
        has_place = false;
        (void)snprintf(feed, sizeof(feed), "%s", id);
    }
    printf("begin%s %" PRIu64 "\n", resumed ? " behind" : "", sequence);
}

static int on_gap(void *arg, const xenres_watch_gap *g)
{
    (void)arg;
    range("gap", g->first_sequence, g->sequence);
    printf(" %s%s\n", xenres_gap_reason_name(g->reason), g->exact ? "" : "?");
    if (g->exact) {
        cover(g->first_sequence, g->sequence);
    }
    return 0;
}

static int on_checkpoint(void *arg, const xenres_watch_checkpoint *c)
{
    (void)arg;
    last_checkpoint = c->sequence;
    printf("checkpoint %" PRIu64 "\n", c->sequence);
    if (skips ? c->sequence < last : c->sequence != last) {
        printf("WRONG: a checkpoint behind %" PRIu64 "\n", last);
    }
    last = c->sequence;
    return 0;
}

static int on_end(void *arg, const xenres_watch_end *e)
{
    (void)arg;
    printf("end %s at %" PRIu64 "\n", xenres_end_reason_name(e->reason), e->sequence);
    return 0;
}

static int on_interrupted(void *arg, const xenres_watch_interruption *i)
{
    (void)arg;
    if (i->tries == 0) {
        printf("interrupted at %" PRIu64 ", checkpoint %" PRIu64 "%s%s\n", i->sequence,
               i->cursor[0] != '\0' ? last_checkpoint : 0, i->end_reason != 0 ? " " : "",
               xenres_end_reason_name(i->end_reason));
    }
    return 0;
}

/* --- of a resource --- */

static int on_begin(void *arg, const xenres_watch_begin *b)
{
    (void)arg;
    begin(b->feed, b->resumed, b->sequence);
    return 0;
}

static int on_image(void *arg, const xenres_watch_image *piece)
{
    (void)arg;
    if (xenres_image_apply_piece(image, piece, &error) != 0) {
        printf("WRONG: %s\n", error.message);
    }
    if (piece->complete) {
        range("image", piece->first_sequence, piece->sequence);
        printf("\n");
        stand(piece->first_sequence, piece->sequence);
    }
    return 0;
}

static int on_changes(void *arg, const xenres_watch_changes *c)
{
    static bool was_held;

    (void)arg;
    if (xenres_image_apply_changes(image, c, &error) != 0) {
        printf("WRONG: %s\n", error.message);
    }
    range("changes", c->first_sequence, c->sequence);
    printf("%s\n", c->more ? "..." : "");
    if (!c->more) {
        cover(c->first_sequence, c->sequence);
    } else if (!was_held && getenv("STALL") != NULL) {
        was_held = true;
        printf("held\n");
        (void)getchar();
    }
    return 0;
}

static int on_decoded(void *arg, const xenres_watch_decoded *d)
{
    (void)arg;
    if (d->more) {
        return 0;
    }
    range(d->whole ? "whole" : "decoded", d->first_sequence, d->sequence);
    printf("\n");
    if (d->whole) {
        stand(d->first_sequence, d->sequence);
    } else {
        cover(d->first_sequence, d->sequence);
    }
    return 0;
}

static const xenres_watch_sink sink = {
    .size = sizeof(sink),
    .begin = on_begin,
    .image = on_image,
    .changes = on_changes,
    .decoded = on_decoded,
    .gap = on_gap,
    .checkpoint = on_checkpoint,
    .end = on_end,
    .interrupted = on_interrupted,
};

static int write_image(const char *path)
{
    size_t len_bytes = 0;
    const void *bytes = xenres_image_bytes(image, &len_bytes, NULL);
    FILE *file = fopen(path, "wb");
    bool is_written = file != NULL && bytes != NULL && fwrite(bytes, len_bytes, 1, file) == 1;

    return file != NULL && fclose(file) == 0 && is_written ? 0 : -1;
}

static int watch_resource(char **arguments, int count)
{
    static const char *const modes[] = { "", "delta", "full", "latest" };
    xenres_watch_query query = XENRES_WATCH_QUERY_INIT(arguments[0], 0, 0);

    query.type = xenres_resource_type_from_name(arguments[1]);
    for (uint32_t i = 1; i < sizeof(modes) / sizeof(modes[0]); i++) {
        query.mode = strcmp(arguments[2], modes[i]) == 0 ? i : query.mode;
    }
    query.decode = strcmp(arguments[3], "decode") == 0;
    query.period_ms = 20;
    if (xenres_image_new(0, &image, &error) != 0) {
        return -1;
    }
    int result = xenres_watch(handle, &query, &sink, &error);

    if (count > 4 && write_image(arguments[4]) != 0) {
        printf("WRONG: no image\n");
    }
    xenres_image_free(image);
    return result;
}

/* --- of domains --- */

static void keep_name(const xenres_domain *d, bool is_there)
{
    if (d->identity.domid < DOMIDS) {
        (void)snprintf(names[d->identity.domid], sizeof(names[0]), "%s",
                       is_there ? d->identity.name : "");
    }
}

static int on_domains_begin(void *arg, const xenres_domains_begin *b)
{
    (void)arg;
    is_listing = false;
    begin(b->feed, b->resumed, b->sequence);
    return 0;
}

static int on_list(void *arg, const xenres_domains_piece *piece)
{
    (void)arg;
    if (!is_listing) {
        memset(names, 0, sizeof(names));
    }
    for (size_t i = 0; i < piece->domain_count; i++) {
        keep_name(&piece->domains[i], true);
    }
    is_listing = !piece->complete;
    if (piece->complete) {
        printf("list %" PRIu64 "\n", piece->sequence);
        stand(0, piece->sequence);
    }
    return 0;
}

static int on_change(void *arg, const xenres_domain_change *c)
{
    static const char *const kinds[] = { "",      "created", "renamed", "state",
                                         "dying", "gone",    "retagged" };

    (void)arg;
    printf("%s %s %" PRIu64 "\n", c->kind < 7 ? kinds[c->kind] : "?", c->domain.identity.name,
           c->sequence);
    keep_name(&c->domain, c->kind != XENRES_DOMAIN_CHANGE_GONE);
    cover(c->first_sequence, c->sequence);
    return 0;
}

static int on_heartbeat(void *arg, const xenres_watch_heartbeat *h)
{
    (void)arg;
    last = h->sequence > last ? h->sequence : last; /* those of others */
    return 0;
}

static int watch_domains(char **arguments)
{
    const uint32_t state = (uint32_t)strtoul(arguments[1], NULL, 10);
    xenres_domain_query filter = XENRES_DOMAIN_QUERY_INIT;
    xenres_domains_watch_query query = XENRES_DOMAINS_WATCH_QUERY_INIT;
    const xenres_domains_sink domains_sink = {
        .size = sizeof(domains_sink),
        .begin = on_domains_begin,
        .list = on_list,
        .change = on_change,
        .gap = on_gap,
        .checkpoint = on_checkpoint,
        .heartbeat = on_heartbeat,
        .end = on_end,
        .interrupted = on_interrupted,
    };

    filter.name_glob = arguments[0];
    filter.states = &state;
    filter.state_count = state != 0 ? 1 : 0;
    query.filter = &filter;
    skips = true;
    int result = xenres_watch_domains(handle, &query, &domains_sink, &error);

    printf("domains:");
    for (uint32_t i = 0; i < DOMIDS; i++) {
        if (names[i][0] != '\0') {
            printf(" %s", names[i]);
        }
    }
    printf("\n");
    return result;
}

int main(int argc, char **argv)
{
    xenres_options options = XENRES_OPTIONS_INIT;
    int result = -1;

    setvbuf(stdout, NULL, _IOLBF, 0);
    xenres_options_from_environment(&options);
    options.retry_wait_ms = 20;
    if (xenres_new(&options, &handle, &error) != 0) {
        fprintf(stderr, "%s\n", error.message);
        return 2;
    }
    signal(SIGTERM, cancel);
    if (argc >= 6 && strcmp(argv[1], "resource") == 0) {
        result = watch_resource(argv + 2, argc - 2);
    } else if (argc == 4 && strcmp(argv[1], "domains") == 0) {
        result = watch_domains(argv + 2);
    }
    if (result != 0) {
        printf("%s: %s\n", xenres_code_name(error.code), error.message);
    }
    xenres_free(handle);
    return result == 0 ? 0 : 1;
}
