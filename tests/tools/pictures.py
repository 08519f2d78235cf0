# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Draw the pictures of the README: what `make demo` prints, and the report on a fleet."""

from __future__ import annotations

import errno
import fcntl
import html
import json
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
import typing as t
from pathlib import Path
from xml.etree import ElementTree

from tests.support.ansible import UNHURRIED
from tests.support.machine import Machine
from tests.support.paths import ROOT
from tests.support.processes import STARTER_LOCK

FOLDER = ROOT / "docs" / "pictures"
DEMO, REPORT = FOLDER / "demo.svg", FOLDER / "report.png"
COLUMNS = 152  #: characters of the widest row of the table
REPORT_SIZE = (1200, 1352)  #: pixels
_SVG = "{http://www.w3.org/2000/svg}"
#: from the first look at the pools to the outcome
_EXCERPT = re.compile(r"^PLAY \[Ask every pool.*?\"outcome\": \"\w+\"\S*\n\S*\}\S*$", re.MULTILINE | re.DOTALL)
_CONTROL = re.compile(r"\x1b\[[\d;]*m")
#: A terminal as rich draws it, without a font to download.
_FORMAT = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<!--
Copyright (c) 2026, The ckpool.fleet contributors
GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
SPDX-License-Identifier: GPL-3.0-or-later

Made by make pictures.
-->
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; font-size: {char_height}px;
line-height: {line_height}px; font-variant-east-asian: full-width; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: arial; }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/></clipPath>
{lines}</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g></g></svg>
"""


def record_demo(folder: Path) -> str:
    """What `make demo` prints on a terminal about its fleet, with its colours, from the first look to the outcome.

    :arg folder: holds the simulated fleet; it sees only processes of its own.
    """
    environment = {name: text for name, text in os.environ.items() if not name.startswith(("ANSIBLE_", "PYTHON"))}
    environment |= {"TERM": "xterm-256color", "COLUMNS": str(COLUMNS)}
    with Machine(folder / "machine") as machine:
        ansible = [*machine.prefix, "env", f"--chdir={ROOT}", sys.executable, "-m", "ansible", "playbook"]
        words = ["-i", "demo/inventory.yml", "demo/demo.yml", "-e", f"simulated_pool_dir={folder}/demo"]
        words += ["-e", json.dumps({"health_check_thresholds": UNHURRIED})]
        status, text = on_terminal([*ansible, *words], environment)
    found = _EXCERPT.search(text)
    if status or not found:
        raise RuntimeError(f"the demo ended with status {status}, and said:\n{text}")
    return found[0]


def on_terminal(command: t.Sequence[str], environment: t.Mapping[str, str]) -> tuple[int, str]:
    """The exit status of a command, and what it wrote to a terminal of its own."""
    outer, inner = pty.openpty()
    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdin=inner, stdout=inner, stderr=inner) as process:
        os.close(inner)
        written = b""
        try:
            while piece := os.read(outer, 65536):
                written += piece
        except OSError as error:
            if error.errno != errno.EIO:  # with it Linux says that nobody has the terminal
                raise
    os.close(outer)
    return process.returncode, written.decode("utf-8", "replace").replace("\r\n", "\n")


def draw_demo() -> None:
    """Run the demo, and draw it."""
    from rich.console import Console
    from rich.text import Text

    with tempfile.TemporaryDirectory(prefix="ckf-", dir="/tmp") as folder:
        printed = record_demo(Path(folder))
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere, force_terminal=True, color_system="standard")
        console.print(Text.from_ansi(f"\x1b[1m$ make demo\x1b[0m\n...\n{printed}"))
        picture = console.export_svg(title="make demo", code_format=_FORMAT, unique_id="demo")
    # rich has a clip path for each line, but a line ends at the edge anyway.
    DEMO.write_text(re.sub(r" +$", "", picture, flags=re.MULTILINE), encoding="utf-8")


def draw_report(chromium: str) -> None:
    """Have a browser show the report on a made-up fleet."""
    from tests.support.report_page import write_report

    with tempfile.TemporaryDirectory(prefix="ckf-", dir="/tmp") as name:
        folder = Path(name)
        page = write_report(folder, 12, 1, users=15)
        flags = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
                 "--hide-scrollbars", "--blink-settings=preferredColorScheme=1", f"--user-data-dir={folder}/profile",
                 f"--window-size={REPORT_SIZE[0]},{REPORT_SIZE[1]}", f"--screenshot={REPORT}")  # fmt: skip
        subprocess.run([chromium, *flags, page.as_uri()], check=True, capture_output=True, timeout=120)


def lines_of(picture: Path) -> list[str]:
    """The text that a picture of a terminal shows."""
    rows: dict[float, dict[float, str]] = {}
    for node in ElementTree.parse(picture).iter(f"{_SVG}text"):
        if "clip-path" in node.attrib:
            text = html.unescape(node.text or "").replace("\xa0", " ")
            rows.setdefault(float(node.attrib["y"]), {})[float(node.attrib["x"])] = text
    return ["".join(text for _x, text in sorted(row.items())).rstrip() for _y, row in sorted(rows.items())]


def plain(text: str) -> str:
    """A text without its colours."""
    return _CONTROL.sub("", text)


def main() -> None:
    """Draw all; the first argument is the path of Chromium."""
    sys.path.insert(0, str(ROOT / ".collections"))
    FOLDER.mkdir(exist_ok=True)
    with tempfile.NamedTemporaryFile() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.environ[STARTER_LOCK] = lock.name
        draw_demo()
    draw_report(sys.argv[1])


if __name__ == "__main__":
    main()
