# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Query a result with JMESPath."""

from __future__ import annotations

DOCUMENTATION = r"""
name: ckpool_query
short_description: Query a result with JMESPath
version_added: 0.3.0
author: The ckpool.fleet contributors (@ckpool-fleet)
description:
  - Applies an expression of L(JMESPath,https://jmespath.org) to a result of this collection, or to any other data, as
    C(jq) does on a command line.
  - Adds the functions C(hashrate), C(human_hashrate) and C(ago) to those of JMESPath.
  - C(hashrate) converts a number or a text to H/s, like P(ckpool.fleet.hashrate#filter). C(human_hashrate) converts
    the same to a text for people, like P(ckpool.fleet.human_hashrate#filter). C(ago) converts a time in epoch seconds
    to the whole seconds from then until now, rounded down; a time in the future gives a negative number.
  - Each takes one value. For null, C(hashrate) and C(ago) return null, and C(human_hashrate) returns V(-).
requirements:
  - jmespath, on the controller
positional: _input, expression
options:
  _input:
    description:
      - The data.
    type: raw
    required: true
  expression:
    description:
      - The expression. Write numbers and null in backticks, and texts in single quotes.
      - Do not build it from names of users or workers, which miners choose.
    type: str
    required: true
  now:
    description:
      - Time in epoch seconds that C(ago) counts to. Defaults to the current time of the controller.
      - Pass the time of the result, C(as_of), where the clocks of the host and the controller may differ.
    type: float
notes:
  - A comparison with null is null, so a filter such as C([?hashrate1m > `0`]) leaves out unknown values. C(sort_by)
    fails on null, so filter null out first, as in the examples.
seealso:
  - plugin: ckpool.fleet.top
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Read the statistics
  ckpool.fleet.ckpool_stats:
  register: pool

- name: Watch the statistics
  ansible.builtin.debug:
    msg: "{{ pool | ckpool.fleet.ckpool_query(expression) }}"
  vars:
    expression: "stats.{hashrate: human_hashrate(hashrate1m), users: users, workers: workers}"

- name: Read the users
  ckpool.fleet.ckpool_user_info:
  register: pool

- name: Show one user's hashrate over 1 minute
  ansible.builtin.debug:
    msg: "{{ pool | ckpool.fleet.ckpool_query(expression) }}"
  vars:
    expression: "users[?user == 'bc1qexampleaddress'].human_hashrate(hashrate1m) | [0]"

- name: Show the active workers, with hashrate and the seconds since their last share
  ansible.builtin.debug:
    msg: "{{ pool | ckpool.fleet.ckpool_query(expression) }}"
  vars:
    expression: >-
      users[].workers[] | [?hashrate1m > `0`].{worker: worker, hashrate: human_hashrate(hashrate1m),
      silent: ago(last_share)}

- name: Show the top five users by hashrate over 1 minute
  ansible.builtin.debug:
    msg: "{{ pool | ckpool.fleet.ckpool_query(expression) }}"
  vars:
    expression: >-
      reverse(sort_by(users[?hashrate1m != `null`], &hashrate1m))[:5].{user: user, hashrate: human_hashrate(hashrate1m)}

- name: Name the users that sent nothing in the 10 minutes before the answer
  ansible.builtin.debug:
    msg: "{{ pool | ckpool.fleet.ckpool_query('users[?ago(last_share) > `600`].user', now=pool.as_of) }}"

- name: Read the status file unchanged
  ckpool.fleet.ckpool_stats:
    source: files
    raw: true
  register: pool

- name: Show the hashrate in it, in H/s
  ansible.builtin.debug:
    msg: "{{ pool | ckpool.fleet.ckpool_query('raw[].hashrate(hashrate1m) | [0]') }}"
"""

RETURN = r"""
_value:
  description: What the expression found. Null if it found nothing.
  type: raw
  sample: [{"user": "bc1qexampleaddress", "hashrate": "38.5 MH/s"}]
"""

import importlib
import math
import sys
import time
import typing as t

from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var

from ..module_utils._units import human_hashrate
from ..plugin_utils._values import defined, plain, rate_of, shown, text_of


def ckpool_query(data: t.Any, expression: str, now: t.Any = None) -> t.Any:
    """What the expression finds in the data.

    :arg now: epoch seconds; None for the current time.
    :raises AnsibleFilterError: the expression is wrong, or fails on the data.
    """
    text = text_of(expression, "expression")
    moment = _moment(now)
    jmespath = _library()
    options = jmespath.Options(custom_functions=_functions(jmespath, moment))
    values = plain(data)
    try:
        # Names come from miners, and plain() removed the marks by which Ansible keeps them from becoming templates.
        return wrap_var(jmespath.compile(text).search(values, options))
    except jmespath.exceptions.JMESPathError as exc:
        raise AnsibleFilterError(f"{_explanation(exc)}, in {text}") from None
    except (ArithmeticError, RecursionError, TypeError, ValueError) as exc:
        raise AnsibleFilterError(f"cannot be evaluated: {exc}, in {text}") from None


def _moment(now: t.Any) -> float:
    """The time that C(ago) counts to: now, or a time as templates pass it, a number or a text."""
    if defined(now) is None:
        return time.time()
    try:
        moment = math.nan if isinstance(now, bool) else float(now)
    except (TypeError, ValueError, OverflowError):
        moment = math.nan
    if not math.isfinite(moment):
        raise AnsibleFilterError(f"now is not a time in epoch seconds: {shown(now)}")
    return moment


def _library() -> t.Any:
    """jmespath, which no other filter needs."""
    try:
        return importlib.import_module("jmespath")
    except ImportError:
        where = f"for {sys.executable}: pip install jmespath"
        raise AnsibleFilterError(f"the Python library jmespath is missing on the controller, {where}") from None


def _functions(jmespath: t.Any, now: float) -> t.Any:
    """The functions of JMESPath, and those of this filter."""

    def rate(_self: t.Any, value: t.Any) -> t.Optional[float]:
        return None if value is None else rate_of(value)

    def words(_self: t.Any, value: t.Any) -> str:
        return human_hashrate(rate(_self, value))

    def ago(_self: t.Any, epoch: t.Optional[float]) -> t.Optional[int]:
        return None if epoch is None else math.floor(now - epoch)

    any_rate = jmespath.functions.signature({"types": ["number", "string", "null"]})
    any_time = jmespath.functions.signature({"types": ["number", "null"]})
    ours = {"_func_hashrate": any_rate(rate), "_func_human_hashrate": any_rate(words), "_func_ago": any_time(ago)}
    return type("Functions", (jmespath.functions.Functions,), ours)()


def _explanation(error: t.Any) -> str:
    """The error in one line. Those of jmespath draw an arrow below the expression, and show whole values."""
    if hasattr(error, "expected_types"):
        names = " or ".join(error.expected_types)
        return f"{error.function_name}() takes {names}, not {error.actual_type}: {shown(error.current_value)}"
    position = getattr(error, "lex_position", None)
    if position is None:  # a function that does not exist, or with too many arguments
        return str(error)
    token = getattr(error, "token_value", None)
    if not token and token != 0:
        return f"the expression ends too early, at position {position + 1}"
    hint = " (numbers are written in backticks)" if getattr(error, "token_type", "") == "NUMBER" else ""
    return f"bad expression at position {position + 1}, {shown(token)}{hint}"


class FilterModule:
    """Offers the filter to Ansible."""

    def filters(self) -> t.Dict[str, t.Callable[..., t.Any]]:
        """The filter by its name."""
        return {"ckpool_query": ckpool_query}
