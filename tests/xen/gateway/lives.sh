# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# Sourced by gateway.sh: cases about domains that end and whose numbers and names are used again, and about the end of
# either program.

# Frames asked for by number, UUID, name, and pinned to an incarnation: none of it is answered any more.
nobody_answers_for() { # DOMAIN UUID NAME INCARNATION
  local spelling status
  for spelling in "$1" "$2" "$3"; do
    status=0
    raw "$work/frames" "$spelling" grant_table 0 || status=$?
    refused "$status"
    [[ $code == not_found || $code == aborted ]] || { echo "$spelling: $code"; return 1; }
    [ "$cause" != - ]
    [ "$next_step" != - ]
  done
  pinned "$1" "$4" "not_found aborted"
}

pinned() { # DOMAIN INCARNATION CODES
  local status=0
  call ResourceService/GetSnapshot "domain: \"$1\" incarnation: \"$2\" type: RESOURCE_TYPE_GRANT_TABLE" \
    >"$work/answer.txt" || status=$?
  refused "$status"
  [[ " $3 " == *" $code "* ]] || { echo "pinned: $code instead of $3"; return 1; }
}

# look NAME: maps its grant table through the gateway; sets domain, uuid and incarnation.
look() {
  client grants "$1" >"$work/answer.json"
  read -r domain uuid _ incarnation < <(show identity "$work/answer.json")
}

destroyed_domain_is_gone() {
  local domain uuid incarnation before
  create tiny 'name="ending"' >/dev/null
  before=$(mappings)
  look ending
  same "$(mappings)" $((before + 1)) "live mappings after its grant table was asked for"
  dom0_sh "xl destroy ending; resmap gone $domain 1000"
  never dom0 xl list "$domain"
  same "$(dom0 xl list | awk -v domain="$domain" '$2 == domain')" "" "xl list"
  same "$(mappings)" "$before" "live mappings after its end"
  nobody_answers_for "$domain" "$uuid" ending "$incarnation"
}

# With nobody asking anything meanwhile, and more than one at once.
many_domains_end() {
  local domain uuid incarnation before i domains=()
  before=$(mappings)
  for i in 1 2 3; do
    create tiny "name=\"many-$i\"" >/dev/null
    look "many-$i"
    domains+=("$domain")
  done
  same "$(mappings)" $((before + 3)) "live mappings"
  dom0_sh "for i in 1 2 3; do xl destroy many-\$i; done
    for domain in ${domains[*]}; do resmap gone \$domain 1000 || exit; done"
  same "$(mappings)" "$before" "live mappings after their end"
}

paused_domain_keeps_its_incarnation() {
  local domain uuid incarnation
  create tiny 'name="resting"' >/dev/null
  look resting
  dom0 xl pause resting
  client grants resting >"$work/answer.json"
  same "$(show incarnation "$work/answer.json")" "$incarnation" "incarnation of a paused domain"
  dom0 xl destroy resting
  dom0 resmap gone "$domain" 1000
}

name_used_again() {
  local domain uuid incarnation old_domain old_uuid old_incarnation
  create tiny 'name="again"' >/dev/null
  look again
  old_domain=$domain old_uuid=$uuid old_incarnation=$incarnation
  dom0 xl destroy again
  create tiny-v2 'name="again"' >/dev/null
  comes_to_version "$(dom0 xl domid again)" 2
  look again
  [ "$domain" != "$old_domain" ]
  [ "$uuid" != "$old_uuid" ]
  [ "$incarnation" != "$old_incarnation" ]
  show observation "$work/answer.json" | grep -q grantVersion=2
  pinned again "$old_incarnation" aborted
  nobody_answers_for "$old_domain" "$old_uuid" "$old_uuid" "$old_incarnation"
  dom0 xl destroy again
  dom0 resmap gone "$domain" 1000
}

# The worst: number, UUID and name of the old domain, at once. Nothing but its entries tells the new one.
number_used_again() {
  local domain uuid incarnation old_incarnation try
  create tiny 'name="number"' >/dev/null
  look number
  old_incarnation=$incarnation
  raw "$work/old" "$domain" grant_table 0
  for try in 1 2 3; do
    dom0_sh "$([ "$try" -gt 1 ] && echo "provoke end $domain" || echo 'xl destroy number') &&
      resmap gone $domain 1000 && provoke make $domain $uuid &&
      xenstore-write /local/domain/$domain/name number"
    raw "$work/new" "$domain" grant_table 0
    dom0 resmap copy "$domain" 1 0 0 1 >"$work/truth"
    cmp "$work/new" "$work/truth"
    never cmp "$work/new" "$work/old"
    look number
    [ "$incarnation" != "$old_incarnation" ] || { echo "try $try: the incarnation stayed"; return 1; }
    pinned "$domain" "$old_incarnation" aborted
    old_incarnation=$incarnation
  done
  dom0 provoke end "$domain"
  dom0 xenstore-rm "/local/domain/$domain"
  dom0 resmap gone "$domain" 1000
}

# Somebody else holds a page of it: a zombie that is not ours.
dying_domain_is_not_answered_for() {
  local domain uuid incarnation before
  create tiny 'name="zombie"' >/dev/null
  before=$(mappings)
  look zombie
  dom0_sh "resmap hold $domain 1 0 0 1 >/tmp/hold.log 2>&1 &"
  dom0 wait-for 10 grep -q holding /tmp/hold.log
  dom0 xl destroy zombie
  dom0 wait-for 10 sh -c "resmap domains | grep '^$domain .*dying=1'"
  nobody_answers_for "$domain" "$uuid" "$uuid" "$incarnation"
  same "$(mappings)" "$before" "live mappings while it is dying"
  # Xen would map it, as it does here: it is the gateway that does not.
  dom0 resmap copy "$domain" 1 0 0 1 >"$work/frames"
  dom0 killall resmap
  dom0 resmap gone "$domain" 1000
}

# --- the programs' own end --------------------------------------------------------------------------------------------

# Answers while the mapper goes: each is whole, or says unavailable.
ask_on_and_on() { # FILE
  local i status said=$work/meanwhile
  mkdir -p "$said"
  for i in $(seq 40); do
    status=0
    raw "$1.frames" tiny grant_table 0 2>/dev/null || status=$?
    if [ "$status" -eq 22 ]; then
      refused "$status"
      echo "$http $code" >>"$1"
    else
      echo "$(cat "$said/http") $(sha256sum <"$1.frames")" >>"$1"
    fi
    [ ! -e "$work/enough" ] || return 0
  done
}

killed_mapper_comes_back() {
  local pid before frames
  pid=$(deploy_pid xenresd)
  look tiny
  raw "$work/frames" tiny grant_table 0
  frames=$(sha256sum <"$work/frames")
  before=$incarnation
  : >"$work/asked"
  ask_on_and_on "$work/asked" &
  until [ -s "$work/asked" ]; do read -r -t 0.05 <> <(:) || true; done
  dom0_sh 'kill -9 "$(cat /run/mapper.pid)"'
  local status=0
  raw "$work/frames-2" linux-pv1 grant_table 0 || status=$?
  : >"$work/enough"
  wait
  rm "$work/enough"
  refused "$status"
  same "$http $code" "503 unavailable"
  cat "$work/asked"
  never grep -vxF -e "200 $frames" -e '503 unavailable' "$work/asked"
  grep -qxF '503 unavailable' "$work/asked" || echo "none of those saw it"
  client host >"$work/answer.json" || true
  grep -q '"hostname"' "$work/answer.json" # the host answers without its mapper
  deploy_mapper root
  deploy_ready
  look tiny
  [ "$incarnation" != "$before" ] || { echo "another mapper has the same incarnation"; return 1; }
  same "$(deploy_pid xenresd)" "$pid"
  dom0 kill -0 "$pid"
}

# The mapper lets go of what its peer asked for, and is there for the next one.
killed_xenresd_leaves_nothing() {
  local pid incarnation before
  pid=$(deploy_pid mapper)
  look tiny
  before=$incarnation
  [ "$(mappings)" -gt 0 ]
  dom0_sh 'kill -9 "$(cat /run/xenresd.pid)"'
  dom0_sh "wait-for 10 sh -c '! grep -q \" /dev/xen/privcmd\" /proc/$pid/maps'"
  deploy_xenresd
  look tiny
  same "$(deploy_pid mapper)" "$pid"
  same "$incarnation" "$before" "incarnation that the same mapper tells another xenresd"
}
