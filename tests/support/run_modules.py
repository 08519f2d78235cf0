# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A program: run modules one after the other in one process, each as Ansible does, with JSON in and JSON out.

Gets a list of module names and arguments on its standard input, and prints the list of what the modules printed.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import sys
import typing as t

from ansible.module_utils import basic


def run(name: str, arguments: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
    """What one module prints."""
    module = importlib.import_module(f"ansible_collections.ckpool.fleet.plugins.modules.{name}")
    basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode()
    if hasattr(basic, "_ANSIBLE_PROFILE"):  # since ansible-core 2.19
        basic._ANSIBLE_PROFILE = "legacy"
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        module.main()
    result: t.Dict[str, t.Any] = json.loads(printed.getvalue())
    return result


if __name__ == "__main__":
    json.dump([run(name, arguments) for name, arguments in json.load(sys.stdin)], sys.stdout)
