# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The small action plugins of the playbooks: the hosts of a run, its outcome, and the users of a fleet."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest
import yaml

pytest.importorskip("ansible.plugins.action")

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible_collections.ckpool.fleet.plugins.action import ckpool_hosts, ckpool_outcome, ckpool_user_report
from ansible_collections.ckpool.fleet.plugins.modules import ckpool_hosts as hosts_stub
from ansible_collections.ckpool.fleet.plugins.modules import ckpool_outcome as outcome_stub
from ansible_collections.ckpool.fleet.plugins.modules import ckpool_user_report as user_stub
from ansible_collections.ckpool.fleet.plugins.plugin_utils._types import Json

from ..plugin_utils.fake_results import pool, user
from .fake_task import run_on_fleet

LIMIT: Json = {"ansible_limit": "a", "ansible_play_hosts_all": ["a"]}


def run(action: t.Any, fleet: t.Mapping[str, t.Any], magic: t.Optional[Json] = None, **options: t.Any) -> Json:
    """Run an action on what each host's task registered."""
    return run_on_fleet(action, "user_report_result", fleet, magic=magic, **options)


# ckpool_outcome


@pytest.mark.parametrize(
    ("word", "fail", "ends"),
    [
        ("healthy", None, None),
        ("unhealthy", None, "failed"),
        ("undetermined", None, "unreachable"),
        ("invalid", None, "failed"),
        ("unhealthy", False, None),
        ("undetermined", False, None),
        ("invalid", True, "failed"),
    ],
)
def test_how_a_run_ends(word: str, fail: t.Optional[bool], ends: t.Optional[str]) -> None:
    options = (
        {"outcome": word, "msg": "x\n\x1b[31m"}
        if fail is None
        else {"outcome": word, "msg": "x\n\x1b[31m", "fail": fail}
    )
    found = run(ckpool_outcome, {}, **options)
    assert {name for name in ("failed", "unreachable") if found.get(name)} == ({ends} if ends else set())
    assert (found["outcome"], found["msg"]) == (word, "x\\x0a\\x1b[31m")
    assert set(yaml.safe_load(outcome_stub.RETURN)) == {"outcome", "msg"}


def test_another_word_is_refused() -> None:
    with pytest.raises(AnsibleError, match="outcome"):
        run(ckpool_outcome, {}, outcome="fine", msg="x")


# ckpool_hosts


@pytest.mark.parametrize(
    ("pattern", "magic", "hosts", "left_out", "failed"),
    [
        ("all", {}, ["a", "b"], [], False),
        ("all", LIMIT, ["a"], ["b"], False),
        ("b", LIMIT, [], ["b"], True),
        ("a,nosuch", {}, ["a"], [], True),
        ("nosuch", {}, [], [], True),
        ("a", {"ansible_limit": "a,nosuch", "ansible_play_hosts_all": ["a"]}, ["a"], [], True),
    ],
)
def test_who_is_meant(pattern: str, magic: Json, hosts: t.List[str], left_out: t.List[str], failed: bool) -> None:
    found = run(ckpool_hosts, {"a": None, "b": None}, magic, pattern=pattern)
    assert (found["hosts"], found["not_asked"], found["failed"]) == (hosts, left_out, failed)
    assert ("nothing was done" in found["msg"]) == failed
    assert set(found) - {"changed", "failed"} == set(yaml.safe_load(hosts_stub.RETURN))


# ckpool_user_report


def test_the_users_of_a_fleet(tmp_path: Path) -> None:
    written = tmp_path / "users.json"
    fleet = {"a": pool(user("x", 1), user("y", 5)), "b": {"results": [pool(user("x", 9))]}, "c": None}
    found = run(ckpool_user_report, fleet, count=2, json_file=str(written))
    assert [(row["user"], row["host"]) for row in found["users"]] == [("x", "b"), ("y", "a")]
    assert (found["failed"], found["changed"], found["msg"]) == (False, True, "2 of 3 users")
    read = json.loads(written.read_text())
    assert read.pop("generated") > 0
    assert read == {name: found[name] for name in ("by", "users", "missing", "not_asked")}
    assert set(found) - {"changed", "failed"} == set(yaml.safe_load(user_stub.RETURN))


def test_all_of_them_and_by_something_else() -> None:
    fleet = {"a": pool(*(user(f"u{number}", number, shares=-number) for number in range(30)))}
    found = run(ckpool_user_report, fleet, count=0, by="shares")
    assert [row["user"] for row in found["users"]] == [f"u{number}" for number in range(30)]


def test_one_user_over_the_fleet() -> None:
    fleet = {"a": pool(user("x", 1), user("y", 5)), "b": pool(user("x", 9))}
    found = run(ckpool_user_report, fleet, merge=True, user="x")
    assert [(row["user"], row["hashrate1m"], len(row["pools"])) for row in found["users"]] == [("x", 10, 2)]
    unknown = run(ckpool_user_report, fleet, merge=True, user="z")
    assert (unknown["failed"], unknown["problems"]) == (
        True,
        ["no pool that answered knows the user z: check the spelling"],
    )


@pytest.mark.parametrize(
    ("hosts", "magic", "problems"),
    [
        ("all", LIMIT, []),
        ("all", {}, ["pool on b: was not asked: it failed earlier in this run, see above"]),
        ("nosuch", {}, ["no host of the inventory matches nosuch of the pattern of hosts", "no host was asked"]),
    ],
)
def test_who_told_nothing_fails_it(hosts: str, magic: Json, problems: t.List[str]) -> None:
    found = run(ckpool_user_report, {"a": pool(user()), "b": None}, magic, hosts=hosts)
    assert (found["problems"], found["failed"]) == (problems, bool(problems))
    assert found["not_asked"] == (["b"] if magic else [])


def test_check_mode_writes_nothing(tmp_path: Path) -> None:
    found = run(ckpool_user_report, {"a": pool(user())}, check_mode=True, json_file=str(tmp_path / "x"))
    assert (found["changed"], list(tmp_path.iterdir())) == (True, [])


def test_what_cannot_be_done_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AnsibleActionFail, match="cannot write"):
        run(ckpool_user_report, {"a": pool(user())}, json_file=str(tmp_path / "nowhere" / "x"))
    with pytest.raises(AnsibleActionFail, match="at least 0"):
        run(ckpool_user_report, {}, count=-1)
    with pytest.raises(AnsibleError, match="by"):
        run(ckpool_user_report, {}, by="user")
