# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Prometheus, and a server of texts for it to scrape. Both listen on loopback only."""

from __future__ import annotations

import json
import shutil
import subprocess
import typing as t
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from tests.support.exchange import free_port
from tests.support.http_server import Handler, HttpServer
from tests.support.waiting import wait_for

_Server = t.TypeVar("_Server", bound="Server")

needs_prometheus = pytest.mark.skipif(
    not (shutil.which("prometheus") and shutil.which("promtool")),
    reason="prometheus is not installed (Debian: prometheus)",
)


needs_alertmanager = pytest.mark.skipif(
    not (shutil.which("prometheus-alertmanager") and shutil.which("amtool")),
    reason="Alertmanager is not installed (Debian: prometheus-alertmanager)",
)


class Texts(HttpServer):
    """Serves texts by their path, and keeps what is posted to it.

    :ivar texts: path to text; it may be changed at any time.
    :ivar posted: method, path and body of each request that is no GET.
    :ivar reply: what such a request is answered with.
    """

    def __init__(self, reply: t.Any = None) -> None:
        self.texts: t.Dict[str, str] = {}
        self.posted: t.List[t.Tuple[str, str, str]] = []
        texts, posted = self.texts, self.posted
        answer = json.dumps(reply).encode()

        class Requests(Handler):
            def do_GET(self) -> None:
                text = texts.get(self.path)
                self.reply(404 if text is None else 200, (text or "").encode(), "text/plain; version=0.0.4")

            def do_POST(self) -> None:
                posted.append((self.command, self.path, self.body().decode()))
                self.reply(200, answer)

            do_DELETE = do_POST

        super().__init__(Requests)


class Server:
    """A server of one of the programs of Prometheus, for as long as a C(with) block runs.

    :arg config: its configuration.
    """

    def __init__(self, folder: Path, config: t.Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.config = folder / "config.yml"
        self.config.write_text(json.dumps(config))  # which is YAML too
        self.address = f"127.0.0.1:{free_port()}"

    def _command(self) -> t.List[str]:
        raise NotImplementedError

    def __enter__(self: _Server) -> _Server:
        self._log = (self._folder / "log").open("w")
        self._process = subprocess.Popen(
            self._command(), stdin=subprocess.DEVNULL, stdout=self._log, stderr=subprocess.STDOUT
        )
        wait_for(self._is_ready, "a server that is ready", 90)
        return self

    def __exit__(self, *_args: object) -> None:
        self._process.kill()
        self._process.wait()
        self._log.close()

    def _is_ready(self) -> bool:
        assert self._process.poll() is None, (self._folder / "log").read_text()
        try:
            with urllib.request.urlopen(f"http://{self.address}/-/ready", timeout=5) as reply:
                return bool(reply.status == 200)
        except OSError:
            return False


class Alertmanager(Server):
    """An Alertmanager."""

    def _command(self) -> t.List[str]:
        return ["prometheus-alertmanager", f"--config.file={self.config}", f"--storage.path={self._folder / 'data'}",
                f"--web.listen-address={self.address}", "--cluster.listen-address=", "--log.level=warn"]  # fmt: skip

    def fire(self, alerts: t.Sequence[t.Mapping[str, str]]) -> None:
        """Tell it of alerts, by their labels, as Prometheus does."""
        body = json.dumps([{"labels": labels} for labels in alerts]).encode()
        request = urllib.request.Request(
            f"http://{self.address}/api/v2/alerts", body, {"Content-Type": "application/json"}
        )
        urllib.request.urlopen(request, timeout=30).close()

    def quiet(self) -> t.Dict[t.Tuple[str, str, str], str]:
        """The name, C(instance) and C(pool) of each alert: C(silenced), C(inhibited), or empty if somebody hears of it."""
        with urllib.request.urlopen(f"http://{self.address}/api/v2/alerts", timeout=30) as reply:
            alerts = json.load(reply)
        return {
            tuple(alert["labels"].get(name, "") for name in ("alertname", "instance", "pool")): (
                "silenced" if alert["status"]["silencedBy"] else "inhibited" if alert["status"]["inhibitedBy"] else ""
            )
            for alert in alerts
        }


class Prometheus(Server):
    """A Prometheus.

    :arg jobs: its C(scrape_configs).
    """

    def __init__(self, folder: Path, jobs: t.Sequence[t.Mapping[str, t.Any]], rules: Path) -> None:
        config = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(rules)],
            "scrape_configs": list(jobs),
        }
        super().__init__(folder, config)

    def _command(self) -> t.List[str]:
        return ["prometheus", f"--config.file={self.config}", f"--storage.tsdb.path={self._folder / 'data'}",
                f"--web.listen-address={self.address}", "--log.level=warn"]  # fmt: skip

    def ask(self, path: str, **parameters: str) -> t.Any:
        """The data of an answer of its API."""
        words = urllib.parse.urlencode({name.replace("_match", "match[]"): text for name, text in parameters.items()})
        try:
            with urllib.request.urlopen(f"http://{self.address}/api/v1/{path}?{words}", timeout=30) as reply:
                return json.load(reply)["data"]
        except urllib.error.HTTPError as exc:
            raise AssertionError(f"{parameters}: {exc.read().decode()}") from None

    def query(self, expression: str) -> t.List[t.Tuple[t.Dict[str, str], float]]:
        """The result of a query: labels and value of each series."""
        rows = self.ask("query", query=expression)["result"]
        return [(row["metric"], float(row["value"][1])) for row in rows]
