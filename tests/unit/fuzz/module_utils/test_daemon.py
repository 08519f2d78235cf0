# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Command lines and configurations with anything in them."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.ckpool.fleet.plugins.module_utils._ask.config import shown
from ansible_collections.ckpool.fleet.plugins.module_utils._host.command_line import CommandLine
from hypothesis import example, given
from hypothesis import strategies as st

from ..made import JSON, TEXT, check_result, leaves, objects, written

KEYS = (
    "btcd", "proxy", "url", "auth", "pass", "serverurl", "upstream", "redirecturl", "zmqblock", "zmqnotify", "mindiff",
    "btcaddress", "btcsig", "logdir", "mindiff_overrides", "startdiff", "notify", "sv2_authority_key", "trusted",
)  # fmt: skip
SECRET = "pa55wOrd"
SECRETS = st.sampled_from(
    [f"http://u:{SECRET}@h:1", f"u:{SECRET}@h:1", f"http://u:p/{SECRET}@h", f"bob:{SECRET}@host", f"http://h:1/{SECRET}",
     f"a@b:{SECRET}@h:80", f"tcp://{SECRET}@127.0.0.1:28332", f"auth={SECRET}", f"h:1?{SECRET}", f"//u:{SECRET}@h:3333/x"]
)  # fmt: skip
NOT_PUBLISHED = tuple(key for key in KEYS if key != "btcsig")  # each block that is found publishes that
WORDS = st.sampled_from(["-n", "-s", "-c", "--conf", "--config=x", "--", "-B", "-nx", "--sock", "-N", "-pRP", "--name"])


@given(words=st.lists(WORDS | TEXT, max_size=8))
def test_any_command_line_is_taken_apart(words: t.List[str]) -> None:
    line = CommandLine(words)
    assert line.mode in ("pool", "solo", "proxy", "passthrough", "redirector", "node")
    for text in (line.program, line.name, line.socket_dir, line.config):
        assert isinstance(text, str)
    assert line.name
    assert line.socket_dir
    assert line.config
    assert line.is_known_program in (True, False)


@given(config=objects(KEYS, JSON | st.lists(objects(KEYS), max_size=2)))
@example(config={"mindiff_overrides": 10**400, "startdiff": float("inf"), "mindiff": float("nan")})
def test_any_configuration_can_be_shown(config: t.Dict[str, t.Any]) -> None:
    found = shown(json.loads(written(config)))
    check_result(found)
    assert all(text.isprintable() for text in leaves(found) if isinstance(text, str))


@given(
    config=objects(KEYS),
    key=st.sampled_from(NOT_PUBLISHED) | TEXT.filter(lambda key: key != "btcsig"),
    secret=SECRETS,
    wrap=st.sampled_from(
        ["{}", "[{}]", '[{{"url": {}}}]', '{{"auth": {}}}', '[{{"pass": {}}}, 1]', '{{"btcd": [{{"url": {}}}]}}']
    ),
)
def test_no_secret_of_a_configuration_is_shown(config: t.Dict[str, t.Any], key: str, secret: str, wrap: str) -> None:
    config[key] = json.loads(wrap.format(json.dumps(secret)))
    assert SECRET not in json.dumps(shown(config))
