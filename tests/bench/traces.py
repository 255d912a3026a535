# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
"""Traces measured: what the benchmark of streams has of them.

  append      CPU of gateway and mapper for each GiB of a trace that clients get, beside the bare loop. The
              mapper has the simulated guest in it, which costs what it does without a reader; that is measured
              by itself, and taken off
  lossless    the highest rate at which nothing is lost, for each size of ring, beside xen-vmtrace's algorithm
              (a look each 100 ms), whose output goes through ssh; and pauses of the vCPU each second
  compress    how small a trace gets, in pieces of 64 KiB, and what that costs
"""
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import time
import zlib

from servers import Gateway, Sshd

MIB, GIB = 1 << 20, 1 << 30
PIECE = 64 << 10
FLOWS = {1: 48 * MIB, 16: 6 * MIB}      # clients, and the rate of what each of them reads
POLL_MS = 100
PROMISED_MS = 50
PROBE_S = 1.5
RATE_MAX = 640 * MIB                    # more than one core plays and another one sends
RINGS = (64 << 10, MIB, 8 * MIB, 64 * MIB)
TARGETS = {"append": 1.35, "lossless": 10}
ALONE_S = 3
TRIES = 2                               # at one rate: this machine may have stood still
MAPPER_OPTIONS = ("--spool-kib-max", "65536", "--spools-mib", "4096", "--trace-budget", "4000",
                  "--pauses-per-second", "100000")


def rates(ring):
    """From what a look each 160 ms would do for, up to more than a machine of two cores can."""
    rate, found = ring * 6.25, []
    while rate < RATE_MAX:
        found.append(int(rate))
        rate *= 1.5
    return found + [RATE_MAX]


def probe_name(ring, rate):
    return f"r{ring >> 10}-{rate >> 10}"


def domain(number, name, ring, rate, played=None):
    source = f'source = "{played}" loop = true' if played else ""
    return (f'domain "{name}" {{ domid = {number} type = "hvm" vcpus = 1 '
            f'uuid = "0b3c9f52-6f1e-4d5a-9a0c-{number:012x}"\n'
            f'  vmtrace {{ size = {ring} rate = {rate} {source} }} }}\n')


def request(name):
    """ReadTraceRequest: domain = 1."""
    return b"\x0a" + bytes([len(name)]) + name.encode()


class Traces:
    def __init__(self, bench, make_client, make_bare):
        """The classes Client and Bare of the benchmark of streams do for traces, too."""
        self.build, self.rounds, self.seconds = bench.build, bench.rounds, bench.seconds
        self.work = bench.work / "traces"
        self.work.mkdir()
        os.chmod(self.work, 0o755)
        self.bench, self.make_client, self.make_bare = bench, make_client, make_bare
        self.result = {}
        self.played = self.work / "trace.pt"
        self.play()
        self.gateway = self.folder = None
        self.ssh = None
        if pathlib.Path("/usr/sbin/sshd").exists() and shutil.which("ssh") and os.geteuid() == 0:
            self.ssh = Sshd(self.work)
            bench.servers.append(self.ssh)

    def play(self):
        """What the vCPUs play: made up once, as making it costs more than sending it."""
        (self.work / "made.scenario").write_text(domain(1, "made", 8 * MIB, 8 * MIB))
        with open(self.played, "wb") as out:
            subprocess.run([self.build / "tests/bench/trace_poll", self.work / "made.scenario", "1",
                            "100", "1"], stdout=out, stderr=subprocess.DEVNULL, check=True)

    def serve(self, name, domains):
        """A gateway on a host with these (number, name, ring, rate)."""
        if self.gateway:
            self.gateway.stop()
        self.folder = self.work / name
        self.folder.mkdir()
        os.chmod(self.folder, 0o755)
        self.gateway = Gateway(self.build, self.folder,
                               "seed = 1\n" + "".join(domain(*d, self.played) for d in domains),
                               mapper_options=MAPPER_OPTIONS)
        self.bench.servers.append(self.gateway)

    # --- calls --------------------------------------------------------------------------------------

    def call(self, method, name):
        certificates = self.gateway.dir
        answer = subprocess.run(
            ["curl", "-sSf", "--cacert", certificates / "ca.crt", "--cert", certificates / "operator.crt",
             "--key", certificates / "operator.key", "--json", json.dumps({"domain": name}),
             f"https://127.0.0.1:{self.gateway.port}/xenres.v1.TraceService/{method}"],
            capture_output=True, text=True)
        if answer.returncode != 0:
            sys.exit(f"{method} of {name}: {answer.stderr}")
        return json.loads(answer.stdout)

    def read(self, name, clients):
        self.call("StartTrace", name)
        (self.work / name).write_bytes(request(name))
        return self.make_client(self.build, self.gateway.port, self.gateway.dir, self.work, clients,
                                body=name, idle_body=name, trace=True)

    def vcpu(self, name):
        row = self.call("GetTrace", name)["vcpus"][0]
        return {key: int(row.get(key, 0)) for key in ("producedBytes", "lostBytes", "openLosses", "pauses")}

    # --- append -------------------------------------------------------------------------------------

    def guest_cpu_s_per_gib(self, number):
        """What the simulated guest costs by itself: looked at as seldom as xen-vmtrace does."""
        _, figures = self.poll(number, ALONE_S, to_ssh=False)
        return figures["cpu_s"] / (figures["produced"] / GIB)

    def append(self):
        self.serve("flows", [(number, f"flow-{clients}", 8 * MIB, rate)
                             for number, (clients, rate) in enumerate(FLOWS.items(), 1)])
        bare = self.make_bare(self.build, self.gateway.dir, self.work, PIECE - 1024)
        self.bench.servers.append(bare)
        for number, (clients, rate) in enumerate(FLOWS.items(), 1):
            guest = self.guest_cpu_s_per_gib(number)
            name = f"flow-{clients}"
            ours = self.read(name, clients)
            theirs = self.make_client(self.build, bare.port, self.gateway.dir, self.work, clients,
                                      body=name, idle_body=name)
            rows = [(self.ours(ours, clients, guest), self.bare(bare, theirs, clients, rate))
                    for _ in range(self.rounds)]
            ours.stop()
            theirs.stop()
            self.call("StopTrace", name)
            keys = rows[0][0].keys()
            row = {key: statistics.median(r[0][key] for r in rows) for key in keys}
            row["bare_s_per_gib"] = statistics.median(r[1] for r in rows)
            row["guest_s_per_gib"] = guest / clients
            row["ratio"] = (row["xenresd_s_per_gib"] + row["mapper_s_per_gib"]) / row["bare_s_per_gib"]
            self.result.setdefault("append", {})[clients] = row
            print(f"a trace to {clients} clients, {row['mib_per_s']:.0f} MiB/s in all: gateway "
                  f"{row['xenresd_s_per_gib']:.3f} and mapper {row['mapper_s_per_gib']:.3f} CPU s/GiB (and the "
                  f"guest {row['guest_s_per_gib']:.3f}), bare {row['bare_s_per_gib']:.3f}; "
                  f"{row['lost_bytes']:.0f} bytes lost", flush=True)

    def ours(self, client, clients, guest):
        own, mapper = self.gateway.own_cpu_s(), self.gateway.mapper.cpu_s()
        sample = client.measure(self.seconds)
        gib = sample["bytes"] / GIB
        return {"xenresd_s_per_gib": (self.gateway.own_cpu_s() - own) / gib,
                "mapper_s_per_gib": (self.gateway.mapper.cpu_s() - mapper) / gib - guest / clients,
                "mib_per_s": sample["bytes"] / MIB / self.seconds, "lost_bytes": sample["gaps"]}

    def bare(self, bare, client, clients, rate):
        own = bare.cpu_s()
        period_us = int((PIECE - 1024) / rate * 1e6)
        client.begin(self.seconds)
        bare.publish(int(self.seconds * 1e6 / period_us * 0.9), period_us, clients)
        sample = client.answer()
        bare.process.stdout.readline()
        return (bare.cpu_s() - own) / (sample["bytes"] / GIB)

    # --- lossless -----------------------------------------------------------------------------------

    def poll(self, number, seconds, to_ssh=True):
        """xen-vmtrace's way: whether all was handed on, and its figures."""
        words = [str(self.build / "tests/bench/trace_poll"), str(self.folder / "bench.scenario"),
                 str(number), str(POLL_MS), str(seconds)]
        command = self.ssh.command(" ".join(words)) if to_ssh and self.ssh else words
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                              check=True)
        figures = json.loads(done.stderr[done.stderr.index("{"):])
        return figures["produced"] == figures["handed_on"], figures

    def probe(self, name):
        client = self.read(name, 1)
        before = self.vcpu(name)
        began = time.monotonic()
        sample = client.measure(PROBE_S)
        after = self.vcpu(name)
        elapsed = time.monotonic() - began
        client.stop()
        self.call("StopTrace", name)
        lost = sample["gaps"] + after["lostBytes"] + after["openLosses"]
        return lost == 0 and sample["bytes"] > 0, (after["pauses"] - before["pauses"]) / elapsed

    def highest(self, ring, try_one):
        """The highest rate of which none below fails, and what was found then."""
        best = (0, None)
        for number, rate in enumerate(rates(ring), 1):
            for _ in range(TRIES):
                is_whole, found = try_one(number, rate)
                if is_whole:
                    break
            if not is_whole:
                break
            best = (rate, found)
        return best

    def lossless(self):
        rows = {}
        for ring in RINGS:
            self.serve(f"ring-{ring}", [(number, probe_name(ring, rate), ring, rate)
                                        for number, rate in enumerate(rates(ring), 1)])
            ours, pauses = self.highest(
                ring, lambda number, rate, ring=ring: self.probe(probe_name(ring, rate)))
            theirs, figures = self.highest(
                ring, lambda number, rate: self.poll(number, PROBE_S))
            poll_pauses = figures["pauses"] / PROBE_S if figures else 0
            rows[ring] = {"xenresd": ours, "poll": theirs, "promised": ring * 1000 // PROMISED_MS,
                          "poll_theory": ring * 1000 // POLL_MS, "pauses_per_s": pauses or 0,
                          "poll_pauses_per_s": poll_pauses, "limited_by_machine": ours == RATE_MAX}
            more = " (as much as was tried)" if ours == RATE_MAX else ""
            print(f"a ring of {ring >> 10} KiB: nothing lost up to {ours / MIB:.2f} MiB/s{more}, at "
                  f"{pauses or 0:.0f} pauses/s; promised {ring * 1000 / PROMISED_MS / MIB:.2f}; a look each "
                  f"{POLL_MS} ms by {'ssh' if self.ssh else 'a pipe'}: {theirs / MIB:.2f}, at "
                  f"{poll_pauses:.0f} pauses/s, of {ring * 1000 / POLL_MS / MIB:.2f} in theory", flush=True)
        self.result["lossless"] = {"by": "ssh" if self.ssh else "a pipe", "rows": rows}

    # --- compression --------------------------------------------------------------------------------

    def compress(self):
        data = self.played.read_bytes()
        rows = {}
        for level in (1, 3, 9):
            done = subprocess.run(["zstd", f"-b{level}", "-i1", "-B64K", self.played], check=True,
                                  capture_output=True, text=True)
            match = re.search(r"\(x?([\d.]+)\),?\s+([\d.]+) MB/s", done.stdout + done.stderr)
            rows[f"zstd {level}"] = {"ratio": float(match[1]), "s_per_gib": GIB / 1e6 / float(match[2])}
        for level in (1, 6):
            begin, size = time.process_time(), 0
            for at in range(0, len(data), PIECE):
                packer = zlib.compressobj(level, zlib.DEFLATED, 31)
                size += len(packer.compress(data[at:at + PIECE])) + len(packer.flush())
            rows[f"gzip {level}"] = {"ratio": len(data) / size,
                                     "s_per_gib": (time.process_time() - begin) / (len(data) / GIB)}
        for name, row in rows.items():
            print(f"{name}: {row['ratio']:.2f} times smaller, {row['s_per_gib']:.1f} CPU s/GiB", flush=True)
        self.result["compress"] = rows

    def run(self):
        self.append()
        self.lossless()
        self.compress()
        self.bench.result["trace"] = self.result

    def judge(self):
        for clients, row in self.result["append"].items():
            self.bench.judge(f"a trace to {clients} clients: CPU per GiB, ratio to the bare loop", row["ratio"],
                             TARGETS["append"])
        for ring, row in self.result["lossless"]["rows"].items():
            theirs = row["poll"] or row["poll_theory"]
            if TARGETS["lossless"] * theirs > RATE_MAX:
                print(f"  not judged: a ring of {ring >> 10} KiB: {TARGETS['lossless']} times {theirs / MIB:.0f} "
                      f"MiB/s is more than is tried here ({RATE_MAX // MIB})")
                continue
            self.bench.judge(f"a ring of {ring >> 10} KiB: {TARGETS['lossless']} times the rate without loss of a "
                             f"look each {POLL_MS} ms, in parts of ours",
                             TARGETS["lossless"] * theirs / max(row["xenresd"], 1), 1)
