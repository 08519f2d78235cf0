# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is, or could be, a secret is not seen, only that it changes."""

from __future__ import annotations

import json

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils._install.daemon_config import Config
from ansible_collections.ckpool.fleet.plugins.module_utils._install.masked import before_and_after, changes, secrets

OLD: Config = {
    "btcd": [{"url": "a:1", "auth": "user-of-old", "pass": "secret-of-old"}],
    "startdiff": 42,
    "own": {"token": "token-of-old"},
}


@pytest.mark.parametrize(
    ("change", "hidden"),
    [
        pytest.param({}, "********", id="nothing"),
        pytest.param({"btcd": [{**OLD["btcd"][0], "pass": "secret-of-new"}]}, "******** (another one)", id="password"),
        pytest.param({"btcd": [*OLD["btcd"], {"url": "b:1", "auth": "x", "pass": "y"}]}, "********", id="node"),
        pytest.param({"btcd": "secret-of-new"}, None, id="type"),
    ],
)
def test_a_change(change: Config, hidden: str) -> None:
    texts = before_and_after(OLD, {**OLD, **change})
    assert "secret-of" not in "".join(texts) and "user-of" not in "".join(texts) and "token-of" not in "".join(texts)
    after = json.loads(texts[1])
    if hidden:
        assert after["btcd"][0]["pass"] == hidden
    assert after["startdiff"] == 42 and json.loads(texts[0])["own"] == {"token": "********"}


def test_what_was_not_there_before_is_no_change() -> None:
    before, after = before_and_after({}, OLD)
    assert before == "" and "another one" not in after


def test_names_that_move_a_cursor() -> None:
    texts = before_and_after({"\x1b": "old-secret"}, {"\x1b": "new-secret"})
    assert "\x1b" not in "".join(texts) and "another one" in texts[1]


def test_the_secrets_themselves() -> None:
    config: Config = {**OLD, "proxy": [{"url": "b:1", "auth": "worker-name", "pass": "x"}], "list": ["first-secret", 7]}
    assert secrets(config) == {"user-of-old", "secret-of-old", "token-of-old", "worker-name", "first-secret"}


def test_lines_of_changes() -> None:
    after = {"btcd": [{**OLD["btcd"][0], "pass": "secret-of-new"}], "startdiff": 43, "btcsig": "/x/"}
    node = '{"auth": "********", "pass": "********%s", "url": "a:1"}'
    assert changes(OLD, after) == [
        f"btcd: [{node % ''}] -> [{node % ' (another one)'}]",
        'btcsig: none -> "/x/"',
        'own: {"token": "********"} -> none',
        "startdiff: 42 -> 43",
    ]
    assert changes(OLD, OLD) == [] and changes({}, {"\x1b": 1}) == ['\\x1b: none -> "********"']
