#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# What each program is linked with, as a list of what is allowed: the privileged program has no TLS,
# HTTP, protobuf, JSON or configuration library in its address space, and the program that talks to
# the network has no way to Xen. Also what must not have been compiled in.
# shellcheck source=tests/lib/functions.sh
. "$(dirname "$0")/../lib/functions.sh"
requires readelf nm make

base='libc.so.6 libm.so.6 ld-linux-x86-64.so.2 ld-linux-aarch64.so.1 libgcc_s.so.1'
base+=' libasan.so.* libubsan.so.* libtsan.so.*' # of the sanitized build
service='libsystemd.so.0 libseccomp.so.2'
xen='libxenforeignmemory.so.1 libxenctrl.so.* libxenstore.so.* libxentoollog.so.1'
server='libmicrohttpd.so.12 libgnutls.so.30 libssl.so.3 libcrypto.so.3 libprotobuf-c.so.1'
server+=' libjansson.so.4 libconfuse.so.2 libxxhash.so.0 libz.so.1 libzstd.so.1'

needed() { # FILE
    readelf -dW "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'
}

is_built() { # NAME
    [ -e "$BUILD/$1" ] && return
    case $1 in
    xenresd-mapper)
        [ -e /usr/include/xenforeignmemory.h ] || skip "no Xen headers here: it is not built"
        ;;
    esac
    echo "there is no $BUILD/$1"
    return 1
}

needs_only() { # NAME LIBRARY-PATTERN...
    local name=$1 library pattern found wrong=0
    shift
    is_built "$name"
    for library in $(needed "$BUILD/$name"); do
        found=no
        for pattern in "$@"; do
            # shellcheck disable=SC2053  # a glob
            [[ $library != $pattern ]] || found=yes
        done
        [ "$found" = yes ] || { echo "$name is linked with $library"; wrong=1; }
    done
    return "$wrong"
}

# Symbols defined in it, also those that another library brought in.
has_no_symbol() { # NAME EXTENDED-REGEX
    is_built "$1"
    local symbols
    symbols=$(nm "$BUILD/$1" | awk '{print $NF}')
    [ "$(wc -l <<<"$symbols")" -gt 20 ] || { echo "$1 has no symbol table to look at"; return 1; }
    same "$(grep -E "$2" <<<"$symbols" || true)" "" "symbols in $1"
}

# Not dlopen either: a link set says nothing of what comes later.
loads_nothing_later() { # NAME
    is_built "$1"
    same "$(nm -D --undefined-only "$BUILD/$1" | grep -oE '\bdl(m?open|sym)\b' || true)" "" dlopen
}

# What make would do; that no other folder needs the headers is includes.sh's.
all_but_the_mapper_is_built_without_xens_headers() {
    local commands
    commands=$(MAKEFLAGS= make -C "$top" -n -s have_xen= BUILD="$work/nothing" all)
    same "$(grep -oP '^printf .* LINK \S*/\K[^; ]+' <<<"$commands" | sort | tr '\n' ' ')" \
        "libxenres.so.1 xenres xenresd xenresd-mapper-sim " "what is linked"
    same "$(grep -c server/mapper/xen <<<"$commands" || true)" 0 "commands about the xen backend"
}

set -f # patterns are ours to match
# shellcheck disable=SC2086  # lists
{
    check "xenresd-mapper is linked with Xen's libraries alone" \
        needs_only xenresd-mapper $base $service $xen libxxhash.so.0
    check "xenresd-mapper-sim has no Xen library" \
        needs_only xenresd-mapper-sim $base $service libxxhash.so.0 libconfuse.so.2
    check "xenresd has no Xen library" needs_only xenresd $base $service $server
    check "xenres has its library, protobuf, JSON, a checksum and a decoder" \
        needs_only xenres $base libxenres.so.1 libprotobuf-c.so.1 libjansson.so.4 libz.so.1 libipt.so.2
    check "libxenres has curl, OpenSSL, protobuf and JSON" \
        needs_only libxenres.so.1 $base libcurl.so.4 libssl.so.3 libcrypto.so.3 libprotobuf-c.so.1 \
        libjansson.so.4 libz.so.1 libzstd.so.1
}
set +f
check "xenresd-mapper has no simulator and no parser in it" \
    has_no_symbol xenresd-mapper '^(sim_|scenario_|cfg_|settings_|protobuf_c_|SSL_|curl_|json_|MHD_)'
check "xenresd-mapper-sim makes no call to Xen" \
    has_no_symbol xenresd-mapper-sim '^(xc_|xs_|xenforeignmemory_|xencall_|xengnttab_)'
check "xenresd makes no call to Xen" \
    has_no_symbol xenresd '^(xc_|xs_open|xenforeignmemory_|backend_ops|arena_new)'
check "without Xen's headers all but xenresd-mapper is built" all_but_the_mapper_is_built_without_xens_headers
for program in xenresd-mapper xenresd-mapper-sim xenresd xenres; do
    check "$program loads nothing later" loads_nothing_later "$program"
done
