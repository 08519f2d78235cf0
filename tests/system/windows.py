# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tests of maintenance windows are made of: releases, good and bad, and hosts on which they are installed."""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.support.ansible import Ansible, Json, Record, Run
from tests.support.paths import ROOT, SIMULATOR
from tests.support.waiting import wait_for
from tests.system.hosts import Host

FOLDER = "var/lib/ckpool.fleet"
GUARD = "etc/systemd/system/ckpool-fleet-window.service"
UNIT = "etc/systemd/system/ckpool-main.service"
LONGEST = 900.0
ADDRESS = "bc1q28kkr5hk4gnqe3evma6runjrd2pvqyp8fpwfzu"
FAST = {
    "upgrade_poll": 1, "upgrade_stable_for": 1, "upgrade_verify_timeout": 25, "upgrade_ready_timeout": 15,
    "upgrade_handover_timeout": 15, "upgrade_start_timeout": 15, "upgrade_stop_timeout": 10, "upgrade_rollback_timeout": 90,
    "upgrade_silence_for": 600,
}  # fmt: skip
"""Waits that suit a simulated pool."""
_MARKED = """
_start = Instance.start
def _marked(self):
    _start(self)
    overwrite(os.path.join(self.logdir, "release"), VERSION)
Instance.start = _marked

if __name__ == "__main__":"""
_FAULTY = """
_read = Settings.read
def _faulty(path):
    made = _read(path)
    made.setdefault("simulation", {}).setdefault("faults", []).append(FAULT)
    return made
Settings.read = staticmethod(_faulty)

if __name__ == "__main__":"""
_SLOW = """
if "-h" not in sys.argv:
    time.sleep(SECONDS)

if __name__ == "__main__":"""
_MAIN = 'if __name__ == "__main__":'
_UNRUNNABLE = {
    "exits": "import sys\nsys.exit(0 if '-h' in sys.argv else 1)\n",
    "silent": "import sys, time\ntime.sleep(0 if '-h' in sys.argv else 3600)\n",
}


class Releases:
    """Artifacts on the controller. No two have the same content, as releases are told apart by that."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._numbers = itertools.count(1)

    def good(self) -> Json:
        """The simulated pool: the variables of the role install that name it."""
        return self._pool("good", "")

    def faulty(self, fault: str, **options: Any) -> Json:
        """The simulated pool with a fault of its own, whatever its configuration says."""
        return self._pool(fault, _FAULTY.replace("FAULT", repr({"fault": fault, **options})))

    def slow(self, seconds: int) -> Json:
        """The simulated pool that takes its time before it does anything at all."""
        return self._pool("slow", _SLOW.replace("SECONDS", str(seconds)))

    def unrunnable(self, kind: str) -> Json:
        """A program that is no pool: it exits at once, or does nothing at all."""
        return self._write(self._version(kind), _UNRUNNABLE[kind])

    def real(self, program: str) -> Json:
        """A copy of a real daemon, which ignores what follows its end: no two releases are the same."""
        version = self._version("real")
        return self._write(version, Path(program).read_bytes() + f"\n{version}\n".encode())

    def foreign(self) -> Json:
        """A program for another architecture."""
        head = bytearray(Path("/proc/self/exe").resolve().read_bytes()[:4096])
        head[18:20] = (243).to_bytes(2, "little")  # the machine of its header: RISC-V
        return self._write(self._version("foreign"), bytes(head))

    def _pool(self, kind: str, patch: str) -> Json:
        """A simulated pool that writes down which release it is."""
        version = self._version(kind)
        text = SIMULATOR.read_text().replace(_MAIN, patch or _MAIN)
        return self._write(version, text.replace(_MAIN, _MARKED.replace("VERSION", repr(version))))

    def _version(self, kind: str) -> str:
        return f"{next(self._numbers)}-{kind.replace('_', '-')}"

    def _write(self, version: str, content: str | bytes) -> Json:
        path = self.folder / version
        if isinstance(content, str):
            content = f"#!/usr/bin/python3\n{content}# {version}\n".encode()
        path.write_bytes(content)
        path.chmod(0o755)
        return {"install_version": version, "install_artifact": str(path)}


class Site:
    """A host with a pool that the role install has installed, and what is done to it."""

    def __init__(self, host: Host, ansible: Ansible, releases: Releases, folder: Path) -> None:
        self.host, self.ansible, self.releases = host, ansible, releases
        self.records = folder / "records"
        self.wanted: Json = {}
        self.config: Json = {
            "btcd": [{"url": "127.0.0.1:8332", "auth": "user", "pass": "secret-of-bitcoind"}],
            "btcaddress": ADDRESS,
            "serverurl": ["127.0.0.1:3333"],
            "update_interval": 1,
            "simulation": {"status_interval": 1, "users": 3, "stubborn": 1},
        }
        self.names = ["main"]

    # Running Ansible

    def variables(self, more: Mapping[str, Any]) -> Json:
        """What the inventory says of the host: what is wanted, with what this run wants besides."""
        instances = [
            {"name": name, "config": {**self.config, "serverurl": [f"127.0.0.1:{3333 + number}"]}}
            for number, name in enumerate(self.names)
        ]
        own = {"install_instances": instances, "upgrade_record_dir": str(self.records)}
        return {**self.host.variables(), "ansible_become": True, **FAST, **own, **self.wanted, **more}

    def run(self, playbook: str, *arguments: str, **variables: Any) -> Run:
        """Run a playbook of the collection on the host."""
        return run_on({self: variables}, playbook, *arguments)

    def start(self, playbook: str, *arguments: str, **variables: Any) -> tuple[subprocess.Popen[str], Path]:
        """Begin to run one; the process, and where its record is."""
        return start_on({self: variables}, playbook, *arguments)

    def upgrade(self, release: Json | None = None, *arguments: str, **variables: Any) -> Run:
        """Upgrade the host, to another release if one is given, which is what is wanted from then on if that succeeds."""
        run = self.run("upgrade", *arguments, **{**(release or {}), **variables})
        if release and run.status == 0 and "--check" not in arguments:
            self.wanted = release
        return run

    def heal(self) -> None:
        """Have a pool that serves on the release that is wanted, whatever a test has left."""
        self.host.blocked.unlink(missing_ok=True)
        self.host.run("sudo rm -rf /var/lib/ckpool.fleet/window.json")
        self.host.run("sudo systemctl disable --now ckpool-fleet-window", check=False)
        self.host.run(f"sudo rm -f /{GUARD}; sudo systemctl daemon-reload")
        for name in self.names:
            if self.state(name) != "ok":
                self.host.run(
                    f"sudo systemctl reset-failed ckpool-{name}; sudo systemctl restart ckpool-{name}", check=False
                )
        self.wait_for_miners()

    # What there is

    def path(self, place: str) -> Path:
        """A file of the host, as this machine sees it. What is mounted within it is seen, too."""
        return Path(f"/proc/{self.host.leader}/root/{place}")

    @property
    def current(self) -> str:
        """The release that is current."""
        return os.path.basename(os.readlink(self.path("opt/ckpool/current")))

    def ask(self, socket: str, message: str, name: str = "main") -> str:
        """What a pool of the host replies; empty if nothing."""
        script = (
            "import socket,struct,sys\ns=socket.socket(socket.AF_UNIX); s.settimeout(3); s.connect(sys.argv[1])\n"
            "m=sys.argv[2].encode(); s.sendall(struct.pack('<I',len(m))+m); n=struct.unpack('<I',s.recv(4))[0]\n"
            "d=b''\nwhile len(d)<n: d+=s.recv(n-len(d))\nprint(d.decode())"
        )
        done = subprocess.run(
            self.host.enter("python3", "-c", script, f"/run/ckpool/{name}/{socket}", message),
            capture_output=True, text=True, check=False, timeout=30,
        )  # fmt: skip
        return done.stdout.strip()

    def clients(self, name: str = "main") -> int:
        """How many miners a pool has."""
        reply = self.ask("connector", "stats", name)
        return int(json.loads(reply)["clients"]["count"]) if reply else 0

    def pid(self, name: str = "main") -> int:
        """The process of a pool, as its host numbers it."""
        return int(self.path(f"run/ckpool/{name}/main.pid").read_text())

    def state(self, name: str = "main") -> str:
        """ok, if a pool has all of its miners."""
        with contextlib.suppress(ValueError, KeyError, TypeError):
            return "ok" if self.clients(name) == 6 else "without miners"
        return "down"

    def wait_for_miners(self) -> None:
        for name in self.names:
            wait_for(functools.partial(self._has_miners, name), f"the miners of {name}", 60)

    def _has_miners(self, name: str) -> bool:
        return self.state(name) == "ok"

    def window(self) -> Json:
        """The record on the host; empty while there is none."""
        try:
            found: Json = json.loads(self.path(f"{FOLDER}/window.json").read_text())
        except FileNotFoundError:
            return {}
        return found

    def wait_for_window(self, *states: str, seconds: float = 150.0) -> Json:
        """The record once it is in one of these states."""

        def there() -> Json:
            record = self.window()
            return record if record.get("state") in states else {}

        return wait_for(there, f"a window that is {states}", seconds)

    def wait_for_drain(self) -> None:
        """Until the run that holds the window sends the miners away."""
        wait_for(
            lambda: any((one.get("before") or {}).get("sent_to") for one in self.window().get("instances", [])),
            "a drain",
            150.0,
        )

    def runs(self, name: str = "main") -> str:
        """The release that a pool runs, as that itself wrote down when it began."""
        return self.path(f"var/log/ckpool/{name}/release").read_text()

    def is_guarded(self) -> bool:
        """Whether there is anything left of a guard."""
        return self.path(GUARD).exists() or self.path(f"{FOLDER}/guard.zip").exists()


_numbers = itertools.count(1)


def start_on(
    sites: Mapping[Site, Mapping[str, Any]], playbook: str, *arguments: str
) -> tuple[subprocess.Popen[str], Path]:
    """Begin to run a playbook of the collection on hosts at the same time, each with variables of its own."""
    ansible = next(iter(sites)).ansible
    stem = ansible.folder / f"windows-{next(_numbers)}"
    inventory = stem.with_suffix(".inventory.json")
    hosts = {site.host.name: site.variables(variables) for site, variables in sites.items()}
    inventory.write_text(json.dumps({"all": {"hosts": hosts}}))
    together = json.dumps({f"{playbook}_serial": "100%"})
    command = [
        sys.executable, "-m", "ansible", "playbook", "-i", str(inventory), f"ckpool.fleet.{playbook}", "-e", together, *arguments,
    ]  # fmt: skip
    record = stem.with_suffix(".jsonl")
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=ansible.environment(record, {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return process, record


def run_on(sites: Mapping[Site, Mapping[str, Any]], playbook: str, *arguments: str) -> Run:
    """Run a playbook of the collection on hosts at the same time, each with variables of its own."""
    process, record = start_on(sites, playbook, *arguments)
    output, _none = process.communicate(timeout=LONGEST)
    lines = record.read_text().splitlines() if record.exists() else []
    return Run(process.returncode, output, "", [Record(**json.loads(line)) for line in lines])


def install(sites: Collection[Site]) -> None:
    """Install a good release on hosts, and start their pools."""
    for site in sites:
        site.wanted = site.releases.good()
    run = run_on({site: {} for site in sites}, "install")
    assert run.status == 0, run.text
    for site in sites:
        site.wait_for_miners()


def outcome(run: Run, site: Site | None = None) -> str:
    """The outcome that a run ends with on its host, which its last line says too.

    :arg site: the host, if there are several.
    """
    said = [one.result for one in run.of("ckpool_outcome") if site is None or one.host == site.host.name]
    assert len(said) == 1, run.text
    assert f"outcome: {said[0]['outcome']}" in said[0]["msg"]
    return str(said[0]["outcome"])


def kill(process: subprocess.Popen[str]) -> None:
    """End a controller as a loss of power would."""
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)


@contextlib.contextmanager
def partitioned(host: Host) -> Iterator[None]:
    """A stretch in which nobody reaches a host, and connections that there were are gone."""
    host.blocked.touch()
    for pid in _proxies(host):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    try:
        yield
    finally:
        host.blocked.unlink(missing_ok=True)
        time.sleep(0.5)


def _proxies(host: Host) -> list[int]:
    """The processes that carry ssh to a host: they are this machine's, in the network of the host."""
    network = os.readlink(f"/proc/{host.leader}/ns/net")
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if not entry.name.isdigit() or os.readlink(entry / "ns/net") != network:
                continue
            if os.readlink(entry / "ns/pid") == os.readlink("/proc/self/ns/pid"):
                found.append(int(entry.name))
    return found
