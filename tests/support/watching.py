# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook monitor on a terminal, as a person watches it."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path

from tests.support.ansible import RUN_DEADLINE, Ansible, Json
from tests.support.paths import ROOT
from tests.support.terminal import Picture, Terminal
from tests.support.waiting import wait_for

MONITOR = "ckpool.fleet.monitor"


class Watching:
    """The playbook on a terminal of its own, which is the controlling one, as that of a person."""

    def __init__(
        self, ansible: Ansible, folder: Path, inventory: dict[str, Json], variables: Json, *arguments: str, **more: str
    ) -> None:
        folder.mkdir(parents=True)
        hosts = folder / "inventory.json"
        hosts.write_text(json.dumps({"all": {"hosts": inventory}}))
        self.log, self._record = folder / "log", folder / "record"
        self.terminal = Terminal(80, 24)
        environment = ansible.environment(self._record, {"ANSIBLE_LOG_PATH": str(self.log), "TERM": "xterm", **more})
        command = [sys.executable, "-m", "ansible", "playbook", "-i", str(hosts), MONITOR, "-e", json.dumps(variables)]
        inner = self.terminal.inner
        self.process = subprocess.Popen(
            [*command, *arguments], cwd=ROOT, env=environment, stdin=inner, stdout=inner, stderr=inner,
            start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip

    def __enter__(self) -> Watching:
        return self

    def __exit__(self, *_args: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.terminal.close()

    def until(self, condition: Callable[[Picture], bool], what: str) -> Picture:
        """What is seen as soon as a condition on it holds."""
        holds = False

        def is_over() -> bool:
            nonlocal holds
            has_ended = self.process.poll() is not None
            # Each of the screens counts that were shown since the last look: this process may have slept over some.
            holds = any(condition(seen) for seen in self.terminal.screens())
            return holds or has_ended

        wait_for(is_over, what, RUN_DEADLINE)
        assert holds, (what, self.terminal.picture.rows)
        return self.terminal.picture

    def until_shown(self, *texts: str) -> Picture:
        """The alternate screen, once all texts are on it."""

        def has_all(seen: Picture) -> bool:
            return seen.is_alternate and all(any(text in row for row in seen.rows) for text in texts)

        return self.until(has_all, f"{texts} on the screen")

    def resize(self, columns: int, lines: int) -> None:
        """Give the terminal another size, and wait for a screen that fits: one for the old size may still be on its way."""
        self.terminal.resize(columns, lines)

        def fits(seen: Picture) -> bool:
            has_scrolled, seen.scrolled = bool(seen.scrolled), 0
            return seen.is_alternate and seen.rows[0] != "" and not has_scrolled

        self.until(fits, "a screen of the new size")

    def end(self) -> int:
        """Wait for its end, reading on; the exit status."""
        wait_for(lambda: (self.terminal.look(), self.process.poll())[1] is not None, "the end", RUN_DEADLINE)
        wait_for(lambda: self.terminal.is_as_before, "the terminal as it was")
        assert self.terminal.picture.scrolled == 0
        return self.process.returncode

    def results(self) -> dict[str, Json]:
        """What the task returned, by host."""
        records = [json.loads(line) for line in self._record.read_text().splitlines()]
        return {found["host"]: found["result"] for found in records if found["action"].endswith("ckpool_monitor")}
