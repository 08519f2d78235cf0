# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tasks of actions, as a worker runs them."""

from __future__ import annotations

import types
import typing as t
from unittest import mock

from ansible_collections.ckpool.fleet.plugins.plugin_utils._types import Json


def plugin_of(action: types.ModuleType, connection: t.Optional[mock.Mock] = None, **task: t.Any) -> t.Any:
    """An action plugin with its task.

    :arg task: attributes of the task: C(args), C(check_mode), C(diff), C(no_log).
    """
    name = action.__name__.rpartition(".")[2]
    usual = {"args": {}, "check_mode": False, "async_val": 0, "diff": False, "no_log": False, "run_once": False}
    attributes = {**usual, "action": f"ckpool.fleet.{name}", **task}
    plugin = action.ActionModule(
        task=mock.Mock(**attributes),
        connection=connection or mock.Mock(),
        play_context=mock.Mock(check_mode=attributes["check_mode"]),
        loader=mock.Mock(),
        templar=mock.Mock(),
        shared_loader_obj=mock.Mock(),
    )
    plugin._load_name = name  # as the loader does
    return plugin


def run_on_fleet(
    action: types.ModuleType,
    registered_as: str,
    fleet: t.Mapping[str, t.Any],
    check_mode: bool = False,
    magic: t.Optional[Json] = None,
    **options: t.Any,
) -> Json:
    """The result of an action in a play over C(localhost:all).

    :arg fleet: what the task of each host registered under that name; None for nothing.
    :arg magic: variables of the play.
    """
    hostvars = {host: ({} if found is None else {registered_as: found}) for host, found in fleet.items()}
    groups = {"all": list(fleet), "ungrouped": list(fleet)}
    variables = {"hostvars": hostvars, "groups": groups, "ansible_play_hosts_all": ["localhost", *fleet]}
    plugin = plugin_of(action, args=options, check_mode=check_mode)
    return dict(plugin.run(task_vars={**variables, **(magic or {})}))
