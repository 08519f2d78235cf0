# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A handover with real connections of miners, which the new process inherits and never reads."""

from __future__ import annotations

import os
import select
import signal
import socket
import typing as t

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils._control import Control
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import PoolError
from ansible_collections.ckpool.fleet.plugins.module_utils._host import severing, systemd
from ansible_collections.ckpool.fleet.plugins.module_utils._orders import sever, takeover

from tests.support import Simulated, free_port, wait_for

pytestmark = pytest.mark.usefixtures("memory")
Start = t.Callable[..., Simulated]
MINERS = 6


class Crowd:
    """Miners that ignore every message, and connect again when their connection ends."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.miners = [self._connect() for _number in range(MINERS)]
        self.cut_off = 0

    def _connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def are_all_cut_off(self) -> bool:
        self.follow()
        return self.cut_off == MINERS

    def follow(self) -> None:
        """Notice what has ended, and connect again."""
        ended, _writable, _failed = select.select(self.miners, [], [], 0)
        for miner in ended:
            try:
                if miner.recv(65536):
                    continue
            except ConnectionError:
                pass
            miner.close()
            self.cut_off += 1
            self.miners[self.miners.index(miner)] = self._connect()

    def close(self) -> None:
        for miner in self.miners:
            miner.close()


@pytest.fixture
def crowd(simulate: Start) -> t.Iterator[t.Tuple[Simulated, Crowd]]:
    port = free_port()
    daemon = simulate(users=0, ports=[port])
    miners = Crowd(port)
    wait_for(lambda: control_of(daemon).clients() == MINERS, "the miners")
    yield daemon, miners
    miners.close()


@pytest.fixture(autouse=True)
def no_systemd(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without systemd, also on a machine that it runs."""
    monkeypatch.setattr(systemd, "has_systemd", lambda: False)


def control_of(daemon: Simulated) -> Control:
    return Control.find(str(daemon.socket_dir))


def hand_over(daemon: Simulated, miners: Crowd, way: str) -> takeover.Report:
    """What became of it, when all is over."""
    control = control_of(daemon)
    pid, started = control.instance.pid, control.instance.start_ticks
    assert pid and started
    assert takeover.restart(control, way) == "restarting"

    def over() -> t.Optional[takeover.Report]:
        miners.follow()
        report = takeover.report(pid, started)
        return report if report and report.is_over else None

    report = wait_for(over, "the end of the handover", 60)
    assert report is not None
    return report


def need(way: str) -> None:
    works = {"pidfd": severing._has_pidfd, "sock_destroy": severing._has_sock_destroy}[way]
    if not works(os.getpid()):
        pytest.skip(f"{way} needs a newer kernel, or root")


@pytest.mark.parametrize("way", severing.WAYS)
def test_nobody_is_left_behind(crowd: t.Tuple[Simulated, Crowd], way: str) -> None:
    need(way)
    daemon, miners = crowd
    before = control_of(daemon).instance.pid
    report = hand_over(daemon, miners, way)
    assert (report.state, report.inherited, report.severed, report.problem) == ("taken_over", MINERS, MINERS, "")
    assert (miners.cut_off, control_of(daemon).clients()) == (MINERS, MINERS)
    control = control_of(daemon)
    assert control.instance.pid == report.pid != before
    assert report.longest_gap is not None and 0 < report.longest_gap < 60
    assert control.connections() == {"held": MINERS, "stranded": 0, "sever": sever.best_way(control.instance)}


def test_without_that_all_hang_and_can_be_freed_later(
    crowd: t.Tuple[Simulated, Crowd], monkeypatch: pytest.MonkeyPatch
) -> None:
    need("pidfd")
    monkeypatch.setattr(takeover, "_RETURN_SECONDS", 0.5)
    daemon, miners = crowd
    report = hand_over(daemon, miners, "none")
    assert (report.state, report.inherited, report.severed, report.longest_gap) == ("taken_over", MINERS, 0, None)
    assert (miners.cut_off, control_of(daemon).clients()) == (0, 0)
    wait_for(lambda: control_of(daemon).connections()["stranded"] == MINERS, "the sight of those who hang")
    assert control_of(daemon).sever() == MINERS

    def are_back() -> bool:
        miners.follow()
        return control_of(daemon).clients() == MINERS

    wait_for(are_back, "their return")
    assert control_of(daemon).connections()["stranded"] == 0
    assert control_of(daemon).sever() == 0


def test_where_nothing_can_be_closed_from_outside_the_daemon_drops_them(
    crowd: t.Tuple[Simulated, Crowd], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(severing, "way_to_sever", lambda pid: "none")
    daemon, miners = crowd
    assert sever.best_way(control_of(daemon).instance) == "dropall"
    report = hand_over(daemon, miners, "dropall")
    assert (report.state, report.inherited, report.severed) == ("taken_over", 0, 0)
    assert (miners.cut_off, control_of(daemon).clients()) == (MINERS, MINERS)
    assert [m for _s, m in daemon.record() if m in ("reject", "dropall", "restart")] == ["reject", "dropall", "restart"]
    with pytest.raises(PoolError, match="cannot be closed from outside"):
        control_of(daemon).sever()


def test_all_can_be_cut_off(crowd: t.Tuple[Simulated, Crowd]) -> None:
    need("pidfd")
    daemon, miners = crowd
    assert control_of(daemon).sever(all_miners=True) == MINERS
    wait_for(miners.are_all_cut_off, "the end of their connections")


def test_a_pool_that_rejects_strands_those_who_talk(crowd: t.Tuple[Simulated, Crowd]) -> None:
    need("pidfd")
    daemon, miners = crowd
    control_of(daemon).reject(None, "a test")

    def are_unheard() -> bool:
        for miner in miners.miners[:2]:  # of what is said at first, some is still read
            miner.sendall(b'{"id": 1, "method": "mining.ping", "params": []}\n')
        return bool(control_of(daemon).connections()["stranded"] == 2)

    wait_for(are_unheard, "the sight of those who are not heard")
    control_of(daemon).accept()
    wait_for(lambda: control_of(daemon).connections()["stranded"] == 0, "their being heard")


def test_no_new_process(crowd: t.Tuple[Simulated, Crowd], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(takeover, "_FORK_SECONDS", 0.5)
    daemon, miners = crowd
    daemon.change(faults=[{"fault": "restart_old"}])
    report = hand_over(daemon, miners, "pidfd")
    assert (report.state, report.pid, report.severed, miners.cut_off) == ("none", None, 0, 0)


def test_whoever_told_it_may_be_killed(crowd: t.Tuple[Simulated, Crowd]) -> None:
    need("pidfd")
    daemon, miners = crowd
    control = control_of(daemon)
    pid = os.fork()
    if not pid:
        try:
            takeover.restart(control, "pidfd")
            os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == signal.SIGKILL
    wait_for(miners.are_all_cut_off, "the freedom of the miners", 30)
    wait_for(lambda: control_of(daemon).clients() == MINERS, "their return")
