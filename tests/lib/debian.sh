# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# Sourced behind functions.sh by tests that need a program of a Debian package which is not to be
# installed: because it is large, or starts a service.
#
#   debian_package NAME PATH...     sets $package to a folder with those files of the newest version,
#                                   kept in the cache; skips the script where it cannot be fetched

# shellcheck disable=SC2154  # work comes from functions.sh
debian_cache=${XENRES_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/xenresd}/packages

# An apt command that needs no rights, with package lists of our own where the machine's do not do.
debian_lists=()
debian_apt() { # ARGUMENT...
    apt-get -qq -o APT::Sandbox::User="$(id -un)" -o Debug::NoLocking=true -o Acquire::Retries=3 \
        -o Dir::Cache="$debian_cache/apt" "${debian_lists[@]}" "$@"
}

debian_own_lists() {
    mkdir -p "$debian_cache/apt/archives/partial" "$debian_cache/lists/partial"
    debian_lists=(-o "Dir::State::lists=$debian_cache/lists")
    debian_apt update
}

# Its name has the version: `prometheus_2.42.0+ds-5_amd64.deb`.
debian_file_name() { # NAME
    debian_apt download --print-uris "$1" | awk 'END { print $2 }'
}

debian_extract() { # NAME FOLDER PATH...
    local name=$1 folder=$2 new status=0
    shift 2
    new=$(mktemp -d "$debian_cache/new.XXXXXX")
    {
        mkdir "$new/root" && (cd "$new" && debian_apt download "$name") &&
            dpkg-deb --fsys-tarfile "$new"/*.deb | tar -x -C "$new/root" --no-same-owner "${@/#/./}" &&
            # Whole or not at all, whoever else does the same; the version before is not needed again.
            rm -rf "$debian_cache/${name}"_* && { mv -T "$new/root" "$folder" || [ -d "$folder" ]; }
    } || status=1
    rm -rf "$new"
    return "$status"
}

debian_fetch() { # NAME PATH...
    local file
    file=$(debian_file_name "$1") && [ -n "$file" ] || return 1
    package=$debian_cache/${file%.deb}
    [ -d "$package" ] || debian_extract "$1" "$package" "${@:2}"
}

debian_package() { # NAME PATH...
    requires apt-get dpkg-deb
    mkdir -p "$debian_cache/apt/archives/partial" || skip "the cache cannot be written"
    debian_fetch "$@" >"$work/debian.log" 2>&1 ||
        { debian_own_lists && debian_fetch "$@"; } >>"$work/debian.log" 2>&1 || {
        sed 's/^/# /' "$work/debian.log"
        skip "Debian's package $1 cannot be fetched"
    }
}
