# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real ansible-rulebook, with services that are stand-ins and pools that are simulated."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT, wait_for
from tests.support.ansible import Json
from tests.support.http_server import Handler, HttpServer
from tests.support.paths import remove

DEADLINE = 120.0  #: seconds; Java and ansible-playbook start slowly on a busy machine
PROGRAM = Path(sys.executable).with_name("ansible-rulebook")


@pytest.fixture(scope="session", autouse=True)
def needs_rulebook() -> None:
    if importlib.util.find_spec("ansible_rulebook") is None or not PROGRAM.exists():
        pytest.skip("ansible-rulebook is not installed: the session eda installs it")
    if not shutil.which("java"):
        pytest.skip("there is no Java, which ansible-rulebook needs: apt install openjdk-17-jre-headless")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path, as that of a unix socket is limited."""
    path = Path(tempfile.mkdtemp(prefix="ckf-", dir="/tmp"))
    path.chmod(0o755)
    yield path
    remove(path)


class Rulebook:
    """A running rulebook.

    :arg name: of one in the collection, or the path of a file.
    """

    def __init__(self, folder: Path, name: str, variables: Json, inventory: Mapping[str, Json]) -> None:
        self._folder, self.log = folder, folder / "rulebook.log"
        given, hosts = folder / "variables.json", folder / "inventory.json"
        given.write_text(json.dumps(variables))
        hosts.write_text(json.dumps({"all": {"hosts": {**inventory}}}))
        self._command = [
            str(PROGRAM), "--rulebook", name, "--inventory", str(hosts), "--vars", str(given), "--print-events", "--shutdown-delay", "5",
        ]  # fmt: skip

    def __enter__(self) -> Rulebook:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "PYTHON"))}
        ours = {
            "PATH": f"{PROGRAM.parent}:{os.environ['PATH']}",
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
            "ANSIBLE_HOME": str(self._folder / "home"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_REMOTE_TEMP": str(self._folder / "remote"),
        }
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**kept, **ours}, cwd=self._folder,
                start_new_session=True,
            )  # fmt: skip
        return self

    def __exit__(self, *_args: object) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(DEADLINE)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait(DEADLINE)
                raise

    @property
    def text(self) -> str:
        """Everything that was printed."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def end(self) -> int:
        """Its exit status, when it has ended by itself."""
        return self._process.wait(DEADLINE)

    def wait_for(self, condition: Callable[[], Any], what: str) -> Any:
        """Wait for something that it brings about."""

        def has_come() -> Any:
            assert self._process.poll() is None, self.text
            return condition()

        try:
            return wait_for(has_come, what, DEADLINE)
        except AssertionError as exc:
            raise AssertionError(f"{exc}\n{self.text}") from None


@pytest.fixture
def rulebook(folder: Path) -> Callable[..., Rulebook]:
    def made(name: str, variables: Json, inventory: Mapping[str, Json]) -> Rulebook:
        return Rulebook(folder, name, variables, inventory)

    return made


class Receiver(HttpServer):
    """Takes messages.

    :ivar got: the body of each.
    """

    def __init__(self) -> None:
        self.got: list[Any] = []
        receiver = self

        class Requests(Handler):
            def do_POST(self) -> None:
                receiver.got.append(json.loads(self.body()))
                self.reply(200)

        super().__init__(Requests)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as made:
        yield made
