# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bitcoinds of a configuration, of which some do not answer."""

from __future__ import annotations

import json
from pathlib import Path

from .conftest import Run


def test_nodes_that_do_not_answer_are_no_failure(run: Run, home: Path) -> None:
    entries = [{"url": f"127.0.0.1:{port}", "auth": "rpc-user", "pass": "secret-of-it"} for port in (1, 2)]
    (home / "x.conf").write_text(json.dumps({"btcd": entries}) + "\nwords\n")
    result = run(path=str(home / "x.conf"), timeout=2)
    assert not result["synced"] and not result["changed"]
    assert [node["url"] for node in result["nodes"]] == ["127.0.0.1:1", "127.0.0.1:2"]
    assert result["msg"].startswith("127.0.0.1:1: it does not answer")
    assert "secret-of-it" not in json.dumps(result)


def test_one_entry_without_a_list_and_none(run: Run, home: Path) -> None:
    (home / "x.conf").write_text(json.dumps({"btcd": {"url": "127.0.0.1:1"}}))
    assert len(run(path=str(home / "x.conf"), timeout=2)["nodes"]) == 1
    (home / "x.conf").write_text("{}")
    assert run(path=str(home / "x.conf"), timeout=2)["nodes"][0]["url"] == "localhost:8332"


def test_a_configuration_that_is_not_there(run: Run, home: Path) -> None:
    assert run(path=str(home / "x.conf"))["reason"] == "absent"
    (home / "x.conf").write_text("none")
    assert run(path=str(home / "x.conf"))["phase"] == "parse"
