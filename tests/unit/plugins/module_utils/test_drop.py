# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dropping miners: exactly those that were meant, with proof, with each source, and the messages for it."""

from __future__ import annotations

import json
import shutil
import threading
import time
import typing as t

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils._control import Control
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import BadInput, PoolError
from ansible_collections.ckpool.fleet.plugins.module_utils._orders import drop as drop_room
from ansible_collections.ckpool.fleet.plugins.module_utils._orders.drop import Dropped, Wanted, drop

from tests.support import DEADLINE, HARMLESS, Simulated, wait_for

pytestmark = pytest.mark.usefixtures("memory")
Start = t.Callable[..., Simulated]
NAMES = ["alice", "bob", "carol"]
WHOLE = {name: [f"{name}.rig0", f"{name}.rig1"] for name in NAMES}
QUESTIONS = HARMLESS | {"clients"}  # the listing of the query API, which does no harm on builds without it


def control_of(daemon: Simulated) -> Control:
    return Control.find(str(daemon.socket_dir))


def dropped(
    daemon: Simulated,
    users: t.Sequence[str] = (),
    workers: t.Sequence[str] = (),
    client_ids: t.Sequence[int] = (),
    watch: float = 0.0,
    only_look: bool = False,
) -> Dropped:
    return drop(control_of(daemon), Wanted(list(users), list(workers), list(client_ids)), watch, only_look)


def told(daemon: Simulated) -> t.List[t.Tuple[str, t.Optional[str]]]:
    """What it was told, besides questions."""
    return [entry for entry in daemon.record() if entry[1] not in QUESTIONS]


def workers_of(clients: t.Iterable[t.Any]) -> t.List[str]:
    return sorted(client.worker for client in clients)


def users_counted(daemon: Simulated) -> int:
    """How many users the stratifier has, in the dialects that count objects."""
    count: int = control_of(daemon)._sockets.json("stratifier", "stats")["users"]["count"]
    return count


@pytest.fixture
def pool(simulate: Start) -> t.Callable[..., Simulated]:
    """Three users with two workers each, who come back only if a time is given."""

    def start(*options: str, **simulation: t.Any) -> Simulated:
        return simulate(*options, **{"user_names": NAMES, "reconnect_after": 60, **simulation})

    return start


# Whom it meets


@pytest.mark.parametrize("zone", ["EST5EDT,M3.2.0,M11.1.0", "<+1345>-13:45", "UTC0"])
def test_users_of_a_daemon_in_another_time_zone(zone: str, pool: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", zone)
    daemon = pool()
    monkeypatch.setenv("TZ", "CET-1")
    result = dropped(daemon, ["alice"])
    assert workers_of(result.connected) == workers_of(result.dropped) == WHOLE["alice"]
    assert (result.unknown, result.problems) == ({}, {})
    assert all(abs(client.since - time.time()) < 600 for client in result.connected)


@pytest.mark.parametrize("dialect", ["public", "api", "guide"])
@pytest.mark.parametrize("layout", ["2017", "2025", "2026"])
def test_users(dialect: str, layout: str, pool: Start) -> None:
    daemon = pool(dialect=dialect, layout=layout)
    result = dropped(daemon, ["alice", "carol"])
    gone = sorted(WHOLE["alice"] + WHOLE["carol"])
    assert workers_of(result.connected) == workers_of(result.dropped) == gone
    assert (result.fell, result.unknown, result.problems, result.returned) == (4, {}, {}, [])
    assert result.source == ("api" if dialect == "api" else "files")
    assert control_of(daemon).clients() == 2
    if dialect == "guide":
        assert told(daemon) == [("stratifier", "dropuser=alice"), ("stratifier", "dropuser=carol")]
        assert result.replies == {user: f"dropped 2 clients of user {user}" for user in ("alice", "carol")}
    else:
        assert told(daemon) == [("connector", f"dropclient={number}") for number in (1, 2, 5, 6)]
        assert result.replies == {}
    again = dropped(daemon, ["alice", "carol", "nobody"])
    assert (again.connected, again.dropped, again.fell, again.unknown) == ([], [], None, {})
    assert len(told(daemon)) == (2 if dialect == "guide" else 4), "no message is sent twice"


@pytest.mark.parametrize("dialect", ["public", "api", "guide"])
def test_workers_and_single_clients(dialect: str, pool: Start) -> None:
    daemon = pool(dialect=dialect)
    assert workers_of(dropped(daemon, [], ["bob.rig1"]).dropped) == ["bob.rig1"]
    assert workers_of(dropped(daemon, [], [], [1]).dropped) == ["alice.rig0"]
    assert told(daemon) == [("connector", "dropclient=4"), ("connector", "dropclient=1")]
    assert control_of(daemon).clients() == 4


@pytest.mark.parametrize("dialect", ["public", "api", "guide"])
def test_users_workers_and_clients_at_once(dialect: str, pool: Start) -> None:
    daemon = pool(dialect=dialect)
    result = dropped(daemon, ["alice"], ["bob.rig0", "alice.rig1"], [6, 1])
    assert workers_of(result.dropped) == ["alice.rig0", "alice.rig1", "bob.rig0", "carol.rig1"]
    assert control_of(daemon).clients() == 2


@pytest.mark.parametrize("dialect", ["public", "api", "guide"])
def test_nobody_is_made(dialect: str, pool: Start) -> None:
    """Asking for a user by name would make it, on builds that do not answer."""
    daemon = pool(dialect=dialect)
    before = users_counted(daemon) if dialect != "guide" else 0
    result = dropped(daemon, ["nobody"], ["nobody.rig0"], watch=5.0)
    assert (result.connected, result.dropped, result.returned, result.unknown, result.problems) == ([], [], [], {}, {})
    assert told(daemon) == []
    assert dialect == "guide" or users_counted(daemon) == before


@pytest.mark.parametrize("dialect", ["public", "api", "guide"])
@pytest.mark.parametrize("layout", ["2017", "2025", "2026"])
def test_names_that_the_pool_does_not_know_are_missing(dialect: str, layout: str, pool: Start) -> None:
    """A mistyped name is distinguished from one that is not connected."""
    daemon = pool(dialect=dialect, layout=layout)
    daemon.wait_for_statistics()
    dropped(daemon, ["bob"])
    result = dropped(daemon, ["alice", "bob", "nobody"], ["alice.rig0", "bob.rig0", "carol.rig9", "ghost.rig0"])
    assert workers_of(result.dropped) == WHOLE["alice"]
    assert (result.missing, result.unknown) == (["nobody", "carol.rig9", "ghost.rig0"], {})
    assert dropped(daemon, ["alice", "carol"], ["bob.rig1"]).missing == []


def test_where_no_file_tells_that_nobody_is_said_to_be_missing(pool: Start) -> None:
    daemon = pool()
    daemon.wait_for_statistics()
    shutil.rmtree(daemon.log_dir / "users")
    assert dropped(daemon, ["nobody"], ["alice.rig9"]).missing == []


def test_who_has_just_left_and_has_no_file_yet_is_not_missing(pool: Start) -> None:
    daemon = pool()
    daemon.wait_for_statistics()
    dropped(daemon, ["bob"])
    (daemon.log_dir / "users" / "bob").unlink()
    assert dropped(daemon, ["bob"]).missing == []


def test_nobody_is_made_beside_somebody_who_is_dropped(pool: Start) -> None:
    """The guide's own command is given only with users whom its daemon lists."""
    daemon = pool(dialect="guide")
    assert list(dropped(daemon, ["alice", "nobody"]).replies) == ["alice"]
    assert told(daemon) == [("stratifier", "dropuser=alice")]


def test_an_id_that_nobody_has(pool: Start) -> None:
    daemon = pool()
    result = dropped(daemon, [], [], [99])
    assert (result.connected, result.dropped, result.fell) == ([], [], 0)
    assert control_of(daemon).clients() == 6


@pytest.mark.parametrize("dialect", ["public", "api", "guide"])
@pytest.mark.parametrize("layout", ["2017", "2025", "2026"])
def test_names_that_pretend_to_be_another_s(dialect: str, layout: str, pool: Start) -> None:
    """Miners choose their names, and the log does not quote them."""
    pretenders = [
        "eve as user alice", "mallory worker alice", "alice with diff 1", "x worker alice as user alice",
        "alice as user alice", "alice worker alice", "Authorised client 1 127.0.0.1 worker alice",
    ]  # fmt: skip
    daemon = pool(dialect=dialect, layout=layout, user_names=[*pretenders, "alice"], workers_per_user=1)
    result = dropped(daemon, ["alice"], ["alice.rig0"])
    assert [client.client_id for client in result.dropped] == [8]
    assert control_of(daemon).clients() == 7
    assert {message for _socket, message in told(daemon)} <= {"dropclient=8", "dropuser=alice"}


# What is seen of it


@pytest.mark.parametrize("dialect", ["public", "api", "guide"])
def test_looking_sends_only_reads(dialect: str, pool: Start) -> None:
    daemon = pool(dialect=dialect)
    result = dropped(daemon, ["alice"], ["bob.rig0"], [6], watch=5.0, only_look=True)
    assert workers_of(result.connected) == ["alice.rig0", "alice.rig1", "bob.rig0", "carol.rig1"]
    assert (result.dropped, result.returned, result.fell) == ([], [], None)
    assert told(daemon) == [] and control_of(daemon).clients() == 6


@pytest.mark.parametrize("dialect", ["public", "api", "guide"])
def test_those_who_come_back(dialect: str, pool: Start) -> None:
    daemon = pool(dialect=dialect, reconnect_after=0.3)
    begin = time.monotonic()
    result = dropped(daemon, ["alice"], ["bob.rig1"], watch=60.0)
    assert workers_of(result.returned) == workers_of(result.dropped) == ["alice.rig0", "alice.rig1", "bob.rig1"]
    assert {client.client_id for client in result.returned} == {7, 8, 9}
    assert time.monotonic() - begin < 30, "it ends when all are back"


def test_those_who_do_not_come_back_in_time(pool: Start) -> None:
    daemon = pool()
    begin = time.monotonic()
    assert dropped(daemon, ["alice"], watch=0.3).returned == []
    assert 0.3 <= time.monotonic() - begin < 15


def test_what_is_not_seen_to_be_gone_is_not_said_to_be(pool: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drop_room, "_PROOF_SECONDS", 0.2)
    monkeypatch.setattr(Control, "drop_client", lambda _control, _client_id: None)
    result = dropped(pool(), ["alice"], watch=5.0)
    assert workers_of(result.connected) == WHOLE["alice"] and result.dropped == [] and result.fell == 0
    assert result.problems["not_proven"].endswith(": 1, 2")


def test_clients_that_were_told_to_leave(pool: Start) -> None:
    """Of those no line says that they left: they are dropped if they have not."""
    daemon = pool(stubborn=6)
    control_of(daemon).reconnect()
    result = dropped(daemon, ["alice"])
    assert result.connected == [] and result.fell == 2
    assert result.problems["told_to_leave"].startswith("2 more clients")
    assert control_of(daemon).clients() == 4


def test_all_were_dropped_before(pool: Start) -> None:
    daemon = pool()
    control_of(daemon).drop_all()
    result = dropped(daemon, ["alice"], ["bob.rig0"])
    assert (result.connected, result.unknown, result.problems) == ([], {}, {})


def test_ids_of_a_process_before_are_not_taken_for_this_one_s(pool: Start) -> None:
    daemon = pool(reconnect_after=0.1, user_names=["alice", "bob"], workers_per_user=1)
    dropped(daemon, ["alice"], watch=5.0)
    pid = daemon.pid
    control_of(daemon).restart()
    wait_for(lambda: (daemon.socket_dir / "main.pid").exists() and daemon.pid != pid, "the next process")
    wait_for(lambda: control_of(daemon).clients() == 2, "its miners")
    result = dropped(daemon, ["alice"])
    assert [(client.client_id, client.worker) for client in result.dropped] == [(1, "alice.rig0")]


# Logs


def test_a_log_that_was_renamed(pool: Start) -> None:
    daemon = pool(reconnect_after=0.2)
    log = daemon.log_dir / "ckpool.log"
    log.rename(daemon.log_dir / "ckpool.log.1")
    wait_for(lambda: log.exists() and log.stat().st_size, "the next log")
    result = dropped(daemon, ["alice"], watch=60.0)
    assert workers_of(result.dropped) == workers_of(result.returned) == WHOLE["alice"]
    assert result.unknown == {} and result.problems == {}


def test_a_log_that_was_renamed_and_has_no_next_yet(pool: Start) -> None:
    daemon = pool(update_interval=3600, status_interval=3600)
    log = daemon.log_dir / "ckpool.log"
    log.rename(daemon.log_dir / "ckpool.log-20261123")
    assert workers_of(dropped(daemon, ["alice"]).dropped) == WHOLE["alice"]


def test_a_log_that_was_copied(pool: Start) -> None:
    daemon = pool()
    log = daemon.log_dir / "ckpool.log"
    shutil.copyfile(log, daemon.log_dir / "ckpool.log.1")
    with log.open("w"):
        pass  # as logrotate's copytruncate has it
    result = dropped(daemon, ["alice"])
    assert workers_of(result.dropped) == WHOLE["alice"] and result.fell == 2


def test_a_log_that_is_gone(pool: Start) -> None:
    daemon = pool(status_interval=3600)
    (daemon.log_dir / "ckpool.log").rename(daemon.folder / "away")
    wait_for((daemon.log_dir / "ckpool.log").exists, "the next log")
    result = dropped(daemon, ["alice", "nobody"])
    assert result.connected == []
    assert "alice" in result.unknown and "nobody" in result.unknown
    assert "does not go back to the start" in result.unknown["nobody"]


def test_a_log_that_cannot_be_found(pool: Start) -> None:
    daemon = pool()
    control = control_of(daemon)
    control.instance.log_dir = None
    with pytest.raises(PoolError) as caught:
        drop(control, Wanted(["alice"], [], []), 0.0)
    assert (caught.value.phase, caught.value.reason) == ("find", "no_log") and "log_dir" in caught.value.hint
    assert told(daemon) == []


def test_a_log_that_may_not_be_read(pool: Start) -> None:
    daemon = pool()
    control = control_of(daemon)
    control.instance.log_dir = str(daemon.folder / "nowhere")
    with pytest.raises(PoolError) as caught:
        drop(control, Wanted(["alice"], [], []), 0.0)
    assert caught.value.phase == "read" and caught.value.path == str(daemon.folder / "nowhere" / "ckpool.log")


# Log levels that hide who connects


def test_a_level_of_the_start_that_hides_who_connects(pool: Start) -> None:
    daemon = pool("-l", "4")
    result = dropped(daemon, ["alice"], ["bob.rig0"])
    why = "the log level was started at 4, which hides who connects"
    assert (
        result.unknown["alice"].startswith(("its status file has 2 clients", why)) and result.unknown["bob.rig0"] == why
    )
    assert told(daemon) == []


def test_those_who_are_known_are_dropped_though_a_level_hides_others(pool: Start) -> None:
    """The level hides their end, too: the connector's count is the proof."""
    daemon = pool()
    control = control_of(daemon)
    control.send_loglevel(3)
    control.remember(loglevel=3)
    result = dropped(daemon, ["alice", "nobody"], ["none.rig0"])
    why = "the log level is 3, which hides who connects"
    assert result.unknown == {"nobody": why, "none.rig0": why}
    assert workers_of(result.dropped) == WHOLE["alice"] and result.fell == 2
    assert control.clients() == 4


def test_a_level_that_has_hidden_who_connects(pool: Start) -> None:
    """It is well by now, and only the status file tells of them."""
    daemon = pool("-l", "4")
    control_of(daemon).send_loglevel(5)
    control_of(daemon).remember(loglevel=5)
    path = daemon.log_dir / "users" / "alice"
    wait_for(lambda: path.exists() and json.loads(path.read_text())["workers"] == 2, "the status file")
    result = dropped(daemon, ["alice"])
    assert "its status file has 2 clients, and the log none" in result.unknown["alice"]
    assert {message for _socket, message in told(daemon)} == {"loglevel=5"}


def test_a_count_of_none_is_no_news_of_who_came_since(pool: Start) -> None:
    """A status file is up to a minute old, and a level that hides who connects hides who came within that minute."""
    daemon = pool("-l", "4")
    (daemon.log_dir / "users").mkdir(exist_ok=True)
    (daemon.log_dir / "users" / "ghost").write_text('{"workers": 0}')
    assert "hides who connects" in dropped(daemon, ["ghost"]).unknown["ghost"]


def test_ids_that_are_known_from_elsewhere(pool: Start) -> None:
    daemon = pool("-l", "4")
    result = dropped(daemon, [], [], [3])
    assert (result.connected, result.fell, result.unknown) == ([], 1, {})
    assert told(daemon) == [("connector", "dropclient=3")]


def test_the_query_api_knows_at_any_level(pool: Start) -> None:
    daemon = pool("-l", "0", dialect="api")
    result = dropped(daemon, ["alice", "nobody"])
    assert workers_of(result.dropped) == WHOLE["alice"] and result.unknown == {}


# Many at once


def test_ten_drops_at_once(pool: Start) -> None:
    names = [f"user{number}" for number in range(10)]
    daemon = pool(user_names=names, reconnect_after=1.5)
    results: t.Dict[str, Dropped] = {}
    ready = threading.Barrier(len(names))

    def work(name: str) -> None:
        control = control_of(daemon)
        ready.wait(DEADLINE)
        results[name] = drop(control, Wanted([name], [], []), 60.0)

    threads = [threading.Thread(target=work, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(4 * DEADLINE)
    for name in names:
        mine = [f"{name}.rig0", f"{name}.rig1"]
        assert workers_of(results[name].dropped) == workers_of(results[name].returned) == mine
        assert results[name].problems == results[name].unknown == {}
    assert sorted(message or "" for _socket, message in told(daemon)) == sorted(f"dropclient={n}" for n in range(1, 21))
    assert control_of(daemon).clients() == 20


def test_hundreds_of_clients(pool: Start) -> None:
    daemon = pool(user_names=["alice", "bob"], workers_per_user=300)
    result = dropped(daemon, ["alice"])
    assert len(result.dropped) == 300 and control_of(daemon).clients() == 300


# Daemons that do not answer, and names that cannot be


@pytest.mark.parametrize("dialect", ["public", "api", "guide"])
def test_a_connector_that_hangs(
    dialect: str, pool: Start, monkeypatch: pytest.MonkeyPatch, given_up_soon: t.Callable[..., None]
) -> None:
    monkeypatch.setattr(drop_room, "_PROOF_SECONDS", 0.2)
    given_up_soon("connector")
    daemon = pool(dialect=dialect, faults=[{"fault": "hung", "sockets": ["connector"]}])
    control = Control.find(str(daemon.socket_dir), timeout=DEADLINE)
    if dialect == "guide":
        result = drop(control, Wanted(["alice"], [], []), 0.0)
        assert workers_of(result.dropped) == WHOLE["alice"] and result.fell is None
        return
    with pytest.raises(PoolError) as caught:
        drop(control, Wanted(["alice"], [], []), 0.0)
    assert (caught.value.reason, caught.value.path) == ("unanswered", str(daemon.socket_dir / "connector"))


def test_rows_that_are_none(pool: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    daemon = pool(dialect="api")
    control = control_of(daemon)
    rows: t.List[t.Any] = [None, 7, [], {}, {"id": "1", "workername": "alice.rig0"}, {"workername": ["alice"]}]
    source = control.sources.live()
    assert source is not None and source.lists_clients
    monkeypatch.setattr(source.sockets, "json", lambda _socket, what: {what: rows})
    result = drop(control, Wanted(["nobody"], [], []), 0.0)
    assert result.connected == [] and told(daemon) == []


@pytest.mark.parametrize("name", ["a/b", "a\nb", "", "x" * 128])
def test_names_that_cannot_be(name: str) -> None:
    with pytest.raises(BadInput) as caught:
        Wanted(["alice", name], [], []).check()
    assert repr(name) in str(caught.value)
    for worker in ("", "a\nb", "x" * 511):
        with pytest.raises(BadInput, match="worker name"):
            Wanted([], ["alice.rig0", worker], []).check()
    Wanted(["alice"], ["alice.rig0", "x/y"], [1]).check()
