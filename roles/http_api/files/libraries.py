# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say which libraries are missing or too old: NAME=VERSION for each argument. Run by C(python3 -I -c)."""

from __future__ import annotations

import importlib
import importlib.metadata
import re
import sys

if sys.version_info < (3, 9):
    sys.exit("it is Python " + ".".join(map(str, sys.version_info[:2])) + ", and the service needs 3.9 or newer")
wrong = []
for wanted in sys.argv[1:]:
    name, _equal, least = wanted.partition("=")
    try:
        importlib.import_module(name)
        version = importlib.metadata.version(name)
    except ImportError as exc:
        wrong.append(f"{name} is missing ({exc})")
        continue
    numbers = [[int(part) for part in re.findall(r"\d+", text)[:2]] for text in (version, least)]
    if numbers[0] < numbers[1]:
        wrong.append(f"{name} is {version}, and has to be {least} or newer")
if wrong:
    print("; ".join(wrong))
    sys.exit(1)
