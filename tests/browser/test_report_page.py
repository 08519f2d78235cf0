# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of the report in a browser: layout, tables, themes, print, accessibility, and names that mean to do harm."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from .conftest import Build, Open

THEMES = ("light", "dark")
#: phone, tablet, desk
WIDTHS = (360, 820, 1440)


def column(page: t.Any, table: str, heading: str) -> list[str]:
    """The texts of the visible cells of a column."""
    return t.cast(
        "list[str]",
        page.evaluate(
            """([id, heading]) => {
              const table = document.getElementById(id);
              const place = [...table.tHead.rows[0].cells].findIndex((cell) => cell.textContent.trim() === heading);
              return [...table.tBodies[0].rows].filter((row) => !row.hidden).map((row) => row.cells[place].textContent.trim());
            }""",
            [f"{table}-table", heading],
        ),
    )


def rates(texts: list[str]) -> list[float]:
    """H/s of texts such as 1.02 PH/s."""
    powers = {"T": 1e12, "P": 1e15}
    return [float(text.split()[0]) * powers[text.split()[1][0]] for text in texts]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("theme", THEMES)
def test_nothing_is_wider_than_the_window(show: Open, evil_page: Path, width: int, theme: str) -> None:
    page = show(evil_page, width, color_scheme=theme)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    wide = page.evaluate(
        """() => [...document.querySelectorAll("main *, header *, footer *")]
          .filter((node) => !node.closest(".scroll table, svg, caption") && node.getBoundingClientRect().right > innerWidth + 1)
          .map((node) => node.outerHTML.slice(0, 100))"""
    )
    assert wide == []


def test_the_worst_comes_first(show: Open, evil_page: Path) -> None:
    page = show(evil_page)
    assert page.locator("main > section").first.get_attribute("id") == "verdicts"
    assert page.locator("article.verdict .badge").all_text_contents() == ["down", "hung", "unreachable", "degraded"]
    assert column(page, "pools", "State")[:4] == ["down", "hung", "unreachable", "degraded"]
    first = page.locator("article.verdict").first.text_content()
    assert "it crashed or was killed" in first
    assert "[2026-11-26 09:00:00.123]" in first


def test_names_of_miners_are_text(show: Open, evil_page: Path) -> None:
    page = show(evil_page)
    assert page.title().startswith("ckpool fleet, 20")
    assert page.locator("main img, main script, main iframe, main [onerror]").count() == 0
    users = column(page, "users", "User")
    for name in (
        "<script>document.title='owned'</script>",
        "admin\\u202egnp.exe",
        "bell\\x07\\x1b[31mred\\x00",
        "&lt;b&gt;",
    ):
        assert name in users
    assert page.locator("body").evaluate("node => /[\\u202e\\u0000-\\u0008\\u001b]/.test(node.textContent)") is False


def test_the_page_forbids_other_scripts(show: Open, evil_page: Path) -> None:
    page = show(evil_page)
    policy = page.locator("meta[http-equiv='Content-Security-Policy']").get_attribute("content")
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_sorting(show: Open, evil_page: Path) -> None:
    page = show(evil_page)
    heading = page.locator("#hashrates-table thead th", has_text="1 h")
    heading.get_by_role("button").click()
    falling = rates(column(page, "hashrates", "1 h"))
    assert falling == sorted(falling, reverse=True)
    assert len(set(falling)) > 5
    assert heading.get_attribute("aria-sort") == "descending"
    heading.get_by_role("button").press("Enter")
    rising = rates(column(page, "hashrates", "1 h"))
    assert rising == sorted(falling)
    assert heading.get_attribute("aria-sort") == "ascending"
    page.locator("#hashrates-table thead th", has_text="Host").get_by_role("button").press("Space")
    hosts = column(page, "hashrates", "Host")
    assert hosts == sorted(hosts)
    assert page.locator("#hashrates-table [aria-sort]").count() == 1


def test_what_is_not_known_is_last_in_both_directions(show: Open, evil_page: Path) -> None:
    page = show(evil_page)
    button = page.locator("#pools-table thead th", has_text="Users").get_by_role("button")
    for _direction in range(2):
        button.click()
        assert column(page, "pools", "Users")[-1] == "-"


def test_filtering(show: Open, evil_page: Path) -> None:
    page = show(evil_page)
    box = page.get_by_label("Filter Pools")
    box.fill("OK pool01")
    assert column(page, "pools", "Host") == ["pool010.example.org", "pool011.example.org", "pool012.example.org"]
    assert page.locator("output[for='pools-filter']").text_content() == "3 of 13 rows"
    page.locator("#pools-table thead th", has_text="Host").get_by_role("button").click()
    assert len(column(page, "pools", "Host")) == 3
    box.fill("<no such pool>")
    assert column(page, "pools", "Host") == []
    box.fill("")
    assert len(column(page, "pools", "Host")) == 13


def test_everything_is_reached_by_the_keyboard(show: Open, evil_page: Path) -> None:
    page = show(evil_page)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.evaluate("document.activeElement.getBoundingClientRect().left") >= 0
    page.keyboard.press("Enter")
    page.wait_for_url("**/report.html#verdicts")
    seen = set()
    for _press in range(200):
        page.keyboard.press("Tab")
        seen.add(
            page.evaluate("document.activeElement.tagName + '.' + (document.activeElement.closest('section') || {}).id")
        )
    assert {"INPUT.pools", "BUTTON.pools", "DIV.pools", "BUTTON.hashrates", "DIV.history", "A.charts"} <= seen


@pytest.mark.parametrize("theme", THEMES)
def test_themes(show: Open, evil_page: Path, theme: str) -> None:
    page = show(evil_page, color_scheme=theme)
    colours = page.evaluate("[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]")
    back, ink = (sum(map(int, colour[4:-1].split(", "))) for colour in colours)
    assert (back < ink) == (theme == "dark")
    curve = page.evaluate("getComputedStyle(document.querySelector('.plot .series path')).stroke")
    assert curve == {"light": "rgb(11, 92, 173)", "dark": "rgb(127, 184, 245)"}[theme]


def test_printing(show: Open, evil_page: Path) -> None:
    page = show(evil_page, color_scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator("nav").is_visible()
    assert not page.locator(".filter").first.is_visible()
    # Nothing is cut off: what scrolls on a screen is shown as a whole.
    cut = page.evaluate(
        "[...document.querySelectorAll('.scroll')].filter((node) => getComputedStyle(node).overflow !== 'visible').length"
    )
    assert cut == 0
    page.set_viewport_size({"width": 1030, "height": 700})  # A4 landscape, less its margins
    assert page.evaluate("document.documentElement.scrollWidth") <= 1030
    assert page.pdf(prefer_css_page_size=True).startswith(b"%PDF")


def test_an_old_page_says_so(show: Open, evil_page: Path) -> None:
    page = show(evil_page)
    assert not page.locator("#old").is_visible()
    page.clock.install()
    page.clock.fast_forward(3 * 86400 * 1000)
    page.reload()
    assert page.locator("#old").text_content() == "That is 3 days ago."
    assert page.locator("#old").is_visible()


def test_without_scripts_everything_is_there(show: Open, evil_page: Path) -> None:
    page = show(evil_page, java_script_enabled=False)
    assert page.locator("#pools-table tbody tr").count() == 13
    assert page.locator("#history-table tbody tr").first.is_visible()


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", [WIDTHS[0], WIDTHS[-1]])
def test_axe_finds_nothing(browser: t.Any, evil_page: Path, axe: str, theme: str, width: int) -> None:
    # The page's own policy would forbid to add a script to it.
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme, bypass_csp=True)
    try:
        page = context.new_page()
        page.goto(evil_page.as_uri())
        page.evaluate(axe)
        page.get_by_label("Filter Pools").fill("ok")
        page.locator("#hashrates-table thead button").first.click()
        found = page.evaluate(
            "axe.run(document, {resultTypes: ['violations'], runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa', 'best-practice']})"
        )
        assert [(one["id"], [node["html"][:200] for node in one["nodes"][:3]]) for one in found["violations"]] == []
        assert len(found["passes"]) > 20
    finally:
        context.close()


def test_an_empty_fleet_without_charts(show: Open, build: Build) -> None:
    page = show(build(1, 0, charts=False, title="Quiet & empty"))
    assert page.locator("h1").text_content() == "Quiet & empty"
    assert page.locator("#verdicts").get_by_text("Every pool is healthy.").is_visible()
    assert page.locator("svg").count() == 0
