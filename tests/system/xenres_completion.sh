#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# Shell completion: that it has all of the command's words, and what bash and zsh make of it, asked as
# a person does, by TAB on a terminal. A domain's name may be anything: nothing in it is run.
# shellcheck source=tests/lib/functions.sh
. "$(dirname "$0")/../lib/functions.sh"
requires bash python3

xenres=$BUILD/xenres
bash_script=$BUILD/completion/bash zsh_script=$BUILD/completion/zsh
export LC_ALL=C.UTF-8 PATH=$BUILD:$PATH
unset https_proxy HTTPS_PROXY all_proxy ALL_PROXY

# What bash would offer for the last of these words, in the order of the script.
offers() { # WORD...
    bash --norc --noprofile -c '
        . "$1"
        shift
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        _xenres
        [ "${#COMPREPLY[@]}" -eq 0 ] || printf "%s\n" "${COMPREPLY[@]}"' bash "$bash_script" "$@" 2>"$work/complaints" |
        tr '\n' ' ' | sed 's/ $//'
}

scripts_are_what_the_command_says() {
    "$xenres" completion bash | cmp - "$bash_script"
    "$xenres" completion zsh | cmp - "$zsh_script"
    bash -n "$bash_script"
    fails 2 "$xenres" completion fish
    fails 2 "$xenres" completion
}

verbs() { "$xenres" --help | sed -n '/^Verbs:/,/^$/p' | sed -n 's/^  \([a-z][a-z]*\) .*/\1/p'; }

# Of its help: those of all verbs too.
options() { "$xenres" "$1" --help | grep -oP '^  (-\w, )?\K--[a-z-]+'; }

each_verb_and_option_is_in_both() {
    local verb option
    same "$(offers xenres '' | tr ' ' '\n' | sort)" "$(verbs | sort)" verbs
    [ "$(verbs | wc -l)" -ge 10 ]
    for verb in $(verbs); do
        grep -q "^    $verb)$" "$zsh_script" || { echo "zsh: no $verb"; return 1; }
        same "$(offers xenres "$verb" -- | tr ' ' '\n' | sort)" "$(options "$verb" | sort)" "options of $verb"
        for option in $(options "$verb"); do
            grep -qE "[ {',*]$option[]=[}]" "$zsh_script" || { echo "zsh: no $option"; return 1; }
        done
    done
}

bash_knows_what_may_stand_where() {
    same "$(offers xenres gr)" grants
    same "$(offers xenres -o '')" "table json"
    same "$(offers xenres --format = j)" json
    same "$(offers xenres --format =)" "table json"
    same "$(offers xenres --format = json dom)" domains
    same "$(offers xenres -o json domains --state pa)" paused
    same "$(offers xenres domains --state paused --type h)" hvm
    same "$(offers xenres describe 1 v)" "vmtrace_buf vcpu_stats"
    same "$(offers xenres snapshot 1 --first 3 g)" grant_table
    same "$(offers xenres call InspectService/Get)" \
        "InspectService/GetGrantTable InspectService/GetIoreqServer InspectService/GetVcpuStats"
    same "$(offers xenres completion '')" "bash zsh"
    same "$(offers xenres host '')" ""
    same "$(offers xenres nonsense '')" ""
    same "$(offers xenres -- --)" ""
    same "$(cat "$work/complaints")" ""
}

bash_knows_files() {
    mkdir "$work/files"
    touch "$work/files/request one.json"
    same "$(offers xenres --cacert "$work/files/req")" "$work/files/request one.json"
    same "$(offers xenres call HostService/GetHost "@$work/files/req")" "@$work/files/request one.json"
    same "$(offers xenres call HostService/GetHost @ "$work/files/req")" "@$work/files/request one.json"
    same "$(offers xenres snapshot 1 grant_table --output "$work/files/")" "$work/files/request one.json"
}

domains_are_asked_for() {
    same "$(offers xenres grants '')" "web-1 web-2 9"
    same "$(offers xenres grants web-2)" web-2
    same "$(XENRES_SERVER='' offers xenres grants '')" ""
    same "$(XENRES_SERVER=https://127.0.0.1:1 offers xenres grants '')" ""
    same "$(XENRES_CERT=/nowhere offers xenres grants '')" ""
    same "$(cat "$work/complaints")" "" "said while completing"
}

terminal() { # ARGUMENT...: in a folder of its own, where `$(touch pwned)` would show
    (cd "$work/typed" && TERM=dumb python3 "$top/tests/lib/terminal.py" --until 'ready> ' "$@")
    same "$(ls -A "$work/typed")" "" "files that completion made"
}

bash_completes_on_a_terminal() {
    printf '%s\n' "PS1='ready> '" ". '$bash_script'" >"$work/bashrc"
    terminal --type 'xenres gr\t' --until 'grants ' --type 'w\t' --until 'eb-' --type '2\t' --until ' ' \
        --type '\x15xenres grants \t\t' --until web-1 --type '\x15exit\n' \
        -- bash --noprofile --rcfile "$work/bashrc" -i
}

zsh_completes_on_a_terminal() {
    requires zsh
    mkdir "$work/zsh"
    cp "$zsh_script" "$work/zsh/_xenres"
    printf '%s\n' "PS1='ready> '" "fpath=('$work/zsh' \$fpath)" 'autoload -U compinit' 'compinit -u -D' >"$work/zsh/.zshrc"
    export ZDOTDIR=$work/zsh
    terminal --type 'xenres gr\t' --until 'grants ' --type 'web-2\t' --until 'web-2 ' --type '--a\t' --until 'all' \
        --type '\x15xenres -o j\t' --until 'json ' --type 'domains --sta\t' --until 'state=' --type 'pa\t' --until 'paused ' \
        --type '\x15xenres call HostService/L\t' --until 'ListDomains ' --type "@$work/bashr\\t" --until bashrc \
        --type '\x15xenres describe web-1 g\t' --until 'grant_table ' \
        --type '\x15xenres grants \t\t' --until web-1 --type '\x15exit\n' -- zsh -d -i
}

zsh_scripts_parse() {
    requires zsh
    zsh -n "$zsh_script"
}

mkdir "$work/typed"
cat >"$work/scenario" <<'END'
seed = 7
domain "one" {
  domid = 1
  uuid = "00000000-0000-0000-0000-00000000000a"
  name = "web-1"
}
domain "two" {
  domid = 2
  uuid = "00000000-0000-0000-0000-00000000000b"
  name = "web-2"
}
domain "evil" {
  domid = 9
  uuid = "00000000-0000-0000-0000-00000000000d"
  name = "$(touch pwned)`touch pwned`;touch pwned"
}
END
start_demo --scenario "$work/scenario"

check "scripts are what the command says" scripts_are_what_the_command_says
check "each verb and option is in both" each_verb_and_option_is_in_both
check "bash knows what may stand where" bash_knows_what_may_stand_where
check "bash knows files" bash_knows_files
check "domains are asked for, and quietly" domains_are_asked_for
check "bash completes on a terminal" bash_completes_on_a_terminal
check "zsh's script parses" zsh_scripts_parse
check "zsh completes on a terminal" zsh_completes_on_a_terminal
