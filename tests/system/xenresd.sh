#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# The command line of xenresd, and what it says of files with faults.
. "$(dirname "$0")/../lib/functions.sh"

xenresd=$BUILD/xenresd

wrong_usage_is_status_2() {
    fails 2 "$xenresd"
    fails 2 "$xenresd" --config a --demo b
    fails 2 "$xenresd" --config a extra
    fails 2 "$xenresd" --listen 127.0.0.1:0 --config a
    fails 2 "$xenresd" --bogus
    contains "$(cat "$work/said")" "--help"
}

version_and_help_are_told() {
    contains "$("$xenresd" --version)" "xenresd "
    contains "$("$xenresd" --help)" "--config FILE"
}

the_manual_page_has_every_option_with_its_default() {
    local name rest
    while read -r name _ rest; do
        grep -q "^\.It Va $name\$" "$top/docs/man/xenresd.conf.5" || { echo "no $name"; return 1; }
        [[ $rest =~ ^([0-9]+)\ \(([0-9]+\ to\ [0-9]+\ [^\)]*)\) ]] || continue
        grep -A3 "^\.It Va $name\$" "$top/docs/man/xenresd.conf.5" |
            grep -qF "${BASH_REMATCH[2]}, default ${BASH_REMATCH[1]}." || { echo "$name: other bounds"; return 1; }
    done < <("$xenresd" --options)
    same "$(grep -c '^\.It Va' "$top/docs/man/xenresd.conf.5")" "$("$xenresd" --options | wc -l)" "count"
}

a_demo_s_files_have_no_faults() {
    contains "$("$xenresd" --check --config "$work/demo/xenresd.conf")" "no faults"
}

every_fault_is_told_with_its_line() {
    printf 'server {\n  listen = "x"\n  listen = "y"\n}\nlimits {\n  threads = 99\n}\n' >"$work/bad.conf"
    fails 13 "$xenresd" --check --config "$work/bad.conf"
    contains "$(cat "$work/said")" "$work/bad.conf:3: server.listen is given twice, first in line 2"
    contains "$(cat "$work/said")" "$work/bad.conf:6: limits.threads is 99; expected 0 to 16 threads"
    sed '$a limits {\n  handshake_exempt = "10.0.0.0/8"\n}' "$work/demo/xenresd.conf" >"$work/bad.conf"
    fails 13 "$xenresd" --check --config "$work/bad.conf"
    contains "$(cat "$work/said")" 'limits.handshake_exempt: "10.0.0.0/8" is no numeric address'
}

groups_that_any_issuer_may_give_are_warned_of() {
    local issuer='{ issuer = "https://NAME.example" audience = "x" jwks = "'$work/jwks'"'
    echo '{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}' >"$work/jwks"
    {
        cat "$work/demo/xenresd.conf"
        echo "issuer \"one\" ${issuer/NAME/one} groups = { \"one-*\" } }"
    } >"$work/groups.conf"
    "$xenresd" --check --config "$work/groups.conf" >"$work/said" 2>&1
    ! grep -q "any group" "$work/said"
    echo "issuer \"two\" ${issuer/NAME/two} }" >>"$work/groups.conf"
    "$xenresd" --check --config "$work/groups.conf" >"$work/said" 2>&1
    contains "$(cat "$work/said")" "$work/groups.conf:$(wc -l <"$work/groups.conf"): warning: issuer \"two\" may give any group"
    ! grep -q 'issuer "one" may' "$work/said"
}

what_no_single_value_tells_is_a_fault() {
    sed -e 's/^\( *listen *= *\).*/\1"host:80"/' -e 's/^\( *health *= *\).*/\1"192.0.2.1:80"/' \
        -e 's/^\( *state_dir *= *\).*/\1"\/nonexistent"/' -e 's/^\( *program *= *\).*/\1"\/nonexistent"/' \
        "$work/demo/xenresd.conf" >"$work/values.conf"
    echo 'audit { file = "/nonexistent/audit.log" }' >>"$work/values.conf"
    fails 13 "$xenresd" --check --config "$work/values.conf"
    local option
    for option in server.listen server.health server.state_dir mapper.program audit.file; do
        contains "$(cat "$work/said")" "$option: "
    done
    echo 'audit { on_failure = "perhaps" sync = "always" }' >"$work/words.conf"
    fails 13 "$xenresd" --check --config "$work/words.conf"
    contains "$(cat "$work/said")" 'words.conf:1: audit.on_failure is "perhaps"; expected one of: refuse, continue'
    contains "$(cat "$work/said")" 'audit.sync is "always"; expected one of: none, interval, each'
}

missing_files_are_all_named() {
    cat >"$work/missing.conf" <<END
server { policy = "$work/no-policy" }
tls { certificate = "$work/no-certificate"  key = "$work/no-key"  client_ca = "$work/no-ca" }
END
    "$xenresd" --check --config "$work/missing.conf" >"$work/said" 2>&1 && return 1
    local name
    for name in no-policy no-certificate no-key no-ca; do
        contains "$(cat "$work/said")" "$name"
    done
}

a_key_that_is_another_s_is_a_fault() {
    sed "s|/server.key|/operator.key|" "$work/demo/xenresd.conf" >"$work/key.conf"
    "$xenresd" --check --config "$work/key.conf" >"$work/said" 2>&1 && return 1
    contains "$(cat "$work/said")" "key"
}

keys_are_for_their_owner_only() {
    local key
    for key in "$work"/demo/*.key; do
        same "$(stat -c %a "$key")" 600 "$key"
    done
}

# Whoever made it first may have put a configuration there, whose programs root would start.
a_demo_in_a_directory_of_others_is_refused() {
    mkdir "$work/open"
    chmod 777 "$work/open"
    fails 19 timeout 20 "$xenresd" --demo "$work/open"
    contains "$(cat "$work/said")" "others than this user can change what is in $work/open"
    same "$(ls "$work/open")" ""
}

start_demo
explain() { "$xenresd" policy explain --as cn:alice --domain web-1 --type grant_table --action snapshot "$@"; }

a_policy_is_explained_with_rule_and_line() {
    local policy=$work/policy.conf
    cat >"$policy" <<'END'
rule "ops" {
    effect = allow
    identities = { "cn:alice", "group:ops" }
    domains = { "all" }
    types = { "all" }
    actions = { "snapshot", "list" }
}
rule "vault" {
    effect = deny
    identities = { "all" }
    domains = { "tag:vault", "uuid:6f1c3b0e-8f1d-4b52-9d4e-2f6a1c0b7e55" }
    types = { "grant_table" }
    actions = { "all" }
}
rule "bound" {
    effect = allow
    require_bound = true
    identities = { "jwt:corp:*" }
    domains = { "dom0" }
    types = { "all" }
    actions = { "admin" }
}
END
    chmod 600 "$policy"
    same "$(explain --policy "$policy")" "allowed by rule \"ops\" ($policy:1)"
    fails 17 explain --policy "$policy" --tag web --tag vault
    same "$(cat "$work/said")" "denied by rule \"vault\" ($policy:8)"
    fails 17 explain --policy "$policy" --uuid 6f1c3b0e-8f1d-4b52-9d4e-2f6a1c0b7e55
    same "$(explain --policy "$policy" --tag vault --type any)" "allowed by rule \"ops\" ($policy:1)"
    fails 17 explain --policy "$policy" --as cn:bob
    same "$(cat "$work/said")" "denied: no rule of $policy allows it"
    same "$(explain --policy "$policy" --as token:x --group dev --group ops)" "allowed by rule \"ops\" ($policy:1)"
    fails 17 explain --policy "$policy" --as jwt:corp:a --domain dom0 --action admin
    same "$(explain --policy "$policy" --as jwt:corp:a --bound --domain dom0 --action admin)" \
        "allowed by rule \"bound\" ($policy:15)"
}

a_policy_of_a_configuration_is_explained() {
    contains "$(explain --config "$work/demo/xenresd.conf" --as spiffe:spiffe://xenres.demo/operator)" "allowed by rule"
    echo 'rule "x" { }' >"$work/bad-policy.conf"
    chmod 600 "$work/bad-policy.conf"
    fails 13 explain --policy "$work/bad-policy.conf"
    contains "$(cat "$work/said")" "$work/bad-policy.conf:1: rule \"x\" has no effect"
    fails 15 explain --policy "$work/none"
}

what_is_no_question_about_a_policy_is_status_2() {
    fails 2 "$xenresd" policy
    fails 2 "$xenresd" policy change
    fails 2 explain --as alice
    fails 2 explain --type grant
    fails 2 explain --action read
    fails 2 explain --tag Vault
    fails 2 explain --uuid 7
    fails 2 explain --domid 32752
    fails 2 explain --config a --policy b
    fails 2 explain more
    fails 2 "$xenresd" policy explain --as cn:a --type any --action list
    contains "$(cat "$work/said")" "--domain"
}

check "wrong usage is status 2" wrong_usage_is_status_2
check "version and help are told" version_and_help_are_told
check "the manual page has every option with its default" the_manual_page_has_every_option_with_its_default
check "a demonstration's files have no faults" a_demo_s_files_have_no_faults
check "every fault is told with its line" every_fault_is_told_with_its_line
check "groups that any issuer may give are warned of" groups_that_any_issuer_may_give_are_warned_of
check "what no single value tells is a fault" what_no_single_value_tells_is_a_fault
check "missing files are all named" missing_files_are_all_named
check "a key that is another's is a fault" a_key_that_is_another_s_is_a_fault
check "keys are for their owner only" keys_are_for_their_owner_only
check "a policy is explained, with rule and line" a_policy_is_explained_with_rule_and_line
check "the policy of a configuration is explained" a_policy_of_a_configuration_is_explained
check "what is no question about a policy is status 2" what_is_no_question_about_a_policy_is_status_2
check "a demo in a directory of others is refused" a_demo_in_a_directory_of_others_is_refused
