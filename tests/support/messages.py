# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests expect to be sent, said once, and not taken from the code under test."""

from __future__ import annotations

SOCKETS = ("listener", "stratifier", "connector", "generator")
#: All that the collection may send of its own accord: nothing that crashes, leaks, creates or changes.
HARMLESS = frozenset(("ping", "stats", "poolstats", "users", "workers", "getbest"))
