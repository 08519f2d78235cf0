# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tasks registered, pool by pool."""

from __future__ import annotations

import typing as t

import pytest

pytest.importorskip("ansible.plugins.action")

from ansible_collections.ckpool.fleet.plugins.plugin_utils._pool_results import pool_results
from ansible_collections.ckpool.fleet.plugins.plugin_utils._types import Json

from .fake_results import pool


@pytest.mark.parametrize(
    ("result", "names"),
    [
        (pool(), ["ckpool"]),
        ({"instances": [pool(name="a"), pool(name="b")]}, ["a", "b"]),
        ({"results": [pool(name="a"), pool(name="b")]}, ["a", "b"]),
        ({**pool(), "instances": [pool(name="a")]}, ["ckpool"]),  # the subset of that name
        ({"failed": True, "ansible_loop_var": "at", "at": pool(name="a")}, ["a"]),
        ({"skipped": True}, []),
        ({"instances": []}, [None]),
    ],
)
def test_a_result_for_each_pool(result: Json, names: t.List[t.Optional[str]]) -> None:
    assert [found.instance.get("name") for found in pool_results(result)] == names


@pytest.mark.parametrize(
    ("result", "why"),
    [
        ("junk", "odd result: 'junk'"),
        ({"results": ["junk"]}, "odd result: 'junk'"),
        ({"unreachable": True, "msg": "no\nroute"}, "no route"),
        ({"failed": True}, "no answer"),
        ({"failed": True, "msg": "no json", "module_stderr": "sh: python4: not found\nNote: install it\n"}, "no json: sh: python4: not found"),
        ({"failed": True, "msg": "no json", "module_stderr": "", "module_stdout": "\nfull disk\n"}, "no json: full disk"),
        ({"failed": True, "module_stderr": "Traceback (most recent call last):\n  x\nOSError: full\n"}, "no answer: OSError: full"),
        ({"failed": True, "msg": "no json", "module_stderr": "  File \"x\", line 1\n    ^\nSyntaxError: y\n"}, "no json: SyntaxError: y"),
    ],
)  # fmt: skip
def test_a_failure_and_why(result: t.Any, why: str) -> None:
    (found,) = pool_results(result)
    assert (found.is_failure, found.why, found.instance) == (True, why, {})
