# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options in, a result or a helpful failure out: what every module of the collection shares.

Every host compiles what a module imports anew, so this room imports little: what the reading modules share besides is in
C(_reading.py).
"""

from __future__ import annotations

import gc
import os
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ._errors import BadInput, PoolError
from ._instance import Instance, discover, find, neighbours
from ._wire import MAX_REPLY

_COMMON: t.Dict[str, t.Any] = {
    "socket_dir": {"type": "path"},
    "name": {"type": "str"},
    "log_dir": {"type": "path"},
    "source": {"type": "str", "default": "auto", "choices": ["auto", "guide", "api", "files"]},
    "timeout": {"type": "float", "default": 5.0},
    "max_reply": {"type": "int", "default": MAX_REPLY},
}
_NOBODY = ("absent", "refused", "unanswered")
Result = t.Dict[str, t.Any]


class PoolModule(AnsibleModule):
    """A module with the common options. All of them may be run in check mode."""

    def __init__(self, options: t.Dict[str, t.Any], **kwargs: t.Any) -> None:
        super().__init__(argument_spec=dict(_COMMON, **options), supports_check_mode=True, **kwargs)  # type: ignore[no-untyped-call]

    def add_path_info(self, kwargs: Result) -> Result:
        """Leave a result as it is: what failed has a path, and Ansible would replace its state by that of the file."""
        return kwargs

    def check_ranges(self, **ranges: t.Tuple[float, float]) -> None:
        """Refuse numbers outside their range, by name.

        :raises BadInput: naming the option.
        """
        for name, (least, most) in ranges.items():
            check_range(name, self.params[name], least, most)

    def how(self) -> t.Dict[str, t.Any]:
        """The options that say how to ask, for a Pool of an instance that was found."""
        self.check_ranges(timeout=(0.01, 600), max_reply=(1, 2**31 - 1))
        return {key: self.params[key] for key in ("source", "timeout", "max_reply")}

    def common(self) -> t.Dict[str, t.Any]:
        """The options that say how to ask, for a Pool that is to be found."""
        return {"log_dir": self.params["log_dir"], **self.how()}


def check_range(name: str, value: t.Any, least: float, most: float) -> None:
    """Refuse a number outside a range, both ends included. What is no number is for the argument spec to judge.

    :raises BadInput: naming the option.
    """
    if isinstance(value, (int, float)) and not least <= value <= most:
        raise BadInput(f"{name} must be from {least} to {most}, not {value}", reason="out_of_range")


def run(module: PoolModule, work: t.Callable[[PoolModule], Result]) -> None:
    """Do a module's work; what fails says in which phase, where, why, and what to look at next."""
    # All that is loaded stays until the end, and the interpreter need not look through it for garbage then.
    gc.freeze()
    try:
        result = work(module)
    except PoolError as exc:
        module.fail_json(**failure(exc, module.params.get("log_dir")))
    if result.pop("failed", False):
        module.fail_json(**result)
    module.exit_json(**{"changed": False, **result})


def describe(instance: Instance) -> str:
    """An instance by name and place."""
    return f"{instance.name} ({instance.socket_dir})"


def failure(exc: PoolError, log_dir: t.Optional[str] = None) -> Result:
    """A failure as a result. Where nobody answers, it says what else there is on the host, and shows the end of the log.

    :arg log_dir: the log directory, where the process does not tell it.
    """
    hint, facts = exc.hint, dict(exc.facts)
    if exc.reason in _NOBODY and exc.phase in ("connect", "ask") and exc.path:
        if exc.reason != "unanswered":
            hint += (" " if hint.endswith("?") else "; ") + neighbours()
        lines = _end_of_log(os.path.dirname(exc.path), log_dir)
        if lines:
            facts.setdefault("log_tail", lines)
    message = f"{exc.phase}: {exc}" + (f". Hint: {hint}" if hint else "")
    return {"phase": exc.phase, "path": exc.path, "reason": exc.reason, "hint": hint, **facts, "msg": message}


def _end_of_log(folder: str, log_dir: t.Optional[str]) -> t.List[str]:
    """The last lines of the log of the instance with this socket directory; empty where nothing leads to it."""
    found = (instance for instance in discover() if instance.root + instance.socket_dir == folder)
    instance = next(found, None) or find(folder, log_dir=log_dir)
    instance.log_dir = instance.log_dir or log_dir
    return instance.last_log_lines()


def controlled(
    module: PoolModule, instance: Instance, msg: str, change: t.Dict[str, t.Tuple[str, str]], **values: t.Any
) -> Result:
    """The results that all control modules have in common, around their own values.

    :arg change: what was or would be changed: what it is, to what it was before and what it is after.
    """
    before, after = ("".join(f"{what}: {sides[side]}\n" for what, sides in change.items()) for side in (0, 1))
    result: Result = {"instance": instance.as_dict(), "msg": msg, "changed": before != after, **values}
    if module._diff:
        header = describe(instance)
        result["diff"] = {"before": before, "after": after, "before_header": header, "after_header": header}
    return result
