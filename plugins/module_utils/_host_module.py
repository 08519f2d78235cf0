# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules share that change a host and ask no pool: they have none of the common options."""

from __future__ import annotations

import typing as t

from ._errors import PoolError
from ._module import FleetModule, Result
from ._results import failure, presentable


class HostModule(FleetModule):
    """A module without the options that name a pool."""


def run_on_host(module: HostModule, work: t.Callable[[HostModule], Result], **shown: t.Any) -> None:
    """Do a module's work; what fails says in which phase, where, why, and what to look at next.

    :arg shown: what every result has besides.
    """
    try:
        result = {"changed": False, **presentable(work(module)), **shown}
    except PoolError as exc:
        module.fail_json(**presentable(failure(exc)), **shown)
    module.exit_json(**result)
