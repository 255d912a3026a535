#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# Every header compiles alone, so that no file depends on the order of its includes; the public one
# in C of every age, and in C++, with nothing but itself in the include path.
# time-limit: 300
# shellcheck source=tests/lib/functions.sh
. "$(dirname "$0")/../lib/functions.sh"

cc=${CC:-cc}
requires "$cc"
public=client/include/xenres.h # and what it includes of ours

compiles() { # HEADER: twice included, too
    printf '#include "%s"\n#include "%s"\n' "$1" "$1" >"$work/alone.c"
    "$cc" -std=gnu17 -D_GNU_SOURCE -DXENRES_VERSION='"0"' -Wall -Wextra -Werror -fsyntax-only \
        -I"$top" -I"$top/client/include" -I"$BUILD/gen" "$work/alone.c"
}

public_in() { # COMPILER STANDARD LANGUAGE HEADER
    command -v "$1" >/dev/null || skip "needs $1"
    printf '#include <%s>\nint main(void) { return 0; }\n' "$4" >"$work/public.$3"
    # Not by -I: that of a system folder would hide warnings.
    "$1" -std="$2" -x "$3" -Wall -Wextra -Wpedantic -Werror -fsyntax-only \
        -I"$top/$(dirname "$public")" "$work/public.$3"
}

public_links_in_cplusplus() { # the names must be C's
    command -v g++ >/dev/null || skip "needs g++"
    local name
    [ -e "$BUILD/libxenres.so.1" ] || { echo "there is no $BUILD/libxenres.so.1"; return 1; }
    name=$(grep -oP '\bxenres_\w+(?=\()' "$top/$public" | sort -u | head -n 1)
    printf '#include <xenres.h>\nvoid *volatile p;\nint main() { p = reinterpret_cast<void *>(&%s); }\n' \
        "$name" >"$work/link.cc"
    # shellcheck disable=SC2046  # flags
    g++ -std=c++11 -Wall -Wextra -Werror $(sanitize_flags) -I"$top/$(dirname "$public")" \
        -o "$work/link" "$work/link.cc" "$BUILD/libxenres.so.1"
}

sanitize_flags() {
    nm -D "$BUILD/libxenres.so.1" | grep -q __asan_ && echo "-fsanitize=address,undefined" || true
}

for header in $(cd "$top" && find common proto auth server client tests -name '*.h' | sort); do
    case $header in
    server/mapper/xen/*)
        if [ ! -e /usr/include/xenforeignmemory.h ]; then
            check "$header compiles alone" skip "no Xen headers here"
            continue
        fi
        ;;
    client/cli/trace_packet_text.h | tests/lib/pt_decode.h)
        if [ ! -e /usr/include/intel-pt.h ]; then
            check "$header compiles alone" skip "no libipt here"
            continue
        fi
        ;;
    esac
    check "$header compiles alone" compiles "$header"
done
for header in xenres.h xenres/watch.h xenres/trace.h xenres/access.h; do
    for standard in c99 c11 c17; do
        check "$header compiles in $standard" public_in "$cc" "$standard" c "$header"
    done
    for standard in c++11 c++20; do
        check "$header compiles in $standard" public_in g++ "$standard" c++ "$header"
    done
done
check "a C++ program links with the library" public_links_in_cplusplus
