# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command, as C(python3 -m ckpool_fleet)."""

from __future__ import annotations

import sys

from ._command.main import main

sys.exit(main())
