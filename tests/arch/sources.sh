#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# What holds for every file of ours: a licence header, a length that can be reviewed, no forbidden
# functions, no notes to ourselves, no names that say nothing.
# shellcheck source=tests/lib/functions.sh
. "$(dirname "$0")/../lib/functions.sh"

max_lines=600
# The library's interface is one header, and most of that is its reference.
one_header='./client/include/xenres.h'
max_columns=110 # to aim at: 100

files() { # NAME-PATTERN...: of the source tree
    local pattern first=yes arguments=()
    for pattern in "$@"; do
        [ "$first" = yes ] || arguments+=(-o)
        arguments+=(-name "$pattern")
        first=no
    done
    cd "$top"
    # What was generated and fetched beside an example is not ours.
    find . \( -name .git -o -path ./build -o -path './examples/*/node_modules' -o -path './examples/*/venv' \
        -o -path './examples/*/gen' \) -prune -o -type f \( "${arguments[@]}" \) -print | sort
}

program_code() {
    files '*.[ch]' | grep -E '^\./(common|proto|auth|server|client)/'
}

no_file_is_too_long() {
    local file lines wrong=0
    for file in $(files '*.[ch]' '*.sh' '*.def' '*.proto' '*.py' '*.ts' '*.go' Makefile); do
        [ "$file" != "$one_header" ] || continue
        lines=$(wc -l <"$top/$file")
        [ "$lines" -le "$max_lines" ] || { echo "$file: $lines lines, at most $max_lines"; wrong=1; }
    done
    return "$wrong"
}

every_file_says_its_licence() {
    local file wrong=0
    for file in $(files '*.[chS]' '*.sh' '*.def' '*.proto' '*.py' '*.ts' '*.go' '*.map' Makefile); do
        case $file in
        ./tests/xen/vmtrace/xen/*) # becomes a part of Xen
            head -n 4 "$top/$file" | grep -q 'SPDX-License-Identifier: GPL-2.0-only' ||
                { echo "$file: is not under Xen's licence"; wrong=1; }
            continue
            ;;
        esac
        head -n 4 "$top/$file" | grep -q 'SPDX-License-Identifier: Apache-2.0' &&
            head -n 4 "$top/$file" | grep -q 'Copyright (C) 2026 The xenresd authors' ||
            { echo "$file: no licence header in its first lines"; wrong=1; }
    done
    return "$wrong"
}

lines_fit_the_width() {
    local said
    # Characters, not bytes.
    said=$(cd "$top" && program_code | LC_ALL=C.UTF-8 xargs grep -nP "^.{$((max_columns + 1)),}" || true)
    same "$said" "" "lines of more than $max_columns columns"
}

forbidden_functions_are_not_called() {
    # Without a bound, without an error, with a shell, or with a process-wide state.
    local words='strcpy|strcat|sprintf|vsprintf|gets|atoi|atol|atoll|atof|strtok|alloca|system|popen'
    words+='|mktemp|tmpnam|longjmp|localtime|gmtime|asctime|ctime|rand|srand'
    # A command may take its user's locale, a library or a daemon has none.
    local file all=$words wrong=0
    for file in $(program_code); do # without its comments
        words="$all|setlocale"
        [[ $file != ./client/cli/* ]] || words=$all
        "$cc" -fpreprocessed -dD -E -P "$top/$file" 2>/dev/null | grep -P "(?<![\w.>\"])($words)\s*\(" |
            sed "s|^|$file: |" && wrong=1
    done
    return "$wrong"
}

assertions_are_never_off() {
    same "$(cd "$top" && { program_code; echo Makefile; } | xargs grep -n NDEBUG || true)" ""
}

no_notes_to_ourselves() {
    local mark said
    mark='TO''DO|FIX''ME|XX''X\b|HA''CK\b' # in parts, or this line were one
    said=$(cd "$top" && files '*.[ch]' '*.sh' '*.def' '*.proto' '*.md' '*.py' '*.ts' '*.go' Makefile |
        xargs grep -nP "\b($mark)" || true)
    same "$said" "" "notes"
}

names_say_something() {
    same "$(files 'util*.[ch]' 'misc*.[ch]' 'helper*.[ch]')" "" "files named for nothing"
}

scripts_parse() {
    local file wrong=0
    for file in $(files '*.sh'); do
        bash -n "$top/$file" || wrong=1
    done
    return "$wrong"
}

cc=${CC:-cc}
requires "$cc"
check "no file has more than $max_lines lines" no_file_is_too_long
check "every file says its licence" every_file_says_its_licence
check "lines fit in $max_columns columns" lines_fit_the_width
check "forbidden functions are not called" forbidden_functions_are_not_called
check "assertions are never off" assertions_are_never_off
check "no notes to ourselves" no_notes_to_ourselves
check "file names say something" names_say_something
check "scripts parse" scripts_parse
