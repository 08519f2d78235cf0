# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is shown of a configuration: values that cannot be secrets, and nothing else, wherever it stands."""

from __future__ import annotations

import json
import typing as t

import hypothesis
import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils._ask.config import HIDDEN, shown
from hypothesis import strategies as st

ADDRESS = "1BoatSLRHtKNngkdXEeobR76b53LETtpyT"
PLACES = ("url", "zmqnotify", "zmqblock", "serverurl", "nodeserver", "trusted", "redirecturl", "upstream")
SECRET = "hunter2-S"


@pytest.mark.parametrize(
    "config",
    [
        {"btcd": [{"url": "127.0.0.1:8332", "notify": True, "zmqnotify": "10.0.0.2:28332"}, {"url": "backup:8332"}]},
        {"btcaddress": ADDRESS, "donaddress": "bc1q8qkesw5kyplv7hdxyseqls5m78w5tqdfd40lf5", "btcsig": "/mined by ck/"},
        {"logdir": "/var/log/ckpool", "ipcmining": "/tmp/btc-mining.sock", "version_mask": "1fffe000"},
        {"update_interval": 30, "donation": 0.5, "mindiff": 1, "mindiff_overrides": {"NiceHash": 500000}},
        {"serverurl": ["0.0.0.0:3333", "*:4444", "[::]:3333"], "upstream": "main.ckpool.org:3336", "proxy": []},
        {"mindiff": None, "btcsig": "", "auth": None, "pass": ""},
    ],
)
def test_what_is_shown_as_it_is(config: t.Dict[str, t.Any]) -> None:
    assert shown(config) == config


@pytest.mark.parametrize("number", [2**63, -(10**400), float("inf"), float("nan")])
def test_a_number_that_no_result_can_hold_is_hidden(number: float) -> None:
    assert shown({"update_interval": number, "mindiff_overrides": {"x": number}}) == {
        "update_interval": HIDDEN, "mindiff_overrides": {"x": HIDDEN},
    }  # fmt: skip


@pytest.mark.parametrize(
    "url",
    [
        "http://u:p/w-S@h", "u-S:a@b-S@h", "bob-S:pw@host", "bob-S:pw@host:8332", "http://u:8332/w-S@h", "token-S",
        "http://user-S:pw@10.0.0.2:8332/x", "https://token-S@node/", "//u-S:p@h:1", "u-S:p@[::1]:8332", "h:80@secret-S",
        "http://h:8332\\w-S@x", "http://h:8332?key=a-S", "h:8332#a-S", "h:8332 a-S", "auth=x-S", "h:8332\nrpcpassword=a-S",
        "h:port-S", "h:", ":8332", "",
    ],
)  # fmt: skip
@pytest.mark.parametrize("key", PLACES)
def test_a_place_that_does_not_parse_is_hidden(key: str, url: str) -> None:
    expected = HIDDEN if url else ""
    assert shown({key: url}) == {key: expected}
    assert shown({key: [url, url]}) == {key: [expected] * 2}
    assert shown({"btcd": [{key: url}]}) == {"btcd": [{key: expected}]}


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("http://10.0.0.2:8332/wallet/pw-S", "10.0.0.2:8332"),
        ("https://node.example:443/v1/token-S?key=b-S", "node.example:443"),
        ("tcp://127.0.0.1:28332", "127.0.0.1:28332"),
        ("stratum+tcp://pool.example:3333/", "pool.example:3333"),
        ("http://[2001:db8::1]:8332", "[2001:db8::1]:8332"),
        ("bitcoin_node:8332", "bitcoin_node:8332"),
    ],
)
def test_of_a_url_only_host_and_port_are_shown(url: str, place: str) -> None:
    assert shown({"btcd": [{"url": url}]}) == {"btcd": [{"url": place}]}


@pytest.mark.parametrize(
    "key", ["auth", "pass", "cookie", "useragent", "sv2_static_key", "Auth", "note", "x", "btcd", "URL"]
)
@pytest.mark.parametrize("value", [SECRET, 12345, 1.5, True, f"auth={SECRET}", "host:8332"])
def test_all_other_keys_are_hidden_with_the_form_of_their_values(key: str, value: t.Any) -> None:
    config = {key: value, "more": {key: [value, {"url": value, "mindiff": value}], "n": None}}
    assert shown(config) == {
        key: HIDDEN,
        "more": {key: [HIDDEN, {"url": HIDDEN, "mindiff": HIDDEN}], "n": None},
    }
    assert shown({"list": [value, value, []]}) == {"list": [HIDDEN, HIDDEN, []]}


@pytest.mark.parametrize(
    "key", ["mindiff", "notify", "logdir", "btcaddress", "btcsig", "version_mask", "update_interval"]
)
def test_a_value_of_another_form_is_hidden(key: str) -> None:
    for value in ({"a": SECRET}, [[SECRET]], {"mindiff": 5}, f"auth={SECRET}\0", f"{'x' * 40}={SECRET * 20}"):
        text = json.dumps(shown({key: value}))
        assert "-S" not in text and HIDDEN in text, value


def test_names_move_no_cursor() -> None:
    text = json.dumps(shown({"a\x1b[2J": 1, "btcsig": "/\u202eck/", "btcd": [{"b\n": 2}]}))
    assert "\\x1b[2J" in json.loads(text).popitem()[0] or "\\\\x1b[2J" in text
    assert "\\u001b" not in text and "\\n" not in text.replace("\\\\n", "") and "\\\\u202e" in text


def json_with(leaf: st.SearchStrategy[t.Any]) -> st.SearchStrategy[t.Any]:
    names = st.sampled_from(
        ["auth", "pass", "btcd", "proxy", "url", "serverurl", "mindiff", "logdir", "btcsig_", "other"]
    )
    return st.recursive(
        leaf, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3), max_leaves=8
    )


@hypothesis.settings(max_examples=200, deadline=None)
@hypothesis.given(
    json_with(st.sampled_from(["=S=", "u:=S=@h:1", "http://a:1/=S=@h", "http://h:1/=S=", "=S=@h:80", "[=S=]:1"]))
)
def test_no_secret_shows_wherever_it_stands(value: t.Any) -> None:
    for key in ("btcd", "proxy", "url", "auth", "other", "mindiff"):
        assert "=S=" not in json.dumps(shown({key: value}))
