# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys of Stratum V2 stay what they are, wherever a configuration looks for them."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import PoolError
from ansible_collections.ckpool.fleet.plugins.module_utils._host import put
from ansible_collections.ckpool.fleet.plugins.module_utils._host.process import Owner
from ansible_collections.ckpool.fleet.plugins.module_utils._install import identity

OURS = Owner(os.geteuid(), os.getegid(), frozenset(os.getgroups()))
SPEAKS = {"sv2url": ["0.0.0.0:3336"]}


@pytest.fixture
def places(home: Path) -> t.Tuple[t.Dict[str, str], t.Dict[str, str]]:
    """Where the keys are, and where they will be looked for."""
    for name in ("sockets", "state"):
        (home / name).mkdir()
    before = identity.places(SPEAKS, "pool", str(home / "sockets"))
    after = identity.places(identity.with_places(SPEAKS, "pool", str(home / "state")), "pool", str(home / "sockets"))
    for path in before.values():
        Path(path).write_bytes(path.encode())
        Path(path).chmod(0o600)
    return before, after


def test_a_configuration_that_names_none() -> None:
    assert identity.with_places(SPEAKS, "pool", "/var/lib/x") == {
        **SPEAKS,
        "sv2_authority_key": "/var/lib/x/sv2_authority.key",
        "sv2_static_key": "/var/lib/x/sv2_static.key",
    }
    assert identity.with_places({**SPEAKS, "sv2_static_key": "/k"}, "pool", "/s")["sv2_static_key"] == "/k"
    assert identity.with_places(SPEAKS, "proxy", "/s") == SPEAKS
    assert identity.with_places({}, "pool", "/s") == {}
    assert identity.with_places(SPEAKS, "pool", None) == SPEAKS
    assert identity.places(SPEAKS, "pool", "/run/x")["sv2_static_key"] == "/run/x/sv2_static.key"
    assert identity.places({}, "pool", "/run/x") == {}


def test_they_are_taken_along(places: t.Tuple[t.Dict[str, str], t.Dict[str, str]]) -> None:
    before, after = places
    moves = identity.moves(before, after, OURS)
    assert [source for source, _target in moves] == list(before.values())
    for source, target in moves:
        identity.copy(source, target, OURS)
        assert Path(target).read_bytes() == Path(source).read_bytes()
        assert os.stat(target).st_mode & 0o777 == 0o600
    assert identity.moves(before, after, OURS) == []


def test_others_are_never_replaced(places: t.Tuple[t.Dict[str, str], t.Dict[str, str]]) -> None:
    before, after = places
    target = after["sv2_static_key"]
    Path(target).write_bytes(b"another")
    with pytest.raises(PoolError) as refused:
        identity.moves(before, after, OURS)
    assert refused.value.reason == "identity"
    with pytest.raises(put.WriteFailed):
        identity.copy(before["sv2_static_key"], target, OURS)
    assert Path(target).read_bytes() == b"another"


def test_what_is_not_there_is_made_by_the_daemon(home: Path) -> None:
    assert identity.moves({"sv2_static_key": str(home / "a")}, {"sv2_static_key": str(home / "b")}, OURS) == []


def test_what_somebody_else_has_put_there_is_not_taken(home: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("not root")
    home.chmod(0o755)
    (home / "key").write_bytes(b"planted")
    os.chown(home / "key", 12345, 12345)
    (home / "key").chmod(0o644)
    with pytest.raises(PoolError) as refused:
        identity.moves({"k": str(home / "key")}, {"k": str(home / "b")}, Owner(54321, 54321, frozenset((54321,))))
    assert refused.value.reason == "not_trusted"


def test_a_link_in_its_place_is_not_written_through(
    places: t.Tuple[t.Dict[str, str], t.Dict[str, str]], home: Path
) -> None:
    before, after = places
    Path(after["sv2_static_key"]).symlink_to(home / "elsewhere")
    with pytest.raises(put.WriteFailed):
        identity.copy(before["sv2_static_key"], after["sv2_static_key"], OURS)
    assert not (home / "elsewhere").exists()
