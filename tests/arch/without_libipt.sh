#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# time-limit: 120
# Where libipt is not there everything is built but the decoding of packets, and the command says so. Of what is
# built already, only what differs is built again, in a folder of the test's own.
# shellcheck source=tests/lib/functions.sh
. "$(dirname "$0")/../lib/functions.sh"
requires make cc readelf

# As in a build of its own, without the variables of the make that runs the tests.
make_without() { # OPTION...
    local sanitize=
    if [[ $BUILD =~ /sanitize-([a-z-]+)$ ]]; then
        sanitize=${BASH_REMATCH[1]//-/,}
    fi
    env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS make -C "$top" --no-print-directory DEVELOPER=1 have_ipt= \
        ${sanitize:+"SANITIZE=$sanitize"} "$@"
}

nothing_else_needs_it() {
    make_without -n V=1 BUILD="$work/nothing" all >"$work/commands"
    contains "$(cat "$work/commands")" client/cli/trace_packets_none.c
    same "$(grep -Ec -- '-lipt|trace_packet_text|trace_packets\.' "$work/commands" || true)" 0 "uses of libipt"
}

the_command_says_that_it_has_no_decoder() {
    mkdir -p "$work/build/client"
    cp -a "$BUILD/client/cli" "$work/build/client/"
    cp -a "$BUILD/common" "$BUILD/gen" "$BUILD/proto" "$BUILD/pic" "$BUILD"/libxenres.so* "$work/build/"
    make_without BUILD="$work/build" "$work/build/xenres"
    same "$(readelf -d "$work/build/xenres" | grep -c libipt || true)" 0 "uses of libipt"
    fails 22 "$work/build/xenres" trace packets "$work"
    contains "$(cat "$work/said")" "this xenres was built without libipt"
    contains "$(cat "$work/said")" "install libipt-dev and build it anew, or use libipt's ptdump"
}

check "nothing else needs it" nothing_else_needs_it
check "the command says that it has no decoder" the_command_says_that_it_has_no_decoder
