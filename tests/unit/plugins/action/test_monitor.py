# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action plugin that watches pools: its rounds, what it asks, what it shows, and how it ends."""

from __future__ import annotations

import os
import time
import typing as t
from unittest import mock

import pytest
import yaml

pytest.importorskip("ansible.plugins.action")

from ansible import context
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure, AnsibleError
from ansible_collections.ckpool.fleet.plugins.action import ckpool_monitor as action
from ansible_collections.ckpool.fleet.plugins.modules import ckpool_monitor as stub
from ansible_collections.ckpool.fleet.plugins.plugin_utils._action import ADDRESS, WorkerClock

FIND, READ = "ckpool.fleet.ckpool_health_info", "ckpool.fleet.ckpool_info"
Answer = t.Dict[str, t.Any]


def instance(name: str, state: str = "ok") -> Answer:
    return {"name": name, "socket_dir": f"/run/{name}", "state": state}


class Host:
    """A host with pools, and the clock and screen of whoever watches it. A call takes a tenth of a second."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.pools = {"one": "ok"}
        self.calls: t.List[t.Tuple[str, Answer]] = []
        self.began: t.List[float] = []
        self.shown: t.List[t.Tuple[str, bool]] = []
        self.events: t.Dict[int, t.Any] = {}
        self.call_seconds = 0.1
        self.connection = mock.Mock()

    def execute(self, module_name: str, module_args: Answer, task_vars: Answer) -> Answer:
        self.calls.append((module_name, dict(module_args)))
        if module_name == READ:
            self.began.append(self.time)
        self.time += self.call_seconds
        event = self.events.pop(len(self.calls), None)
        if isinstance(event, Exception):
            raise event
        if event is not None:
            return dict(event)
        if module_name == FIND:
            return {"instances": [{"instance": instance(*item)} for item in self.pools.items()]}
        name = module_args.get("name") or "one"
        return {"instance": instance(name, self.pools[name]), "summary": {}, "users": [], "blocks": [], "source": None}

    def run(self, hosts: t.Sequence[str] = ("pool1",), no_log: bool = False, **options: t.Any) -> Answer:
        task = mock.Mock(
            args=options, check_mode=False, async_val=0, diff=False, no_log=no_log, action="ckpool_monitor"
        )
        plugin = action.ActionModule(
            task=task,
            connection=self.connection,
            play_context=mock.Mock(check_mode=False),
            loader=mock.Mock(),
            templar=mock.Mock(),
            shared_loader_obj=mock.Mock(),
        )
        plugin._load_name = "ckpool_monitor"
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


def asked(host: Host, module: str) -> t.List[Answer]:
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
    assert asked(host, FIND) == [{"all_instances": True, **common}]
    assert asked(host, READ) == [
        {
            **common,
            "source": "files",
            "socket_dir": "/run/one",
            "name": "one",
            "gather_subset": ["summary", "users", "blocks"],
            "active_within": "1h",
            "limit": 7,
            "blocks_limit": 2,
        }
    ]


def test_without_users_and_blocks(host: Host) -> None:
    host.run(count=1, users=0, blocks=0)
    (arguments,) = asked(host, READ)
    assert (arguments["gather_subset"], arguments["limit"], arguments["blocks_limit"]) == (["summary"], 1, 1)


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
def test_a_wrong_option_is_refused_before_anything_is_asked(host: Host, options: Answer, text: str) -> None:
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


@pytest.mark.parametrize(
    ("terminal", "hosts", "redraw", "term", "is_redrawn"),
    [
        (True, ["pool1"], True, "xterm", True),
        (False, ["pool1"], True, "xterm", False),
        (True, ["pool1", "pool2"], True, "xterm", False),
        (True, ["pool1"], False, "xterm", False),
        (True, ["pool1"], True, "dumb", False),
    ],
)
def test_redrawing(
    host: Host,
    monkeypatch: pytest.MonkeyPatch,
    terminal: bool,
    hosts: t.List[str],
    redraw: bool,
    term: str,
    is_redrawn: bool,
) -> None:
    monkeypatch.setattr(action, "is_terminal", lambda controller: terminal)
    monkeypatch.setenv("TERM", term)
    host.run(hosts=hosts, count=2, redraw=redraw)
    assert len(host.shown) == 2
    for number, (text, screen_only) in enumerate(host.shown, 1):
        assert text.startswith("\x1b[H\x1b[J") is is_redrawn
        assert screen_only is is_redrawn
        assert f"pool1, round {number} of 2, " in text
        assert text.count("\x1b") == 2 * is_redrawn


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


def test_options_and_results_are_those_of_the_documentation(host: Host) -> None:
    documented = yaml.safe_load(stub.DOCUMENTATION)["options"]
    spec = {**ADDRESS, **action.ActionModule.options}
    assert {key: (entry["type"], entry.get("default")) for key, entry in documented.items()} == {
        key: (spec[key]["type"], spec[key].get("default")) for key in documented
    }
    assert set(action.ActionModule.options) < set(documented)
    assert set(host.run(count=1)) - {"changed"} == set(yaml.safe_load(stub.RETURN))
