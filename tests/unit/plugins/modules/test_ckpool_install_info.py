# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role has made is told from what somebody else has."""

from __future__ import annotations

import json
import os
import pwd
import typing as t
from pathlib import Path

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils._ask import inventory
from ansible_collections.ckpool.fleet.plugins.module_utils._host import systemd
from ansible_collections.ckpool.fleet.plugins.module_utils._install import survey

from tests.support import SIMULATOR, Simulated

from .conftest import Run

pytestmark = pytest.mark.usefixtures("alone")
Look = t.Callable[..., t.Dict[str, t.Any]]
OURS = f"[Unit]\nX-y=1\n\n[{survey.SECTION}]\n# words\nStrategy=handover\n"


@pytest.fixture
def look(run: Run, home: Path, monkeypatch: pytest.MonkeyPatch) -> Look:
    """Call the module for folders of the test's own, on a host without systemd."""
    monkeypatch.setattr(systemd, "has_systemd", lambda: False)
    for name in ("etc", "units"):
        (home / name).mkdir()
    own = {
        "prefix": str(home / "opt"),
        "config_dir": str(home / "etc"),
        "unit_dir": str(home / "units"),
        "state_dir": str(home / "state"),
    }
    return lambda **options: run(**{**own, **options})


def one(look: Look, **options: t.Any) -> t.Dict[str, t.Any]:
    """What is there of the only instance."""
    (found,) = look(instances=[{"name": "main", **options}])["instances"]
    assert isinstance(found, dict)
    return found


def write_config(home: Path, **config: t.Any) -> None:
    (home / "etc/main.conf").write_text(json.dumps(config) + f"\n{survey.CONFIG_MARK}\n")


def test_nothing_is_there(look: Look, home: Path) -> None:
    result = look(instances=[{"name": "main"}], user="nobody", group="no-group-of-that-name")
    (found,) = result["instances"]
    assert (found["kind"], found["log_dir"], found["socket_dir"]) == (
        "absent",
        "/var/log/ckpool/main",
        "/run/ckpool/main",
    )
    assert found["unit"]["name"] == "ckpool-main.service" and not found["unit"]["exists"]
    assert str(home / "state") in found["missing_dirs"]
    assert result["account"] == {"user": True, "group": False} and not result["systemd"]["running"]
    assert result["msg"] == "no release is current; main is not installed" and result["plan"] == []


def test_the_unit_of_the_usual_name(look: Look) -> None:
    assert look(instances=[{"name": "ckpool"}])["instances"][0]["unit"]["name"] == "ckpool.service"


def test_what_we_have_made(look: Look, home: Path) -> None:
    write_config(home, logdir="/srv/logs")
    found = one(look)
    assert found["kind"] == "installed" and found["log_dir"] == "/srv/logs", "also without units, as in an image"
    (home / "units/ckpool-main.service").write_text(OURS)
    found = one(look)
    assert found["kind"] == "installed" and found["unit"]["strategy"] == "handover" and found["changes"] == []
    assert one(look, log_dir="/else")["log_dir"] == "/else"
    (home / "units/ckpool-main.retention.timer").write_text("")
    assert one(look)["retention"]


@pytest.mark.parametrize("what", ["unit", "config", "process"])
def test_what_somebody_else_has_made(look: Look, home: Path, simulate: t.Callable[..., Simulated], what: str) -> None:
    if what == "unit":
        (home / "units/ckpool-main.service").write_text("[Service]\nExecStart=/bin/ckpool\n")
    elif what == "config":
        (home / "etc/main.conf").write_text('{"logdir": "logs"}')
    else:
        simulate("-n", "main")
    found = one(look)
    assert found["kind"] == "hand_made"
    plan = "\n".join(look(instances=[{"name": "main"}])["plan"])
    assert f"-> {home}/opt/current/ckpool" in plan
    if what == "process":
        changes = {change["what"]: change["before"] for change in found["changes"]}
        assert (
            changes["socket_dir"] == str(home / "0/s") and changes["config_file"] and found["running"]["name"] == "main"
        )
        assert found["log_dir"] == str(home / "0/logs") and "keeps running unchanged" in plan


def test_a_regular_user_s_process_does_not_stand_in_for_a_pool_of_the_system(
    look: Look, simulate: t.Callable[..., Simulated], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose configuration, with the address that is paid, would be adopted."""
    own = simulate("-n", "main")
    (pool,) = (entry for entry in inventory.inventory() if entry["pid"] == own.pid)
    pool["regular_user"] = False
    theirs = {**pool, "regular_user": True, "user": "somebody", "socket_dir": "/tmp/main", "log_dir": "/tmp/logs"}
    for state in ("alive", "dead"):
        pool["pid_state"], pool["unit"] = state, "pool.service" if state == "dead" else None
        monkeypatch.setattr(survey, "inventory", lambda: [theirs, pool])
        found = one(look)
        assert (found["log_dir"], bool(found["running"])) == (str(own.log_dir), state == "alive")
    (found,) = look(instances=[{"name": "main"}], user="somebody")["instances"]
    assert found["running"] == theirs, "it is asked for by its user"


def test_what_was_adopted_runs_in_its_old_way(look: Look, home: Path, simulate: t.Callable[..., Simulated]) -> None:
    running = simulate("-n", "main")
    write_config(home, logdir=str(running.log_dir))
    (home / "units/ckpool-main.service").write_text(OURS)
    (found,) = look(instances=[{"name": "main"}], user=pwd.getpwuid(os.geteuid()).pw_name)["instances"]
    assert found["kind"] == "adopted" and found["running"]["pid"] == running.pid and found["changes"]
    found = one(look)
    assert found["kind"] == "installed" and found["running"] is None, "somebody else's process of that name is not it"
    assert look(prefix=str(home / "0"))["in_use_by"] == []


def test_who_runs_by_a_program_below_the_prefix(look: Look, simulate: t.Callable[..., Simulated]) -> None:
    simulate("-n", "main")
    assert look(prefix=str(SIMULATOR.parent))["in_use_by"] == ["main"]


@pytest.mark.parametrize(
    ("text", "section"),
    [
        ("", None),
        ("[Service]\nStrategy=x\n", None),
        (f"[{survey.SECTION}]\n", {}),
        (f"[A]\n[{survey.SECTION}]\nStrategy = stop_start \n;x=1\n[B]\nStrategy=y\n", {"Strategy": "stop_start"}),
    ],
)
def test_our_section_of_a_unit(text: str, section: t.Optional[t.Dict[str, str]]) -> None:
    assert survey.own_section(text) == section


def test_a_current_that_is_not_ours_is_said(look: Look, home: Path) -> None:
    (home / "opt").mkdir()
    (home / "opt/current").symlink_to("/usr/bin")
    assert look()["reason"] == "not_ours"
