# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# Sourced by streams.sh: cases about domains that end under a watch, and about the end of either program. The mapper
# keeps feeds for a minute after xenresd went, see streams.sh.

# steady_named NAME [UUID]: a guest that changes; prints its number.
steady_named() {
  local domain
  domain=$(create steady "name=\"$1\"" ${2:+"uuid=\"$2\""})
  dom0 wait-for 20 sh -c "test \$(provoke peek $domain 0x300004) -gt 8"
  echo "$domain"
}

# The recording says it also where no message did, but the library found it after an interruption.
ended_so() { # NAME REASON [SECONDS]
  watch_ended "$1" "${3:-30}"
  same "$watch_status $("$BUILD/xenres" verify "$work/$1.rec" | sed -n 's/^closed: //p')" "0 $2" "how the watch $1 ended"
}

# Every kind of watch of one domain, at once. The clock runs from before the command is given to dom0.
destroyed_domain_ends_its_watches() {
  local domain before start name late names=(end-table end-status end-decoded end-model end-stats end-slow)
  before=$(mappings)
  domain=$(create steady-v2 'name="ending"')
  dom0 wait-for 20 sh -c "test \$(provoke peek $domain 0x300004) -gt 8"
  same "$(hold_server "$domain" 1)" 0 "id of the server"
  watch end-table ending grant_table --period 10ms
  watch end-status ending grant_table 1 --period 10ms
  watch end-decoded ending grant_table --period 100ms --decode
  watch end-model ending ioreq_server 0 --period 10ms
  watch end-stats ending vcpu_stats --period 50ms
  watch end-slow ending grant_table --first 1 --period 60m --mode latest
  for name in "${names[@]}"; do
    eventually 20 was_told "$name" ' anew$' begins
  done
  eventually 20 told_batches end-table 5
  start=${EPOCHREALTIME/[.,]/}
  dom0_sh "provoke end $domain; resmap gone $domain 1000"
  for name in "${names[@]}"; do
    ended_so "$name" incarnation_ended
    late=$(((watch_end_us - start) / 1000))
    echo "$name ended after $late ms"
    [ "$late" -le 1000 ]
  done | tee "$work/late"
  echo "# $(paste -sd, "$work/late")" >&"$figures"
  complete end-table end-status end-decoded end-model
  same "$(mappings)" "$before" "live mappings after its end"
  same "$(dom0 xl list | awk -v domain="$domain" '$2 == domain')" "" "xl list"
  dom0_sh 'killall provoke; xl destroy ending 2>/dev/null || true'
}

# By the guest itself: same UUID and name, and xl starts it again at once. One watch is there all the time, one is killed
# before and goes on after: neither is ever told anything of the next life.
reboot_is_no_splice() {
  local domain uuid incarnation before again
  domain=$(steady_named again)
  before=$(dom0 resmap domains | sed -n "s/^$domain .*uuid=//p")
  watch staying again grant_table --period 20ms
  watch cut again grant_table --period 20ms
  eventually 20 told_batches staying 5
  eventually 20 told_batches cut 5
  watch_kill cut
  order_reboot "$domain"
  ended_so staying incarnation_ended
  dom0 wait-for 20 sh -c "test \"\$(xl domid again)\" -gt $domain"
  again=$(dom0 xl domid again)
  dom0 wait-for 20 sh -c "test \$(provoke peek $again 0x300004) -gt 8"
  same "$(dom0 resmap domains | sed -n "s/^$again .*uuid=//p")" "$before" "UUID of the next life"
  watch_again cut again grant_table --period 20ms --resume
  watch_ended cut 20
  cat "$work/cut.log"
  same "$(watched cut begins | cut -d ' ' -f 1 | sort -u)" "$domain" "domains in the recording that was cut"
  echo "the one that was cut: status $watch_status"
  "$BUILD/xenres" verify "$work/cut.rec" || true
  watch anew again grant_table --period 20ms
  eventually 20 told_batches anew 2
  [ "$(watched anew begins | cut -d ' ' -f 4)" != "$(watched staying begins | cut -d ' ' -f 4)" ]
  same "$(watched anew begins | cut -d ' ' -f 2-3)" "$(watched staying begins | cut -d ' ' -f 2-3)" "UUID and name"
  dom0_sh "xl destroy again; resmap gone $again 2000"
  ended_so anew incarnation_ended
}

order_reboot() { # DOMAIN: it is gone before it could say that it is
  dom0 provoke poke "$1" 0x300000 5
}

# The same with a client that is in the midst of trying to reach a gateway that was killed.
reboot_during_an_outage() {
  local domain uuid again
  domain=$(steady_named outage)
  uuid=$(dom0 resmap domains | sed -n "s/^$domain .*uuid=//p")
  watch outage outage grant_table --period 20ms
  eventually 20 told_batches outage 5
  dom0_sh 'kill -9 "$(cat /run/xenresd.pid)"'
  dom0_sh "xl destroy outage; resmap gone $domain 2000"
  again=$(steady_named outage "$uuid")
  deploy_xenresd
  ended_so outage incarnation_ended 90 # its waits have become long
  same "$(watched outage begins | cut -d ' ' -f 1 | sort -u)" "$domain" "domains in the recording"
  dom0_sh "xl destroy outage; resmap gone $again 2000"
}

# --- many --------------------------------------------------------------------------------------------------------------

# What must not grow. The first rounds are for what is allocated once.
held() {
  dom0_sh 'for name in mapper xenresd; do
    pid=$(cat /run/$name.pid)
    echo "$name descriptors $(ls /proc/$pid/fd | wc -l)"
    echo "$name spools $(grep -c memfd /proc/$pid/maps)"
    echo "$name privcmd $(grep -c /dev/xen/privcmd /proc/$pid/maps)"
  done
  echo "domains $(resmap domains | wc -l)"'
}

resident_kib() { # NAME
  dom0_sh "sed -n 's/^RssAnon:[^0-9]*\([0-9]*\) kB/\1/p' /proc/\$(cat /run/$1.pid)/status"
}

churn() { # ROUND
  local i name domains=()
  dom0_sh "for i in 1 2 3 4 5; do xl create -q /guests/tiny.cfg 'name=\"churn-$1-'\$i'\"' || exit; done"
  for i in 1 2 3 4 5; do
    watch "churn-$1-$i" "churn-$1-$i" grant_table --period 20ms
  done
  for i in 1 2 3 4 5; do
    eventually 20 was_told "churn-$1-$i" '^0 1 ' segments
    watched "churn-$1-$i" begins >>"$work/churned"
  done
  dom0_sh "for i in 1 2 3 4 5; do xl destroy churn-$1-\$i || exit; done"
  for i in 1 2 3 4 5; do
    ended_so "churn-$1-$i" incarnation_ended
    rm "$work/churn-$1-$i".*
  done
}

fifty_domains() {
  local round kind mapper_kib xenresd_kib
  : >"$work/churned"
  dom0_sh 'resmap domains' >"$work/domains-before"
  watch domains --domains
  eventually 20 was_told domains ' anew$' begins
  for round in $(seq 10); do
    [ "$round" -ne 3 ] || fifty_begin
    churn "$round"
  done
  eventually 20 feeds_are 1 # that of the domains
  held | diff "$work/held-before" -
  echo "# 40 domains later: mapper $mapper_kib -> $(resident_kib mapper) KiB," \
    "xenresd $xenresd_kib -> $(resident_kib xenresd) KiB" >&"$figures"
  [ "$(resident_kib mapper)" -le $((mapper_kib + 128)) ]
  [ "$(resident_kib xenresd)" -le $((xenresd_kib + 1024)) ]
  same "$(metric xenresd_mapper_zombies_held)" 0 "zombies"
  dom0 resmap domains | cut -d ' ' -f 1 | diff <(cut -d ' ' -f 1 "$work/domains-before") -
  same "$(wc -l <"$work/churned")" 50 "domains that were watched"
  for kind in created gone; do
    eventually 10 events_equal_begins "$kind"
  done
  watch_stop domains
  complete domains
}

# Two rounds are over.
fifty_begin() {
  eventually 20 feeds_are 1 # that of the domains
  held >"$work/held-before"
  mapper_kib=$(resident_kib mapper)
  xenresd_kib=$(resident_kib xenresd)
}

feeds_are() { # COUNT
  same "$(metric xenresd_mapper_feeds)" "$1" feeds
}

# Each once, with the incarnation that its watch was told, no incarnation twice, and nobody else. A name may come later than
# its domain, and goes before it: xl takes it away first, which ends the incarnation. What is left for a moment then is not
# told of.
events_equal_begins() { # KIND
  watched domains domains | sed -n "s/^$1 //p" >"$work/events"
  same "$(cut -d ' ' -f 3 "$work/events" | sort | uniq -d)" "" "incarnations told twice"
  cut -d ' ' -f 4 "$work/churned" >"$work/incarnations"
  diff <(grep -Ff "$work/incarnations" "$work/events" | cut -d ' ' -f 1-3 | sort) \
    <(cut -d ' ' -f 1,2,4 "$work/churned" | sort)
  same "$(grep -vFf "$work/incarnations" "$work/events")" "" "$1 of others" || sight_was_lost
}

# Where xenstored did not answer in time, the mapper cannot know that a domain is the one before, and says that it could not.
sight_was_lost() {
  deploy_logs | grep -F 'looking for changes of domains'
}

# --- the programs' own end ---------------------------------------------------------------------------------------------

# Two units: the mapper samples on while there is no xenresd, and what it saw is told behind the last that was.
killed_xenresd_is_resumed_exactly() {
  local before
  watch table steady grant_table --period 20ms
  watch decoded steady grant_table --period 20ms --decode
  watch domains --domains
  eventually 20 told_batches table 20
  eventually 20 told_batches decoded 20
  eventually 20 was_told domains ' anew$' begins
  dom0_sh 'kill -9 "$(cat /run/xenresd.pid)"'
  before=$(watched table sums)
  echo "when it was killed: $before"
  deploy_xenresd
  eventually 90 was_told table ' resumed$' begins
  eventually 90 was_told domains ' resumed$' begins
  eventually 20 told_batches table $(($(told table batches) + 20))
  same "$(told table gaps)" 0 "gaps"
  same "$(watched table begins | cut -d ' ' -f 5 | sort -u | wc -l)" 1 "feeds"
  dom0 resmap pause "$steady"
  held_equals table "$steady" 1 0 2
  dom0 resmap unpause "$steady"
  watch_stop table decoded domains
  complete table domains
  watched decoded sums
}

# Its memory is gone with it, and nobody can say for sure that a domain is still the one that it was. That is told, and a
# watch of the domains goes on with another feed.
killed_mapper_is_told() {
  watch table steady grant_table --period 20ms
  watch domains --domains
  eventually 20 told_batches table 10
  eventually 20 was_told domains ' anew$' begins
  dom0_sh 'kill -9 "$(cat /run/mapper.pid)"'
  deploy_mapper user
  deploy_ready
  watch_ended table 90
  same "$watch_status" 0 "status of the watch"
  complete_but_for at_end table
  grep -qx 'closed: incarnation_ended' "$work/verify.log"
  eventually 90 feeds_in domains 2
  watch anew steady grant_table --period 20ms
  eventually 20 told_batches anew 10
  dom0 resmap pause "$steady"
  held_equals anew "$steady" 1 0 2
  dom0 resmap unpause "$steady"
  watch_stop anew domains
  complete anew
  complete_but_for new_feed domains
}

feeds_in() { # NAME COUNT
  same "$(watched "$1" begins | cut -d ' ' -f 5 | sort -u | wc -l)" "$2" feeds
}

# --- what it costs the guest -------------------------------------------------------------------------------------------

# A size, which is three hypercalls, for each sample of a shared table; its mapping stays.
hypercalls_are_counted() {
  local before after
  watch cost steady grant_table --period 10ms
  eventually 20 told_batches cost 5
  metric xenresd_mapper_samples_total >"$work/samples" # xenresd asks for it every five seconds
  eventually 20 counters_are_new
  before=$(counted)
  eventually 20 counters_are_new
  eventually 20 counters_are_new
  after=$(counted)
  echo "$before -> $after"
  watch_stop cost
  awk -v before="$before" -v after="$after" 'BEGIN {
    split(before, b); split(after, a)
    samples = a[1] - b[1]; calls = a[2] - b[2]
    printf "%.2f hypercalls a sample, %d samples, %d maps\n", calls / samples, samples, a[3] - b[3]
    # Beside the samples, the loop looks at each domain that is mapped twice a second.
    exit !(samples > 100 && calls >= 3 * samples && calls <= 3.3 * samples + 20 && a[3] == b[3])
  }' >"$work/hypercalls" || { cat "$work/hypercalls"; return 1; }
  echo "# $(cat "$work/hypercalls")" >&"$figures"
}

# All of one moment.
counted() {
  dom0_sh 'wget -q -O - http://127.0.0.1:9480/metrics' | awk '{ sub(/^xenresd_mapper_/, ""); value[$1] = $2 }
    END { print value["samples_total"], value["hypercalls_total"], value["maps_total"] }'
}

counters_are_new() {
  local samples
  samples=$(metric xenresd_mapper_samples_total)
  [ "$samples" != "$(cat "$work/samples")" ] || return 1
  echo "$samples" >"$work/samples"
}

# Its vCPU's time a step, alone and under a watch each 10 ms. A figure, not a threshold: the emulator is what it is.
guest_is_not_slowed() {
  local alone watched
  alone=$(time_a_step)
  watch cost steady grant_table --period 10ms
  eventually 20 told_batches cost 5
  watched=$(time_a_step)
  watch_stop cost
  echo "# run time of a guest's step: ${alone%.*} us alone, ${watched%.*} us under a watch each 10 ms" >&"$figures"
}

time_a_step() { # microseconds
  dom0_sh "look() { echo \$(provoke peek $steady 0x300004) \$(resmap vcpus $steady | sed 's/.*run_time_ns=//'); }
    a=\$(look); sleep 4; b=\$(look)
    echo \$a \$b | awk '{ print (\$4 - \$2) / (\$3 - \$1) / 1000 }'"
}
