# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
"""What the benchmarks share: servers in the background, and what they cost."""
import grp
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

START_TIMEOUT_S = 30


def process_cpu_s(pid):
    """CPU of a process, its ended threads included, by its CPU clock (nanoseconds)."""
    try:
        return time.clock_gettime(((~pid) << 3) | 2)
    except OSError:
        return 0.0


def ended_children_cpu_s(pid):
    """CPU of the children that it has waited for (hundredths of a second)."""
    stat = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(stat[13]) + int(stat[14])) / os.sysconf("SC_CLK_TCK")


def descendants(pid):
    found = [pid]
    try:
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):  # it ended since it was listed
        children = []
    for child in children:
        found += descendants(int(child))
    return found


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def accepts(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


class Server:
    """Something in the background, ended with the benchmark."""

    def __init__(self, name, command, work, **options):
        self.name = name
        self.log = open(work / f"{name}.log", "wb")
        self.process = subprocess.Popen(command, stderr=self.log,
                                        **{"stdin": subprocess.DEVNULL, **options})

    def wait_for(self, ready):
        end = time.monotonic() + START_TIMEOUT_S
        while not ready():
            if time.monotonic() > end or self.process.poll() is not None:
                sys.exit(f"{self.name} did not start: see {self.log.name}")
            time.sleep(0.02)

    def cpu_s(self):
        return sum(process_cpu_s(p) for p in descendants(self.process.pid))

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()


# One caller asks for as much as there is.
NO_RATES = "limits {\n    requests_per_s_per_identity = 0\n    bytes_per_s_per_identity = 0\n}\n"


class Gateway(Server):
    """Certificates, policy and export list are the demo's. The mapper is started here, as it is
    beside a gateway in two units: its ceiling on hypercalls is made for guests on real hardware,
    and would be what is measured."""

    def __init__(self, build, work, scenario_text, settings=NO_RATES, mapper_options=()):
        self.dir = work / "demo"
        scenario = work / "bench.scenario"
        scenario.write_text(scenario_text)
        demo = Server("demo", [build / "xenresd", "--demo", self.dir, "--scenario", scenario], work,
                      stdout=subprocess.DEVNULL)
        demo.wait_for((self.dir / "env").exists)
        demo.stop()
        conf = self.dir / "xenresd.conf"
        conf.write_text(re.sub(r"mapper \{.*?\n\}", f'mapper {{ socket = "{work}/mapper.sock" }}',
                               conf.read_text(), flags=re.S) + settings)
        self.configure()
        user = re.search(r'user += "(.*?)"', conf.read_text())[1]
        self.mapper = Server("mapper", [build / "xenresd-mapper-sim", "--socket",
                                        work / "mapper.sock", "--export", self.dir / "export",
                                        "--scenario", scenario, "--peer-user", user,
                                        "--hypercalls-per-second", "10000000", *mapper_options],
                             work)
        self.mapper.wait_for((work / "mapper.sock").exists)
        shutil.chown(work / "mapper.sock", group=grp.getgrgid(pwd.getpwnam(user).pw_gid).gr_name)
        super().__init__("xenresd", [build / "xenresd", "--config", conf], work,
                         stdout=subprocess.DEVNULL)
        log = work / "xenresd.log"
        self.wait_for(lambda: "ready" in log.read_text())
        self.port = int(re.search(r"listening on port (\d+)", log.read_text())[1])

    def configure(self):
        """For who wants other files than the demo's."""

    def cpu_s(self):
        return self.own_cpu_s() + self.mapper.cpu_s()

    def own_cpu_s(self):
        return super().cpu_s()

    def stop(self):
        super().stop()
        self.mapper.stop()


class Sshd(Server):
    """An sshd of our own on loopback, into which one may log in as who runs this."""

    def __init__(self, work):
        self.port, self.dir = free_port(), work / "ssh"
        self.dir.mkdir(mode=0o700)
        for key in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.dir / key],
                           check=True)
        shutil.copy(self.dir / "user.pub", self.dir / "authorized")
        os.makedirs("/run/sshd", exist_ok=True)
        (self.dir / "sshd_config").write_text(
            f"ListenAddress 127.0.0.1:{self.port}\nHostKey {self.dir}/host\n"
            f"AuthorizedKeysFile {self.dir}/authorized\nPidFile none\nUsePAM no\n"
            "StrictModes no\nPermitRootLogin yes\nMaxStartups 200\nCiphers aes128-gcm@openssh.com\n")
        super().__init__("sshd", ["/usr/sbin/sshd", "-D", "-e", "-f", self.dir / "sshd_config"],
                         work)
        self.wait_for(lambda: accepts(self.port))

    def command(self, remote):
        return ["ssh", "-q", "-F", "none", "-i", self.dir / "user", "-p", str(self.port),
                "-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={self.dir}/known",
                "127.0.0.1", remote]
