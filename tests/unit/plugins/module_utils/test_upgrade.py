# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a window stages, how the guard switches it, and that it goes back: on a simulated daemon, without systemd."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils import _window
from ansible_collections.ckpool.fleet.plugins.module_utils._control import Control
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import PoolError
from ansible_collections.ckpool.fleet.plugins.module_utils._host import detached, place, systemd
from ansible_collections.ckpool.fleet.plugins.module_utils._host.put import Attributes
from ansible_collections.ckpool.fleet.plugins.module_utils._upgrade import guard, pieces, programs, stage, switch
from ansible_collections.ckpool.fleet.plugins.module_utils._window import Piece, Store, Window

from tests.support import DEADLINE, SIMULATOR, Simulated, wait_for
from tests.support.explained import explained

OURS = Attributes(os.geteuid(), os.getegid(), 0o640)
UNIT = "[Unit]\nDescription=x\n[Service]\nExecStart=/x\nLimitNOFILE=5\n"
LIMITS = dict.fromkeys(("handover", "start", "stop", "ready"), 60.0)  # only a switch that fails takes so long


class Site(Simulated):
    """A simulated daemon that runs by a release that is current, and the window of its host."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, users=2)
        self.store = Store(str(folder / "w"))
        self.unit = folder / "ckpool.service"

    def release(self, version: str, text: str = "") -> Path:
        """Place a release."""
        path = self.folder / "releases" / version / "ckpool"
        path.parent.mkdir(parents=True)
        path.write_text(f"#!{sys.executable}\n{text or SIMULATOR.read_text()}# {version}\n")
        path.chmod(0o755)
        return path

    def command(self, *more: str) -> t.List[str]:
        words = super().command(*more)
        return [str(self.folder / "current/ckpool"), *words[2:]]

    def write(self) -> None:
        super().write()
        self.config_path.chmod(0o640)

    def begin(self) -> Site:
        self.folder.mkdir(exist_ok=True)
        self.release("1")
        self.release("2")
        (self.folder / "current").symlink_to("releases/1")
        self.unit.write_text(UNIT)
        self.start()
        _window.open_window(self.store, "run1", "alice@ci")
        return self

    def wanted(
        self, version: str = "2", config: t.Optional[t.Dict[str, t.Any]] = None, unit: str = ""
    ) -> t.Tuple[t.List[Piece], t.List[stage.Wanted]]:
        """The new side: a release, and another configuration or unit."""
        new = [Piece(str(self.folder / "current"), "release", new={"target": f"releases/{version}"})]
        for kind, path, text in (
            ("config", self.config_path, json.dumps(config) if config is not None else self.config_path.read_text()),
            ("unit", self.unit, unit or self.unit.read_text()),
        ):
            source = self.folder / f"staged.{kind}"
            source.write_text(text)
            new.append(Piece(str(path), kind, "main", new=pieces.take(self.store, str(source), self.attributes(path))))
        program = str(self.folder / "releases" / version / "ckpool")
        return new, [stage.Wanted("main", str(self.socket_dir), program=program)]

    @staticmethod
    def attributes(path: Path) -> Attributes:
        return Attributes.of(path.stat())

    def stage(self, *, strategy: str = "auto", run: str = "run1", **wanted: t.Any) -> stage.Staged:
        new, instances = self.wanted(**wanted)
        return stage.stage(self.store, run, new, instances, strategy, 900, LIMITS)

    @property
    def current(self) -> str:
        return os.readlink(self.folder / "current")

    def window(self) -> Window:
        return t.cast("Window", self.store.load())

    def leave(self, **values: t.Any) -> None:
        """Change the record, as somebody who is cut off leaves it."""
        with self.store.changing() as window:
            for name, value in values.items():
                setattr(window, name, value)

    def watch(self) -> Window:
        """Run the guard until nothing is left to do, and return the record then."""
        guard.watch(self.store)
        return self.window()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Site]:
    monkeypatch.setattr(guard, "_ensure", lambda _store, _window: None)  # the tests run the guard themselves
    made = Site(tmp_path / "s")
    try:
        yield made.begin()
    finally:
        made.stop()


def config_of(site: Site) -> t.Dict[str, t.Any]:
    made: t.Dict[str, t.Any] = json.loads(site.config_path.read_text())
    return made


# Staging


def test_what_is_staged(site: Site) -> None:
    made = site.stage()
    (member,) = made.window.members
    assert (made.window.state, made.resumed, made.must_revert) == ("staged", False, False)
    assert (member.changes, member.strategy, member.at, member.wanted) == (
        ["release: 1 -> 2"],
        "handover",
        "old",
        "old",
    )
    one, two = (os.path.realpath(site.folder / f"releases/{version}/ckpool") for version in "12")
    assert member.programs == {"old": one, "new": two}
    assert member.process is not None and member.process[0] == site.pid
    assert site.current == "releases/1", "nothing was changed"


def test_nothing_to_do(site: Site) -> None:
    (member,) = site.stage(version="1").window.members
    assert (member.changes, member.strategy) == ([], "")


def test_a_configuration_in_other_words_is_no_change(site: Site) -> None:
    config = config_of(site)
    site.config_path.write_text(json.dumps(config, indent=4) + "\n")
    (member,) = site.stage(version="1", config=config).window.members
    assert member.changes == []


def test_values_of_a_configuration_are_not_shown(site: Site) -> None:
    window = site.stage(config={**config_of(site), "btcd": [{"pass": "secret"}]}).window
    assert window.members[0].changes == ["release: 1 -> 2", f"{site.config_path}: btcd"]
    assert "secret" not in json.dumps(window.as_dict()) and "secret" not in Path(site.store.path).read_text()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"unit": UNIT.replace("LimitNOFILE=5", "LimitNOFILE=6")}, "changes how it is started"),
        ({"config": {"serverurl": ["127.0.0.1:1"]}}, "serverurl changes, and a handover keeps the open ports"),
    ],
    ids=["unit", "ports"],
)
def test_what_a_handover_does_not_reach(site: Site, change: t.Dict[str, t.Any], why: str) -> None:
    if "config" in change:
        change = {"config": {**config_of(site), **change["config"]}}
    (member,) = site.stage(**change).window.members
    assert member.strategy == "stop_start" and why in member.why
    with pytest.raises(PoolError, match="cannot hand over") as caught:
        site.stage(strategy="handover", **change)
    assert (caught.value.phase, caught.value.reason) == ("preflight", "no_handover")
    assert explained(str(caught.value)) == {"It cannot hand over"}


def test_what_a_handover_does_reach(site: Site) -> None:
    unit = UNIT.replace("Description=x", "Description=y\n# a comment")
    (member,) = site.stage(unit=unit, config={**config_of(site), "mindiff": 3}).window.members
    assert member.strategy == "handover" and len(member.changes) == 3
    assert site.stage(strategy="stop_start").window.members[0].strategy == "stop_start"


def test_a_program_that_the_command_line_does_not_lead_to(site: Site) -> None:
    new, _instances = site.wanted()
    elsewhere = stage.Wanted("main", str(site.socket_dir), program=str(site.release("3")))
    (member,) = stage.stage(site.store, "run1", new, [elsewhere]).window.members
    assert member.strategy == "stop_start" and "does not lead to" in member.why


def test_a_pool_that_is_down_is_started(site: Site) -> None:
    site.stop()
    (member,) = site.stage().window.members
    assert (member.strategy, member.why, member.process) == ("stop_start", "it does not run", None)


def test_a_run_that_was_cut_off_is_taken_up_if_it_is_the_same(site: Site) -> None:
    site.stage()
    site.leave(state="switched")
    _window.open_window(site.store, "run2", "bob@ci", take_over="run1")
    again = site.stage(run="run2")
    assert (again.resumed, again.must_revert, again.window.state) == (True, False, "switched")
    other = site.stage(run="run2", config={**config_of(site), "mindiff": 3})
    assert (other.resumed, other.must_revert) == (False, True)
    site.leave(revert="by hand")
    assert site.stage(run="run2").must_revert, "what goes back is not taken up"


def test_what_is_in_place_already_need_not_be_named_by_the_run_that_goes_on(site: Site) -> None:
    """After the switch, nothing is to be done about the release."""
    site.stage(config={**config_of(site), "mindiff": 3})
    for piece in site.window().pieces:
        pieces.put(site.store, piece, "new")
    site.leave(state="switched")
    _window.open_window(site.store, "run2", "bob@ci", take_over="run1")
    new, wanted = site.wanted(config={"mindiff": 3, **config_of(site)})
    assert stage.stage(site.store, "run2", new[1:], wanted).resumed, "in other words, it says the same"
    new, wanted = site.wanted(config={**config_of(site), "mindiff": 4})
    assert stage.stage(site.store, "run2", new[1:], wanted).must_revert
    (site.folder / "current").unlink()
    (site.folder / "current").symlink_to("releases/1")
    new, wanted = site.wanted(config=config_of(site))
    assert stage.stage(site.store, "run2", new[1:], wanted).must_revert, "the release of before is wanted"


def test_the_figures_of_a_run_that_was_cut_off_in_its_drain_are_kept(site: Site) -> None:
    site.stage()
    guard.note(site.store, "run1", "main", {"clients": 20, "sent_to": "x:1"})
    _window.open_window(site.store, "run2", "bob@ci", take_over="run1")
    assert site.stage(run="run2").window.members[0].before == {"clients": 20, "sent_to": "x:1"}


def test_no_room(site: Site) -> None:
    new, _instances = site.wanted()
    with pytest.raises(PoolError, match="bytes free") as caught:
        stage.require_room(site.store, new, 2**60)
    assert explained(str(caught.value)) == {"No room on the disk"}


# Switching


def test_a_handover_forward_and_a_confirmation(site: Site) -> None:
    site.stage()
    before = site.pid
    guard.ask_switch(site.store, "run1", "main", {"clients": 4})
    thread = threading.Thread(target=guard.watch, args=(site.store,))
    thread.start()
    wait_for(lambda: site.window().state == "switched", "the switch")
    (member,) = site.window().members
    assert (member.at, member.before, site.current) == ("new", {"clients": 4}, "releases/2")
    assert member.switch is not None and (member.switch["how"], member.switch["problem"]) == ("handover", "")
    assert site.pid != before
    assert programs.side_of(member, Control.find(socket_dir=str(site.socket_dir)).instance) == "new"
    guard.confirm(site.store, "run1")
    thread.join(DEADLINE)
    assert not thread.is_alive()
    assert _window.close(site.store, "run1", "done", "", {}).closed


def test_what_nobody_confirms_goes_back(site: Site) -> None:
    site.stage()
    site.leave(confirm_within=1.0)
    guard.ask_switch(site.store, "run1", "main")
    window = site.watch()
    assert (window.state, window.revert, window.outcome) == ("reverted", "nobody confirmed it in 1 s", "rolled_back")
    assert explained(window.msg) == {"Nobody confirmed it"}
    assert site.current == "releases/1" and window.members[0].at == "old"
    wait_for(lambda: Control.find(socket_dir=str(site.socket_dir)).look().is_ready, "its work")


def test_a_handover_that_fails_goes_back_at_once(site: Site) -> None:
    """The old process goes on, as it does where the daemon refuses: nothing has to be started."""
    site.change(faults=["restart_old"])
    before = site.pid
    site.stage(config={**config_of(site), "mindiff": 3})
    kept = site.config_path.read_bytes()
    guard.ask_switch(site.store, "run1", "main")
    window = site.watch()
    assert window.state == "reverted" and "the daemon started no new process" in window.revert
    assert explained(window.msg) == {"It could not be switched"}
    assert (site.pid, site.current, site.config_path.read_bytes()) == (before, "releases/1", kept)
    switched = window.members[0].switch
    assert switched is not None and switched["how"] == "none"


def test_one_that_does_not_answer_is_asked_once_while_it_goes_back(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each question takes seconds, in which miners have no pool."""

    def ask_more(_instance: object) -> bool:
        raise AssertionError("it does not answer")

    site.change(faults=["hung"])
    site.stage(config={**config_of(site), "mindiff": 3})
    monkeypatch.setattr(switch, "_can_hand_over", ask_more)
    window = site.window()
    with pytest.raises(PoolError, match="belongs to no systemd unit"):
        switch.Switch(site.store, window, window.members[0]).back()


def test_without_systemd_a_pool_that_has_ended_cannot_be_started(site: Site) -> None:
    site.release("bad", "import sys\nsys.exit(0 if '-h' in sys.argv else 1)\n")
    site.stage(version="bad")
    guard.ask_switch(site.store, "run1", "main")
    window = site.watch()
    assert (window.state, window.outcome, site.current) == ("stuck", "rollback_failed", "releases/1")
    assert "outcome: rollback_failed" in explained(window.msg) and "start " in window.msg
    assert _window.close(site.store, "run1", "rollback_failed", "", {}).closed


@pytest.mark.skipif(bool(os.geteuid()), reason="only root can be another user")
def test_a_process_of_another_user_is_not_taken_for_the_pool(
    site: Site, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would keep the pool stopped: its unit seems not to stop, and then not to start."""

    def systemctl(*words: str) -> str:
        if words[0] == "start":
            site.start()
        return ""

    site.stage(strategy="stop_start")
    site.leave(state="reverting", members=[_with(site.window().members[0], at="", wanted="new", old_unit="x.service")])
    site.stop()
    shutil.rmtree(site.socket_dir)  # as systemd does
    home.chmod(0o755)
    program = str(shutil.copy("/bin/sh", home / "ckpool"))
    words = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", program, "-c", "echo 1; read end"]
    words += ["-n", "ckpool", "-s", str(site.socket_dir)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        try:
            assert other.stdout is not None and other.stdout.readline()
            assert Control.find(socket_dir=str(site.socket_dir)).instance.pid == other.pid
            monkeypatch.setattr(systemd, "has_systemd", lambda: True)
            monkeypatch.setattr(systemd, "systemctl", systemctl)
            monkeypatch.setattr(systemd, "show", lambda *_all: {"LoadState": "loaded", "ActiveState": "inactive"})
            monkeypatch.setattr(switch, "_KILL_SECONDS", 1.0)
            window = site.window()
            made = switch.Switch(site.store, window, window.members[0]).back()
            assert (made["how"], made["pid"]) == ("stop_start", site.pid)
        finally:
            other.kill()


def test_what_cannot_be_put_back_is_named(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.stage(config={**config_of(site), "mindiff": 3})
    site.leave(state="reverting", members=[_with(site.window().members[0], at="", wanted="new")])

    def put(*_all: t.Any) -> bool:
        raise PoolError("No space left on device")

    monkeypatch.setattr(pieces, "put", put)
    window = site.watch()
    assert window.state == "stuck"
    digest = next(piece.old["sha256"] for piece in window.pieces if piece.kind == "config" and piece.old)
    for said in (
        "No space left",
        "state: reverted",
        "current (releases/1)",
        f"{site.config_path} ({site.store.folder}/kept/{digest})",
    ):
        assert said in window.msg


def test_a_guard_that_was_cut_off_in_a_switch_goes_back(site: Site) -> None:
    """As after a loss of power: what is in place may be half of the new side."""
    site.stage()
    guard.ask_switch(site.store, "run1", "main")
    site.leave(members=[_with(site.window().members[0], at="")])
    place.put_link(str(site.folder / "current"), "releases/2")
    window = site.watch()
    assert (window.state, window.revert) == ("reverted", "the host was interrupted while it was switched")
    assert explained(window.msg) == {"Nobody confirmed it"}
    assert site.current == "releases/1"


def test_a_guard_that_was_cut_off_afterwards_waits_for_the_confirmation(site: Site) -> None:
    site.stage()
    site.leave(
        state="switched",
        confirm_by=int(time.time()) + 2,
        members=[_with(site.window().members[0], at="new", wanted="new")],
    )
    window = site.watch()
    assert (window.state, window.revert) == ("reverted", "nobody confirmed it in 900 s")


def test_a_full_disk_does_not_keep_it_from_going_back(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.stage()
    guard.ask_switch(site.store, "run1", "main")
    site.leave(confirm_within=1.0)
    real, is_full = Store.save, threading.Event()

    def save(self: Store, window: Window) -> None:
        if window.members[0].at == "new" and not is_full.is_set():
            is_full.set()
        if is_full.is_set() and window.state != "reverted":
            raise PoolError("No space left on device")
        real(self, window)

    monkeypatch.setattr(Store, "save", save)
    window = site.watch()
    assert is_full.is_set() and (window.state, site.current) == ("reverted", "releases/1")


def test_a_clock_that_was_set_back_does_not_put_it_off(site: Site) -> None:
    site.stage()
    guard.ask_switch(site.store, "run1", "main")
    site.leave(state="switched", confirm_within=1.0, confirm_by=int(time.time()) + 10**6)
    assert site.watch().state == "reverted"


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_release_that_was_removed_is_neither_left_nor_switched_to(site: Site, version: str) -> None:
    new, wanted = site.wanted()
    shutil.rmtree(site.folder / "releases" / version)
    with pytest.raises(
        PoolError, match=f"releases/{version}/ckpool, the program of the .* side, is not there"
    ) as caught:
        stage.stage(site.store, "run1", new, wanted, "auto", 900, LIMITS)
    assert caught.value.reason == "no_program"
    assert site.window().state == "open"


def test_what_is_held_stays(site: Site) -> None:
    site.stage()
    site.leave(state="switched", members=[_with(site.window().members[0], at="new", wanted="new")])
    assert guard.hold(site.store, "run1", "who knows").confirm_by is None
    with pytest.raises(PoolError, match="is held"):
        guard.hold(site.store, "run1", "again")
    assert guard.ask_switch(site.store, "run1", "main").state == "switched", "a run that goes on from there"
    assert guard.ask_back(site.store, None, "by hand").state == "reverting"
    with pytest.raises(PoolError, match="nothing that could be confirmed"):
        guard.confirm(site.store, None)
    with pytest.raises(PoolError, match="nothing can be switched"):
        guard.ask_switch(site.store, "run1", "main")


def test_a_guard_without_systemd_is_a_process_of_its_own(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is started once, goes back though nobody is left to ask it to, and takes itself out of the record."""
    monkeypatch.undo()
    monkeypatch.setattr(systemd, "has_systemd", lambda: False)
    site.stage()
    site.leave(confirm_within=600.0)
    guard.ask_switch(site.store, "run1", "main")
    wait_for(lambda: site.window().state == "switched", "the switch")
    named = guard.ask_switch(site.store, "run1", "main").guard
    pid = int(named[len("pid ") :].partition(":")[0])
    assert f"{site.store.folder}".encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: guard.ask_switch(site.store, "run1", "main").guard != named, "another guard")
    site.leave(confirm_by=int(time.time()))
    wait_for(lambda: site.window().state == "reverted" and not site.window().guard, "its end")
    assert site.current == "releases/1" and not (Path(site.store.folder) / "guard.log").read_text()


def test_the_code_of_a_guard_is_whole_after_a_loss_of_power(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = set()

    def fsync(handle: int) -> None:
        synced.add(os.fstat(handle).st_ino)

    sent = site.folder / "sent.zip"
    sent.write_bytes(b"code")
    monkeypatch.undo()
    monkeypatch.setattr(guard, "__loader__", type("Loader", (), {"archive": str(sent)}))
    monkeypatch.setattr(systemd, "has_systemd", lambda: False)
    monkeypatch.setattr(detached, "start", lambda *_all: os.getpid())
    monkeypatch.setattr(os, "fsync", fsync)
    site.stage()
    guard.ask_switch(site.store, "run1", "main")
    kept = Path(site.store.folder) / "guard.zip"
    assert (kept.read_bytes(), kept.stat().st_mode & 0o777) == (b"code", 0o600)
    assert kept.stat().st_ino in synced


def test_what_nobody_foresaw_does_not_end_the_guard(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_self: t.Any) -> t.NoReturn:
        raise ZeroDivisionError("of ours")

    monkeypatch.setattr(switch.Switch, "forward", fail)
    site.stage()
    guard.ask_switch(site.store, "run1", "main")
    window = site.watch()
    assert (window.state, window.revert, site.current) == ("reverted", "ZeroDivisionError: of ours", "releases/1")


def test_one_that_is_stuck_is_tried_again_for_a_person(site: Site) -> None:
    site.stage()
    site.leave(state="stuck")
    assert guard.ask_back(site.store, "run1", "again").state == "stuck", "its run asks until it is told"
    assert guard.ask_back(site.store, None, "by hand").state == "reverting"


def test_the_unit_of_a_guard(site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    calls: t.List[t.Tuple[str, ...]] = []

    def systemctl(*words: str) -> str:
        calls.append(words)
        return ""

    unit = tmp_path / "guard.service"
    monkeypatch.undo()
    monkeypatch.setattr(guard, "_UNIT_FILE", str(unit))
    monkeypatch.setattr(guard, "FOLDER", site.store.folder)
    monkeypatch.setattr(systemd, "has_systemd", lambda: True)
    monkeypatch.setattr(systemd, "systemctl", systemctl)
    site.stage()
    window = guard.ask_switch(site.store, "run1", "main")
    assert window.guard == "ckpool-fleet-window.service"
    text = unit.read_text()
    assert f"ExecStart={sys.executable} -BS -m " in text and text.count(site.store.folder) == 1
    assert calls[:3] == [("daemon-reload",), ("enable", "--", window.guard), ("restart", "--", window.guard)]
    ran = subprocess.run(
        [sys.executable, "-BS", "-c", f"import {guard.__name__}"],
        env=_environment(text),
        capture_output=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    site.leave(state="switched")
    guard.confirm(site.store, "run1")
    assert not unit.exists() and ("disable", "--", window.guard) in calls


def _environment(unit: str) -> t.Dict[str, str]:
    line = next(line for line in unit.splitlines() if line.startswith("Environment="))
    name, _sign, value = line[len("Environment=") :].partition("=")
    return {**os.environ, name: value}


def _with(member: _window.Member, **values: t.Any) -> _window.Member:
    for name, value in values.items():
        setattr(member, name, value)
    return member
