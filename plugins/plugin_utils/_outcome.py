# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The outcome of a run over a fleet, from the rows of its pools. Pure functions."""

from __future__ import annotations

import typing as t

from ..module_utils._health import CRITICAL, fails
from ._rows import UNDETERMINED, Row

HEALTHY, UNHEALTHY, UNDETERMINED_OUTCOME, INVALID = OUTCOMES = ("healthy", "unhealthy", "undetermined", "invalid")
#: the outcomes of a maintenance window
WINDOW_OUTCOMES = ("nothing_to_do", "done", "rolled_back", "rollback_failed", "failed", "not_started")
#: the outcome of a run that ended with a part of the hosts done and others not started; that of one that was cut off; and
#: that of one in check mode
STOPPED, UNFINISHED, PREDICTED = "stopped", "unfinished", "predicted"
#: the outcomes of a change of a fleet
ROLLOUT_OUTCOMES = (*WINDOW_OUTCOMES, STOPPED, UNFINISHED, PREDICTED)
#: the outcomes that let a run pass, of a report and of a window
PASSING = (HEALTHY, "done", "nothing_to_do", PREDICTED)


def is_failure(row: t.Mapping[str, t.Any], fail_on: str) -> bool:
    """Whether a row fails the fleet.

    :arg fail_on: a key of C(FAIL_ON).
    """
    return fails(row["status"], row["state"], fail_on)


def judged_by(fail_on: str) -> str:
    """The key of C(FAIL_ON) to judge by: C(never) only keeps the task from failing, and judges like C(critical)."""
    return CRITICAL if fail_on == "never" else fail_on


def outcome(rows: t.Sequence[Row], fail_on: str, problems: t.Sequence[str] = ()) -> str:
    """The outcome of a run in one word, one of C(OUTCOMES).

    :arg problems: what is wrong with the call itself.
    """
    if problems:
        return INVALID
    failing = [row for row in rows if is_failure(row, judged_by(fail_on))]
    if any(row["state"] not in UNDETERMINED for row in failing):
        return UNHEALTHY
    return UNDETERMINED_OUTCOME if failing or not rows else HEALTHY
