# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Describe what a shutdown of a fleet's pools would end, for a prompt."""

from __future__ import annotations

DOCUMENTATION = r"""
name: shutdown_plan
short_description: Describe what a shutdown of a fleet's pools would end
version_added: 0.4.0
author: The ckpool.fleet contributors (@ckpool-fleet)
description:
  - Lists the pools and the numbers of their miners that a shutdown would end, from what the role
    P(ckpool.fleet.graceful_shutdown#role) registered when it looked. The playbook C(ckpool.fleet.graceful_shutdown)
    shows it in its prompt.
options:
  _input:
    description:
      - The variables of each host. It reads C(graceful_shutdown_health) and C(graceful_shutdown_redirect_to).
    type: list
    elements: dict
    required: true
seealso:
  - module: ckpool.fleet.ckpool_shutdown
"""

EXAMPLES = r"""
- name: Look at the pools
  ansible.builtin.import_role:
    name: ckpool.fleet.graceful_shutdown
    tasks_from: look

- name: Show what a shutdown would end
  ansible.builtin.debug:
    msg: "{{ (ansible_play_hosts | map('extract', hostvars) | ckpool.fleet.shutdown_plan).lines }}"
  run_once: true
"""

RETURN = r"""
_value:
  description:
    - C(hosts) and C(pools), the numbers of hosts and pools. C(miners), the number of miners of the pools that give one.
      C(lines), the same as text, with a line for each pool.
  type: dict
  sample:
    hosts: 1
    pools: 1
    miners: 12
    lines: ["To shut down: 1 pool with 12 miners on 1 host", "  pool1: ckpool (/tmp/ckpool), pid 42, 12 miners, cut off"]
"""

import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError

from ..module_utils._text import printable
from ..module_utils._wording import counted
from ..plugin_utils._rows import FAILED, Row, rows_of
from ..plugin_utils._types import Json
from ..plugin_utils._values import items_of, shown


def shutdown_plan(hosts: t.Any) -> Json:
    """What a shutdown would end.

    :arg hosts: the variables of each host.
    :raises AnsibleFilterError: they are something else.
    """
    found = [(row, _target(host)) for host in items_of(hosts, "hosts") for row in _rows(host)]
    ending = [row for row, _target_of_it in found if _ends(row)]
    miners = [row["clients"] for row in ending if row["clients"] is not None]
    total = {"hosts": len({row["host"] for row in ending}), "pools": len(ending), "miners": sum(miners)}
    known = counted(total["miners"], "miner") if miners or not ending else "an unknown number of miners"
    more = " or more" if miners and len(miners) < len(ending) else ""
    head = f"To shut down: {counted(len(ending), 'pool')} with {known}{more} on {counted(total['hosts'], 'host')}"
    lines = [head, *(f"  {row['host']}: {_sentence(row, target)}" for row, target in found)]
    return {**total, "lines": [printable(line) for line in lines]}


def _rows(host: t.Any) -> t.List[Row]:
    if not isinstance(host, Mapping):
        raise AnsibleFilterError(f"not the variables of a host: {shown(host)}")
    return rows_of(str(host.get("inventory_hostname")), host.get("graceful_shutdown_health"))


def _target(host: t.Mapping[str, t.Any]) -> str:
    """The address that the miners of a host are sent to first; empty if they are cut off."""
    return str(host.get("graceful_shutdown_redirect_to") or "")


def _ends(row: Row) -> bool:
    return row["instance"] is not None and row["state"] not in ("down", FAILED)


def _sentence(row: Row, target: str) -> str:
    if row["instance"] is None:
        return "no ckpool runs here" if row["state"] == "down" else "; ".join(row["wrong"])
    name = f"{row['instance']} ({row['socket_dir']})"
    if not _ends(row):
        return f"{name} is down already" if row["state"] == "down" else f"{name}: {'; '.join(row['wrong'])}"
    pid = "" if row["pid"] is None else f", pid {row['pid']}"
    miners = "miners not known" if row["clients"] is None else counted(row["clients"], "miner")
    fate = f"sent to {target} first" if target else "cut off"
    return f"{name}{pid}, {miners}, {fate}" + ("" if row["state"] == "ok" else f"; it is {row['state']}")


class FilterModule:
    """Offers the filter to Ansible."""

    def filters(self) -> t.Dict[str, t.Callable[..., t.Any]]:
        """The filter by its name."""
        return {"shutdown_plan": shutdown_plan}
