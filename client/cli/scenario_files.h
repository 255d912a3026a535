/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/*
 * A recording of a grant table or of an ioreq server's pages as what xenresd-mapper-sim serves: a
 * scenario (xenresd-scenario(5)) with the domain as it was, and the play file that it names, with the
 * content and its changes at their times. What one play cannot hold ends it, and is told: a table
 * of another size or version, more than the simulator reads. One of domains needs no play.
 */
#ifndef XENRES_CLI_SCENARIO_FILES_H
#define XENRES_CLI_SCENARIO_FILES_H

#include "client/cli/recording_reader.h"

enum {
    SCENARIO_FILES_FRAMES_MAX = 4096, /* all three are the simulator's */
    SCENARIO_FILES_PLAY_MAX_BYTES = 64 << 20,
    SCENARIO_FILES_DOMID_MAX = 32751,
};

/* Writes `name`.scenario and, but for domains, `name`.play, each when it is whole. Not 0: reported; the
 * exit status. */
int scenario_files_write(struct recording_reader *reader, const char *name);

#endif
