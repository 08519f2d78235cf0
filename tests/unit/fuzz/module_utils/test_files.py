# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Status files with anything in them: what is whole is kept, and one bad row costs no other."""

from __future__ import annotations

import json
import shutil
import tempfile
import typing as t
from pathlib import Path

from ansible_collections.ckpool.fleet.plugins.module_utils._errors import PoolError
from ansible_collections.ckpool.fleet.plugins.module_utils._instance import Instance
from ansible_collections.ckpool.fleet.plugins.module_utils._sources.exchange import Sockets
from ansible_collections.ckpool.fleet.plugins.module_utils._sources.files import FileSource
from ansible_collections.ckpool.fleet.plugins.module_utils._sources.user_files import UserFiles
from hypothesis import given
from hypothesis import strategies as st

from ..made import JSON, check_result, check_serializable, objects, written

STATUS = (
    "runtime", "lastupdate", "Users", "Workers", "Idle", "Disconnected", "hashrate1m", "hashrate5m", "hashrate15m",
    "hashrate1hr", "hashrate6hr", "hashrate1d", "hashrate7d", "diff", "accepted", "rejected", "bestshare", "SPS1m",
    "SPS5m", "SPS15m", "SPS1h", "netdiff", "accepted_count", "rejected_count", "UserAgents",
)  # fmt: skip
USER = (
    "hashrate1m", "hashrate5m", "hashrate1hr", "hashrate1d", "hashrate7d", "lastshare", "lastupdate", "workers",
    "shares", "bestshare", "bestever", "authorised", "started", "useragent", "workername", "accepted_count",
)  # fmt: skip
GOOD = {
    "hashrate1m": "14.1M", "lastshare": 1795385440, "shares": 2, "bestshare": 2.5,
    "worker": [{"workername": "good.rig0", "hashrate1m": "14.1M", "shares": 2}],
}  # fmt: skip
LINES = objects(STATUS).map(written) | JSON.map(written) | st.binary(max_size=20)
USERS = st.tuples(objects(USER), JSON | st.lists(objects(USER), max_size=3)).map(
    lambda pair: written({**pair[0], "worker": pair[1]})
)
FILES = USERS | objects(USER).map(written) | JSON.map(written) | st.binary(max_size=40)
ODD = st.tuples(objects(USER), st.lists(objects(USER) | JSON, max_size=3) | JSON)


class Logs:
    """A log directory for one example."""

    def __enter__(self) -> Path:
        self._folder = Path(tempfile.mkdtemp(prefix="ckf-"))
        for name in ("pool", "users", "workers"):
            (self._folder / name).mkdir()
        return self._folder

    def __exit__(self, *_args: object) -> None:
        shutil.rmtree(self._folder)


def status_of(folder: Path) -> FileSource:
    """The source of its status."""
    instance = Instance("/nowhere", "ckpool", log_dir=str(folder))
    return FileSource(instance, Sockets(instance, 1.0), dict)


def read(folder: Path) -> UserFiles:
    """The files of its users, which wait for no rewrite."""
    files = UserFiles(str(folder))
    files._second_reads = 0
    return files


@given(lines=st.lists(LINES, min_size=3, max_size=5))
def test_a_status_is_read_or_refused(lines: t.List[bytes]) -> None:
    with Logs() as folder:
        (folder / "pool" / "pool.status").write_bytes(b"\n".join(lines))
        source = status_of(folder)
        try:
            stats, as_of, _rows = source.stats()
        except PoolError as exc:
            check_serializable({"msg": str(exc), "path": exc.path, "hint": exc.hint})
        else:
            check_result({"stats": stats.as_dict(), "as_of": as_of, "problems": dict(source.problems)})


@given(odd=objects(STATUS[8:]))
def test_what_is_whole_of_a_status_is_kept(odd: t.Dict[str, t.Any]) -> None:
    good = {"runtime": 60, "lastupdate": 1795385500, "Users": 7, "Workers": 9, "hashrate1m": "38.5M", "hashrate5m": 2}
    with Logs() as folder:
        lines = [written(odd), b"{}", written(good)]  # what is good comes last: a name that is there twice is its
        (folder / "pool" / "pool.status").write_bytes(b"\n".join(lines))
        stats, as_of, _rows = status_of(folder).stats()
    assert (stats.users, stats.workers, stats.uptime, as_of) == (7, 9, 60, 1795385500)
    assert (stats.hashrate1m, stats.hashrate5m) == (38.5e6, 2.0)


@given(files=st.lists(FILES, max_size=3), beside=st.lists(FILES, max_size=2))
def test_users_are_read_whatever_is_in_their_files(files: t.List[bytes], beside: t.List[bytes]) -> None:
    with Logs() as folder:
        (folder / "users" / "good").write_text(json.dumps(GOOD))
        for number, data in enumerate(files):
            (folder / "users" / f"odd{number}").write_bytes(data)
        for number, data in enumerate(beside):
            (folder / "workers" / f"odd{number}.rig").write_bytes(data)
        source = read(folder)
        users = {user.user: user for user in source.users(None)}
        check_result({"users": [user.as_dict() for user in users.values()], "problems": dict(source.problems)})
        good = users["good"]
        assert (good.hashrate1m, good.shares, [worker.worker for worker in good.workers]) == (14.1e6, 2, ["good.rig0"])
        workers = [worker.as_dict() for worker in read(folder).workers(None)]
        check_result(workers)
        assert "good.rig0" in [worker["worker"] for worker in workers]


@given(odd=ODD)
def test_what_is_whole_of_a_user_is_kept(odd: t.Tuple[t.Dict[str, t.Any], t.Any]) -> None:
    """An odd field costs that field, an odd worker itself; the user and the other workers stay."""
    fields, workers = odd
    worker = {"workername": "odd.rig0", "shares": 4}
    row = {**fields, "shares": 5, "worker": [*(workers if isinstance(workers, list) else [workers]), worker]}
    with Logs() as folder:
        (folder / "users" / "odd").write_bytes(written(row))
        (user,) = read(folder).users(None)
    assert (user.user, user.shares) == ("odd", 5)
    assert ("odd.rig0", 4) in [(found.worker, found.shares) for found in user.workers]
