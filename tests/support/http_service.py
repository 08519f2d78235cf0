# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The HTTP service of the checkout, on a port of its own, and requests to it."""

from __future__ import annotations

import http.client
import importlib.util
import json
import os
import signal
import ssl
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from tests.support.exchange import free_port
from tests.support.paths import ROOT
from tests.support.processes import argv_of, processes_with, without_children
from tests.support.waiting import DEADLINE, wait_for

LIBRARIES = ("starlette", "uvicorn", "h11", "prometheus_client")
PATHS = (ROOT / ".collections", ROOT / "roles" / "http_api" / "files")  #: where C(ckpool_fleet) and C(ckpool_http) are

needs_http = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in LIBRARIES), reason=f"needs {', '.join(LIBRARIES)}"
)


class Reply(t.NamedTuple):
    """An answer of the service."""

    status: int
    headers: t.Mapping[str, str]
    body: bytes

    @property
    def json(self) -> t.Any:
        """Its body."""
        assert self.headers["content-type"] == "application/json", self
        return json.loads(self.body)

    @property
    def error(self) -> t.Any:
        """The error in its body."""
        return self.json["error"]

    @property
    def text(self) -> str:
        """Its body as text."""
        return self.body.decode("utf-8")


class HttpService:
    """The service, for as long as a C(with) block runs.

    :arg folder: for its configuration.
    :arg interpreter: the Python that runs it, by default the one that C(CKPOOL_FLEET_HTTP_PYTHON) names, or our own.
    :arg prefix: a command that runs a command, as that of a machine.
    :arg settings: of its configuration; the port is a free one by default.
    """

    def __init__(self, folder: Path, prefix: t.Sequence[str] = (), interpreter: str = "", **settings: t.Any) -> None:
        self.port = settings.setdefault("port", free_port())
        self.settings = settings
        self.config = folder / f"http-{self.port}.json"
        self.log = folder / f"http-{self.port}.log"
        self._prefix = prefix
        self._interpreter = interpreter or os.environ.get("CKPOOL_FLEET_HTTP_PYTHON") or sys.executable

    def __enter__(self) -> HttpService:
        self.write()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment()
            )
        wait_for(self._is_ready, "the service to listen", 2 * DEADLINE)
        return self

    def __exit__(self, *_args: object) -> None:
        self.signal(signal.SIGKILL)
        self.process.kill()
        self.process.wait(DEADLINE)

    def write(self) -> None:
        """Write its configuration."""
        self.config.parent.mkdir(parents=True, exist_ok=True)
        self.config.write_text(json.dumps(self.settings))
        self.config.chmod(0o644)

    def command(self, *more: str) -> t.List[str]:
        """Its command line."""
        return [*self._prefix, self._interpreter, "-m", "ckpool_http", "--config", str(self.config), *more]

    @staticmethod
    def environment() -> t.Dict[str, str]:
        """The environment in which it finds its code."""
        return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, PATHS))}

    def check(self, write: bool = True) -> subprocess.CompletedProcess[str]:
        """Let it only read its configuration, which is written before that."""
        if write:
            self.write()
        command, where = self.command("--check"), self.environment()
        return subprocess.run(command, capture_output=True, text=True, timeout=2 * DEADLINE, check=False, env=where)

    @property
    def pid(self) -> int:
        """Its process, as seen from here."""
        those = [pid for pid in processes_with(str(self.config)) if argv_of(pid)[:1] != ["nsenter"]]
        found = without_children(those)
        assert len(found) == 1, found
        return found[0]

    def signal(self, number: int) -> None:
        """Send it a signal, if it still runs."""
        for pid in processes_with(str(self.config)):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    @property
    def memory(self) -> int:
        """Bytes of its resident memory."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) * 1024

    @property
    def processor_seconds(self) -> float:
        """For how long it has had a processor so far, which does not depend on what else runs."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def connection(self, timeout: float = DEADLINE) -> http.client.HTTPConnection:
        """A connection to it. TLS is not verified here."""
        host = self.settings.get("listen", "127.0.0.1").replace("0.0.0.0", "127.0.0.1")
        if self.settings.get("tls_certificate"):
            context = ssl._create_unverified_context()
            return http.client.HTTPSConnection(host, self.port, timeout=timeout, context=context)
        return http.client.HTTPConnection(host, self.port, timeout=timeout)

    def get(self, path: str, method: str = "GET", body: t.Optional[bytes] = None, **headers: str) -> Reply:
        """Ask it for a path, on a connection of its own. An underscore in the name of a header stands for a hyphen."""
        connection = self.connection(3 * DEADLINE)
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            pairs = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(answer.status, pairs, answer.read())
        finally:
            connection.close()

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        try:
            self.connection().connect()
        except OSError:
            return False
        return True
