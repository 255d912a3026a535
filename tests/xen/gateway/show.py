# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
"""usage: show.py WHAT [FILE]

Prints what the tests compare, a line each, from a JSON answer of the API (the proto3 mapping: fields with
default values may be left out, 64-bit numbers are strings).
"""
import base64
import contextlib
import io
import json
import sys


def word(value, prefix):
    return value.removeprefix(prefix).lower() if value else "-"


def strings(message):
    """Fields of a protobuf message that has strings only, and few: number to text."""
    found, at = {}, 0
    while at < len(message):
        number, length, shift = message[at] >> 3, 0, 0
        while True:
            at += 1
            length |= (message[at] & 0x7F) << shift
            shift += 7
            if not message[at] & 0x80:
                break
        at += 1
        found[number] = message[at : at + length].decode()
        at += length
    return found


def refusal(error):
    """A Connect error: code, errno, message, cause, next step; `-` for what it does not say."""
    detail = {}
    for row in error.get("details", []):
        if row.get("type") == "xenres.v1.XenFailure":
            value = row["value"]
            detail = strings(base64.b64decode(value + "=" * (-len(value) % 4), validate=True))
    print(error["code"])
    print(detail.get(2) or "-")
    print(error.get("message") or "-")
    print(detail.get(3) or "-")
    print(detail.get(4) or "-")


def identity(answer):
    domain = answer["domain"]
    print(domain.get("domid", 0), domain["uuid"], domain.get("name", ""), domain["incarnation"])


def incarnation(answer):
    print(answer["domain"]["incarnation"])


def observation(answer):
    seen = answer["observation"]
    print(*(f"{name}={seen.get(name, 0)}" for name in ("frameCount", "framesInUse", "framesMax", "grantVersion")))


def grants(answer):
    for entry in answer.get("entries", []):
        line = [entry.get("reference", 0), word(entry.get("kind"), "GRANT_KIND_"), f"domid={entry.get('domid', 0)}"]
        if "transitive" in entry:
            line.append(f"of={entry['transitive'].get('domid', 0)}/{entry['transitive'].get('reference', 0)}")
        else:
            line.append(f"frame={int(entry.get('frame', 0)):#x}")
        if "subPage" in entry:
            part = entry["subPage"]
            line.append(f"bytes={part.get('offsetBytes', 0)}+{part.get('lengthBytes', 0)}")
        line += [flag for flag in ("readonly", "reading", "writing") if entry.get(flag)]
        print(*line)


def ioreqs(answer):
    for request in answer.get("vcpus", []):
        print(
            f"vcpu={request.get('vcpu', 0)}",
            f"state={word(request.get('state'), 'IOREQ_STATE_')}",
            f"type={word(request.get('type'), 'IOREQ_TYPE_')}",
            f"address={int(request.get('address', 0)):#x}",
            f"size={request.get('sizeBytes', 0)}",
            f"read={str(request.get('read', False)).lower()}",
        )
    print("buffered" if "buffered" in answer else "unbuffered")


def vcpus(answer):
    print(word(answer.get("source"), "STATS_SOURCE_"))
    for vcpu in answer.get("vcpus", []):
        print(f"vcpu={vcpu.get('vcpu', 0)} online={int(vcpu.get('online', False))} "
              f"run_time_ns={vcpu.get('runTimeNs', 0)}")


def domains(answer):
    for domain in answer.get("domains", []):
        who = domain["identity"]
        print(who.get("domid", 0), word(domain.get("type"), "DOMAIN_TYPE_"), who["uuid"], who.get("name", ""))


def states(answer):
    for domain in answer.get("domains", []):
        print(domain["identity"].get("domid", 0), word(domain.get("state"), "DOMAIN_STATE_"))


def resources(answer):
    for resource in answer.get("resources", []):
        print(
            word(resource.get("type"), "RESOURCE_TYPE_"),
            resource.get("id", 0),
            word(resource.get("availability"), "AVAILABILITY_"),
            f"{resource.get('framesInUse', 0)}/{resource.get('framesMax', 0)}",
            resource.get("failure", {}).get("errnoName", "-"),
        )


def host(answer):
    about = answer["host"]
    print("version", about["hypervisor"]["version"])
    print("abis", *about["hypervisor"]["guestAbis"])
    print("capabilities", *sorted(about["hypervisor"]["capabilities"]))
    print("cpus", about["hypervisor"]["cpuCount"])
    print("memory", about["hypervisor"]["totalMemoryKib"])
    print("boot", about["bootId"])
    print("uuid", about.get("uuid", "-"), about.get("uuidSource", "-"))
    print("hostname", about["hostname"])
    print("backend", about["gateway"]["backend"])
    print("connected", about["gateway"].get("mapperConnected", False))
    for check in about["gateway"]["checks"]:
        print("check", "ok" if check.get("ok") else "failed", check["name"], check.get("detail", ""))


with open(sys.argv[2]) if len(sys.argv) > 2 else sys.stdin as source:
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        {
            f.__name__: f
            for f in (refusal, identity, incarnation, observation, grants, ioreqs, vcpus, domains, states, resources, host)
        }[sys.argv[1]](json.load(source))
    # At once: whoever reads may have seen enough after the first line, and a broken pipe would be a failure.
    sys.stdout.write(shown.getvalue())
