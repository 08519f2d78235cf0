# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a module as Ansible does: arguments as JSON in, what it prints as JSON out."""

from __future__ import annotations

import functools
import importlib
import json
import typing as t

import pytest

basic = pytest.importorskip("ansible.module_utils.basic")

Run = t.Callable[..., t.Dict[str, t.Any]]


@pytest.fixture
def run(request: pytest.FixtureRequest, run_any: Run) -> Run:
    """Call the module that the test file is named after."""
    return functools.partial(run_any, request.module.__name__.rpartition(".test_")[2])


@pytest.fixture
def run_any(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Call a module by its name."""

    def call(module_name: str, /, **options: t.Any) -> t.Dict[str, t.Any]:
        module = importlib.import_module(f"ansible_collections.ckpool.fleet.plugins.modules.{module_name}")
        # Without a log: it would be that of this machine, and Ansible's own writing to it trips over a NUL.
        own = {"_ansible_remote_tmp": "/tmp", "_ansible_no_log": True}
        text = json.dumps({"ANSIBLE_MODULE_ARGS": {**own, **options}})
        monkeypatch.setattr(basic, "_ANSIBLE_ARGS", text.encode())
        if hasattr(basic, "_ANSIBLE_PROFILE"):  # since ansible-core 2.19
            monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy")
        warned: t.List[str] = []
        # A module is a process of its own, but here it is one with Ansible itself, where warnings go elsewhere.
        monkeypatch.setattr(basic.AnsibleModule, "warn", lambda _self, text, **_more: warned.append(text))
        with pytest.raises(SystemExit) as ended:
            module.main()
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        result: t.Dict[str, t.Any] = json.loads(printed.out)
        result.pop("invocation", None)  # which some versions of Ansible add
        assert "exception" not in result, result
        result.update({"warnings": warned} if warned else {})
        assert result.get("failed", False) == (ended.value.code != 0)
        assert isinstance(result["msg"], str) and "Traceback" not in result["msg"]
        return result

    return call
