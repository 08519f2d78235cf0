# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much is tried: a fixed budget, always the same examples, unless CKPOOL_FUZZ says how many new ones of each."""

from __future__ import annotations

import importlib.util
import os
import sys
import typing as t
from pathlib import Path

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "hypothesis"
FIXED = 50
"""Examples of each property: all of those of fuzz together take less than a minute."""

#: Where there is no hypothesis, there is nothing to collect; the sessions of nox install it.
collect_ignore_glob = [] if importlib.util.find_spec("hypothesis") else ["fuzz"]

if not collect_ignore_glob:
    from hypothesis import HealthCheck, Phase, settings
    from hypothesis.configuration import set_hypothesis_home_dir
    from hypothesis.database import DirectoryBasedExampleDatabase

    set_hypothesis_home_dir(str(CACHE))
    examples = int(os.environ.get("CKPOOL_FUZZ", "0"))
    # One failure at a time, in small, and soon.
    common: t.Dict[str, t.Any] = {
        "deadline": None,
        "phases": [Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
        "report_multiple_bugs": False,
        "suppress_health_check": list(HealthCheck),
    }
    settings.register_profile("fixed", max_examples=FIXED, derandomize=True, database=None, **common)
    settings.register_profile(
        "by hand", max_examples=examples or FIXED, database=DirectoryBasedExampleDatabase(str(CACHE)), **common
    )
    settings.load_profile("by hand" if examples else "fixed")
    # Newer ones also draw constants of the modules that are imported so far, which other tests decide on.
    providers = sys.modules.get("hypothesis.internal.conjecture.providers")
    if providers and not examples and hasattr(providers, "_get_local_constants"):
        none = type(providers._get_local_constants())()
        setattr(providers, "_get_local_constants", lambda: none)  # noqa: B010
