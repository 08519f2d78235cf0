# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The arguments of the event source: each that is wrong is named, and no secret is shown."""

from __future__ import annotations

import os
import runpy
import ssl
import typing as t
from pathlib import Path

import pytest

yaml = pytest.importorskip("yaml")

from ansible_collections.ckpool.fleet.plugins.plugin_utils._rulebook import arguments
from ansible_collections.ckpool.fleet.plugins.plugin_utils._rulebook.arguments import BadArgument, arguments_of
from ansible_collections.ckpool.fleet.plugins.plugin_utils._watch import EVENTS

SOURCE = Path(__file__).parents[4] / "extensions" / "eda" / "plugins" / "event_source" / "watch.py"
ONE = "http://127.0.0.1:9333"


def test_defaults() -> None:
    found = arguments_of({"services": [ONE]})
    assert (found.interval, found.state_file, found.forget) == (60, None, [])
    limits = found.limits
    assert (limits.looks, limits.drop, limits.work_age, limits.idle_after) == (2, 0.5, 300, 900)
    assert (limits.users, list(limits.kinds)) == ([], list(EVENTS))
    (host,) = found.hosts
    assert (host.name, host.service.port, host.service.token, host.token_file) == ("127.0.0.1", 9333, None, None)
    assert host.service.timeout == 10


def test_services_with_values_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("tk_file\n")
    rows = [
        {"url": "https://10.0.0.7:1", "host": "pool1"},
        {"url": "https://10.0.0.8", "host": "pool2", "token_file": str(tmp_path / "token"), "validate_certs": "false"},
        "https://pool3.example.org",
    ]
    one, two, three = arguments_of({"services": rows, "token": "tk"}).hosts
    assert [each.name for each in (one, two, three)] == ["pool1", "pool2", "pool3.example.org"]
    assert [each.current().token for each in (one, two, three)] == ["tk", "tk_file", "tk"]
    assert "tk" not in repr(one)
    assert [each.service.verifies for each in (one, two, three)] == [True, False, True]
    (tmp_path / "token").write_text("tk_new")
    assert two.current().token == "tk_new"
    for bad in ("", "a b", "ü"):
        (tmp_path / "token").write_text(bad)
        with pytest.raises(BadArgument, match=r"token_file .*/token is empty, or has characters"):
            two.current()
    (tmp_path / "token").unlink()
    with pytest.raises(BadArgument, match=r"token_file .*/token: there is no such file"):
        two.current()


def test_what_templates_make() -> None:
    """They make texts of numbers, and a text with commas of what may be a list."""
    found = arguments_of(
        {
            "services": f"{ONE}, http://localhost",
            "interval": "30",
            "looks": "3",
            "events": "pool,block",
            "users": "a, b",
        }
    )
    assert [each.name for each in found.hosts] == ["127.0.0.1", "localhost"]
    assert (found.interval, found.limits.looks) == (30, 3)
    assert (found.limits.kinds, found.limits.users) == (["pool", "block"], ["a", "b"])


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({}, "services is not a list of URLs"),
        ({"services": []}, "services is not a list of URLs"),
        ({"services": {"url": ONE}}, "services is not a list of URLs"),
        ({"services": [7]}, "services, entry 1 is neither a URL nor a dictionary with url: 7"),
        ({"services": [ONE, "pool1:9333"]}, "services, entry 2: url 'pool1:9333' is not a URL of a service"),
        ({"services": ["http://me:secret@pool1"]}, "entry 1: url 'http://pool1' has a user, a password"),
        ({"services": [{"host": "a"}]}, "services, entry 1: url is not a text: None"),
        ({"services": [{"url": ONE, "nosuch": 1}]}, "services, entry 1: there is no nosuch"),
        ({"services": [ONE, ONE]}, "services, entry 2: another entry has the host 127.0.0.1 too"),
        ({"services": ["http://[::1]"]}, "services, entry 1: host '::1' is not a name as in an inventory"),
        ({"services": [{"url": ONE, "host": "a:b"}]}, "services, entry 1: host 'a:b' is not a name"),
        ({"services": [{"url": ONE, "host": "@hosts"}]}, "services, entry 1: host '@hosts' is not a name"),
        ({"services": [{"url": ONE, "host": ["a"]}]}, "services, entry 1: host a list is not a name"),
        ({"services": ["http://pool1"], "token": "tk_secret"}, "entry 1: url 'http://pool1:9333' would send the token without encryption"),
        ({"services": ["http://pool1"], "token_file": "/x"}, "would send the token without encryption"),
        ({"services": [ONE], "token": "a b"}, "services, entry 1: token is empty, or has characters"),
        ({"services": [ONE], "token": "tk\r\nX: y"}, "services, entry 1: token is empty, or has characters"),
        ({"services": [ONE], "token": 5}, "services, entry 1: token is not a text"),
        ({"services": [ONE], "token": "tk_secret", "token_file": "/x"}, "token and token_file: give one of them"),
        ({"services": [ONE], "token_file": "x"}, "services, entry 1: token_file is not an absolute path: 'x'"),
        ({"services": ["https://pool1"], "ca_file": "/nowhere.pem"}, "ca_file /nowhere.pem cannot be used: No such file"),
        ({"services": ["https://pool1"], "ca_file": "/proc/self/stat"}, "ca_file /proc/self/stat cannot be used: "),
        ({"services": ["https://pool1"], "validate_certs": "maybe"}, "validate_certs is neither true nor false: 'maybe'"),
        ({"services": [ONE], "interval": 0}, "interval is not a number from 1 to 86400: 0"),
        ({"services": [ONE], "interval": "soon"}, "interval is not a number from 1 to 86400: 'soon'"),
        ({"services": [ONE], "interval": True}, "interval is not a number"),
        ({"services": [ONE], "interval": None}, "interval is not a number"),
        ({"services": [ONE], "timeout": float("nan")}, "timeout is not a number from 1 to 300"),
        ({"services": [ONE], "timeout": float("inf")}, "timeout is not a number from 1 to 300"),
        ({"services": [ONE], "looks": 1.5}, "looks is not a whole number: 1.5"),
        ({"services": [ONE], "looks": 0}, "looks is not a number from 1 to 100: 0"),
        ({"services": [ONE], "hashrate_drop": 101}, "hashrate_drop is not a number from 1 to 100: 101"),
        ({"services": [ONE], "work_age": []}, "work_age is not a number from 1 to 2.14748e"),
        ({"services": [ONE], "idle_after": 59}, "idle_after is not a number from 60 to "),
        ({"services": [ONE], "events": ["pool", "nosuch"]}, "events: 'nosuch' is not one of pool, block, hashrate"),
        ({"services": [ONE], "events": 7}, "events is not a list of texts: 7"),
        ({"services": [ONE], "users": [7]}, "users is not a list of texts: a list"),
        ({"services": [ONE], "state_file": "state.json"}, "^state_file is not an absolute path: 'state.json'"),
        ({"services": [ONE], "forget": {"a": 1}}, "forget is not a list of texts"),
        ({"services": [ONE], "state": "/x"}, "there is no argument state; there are services, interval"),
    ],
)  # fmt: skip
def test_a_wrong_argument_is_named(given: t.Dict[str, t.Any], text: str) -> None:
    with pytest.raises(BadArgument, match=text) as caught:
        arguments_of(given)
    assert "secret" not in str(caught.value)


def test_the_documentation_is_that_of_the_code() -> None:
    module = runpy.run_path(str(SOURCE))
    options = yaml.safe_load(module["DOCUMENTATION"])["options"]
    taken = [name for name in arguments._NAMES if name != "eda_feedback_queue"]
    assert sorted(options) == sorted(taken)
    for name, (least, most, usual) in arguments._RANGES.items():
        assert options[name]["default"] == usual, name
        text = " ".join(options[name]["description"])
        if most < 1e6:
            assert f"{least:g} to {most:g}" in text, name
        elif least > 1:
            assert f"{least:g} or more" in text, name
    assert options["events"]["choices"] == list(EVENTS)
    assert [name for name, option in options.items() if option.get("required")] == ["services"]


@pytest.mark.parametrize("example", yaml.safe_load(runpy.run_path(str(SOURCE))["EXAMPLES"]))
def test_the_examples_are_accepted(example: t.Dict[str, t.Any], tmp_path: Path) -> None:
    ((name, given),) = example.items()
    assert name == "ckpool.fleet.watch"
    if "ca_file" in given:
        given["ca_file"] = ssl.get_default_verify_paths().cafile or tmp_path / "nothing"
        if not os.path.exists(given["ca_file"]):
            del given["ca_file"]
    for row in given["services"]:
        if isinstance(row, dict) and "token" in row:
            row["token"] = "tk"
    assert arguments_of(given).hosts
