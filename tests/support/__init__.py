# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests share: simulated daemons, fake sockets, processes, waiting. It needs neither Ansible nor the collection."""

from __future__ import annotations

from tests.support.exchange import Answer, Outcome, accepts, ask, free_port
from tests.support.fake_socket import FakeSocket, Script, answers, framed, silent
from tests.support.messages import HARMLESS, SOCKETS
from tests.support.paths import RECORDINGS, ROOT, SAMPLES, SIMULATOR, laid_out
from tests.support.processes import argv_of, is_alive, processes_with
from tests.support.simulated import Simulated
from tests.support.waiting import DEADLINE, wait_for, wait_until

__all__ = [
    "DEADLINE", "HARMLESS", "RECORDINGS", "ROOT", "SAMPLES", "SIMULATOR", "SOCKETS", "Answer", "FakeSocket", "Outcome",
    "Script", "Simulated", "accepts", "answers", "argv_of", "ask", "framed", "free_port",
    "is_alive", "laid_out", "processes_with", "silent", "wait_for", "wait_until",
]  # fmt: skip
