# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a pool is found: alone, by its name, in another mount namespace, or not at all; and asked without Ansible."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support import DEADLINE, ROOT, SIMULATOR, Simulated
from tests.support.ansible import UNHURRIED, Direct, Json, Task
from tests.support.machine import Machine
from tests.support.target import Target

ASK = """
import sys
sys.path.insert(0, sys.argv[1])
from ansible_collections.ckpool.fleet.plugins.module_utils._pool import Pool
answer = Pool.find(sys.argv[2]).stats()
assert not [name for name in sys.modules if name.partition(".")[0] == "ansible"]
print(answer.stats.workers, answer.source, answer.state)
"""


def ask(direct: Direct, machine: Machine, *tasks: Task) -> list[Json]:
    return direct.modules(tasks, host=machine.host())


def start(machine: Machine, name: str = "ckpool", **options: Any) -> Simulated:
    pool = Simulated(machine.folder / name, name=name, prefix=machine.prefix, **options)
    return pool.start()


def test_none_runs(direct: Direct, machine: Machine) -> None:
    result, named = ask(
        direct, machine, ("ckpool_stats", {"name": "ckpool-of-nobody"}), ("ckpool_stats", {"name": "b"})
    )
    assert result["failed"]
    assert named["failed"]
    assert (result["phase"], result["reason"]) == ("find", "no_instance")
    assert result["path"] == "/tmp/ckpool-of-nobody"
    assert "socket_dir" in result["hint"]


def test_the_only_one_is_found(direct: Direct, machine: Machine) -> None:
    pool = start(machine, "solo")
    stats, health, everyone = ask(
        direct,
        machine,
        ("ckpool_stats", {}),
        ("ckpool_health_info", {"thresholds": UNHURRIED}),
        ("ckpool_health_info", {"all_instances": True}),
    )
    assert (stats["instance"]["name"], stats["instance"]["socket_dir"]) == ("solo", str(pool.socket_dir))
    assert stats["stats"]["workers"] == 6
    assert health["health"]["state"] == "ok"
    assert [found["instance"]["name"] for found in everyone["instances"]] == ["solo"]


def test_several_have_to_be_told_apart(direct: Direct, machine: Machine) -> None:
    one, two = start(machine, "one", layout="2017"), start(machine, "two", layout="2026")
    where = str(two.socket_dir)
    several, by_name, by_folder, other, everyone = ask(
        direct, machine,
        ("ckpool_stats", {}), ("ckpool_stats", {"name": "one"}), ("ckpool_stats", {"socket_dir": where}),
        ("ckpool_stats", {"name": "three"}), ("ckpool_health_info", {"all_instances": True, "socket_dirs": ["/nowhere/s"], "thresholds": UNHURRIED}),
    )  # fmt: skip
    assert (several["failed"], several["phase"], several["reason"]) == (True, "find", "several_instances")
    for pool in (one, two):
        assert f"{pool.name} (pid: " in several["msg"]
        assert str(pool.socket_dir) in several["msg"]
    assert by_name["instance"]["socket_dir"] == str(one.socket_dir)
    assert by_folder["instance"]["name"] == "two"
    assert (other["failed"], other["reason"]) == (True, "no_instance")
    found = {(row["instance"]["socket_dir"], row["health"]["state"]) for row in everyone["instances"]}
    assert found == {(str(one.socket_dir), "ok"), (where, "ok"), ("/nowhere/s", "down")}
    assert everyone["health"]["state"] == "down"
    assert "2 of 3 instances are healthy" in everyone["msg"]


@pytest.mark.parametrize(
    ("flag", "mode"), [("-p", "proxy"), ("-P", "passthrough"), ("-R", "redirector"), ("-N", "node")]
)
def test_modes(flag: str, mode: str, direct: Direct, machine: Machine) -> None:
    name = {"node": "cknode"}.get(mode, f"ck{mode}")
    Simulated(machine.folder / mode, flag, name=name, prefix=machine.prefix).start()
    (result,) = ask(direct, machine, ("ckpool_health_info", {"thresholds": UNHURRIED}))
    assert (result["instance"]["name"], result["instance"]["mode"]) == (name, mode)
    assert (result["health"]["state"], result["health"]["wrong"]) == ("ok", [])
    skipped = {check["name"] for check in result["health"]["checks"] if check["reason"] == "mode"}
    assert ("statistics" in skipped) == (mode in ("passthrough", "redirector"))
    assert {"work_age", "bitcoind"} <= skipped


def test_a_mount_namespace_of_its_own(direct: Direct, machine: Machine) -> None:
    """As with the PrivateTmp of a unit: its directory is reached through /proc/PID/root."""
    seen, hidden = machine.folder / "tmp", machine.folder / "hidden"
    seen.mkdir()
    hidden.mkdir()
    pool = Simulated(hidden, name="ckpool", prefix=machine.prefix, socket_dir=seen / "s")
    config = seen / "ckpool.conf"
    pool.log_dir = seen / "logs"
    pool.write()
    command = [sys.executable, str(SIMULATOR), "-n", "ckpool", "-s", str(seen / "s"), "-c", str(config), "-D"]
    done = machine.run(
        "unshare", "--mount", "sh", "-ec", 'mount --bind "$1" "$2"; shift 2; exec "$@"', "-", str(hidden), str(seen),
        *command,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert list(seen.iterdir()) == []
    results = ask(
        direct, machine,
        ("ckpool_stats", {}), ("ckpool_stats", {"socket_dir": str(seen / "s")}), ("ckpool_user_info", {}),
        ("ckpool_health_info", {"thresholds": UNHURRIED}),
    )  # fmt: skip
    for result in results:
        assert not result["failed"], result["msg"]
        assert result["instance"]["socket_dir"] == str(seen / "s")
        assert result["instance"]["log_dir"] == str(seen / "logs")
    assert results[0]["stats"]["workers"] == results[1]["stats"]["workers"] == 6
    assert len(results[2]["users"]) == 3
    assert (results[3]["health"]["state"], results[3]["health"]["wrong"]) == ("ok", [])


def test_leftovers_of_an_ended_one(direct: Direct, machine: Machine) -> None:
    pool = start(machine, "gone", faults=["refused"])
    (result,) = ask(direct, machine, ("ckpool_health_info", {"socket_dir": str(pool.socket_dir)}))
    assert result["health"]["state"] == "down"
    assert {"main.pid", "listener"} <= set(
        next(check for check in result["health"]["checks"] if check["name"] == "leftovers")["observed"]
    )


def test_main_pid_of_another_program(direct: Direct, place: Callable[[], Path]) -> None:
    folder = place()
    folder.mkdir()
    with subprocess.Popen(["sleep", "900"]) as other:
        (folder / "main.pid").write_text(str(other.pid))
        result = direct.module("ckpool_health_info", socket_dir=str(folder))
        other.kill()
    checks = {check["name"]: check for check in result["health"]["checks"]}
    assert checks["process"]["reason"] == "pid_is_another"
    assert result["health"]["state"] == "down"


def test_python_without_ansible(pool: Target) -> None:
    """As in a service: the interpreter sees no installed package."""
    command = [sys.executable, "-I", "-S", "-c", ASK, str(ROOT / ".collections"), str(pool.socket_dir)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=2 * DEADLINE, check=False, cwd="/")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(sum(map(len, pool.users.values()))), pool.source, "ok"]
