/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (C) 2026 The xenresd authors */

/* In the place of trace_packets.c where there is no libipt. */
#include "client/cli/report.h"
#include "client/cli/trace_packets.h"

int trace_packets_run(const struct trace_packets_options *options)
{
    (void)options;
    (void)report_local("this xenres was built without libipt", "", 0,
                       "install libipt-dev and build it anew, or use libipt's ptdump");
    return error_exit_status(ERROR_UNIMPLEMENTED);
}
