#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# `--help` and the manual page of every program name the same options, and the pages are well formed.
# shellcheck source=tests/lib/functions.sh
. "$(dirname "$0")/../lib/functions.sh"

pages=$top/docs/man

page_of() { # PROGRAM
    local page
    for page in "$pages/$1".[18]; do
        [ -e "$page" ] && { echo "$page"; return; }
    done
    echo "there is no page docs/man/$1.N" >&2
    return 1
}

# mdoc writes --listen as `Fl -listen` or `Fl Fl listen`, -o as `Fl o`. What a page says of other
# programs' options is in `Ql`, or in a literal display (Bd … Ed), and is not looked at.
options_in_page() { # PAGE
    sed '/^\.Bd /,/^\.Ed/d' "$1" | grep '^\.' | sed 's/Fl Fl /Fl -/g' |
        grep -oP '\bFl \K-?[A-Za-z0-9][-A-Za-z0-9]*' | sed 's/^/-/' | sort -u
}

options_in_help() { # PROGRAM: of its help and that of its subcommands
    "$BUILD/$1" --help >"$work/help"
    [ -s "$work/help" ] || { echo "$1 --help says nothing" >&2; return 1; }
    grep -oP '(?<![\w/.-])--?[A-Za-z][-A-Za-z0-9]*' "$work/help" | sort -u
}

help_equals_page() { # PROGRAM
    if [ ! -x "$BUILD/$1" ]; then
        [ "$1" != xenresd-mapper ] || [ -e /usr/include/xenforeignmemory.h ] || skip "it is not built here"
        echo "there is no $BUILD/$1"
        return 1
    fi
    local page in_page in_help
    page=$(page_of "$1")
    in_page=$(options_in_page "$page")
    in_help=$(options_in_help "$1")
    [ -n "$in_help" ] || { echo "$1 --help names no option"; return 1; }
    same "$in_help" "$in_page" "options of $1 --help, and of ${page##*/}"
}

# Options that a reload changes.
live_options_are_in_the_page() {
    local in_source in_page
    in_source=$(sed -n '/ live\[.*{$/,/^};/s/^    "\(.*\)",$/\1/p' "$top/server/config_changes.c" | sort)
    in_page=$(sed -n '/^\.Sh RELOADING/,/^\.Sh LIMITS/s/^\.Va \([a-z]*\.[a-z_]*\).*/\1/p' "$pages/xenresd.conf.5" | sort)
    [ -n "$in_source" ] || { echo "server/config_changes.c names no option"; return 1; }
    same "$in_page" "$in_source" "options that a reload changes, by xenresd.conf(5) and by server/config_changes.c"
}

page_is_well_formed() { # PAGE
    command -v mandoc >/dev/null || skip "needs mandoc"
    mandoc -T lint -W warning "$1"
}

page_has_its_sections() { # PAGE
    local section
    for section in NAME DESCRIPTION; do
        grep -q "^\.Sh $section\$" "$1" || { echo "no section $section"; return 1; }
    done
    head -n 3 "$1" | grep -q 'SPDX-License-Identifier: Apache-2.0' || { echo "no licence header"; return 1; }
}

for program in xenresd xenresd-mapper xenresd-mapper-sim xenres; do
    check "$program: help and manual page name the same options" help_equals_page "$program"
done
check "xenresd.conf.5 names the options that a reload changes" live_options_are_in_the_page
for page in "$pages"/*.[1-9]; do
    [ -e "$page" ] || { not_ok "there are manual pages" </dev/null; break; }
    check "${page##*/} is well formed" page_is_well_formed "$page"
    check "${page##*/} has its sections and licence" page_has_its_sections "$page"
done
