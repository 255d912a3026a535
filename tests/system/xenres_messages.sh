#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# How xenres speaks with people: colours where a terminal takes them and nowhere else, and failures
# that end with what to do now.
# shellcheck source=tests/lib/functions.sh
. "$(dirname "$0")/../lib/functions.sh"
requires python3 jq

xenres=$BUILD/xenres
export LC_ALL=C.UTF-8 TERM=xterm
unset https_proxy HTTPS_PROXY all_proxy ALL_PROXY NO_COLOR

escape=$'\e['

# What a terminal shows of it, whatever its status.
terminal() { { python3 "$top/tests/lib/terminal.py" -- "$@" || true; } | tr -d '\r'; }

is_painted() { contains "$1" "$escape" colours; }

is_plain() { [[ $1 != *$'\e'* ]] || { printf 'colours in:\n%q\n' "$1"; return 1; }; }

colours_are_for_terminals() {
    is_painted "$(terminal "$xenres" domains)"
    is_painted "$(terminal "$xenres" --color auto host)"
    is_plain "$("$xenres" domains)"
    is_plain "$("$xenres" grants nobody 2>&1)"
}

colours_can_be_refused() {
    is_plain "$(terminal "$xenres" --color never domains)"
    is_plain "$(terminal "$xenres" domains --color=never)"
    is_plain "$(terminal env NO_COLOR=1 "$xenres" domains)"
    is_plain "$(terminal env TERM=dumb "$xenres" domains)"
    is_plain "$(terminal env -u TERM "$xenres" domains)"
    is_painted "$(terminal env NO_COLOR= "$xenres" domains)"
    is_plain "$(terminal "$xenres" --color never grants nobody)"
    is_plain "$(terminal "$xenres" --color never --nonsense)"
}

colours_can_be_asked_for() {
    is_painted "$("$xenres" --color always domains)"
    is_painted "$(NO_COLOR=1 TERM=dumb "$xenres" --color always domains)"
    fails 15 "$xenres" --color always grants nobody
    is_painted "$(cat "$work/said")"
    fails 2 "$xenres" --color sometimes domains
    contains "$(cat "$work/said")" "auto, always, never"
}

# Each of the two by itself.
output_and_errors_are_asked_apart() {
    is_painted "$(terminal sh -c '"$0" grants nobody >/dev/null' "$xenres")"
    terminal sh -c '"$0" grants nobody 2>"$1"' "$xenres" "$work/errors" >/dev/null
    is_plain "$(cat "$work/errors")"
    terminal sh -c '"$0" domains >"$1"' "$xenres" "$work/domains" >/dev/null
    is_plain "$(cat "$work/domains")"
}

# Without what is another each time, and the widths that come of it.
still() { sed -E "s/$moving/T/g; s/ +/ /g"; }
moving='[0-9.]+ (us|ms|s|MiB)\b|[0-9:.]+ UTC'

colours_change_no_text() {
    local verb
    for verb in host domains "resources hvm" "describe hvm grant_table" "ioreqs hvm" "stats hvm" call; do
        # shellcheck disable=SC2086  # words
        same "$("$xenres" --color always $verb | sed 's/\x1b\[[0-9]*m//g' | still)" "$("$xenres" $verb | still)" "$verb"
    done
}

data_is_never_painted() {
    is_plain "$(terminal "$xenres" --color always -o json domains)"
    is_plain "$("$xenres" --color always call HostService/GetHost)"
    is_plain "$("$xenres" --color always domains --names)"
    is_plain "$("$xenres" --color always snapshot hvm grant_table | base64)"
    is_plain "$("$xenres" --color always completion bash)"
    is_plain "$("$xenres" --color always --help)"
}

# --- failures ---

says() { # STATUS PART COMMAND...: fails so, with the part, and with a next step at its end
    local part=$2
    set -- "$1" "${@:3}"
    fails "$@"
    contains "$(cat "$work/said")" "$part" "what ${*:2} says"
    contains "$(head -n 1 "$work/said")" "xenres: "
    contains "$(tail -n 1 "$work/said")" "next: " "the last line of it"
    [ "$(tail -n 1 "$work/said" | wc -c)" -gt 10 ]
}

every_failure_ends_with_a_next_step() {
    says 2 'did you mean "domains"?' "$xenres" domians
    says 2 'did you mean "--all"?' "$xenres" grants hvm --al
    says 2 'did you mean "grant_table"?' "$xenres" describe hvm grant_tabel
    says 2 'did you mean "json"?' "$xenres" -o jsn host
    says 2 "needs DOMAIN" "$xenres" grants
    says 2 "No verb" "$xenres"
    says 2 "a time like 30s" "$xenres" --timeout soon host
    says 15 nobody "$xenres" grants nobody
    says 21 "grant_table 0" "$xenres" snapshot hvm grant_table --first 60
    says 13 "field: frame_count" "$xenres" snapshot hvm grant_table --count 0
    says 1 ENOSPC sh -c '"$0" host >/dev/full' "$xenres"
    says 1 ENOENT "$xenres" snapshot hvm grant_table --output "$work/nowhere/file"
    says 1 EISDIR "$xenres" snapshot hvm grant_table --output "$work"
    says 26 XENRES_CACERT "$xenres" --cacert "$XENRES_CERT" host
    says 26 "client certificate" env -u XENRES_CERT -u XENRES_KEY "$xenres" host
}

a_gateway_that_is_not_there_was_tried() {
    says 24 "tried: 3 times" "$xenres" --server https://127.0.0.1:1 host
    contains "$(cat "$work/said")" "call: connect: ECONNREFUSED"
}

frequent_mistakes_are_known() {
    says 13 "set XENRES_SERVER" env -u XENRES_SERVER "$xenres" host
    says 13 "set XENRES_SERVER" env XENRES_SERVER= "$xenres" host
    says 13 "give it as https://localhost:8443" "$xenres" --server http://localhost:8443 host
    says 13 "give it as https://localhost:8443" "$xenres" --server HTTP://localhost:8443 host
    says 13 "give it as https://localhost:8443" "$xenres" --server localhost:8443 host
    says 13 "give it as https://" "$xenres" --server "$XENRES_SERVER/v1" host
    says 13 "XENRES_CERT or --cert" "$xenres" --cert "$work/nowhere" host
    says 13 "XENRES_KEY or --key" env XENRES_KEY="$work/nowhere" "$xenres" host
    says 13 "XENRES_CACERT or --cacert" "$xenres" --cacert "$work" host
    contains "$(cat "$work/said")" EISDIR
}

# A password may be in it.
users_in_addresses_are_not_repeated() {
    local server
    for server in http://me:secret@host https://me:secret@host me:secret@host; do
        says 13 "https://HOST[:PORT]" "$xenres" --server "$server" host
        [[ $(cat "$work/said") != *secret* ]]
    done
}

# Certificates may come through a pipe: looking for them takes nothing out.
files_are_looked_at_and_not_read() {
    "$xenres" --cert <(cat "$XENRES_CERT") --key <(cat "$XENRES_KEY") host >/dev/null
}

cat >"$work/scenario" <<'END'
seed = 7
domain "hvm" {
  domid = 7
  uuid = "00000000-0000-0000-0000-00000000000c"
  type = "hvm"
  name = "hvm"
  ioreq "0" { requests_per_second = 0 }
  grants { frames = 1  entries = 3 }
}
END
start_demo --scenario "$work/scenario"

check "colours are for terminals" colours_are_for_terminals
check "colours can be refused" colours_can_be_refused
check "colours can be asked for" colours_can_be_asked_for
check "output and errors are asked apart" output_and_errors_are_asked_apart
check "colours change no text" colours_change_no_text
check "data is never painted" data_is_never_painted
check "every failure ends with a next step" every_failure_ends_with_a_next_step
check "a gateway that is not there was tried" a_gateway_that_is_not_there_was_tried
check "frequent mistakes are known" frequent_mistakes_are_known
check "users in addresses are not repeated" users_in_addresses_are_not_repeated
check "files are looked at, and not read" files_are_looked_at_and_not_read
