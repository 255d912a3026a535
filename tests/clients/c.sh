#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# The example in C, against libxenres as it is installed.
# shellcheck source=tests/lib/functions.sh
. "$(dirname "$0")/../lib/functions.sh"
requires jq curl make cc pkg-config
# shellcheck source=tests/clients/clients.sh
. "$top/tests/clients/clients.sh"

install_the_library() { # without the variables of the make that runs the tests
    env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS make -C "$top" --no-print-directory install PREFIX="$work/usr"
}

mapfile -t commands < <(readme c)
make_workspace c
start_gateway
check "libxenres is installed" install_the_library
export PKG_CONFIG_PATH=$work/usr/lib/pkgconfig LD_LIBRARY_PATH=$work/usr/lib
check "the example is built" in_workspace "${commands[0]}"
check "the example gives no reason for a warning" \
    in_workspace "${commands[0]} -std=c99 -Wall -Wextra -Wpedantic -Wconversion -Werror"
check "the example does its job" does_the_job "${commands[1]}"
