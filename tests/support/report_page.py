# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report on a made-up fleet, as a playbook writes it."""

from __future__ import annotations

import time
import typing as t
from pathlib import Path

from ansible_collections.ckpool.fleet.plugins.action import ckpool_fleet_report as action

from tests.support.fleets import Fleet
from tests.unit.plugins.action.fake_task import plugin_of


def write_report(folder: Path, pools: int, bad: int, evil: bool = False, days: float = 5, **options: t.Any) -> Path:
    """Write it to a folder that exists; the page.

    :arg days: how far back its snapshots go.
    :arg options: those of C(ckpool_fleet_report).
    """
    fleet = Fleet(pools, bad, evil=evil, now=time.time())
    fleet.write_snapshots(folder / "snapshots", days=days, every=3 * 3600)
    fleet.write_windows(folder / "windows")
    health, info, idle = fleet.health(), fleet.pools(), fleet.idle()
    hostvars = {
        host: {"health_check_result": health[host], "report_pools": info[host], "report_idle": idle[host]}
        for host in health
    }
    variables = {
        "hostvars": hostvars, "groups": {"all": list(hostvars), "ungrouped": list(hostvars)},
        "ansible_play_hosts_all": ["localhost", *hostvars],
    }  # fmt: skip
    paths = {"html_file": folder / "report.html", "snapshots": folder / "snapshots", "windows": folder / "windows"}
    arguments = {"hosts": "all", **{name: str(path) for name, path in paths.items()}, **options}
    result = plugin_of(action, args=arguments).run(task_vars=variables)
    assert not result.get("failed"), result
    return paths["html_file"]
