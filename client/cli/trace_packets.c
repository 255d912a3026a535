/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/cli/trace_packets.h"

#include <errno.h>
#include <fcntl.h>
#include <intel-pt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/cli/cli.h"
#include "client/cli/json.h"
#include "client/cli/output.h"
#include "client/cli/report.h"
#include "client/cli/table.h"
#include "client/cli/trace_files.h"
#include "client/cli/trace_packet_text.h"
#include "common/scope.h"

enum { PIECE_BYTES = 64 << 10 };

/* Of one vCPU. */
struct sums {
    uint64_t packets, bytes, errors;
    uint64_t skipped; /* bytes before the first PSB of a file, or behind an error */
    uint64_t of[TRACE_PACKET_KINDS];
};

struct packets {
    const struct trace_packets_options *options;
    const struct manifest *manifest;
    int dir_fd;
    struct output output;
    struct buffer *text;
    int status;
};

/* A file, and where one is in it. */
struct pass {
    struct packets *p;
    struct sums *sums;
    const char *name;
    uint64_t offset; /* within the segment, of the file's first byte */
    struct pt_packet_decoder *decoder;
};

static int flush(struct packets *p)
{
    int status = output_write(&p->output, p->text->data, p->text->len_bytes);

    buffer_reset(p->text);
    return status;
}

static int tell(struct packets *p)
{
    return p->text->failed ? report_no_memory() : p->text->len_bytes >= PIECE_BYTES ? flush(p) : 0;
}

static void tell_error(const struct pass *s, uint64_t at, int code)
{
    if (!s->p->options->has_stats) {
        buffer_printf(s->p->text, "%s  %012" PRIx64 "  error: %s\n", s->name, s->offset + at,
                      pt_errstr(pt_errcode(code)));
    }
}

/* From the next PSB on; false: there is none. */
static bool synchronise(const struct pass *s, uint64_t from, uint64_t end)
{
    uint64_t at = end;
    bool is_there = pt_pkt_sync_forward(s->decoder) >= 0;

    if (is_there) {
        (void)pt_pkt_get_offset(s->decoder, &at);
    }
    s->sums->skipped += at - from;
    return is_there;
}

static void take_packet(const struct pass *s, uint64_t at, const struct pt_packet *packet)
{
    int kind = trace_packet_kind_of(packet);

    s->sums->packets++;
    s->sums->bytes += packet->size;
    s->sums->of[kind]++;
    if (!s->p->options->has_stats) {
        buffer_printf(s->p->text, "%s  %012" PRIx64 "  ", s->name, s->offset + at);
        trace_packet_print(s->p->text, packet);
        buffer_append_byte(s->p->text, '\n');
    }
}

static int decode(const struct pass *s, uint64_t end)
{
    int status = 0;

    for (bool is_on = synchronise(s, 0, end); is_on && status == 0; status = tell(s->p)) {
        struct pt_packet packet;
        uint64_t at = 0;

        (void)pt_pkt_get_offset(s->decoder, &at);
        int size = pt_pkt_next(s->decoder, &packet, sizeof(packet));

        if (size == -pte_eos) { /* the last one may be cut by a gap, or the end */
            s->sums->skipped += end - at;
            return tell(s->p);
        }
        if (size < 0) {
            s->sums->errors++;
            tell_error(s, at, size);
            is_on = synchronise(s, at, end);
        } else {
            take_packet(s, at, &packet);
        }
    }
    return status;
}

static int decode_bytes(struct pass *s, uint8_t *bytes, size_t len)
{
    const struct manifest *m = s->p->manifest;
    struct pt_config config;

    pt_config_init(&config);
    config.begin = bytes;
    config.end = bytes + len;
    if (strcmp(m->cpu_vendor, "GenuineIntel") == 0) {
        config.cpu.vendor = pcv_intel;
        config.cpu.family = (uint16_t)m->trace.metadata.cpu_family;
        config.cpu.model = (uint8_t)m->trace.metadata.cpu_model;
        config.cpu.stepping = (uint8_t)m->trace.metadata.cpu_stepping;
        (void)pt_cpu_errata(&config.errata, &config.cpu);
    }
    s->decoder = pt_pkt_alloc_decoder(&config);
    if (s->decoder == NULL) {
        return report_no_memory();
    }
    int status = decode(s, len);

    pt_pkt_free_decoder(s->decoder);
    return status;
}

static int decode_file(struct packets *p, const struct manifest_vcpu *v, size_t number,
                       struct sums *sums)
{
    const struct manifest_file *file = &v->files[number];
    char name[MANIFEST_NAME_BYTES];
    struct stat st;

    manifest_file_name(v->vcpu, number, name);
    SCOPE_FD int fd = openat(p->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    if (fd < 0 || fstat(fd, &st) != 0) {
        return report_local("cannot open", name, errno, "see what is missing: xenres verify");
    }
    uint64_t len = (uint64_t)st.st_size < file->bytes ? (uint64_t)st.st_size : file->bytes;

    if (len == 0 || !S_ISREG(st.st_mode)) {
        return 0;
    }
    void *bytes = mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0);

    if (bytes == MAP_FAILED) {
        return report_local("cannot read", name, errno, NULL);
    }
    struct pass s = { .p = p, .sums = sums, .name = name, .offset = file->offset };
    int status = decode_bytes(&s, bytes, len);

    (void)munmap(bytes, len);
    return status;
}

/* --- sums --- */

static void append_table(struct packets *p, const struct manifest_vcpu *v, const struct sums *sums)
{
    TABLE_AUTO table;

    buffer_printf(p->text,
                  "vCPU %u: %" PRIu64 " packets of %" PRIu64 " bytes, %" PRIu64 " errors, %" PRIu64
                  " bytes between them skipped\n",
                  v->vcpu, sums->packets, sums->bytes, sums->errors, sums->skipped);
    table_init(&table, "PACKET|COUNT>");
    for (int i = 0; i < TRACE_PACKET_KINDS; i++) {
        if (sums->of[i] > 0) {
            table_cell(&table, "%s", trace_packet_kind_name(i));
            table_cell(&table, "%" PRIu64, sums->of[i]);
        }
    }
    table_render(&table, 0, p->text);
}

static void append_json(struct packets *p, const struct manifest_vcpu *v, const struct sums *sums,
                        bool is_first)
{
    const char *comma = "";

    buffer_printf(p->text,
                  "%s  {\n    \"vcpu\": %u,\n    \"packets\": \"%" PRIu64 "\",\n"
                  "    \"bytes\": \"%" PRIu64 "\",\n    \"errors\": \"%" PRIu64 "\",\n"
                  "    \"skippedBytes\": \"%" PRIu64 "\",\n    \"of\": {",
                  is_first ? "[\n" : ",\n", v->vcpu, sums->packets, sums->bytes, sums->errors,
                  sums->skipped);
    for (int i = 0; i < TRACE_PACKET_KINDS; i++) {
        if (sums->of[i] > 0) {
            buffer_printf(p->text, "%s\"%s\": \"%" PRIu64 "\"", comma, trace_packet_kind_name(i),
                          sums->of[i]);
            comma = ", ";
        }
    }
    buffer_append_string(p->text, "}\n  }");
}

static bool is_wanted(const struct trace_packets_options *o, uint32_t vcpu)
{
    for (size_t i = 0; i < o->vcpu_count; i++) {
        if (o->vcpus[i] == vcpu) {
            return true;
        }
    }
    return o->vcpu_count == 0;
}

static int decode_all(struct packets *p)
{
    bool is_first = true, is_json = p->options->has_stats && p->options->is_json;
    uint64_t errors = 0;
    int status = 0;

    for (size_t i = 0; status == 0 && i < p->manifest->vcpu_count; i++) {
        const struct manifest_vcpu *v = &p->manifest->vcpus[i];
        struct sums sums = { .packets = 0 };

        if (!is_wanted(p->options, v->vcpu)) {
            continue;
        }
        for (size_t k = 0; status == 0 && k < v->file_count; k++) {
            status = decode_file(p, v, k, &sums);
        }
        if (is_json) {
            append_json(p, v, &sums, is_first);
        } else if (p->options->has_stats) {
            append_table(p, v, &sums);
        }
        is_first = false;
        errors += sums.errors;
    }
    if (is_json) {
        buffer_append_string(p->text, is_first ? "[]\n" : "\n]\n");
    }
    if (status == 0) {
        status = flush(p);
    }
    if (status == 0) {
        status = output_commit(&p->output);
    }
    return status == 0 && errors > 0 ? error_exit_status(ERROR_DATA_LOSS) : status;
}

int trace_packets_run(const struct trace_packets_options *options)
{
    MANIFEST_AUTO manifest = { .vcpus = NULL };
    BUFFER_AUTO(text, TABLE_MAX_BYTES);
    SCOPE_FD int dir_fd = -1;
    struct packets p = { .options = options, .manifest = &manifest };
    struct failure f = { 0 };

    if (trace_files_open_to_read(options->folder, &dir_fd, &f) != 0 ||
        trace_files_load(dir_fd, &manifest, &f) != 0) {
        (void)report_failure(&f);
        return f.code == ERROR_UNKNOWN ? EXIT_LOCAL : error_exit_status(f.code);
    }
    p.dir_fd = dir_fd;
    p.text = &text;
    int status = output_open(&p.output, NULL);

    p.output.is_endless = true;
    status = status == 0 ? decode_all(&p) : status;
    bool reader_left = p.output.reader_left;

    output_abandon(&p.output);
    return reader_left ? 0 : status;
}
