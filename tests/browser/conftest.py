# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian's Chromium, driven by Playwright, and reports for it to show."""

from __future__ import annotations

import contextlib
import os
import tarfile
import typing as t
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sync_api = pytest.importorskip("playwright.sync_api")
pytest.importorskip("pygal")

from tests.support.report_page import write_report

CHROMIUM = os.environ.get("CKPOOL_FLEET_CHROMIUM", "/usr/bin/chromium")
AXE = os.environ.get("CKPOOL_FLEET_AXE", "")  #: the package axe-core, as npm packs it
ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
)  # fmt: skip
Build = Callable[..., Path]
Open = Callable[..., t.Any]


@pytest.fixture(scope="session")
def browser() -> Iterator[t.Any]:
    with sync_api.sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield made
        made.close()


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Write the report on a made-up fleet, as a playbook does; the page."""

    def built(pools: int, bad: int, **options: t.Any) -> Path:
        return write_report(tmp_path_factory.mktemp("report"), pools, bad, **options)

    return built


@pytest.fixture(scope="session")
def evil_page(build: Build) -> Path:
    """The report on a fleet of which miners chose names that mean to do harm."""
    return build(12, 3, evil=True, users=40)


@pytest.fixture
def show(browser: t.Any) -> Iterator[Open]:
    """Open a page in a window of its own. At the end nothing may have been said on the console, and nothing loaded."""
    said: list[str] = []
    with contextlib.ExitStack() as stack:

        def opened(path: Path, width: int = 1280, **settings: t.Any) -> t.Any:
            context = browser.new_context(viewport={"width": width, "height": 900}, **settings)
            stack.callback(context.close)
            page = context.new_page()
            page.set_default_timeout(30_000)
            page.on("console", lambda message: said.append(message.text))
            page.on("pageerror", lambda error: said.append(str(error)))
            page.on(
                "request",
                lambda request: said.append(request.url) if not request.url.endswith("/report.html") else None,
            )
            page.goto(path.as_uri())
            return page

        yield opened
    assert said == []


@pytest.fixture(scope="session")
def axe() -> str:
    """The script of axe-core."""
    if not AXE:
        pytest.skip("CKPOOL_FLEET_AXE names no package of axe-core: the session browser downloads it, if npm is here")
    with tarfile.open(AXE) as package:
        member = package.extractfile("package/axe.min.js")
        assert member is not None
        return member.read().decode("utf-8")
