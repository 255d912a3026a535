/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * Any bytes as a recording's file: every byte of it is accounted for, and it is verified and told in
 * words as a proper one is. Fuzzers do not forge checksums: so the same bytes are tried a second time as
 * the messages alone, each behind its length in four bytes, in a file that is made of them.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "client/cli/teller.h"
#include "client/cli/verification.h"

enum { FILE_MAX_BYTES = 64 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds) {
        abort();
    }
}

static int open_bytes(const uint8_t *bytes, size_t len)
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);

    check(fd >= 0 && write(fd, bytes, len) == (ssize_t)len && lseek(fd, 0, SEEK_SET) == 0);
    return fd;
}

/* --- what is told: harmless, whatever is in it --- */

static void check_text(const char *text)
{
    for (; *text != '\0'; text++) {
        check((unsigned char)*text >= ' ' && *text != '\x7f');
    }
}

static int on_change(void *arg, const struct teller_change *change)
{
    (void)arg;
    check_text(change->label);
    check_text(change->text);
    check_text(change->before);
    return 0;
}

static int on_notice(void *arg, enum teller_notice notice, const char *text)
{
    (void)arg;
    (void)notice;
    check_text(text);
    return 0;
}

static int on_flush(void *arg, const struct teller_sums *sums)
{
    (void)arg;
    (void)sums;
    return 0;
}

static void tell(const uint8_t *bytes, size_t len)
{
    static const struct teller_out out = { .change = on_change,
                                           .notice = on_notice,
                                           .flush = on_flush };
    RECORDING_READER_AUTO r = { 0 };
    TELLER_AUTO teller;
    struct ledger ledger;

    teller_init(&teller, &out);
    ledger_init(&ledger, NULL, NULL);
    const xenres_watch_sink sink = teller_sink(&teller);
    const xenres_domains_sink domains = teller_domains_sink(&teller);
    struct player player = { .ledger = &ledger, .sink = &sink, .domains = &domains };

    if (recording_reader_open(&r, open_bytes(bytes, len), NULL) == 0) {
        int result = player_run(&player, &r, NULL);

        check(result == 0 || teller.status != 0);
    }
}

static void read_all(const uint8_t *bytes, size_t len)
{
    RECORDING_READER_AUTO r = { 0 };
    struct recording_step step = { .found = RECORDING_FOUND_RECORD };
    uint64_t at = RECORDING_HEADER_BYTES;

    if (recording_reader_open(&r, open_bytes(bytes, len), NULL) != 0) {
        return;
    }
    while (step.found != RECORDING_FOUND_END) {
        check(recording_reader_next(&r, &step, NULL) == 0);
        check(step.offset_bytes == at);
        at += step.len_bytes;
    }
    check(at == len);
}

static void verify(const uint8_t *bytes, size_t len)
{
    RECORDING_READER_AUTO r = { 0 };
    VERIFICATION_AUTO v = { 0 };

    if (recording_reader_open(&r, open_bytes(bytes, len), NULL) != 0) {
        return;
    }
    check(verification_run(&v, &r, NULL) == 0);
    check(verification_is_complete(&v) == (v.finding_count == 0));
    check(v.finding_count <= VERIFICATION_FINDINGS_MAX);
    check(v.ledger.gaps + v.ledger.faults + v.player.flaws <= v.finding_count + v.left_off);
}

static void try_file(const uint8_t *bytes, size_t len)
{
    read_all(bytes, len);
    verify(bytes, len);
    tell(bytes, len);
}

static void append_record(struct buffer *file, uint64_t index, uint32_t kind,
                          const uint8_t *payload, size_t len)
{
    const struct recording_record record = {
        .kind = kind, .index = index, .wall_ns = index, .payload = payload, .len_bytes = len
    };
    uint8_t *head = buffer_extend(file, RECORDING_HEAD_BYTES);

    check(head != NULL);
    recording_put_head(&record, head);
    buffer_append(file, payload, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    BUFFER_AUTO(file, FILE_MAX_BYTES);
    size_t at = 1;

    try_file(data, size);
    if (size == 0) {
        return 0;
    }
    recording_put_header(data[0] % 2 == 0 ? RECORDING_OF_RESOURCE : RECORDING_OF_DOMAINS,
                         buffer_extend(&file, RECORDING_HEADER_BYTES));
    for (uint64_t index = 0; size - at >= 4; index++) {
        size_t len = (size_t)data[at] << 16 | (size_t)data[at + 1] << 8 | data[at + 2];
        uint32_t kind = data[at + 3];

        at += 4;
        len = len < size - at ? len : size - at;
        append_record(&file, index, kind, data + at, len);
        at += len;
    }
    try_file(file.data, file.len_bytes);
    return 0;
}
