# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Set the log level of a running ckpool."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ckpool_loglevel
short_description: Set the log level of a running ckpool
version_added: 0.2.0
author: The ckpool.fleet contributors (@ckpool-fleet)
description:
  - Sets how much a running daemon writes to its log, for good or for a time, without a restart.
  - The daemon cannot be asked for its level. So the level is always sent, and RV(ignore:changed) and RV(previous) rest on
    what is known, which is the level that this module last set on this very process, else the one of its command line,
    else the daemon's default, 5. RV(previous_known) says if it is knowledge.
  - What was set is remembered beside the pid and the start of the process, so of a restarted daemon nothing is. Every user
    has a memory of his own, root in C(/run/ckpool.fleet), others in C(/tmp/ckpool.fleet-UID).
extends_documentation_fragment:
  - ckpool.fleet.pool
  - ckpool.fleet.attributes
  - ckpool.fleet.attributes.control_module
  - ckpool.fleet.attributes.actiongroup_ckpool
options:
  level:
    description:
      - The level, by number from V(0) to V(7) or by name, V(emerg), V(alert), V(crit), V(err), V(warning), V(notice),
        V(info) or V(debug). V(error) and V(warn) are understood too.
      - Under V(notice) the daemon hides the lines by which M(ckpool.fleet.ckpool_dropuser) finds clients on public builds.
        V(err) hides warnings, whatever the operator's guide says.
    type: str
  restore_after:
    description:
      - Have the level from before return after this time, in seconds or as V(90s), V(10m), V(2h), from 1 second to 30 days. A
        transient timer of systemd sees to it on the host, so it happens even if the controller has gone away. It does
        nothing if the daemon has been restarted meanwhile.
      - Where systemd does not run, or does not let us, the level is set nevertheless, RV(returns.timer) is null and
        RV(problems) says why. Use O(restore=true) then, as the role C(ckpool.fleet.loglevel) does.
      - If a level was to return already, that one will, and not the one between.
    type: str
  restore:
    description:
      - Have the level return now that was to return by O(restore_after). Where none was, nothing is changed.
    type: bool
    default: false
  all_instances:
    description:
      - Set it on every running instance of the host. RV(instances) has a result for each.
    type: bool
    default: false
notes:
  - It is one value for the whole daemon. It is sent to the listener, or to the stratifier of a daemon that speaks the
    guide's dialect. The stratifier of public builds takes any number without a check.
seealso:
  - module: ckpool.fleet.ckpool_dropuser
"""

EXAMPLES = r"""
- name: Have the pool of this host write everything
  ckpool.fleet.ckpool_loglevel:
    level: debug

- name: Have it write everything for ten minutes, whatever becomes of us
  ckpool.fleet.ckpool_loglevel:
    level: debug
    restore_after: 10m
  register: log

- name: Show what was there before
  ansible.builtin.debug:
    msg: "It was {{ log.previous }}{{ '' if log.previous_known else ', as far as one can know' }}"

- name: Have enough, and return to what was before
  ckpool.fleet.ckpool_loglevel:
    restore: true

- name: Go back to the daemon's default on every pool of the host
  ckpool.fleet.ckpool_loglevel:
    level: 5
    all_instances: true
"""

RETURN = r"""
level:
  description: The level that is now in force, or would be in check mode. From 0 (emerg) to 7 (debug).
  returned: success, unless O(all_instances=true)
  type: int
  sample: 7
level_name:
  description: Its name.
  returned: success, unless O(all_instances=true)
  type: str
  sample: debug
previous:
  description: The level before, from the memory of this process, its command line, or the daemon's default.
  returned: success, unless O(all_instances=true)
  type: int
  sample: 5
previous_known:
  description: Whether RV(previous) is what was last set on this very process, and no assumption.
  returned: success, unless O(all_instances=true)
  type: bool
  sample: false
returns:
  description: The level that will return, with O(restore_after). Null if none will.
  returned: success, unless O(all_instances=true)
  type: dict
  contains:
    to:
      description: The level that returns.
      type: int
      sample: 5
    at:
      description: When, in epoch seconds.
      type: int
      sample: 1795386064
    timer:
      description: The systemd timer that sees to it. Null if there is none, as in check mode.
      type: str
      sample: ckpool-fleet-loglevel-4242-1843211
reply:
  description: What the daemon replied. Null if nothing was sent.
  returned: success, unless O(all_instances=true)
  type: str
  sample: success
instances:
  description:
    - The results of each instance, with the same keys, and C(failed) and C(msg) of those that failed.
  returned: O(all_instances=true)
  type: list
  elements: dict
  sample: []
instance:
  description: The pool that was told.
  returned: success, unless O(all_instances=true)
  type: dict
  contains:
    name:
      description: The daemon's name, from its command line.
      type: str
      sample: ckpool
    mode:
      description: V(pool), V(solo), V(proxy), V(passthrough), V(redirector) or V(node), from its command line.
      type: str
      sample: pool
    socket_dir:
      description: Its socket directory, as the daemon sees it.
      type: str
      sample: /tmp/ckpool
    log_dir:
      description: Its log directory, from its configuration. Null if not known.
      type: str
      sample: /var/log/ckpool
    pid:
      description: Its process id, from C(main.pid). Null if there is none.
      type: int
      sample: 4242
    state:
      description: Null, as it was not asked how it is.
      type: str
      sample: null
problems:
  description:
    - What could not be done besides, by area, and why. C(memory) if the level could not be remembered, C(timer) if nothing on
      the host sees to its return.
  returned: success, unless O(all_instances=true)
  type: dict
  sample: {}
msg:
  description: What was done, in one sentence.
  returned: always
  type: str
  sample: "ckpool (/tmp/ckpool): log level 7 (debug), before 5 (notice) as far as one can know"
phase:
  description: What failed, V(options), V(find), V(connect), V(ask), V(read) or V(parse).
  returned: failure
  type: str
  sample: connect
path:
  description: The socket, file or folder that it failed on.
  returned: failure
  type: str
  sample: /tmp/ckpool/listener
reason:
  description: Why, as a short stable code.
  returned: failure
  type: str
  sample: refused
hint:
  description: What to look at or try next.
  returned: failure
  type: str
  sample: "use become: true"
"""

import typing as t

from ansible_collections.ckpool.fleet.plugins.module_utils._control import Control
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import BadInput, PoolError
from ansible_collections.ckpool.fleet.plugins.module_utils._level import LEVELS, Change, change, parse_level, restore
from ansible_collections.ckpool.fleet.plugins.module_utils._module import (
    PoolModule,
    Result,
    check_range,
    controlled,
    describe,
    failure,
    run,
)
from ansible_collections.ckpool.fleet.plugins.module_utils._units import parse_duration

_MONTH = 30 * 86400
_Work = t.Callable[[Control], Change]


def work(module: PoolModule) -> Result:
    """Set the level of one pool or of all, and say what it was."""
    act = chosen(module)
    if not module.params["all_instances"]:
        return one(module, Control.find(module.params["socket_dir"], module.params["name"], **module.common()), act)
    if module.params["socket_dir"] or module.params["name"]:
        raise BadInput("all_instances takes neither socket_dir nor name", reason="bad_input")
    results = [tried(module, control, act) for control in Control.find_all(**module.common())]
    result: Result = {
        "instances": results,
        "changed": any(found["changed"] for found in results),
        "failed": any(found.get("failed") for found in results),
        "msg": "; ".join(found["msg"] for found in results) or "no ckpool runs here",
    }
    if module._diff:
        result["diff"] = [found.pop("diff") for found in results if "diff" in found]
    return result


def chosen(module: PoolModule) -> _Work:
    """What the options ask for, to be done to one pool."""
    check = module.check_mode
    if module.params["restore"]:
        if module.params["level"] is not None or module.params["restore_after"] is not None:
            raise BadInput("restore takes neither level nor restore_after", reason="bad_input")
        return lambda control: restore(control, check)
    level, after = parse_level(module.params["level"]), module.params["restore_after"]
    seconds = None if after is None else parse_duration(after)
    check_range("restore_after", seconds, 1, _MONTH)
    return lambda control: change(control, level, seconds, check)


def tried(module: PoolModule, control: Control, act: _Work) -> Result:
    """The result of one of several pools, or its failure."""
    try:
        return one(module, control, act)
    except PoolError as exc:
        return {"instance": control.instance.as_dict(), "changed": False, "failed": True, **failure(exc)}


def one(module: PoolModule, control: Control, act: _Work) -> Result:
    """The result of one pool."""
    found = act(control)
    sure = "" if found.known else " as far as one can know"
    back = ""
    if found.returns:
        when = (
            f"in {module.params['restore_after']}" if found.returns.timer or module.check_mode else "when it is told to"
        )
        back = f"; {named(found.returns.to)} returns {when}"
    return controlled(
        module,
        control.instance,
        f"{describe(control.instance)}: log level {named(found.level)}, before {named(found.previous)}{sure}{back}",
        {"log level": (named(found.previous), named(found.level))},
        level=found.level,
        level_name=LEVELS[found.level],
        previous=found.previous,
        previous_known=found.known,
        returns=found.returns.as_dict() if found.returns else None,
        reply=found.reply,
        problems=found.problems,
    )


def named(level: int) -> str:
    """A level for a person."""
    return f"{level} ({LEVELS[level]})"


def main() -> None:
    """Run the module."""
    options = {
        "level": {"type": "str"},
        "restore_after": {"type": "str"},
        "restore": {"type": "bool", "default": False},
        "all_instances": {"type": "bool", "default": False},
    }
    run(PoolModule(options, required_if=[("restore", False, ["level"])]), work)


if __name__ == "__main__":
    main()
