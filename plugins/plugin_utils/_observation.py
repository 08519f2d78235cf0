# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one look at a pool found, as C(ckpool_step) answered. No Ansible."""

from __future__ import annotations

import dataclasses
import typing as t

from ..module_utils._wording import counted
from ._types import Json

SOCKETS = ("listener", "stratifier", "connector", "generator")
Identity = t.Tuple[t.Optional[int], t.Optional[int]]  #: process id and start


@dataclasses.dataclass(frozen=True)
class Observation:
    """What one look found. What is missing or odd in the answer counts as not known."""

    answer: Json

    def _part(self, name: str) -> Json:
        value = self.answer.get(name)
        return value if isinstance(value, dict) else {}

    @property
    def pid(self) -> t.Optional[int]:
        """The process id that the instance has now."""
        pid = self._part("process").get("pid")
        return pid if isinstance(pid, int) else None

    @property
    def identity(self) -> Identity:
        """Process id and start time, which no two processes share."""
        return self.pid, self._part("process").get("started")

    @property
    def process(self) -> str:
        """The state of the process: C(alive), C(dead), C(another), C(hidden) or C(absent)."""
        return str(self._part("process").get("state") or "absent")

    @property
    def is_alive(self) -> bool:
        """Whether the instance's own process runs."""
        return self.process == "alive"

    @property
    def is_found(self) -> bool:
        """Whether there is an instance at all."""
        return bool(self.answer.get("found", True))

    @property
    def is_down(self) -> bool:
        """Whether no process runs, and no socket answers."""
        return not self.is_found or bool(self.answer.get("down"))

    @property
    def is_ready(self) -> bool:
        """Whether it answers and has work for miners."""
        return bool(self.answer.get("ready")) and not self.is_down

    @property
    def state(self) -> str:
        """The state of the instance, in the word that all modules use."""
        return "down" if self.is_down else str(self._part("instance").get("state") or "unknown")

    @property
    def takes_orders(self) -> bool:
        """Whether its listener answers, which takes orders such as a shutdown."""
        return bool(self.answers.get("listener") == "reply")

    @property
    def answers(self) -> t.Dict[str, str]:
        """What each socket did: C(reply), or why it gave none."""
        return self._part("answers")

    @property
    def answering(self) -> t.List[str]:
        """The sockets that answer."""
        return [name for name in SOCKETS if self.answers.get(name) == "reply"]

    @property
    def silent(self) -> t.List[str]:
        """The sockets that do not answer."""
        return [name for name, said in self.answers.items() if said != "reply"]

    @property
    def clients(self) -> t.Optional[int]:
        """Clients, by the connector's count."""
        clients = self.answer.get("clients")
        return clients if isinstance(clients, int) else None

    @property
    def instance(self) -> t.Optional[Json]:
        """The instance as the modules return it."""
        return self._part("instance") or None

    @property
    def stats(self) -> Json:
        """Users, workers, hashrate1m (H/s) and work_age (seconds), if they were wanted and are known."""
        return self._part("stats")

    @property
    def redirect_problem(self) -> str:
        """Why nothing accepts connections where miners shall be redirected; empty if something does, or nobody looked."""
        found = self._part("redirect")
        return "" if found.get("reachable", True) else str(found.get("problem") or "nothing accepts connections there")

    @property
    def service(self) -> Json:
        """The systemd unit of the process; empty without one."""
        return self._part("service")

    @property
    def leftovers(self) -> t.List[str]:
        """Sockets and files that an ended process left."""
        return list(self.answer.get("leftovers") or [])

    @property
    def obstacles(self) -> t.List[t.Dict[str, str]]:
        """What would make a handover fail."""
        return list(self._part("handover").get("obstacles") or [])

    @property
    def connections(self) -> Json:
        """The connections of miners, as the kernel lists them; empty if not wanted or not visible."""
        return self._part("connections")

    @property
    def stranded(self) -> t.Optional[int]:
        """Connections of miners that nobody reads; None if not wanted or not visible."""
        stranded = self.connections.get("stranded")
        return stranded if isinstance(stranded, int) else None

    @property
    def takeover(self) -> Json:
        """How a restart went, from the process that watches it on the host; empty without one."""
        return self._part("takeover")

    @property
    def left_rejecting(self) -> Json:
        """Which run left the process rejecting, and since when; empty if it accepts."""
        return self._part("left_rejecting")

    @property
    def problems(self) -> Json:
        """What could not be determined, by area, with the reason."""
        return self._part("problems")

    @property
    def holder_pids(self) -> t.List[int]:
        """The processes that hold the sockets; empty if none is known."""
        return [
            entry["pid"] for entry in self.answer.get("holders") or [] if isinstance(entry, dict) and "pid" in entry
        ]

    @property
    def holders(self) -> str:
        """The processes that hold the sockets, as text; empty if none is known."""
        holders = [entry for entry in self.answer.get("holders") or [] if isinstance(entry, dict)]
        return ", ".join(f"pid {entry.get('pid')} ({entry.get('command')})" for entry in holders)

    def describe(self, is_rejecting: bool = False) -> str:
        """The state for a person: C(accepting, 12 clients)."""
        if self.state in ("down", "hung", "unknown"):
            return self.state
        return f"{'rejecting' if is_rejecting else 'accepting'}, {counted(self.clients, 'client')}"
