# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a step fails, and the options that lead every call to the same instance."""

from __future__ import annotations

import typing as t
from unittest import mock

import pytest
from ansible_collections.ckpool.fleet.plugins.plugin_utils._step import Address, StepFailed
from ansible_collections.ckpool.fleet.plugins.plugin_utils._types import Json

INSTANCE: Json = {"name": "solo", "socket_dir": "/run/solo", "log_dir": "/var/log/solo", "root": "/", "pid": 100}
PLACE = {"name": "solo", "socket_dir": "/run/solo"}


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"msg": "no. Hint: try", "hint": "try"}, "no"),
        ({"module_stderr": "Traceback\n  x\nKeyError: 'x'\n"}, "the module on the host failed: KeyError: 'x'"),
        ({"msg": "no json", "module_stderr": "no room\n"}, "no json: no room"),
        ({"exception": mock.Mock(**{"event.msg": "no result"})}, "the module on the host failed: no result"),
        ({}, "the module on the host failed: it did not say why"),
    ],
    ids=["msg", "stderr", "both", "event", "nothing"],
)
def test_why_a_step_failed(answer: Json, why: str) -> None:
    failure = StepFailed(answer, "verify")
    assert (str(failure), failure.phase, failure.answer) == (why, "verify", answer)


def test_facts_of_a_failed_step_are_passed_on() -> None:
    failure = StepFailed({"rc": 1, "log_tail": ["x"], "problems": {}, "clients": 3}, "verify")
    assert failure.facts == {"rc": 1, "log_tail": ["x"]}


def test_an_instance_that_has_ended_keeps_its_address() -> None:
    address = Address()
    address.learn(INSTANCE, is_alive=True)
    assert address.options == {**PLACE, "log_dir": "/var/log/solo"}
    address.learn({**INSTANCE, "socket_dir": "/elsewhere"}, is_alive=False)
    assert address.options == {**PLACE, "log_dir": "/var/log/solo"}


def test_an_instance_that_never_ran_has_no_address_but_a_log() -> None:
    address = Address()
    address.learn(INSTANCE, is_alive=False)
    assert address.options == {}
    address.keep_log()
    assert address.options == {"log_dir": "/var/log/solo"}


@pytest.mark.parametrize(("root", "has_pid"), [("/", False), (None, False), ("/proc/100/root", True)])
def test_only_in_a_container_the_pid_is_part_of_the_address(root: t.Optional[str], has_pid: bool) -> None:
    address = Address()
    address.learn({**INSTANCE, "root": root}, is_alive=True)
    assert ("pid" in address.options) is has_pid
    address.follow_restart((100, 5000))
    assert "pid" not in address.options and address.options["predecessor"] == "100:5000"
    address.learn({**INSTANCE, "root": root, "pid": 200}, is_alive=True)
    assert address.options == {**PLACE, "predecessor": "100:5000"}
