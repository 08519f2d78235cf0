# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a result with JMESPath."""

from __future__ import annotations

DOCUMENTATION = r"""
name: ckpool_query
short_description: Ask a result with JMESPath
version_added: 0.3.0
author: The ckpool.fleet contributors (@ckpool-fleet)
description:
  - What an expression of L(JMESPath,https://jmespath.org) finds in a result of this collection, or in any other data.
    It is what C(jq) is on a command line.
  - Besides the functions of JMESPath there are C(hashrate), C(human_hashrate) and C(ago).
  - C(hashrate) of a number or a text is H/s, as with P(ckpool.fleet.hashrate#filter). C(human_hashrate) of the same is
    a text for people, as with P(ckpool.fleet.human_hashrate#filter). C(ago) of a time in epoch seconds is the whole
    seconds from it until now, rounded down, and negative for a time to come.
  - Each takes one value. Of null, C(hashrate) and C(ago) give null, and C(human_hashrate) gives V(-).
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
      - The expression. Numbers and null in it are written in backticks, texts in single quotes.
      - Do not build it from names of users or workers. They are what miners chose.
    type: str
    required: true
  now:
    description:
      - The moment that C(ago) counts to, in epoch seconds. By default the present, by the controller's clock.
      - Give the result's own time, C(as_of), where the clocks of the host and the controller may differ.
    type: float
notes:
  - A comparison with null is null, so a filter such as C([?hashrate1m > `0`]) leaves out what is not known. C(sort_by)
    refuses null. Leave it out before, as in the examples.
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

- name: Read the status file as it is
  ckpool.fleet.ckpool_stats:
    source: files
    raw: true
  register: pool

- name: Show the hashrate that stands in it, in H/s
  ansible.builtin.debug:
    msg: "{{ pool | ckpool.fleet.ckpool_query('raw[].hashrate(hashrate1m) | [0]') }}"
"""

RETURN = r"""
_value:
  description: What was found. Null if nothing.
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
    """What the expression finds in the data."""
    text = text_of(expression, "expression")
    moment = _moment(now)
    jmespath = _library()
    options = jmespath.Options(custom_functions=_functions(jmespath, moment))
    values = plain(data)
    try:
        # Names come from miners. Where Ansible marks texts that must not become templates, what was read lost its mark.
        return wrap_var(jmespath.compile(text).search(values, options))
    except jmespath.exceptions.JMESPathError as exc:
        raise AnsibleFilterError(f"{_what_is_wrong(exc)}, in {text}") from None
    except (ArithmeticError, RecursionError, TypeError, ValueError) as exc:
        raise AnsibleFilterError(f"cannot be worked out: {exc}, in {text}") from None


def _moment(now: t.Any) -> float:
    """What C(ago) counts to: the present, or a time as templates give it, as a number or as a text."""
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
    """jmespath, which the other filters can do without."""
    try:
        return importlib.import_module("jmespath")
    except ImportError:
        where = f"for {sys.executable}: pip install jmespath"
        raise AnsibleFilterError(f"the Python library jmespath is missing on the controller, {where}") from None


def _functions(jmespath: t.Any, now: float) -> t.Any:
    """The functions of JMESPath and ours."""

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


def _what_is_wrong(error: t.Any) -> str:
    """The error in one line; jmespath's own draw an arrow below the expression, and show all of a value."""
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
    """The filter of this file."""

    def filters(self) -> t.Dict[str, t.Callable[..., t.Any]]:
        """By its name."""
        return {"ckpool_query": ckpool_query}
