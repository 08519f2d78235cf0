# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures: the package as it is built, installed into environments that have nothing else, and hosts with pools of their own."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support import ROOT, Simulated
from tests.support.machine import Machine, namespaces
from tests.tools import matrix

pytest.importorskip("build")
pytest.importorskip("ansible.module_utils.basic")
_INSTALL_SECONDS = 300


def run(*command: str | Path, **options: object) -> str:
    """What a command prints, which has to succeed."""
    done = subprocess.run(
        list(map(str, command)),
        capture_output=True,
        text=True,
        timeout=_INSTALL_SECONDS,
        check=False,
        cwd="/",
        **options,
    )  # type: ignore[call-overload]
    assert done.returncode == 0, done.stdout + done.stderr
    return str(done.stdout)


class Built(NamedTuple):
    """The package in its two forms."""

    sdist: Path
    wheel: Path


class Environment(NamedTuple):
    """An environment of its own, with the package alone."""

    folder: Path

    @property
    def python(self) -> str:
        return str(self.folder / "bin" / "python")

    @property
    def command(self) -> str:
        return str(self.folder / "bin" / "ckpool")


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that all processes of a run share, made by the first of them that needs it."""
    root = factory.getbasetemp()
    root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root
    folder, done = root / name, root / f"{name}.done"
    with (root / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            make(folder)
            done.touch()
    return folder


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The sdist from the checkout, and the wheel from that sdist."""
    folder = once(tmp_path_factory, "dist", lambda folder: run(sys.executable, "-m", "build", "--outdir", folder, ROOT))
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return Built(sdist, wheel)


def _environment(factory: pytest.TempPathFactory, name: str, python: str, package: Path) -> Environment:
    def make(folder: Path) -> None:
        run(python, "-m", "venv", folder)
        run(Environment(folder).python, "-m", "pip", "install", "--quiet", package)

    return Environment(once(factory, name, make))


@pytest.fixture(scope="session", params=["wheel-oldest", "sdist-oldest", "wheel-newest", "sdist-newest"])
def environment(request: pytest.FixtureRequest, built: Built, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Each form of the package in an environment of the oldest Python of hosts and of the newest that is here."""
    form, age = request.param.split("-")
    versions = matrix.link_interpreters()
    python = shutil.which(f"python{versions[0 if age == 'oldest' else -1]}")
    assert python
    return _environment(tmp_path_factory, request.param, python, getattr(built, form))


@pytest.fixture(scope="session")
def installed(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """The wheel with the Python of the tests, for what does not depend on that."""
    return _environment(tmp_path_factory, "installed", sys.executable, built.wheel)


class Host:
    """A host that sees only pools of its own."""

    def __init__(self, machine: Machine, installed: Environment) -> None:
        self.machine, self.installed = machine, installed

    def pool(self, name: str = "ckpool", **simulation: Any) -> Simulated:
        """A simulated pool, not yet started. Its socket directory is beside that of others, where ended ones are looked for."""
        folder = self.machine.folder
        options: dict[str, Any] = {"socket_dir": folder / f"s-{name}", "users": 2, **simulation}
        return Simulated(folder / name, name=name, prefix=self.machine.prefix, **options)

    def command(self, *words: str, before: tuple[str, ...] = ()) -> list[str]:
        """The command C(ckpool) there.

        :arg before: a command that runs a command, such as one that gives up rights.
        """
        return [*self.machine.prefix, *before, self.installed.command, *words]

    def ckpool(self, *words: str, before: tuple[str, ...] = (), **variables: str) -> subprocess.CompletedProcess[str]:
        """Run it."""
        done = subprocess.run(
            self.command(*words, before=before), capture_output=True, text=True, timeout=120, check=False, cwd="/",
            env={**os.environ, **variables},
        )  # fmt: skip
        assert "Traceback" not in done.stderr, done.stderr
        return done


@pytest.fixture
def host(home: Path, installed: Environment) -> Iterator[Host]:
    """A host without pools."""
    if not namespaces():
        pytest.skip("no namespaces: neither root nor allowed to unshare")
    with Machine(home / "m") as machine:
        yield Host(machine, installed)
