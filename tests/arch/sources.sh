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
    local said
    said=$(cd "$top" && files '*.[ch]' '*.sh' '*.def' '*.proto' '*.py' '*.ts' '*.go' Makefile |
        grep -vxF "$one_header" | xargs wc -l | awk -v max="$max_lines" '$1 > max && $2 != "total"')
    same "$said" "" "files of more than $max_lines lines"
}

every_file_says_its_licence() {
    local said
    said=$(cd "$top" && files '*.[chS]' '*.sh' '*.def' '*.proto' '*.py' '*.ts' '*.go' '*.map' Makefile | xargs awk '
        FNR <= 4 && /SPDX-License-Identifier: Apache-2.0/ { says[FILENAME]++ }
        FNR <= 4 && /Copyright \(C\) 2026 The xenresd authors/ { says[FILENAME]++ }
        # What becomes a part of Xen is under its licence.
        FNR <= 4 && FILENAME ~ /^\.\/tests\/xen\/vmtrace\/xen\// && /SPDX-License-Identifier: GPL-2.0-only/ {
            says[FILENAME] = 2
        }
        END { for (i = 1; i < ARGC; i++) if (says[ARGV[i]] != 2) print ARGV[i] }')
    same "$said" "" "files without a licence header in their first lines"
}

lines_fit_the_width() {
    local said
    # Characters, not bytes.
    said=$(cd "$top" && program_code | LC_ALL=C.UTF-8 xargs grep -nP "^.{$((max_columns + 1)),}" || true)
    same "$said" "" "lines of more than $max_columns columns"
}

calls() { # WORDS: of these functions, in the files on standard input, but for their comments
    (cd "$top" && xargs perl -s -0777 -ne '
        s{("(?:\\.|[^"\\])*"|\x27(?:\\.|[^\x27\\])*\x27)|/\*.*?\*/|//[^\n]*}{$1 // " "}gse;
        print "$ARGV: $1\n" while /(?<![\w.>"])($words)\s*\(/g' -- -words="$1")
}

forbidden_functions_are_not_called() {
    # Without a bound, without an error, with a shell, or with a process-wide state.
    local words='strcpy|strcat|sprintf|vsprintf|gets|atoi|atol|atoll|atof|strtok|alloca|system|popen'
    words+='|mktemp|tmpnam|longjmp|localtime|gmtime|asctime|ctime|rand|srand'
    # A command may take its user's locale, a library or a daemon has none.
    same "$(program_code | calls "$words"; program_code | grep -v '^\./client/cli/' | calls setlocale)" ""
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

requires perl
check "no file has more than $max_lines lines" no_file_is_too_long
check "every file says its licence" every_file_says_its_licence
check "lines fit in $max_columns columns" lines_fit_the_width
check "forbidden functions are not called" forbidden_functions_are_not_called
check "assertions are never off" assertions_are_never_off
check "no notes to ourselves" no_notes_to_ourselves
check "file names say something" names_say_something
check "scripts parse" scripts_parse
