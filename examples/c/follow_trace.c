/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * follow_trace DOMAIN SECONDS: traces vCPU 0 of a domain, and decodes its packets with libipt while they
 * come. At the end it says how many there were of some types, what was lost, and how many bytes were no
 * packets.
 */
#include <intel-pt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <xenres.h>

enum { PENDING_MAX = 1 << 20, PACKET_MAX = 16 };

struct follower {
    xenres *control; /* another handle than the one that reads */
    const char *domain;
    char trace_id[33];
    time_t until;
    int is_stopped;
    /* Bytes that follow each other, and were not decoded yet. */
    uint8_t pending[PENDING_MAX];
    size_t pending_len;
    int is_synchronised;
    unsigned long packets, psbs, tips, tscs, errors;
    unsigned long long bytes, lost;
};

static void count(struct follower *f, const struct pt_packet *packet)
{
    f->packets++;
    f->psbs += packet->type == ppt_psb;
    f->tips += packet->type == ppt_tip;
    f->tscs += packet->type == ppt_tsc;
}

/* Decodes what is pending. But for the last, keeps what may be the beginning of a packet. */
static int decode(struct follower *f, int is_last)
{
    struct pt_config config;
    struct pt_packet_decoder *decoder;
    uint64_t at = 0;
    int status = 0;

    if (f->pending_len == 0) {
        return 0;
    }
    pt_config_init(&config);
    config.begin = f->pending;
    config.end = f->pending + f->pending_len;
    decoder = pt_pkt_alloc_decoder(&config);
    if (decoder == NULL) {
        return -1;
    }
    status = f->is_synchronised ? pt_pkt_sync_set(decoder, 0) : pt_pkt_sync_forward(decoder);
    while (status >= 0) {
        struct pt_packet packet;

        (void)pt_pkt_get_offset(decoder, &at);
        if (!is_last && f->pending_len - at < PACKET_MAX) {
            break; /* the packet here may go on in the bytes that come next */
        }
        f->is_synchronised = 1;
        status = pt_pkt_next(decoder, &packet, sizeof(packet));
        if (status >= 0) {
            count(f, &packet);
        } else if (status != -pte_eos) {
            f->errors++;
            f->is_synchronised = 0;
            status = pt_pkt_sync_forward(decoder);
        }
    }
    if (status < 0 && !f->is_synchronised) { /* no PSB: one may begin in the last bytes */
        at = f->pending_len > PACKET_MAX ? f->pending_len - PACKET_MAX : 0;
    }
    pt_pkt_free_decoder(decoder);
    f->pending_len = is_last ? 0 : f->pending_len - (size_t)at;
    memmove(f->pending, f->pending + at, f->pending_len);
    f->is_synchronised = is_last ? 0 : f->is_synchronised;
    return 0;
}

/* When the time is over, the trace is stopped: what was produced until then still comes. */
static void look_at_clock(struct follower *f)
{
    xenres_reply *reply;
    const xenres_trace *trace;

    if (!f->is_stopped && time(NULL) >= f->until) {
        f->is_stopped = 1;
        if (xenres_trace_stop(f->control, f->domain, f->trace_id, &trace, &reply, NULL) == 0) {
            xenres_reply_free(reply);
        }
    }
}

static int on_data(void *arg, const xenres_trace_data *data)
{
    struct follower *f = arg;

    if (data->len_bytes > sizeof(f->pending) - f->pending_len) {
        return -1;
    }
    memcpy(f->pending + f->pending_len, data->bytes, data->len_bytes);
    f->pending_len += data->len_bytes;
    f->bytes += data->len_bytes;
    look_at_clock(f);
    return decode(f, 0);
}

/* No packet reaches over it: what is pending ends here, and a decoder begins anew behind it. */
static int on_gap(void *arg, const xenres_trace_gap *gap)
{
    struct follower *f = arg;

    printf("lost: %s%llu bytes at byte %llu: %s\n", gap->at_least ? "at least " : "",
           (unsigned long long)gap->length, (unsigned long long)gap->position,
           xenres_trace_gap_reason_name(gap->reason));
    f->lost += gap->length;
    return decode(f, 1);
}

static int on_segment(void *arg, const xenres_trace_segment *segment)
{
    (void)segment;
    return decode(arg, 1);
}

static int on_heartbeat(void *arg, const xenres_trace_heartbeat *heartbeat)
{
    (void)heartbeat;
    look_at_clock(arg);
    return 0;
}

static int on_end(void *arg, const xenres_trace_end *end)
{
    struct follower *f = arg;
    int result = decode(f, 1);

    printf("ended: %s; %llu bytes, %llu lost, of %llu that were produced\n",
           xenres_trace_end_reason_name(end->reason), f->bytes, f->lost,
           (unsigned long long)end->position);
    printf("packets: %lu, of them %lu psb, %lu tip, %lu tsc; %lu errors\n", f->packets, f->psbs,
           f->tips, f->tscs, f->errors);
    return result;
}

static int start(struct follower *f, xenres_error *error)
{
    const uint32_t vcpus[] = { 0 };
    xenres_trace_options options = XENRES_TRACE_OPTIONS_INIT(f->domain);
    xenres_reply *reply;
    const xenres_trace *trace;

    options.vcpus = vcpus;
    options.vcpu_count = 1;
    int result = xenres_trace_start(f->control, &options, &trace, NULL, &reply, error);

    if (result == 0) {
        (void)snprintf(f->trace_id, sizeof(f->trace_id), "%s", trace->trace_id);
        xenres_reply_free(reply);
    }
    return result;
}

static int follow(struct follower *f, xenres *reader, xenres_error *error)
{
    xenres_trace_query query = XENRES_TRACE_QUERY_INIT(f->domain, 0);
    xenres_trace_sink sink = XENRES_TRACE_SINK_INIT;

    query.trace_id = f->trace_id;
    sink.data = on_data;
    sink.gap = on_gap;
    sink.segment = on_segment;
    sink.heartbeat = on_heartbeat;
    sink.end = on_end;
    sink.arg = f;
    return xenres_trace_read(reader, &query, &sink, error);
}

int main(int argc, char **argv)
{
    static struct follower f;
    xenres_options options = XENRES_OPTIONS_INIT;
    xenres *reader = NULL;
    xenres_error error;

    if (argc != 3) {
        fprintf(stderr, "follow_trace DOMAIN SECONDS\n");
        return 2;
    }
    f.domain = argv[1];
    f.until = time(NULL) + strtol(argv[2], NULL, 10);
    xenres_options_from_environment(&options);
    int result = xenres_new(&options, &f.control, &error);

    if (result == 0) {
        result = xenres_new(&options, &reader, &error);
    }
    if (result == 0) {
        result = start(&f, &error);
    }
    if (result == 0) {
        result = follow(&f, reader, &error);
    }
    if (result != 0) {
        fprintf(stderr, "%s\ncause: %s\nnext: %s\n", error.message, error.cause, error.next_step);
    }
    xenres_free(reader);
    xenres_free(f.control);
    return result == 0 ? 0 : 1;
}
