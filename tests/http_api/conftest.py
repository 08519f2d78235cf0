# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that see only pools of their own, with a service each."""

from __future__ import annotations

import contextlib
import typing as t
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import Simulated
from tests.support.http_service import LIBRARIES, HttpService
from tests.support.machine import Machine, namespaces

#: What a busy host takes longer for is neither late nor slow: settings for tests that are not about that.
PATIENT: t.Dict[str, t.Any] = {"timeout": 30, "thresholds": {"latency_warning": 30}}

for library in (*LIBRARIES, "schemathesis"):
    pytest.importorskip(library)
if not namespaces():
    pytest.skip("no namespaces: neither root nor allowed to unshare", allow_module_level=True)


class Place:
    """A host with its pools and its service.

    :ivar pools: by name.
    :ivar interpreter: a Python that runs there.
    """

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self.folder = folder
        self._stack = stack
        machine = stack.enter_context(Machine(folder))
        self.prefix, self.interpreter = machine.prefix, machine.interpreter
        self.pools: t.Dict[str, Simulated] = {}

    def pool(self, name: str = "ckpool", *options: str, start: bool = True, **simulation: t.Any) -> Simulated:
        """A simulated pool."""
        made = Simulated(self.folder / name, *options, name=name, prefix=self.prefix, **{"users": 3, **simulation})
        self.pools[name] = made
        self._stack.callback(made.__exit__)
        return made.start() if start else made

    def service(self, **settings: t.Any) -> HttpService:
        """The service, which runs. It is patient with its pools, unless a test sets its timeout."""
        given = {"timeout": PATIENT["timeout"], **settings}
        return self._stack.enter_context(HttpService(self.folder, self.prefix, **given))


@pytest.fixture
def host(home: Path) -> Iterator[Place]:
    """A host without pools."""
    with contextlib.ExitStack() as stack:
        yield Place(home / "m", stack)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Place]]:
    """Hosts that serve a whole session, by the kind of their pool: for tests that only read."""
    import tempfile

    from tests.support.paths import remove

    made: t.Dict[str, Place] = {}
    folder = Path(tempfile.mkdtemp(prefix="ckf-", dir="/tmp"))
    with contextlib.ExitStack() as stack:

        def place(kind: str, **simulation: t.Any) -> Place:
            if kind not in made:
                made[kind] = Place(folder / kind, stack)
                made[kind].pool(**simulation).wait_for_statistics()
            return made[kind]

        yield place
    remove(folder)
