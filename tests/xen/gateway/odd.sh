# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# Sourced by gateway.sh: a test case for each row of odd.table, in the states that the table speaks of.

odd_begin() {
  local domain
  same "$(hold_server "$tiny" 0)" 0 "id of tiny's server"
  dom0_sh "provoke server $hvm 1 >/tmp/server-hvm.log 2>&1 & wait-for 10 grep -q id= /tmp/server-hvm.log"
  same "$(dom0 cat /tmp/server-hvm.log)" id=1
  dom0 provoke legacy "$hvm" 1
  domain=$(create tiny 'name="odd-zombie"')
  dom0_sh "resmap hold $domain 1 0 0 1 >/tmp/hold.log 2>&1 & wait-for 10 grep -q holding /tmp/hold.log"
  dom0 xl destroy odd-zombie
  dom0 wait-for 10 sh -c "resmap domains | grep '^$domain .*dying=1'"
  echo "$domain" >"$work/zombie"
  odd_tables >"$work/tables-before"
}

odd_tables() {
  local name
  for name in tiny tiny-v2 linux-pv1 linux-pv2 hvm; do
    echo "$name $(dom0 resmap grants "$(dom0 xl domid $name)")"
  done
}

odd_end() {
  odd_tables | diff "$work/tables-before" -
  alive "$tiny" "$tiny_v2" "$linux_pv1" "$linux_pv2" "$hvm"
  dom0_sh "killall provoke resmap; resmap gone $(cat "$work/zombie") 1000"
}

odd_row() { # BY DOMAIN TYPE ID FIRST COUNT CODE ERRNO CAUSE NEXT
  local by=$1 domain=$2 type=$3 id=$4 first=${5#-} count=${6#-}
  case $domain in @*) domain=$(cat "$work/${domain#@}") ;; esac
  [ "$5" != -1 ] || first=-1
  [[ $by != *r* ]] || odd_by_raw "${@:7}"
  [[ $by != *c* ]] || odd_by_call "${@:7}"
  [[ $by != *x* ]] || odd_by_xenres "${@:7}"
}

odd_by_raw() {
  local query=${first:+first=$first} status=0
  raw "$work/frames" "$domain" "$type" "$id" "$query${count:+${query:+&}count=$count}" || status=$?
  odd_check raw "$status" "$@"
}

odd_by_call() {
  local status=0
  case $type in [a-z]*) type=RESOURCE_TYPE_${type^^} ;; esac
  call ResourceService/GetSnapshot "domain: \"$domain\" type: $type id: $id ${first:+first_frame: $first}
    ${count:+frame_count: $count}" >"$work/answer.txt" || status=$?
  odd_check call "$status" "$@"
}

odd_check() { # HOW STATUS CODE ERRNO CAUSE NEXT
  local how=$1
  refused "$2"
  same "$code" "$3" "$how: code"
  same "$http" "$(in_table "$code" 4)" "$how: HTTP status"
  same "$errno" "$4" "$how: errno"
  contains "$cause" "$5" "$how: likely cause"
  contains "$next_step" "$6" "$how: next step"
  [ "$message" != - ]
  # Whatever Xen says has all of them; so has whatever has an errno of Xen's.
  [ "$errno" = - ] || { [ "$cause" != - ] && [ "$next_step" != - ]; } || { echo "$how: no cause or next step"; return 1; }
}

odd_by_xenres() { # CODE ERRNO CAUSE NEXT
  local status=0
  case $type in RESOURCE_TYPE_*) type=${type#RESOURCE_TYPE_} type=${type,,} ;; esac
  snapshot "$domain" "$type" "$id" ${first:+--first "$first"} ${count:+--count "$count"} \
    --output "$work/frames" >"$work/output" 2>&1 || status=$?
  same "$status" "$(in_table "$1" 5)" "xenres: exit status; it said: $(cat "$work/output")"
  contains "$(cat "$work/output")" "$3" "xenres: likely cause"
  contains "$(cat "$work/output")" "$4" "xenres: next step"
  [ "$2" = - ] || contains "$(cat "$work/output")" "$2" "xenres: errno"
}

contains() { # TEXT PART WHAT
  [[ $1 == *"$2"* ]] || { echo "$3: got '$1', without '$2'"; return 1; }
}

odd_cases() {
  local by domain type id first count code errno cause next text
  while IFS='|' read -r by domain type id first count code errno cause next text; do
    case $by in '' | '#'*) continue ;; esac
    check "odd question: $text" odd_row "${by// /}" "${domain// /}" "${type// /}" "${id// /}" "${first// /}" \
      "${count// /}" "$code" "$errno" "$cause" "$next"
  done <"$odd_source/odd.table"
}
odd_source=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
