#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# What libxenres exports is what its headers declare and its version script lists: no more (it would
# become an interface), no less (a caller would not link).
# shellcheck source=tests/lib/functions.sh
. "$(dirname "$0")/../lib/functions.sh"
requires nm readelf cc

library=$BUILD/libxenres.so.1
header=$top/client/include/xenres.h
map=$top/client/libxenres.map

exported() { # of the library; the version nodes are absolute symbols
    nm -D --defined-only "$library" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort -u
}

declared() { # functions that the compiler sees in the headers
    cc -E -P -I"$top/client/include" "$header" | tr '\n' ' ' | tr ';{}' '\n' | grep -v '\btypedef\b' |
        grep -oP '\bxenres_\w+(?=\s*\()' | sort -u
}

listed() {
    sed 's,/\*.*\*/,,' "$map" | grep -oP '\bxenres_\w+(?=\s*;)' | sort -u
}

exports_are_the_headers() {
    same "$(exported)" "$(declared)" "exported symbols, and functions of xenres.h"
}

exports_are_the_maps() {
    contains "$(cat "$map")" 'local:' "the version script"
    contains "$(tr -d ' \n' <"$map")" 'local:*;' "the version script"
    if grep -qP '\bxenres_\*' "$map"; then # a pattern: only the prefix can be held to
        same "$(exported | grep -v '^xenres_' || true)" "" "symbols without the prefix"
    else
        same "$(exported)" "$(listed)" "exported symbols, and those of the version script"
    fi
}

has_its_soname() {
    same "$(readelf -dW "$library" | sed -n 's/.*(SONAME).*\[\(.*\)\]/\1/p')" libxenres.so.1 soname
}

every_symbol_has_a_version() {
    same "$(nm -D --defined-only "$library" | awk '$2 != "A" && $3 !~ /@@/ { print $3 }')" "" \
        "symbols without a version"
}

programs_export_nothing() {
    local program symbols wrong=0
    for program in xenresd xenresd-mapper xenresd-mapper-sim xenres; do
        [ -e "$BUILD/$program" ] || continue
        symbols=$(nm -D --defined-only "$BUILD/$program" |
            awk '$2 ~ /[TtDdRr]/ && $3 !~ /^(_|__)/ { print $3 }' | grep -vE 'asan|ubsan|sanitizer' || true)
        # The C library's own variables are copied into programs.
        symbols=$(grep -vE '^(stdin|stdout|stderr|optarg|optind|opterr|optopt|environ)(@|$)' <<<"$symbols" || true)
        # Stand in front of the library's own on purpose: see server/http/outflow.h and inflow.h.
        [ "$program" != xenresd ] ||
            symbols=$(grep -vxE 'gnutls_record_(send|recv)' <<<"$symbols" || true)
        [ -z "$symbols" ] || { echo "$program exports: $symbols"; wrong=1; }
    done
    return "$wrong"
}

there_is_a_library() {
    [ -e "$library" ] || { echo "there is no $library"; return 1; }
    [ "$(exported | wc -l)" -gt 0 ] || { echo "it exports nothing"; return 1; }
}

check "there is a library, and it exports something" there_is_a_library
check "exported symbols are those of the header" exports_are_the_headers
check "exported symbols are those of the version script" exports_are_the_maps
check "every exported symbol has a version" every_symbol_has_a_version
check "the soname is libxenres.so.1" has_its_soname
check "programs export nothing" programs_export_nothing
