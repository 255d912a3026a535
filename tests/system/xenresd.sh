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

each_command_tells_its_use() {
    local words
    for words in init doctor "audit verify" "policy explain" "token add"; do
        # shellcheck disable=SC2086  # words
        "$xenresd" $words --help >"$work/said" 2>&1
        contains "$(cat "$work/said")" "    xenresd $words"
        same "$(grep -c 'xenresd --config FILE  ' "$work/said" || true)" 0 "what is of others"
    done
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
    local vault=6f1c3b0e-8f1d-4b52-9d4e-2f6a1c0b7e55 other=00000000-0000-0000-0000-000000000001
    known() { explain --policy "$policy" --uuid "$other" --untagged "$@"; }
    same "$(known | head -n 1)" "allowed by rule \"ops\" ($policy:1)"
    fails 17 explain --policy "$policy" --uuid "$other" --tag web --tag vault
    same "$(head -n 1 "$work/said")" "denied by rule \"vault\" ($policy:8)"
    fails 17 explain --policy "$policy" --untagged --uuid "$vault"
    same "$(head -n 1 "$work/said")" "denied by rule \"vault\" ($policy:8)"
    same "$(explain --policy "$policy" --tag vault --type any | head -n 1)" "allowed by rule \"ops\" ($policy:1)"
    fails 17 known --as cn:bob
    same "$(head -n 1 "$work/said")" "denied: no rule of $policy allows it"
    same "$(known --as token:x --group dev --group ops | head -n 1)" "allowed by rule \"ops\" ($policy:1)"
    fails 17 known --as jwt:corp:a --domain dom0 --action admin
    same "$(explain --policy "$policy" --as jwt:corp:a --bound --domain dom0 --action admin | head -n 1)" \
        "allowed by rule \"bound\" ($policy:15)"
}

# A domain is spelled as clients spell it, and what is not said of it counts against who asks.
what_is_not_given_is_no_way_round_a_rule() {
    local policy=$work/policy.conf vault=6f1c3b0e-8f1d-4b52-9d4e-2f6a1c0b7e55 spelling
    ask() { "$xenresd" policy explain --policy "$policy" --as cn:alice --type grant_table --action snapshot "$@"; }
    for spelling in "$vault" "uuid:$vault"; do
        fails 17 ask --domain "$spelling" --untagged
        same "$(head -n 1 "$work/said")" "denied by rule \"vault\" ($policy:8)"
    done
    for spelling in web-1 name:web-1 7 domid:7; do
        fails 17 ask --domain "$spelling" --untagged
        same "$(head -n 1 "$work/said")" \
            "denied as far as is known: rule \"vault\" ($policy:8) denies by UUID, and none was given (--uuid UUID)"
        contains "$(cat "$work/said")" "not given:"
    done
    fails 17 ask --domain web-1 --uuid 00000000-0000-0000-0000-000000000001
    contains "$(cat "$work/said")" "denies by tag, and none was given (--tag TAG, or --untagged)"
    contains "$(cat "$work/said")" "assumed: it is not domain 0"
    contains "$(cat "$work/said")" "not looked at: who is let in, the deny list and the export list"
    ask --domain web-1 --domain 7 --uuid 00000000-0000-0000-0000-000000000001 --untagged >"$work/said"
    same "$(grep -c 'assumed\|not given' "$work/said" || true)" 0
    fails 17 ask --domain 0
    fails 2 ask --domain 32752
    fails 2 ask --domain uuid:7
    fails 2 ask --domain web-1 --tag a --untagged
    sed 's/domains = { "all" }/domains = { "name:web-*" }/; /^rule "vault"/,/^}/d' "$policy" >"$work/names.conf"
    policy=$work/names.conf
    ask --domain web-1 >"$work/said"
    fails 17 ask --domain 7
    contains "$(cat "$work/said")" "allows by name, and none was given (--domain name:NAME)"
}

a_policy_of_a_configuration_is_explained() {
    contains "$(explain --config "$work/demo/xenresd.conf" --as spiffe:spiffe://xenres.demo/operator)" "allowed by rule"
    echo 'rule "x" { }' >"$work/bad-policy.conf"
    chmod 600 "$work/bad-policy.conf"
    fails 13 explain --policy "$work/bad-policy.conf"
    contains "$(cat "$work/said")" "$work/bad-policy.conf:1: rule \"x\" has no effect"
    fails 15 explain --policy "$work/none"
}

# All that a gateway asks, beside the policy.
explained() { # CONFIG...: of who may do all, by the policy
    "$xenresd" policy explain --config "$1" --as cn:alice --domain web-1 --type grant_table --action snapshot "${@:2}"
}

whom_nobody_lets_in_is_denied() {
    cat >"$work/full.policy" <<'END'
rule "all" { effect = allow identities = all domains = all types = all actions = { all, "trace.control" } }
END
    printf '# nobody\nidentity:cn:mallory\n' >"$work/deny"
    printf 'allow name:web-* all snapshot\n' >"$work/export"
    cat >"$work/full.conf" <<END
server { policy = "$work/full.policy" deny = "$work/deny" }
mapper { export = "$work/export" }
trust "lab" { ca = "$work/ca.crt" identities = { "cn:*" } }
issuer "corp" { issuer = "https://corp" audience = "a" jwks = "$work/jwks" }
END
    same "$(explained "$work/full.conf" | head -n 1)" "allowed by rule \"all\" ($work/full.policy:1)"
    fails 17 explained "$work/full.conf" --as cn:mallory
    same "$(head -n 1 "$work/said")" "denied by the deny list ($work/deny:2)"
    local who
    for who in dns:alice jwt:other:a jwt:corporate:a token:x; do
        fails 17 explained "$work/full.conf" --as "$who"
        contains "$(cat "$work/said")" "denied: nobody in $work/full.conf may speak for $who"
    done
    explained "$work/full.conf" --as jwt:corp:a >"$work/said"
    fails 17 explained "$work/full.conf" --action watch
    same "$(head -n 1 "$work/said")" "denied: no line of the export list $work/export allows it of what is known of the domain"
    fails 17 explained "$work/full.conf" --domain db-1
    fails 17 "$xenresd" policy explain --config "$work/full.conf" --as cn:alice --domain 7 --type any --action snapshot
    rm "$work/export"
    contains "$(explained "$work/full.conf" --action watch)" "not looked at: the export list, as there is none at $work/export"
    rm "$work/deny"
    fails 15 explained "$work/full.conf"
    contains "$(cat "$work/said")" "$work/deny"
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
check "each command tells its use" each_command_tells_its_use
check "the manual page has every option with its default" the_manual_page_has_every_option_with_its_default
check "a demonstration's files have no faults" a_demo_s_files_have_no_faults
check "every fault is told with its line" every_fault_is_told_with_its_line
check "groups that any issuer may give are warned of" groups_that_any_issuer_may_give_are_warned_of
check "what no single value tells is a fault" what_no_single_value_tells_is_a_fault
check "missing files are all named" missing_files_are_all_named
check "a key that is another's is a fault" a_key_that_is_another_s_is_a_fault
check "keys are for their owner only" keys_are_for_their_owner_only
check "a policy is explained, with rule and line" a_policy_is_explained_with_rule_and_line
check "what is not given is no way round a rule" what_is_not_given_is_no_way_round_a_rule
check "the policy of a configuration is explained" a_policy_of_a_configuration_is_explained
check "whom nobody lets in is denied" whom_nobody_lets_in_is_denied
check "what is no question about a policy is status 2" what_is_no_question_about_a_policy_is_status_2
check "a demo in a directory of others is refused" a_demo_in_a_directory_of_others_is_refused
