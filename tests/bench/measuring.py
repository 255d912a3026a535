# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
"""What the benchmarks of requests share: a run of the load client, and what is said of several."""
import json
import statistics
import subprocess
import sys

GIB = 1 << 30


def measure(build, certificates, server, frames, connections, seconds, rate=0):
    counted = server.at(frames) if hasattr(server, "at") else server
    clocks = {name: getattr(counted, name) for name in ("cpu_s", "own_cpu_s")
              if hasattr(counted, name)}
    client = subprocess.Popen(
        [build / "tests/bench/client", *getattr(server, "client_options", []), str(counted.port),
         certificates, str(connections), str(seconds), str(rate), *server.request(frames)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    if client.stdout.readline() != "warm\n":
        sys.exit(f"{server.name}: the client did not get warm")
    before = {name: clock() for name, clock in clocks.items()}
    client.stdin.write("\n")
    client.stdin.flush()
    out = client.stdout.readline()
    spent = {name: clock() - before[name] for name, clock in clocks.items()}
    if client.wait() != 0 or not out:
        sys.exit(f"{server.name}: the client failed")
    return json.loads(out) | spent


def spread(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def figures(samples):
    out = {
        "cpu_s_per_gib": spread([s["cpu_s"] / (s["bytes"] / GIB) for s in samples]),
        "cpu_us_per_request": spread([s["cpu_s"] * 1e6 / s["answers"] for s in samples]),
        "requests_per_s": spread([s["answers"] / s["seconds"] for s in samples]),
    }
    if "own_cpu_s" in samples[0]:
        out["own_cpu_us_per_request"] = spread([s["own_cpu_s"] * 1e6 / s["answers"]
                                                for s in samples])
    if "p99_us" in samples[0]:
        for p in ("p50_us", "p99_us", "max_us"):
            out[p] = spread([s[p] for s in samples])
    return out


def table(title, rows, columns):
    print(f"\n{title}")
    print("  " + "".ljust(24) + "".join(c.rjust(26) for c, _, _ in columns))
    for name, f in rows.items():
        cells = ""
        for _, key, form in columns:
            v = f.get(key)
            cells += ("-" if v is None else
                      f"{v['median']:{form}} ({v['min']:{form}}…{v['max']:{form}})").rjust(26)
        print("  " + name.ljust(24) + cells)


def judge(name, value, limit, unit=""):
    word = "reached" if value <= limit else "MISSED"
    print(f"  {word}: {name}: {value:.2f}{unit}, to reach {limit}{unit}")
    return {"name": name, "value": value, "limit": limit, "reached": value <= limit}
