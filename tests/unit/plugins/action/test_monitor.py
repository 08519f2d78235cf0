# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action plugin that watches pools: its rounds, calls and output, and how it ends."""

from __future__ import annotations

import os
import signal
import time
import typing as t
from pathlib import Path
from unittest import mock

import pytest
import yaml

pytest.importorskip("ansible.plugins.action")

from ansible import constants, context
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure, AnsibleError
from ansible_collections.ckpool.fleet.plugins.action import ckpool_monitor as action
from ansible_collections.ckpool.fleet.plugins.modules import ckpool_monitor as stub
from ansible_collections.ckpool.fleet.plugins.plugin_utils import _drawer
from ansible_collections.ckpool.fleet.plugins.plugin_utils._clock import WorkerClock
from ansible_collections.ckpool.fleet.plugins.plugin_utils._drawer import QUIT_SIGNAL, View
from ansible_collections.ckpool.fleet.plugins.plugin_utils._screen_files import ScreenFiles
from ansible_collections.ckpool.fleet.plugins.plugin_utils._types import Json

from tests.support.terminal import Terminal

from .fake_task import plugin_of

FIND, READ = "ckpool.fleet.ckpool_instance_info", "ckpool.fleet.ckpool_info"


def instance(name: str, state: str = "ok") -> Json:
    return {"name": name, "socket_dir": f"/run/{name}", "state": state}


class Host:
    """A host with pools, and the clock and screen of the person who watches it. A call takes a tenth of a second."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.pools = {"one": "ok"}
        self.calls: t.List[t.Tuple[str, Json]] = []
        self.began: t.List[float] = []
        self.shown: t.List[t.Tuple[str, bool]] = []
        self.events: t.Dict[int, t.Any] = {}
        self.call_seconds = 0.1
        self.connection = mock.Mock()

    def execute(self, module_name: str, module_args: Json, task_vars: Json) -> Json:
        self.calls.append((module_name, dict(module_args)))
        if module_name == READ:
            self.began.append(self.time)
        self.time += self.call_seconds
        event = self.events.pop(len(self.calls), None)
        if isinstance(event, Exception):
            raise event
        if callable(event):
            event()
        if event is not None:
            return dict(event)
        if module_name == FIND:
            return {"instances": [instance(*item) for item in self.pools.items()]}
        name = module_args.get("name") or "one"
        return {"instance": instance(name, self.pools[name]), "summary": {}, "users": [], "blocks": [], "source": None}

    def run(self, hosts: t.Sequence[str] = ("pool1",), no_log: bool = False, **options: t.Any) -> Json:
        plugin = plugin_of(action, self.connection, args=options, no_log=no_log)
        batch = {"ansible_play_hosts_all": list(hosts), "ansible_play_batch": list(hosts)}
        with mock.patch.object(plugin, "_execute_module", self.execute):
            return dict(plugin.run(task_vars={"inventory_hostname": "pool1", **batch}))

    def display(self, text: str, screen_only: bool = False) -> None:
        self.shown.append((text, screen_only))


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    host = Host()

    def sleep(seconds: float) -> None:
        host.time += seconds

    monkeypatch.setattr(time, "monotonic", lambda: host.time)
    monkeypatch.setattr(time, "sleep", sleep)
    monkeypatch.setattr(action.display, "display", host.display)
    return host


def asked(host: Host, module: str) -> t.List[Json]:
    return [arguments for name, arguments in host.calls if name == module]


# Rounds


def test_rounds_come_at_their_interval(host: Host) -> None:
    result = host.run(interval=3, count=4)
    assert (result["rounds"], result["changed"]) == (4, False)
    assert result["msg"] == "after 4 rounds, one (/run/one) is ok"
    assert [state["instance"]["name"] for state in result["pools"]] == ["one"]
    # The first round also looks for the pools.
    assert [round(moment - 1000, 1) for moment in host.began] == [0.1, 3.0, 6.0, 9.0]
    assert len(asked(host, FIND)) == 1
    assert host.time == pytest.approx(1009.1)  # nothing is waited for after the last


def test_a_round_that_takes_long_is_followed_after_a_second(host: Host) -> None:
    host.call_seconds = 4.0
    host.run(interval=2, count=3, name="one")
    assert [moment - 1000 for moment in host.began] == [0.0, 5.0, 10.0]


def test_what_is_asked(host: Host) -> None:
    host.run(count=1, users=7, blocks=2, log_dir="/var/log/x", timeout=1.5, source="files")
    common = {"log_dir": "/var/log/x", "timeout": 1.5, "max_reply": 268435456}
    assert asked(host, FIND) == [{"log_dir": "/var/log/x"}]
    assert asked(host, READ) == [
        {
            **common,
            "source": "files",
            "socket_dir": "/run/one",
            "name": "one",
            "gather_subset": ["summary", "clients", "users", "blocks"],
            "active_within": "1h",
            "limit": 7,
            "blocks_limit": 2,
        }
    ]


def test_without_users_and_blocks(host: Host) -> None:
    host.run(count=1, users=0, blocks=0)
    (arguments,) = asked(host, READ)
    assert (arguments["gather_subset"], arguments["limit"], arguments["blocks_limit"]) == (["summary", "clients"], 1, 1)


def test_one_pool_by_name_is_not_looked_for(host: Host) -> None:
    host.run(count=2, socket_dir="/x")
    assert asked(host, FIND) == []
    assert [(arguments["socket_dir"], "name" in arguments) for arguments in asked(host, READ)] == [("/x", False)] * 2


def test_pools_are_looked_for_again_when_one_is_silent_and_now_and_then(host: Host) -> None:
    host.pools = {"one": "ok", "two": "hung"}
    host.run(count=3)
    assert len(asked(host, FIND)) == 3
    host.calls.clear()
    host.pools = {"one": "ok"}
    host.run(count=25)
    assert len(asked(host, FIND)) == 3


def test_a_host_without_pools_says_so(host: Host) -> None:
    host.pools = {}
    host.events = {2: {"failed": True, "phase": "find", "msg": "find: no ckpool runs here"}}
    result = host.run(count=1)
    assert result["msg"] == "after 1 round, pool is failed"
    assert "pool is failed: find: no ckpool runs here" in host.shown[0][0]
    assert not result.get("failed")


# What goes wrong in a round


@pytest.mark.parametrize(
    "event", [AnsibleConnectionFailure("ssh: no\nroute"), {"unreachable": True, "msg": "ssh: no route"}]
)
@pytest.mark.parametrize("call", [1, 2, 4])
def test_an_unreachable_host_is_shown_and_asked_again(host: Host, event: t.Any, call: int) -> None:
    host.pools = {"one": "ok", "two": "ok"}
    host.events = {call: event}
    host.connection.reset.side_effect = AnsibleError("there is none")
    result = host.run(count=3)
    assert result["msg"] == "after 3 rounds, one (/run/one) is ok, two (/run/two) is ok"
    assert sum("pool is unreachable: ssh: no route" in text for text, _only in host.shown) == 1
    assert host.connection.reset.call_count == 1


def test_what_ansible_refuses_is_shown(host: Host) -> None:
    host.events = {2: AnsibleError("Missing sudo password")}
    assert not host.run(count=2).get("failed")
    assert "one (/run/one) is failed: Missing sudo password" in host.shown[0][0]
    assert "one (/run/one) is ok" in host.shown[1][0]


def test_an_option_that_the_module_refuses_ends_it(host: Host) -> None:
    host.events = {2: {"failed": True, "phase": "options", "msg": "options: timeout must be from 0.01 to 600"}}
    with pytest.raises(AnsibleActionFail, match="timeout must be"):
        host.run(count=5)
    assert len(host.calls) == 2


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"interval": 1.9}, "interval must be from 2 to 3600, not 1.9"),
        ({"interval": "nan"}, "interval must be from 2 to 3600, not nan"),
        ({"count": 0}, "count must be from 1 to 17280, not 0"),
        ({"count": 17281}, "count must be from 1 to 17280"),
        ({"users": -1}, "users must be from 0 to 100"),
        ({"blocks": 101}, "blocks must be from 0 to 100"),
        ({"interval": "soon"}, "interval"),
        ({"unheard_of": 1}, "unheard_of"),
    ],
)
def test_a_wrong_option_is_refused_before_anything_is_asked(host: Host, options: Json, text: str) -> None:
    with pytest.raises(AnsibleError, match=text):
        host.run(**options)
    assert host.calls == []


def test_a_controller_that_is_gone_ends_it(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def obey(self: t.Any, exc: BaseException) -> t.NoReturn:
        raise KeyboardInterrupt(str(exc))

    monkeypatch.setattr(WorkerClock, "obey", obey)
    parents = iter([4242, 4242, 4242])
    monkeypatch.setattr(os, "getppid", lambda: next(parents, 1))
    with pytest.raises(KeyboardInterrupt, match="the controller is gone"):
        host.run(count=100)
    assert len(host.began) < 3


# What is shown


def test_each_round_is_printed(host: Host) -> None:
    host.run(hosts=["pool1", "pool2"], count=2)
    assert [
        text.startswith(f"\npool1, round {number} of 2, ") for number, (text, _only) in enumerate(host.shown, 1)
    ] == [True, True]
    assert not any("\x1b" in text for text, _only in host.shown)


class Watched:
    """A terminal of the controller, on which no process draws, and what this host tells it."""

    def __init__(self, path: str, folder: Path) -> None:
        self.path, self.folder, self.started = path, folder, 0
        self.views: t.List[View] = []

    def start(self, files: ScreenFiles, view: View) -> None:
        self.views.append(view)

    def entry(self) -> Json:
        (folder,) = self.folder.iterdir()
        (entry,) = ScreenFiles(str(folder)).entries()
        return entry


@pytest.fixture
def watched(host: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> t.Iterator[Watched]:
    before = signal.getsignal(QUIT_SIGNAL)
    with Terminal() as terminal:
        made = Watched(terminal.path, tmp_path / "run")
        made.folder.mkdir()
        monkeypatch.setattr(action, "own_terminal", lambda controller: made.path)
        monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(made.folder))
        monkeypatch.setattr(_drawer, "start", made.start)
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.delenv("NO_COLOR", raising=False)
        yield made
    signal.signal(QUIT_SIGNAL, before)


HEALTH = {
    "instance": {**instance("one", "hung"), "pid": 7, "mode": "pool"},
    "health": {"state": "hung", "status": "critical", "ok": False, "wrong": ["it does not answer"], "checks": []},
    "stats": None, "clients": 3, "msg": "one is hung",
}  # fmt: skip


def test_a_fleet_on_a_screen(host: Host, watched: Watched) -> None:
    host.events = {call: {"instances": [HEALTH], "health": HEALTH["health"]} for call in (1, 2)}
    result = host.run(hosts=["pool1", "pool2"], count=2, timeout=2, log_dir="/l")
    assert host.shown == []
    assert host.calls == [("ckpool.fleet.ckpool_health_info", ASKED), ("ckpool.fleet.ckpool_health_info", ASKED)]
    assert result["pools"] == [HEALTH]
    assert result["msg"] == "after 2 rounds, one (/run/one) is hung"
    entry = watched.entry()
    assert (entry["host"], entry["round"], entry["count"], entry["done"]) == ("pool1", 2, 2, True)
    assert [(row["state"], row["mode"], row["clients"]) for row in entry["rows"]] == [("hung", "pool", 3)]
    assert watched.views[0].hosts == ["pool1", "pool2"]
    assert watched.views[0].silence == 27


ASKED = {"all_instances": True, "log_dir": "/l", "timeout": 2.0, "max_reply": 268435456, "source": "auto"}


def test_one_pool_of_each_host_on_a_screen(host: Host, watched: Watched) -> None:
    host.events = {1: HEALTH}
    assert host.run(hosts=["pool1", "pool2"], count=1, name="one")["pools"] == [HEALTH]
    assert (host.calls[0][1]["name"], "all_instances" in host.calls[0][1]) == ("one", False)


def test_a_host_that_is_away_and_comes_back_on_a_screen(host: Host, watched: Watched) -> None:
    host.events = {1: AnsibleConnectionFailure("no\nroute"), 2: HEALTH}
    states: t.List[str] = []
    told = ScreenFiles.tell

    def tell(files: ScreenFiles, name: str, entry: Json) -> None:
        states.extend(row["state"] for row in entry.get("rows", ()))
        told(files, name, entry)

    with mock.patch.object(ScreenFiles, "tell", tell):
        assert host.run(hosts=["pool1", "pool2"], count=2)["pools"] == [HEALTH]
    assert list(dict.fromkeys(states)) == ["unreachable", "hung"]
    assert host.connection.reset.call_count == 1


@pytest.mark.parametrize("hosts", [["pool1"], ["others"]])
def test_one_host_on_a_screen(host: Host, watched: Watched, hosts: t.List[str]) -> None:
    """Also where the play says nothing of this host."""
    result = host.run(hosts=hosts, count=1)
    assert [name for name, _arguments in host.calls] == [FIND, READ]
    assert result["msg"] == "after 1 round, one (/run/one) is ok"
    ((state, lines),) = watched.entry()["blocks"]
    assert state == "ok"
    assert lines[0].startswith("one (/run/one) is ok: ")
    assert watched.views[0].hosts == ["pool1"]


def test_quit_ends_a_call_and_is_no_failure(host: Host, watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    ended: t.List[int] = []
    monkeypatch.setattr(action, "_end_calls", lambda: ended.append(1))

    def quit_meanwhile() -> None:
        os.kill(os.getpid(), QUIT_SIGNAL)
        raise AssertionError("the call went on")

    host.events = {1: HEALTH, 2: quit_meanwhile}
    result = host.run(hosts=["pool1", "pool2"], count=9)
    assert (result["rounds"], result["pools"]) == (1, [HEALTH])
    assert result["msg"] == "after 1 round, one (/run/one) is hung; ended with q"
    assert watched.entry()["done"]
    assert ended == [1]


def test_another_signal_ends_the_worker_after_the_terminal_is_left(
    host: Host, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    def obey(self: t.Any, exc: t.Any) -> t.NoReturn:
        raise KeyboardInterrupt(exc.signum)

    monkeypatch.setattr(WorkerClock, "obey", obey)
    monkeypatch.setattr(time, "sleep", lambda seconds: os.kill(os.getpid(), signal.SIGTERM))
    host.events = {1: HEALTH}
    with pytest.raises(KeyboardInterrupt, match=str(int(signal.SIGTERM))):
        host.run(hosts=["pool1", "pool2"], count=9)
    (folder,) = watched.folder.iterdir()
    assert ScreenFiles(str(folder)).is_quit


def test_a_failure_is_on_the_screen_before_it_ends_the_task(host: Host, watched: Watched) -> None:
    host.events = {1: {"failed": True, "phase": "options", "msg": "options: timeout must be"}}
    with pytest.raises(AnsibleActionFail, match="timeout must be"):
        host.run(hosts=["pool1", "pool2"], count=5)
    entry = watched.entry()
    assert [(row["state"], row["wrong"]) for row in entry["rows"]] == [("failed", ["options: timeout must be"])]
    assert entry["done"]


def test_a_screen_that_fails_is_replaced_by_lines(
    host: Host, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    warnings: t.List[str] = []
    monkeypatch.setattr(action.display, "warning", warnings.append)
    monkeypatch.setattr(_drawer, "start", lambda files, view: files.say_failure("no such terminal"))
    host.events = {1: HEALTH, 2: HEALTH}
    host.run(hosts=["pool1", "pool2"], count=2)
    assert warnings == ["pool1: no screen: no such terminal"]
    assert [("one (/run/one) is hung: one is hung" in text) for text, _only in host.shown] == [True, True]


@pytest.mark.parametrize(
    "without",
    [
        {"redraw": False},
        {"no_log": True},
        {"TERM": "dumb"},
        {"terminal": None},
        {"terminal": "/nowhere"},
        {"verbosity": 3},
    ],
    ids=str,
)
def test_where_there_is_no_screen(
    host: Host, watched: Watched, monkeypatch: pytest.MonkeyPatch, without: t.Dict[str, t.Any]
) -> None:
    monkeypatch.setenv("TERM", without.get("TERM", "xterm"))
    monkeypatch.setattr(action.display, "verbosity", without.get("verbosity", 0))
    watched.path = without.get("terminal", watched.path)
    host.run(count=1, redraw=without.get("redraw", True), no_log=without.get("no_log", False))
    assert watched.views == []
    assert len(host.shown) == (0 if without.get("no_log") else 1)


@pytest.mark.parametrize(("environment", "is_coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colours(
    host: Host, watched: Watched, monkeypatch: pytest.MonkeyPatch, environment: t.Dict[str, str], is_coloured: bool
) -> None:
    monkeypatch.setattr(constants, "ANSIBLE_NOCOLOR", False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    host.run(count=1)
    assert watched.views[0].is_coloured is is_coloured
    monkeypatch.setattr(constants, "ANSIBLE_NOCOLOR", True)
    host.run(count=1)
    assert not watched.views[-1].is_coloured


def test_nothing_is_shown_to_programs_and_with_no_log(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    assert host.run(count=1, no_log=True)["rounds"] == 1
    monkeypatch.setattr(action, "is_for_programs", lambda: True)
    assert host.run(count=1)["pools"]
    assert host.shown == []


@pytest.mark.parametrize(("forks", "is_warned"), [(5, False), (2, True), (None, False)])
def test_too_few_forks(host: Host, monkeypatch: pytest.MonkeyPatch, forks: t.Optional[int], is_warned: bool) -> None:
    warnings: t.List[str] = []
    monkeypatch.setattr(action.display, "warning", warnings.append)
    monkeypatch.setattr(context, "CLIARGS", {"forks": forks})
    host.run(hosts=["pool1", "pool2", "pool3"], count=1)
    assert warnings == ["only 2 of 3 hosts are watched at a time; give --forks 3 to see all at once"] * is_warned


def test_results_are_those_of_the_documentation(host: Host) -> None:
    assert set(host.run(count=1)) - {"changed"} == set(yaml.safe_load(stub.RETURN))
