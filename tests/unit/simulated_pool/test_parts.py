# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table at the head of the simulated instance names its classes, in the order in which they come."""

from __future__ import annotations

import ast
import re
from pathlib import Path

SCRIPT = Path(__file__).parents[3] / "roles" / "simulated_pool" / "files" / "simulated_ckpool.py"


def test_the_table_names_every_class_in_order() -> None:
    tree = ast.parse(SCRIPT.read_text())
    classes = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
    table = re.findall(r"^    (?=\S)(.*?)(?:  |$)", ast.get_docstring(tree) or "", re.MULTILINE)
    named = [name for row in table for name in re.split(r",? ", row) if name[:1].isupper()]
    assert named == classes
