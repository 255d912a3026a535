#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# `make install` into an empty folder: the programs run from there, and C and C++ programs are built
# with what is there alone.
# shellcheck source=tests/lib/functions.sh
. "$(dirname "$0")/../lib/functions.sh"
requires make cc g++ pkg-config readelf

root=$work/root
usr=$root/usr

# Without the variables of the make that runs the tests.
install_all() {
    env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS make -C "$top" --no-print-directory install DESTDIR="$root" PREFIX=/usr
    local file
    for file in bin/xenres sbin/xenresd sbin/xenresd-mapper-sim include/xenres.h include/xenres/watch.h \
        include/xenres/trace.h include/xenres/access.h lib/libxenres.so.1 lib/libxenres.so lib/libxenres.a lib/pkgconfig/xenres.pc share/man/man1/xenres.1 \
        share/man/man3/libxenres.3 share/man/man5/xenresd.conf.5 share/man/man7/xenresd-metrics.7 \
        share/man/man8/xenresd.8 \
        share/xenresd/proto/xenres/v1/host.proto share/xenresd/proto/google/rpc/error_details.proto \
        lib/systemd/system/xenresd.service lib/systemd/system/xenresd-mapper.service lib/sysusers.d/xenresd.conf \
        lib/systemd/system/xenresd.socket lib/systemd/system/xenresd-health.socket \
        share/bash-completion/completions/xenres share/zsh/site-functions/_xenres; do
        [ -s "$usr/$file" ] || { echo "there is no $file"; return 1; }
    done
    same "$(readelf -d "$usr/lib/libxenres.so.1" | sed -n 's/.*SONAME.*\[\(.*\)\]/\1/p')" libxenres.so.1 soname
    same "$(grep -rlF "$root" "$usr" || true)" "" "files with the name of DESTDIR in them"
    grep -q '^ExecStart=/usr/sbin/xenresd ' "$usr/lib/systemd/system/xenresd.service"
    same "$(grep -rl /usr/local "$usr/lib/systemd" || true)" "" "units that name another prefix"
}

xenres_pc() { PKG_CONFIG_SYSROOT_DIR=$root PKG_CONFIG_PATH=$usr/lib/pkgconfig pkg-config "$@" xenres; }

# shellcheck disable=SC2046  # flags are words
builds_with() { # COMPILER...
    "$@" -Wall -Wextra -Wpedantic -Werror "$work/asks.c" $(xenres_pc --cflags --libs) -o "$work/asks"
    same "$(LD_LIBRARY_PATH=$usr/lib "$work/asks")" "sim" "the backend that it was told"
}

the_static_library_is_enough() {
    cc -I"$usr/include" "$work/asks.c" "$usr/lib/libxenres.a" -lcurl -lprotobuf-c -ljansson -lz -o "$work/asks"
    same "$(readelf -d "$work/asks" | grep -c libxenres || true)" 0 "shared libxenres"
    same "$("$work/asks")" sim
}

the_installed_programs_work_together() {
    same "$("$usr/bin/xenres" -o json host | grep -c '"backend": "sim"')" 1
}

cat >"$work/asks.c" <<'END'
#include <stdio.h>
#include <xenres.h>

int main(void)
{
    xenres_options options = XENRES_OPTIONS_INIT;
    xenres *handle;
    xenres_reply *reply;
    const xenres_host *host;
    xenres_error error;

    xenres_options_from_environment(&options);
    if (xenres_new(&options, &handle, &error) != 0) {
        puts(error.message);
        return 1;
    }
    if (xenres_get_host(handle, &reply, &host, &error) != 0) {
        puts(error.message);
        xenres_free(handle);
        return 1;
    }
    puts(host->backend);
    xenres_reply_free(reply);
    xenres_free(handle);
    return 0;
}
END
check "all is installed, where DESTDIR and PREFIX say" install_all
start demo "$usr/sbin/xenresd" --demo "$work/demo"
wait_file demo "$work/demo/env" 30
# shellcheck source=/dev/null
. "$work/demo/env"
check "the installed programs work together" the_installed_programs_work_together
check "a C program is built with pkg-config" builds_with cc -std=c99
check "a C++ program is built with pkg-config" builds_with g++ -std=c++11 -x c++
check "the static library is enough" the_static_library_is_enough
