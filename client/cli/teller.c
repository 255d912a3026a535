/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/cli/teller.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client/cli/names.h"
#include "client/cli/render.h"
#include "client/cli/wording.h"

enum { IMAGE_MAX_BYTES = 64 << 20, BLOCK_BYTES = 64, QUEUE_KEY = UINT16_MAX };

void teller_init(struct teller *t, const struct teller_out *out)
{
    *t = (struct teller){ .out = out, .unit = "batch" };
    buffer_init(&t->before, IMAGE_MAX_BYTES);
    buffer_init(&t->text, TELLER_TEXT_MAX_BYTES);
    buffer_init(&t->before_text, TELLER_TEXT_MAX_BYTES);
}

void teller_done(struct teller *t)
{
    xenres_image_free(t->image);
    t->image = NULL;
    buffer_done(&t->before);
    buffer_done(&t->text);
    buffer_done(&t->before_text);
}

/* --- out --- */

static int stop(struct teller *t, int status)
{
    t->status = status;
    return status;
}

/* A text as far as it fitted. */
static const char *text_of(struct buffer *b)
{
    b->failed = false;
    return buffer_string(b);
}

/* What stands in `text` and `before_text`. */
static int tell(struct teller *t, struct teller_change *change)
{
    change->text = text_of(&t->text);
    change->before = text_of(&t->before_text);
    int status = t->out->change(t->out->arg, change);

    t->sums.changes += change->mark != TELLER_STANDS;
    buffer_reset(&t->text);
    buffer_reset(&t->before_text);
    return status;
}

static int flush(struct teller *t, int status)
{
    return stop(t, status != 0 ? status : t->out->flush(t->out->arg, &t->sums));
}

static int notice(struct teller *t, enum teller_notice kind)
{
    int status = t->out->notice(t->out->arg, kind, text_of(&t->text));

    buffer_reset(&t->text);
    return flush(t, status);
}

int teller_tell_cut(struct teller *t, const char *text)
{
    return flush(t, t->out->notice(t->out->arg, TELLER_CUT, text));
}

/* --- bytes --- */

static void append_bytes(struct buffer *out, const uint8_t *bytes)
{
    for (unsigned i = 0; i < TELLER_WORD_BYTES; i++) {
        buffer_printf(out, "%s%02x", i > 0 ? " " : "", (unsigned)bytes[i]);
    }
}

struct stamp {
    uint64_t sequence;
    int64_t seconds;
    uint32_t nanoseconds;
};

static int tell_words(struct teller *t, const struct stamp *when, uint64_t offset,
                      const uint8_t *old, const uint8_t *new, size_t len)
{
    int status = 0;

    for (size_t i = 0; i + TELLER_WORD_BYTES <= len && status == 0; i += TELLER_WORD_BYTES) {
        if (memcmp(old + i, new + i, TELLER_WORD_BYTES) == 0) {
            continue;
        }
        char label[TELLER_LABEL_BYTES];

        (void)snprintf(label, sizeof(label), "%08" PRIx64, offset + i);
        append_bytes(&t->text, new + i);
        append_bytes(&t->before_text, old + i);
        status = tell(t, &(struct teller_change){
                             .mark = TELLER_CHANGED,
                             .key = offset + i,
                             .label = label,
                             .sequence = when->sequence,
                             .wall_seconds = when->seconds,
                             .wall_nanoseconds = when->nanoseconds,
                         });
    }
    return status;
}

/* Before the first piece of another image: what there is, to compare it with. */
static int keep_before(struct teller *t)
{
    size_t len_bytes = 0;
    const void *bytes = t->image != NULL ? xenres_image_bytes(t->image, &len_bytes, NULL) : NULL;

    buffer_reset(&t->before);
    if (bytes != NULL && !buffer_append(&t->before, bytes, len_bytes)) {
        t->error = (xenres_error){ .code = XENRES_RESOURCE_EXHAUSTED, .message = "no memory" };
        return stop(t, -1);
    }
    return 0;
}

static int tell_image(struct teller *t, const struct stamp *when)
{
    size_t len_bytes = 0;
    const uint8_t *bytes = xenres_image_bytes(t->image, &len_bytes, NULL);
    int status = 0;

    if (bytes != NULL && t->before.len_bytes == len_bytes && len_bytes > 0) {
        status = tell_words(t, when, 0, t->before.data, bytes, len_bytes);
    } else {
        buffer_printf(&t->text, "%zu bytes as they were behind %s %" PRIu64, len_bytes, t->unit,
                      when->sequence);
        status = notice(t, TELLER_WHOLE);
    }
    buffer_reset(&t->before);
    return flush(t, status);
}

/* What comes does not fit to what is known, as a damaged recording's: nothing is known then, until it
 * comes whole again. */
static int lose_content(struct teller *t, const char *why)
{
    bool was_lost = t->is_lost;

    xenres_image_free(t->image);
    t->image = NULL;
    t->is_lost = true;
    if (was_lost) {
        return 0;
    }
    buffer_printf(&t->text, "the content is not known until it comes whole again: %s", why);
    return notice(t, TELLER_CUT);
}

static int on_image(void *arg, const xenres_watch_image *piece)
{
    struct teller *t = arg;

    if (t->image == NULL && xenres_image_new(IMAGE_MAX_BYTES, &t->image, &t->error) != 0) {
        return stop(t, -1);
    }
    if (piece->offset_bytes == 0 && keep_before(t) != 0) {
        return t->status;
    }
    if (piece->observation != NULL) {
        t->image_seconds = piece->observation->wall_seconds;
        t->image_nanoseconds = piece->observation->wall_nanoseconds;
    }
    xenres_error error;

    if (xenres_image_apply_piece(t->image, piece, &error) != 0) {
        return lose_content(t, error.message);
    }
    if (!piece->complete) {
        return 0;
    }
    t->is_lost = false;
    t->sums.batches += piece->first_sequence != 0 ? piece->sequence - piece->first_sequence + 1 : 0;
    return tell_image(t,
                      &(struct stamp){ piece->sequence, t->image_seconds, t->image_nanoseconds });
}

static int on_changes(void *arg, const xenres_watch_changes *m)
{
    struct teller *t = arg;
    const struct stamp when = { m->sequence, m->sampled.wall_seconds, m->sampled.wall_nanoseconds };
    size_t len_bytes = 0;
    const uint8_t *image = t->image != NULL ? xenres_image_bytes(t->image, &len_bytes, NULL) : NULL;
    const uint8_t *content = m->content;
    xenres_error error;
    int status = 0;

    for (size_t i = 0; i < m->block_count && status == 0; i++) {
        uint64_t offset = (uint64_t)m->blocks[i] * BLOCK_BYTES;

        if (image != NULL && offset + BLOCK_BYTES <= len_bytes) {
            status = tell_words(t, &when, offset, image + offset, content + i * BLOCK_BYTES,
                                BLOCK_BYTES);
        }
    }
    if (status != 0) {
        return stop(t, status);
    }
    if (t->image == NULL) {
        return lose_content(t, "no image came before these changes");
    }
    if (xenres_image_apply_changes(t->image, m, &error) != 0) {
        return lose_content(t, error.message);
    }
    t->sums.batches += m->more ? 0 : m->sequence - m->first_sequence + 1;
    return flush(t, 0);
}

/* --- decoded --- */

static struct teller_change change_of(const xenres_watch_decoded *d, uint64_t key,
                                      const char *label)
{
    return (struct teller_change){
        .mark = d->whole ? TELLER_STANDS : TELLER_CHANGED,
        .key = key,
        .label = label,
        .sequence = d->sequence,
        .wall_seconds = d->sampled.wall_seconds,
        .wall_nanoseconds = d->sampled.wall_nanoseconds,
    };
}

static int tell_grant(struct teller *t, const xenres_watch_decoded *d, const xenres_grant_change *g)
{
    char label[TELLER_LABEL_BYTES];

    (void)snprintf(label, sizeof(label), "grant %" PRIu32, g->grant.reference);
    struct teller_change change = change_of(d, g->grant.reference, label);

    if (!d->whole && g->kind == XENRES_GRANT_APPEARED) {
        change.mark = TELLER_APPEARED;
    } else if (g->kind == XENRES_GRANT_WENT_AWAY) {
        change.mark = TELLER_WENT_AWAY;
    }
    wording_grant(&t->text, &g->grant);
    if (g->has_before) {
        wording_grant(&t->before_text, &g->before);
    }
    return tell(t, &change);
}

static int tell_ioreq(struct teller *t, const xenres_watch_decoded *d, const xenres_ioreq_change *r)
{
    struct name_room state;
    char label[TELLER_LABEL_BYTES];

    (void)snprintf(label, sizeof(label), "vcpu %" PRIu32, r->ioreq.vcpu);
    struct teller_change change = change_of(d, r->ioreq.vcpu, label);

    wording_ioreq(&t->text, &r->ioreq);
    if (r->before_state != 0) {
        buffer_append_string(&t->before_text, name_ioreq_state(r->before_state, &state));
    }
    return tell(t, &change);
}

static int tell_others(struct teller *t, const xenres_watch_decoded *d)
{
    int status = 0;

    if (d->has_buffered) {
        struct teller_change change = change_of(d, QUEUE_KEY, "buffered");

        wording_queue(&t->text, d);
        status = tell(t, &change);
    }
    for (size_t i = 0; i < d->vcpu_count && status == 0; i++) {
        char label[TELLER_LABEL_BYTES];

        (void)snprintf(label, sizeof(label), "vcpu %" PRIu32, d->vcpus[i].vcpu);
        struct teller_change change = change_of(d, d->vcpus[i].vcpu, label);

        wording_vcpu(&t->text, &d->vcpus[i]);
        status = tell(t, &change);
    }
    return status;
}

static int on_decoded(void *arg, const xenres_watch_decoded *d)
{
    struct teller *t = arg;
    int status = 0;

    if (d->whole && !t->whole_goes_on) {
        buffer_printf(&t->text, "decoded as it was behind %s %" PRIu64, t->unit, d->sequence);
        status = notice(t, TELLER_WHOLE);
    }
    t->whole_goes_on = d->whole && d->more;
    for (size_t i = 0; i < d->grant_count && status == 0; i++) {
        status = tell_grant(t, d, &d->grants[i]);
    }
    for (size_t i = 0; i < d->ioreq_count && status == 0; i++) {
        status = tell_ioreq(t, d, &d->ioreqs[i]);
    }
    status = status == 0 ? tell_others(t, d) : status;
    if (!d->more && d->first_sequence != 0) {
        t->sums.batches += d->sequence - d->first_sequence + 1;
    }
    return flush(t, status);
}

/* --- domains --- */

static int tell_domain(struct teller *t, const xenres_domain *d, struct teller_change *change)
{
    char label[TELLER_LABEL_BYTES];

    (void)snprintf(label, sizeof(label), "domain %" PRIu32, d->identity.domid);
    change->label = label;
    change->key = d->identity.domid;
    wording_domain(&t->text, d);
    return tell(t, change);
}

static int on_list(void *arg, const xenres_domains_piece *piece)
{
    struct teller *t = arg;
    int status = 0;

    if (!t->whole_goes_on) {
        buffer_printf(&t->text, "the domains as they were behind %s %" PRIu64, t->unit,
                      piece->sequence);
        status = notice(t, TELLER_WHOLE);
    }
    t->whole_goes_on = !piece->complete;
    for (size_t i = 0; i < piece->domain_count && status == 0; i++) {
        struct teller_change change = { .mark = TELLER_STANDS, .sequence = piece->sequence };

        status = tell_domain(t, &piece->domains[i], &change);
    }
    return flush(t, status);
}

static int on_change(void *arg, const xenres_domain_change *c)
{
    struct teller *t = arg;
    struct teller_change change = {
        .mark = c->kind == XENRES_DOMAIN_CHANGE_CREATED ? TELLER_APPEARED
                : c->kind == XENRES_DOMAIN_CHANGE_GONE  ? TELLER_WENT_AWAY
                                                        : TELLER_CHANGED,
        .sequence = c->sequence,
        .wall_seconds = c->wall_seconds,
        .wall_nanoseconds = c->wall_nanoseconds,
    };

    if (c->kind == XENRES_DOMAIN_CHANGE_RENAMED) {
        render_safe(&t->before_text, c->previous_name);
    }
    t->sums.batches++;
    return flush(t, tell_domain(t, &c->domain, &change));
}

static int on_domains_begin(void *arg, const xenres_domains_begin *begin)
{
    struct teller *t = arg;

    t->unit = "event";
    t->whole_goes_on = false;
    buffer_append_string(&t->text, begin->resumed ? "domains, going on behind " : "domains");
    if (begin->resumed) {
        wording_numbers(&t->text, t->unit, begin->sequence, begin->sequence);
    }
    return notice(t, TELLER_BEGIN);
}

/* --- of both --- */

static int on_begin(void *arg, const xenres_watch_begin *begin)
{
    struct teller *t = arg;

    t->whole_goes_on = false;
    wording_begin(&t->text, begin);
    if (begin->resumed) {
        buffer_append_string(&t->text, ", going on behind ");
        wording_numbers(&t->text, t->unit, begin->sequence, begin->sequence);
    }
    return notice(t, TELLER_BEGIN);
}

static int on_gap(void *arg, const xenres_watch_gap *gap)
{
    struct teller *t = arg;

    t->sums.gaps++;
    t->sums.lost += gap->first_sequence != 0 && gap->first_sequence <= gap->sequence
                        ? gap->sequence - gap->first_sequence + 1
                        : 0;
    wording_gap(&t->text, t->unit, gap);
    return notice(t, TELLER_GAP);
}

static int on_heartbeat(void *arg, const xenres_watch_heartbeat *heartbeat)
{
    struct teller *t = arg;

    return t->out->alive != NULL ? stop(t, t->out->alive(t->out->arg, heartbeat)) : 0;
}

static int on_end(void *arg, const xenres_watch_end *end)
{
    struct teller *t = arg;

    wording_end(&t->text, end);
    return notice(t, TELLER_END);
}

static int on_interrupted(void *arg, const xenres_watch_interruption *interruption)
{
    struct teller *t = arg;

    wording_interruption(&t->text, interruption);
    return notice(t, TELLER_CUT);
}

xenres_watch_sink teller_sink(struct teller *t)
{
    return (xenres_watch_sink){
        .size = sizeof(xenres_watch_sink),
        .begin = on_begin,
        .image = on_image,
        .changes = on_changes,
        .decoded = on_decoded,
        .gap = on_gap,
        .heartbeat = on_heartbeat,
        .end = on_end,
        .interrupted = on_interrupted,
        .arg = t,
    };
}

xenres_domains_sink teller_domains_sink(struct teller *t)
{
    return (xenres_domains_sink){
        .size = sizeof(xenres_domains_sink),
        .begin = on_domains_begin,
        .list = on_list,
        .change = on_change,
        .gap = on_gap,
        .heartbeat = on_heartbeat,
        .end = on_end,
        .interrupted = on_interrupted,
        .arg = t,
    };
}
