/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/cli/scenario_files.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/output.h"
#include "client/cli/player.h"
#include "client/cli/report.h"
#include "client/cli/scenario_domains.h"
#include "client/cli/scenario_text.h"
#include "common/clock.h"
#include "common/scope.h"
#include "common/text.h"

enum {
    BLOCK_BYTES = 64,
    FRAME_BYTES = 4096,
    LINE_MAX_BYTES = 10 + 1 + 10 + 1 + 2 * BLOCK_BYTES + 1, /* of a play */
    TEXT_MAX_BYTES = 1 << 20,
    TEXT_FLUSH_BYTES = 64 * 1024,
    NAME_MAX_BYTES = 1024,
    UUID_MAX_BYTES = 64,
};

struct maker {
    struct output *play;
    struct buffer text; /* of the play, not written yet */
    uint64_t written_bytes;
    int status; /* what stopped it, reported */

    bool has_begun;
    uint32_t type, id, domid;
    char name[NAME_MAX_BYTES], uuid[UUID_MAX_BYTES];

    xenres_image *image;
    struct buffer before; /* the image before the one that comes */
    uint32_t frame_count; /* 0: none has come yet */
    uint32_t grant_version, next_version;
    uint64_t start_ns, image_ns; /* monotonic: of the first image, of the one that comes */
    uint64_t at_ms;
    const char *full; /* why the play ends before the recording does; NULL: it does not */
};

static int stop(struct maker *m, int status)
{
    m->status = status;
    return status;
}

static int refuse(struct maker *m, const char *what, const char *next_step)
{
    return stop(m, report_local("no scenario can be made of it:", what, 0, next_step));
}

/* --- the play --- */

static void set_time(struct maker *m, uint64_t monotonic_ns)
{
    uint64_t at_ms =
        monotonic_ns > m->start_ns ? (monotonic_ns - m->start_ns) / CLOCK_NS_PER_MS : 0;

    m->at_ms = at_ms > m->at_ms ? at_ms : m->at_ms; /* never back */
    if (m->at_ms > UINT32_MAX) {
        m->full = "it is longer than 49 days";
    }
}

static int put_block(struct maker *m, uint64_t block, const uint8_t *bytes)
{
    char hex[2 * BLOCK_BYTES + 1];

    if (m->full != NULL) {
        return 0;
    }
    if (m->written_bytes + m->text.len_bytes + LINE_MAX_BYTES > SCENARIO_FILES_PLAY_MAX_BYTES) {
        m->full = "the simulator reads no more than 64 MiB";
        return 0;
    }
    text_from_hex(bytes, BLOCK_BYTES, hex);
    buffer_printf(&m->text, "%" PRIu64 " %" PRIu64 " %s\n", m->at_ms, block, hex);
    if (m->text.len_bytes < TEXT_FLUSH_BYTES) {
        return 0;
    }
    m->written_bytes += m->text.len_bytes;
    return stop(m, output_text(m->play, &m->text));
}

/* Those blocks of the new image that are not as they were; all of the first one. */
static int put_image(struct maker *m, const uint8_t *bytes, size_t len_bytes)
{
    int status = 0;

    for (size_t at = 0; at < len_bytes && status == 0; at += BLOCK_BYTES) {
        if (m->before.len_bytes == 0 || memcmp(bytes + at, m->before.data + at, BLOCK_BYTES) != 0) {
            status = put_block(m, at / BLOCK_BYTES, bytes + at);
        }
    }
    return status;
}

static int begin_play(struct maker *m, size_t len_bytes)
{
    size_t frames = len_bytes / FRAME_BYTES;

    if (frames == 0 || frames > SCENARIO_FILES_FRAMES_MAX || len_bytes % FRAME_BYTES != 0) {
        return refuse(m, "its image is not of 1 to 4096 frames", "record fewer frames: --count");
    }
    m->frame_count = (uint32_t)frames;
    m->grant_version = m->next_version;
    m->start_ns = m->image_ns;
    buffer_printf(&m->text, "xenres-play 1 %d %" PRIu32 " %" PRIu32 "\n", BLOCK_BYTES,
                  m->frame_count, m->grant_version);
    return 0;
}

static int take_image(struct maker *m)
{
    size_t len_bytes = 0;
    const uint8_t *bytes = xenres_image_bytes(m->image, &len_bytes, NULL);

    if (m->frame_count == 0 && begin_play(m, len_bytes) != 0) {
        return m->status;
    }
    if (len_bytes != (size_t)m->frame_count * FRAME_BYTES || m->next_version != m->grant_version) {
        m->full = "the table's size or version changed then";
        return 0;
    }
    set_time(m, m->image_ns);
    return put_image(m, bytes, len_bytes);
}

static int on_image(void *arg, const xenres_watch_image *piece)
{
    struct maker *m = arg;

    if (m->full != NULL) {
        return 0;
    }
    if (piece->offset_bytes == 0) {
        size_t len_bytes = 0;
        const void *bytes = xenres_image_bytes(m->image, &len_bytes, NULL);

        buffer_reset(&m->before);
        buffer_append(&m->before, bytes, bytes != NULL ? len_bytes : 0);
    }
    if (piece->observation != NULL) {
        m->next_version = piece->observation->grant_version;
        m->image_ns = piece->observation->monotonic_ns;
    }
    /* What does not fit is behind something that is missing: the next whole image is waited for. */
    bool fits = xenres_image_apply_piece(m->image, piece, NULL) == 0;

    return fits && piece->complete ? take_image(m) : 0;
}

static int on_changes(void *arg, const xenres_watch_changes *changes)
{
    struct maker *m = arg;
    const uint8_t *content = changes->content;
    int status = 0;

    if (m->full != NULL || xenres_image_apply_changes(m->image, changes, NULL) != 0) {
        return 0;
    }
    set_time(m, changes->sampled.monotonic_ns);
    for (size_t i = 0; i < changes->block_count && status == 0; i++) {
        status = put_block(m, changes->blocks[i], content + i * BLOCK_BYTES);
    }
    return status;
}

/* --- what it is of --- */

static int on_begin(void *arg, const xenres_watch_begin *begin)
{
    struct maker *m = arg;
    uint8_t uuid[UUID_BYTES];

    if (m->has_begun) {
        return 0;
    }
    if (begin->decode ||
        (begin->type != XENRES_GRANT_TABLE && begin->type != XENRES_IOREQ_SERVER) ||
        (begin->type == XENRES_GRANT_TABLE && begin->id != 0) || begin->first_frame != 0) {
        return refuse(m,
                      "it is not of the bytes, from frame 0, of grant_table 0 or an ioreq_server",
                      "record that: xenres watch DOMAIN grant_table --output FILE");
    }
    if (begin->domain.domid > SCENARIO_FILES_DOMID_MAX || !text_to_uuid(begin->domain.uuid, uuid)) {
        return refuse(m, "its domain has no proper number or UUID", "take another recording");
    }
    m->has_begun = true;
    m->type = begin->type;
    m->id = begin->id;
    m->domid = begin->domain.domid;
    (void)snprintf(m->uuid, sizeof(m->uuid), "%s", begin->domain.uuid);
    (void)snprintf(m->name, sizeof(m->name), "%s", begin->domain.name);
    return 0;
}

static void append_scenario(struct buffer *out, const struct maker *m, const char *play_path)
{
    bool is_grants = m->type == XENRES_GRANT_TABLE;

    scenario_text_begin(out);
    buffer_append_string(out, "domain \"recorded\" {\n");
    buffer_printf(out, "    domid = %" PRIu32 "\n    uuid = \"%s\"\n", m->domid, m->uuid);
    if (m->name[0] != '\0') {
        buffer_append_string(out, "    name = ");
        scenario_text_string(out, m->name);
        buffer_append_byte(out, '\n');
    }
    if (is_grants) {
        uint32_t frames_max = m->frame_count > 64 ? m->frame_count : 64;

        buffer_printf(
            out, "    grants {\n        frames_max = %" PRIu32 "\n        play = ", frames_max);
    } else {
        buffer_printf(out,
                      "    type = \"hvm\"\n    ioreq \"%" PRIu32 "\" {\n        play = ", m->id);
    }
    scenario_text_file(out, play_path);
    buffer_append_string(out, "\n    }\n}\n");
}

/* --- the files --- */

static int write_play(struct maker *m, struct recording_reader *reader)
{
    const xenres_watch_sink sink = {
        .size = sizeof(sink),
        .begin = on_begin,
        .image = on_image,
        .changes = on_changes,
        .arg = m,
    };
    struct ledger ledger;
    struct player player = { .ledger = &ledger, .sink = &sink };
    struct failure f = { 0 };

    ledger_init(&ledger, NULL, NULL);
    int result = player_run(&player, reader, &f);

    if (result != 0) {
        return result < 0 ? report_failure(&f) : result;
    }
    if (m->frame_count == 0) {
        return refuse(m, "there is no whole image in it", "take a recording that has one");
    }
    if (player.flaws + ledger.faults + ledger.gaps > 0) {
        report_note("the recording is not complete: \"xenres verify\" tells what is missing");
    }
    if (m->full != NULL) {
        report_note("the play ends %" PRIu64 " ms after its beginning: %s", m->at_ms, m->full);
    }
    int status = output_text(m->play, &m->text);

    return status == 0 ? output_commit(m->play) : status;
}

static int write_scenario(const struct maker *m, const char *path, const char *play_path)
{
    OUTPUT_AUTO output = { .fd = -1 };
    BUFFER_AUTO(text, TEXT_MAX_BYTES);
    int status = output_open(&output, path);

    append_scenario(&text, m, play_path);
    status = status == 0 ? output_text(&output, &text) : status;
    return status == 0 ? output_commit(&output) : status;
}

int scenario_files_write(struct recording_reader *reader, const char *name)
{
    OUTPUT_AUTO play = { .fd = -1 };
    SCOPE_FREE char *play_path = NULL;
    SCOPE_FREE char *path = NULL;
    struct maker m = { .play = &play };
    xenres_error error;

    if (asprintf(&play_path, "%s.play", name) < 0 || asprintf(&path, "%s.scenario", name) < 0) {
        return report_no_memory();
    }
    if (reader->stream == RECORDING_OF_DOMAINS) {
        return scenario_domains_write(reader, path);
    }
    if (xenres_image_new(0, &m.image, &error) != 0) {
        return report_error(&error);
    }
    buffer_init(&m.text, TEXT_MAX_BYTES);
    buffer_init(&m.before, (size_t)SCENARIO_FILES_FRAMES_MAX * FRAME_BYTES);
    int status = output_open(&play, play_path);

    status = status == 0 ? write_play(&m, reader) : status;
    status = status == 0 ? write_scenario(&m, path, play_path) : status;
    buffer_done(&m.text);
    buffer_done(&m.before);
    xenres_image_free(m.image);
    return status;
}
