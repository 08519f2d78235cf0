# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What docs/containers.md says of each place from which a pool in a container can be asked.

A container is here what an engine makes of namespaces: processes and a root of its own, with what is mounted in it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import ROOT, Simulated
from tests.support.ansible import UNHURRIED, Direct, Json
from tests.support.machine import Machine
from tests.support.processes import STARTER_LOCK

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts need root")
GUIDE = (ROOT / "docs" / "containers.md").read_text(encoding="utf-8")
#: run a command with a root of its own, a copy of ours on which nothing but the named paths is shared
CONTAINER = """
top=$1; shared=$2; shift 2
mkdir "$top"; mount -t tmpfs none "$top"; mkdir "$top/upper" "$top/work" "$top/root"
mount -t overlay none -o lowerdir=/,upperdir="$top/upper",workdir="$top/work" "$top/root"
mount -t proc none "$top/root/proc"; mount --rbind /dev "$top/root/dev"
for path in $shared; do mkdir -p "$(dirname "$top/root$path")"; [ -d "$path" ] || touch "$top/root$path"; mount --bind "$path" "$top/root$path"; done
cd /; exec chroot "$top/root" env -C "$0" "$@"
"""


def container(machine: Machine, folder: Path, *shared: Path) -> list[str]:
    """A command that runs a command in a container that shares the processes of a machine, and these paths of ours."""
    paths = " ".join(map(str, shared))
    return [*machine.prefix, "unshare", "--mount", "sh", "-ec", CONTAINER, str(ROOT), str(folder), paths]


class Pod:
    """A pool in a container, and places beside it."""

    def __init__(self, machine: Machine, other: Machine, place: Callable[[], Path]) -> None:
        self._machine, self._other, self._place = machine, other, place
        folder = place()
        folder.mkdir()
        # Its lock shows the simulated daemon that the test still runs.
        prefix = container(machine, place(), folder, Path(os.environ[STARTER_LOCK]))
        self.pool = Simulated(folder, prefix=prefix, users=2, status_interval=1)

    @property
    def beside(self) -> list[str]:
        """A container with the same processes, and none of its directories."""
        return container(self._machine, self._place())

    @property
    def with_mounts(self) -> list[str]:
        """A container with its directories, and other processes."""
        return container(self._other, self._place(), self.pool.folder)


@pytest.fixture(scope="module")
def pod(place: Callable[[], Path]) -> Iterator[Pod]:
    with Machine(place()) as one, Machine(place()) as two:
        made = Pod(one, two, place)
        made.pool.start()
        yield made


def ask(direct: Direct, *prefix: str, **options: object) -> list[Json]:
    """The verdict on the pool, and an order."""
    return direct.run(
        [("ckpool_health_info", {**options, "thresholds": UNHURRIED}), ("ckpool_loglevel", {**options, "level": 5})], prefix=prefix
    )  # fmt: skip


def test_from_the_host(pod: Pod, direct: Direct) -> None:
    health, order = ask(direct, socket_dir=str(pod.pool.socket_dir))
    assert (health["health"]["state"], order["failed"]) == ("ok", False)


def test_from_a_container_with_the_same_processes(pod: Pod, direct: Direct) -> None:
    health, order = ask(direct, *pod.beside)
    assert (health["health"]["state"], order["failed"]) == ("ok", False)
    assert health["instance"]["root"].startswith("/proc/")


def test_from_another_container(pod: Pod, direct: Direct) -> None:
    where = {"socket_dir": str(pod.pool.socket_dir)}
    health, order = ask(direct, *pod.with_mounts, **where)
    assert (health["health"]["state"], health["health"]["status"]) == ("unknown", "critical")
    assert (order["failed"], order["reason"]) == (True, "another_peer")
    shown = GUIDE.partition("```text\n")[2].partition("\n```")[0]
    assert order["msg"] == " ".join(shown.split()).replace("/run/ckpool", str(pod.pool.socket_dir))
    (stats,) = direct.modules([("ckpool_stats", {**where, "log_dir": str(pod.pool.log_dir)})], prefix=pod.with_mounts)
    assert (stats["stats"]["users"], stats["source"], stats["instance"]["state"]) == (2, "files", "unknown")
