# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The pictures in docs/pictures show what the collection does today. `make pictures` draws them again."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.machine import needs_namespaces
from tests.tools import pictures


def without_figures(lines: list[str]) -> list[str]:
    """Lines without what differs from run to run: numbers and their units, the width of columns, the end of a log."""
    text = re.sub(r"its log ends:.*?(?=^  - )", "its log ends\n", "\n".join(lines), flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"[\d.]+ [kMGTPE]?H/s", "RATE", text)
    text = re.sub(r"\d+", "#", text)
    return [re.sub(r" {2,}", "  ", re.sub(r"\*{3,}", "***", line)).rstrip() for line in text.splitlines()]


@needs_namespaces
def test_the_terminal_shows_what_the_demo_prints(place: Callable[[], Path]) -> None:
    folder = place()
    folder.mkdir()
    printed = pictures.plain(pictures.record_demo(folder)).splitlines()
    assert without_figures(pictures.lines_of(pictures.DEMO)) == without_figures(["$ make demo", "...", *printed])


def test_it_loads_nothing_and_names_no_place() -> None:
    text = pictures.DEMO.read_text(encoding="utf-8")
    assert re.findall(r"url\((?!#)|(?:href|src)=|@import|https?://(?!www\.(?:w3|gnu)\.org/)", text) == []
    assert not re.search(r"/(?:home|root|tmp|usr|work)\b", text)
    assert len(text) < 100_000


def test_the_page_is_a_picture_of_its_size() -> None:
    data = pictures.REPORT.read_bytes()
    assert struct.unpack(">II", data[16:24]) == pictures.REPORT_SIZE
    assert len(data) < 200_000


@pytest.mark.parametrize("old", [["HOST  STATE"], ["this-machine  alpha  ok  1.3 PH/s  12"]])
def test_another_table_is_noticed(old: list[str]) -> None:
    assert without_figures(old) != without_figures(["HOST  INSTANCE  STATE"])
    assert without_figures(old) == without_figures(
        [line.replace("1.3 P", "97.25 T").replace("12", "7") for line in old]
    )
