# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A configuration is in place when it is a good one, and what it hides stays hidden."""

from __future__ import annotations

import json
import os
import typing as t
from pathlib import Path

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils._install import daemon_config

from tests.support import Simulated

from .conftest import Run

pytestmark = pytest.mark.usefixtures("alone")
SECRET = "correct-horse-battery"
CONFIG: t.Dict[str, t.Any] = {
    "btcd": [{"url": "127.0.0.1:8332", "auth": "rpc-user", "pass": SECRET}],
    "btcaddress": "1BoatSLRHtKNngkdXEeobR76b53LETtpyT",
    "serverurl": ["127.0.0.1:3333"],
}
Write = t.Callable[..., t.Dict[str, t.Any]]


@pytest.fixture
def write(run: Run, home: Path) -> Write:
    """Call the module for a file of the test's own; what is given changes CONFIG."""

    def call(change: t.Optional[t.Dict[str, t.Any]] = None, **options: t.Any) -> t.Dict[str, t.Any]:
        config = {**CONFIG, "logdir": str(home / "logs"), **(change or {})}
        own = {"path": str(home / "main.conf"), "name": "main", "socket_dir": str(home / "sockets")}
        result = run(**{"config": config, **own, **options})
        assert SECRET not in json.dumps(result) and "rpc-user" not in json.dumps(result)
        return result

    return call


def content(home: Path) -> t.Dict[str, t.Any]:
    value, _end = json.JSONDecoder().raw_decode((home / "main.conf").read_text())
    assert isinstance(value, dict)
    return value


def test_written_once(write: Write, home: Path) -> None:
    first = write({"startdiff": "42"})
    assert first["changed"] and first["differs"] and first["config"]["btcd"][0]["pass"] == "********"
    assert content(home)["btcd"][0]["pass"] == SECRET and content(home)["startdiff"] == 42
    assert (home / "main.conf").stat().st_mode & 0o777 == 0o640
    again = write({"startdiff": 42})
    assert not again["changed"] and again["msg"].endswith("is up to date")
    changed = write({"startdiff": 43}, _ansible_diff=True)
    assert changed["msg"] == f"{home}/main.conf was written: startdiff changed"
    assert '"startdiff": 42' in changed["diff"]["before"] and '"startdiff": 43' in changed["diff"]["after"]


def test_check_mode_predicts_and_writes_nothing(write: Write, home: Path) -> None:
    predicted = write(_ansible_check_mode=True, _ansible_diff=True)
    assert predicted["changed"] and not (home / "main.conf").exists()
    done = write(_ansible_diff=True)
    for key in ("changed", "config", "msg", "diff", "differs"):
        assert predicted[key] == done[key]
    far = write(path=str(home / "gone/main.conf"), _ansible_check_mode=True)
    assert far["changed"] and not (home / "gone").exists()


def test_another_secret_is_seen_to_change(write: Write, home: Path) -> None:
    write()
    changed = write(
        {"btcd": [{"url": "127.0.0.1:8332", "auth": "rpc-user", "pass": SECRET + "-2"}]}, _ansible_diff=True
    )
    assert changed["changed"] and "another one" in changed["diff"]["after"]
    assert content(home)["btcd"][0]["pass"] == SECRET + "-2"


def test_owner_group_and_mode_are_put_right(write: Write, home: Path) -> None:
    write()
    (home / "main.conf").chmod(0o644)
    fixed = write(_ansible_diff=True)
    assert fixed["changed"] and not fixed["differs"] and "mode 0644" in fixed["diff"]["before"]
    assert (home / "main.conf").stat().st_mode & 0o777 == 0o640
    assert not write()["changed"]
    for mode in ("0644", "0200", "0777", "rw"):
        assert write(mode_of_file=mode)["failed"]


def test_errors_keep_it_out_of_its_place(write: Write, home: Path) -> None:
    write()
    before = (home / "main.conf").read_bytes()
    failed = write({"nonce1length": 9, "startdif": 1})
    assert failed["failed"] and failed["reason"] == "bad_config" and "nonce1length is 9" in failed["msg"]
    assert [(one["level"], one["key"]) for one in failed["findings"]] == [
        ("error", "nonce1length"),
        ("warning", "startdif"),
    ]
    assert (home / "main.conf").read_bytes() == before


def test_warnings_do_not(write: Write) -> None:
    result = write({"startdif": 1})
    assert result["changed"] and result["msg"].endswith("; 1 warning")
    assert "main: no build that is known here reads startdif; is startdiff meant?" in result["warnings"]


def test_others_of_the_host(write: Write, home: Path) -> None:
    other = {"name": "other", "log_dir": str(home / "logs"), "listen": ["127.0.0.1:4001"]}
    assert "log directory of other" in write(others=[other])["msg"]
    assert not write(others=[{"name": "main", "log_dir": str(home / "logs")}]).get("failed")
    assert "port 3333 is that of other" in write({"serverurl": []}, others=[{"name": "other"}])["msg"]


def test_one_that_runs_is_seen(write: Write, simulate: t.Callable[..., Simulated]) -> None:
    running = simulate()
    failed = write({"logdir": str(running.log_dir)})
    assert failed["reason"] == "bad_config" and f"ckpool (pid {running.pid})" in failed["msg"]
    failed = write(socket_dir=str(running.socket_dir))
    assert "socket directory of ckpool" in failed["msg"]


def daemon(home: Path, test: str, help_text: str = "-T | --testconfig") -> str:
    """A program that says in its help what it can, and records how it is run."""
    path = home / "daemon"
    path.write_text(
        f'#!/bin/sh\necho "$@" >> {home}/calls\nif [ "$1" = -h ]; then echo "{help_text}"; exit 0; fi\n{test}\n'
    )
    path.chmod(0o755)
    return str(path)


def test_the_daemons_own_test(write: Write, home: Path) -> None:
    passed = write(program=daemon(home, "exit 0"), mode="solo")
    assert passed["tested"] is True
    call = (home / "calls").read_text().splitlines()[-1]
    assert call.startswith("-T -B -n main -c ") and call.endswith(f"-s {home}/sockets")
    before = (home / "main.conf").read_bytes()
    program = daemon(home, f"echo 'it says {SECRET}' >&2; exit 1")
    failed = write({"startdiff": 1}, program=program)
    assert failed["reason"] == "bad_config" and failed["phase"] == "try" and "it says ********" in failed["msg"]
    assert (home / "main.conf").read_bytes() == before
    assert write(program=program)["failed"], "what is in place is tested, too"


def test_a_build_that_cannot_test_is_not_started(write: Write, home: Path) -> None:
    result = write(program=daemon(home, "exit 1", "-t | --trusted"))
    assert result["tested"] is None and (home / "calls").read_text() == "-h\n"
    write(program=daemon(home, "exit 1"), _ansible_check_mode=True)
    assert (home / "calls").read_text() == "-h\n", "check mode runs nothing"


def test_what_is_not_named_is_kept_where_that_is_wanted(write: Write, home: Path) -> None:
    (home / "old.conf").write_text(json.dumps({"startdiff": 7, "btcsig": "/x/", "logdir": "logs"}) + "\nwords\n")
    shown = write(base=str(home / "old.conf"), _ansible_diff=True, _ansible_check_mode=True)
    assert '"startdiff": 7' in shown["diff"]["before"] and "startdiff" not in shown["diff"]["after"]
    kept = write({"startdiff": 8}, base=str(home / "old.conf"), keep=True)
    assert kept["changed"] and content(home) == {
        **CONFIG, "startdiff": 8, "btcsig": "/x/", "logdir": str(home / "logs"),
    }  # fmt: skip
    assert not write({"startdiff": 8}, keep=True)["changed"]
    assert write()["msg"].endswith("btcsig, startdiff changed")


def test_the_configuration_of_one_that_runs(write: Write, home: Path, simulate: t.Callable[..., Simulated]) -> None:
    running = simulate(users=7)
    kept = write({"update_interval": 30}, base_pid=running.pid, keep=True)
    assert kept.get("changed") and content(home)["simulation"]["users"] == 7, kept


def test_keys_of_stratum_v2(write: Write, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon_config, "_LOST_AT_REBOOT", ())  # as the test itself is in /tmp
    for name in ("sockets", "state"):
        (home / name).mkdir()
    speaks = {"sv2url": "127.0.0.1:3336"}
    first = write(speaks, state_dir=str(home / "state"))
    assert first["changed"] and content(home)["sv2_authority_key"] == f"{home}/state/sv2_authority.key"
    (home / "state/sv2_static.key").write_bytes(b"identity")
    (home / "state/sv2_static.key").chmod(0o600)
    (home / "state2").mkdir()
    moved = write(speaks, state_dir=str(home / "state2"))
    assert moved["keys_copied"] == [
        {"source": f"{home}/state/sv2_static.key", "target": f"{home}/state2/sv2_static.key"}
    ]
    assert (home / "state2/sv2_static.key").read_bytes() == b"identity"
    (home / "state2/sv2_static.key").write_bytes(b"another")
    failed = write(speaks, state_dir=str(home / "state"))
    assert failed["reason"] == "identity" and content(home)["sv2_static_key"] == f"{home}/state2/sv2_static.key"


def test_a_secret_of_few_letters_does_not_hide_others(write: Write) -> None:
    result = write({"btcd": [{"url": "127.0.0.1:8332", "auth": "x", "pass": "ma"}]})
    assert "main.conf was written" in result["msg"]


def test_a_file_that_is_no_configuration(write: Write, home: Path) -> None:
    (home / "main.conf").write_text("not json")
    assert write()["phase"] == "parse"
    (home / "main.conf").unlink()
    (home / "main.conf").symlink_to(home / "elsewhere")
    assert write()["reason"] == "not_a_file"
    assert not os.path.exists(home / "elsewhere")
