# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What docs/http.md shows works as it is written there."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.http_api.conftest import Place
from tests.http_api.test_gate import TOKEN, token_file
from tests.support import DEADLINE, ROOT
from tests.support.http_service import HttpService

GUIDE = (ROOT / "docs" / "http.md").read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", GUIDE, re.DOTALL)


@pytest.mark.skipif(not shutil.which("curl"), reason="there is no curl")
def test_its_commands(host: Place) -> None:
    host.pool().wait_for_statistics()
    open_to_all, guarded = host.service(), host.service(token_file=str(token_file(host.folder)))
    lines = [line[2:] for block in blocks("console") for line in block.splitlines() if "curl" in line]
    assert len(lines) >= 5
    for line in lines:
        service = guarded if TOKEN in line else open_to_all
        words = shlex.split(line.replace(":9333", f":{service.port}"))
        done = subprocess.run([*words, "--fail"], capture_output=True, text=True, timeout=DEADLINE, check=False)
        assert done.returncode == 0 and done.stdout, line


def test_its_configuration(home: Path) -> None:
    text = next(block for block in blocks("json") if "listen" in block)
    done = HttpService(home, **json.loads(text)).check()
    assert (done.returncode, done.stderr) == (0, "")


def test_its_table_of_settings_is_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib

    monkeypatch.syspath_prepend(str(ROOT / "roles" / "http_api" / "files"))
    settings = importlib.import_module("ckpool_http.settings").Settings
    table = GUIDE.partition("| setting | default |")[2].partition("\n\n")[0]
    for field in dataclasses.fields(settings):
        assert f"`{field.name}`" in table


def test_every_reason_is_there(host: Place) -> None:
    """All that the code gives as a reason, but those of the sources."""
    code = "".join(path.read_text() for path in (ROOT / "roles/http_api/files/ckpool_http").glob("*.py"))
    for reason in re.findall(r'ApiError\(\s*\d{3},\s*"(\w+)"', code):
        assert f"`{reason}`" in GUIDE, reason
