#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# What compiler and linker were asked to do against attackers, read back from what they made.
# shellcheck source=tests/lib/functions.sh
. "$(dirname "$0")/../lib/functions.sh"
requires readelf nm

binaries() {
    local name
    for name in xenresd xenresd-mapper xenresd-mapper-sim xenres libxenres.so.1; do
        [ ! -e "$BUILD/$name" ] || echo "$name"
    done
}

there_are_binaries() {
    [ "$(binaries | wc -l)" -ge 4 ] || { echo "built are only: $(binaries | tr '\n' ' ')"; return 1; }
}

is_position_independent() { # NAME
    contains "$(readelf -hW "$BUILD/$1")" 'DYN (' "$1's type"
    case $1 in
    *.so.*) ;;
    *) contains "$(readelf -dW "$BUILD/$1" | grep FLAGS_1)" PIE "$1's flags" ;;
    esac
}

is_read_only_after_start() { # NAME: relocations are done at once, then their table is sealed
    contains "$(readelf -lW "$BUILD/$1")" GNU_RELRO "$1's segments"
    contains "$(readelf -dW "$BUILD/$1" | grep FLAGS_1)" NOW "$1's flags"
    same "$(readelf -dW "$BUILD/$1" | grep TEXTREL || true)" "" "text relocations"
}

has_no_memory_to_write_and_execute() { # NAME
    local line
    line=$(readelf -lW "$BUILD/$1" | grep GNU_STACK)
    contains "$line" "RW " "$1's stack"
    same "$(readelf -lW "$BUILD/$1" | grep -E 'LOAD.* RWE ' || true)" "" "segments"
}

has_stack_protector_and_fortify() { # NAME
    local imports
    imports=$(nm -D --undefined-only "$BUILD/$1")
    contains "$imports" __stack_chk_fail "$1's imports"
    [[ $imports =~ __[a-z]+_chk ]] || { echo "$1 imports no fortified function"; return 1; }
}

# An element that is empty, relative or writable by others lets them replace a library. `xenres` alone,
# which has no privilege, finds its own beside itself or in the lib/ of its prefix.
searches_no_folder_for_libraries() { # NAME
    local path
    path=$(readelf -dW "$BUILD/$1" | sed -nE 's/.*\((RPATH|RUNPATH)\).*\[(.*)\]/\2/p')
    # shellcheck disable=SC2016  # the loader expands it
    case $1:$path in
    xenres:'$ORIGIN' | xenres:'$ORIGIN:$ORIGIN/../lib') ;;
    *) same "$path" "" "$1's search path" ;;
    esac
}

# In objects, as the linker keeps the note only where the C library's start files have it, too.
objects_keep_to_control_flow_enforcement() {
    [ "$(uname -m)" = x86_64 ] || skip "of x86-64 alone"
    local object wrong=0 count=0
    while read -r object; do
        count=$((count + 1))
        [[ $(readelf -nW "$object") == *IBT*SHSTK* ]] || { echo "${object#"$BUILD"/}: no note"; wrong=1; }
    done < <(find "$BUILD/common" "$BUILD/server" "$BUILD/client" "$BUILD/auth" -name '*.o')
    [ "$count" -gt 10 ] || { echo "only $count objects"; return 1; }
    return "$wrong"
}

check "there are binaries to look at" there_are_binaries
for name in $(binaries); do
    check "$name is position independent" is_position_independent "$name"
    check "$name is sealed after its start" is_read_only_after_start "$name"
    check "$name has nothing both writable and executable" has_no_memory_to_write_and_execute "$name"
    # The instrumented build has the sanitizer instead of these.
    [[ $BUILD == */sanitize-* ]] ||
        check "$name has stack protector and fortified functions" has_stack_protector_and_fortify "$name"
    check "$name searches no folder for libraries" searches_no_folder_for_libraries "$name"
done
[[ $BUILD == */sanitize-* ]] ||
    check "objects keep to control flow enforcement" objects_keep_to_control_flow_enforcement
