# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The description by OpenAPI is what the service does: schemathesis asks for all of it, and for what it does not allow."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.http_api.conftest import PATIENT, Place
from tests.http_api.test_gate import TOKEN, token_file
from tests.support.http_service import HttpService
from tests.support.target import SIMULATIONS

EXAMPLES = int(os.environ.get("CKPOOL_FUZZ", "25"))  #: of each operation


@pytest.fixture(scope="session")
def described(shared: Callable[..., Place]) -> Iterator[HttpService]:
    host = shared("described", **SIMULATIONS["2026"])
    with HttpService(host.folder, host.prefix, token_file=str(token_file(host.folder)), **PATIENT) as service:
        yield service


CONFIG = """
[checks.negative_data_rejection]
# A value that is too long makes a path that is too long.
expected-statuses = [400, 401, 404, 405, 414, 431]
"""


def test_it_does_what_it_says(described: HttpService, tmp_path: Path) -> None:
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    command = [Path(sys.executable).parent / "schemathesis", "run", f"http://127.0.0.1:{described.port}/openapi.json"]
    options = ["--max-examples", str(EXAMPLES), "--no-color", "--header", f"Authorization: Bearer {TOKEN}"]
    options += ["--request-timeout", "60"]
    seed = [] if "CKPOOL_FUZZ" in os.environ else ["--seed", "1"]
    ran = subprocess.run(
        list(map(str, [*command, *options, *seed])),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-10000:]
    assert "Tested: 17" in ran.stdout


def test_without_a_token_no_scheme_is_named(host: Place) -> None:
    service = host.service()
    found = service.get("/openapi.json").json
    assert "security" not in found
    assert found["openapi"].startswith("3.1")


def test_all_paths_are_described(described: HttpService) -> None:
    found = described.get("/openapi.json", Authorization=f"Bearer {TOKEN}").json
    assert set(found["paths"]) >= {
        "/stats",
        "/users",
        "/workers",
        "/summary",
        "/blocks",
        "/health",
        "/workbase",
        "/metrics",
        "/pools",
    }
    assert len({operation["get"]["operationId"] for operation in found["paths"].values()}) == len(found["paths"])


def test_the_contract_of_the_documentation(described: HttpService) -> None:
    text = (Path(__file__).parents[2] / "docs" / "http.md").read_text(encoding="utf-8")
    found = described.get("/openapi.json", Authorization=f"Bearer {TOKEN}").json
    for path in found["paths"]:
        if "{pool}" not in path:
            assert f"`{path}`" in text
