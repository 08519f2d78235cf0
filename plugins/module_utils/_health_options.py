# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the modules that check the health of a pool."""

from __future__ import annotations

import typing as t

from ._ask.survey import HealthOptions
from ._errors import BadInput, PoolError
from ._health import CHECKS, Thresholds
from ._options import check_range, check_ranges
from ._units import hashrate_of_person

if t.TYPE_CHECKING:
    from ._module import PoolModule


def health_options(module: PoolModule) -> HealthOptions:
    """The options of the checks.

    :raises BadInput: one is out of range.
    """
    return checked_options(module.params)


def checked_options(options: t.Mapping[str, t.Any]) -> HealthOptions:
    """The options of the checks, by the names of the modules' options, all of them given.

    :raises BadInput: one is out of range.
    """
    check_ranges(options, {"sample_seconds": (0, 600), "log_limit": (0, 2**40)})
    limits = dict(options["thresholds"])
    for name, value in limits.items():
        check_range(f"thresholds.{name}", value, 0, 100 if name.startswith(_PERCENT) else 1e9)
    log_window = limits.pop("log_window")
    try:
        least = limits["hashrate_min"]
        limits["hashrate_min"] = None if least is None else hashrate_of_person(least)
    except PoolError as exc:
        raise BadInput(f"thresholds.hashrate_min is {exc}", reason="bad_hashrate", hint=exc.hint) from None
    return HealthOptions(
        Thresholds(**limits), options["sample_seconds"], log_window, options["log_limit"], options["skip_checks"]
    )


_PERCENT = ("hashrate_drop_", "reject_ratio_", "open_files_w", "open_files_c", "disk_free_")
#: types of the thresholds that have no default
_TYPES = {"hashrate_min": "str", "users_min": "int", "workers_min": "int"}


def _threshold_options() -> t.Dict[str, t.Any]:
    options: t.Dict[str, t.Any] = {"log_window": {"type": "float", "default": HealthOptions.log_window}}
    for name in Thresholds.__annotations__:
        default = getattr(Thresholds, name)
        kind = _TYPES.get(name, "int" if isinstance(default, int) else "float")
        options[name] = {"type": kind} if default is None else {"type": kind, "default": default}
    return options


HEALTH_OPTIONS: t.Dict[str, t.Any] = {
    "skip_checks": {"type": "list", "elements": "str", "default": [], "choices": list(CHECKS)},
    "sample_seconds": {"type": "float", "default": HealthOptions.sample_seconds},
    "log_limit": {"type": "int", "default": HealthOptions.log_limit},
    "thresholds": {"type": "dict", "default": {}, "options": _threshold_options(), "apply_defaults": True},
}
