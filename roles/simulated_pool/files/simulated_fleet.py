# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Make the simulated instances of a directory those that are described, and print the changes as JSON.

    simulated_fleet.py --dir DIR --fleet '{"count": 2, "instances": [...]}' [--check]

An empty fleet stops everything and removes it. Only processes whose command line names the script in that folder are
ever ended. The program may come from standard input, so that a prediction needs nothing on the host.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any, Dict

SCRIPT = "simulated_ckpool.py"
LONGEST_SOCKET_PATH = 107
DEADLINE = 10.0
POLL = 0.02
AT_ONCE = 8
MODES = {"pool": [], "proxy": ["-p"], "passthrough": ["-P"], "redirector": ["-R"], "node": ["-N"]}
# Keys of an instance that are not part of its "simulation".
LAUNCH_KEYS = ("name", "mode", "socket_dir", "log_dir", "loglevel", "update_interval", "btcd")
ENDING_FAULTS = ("down", "refused")
SOCKETS = ("listener", "stratifier", "connector", "generator", "pool")
LOG_ENTRIES = ("pool", "users", "workers", "simulation.jsonl", "simulation.applied")

Json = Dict[str, Any]


class FleetError(Exception):
    """The request cannot be fulfilled; the text is the reason."""


@dataclass(frozen=True)
class Instance:
    """The description of one instance."""

    name: str
    home: str
    socket_dir: str
    log_dir: str
    mode: str
    loglevel: int
    config: Json

    @classmethod
    def parse(cls, folder: str, raw: Json) -> Instance:
        name = str(raw.get("name", ""))
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", name):
            raise FleetError(f"{name!r} is no name for an instance: letters, digits, '_', '.' and '-' only")
        if raw.get("mode", "pool") not in MODES:
            raise FleetError(f"{name}: mode must be one of {', '.join(MODES)}")
        home = os.path.join(folder, name)
        socket_dir = os.path.abspath(raw.get("socket_dir") or os.path.join(home, "sockets"))
        log_dir = os.path.abspath(raw.get("log_dir") or os.path.join(home, "logs"))
        config = {
            "logdir": log_dir,
            "sockdir": socket_dir,
            "update_interval": raw.get("update_interval", 30),
            "btcd": [{"url": url} for url in raw.get("btcd", ["127.0.0.1:8332", "127.0.0.1:8333"])],
            "simulation": {key: value for key, value in raw.items() if key not in LAUNCH_KEYS},
        }
        mode, level = str(raw.get("mode", "pool")), int(raw.get("loglevel", 5))
        instance = cls(name, home, socket_dir, log_dir, mode, level, config)
        instance.check_socket_path()
        return instance

    def check_socket_path(self) -> None:
        longest = os.path.join(self.socket_dir, "stratifier")
        length = len(os.fsencode(longest))
        if length > LONGEST_SOCKET_PATH:
            raise FleetError(
                f"{self.name}: the socket path {longest} has {length} bytes, but Unix allows {LONGEST_SOCKET_PATH};"
                " choose a shorter simulated_pool_dir, name or socket_dir"
            )

    @property
    def config_path(self) -> str:
        return os.path.join(self.home, self.name + ".conf")

    @property
    def config_text(self) -> str:
        return json.dumps(self.config, indent=2, sort_keys=True) + "\n"

    def command(self, script: str) -> list[str]:
        places = ["-n", self.name, "-s", self.socket_dir, "-c", self.config_path, "-l", str(self.loglevel)]
        return [sys.executable, script, *places, *MODES[self.mode], "-D"]

    def pid(self) -> int | None:
        """The process that claims to be this instance."""
        try:
            with open(os.path.join(self.socket_dir, "main.pid"), encoding="ascii") as stream:
                return int(stream.read(20))
        except (OSError, ValueError):
            return None

    def ends_itself(self) -> bool:
        faults = self.config["simulation"].get("faults", [])
        return any((fault if isinstance(fault, str) else fault.get("fault")) in ENDING_FAULTS for fault in faults)

    def as_written(self) -> bool:
        try:
            with open(self.config_path, encoding="utf-8") as stream:
                return stream.read() == self.config_text
        except OSError:
            return False

    def write(self) -> None:
        """Atomically, since the instance may be reading it."""
        os.makedirs(self.home, exist_ok=True)
        with open(self.config_path + ".new", "w", encoding="utf-8") as stream:
            stream.write(self.config_text)
        os.replace(self.config_path + ".new", self.config_path)


def anonymous(number: int) -> Json:
    """The n-th of a varied fleet."""
    return {
        "name": f"pool{number + 1:02d}",
        "layout": ("2025", "2026", "2017")[number % 3],
        "dialect": ("public", "public", "api", "guide")[number % 4],
        "users": 2 + number % 5,
        "workers_per_user": 1 + number % 3,
        "hashrate": 1e12 * 3 ** (number % 8),
        "seed": number + 1,
        "uptime": 86400 * (1 + number % 9),
    }


def wanted(folder: str, fleet: Json) -> dict[str, Instance]:
    raws = [anonymous(number) for number in range(int(fleet.get("count") or 0))] + list(fleet.get("instances") or [])
    instances = [Instance.parse(folder, raw) for raw in raws]
    for what in ("name", "socket_dir", "log_dir"):
        values = [getattr(instance, what) for instance in instances]
        twice = sorted({value for value in values if values.count(value) > 1})
        if twice:
            raise FleetError(f"two instances share the {what} {twice[0]}")
    return {instance.name: instance for instance in instances}


def arguments_of(pid: str) -> list[str]:
    """Empty for a process that is gone, has ended or is not visible."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as stream:
            return [os.fsdecode(word) for word in stream.read().split(b"\0")[:-1]]
    except OSError:
        return []


def running(script: str) -> dict[str, list[int]]:
    """The processes that run this script, by the name of their instance."""
    found: dict[str, list[int]] = {}
    for entry in os.listdir("/proc"):
        words = arguments_of(entry) if entry.isdigit() else []
        if script in words[1:2] and "-n" in words[2:-1]:
            found.setdefault(words[words.index("-n") + 1], []).append(int(entry))
    return found


class Fleet:
    """The instances of one directory: their present state, and the changes towards their description."""

    def __init__(self, folder: str, check: bool) -> None:
        self.folder = folder
        self.script = os.path.join(folder, SCRIPT)
        self.check = check
        self.present = self.find_present()
        self.running = running(self.script)

    def find_present(self) -> dict[str, Json]:
        """The configurations of the existing instances, by name."""
        found: dict[str, Json] = {}
        for name in sorted(os.listdir(self.folder)) if os.path.isdir(self.folder) else []:
            try:
                with open(os.path.join(self.folder, name, name + ".conf"), encoding="utf-8") as stream:
                    config = json.load(stream)
            except (OSError, ValueError):
                continue
            if isinstance(config, dict) and "simulation" in config:
                found[name] = config
        return found

    def apply(self, instances: dict[str, Instance]) -> Json:
        gone = sorted((set(self.present) | set(self.running)) - set(instances))
        states = {name: self.state(instance) for name, instance in instances.items()}
        fresh = [instances[name] for name, state in states.items() if state in ("new", "ended", "relaunch")]
        changed = [instances[name] for name, state in states.items() if state == "changed"]
        if not self.check:
            self.end(gone + [instance.name for instance in fresh])
            for name in gone:
                self.remove(name)
            self.start(fresh)
            for instance in changed:
                self.reconfigure(instance)
        leftovers = [] if instances else self.leftovers()
        if not self.check:
            self.remove_leftovers(leftovers)
        return {
            "differs": bool(gone or fresh or changed or leftovers),
            "started": [instance.name for instance in fresh],
            "reconfigured": [instance.name for instance in changed],
            "stopped": gone,
            "instances": [self.describe(instance) for instance in instances.values()],
        }

    def state(self, instance: Instance) -> str:
        """same, changed (its configuration, which it reads again), relaunch, ended or new."""
        pids = self.running.get(instance.name, [])
        if not pids:
            if instance.name not in self.present:
                return "new"
            return "same" if instance.as_written() and instance.ends_itself() else "ended"
        if len(pids) > 1 or arguments_of(str(pids[0]))[1:] != instance.command(self.script)[1:]:
            return "relaunch"
        if instance.pid() != pids[0]:
            return "relaunch"  # the leftover of a failed restart
        places = ("logdir", "sockdir")
        before = self.present.get(instance.name, {})
        lasting = before.get("simulation", {})
        moved = any(before.get(key) != instance.config[key] for key in places) or any(
            lasting.get(key) != instance.config["simulation"].get(key) for key in ("layout", "dialect", "dead_users")
        )
        if moved:
            return "relaunch"
        return "same" if instance.as_written() else "changed"

    def describe(self, instance: Instance) -> Json:
        places = {"name": instance.name, "socket_dir": instance.socket_dir, "log_dir": instance.log_dir}
        return {**places, "mode": instance.mode, "config": instance.config_path}

    def start(self, instances: list[Instance]) -> None:
        """In batches; each instance returns when its sockets answer."""
        for first in range(0, len(instances), AT_ONCE):
            batch = instances[first : first + AT_ONCE]
            for instance in batch:
                instance.write()
            starting = [(instance, self.launch(instance)) for instance in batch]
            for instance, process in starting:
                try:
                    _output, errors = process.communicate(timeout=2 * DEADLINE)
                except subprocess.TimeoutExpired as error:
                    process.kill()
                    raise FleetError(f"{instance.name} does not start") from error
                if process.returncode:
                    raise FleetError(f"{instance.name} does not start: {errors.strip()}")
            for instance in batch:
                if instance.ends_itself():
                    self.await_end([instance.name])

    def launch(self, instance: Instance) -> subprocess.Popen[str]:
        null, pipe = subprocess.DEVNULL, subprocess.PIPE
        command = instance.command(self.script)
        return subprocess.Popen(command, cwd=instance.home, stdin=null, stdout=null, stderr=pipe, text=True)

    def reconfigure(self, instance: Instance) -> None:
        """Write the configuration, and wait until the instance has read it, or has ended because of it."""
        instance.write()
        if instance.ends_itself():
            self.await_end([instance.name])
            return
        stamp = str(os.stat(instance.config_path).st_mtime_ns)
        receipt = os.path.join(instance.log_dir, "simulation.applied")
        deadline = time.monotonic() + DEADLINE
        while True:
            try:
                with open(receipt, encoding="utf-8") as stream:
                    if stream.read() == stamp:
                        return
            except OSError:
                pass  # not written yet
            if time.monotonic() > deadline:
                raise FleetError(f"{instance.name} has not applied its configuration; see its log")
            time.sleep(POLL)

    def end(self, names: list[str]) -> None:
        """By SIGTERM, then by SIGKILL."""
        try:
            self.await_end(names, signal.SIGTERM)
        except FleetError:
            self.await_end(names, signal.SIGKILL)

    def await_end(self, names: list[str], number: int = 0) -> None:
        """Look for processes again each time, since a restarting instance is followed by another process."""
        deadline = time.monotonic() + DEADLINE
        asked: set[int] = set()
        while True:
            now = running(self.script)
            pids = [pid for name in names for pid in now.get(name, [])]
            if not pids:
                return
            if time.monotonic() > deadline:
                raise FleetError(f"processes {pids} do not end")
            for pid in pids:
                if number and pid not in asked:
                    asked.add(pid)
                    terminate(pid, number)
            time.sleep(POLL)

    def remove(self, name: str) -> None:
        """Remove the files of the instance; directories elsewhere only when they are empty then."""
        config = self.present.get(name, {})
        home = os.path.join(self.folder, name)
        socket_dir, log_dir = config.get("sockdir", ""), config.get("logdir", "")
        if os.path.isdir(socket_dir):
            os.chmod(socket_dir, 0o750)
            remove_entries(socket_dir, (*SOCKETS, "main.pid"))
        if os.path.isdir(log_dir):
            remove_entries(log_dir, (*LOG_ENTRIES, name + ".log"))
        if name in self.present:
            shutil.rmtree(home, ignore_errors=True)

    def leftovers(self) -> list[str]:
        paths = [self.script, os.path.join(self.folder, "fleet.json")]
        return [path for path in paths if os.path.lexists(path)]

    def remove_leftovers(self, paths: list[str]) -> None:
        for path in paths:
            os.unlink(path)
        if paths:
            remove_entries(self.folder, ())


def terminate(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def remove_entries(folder: str, names: tuple[str, ...]) -> None:
    for name in names:
        path = os.path.join(folder, name)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        elif os.path.lexists(path):
            os.unlink(path)
    if not os.listdir(folder):
        os.rmdir(folder)


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        description="Make the simulated ckpool instances of a directory those that are described."
    )
    parser.add_argument("--dir", required=True, help="the directory of the fleet, which contains the script")
    parser.add_argument("--fleet", default="{}", help="JSON: count, instances; without both: stop all")
    parser.add_argument("--check", action="store_true", help="only print what would be done")
    given = parser.parse_args(argv)
    folder = os.path.abspath(given.dir)
    try:
        instances = wanted(folder, json.loads(given.fleet))
        result = Fleet(folder, given.check).apply(instances)
    except (FleetError, OSError, ValueError, TypeError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
