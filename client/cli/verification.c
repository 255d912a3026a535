/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

#include "client/cli/verification.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/wording.h"
#include "common/clock.h"

enum { TITLE_MAX_BYTES = 4096 };

const char *verification_kind_name(enum verification_kind kind)
{
    static const char *const names[] = {
        [VERIFICATION_GAP] = "gap",
        [VERIFICATION_HOLE] = "hole",
        [VERIFICATION_TAIL] = "tail",
        [VERIFICATION_NEW_FEED] = "new_feed",
        [VERIFICATION_IMAGE_CUT] = "image_cut",
        [VERIFICATION_BATCH_CUT] = "batch_cut",
        [VERIFICATION_NO_IMAGE] = "no_image",
        [VERIFICATION_NONSENSE] = "nonsense",
        [VERIFICATION_DAMAGED] = "damaged",
        [VERIFICATION_RECORDS_MISSING] = "records_missing",
        [VERIFICATION_UNREADABLE] = "unreadable",
        [VERIFICATION_TORN] = "torn",
        [VERIFICATION_CUT_OFF] = "cut_off",
        [VERIFICATION_NOT_CLOSED] = "not_closed",
        [VERIFICATION_EMPTY] = "empty",
    };

    return names[kind];
}

/* A new row, with the place that the player is at; NULL: there are too many. */
static struct verification_finding *add(struct verification *v, enum verification_kind kind,
                                        const char *detail)
{
    if (v->finding_count >= VERIFICATION_FINDINGS_MAX) {
        v->left_off++;
        return NULL;
    }
    struct verification_finding *finding = &v->findings[v->finding_count++];

    *finding = (struct verification_finding){
        .kind = kind,
        .seconds = (int64_t)(v->player.wall_ns / CLOCK_NS_PER_S),
        .nanoseconds = (uint32_t)(v->player.wall_ns % CLOCK_NS_PER_S),
        .offset_bytes = v->player.offset_bytes,
    };
    (void)snprintf(finding->detail, sizeof(finding->detail), "%s", detail);
    return finding;
}

static void on_found(void *arg, const struct ledger_finding *found)
{
    struct verification *v = arg;
    struct verification_finding *finding =
        add(v, (enum verification_kind)found->fault, found->detail);

    if (finding == NULL) {
        return;
    }
    finding->first = found->first;
    finding->last = found->last;
    finding->at_least = found->at_least;
    finding->blocks = found->blocks;
    finding->reason = found->reason;
    if (found->seconds != 0) {
        finding->seconds = found->seconds;
        finding->nanoseconds = found->nanoseconds;
    }
}

static void on_flaw(void *arg, const struct player_flaw *flaw)
{
    static const struct {
        enum verification_kind kind;
        const char *detail;
    } rows[] = {
        [PLAYER_DAMAGED] = { VERIFICATION_DAMAGED, "it is not as it was written" },
        [PLAYER_RECORDS_MISSING] = { VERIFICATION_RECORDS_MISSING,
                                     "the file has been cut and put together" },
        [PLAYER_UNREADABLE] = { VERIFICATION_UNREADABLE,
                                "the head of a record is damaged: nothing behind it can be found" },
        [PLAYER_TORN] = { VERIFICATION_TORN,
                          "the recorder was killed, or its machine stopped, while it wrote" },
    };
    struct verification *v = arg;
    struct verification_finding *finding = add(v, rows[flaw->kind].kind, rows[flaw->kind].detail);

    if (finding != NULL) {
        finding->offset_bytes = flaw->offset_bytes;
        finding->len_bytes = flaw->len_bytes;
        finding->first = flaw->first_record;
        finding->last = flaw->last_record;
    }
}

static int on_begin(void *arg, const xenres_watch_begin *begin)
{
    struct verification *v = arg;

    if (v->title.len_bytes == 0) {
        wording_begin(&v->title, begin);
    }
    return 0;
}

/* What came behind the last number, if anything. */
static void add_rest(struct verification *v, enum verification_kind kind, const char *why)
{
    char detail[LEDGER_EXCUSE_MAX_BYTES + 1];

    (void)snprintf(detail, sizeof(detail), "%s: what came behind %s %" PRIu64 " is not in it", why,
                   v->stream == RECORDING_OF_RESOURCE ? "batch" : "event", v->ledger.last);
    struct verification_finding *finding = add(v, kind, detail);

    if (finding != NULL) {
        finding->offset_bytes = v->player.end_bytes;
    }
}

/* Is there anything that says that it is all? */
static void look_at_the_end(struct verification *v)
{
    ledger_close(&v->ledger);
    if (v->ledger.messages == 0) {
        (void)add(v, VERIFICATION_EMPTY, "nothing was received");
    }
    if (!v->player.is_closed) {
        add_rest(v, VERIFICATION_NOT_CLOSED, "the recorder was killed, or still runs");
    } else if (v->player.closed.code != 0) {
        add_rest(v, VERIFICATION_CUT_OFF, "it was ended by a failure");
    } else if (v->player.is_cut) {
        add_rest(v, VERIFICATION_CUT_OFF, "it was ended in an interruption");
    }
}

int verification_run(struct verification *v, struct recording_reader *r, struct failure *f)
{
    const xenres_watch_sink sink = { .size = sizeof(sink), .begin = on_begin, .arg = v };

    *v = (struct verification){ .stream = r->stream };
    buffer_init(&v->title, TITLE_MAX_BYTES);
    ledger_init(&v->ledger, on_found, v);
    v->player = (struct player){ .ledger = &v->ledger, .sink = &sink, .flaw = on_flaw, .arg = v };
    v->findings = calloc(VERIFICATION_FINDINGS_MAX, sizeof(*v->findings));
    if (v->findings == NULL) {
        return failure_set(f, ERROR_RESOURCE_EXHAUSTED, "no memory");
    }
    int result = player_run(&v->player, r, f);

    v->player.sink = NULL;
    if (result == 0) {
        look_at_the_end(v);
    }
    return result;
}

bool verification_is_complete(const struct verification *v)
{
    return v->finding_count == 0;
}

void verification_done(struct verification *v)
{
    free(v->findings);
    v->findings = NULL;
    buffer_done(&v->title);
}
