#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# The include law: which folder may include which, and which folder may include which library. The
# longest prefix of a file's path decides; a folder always may include itself. Everything is allowed
# by name, so that a new folder or a new direction is a change of this file.
# shellcheck source=tests/lib/functions.sh
. "$(dirname "$0")/../lib/functions.sh"

# FOLDER: what it may include (folders, or single headers).
layers='
common:            build-time
proto:             common generated
auth:              common
server/mapper:     common
server/mapper/xen: common server/mapper
server/mapper/sim: common server/mapper
server/resource:   common auth/identity.h
server/rpc:        common proto generated auth server/resource
server/http:       common auth/access.h auth/audit.h auth/bucket.h auth/identity.h server/rpc
server:            common proto generated auth server/resource server/rpc server/http server/mapper/export.h
client:            common proto generated client/include
client/include:    build-time
client/cli:        client/include proto generated common/buffer.h common/clock.h common/error.h common/errors.def common/scope.h common/text.h
'
# The export list is the mapper's; --check and its like read it by the very code that will.
# The command line is a user of the library: of common/ it has what proto/json needs at its border (a
# buffer to print into), time, text made harmless, and scope-exit clean-up; no message, channel or layout.

# LIBRARY HEADER (a glob, the first that matches): the folders that may include it.
libraries='
xenres.h:          client client/cli client/include
xenres/*:          client client/cli client/include
microhttpd.h:      server/http
gnutls/*:          server/http
xenctrl.h:         server/mapper/xen
xenforeignmemory.h: server/mapper/xen
xenstore.h:        server/mapper/xen
xentoollog.h:      server/mapper/xen
xen*.h:            server/mapper/xen
xen/*:             server/mapper/xen
curl/*:            client
openssl/*:         auth client
zlib.h:            server/rpc client client/cli
protobuf-c/*:      proto server/rpc client client/cli
jansson.h:         proto auth server/rpc client client/cli
confuse.h:         common auth server server/mapper/sim
seccomp.h:         common
systemd/*:         server server/rpc
intel-pt.h:        client/cli
'
# Not of its folder: the privileged program reads no files of people through libconfuse.
settings_users='auth server server/mapper/sim common'

declare -A may=()
while IFS=: read -r folder allowed; do
    [ -z "$folder" ] || may[$folder]=$allowed
done <<<"$layers"

layer_of() { # PATH: sets $layer to the longest folder in the table, or to nothing
    layer=$1
    while [[ $layer == */* ]]; do
        layer=${layer%/*}
        [ -z "${may[$layer]:-}" ] || return 0
    done
    layer=
}

may_include() { # LAYER HEADER
    local layer allowed
    case $2 in
    *.pb-c.h) layer=generated ;;
    *) layer_of "$2" ;;
    esac
    [ "$layer" != "$1" ] || return 0
    for allowed in ${may[$1]}; do
        [ "$allowed" != "$layer" ] && [ "$allowed" != "$2" ] || return 0
    done
    return 1
}

sources() {
    cd "$top"
    find common proto auth server client -name '*.[ch]' | sort
}

our_includes_go_one_way() {
    local file header layer wrong=0
    while IFS=: read -r file header; do
        layer_of "$file"
        if [ -z "$layer" ]; then
            echo "$file: its folder is in no row of the law"
            wrong=1
        elif ! may_include "$layer" "$header"; then
            echo "$file includes \"$header\": not for $layer"
            wrong=1
        fi
    done < <(cd "$top" && sources | xargs grep -HoP '^\s*#\s*include\s*"\K[^"]+')
    return "$wrong"
}

libraries_stay_in_their_folders() {
    local file header layer pattern places wrong=0
    while IFS=: read -r file header; do
        layer_of "$file"
        while IFS=: read -r pattern places; do
            # shellcheck disable=SC2053  # a glob
            [ -n "$pattern" ] && [[ $header == $pattern ]] || continue
            case " $places " in
            *" $layer "*) ;;
            *)
                echo "$file includes <$header>: only for$places"
                wrong=1
                ;;
            esac
            break
        done <<<"$libraries"
    done < <(cd "$top" && sources | xargs grep -HoP '^\s*#\s*include\s*<\K[^>]+')
    return "$wrong"
}

settings_stay_out_of_the_privileged_program() {
    local file layer wrong=0
    for file in $(cd "$top" && sources | xargs grep -lE '"common/settings[a-z_]*\.h"'); do
        layer_of "$file"
        case " $settings_users " in
        *" $layer "*) ;;
        *)
            echo "$file includes libconfuse's reader: only for $settings_users"
            wrong=1
            ;;
        esac
    done
    return "$wrong"
}

paths_are_relative_to_the_root() {
    local said
    said=$(cd "$top" && sources | xargs grep -nP '^\s*#\s*include\s*"([^"/]+"|\.\.?/)' || true)
    same "$said" "" "includes that are not relative to the root"
}

every_include_of_ours_exists() {
    local file header wrong=0
    while IFS=: read -r file header; do
        case $header in
        *.pb-c.h)
            [ -e "$top/proto/${header%.pb-c.h}.proto" ] || [ -e "/usr/include/${header%.pb-c.h}.proto" ]
            ;;
        *) [ -e "$top/$header" ] ;;
        esac || { echo "$file: there is no \"$header\""; wrong=1; }
    done < <(cd "$top" && sources | xargs grep -HoP '^\s*#\s*include\s*"\K[^"]+')
    return "$wrong"
}

check "our includes go one way" our_includes_go_one_way
check "libraries stay in their folders" libraries_stay_in_their_folders
check "libconfuse stays out of the privileged program" settings_stay_out_of_the_privileged_program
check "include paths are relative to the root" paths_are_relative_to_the_root
check "every include of ours exists" every_include_of_ours_exists
