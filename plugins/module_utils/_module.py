# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options in, a result or a helpful failure out: what every module of the collection shares.

A host compiles everything that a module imports, each time, so this room imports little: what only the reading modules share
is in C(_info_module.py).
"""

from __future__ import annotations

import copy
import gc
import typing as t

from ansible.module_utils.basic import AnsibleModule

from . import _types
from ._errors import BadInput, PoolError
from ._instance import Instance
from ._options import COMMON_OPTIONS, check_ranges
from ._results import OfInstance, describe, each_of, failure, presentable
from ._text import printable

Result = _types.Result
_One = t.TypeVar("_One", bound=OfInstance)
_ALL_SECONDS = 600.0  #: for all instances of a host; each exchange with one has a deadline of its own


class FleetModule(AnsibleModule):
    """A module of the collection, which supports check mode."""

    def __init__(self, options: t.Dict[str, t.Any], **kwargs: t.Any) -> None:
        # A copy: Ansible writes the defaults of suboptions into what it is given.
        spec = copy.deepcopy(options)
        super().__init__(argument_spec=spec, supports_check_mode=True, **kwargs)  # type: ignore[no-untyped-call]

    def warn_of(self, text: str) -> None:
        """Emit a warning, without control characters: it may contain names and lines of logs."""
        self.warn(printable(text))

    def add_path_info(self, kwargs: Result) -> Result:
        """Leave a result unchanged. It may have a path, and Ansible would overwrite its C(state) with that of the file."""
        return kwargs

    def check_ranges(self, **ranges: t.Tuple[float, float]) -> None:
        """Raise unless options are within their ranges, given by name.

        :raises BadInput: naming the option.
        """
        check_ranges(self.params, ranges)


class PoolModule(FleetModule):
    """A module with the common options."""

    def __init__(self, options: t.Dict[str, t.Any], **kwargs: t.Any) -> None:
        super().__init__(dict(COMMON_OPTIONS, **options), **kwargs)

    def names_one(self) -> bool:
        """Whether the options name an instance."""
        return any(self.params[key] not in (None, "") for key in ("socket_dir", "name", "pid"))

    def connection_options(self) -> t.Dict[str, t.Any]:
        """The options of an exchange with an instance that was found."""
        self.check_ranges(timeout=(0.01, 600), max_reply=(1, 2**31 - 1))
        return {key: self.params[key] for key in ("source", "timeout", "max_reply")}

    def search_options(self) -> t.Dict[str, t.Any]:
        """The options with which to find all instances, and those of an exchange with each."""
        return {"log_dir": self.params["log_dir"], **self.connection_options()}

    def instance_options(self) -> t.Dict[str, t.Any]:
        """The options that name one instance, and those of an exchange with it."""
        which = {key: self.params[key] for key in ("socket_dir", "name", "pid")}
        return {**which, **self.search_options()}


def for_each(
    module: PoolModule,
    find_all: t.Callable[[], t.Sequence[_One]],
    work: t.Callable[[_One], Result],
    seconds: float = _ALL_SECONDS,
) -> t.List[Result]:
    """The results of all instances of the host, which are worked on in parallel. A failure is the result of its instance only.

    :arg find_all: finds the instances; not called if the options name one.
    :arg seconds: after which the result of an instance that is not done is a failure.
    :raises BadInput: the options name an instance.
    """
    if module.names_one():
        raise BadInput(
            "all_instances takes neither socket_dir nor name nor pid, as each of them names one", reason="bad_option"
        )
    return each_of(find_all(), work, seconds)


def run(module: PoolModule, work: t.Callable[[PoolModule], Result]) -> None:
    """Do a module's work. A failure names the phase, the path, the reason, and what to look at next."""
    # What is loaded stays until the end, so the garbage collector need not look at it.
    gc.freeze()
    try:
        result = work(module)
    except PoolError as exc:
        module.fail_json(**presentable(failure(exc, module.params.get("log_dir"))))
    result = presentable(result)
    if result.pop("failed", False):
        module.fail_json(**result)
    module.exit_json(**{"changed": False, **result})


def controlled(
    module: PoolModule, instance: Instance, msg: str, change: t.Dict[str, t.Tuple[str, str]], **values: t.Any
) -> Result:
    """The results that all control modules have in common, with their own values.

    :arg change: what was or would be changed, by name: its value before and after.
    """
    before, after = ("".join(f"{what}: {sides[side]}\n" for what, sides in change.items()) for side in (0, 1))
    result: Result = {"instance": instance.as_dict(), "msg": msg, "changed": before != after, **values}
    if module._diff:
        header = describe(instance)
        result["diff"] = {"before": before, "after": after, "before_header": header, "after_header": header}
    return result
