# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a page takes in Chromium until something of it is seen, by the protocol of its developer tools."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.tools import DEADLINE, CannotMeasure

_OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-quic", "--remote-debugging-pipe",
)  # fmt: skip
_PAINTED = "firstContentfulPaint"


class Browser:
    """Chromium without a window.

    :raises CannotMeasure: it is not installed.
    """

    def __init__(self, stack: contextlib.ExitStack) -> None:
        program = shutil.which("chromium")
        if program is None:
            raise CannotMeasure("Chromium is not installed")
        profile = stack.enter_context(tempfile.TemporaryDirectory(prefix="fleet-paint-", ignore_cleanup_errors=True))
        theirs, self._orders = os.pipe()
        self._answers, said = os.pipe()
        # The browser reads orders from handle 3, and answers on handle 4.
        script = f'exec 3<&{theirs} 4>&{said}; exec "$@"'
        command = ["bash", "-c", script, "bash", program, *_OPTIONS, f"--user-data-dir={profile}", "about:blank"]
        process = subprocess.Popen(
            command, pass_fds=(theirs, said), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )  # fmt: skip
        stack.callback(process.wait, DEADLINE)
        stack.callback(process.terminate)  # so that its own processes end before it, and leave the profile alone
        for handle in (theirs, said):
            os.close(handle)
        for handle in (self._orders, self._answers):
            stack.callback(os.close, handle)
        self._number, self._rest = 0, b""
        self._events: list[dict[str, Any]] = []

    def paint(self, page: Path) -> float:
        """Seconds from the start of the navigation to a page until its first content is painted.

        :raises CannotMeasure: it is not painted in time.
        """
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._ask("Page.enable", session)
        self._ask("Page.setLifecycleEventsEnabled", session, enabled=True)
        self._events.clear()
        loader = self._ask("Page.navigate", session, url=page.as_uri())["loaderId"]
        times: dict[str, float] = {}
        for message in itertools.chain(self._events, self._messages()):
            event = message.get("params", {})
            if message.get("method") == "Page.lifecycleEvent" and event["loaderId"] == loader:
                times[event["name"]] = event["timestamp"]
            if _PAINTED in times:
                break
        self._ask("Target.closeTarget", targetId=target)
        return times[_PAINTED] - times["init"]

    def _ask(self, method: str, session: str = "", **params: Any) -> dict[str, Any]:
        self._number += 1
        order = {"id": self._number, "method": method, "params": params, **({"sessionId": session} if session else {})}
        os.write(self._orders, json.dumps(order).encode() + b"\0")
        for answer in self._messages():
            if answer.get("id") == self._number:
                break
            self._events.append(answer)
        if "result" not in answer:
            raise CannotMeasure(f"Chromium does not {method}: {answer}")
        found: dict[str, Any] = answer["result"]
        return found

    def _messages(self) -> Iterator[dict[str, Any]]:
        """
        :raises CannotMeasure: none comes.
        """
        deadline = time.monotonic() + DEADLINE
        while True:
            while b"\0" in self._rest:
                message, _end, self._rest = self._rest.partition(b"\0")
                yield json.loads(message)
            is_ready = select.select([self._answers], [], [], max(deadline - time.monotonic(), 0))[0]
            read = os.read(self._answers, 1 << 20) if is_ready else b""
            if not read:
                raise CannotMeasure("Chromium has ended, or does not paint")
            self._rest += read
