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
  - Sets the log level of a running daemon without a restart, permanently or for a limited time.
  - Without options, the module uses the only pool of the host. If there are several, choose one by O(socket_dir), or set
    O(all_instances=true).
  - A daemon cannot be asked for its level. It is therefore always sent. RV(ignore:changed) and RV(previous) are based on what is known, that
    is, the level that this module last set on this very process, or else that of its command line, or else the daemon's default of 5.
    RV(previous_known) says whether it was the first.
  - The level is stored together with the process ID and its start time, so nothing is assumed to be known about a restarted daemon. Each user
    has a directory for this, C(/run/ckpool.fleet) for root, and C(/tmp/ckpool.fleet-UID) for others.
extends_documentation_fragment:
  - ckpool.fleet.pool
  - ckpool.fleet.pool.pid
  - ckpool.fleet.pool.all_instances
  - ckpool.fleet.attributes
  - ckpool.fleet.attributes.control_module
  - ckpool.fleet.attributes.actiongroup_ckpool
options:
  level:
    description:
      - The log level. A number from V(0) to V(7), or one of V(emerg), V(alert), V(crit), V(err), V(warning), V(notice), V(info) and V(debug).
        V(error) and V(warn) are accepted too.
      - Below V(notice), public builds do not log the lines by which M(ckpool.fleet.ckpool_dropuser) finds clients. V(err) hides
        warnings, contrary to the operator's guide.
    type: str
  restore_after:
    description:
      - Time after which the earlier level is restored. Seconds, or a number with a unit, V(s), V(m), V(h), V(d) or V(w), such as V(90s) or
        V(10m), from 1 second to 30 days. Permanent if omitted.
      - The host itself restores it, by a transient systemd timer, or by a process that waits if systemd does not run or refuses. It
        happens even if the controller is gone. It has no effect if the daemon has been restarted in the meantime.
      - If the host can do neither, the level is set all the same, RV(returns.timer) is null, and RV(problems) says why. In this case, use
        O(restore=true), as the role C(ckpool.fleet.loglevel) does.
      - If a level is already due to be restored, it remains the one to restore, instead of the level in between.
    type: str
  restore:
    description:
      - Restore now the level that O(restore_after) would restore later. Nothing is changed if there is none.
    type: bool
    default: false
  all_instances:
    description:
      - Set the level on every running instance of the host. RV(instances) has a result for each.
      - Mutually exclusive with O(socket_dir), O(name) and O(pid).
    version_added: 0.2.0
notes:
  - The level applies to the whole daemon. It is sent to the listener, or to the stratifier of a build that supports the operator's
    guide. The stratifier of public builds accepts any number.
seealso:
  - module: ckpool.fleet.ckpool_dropuser
"""

EXAMPLES = r"""
- name: Log everything
  ckpool.fleet.ckpool_loglevel:
    level: debug

- name: Log everything for ten minutes, even if the controller goes away
  ckpool.fleet.ckpool_loglevel:
    level: debug
    restore_after: 10m
  register: log

- name: Show the earlier level
  ansible.builtin.debug:
    msg: "It was {{ log.previous }}{{ '' if log.previous_known else ', as far as is known' }}"

- name: Restore the earlier level now
  ckpool.fleet.ckpool_loglevel:
    restore: true

- name: Set the daemon's default on every pool of the host
  ckpool.fleet.ckpool_loglevel:
    level: 5
    all_instances: true
"""

RETURN = r"""
level:
  description: The level now in force, or predicted in check mode. From 0 (emerg) to 7 (debug).
  returned: success, unless O(all_instances=true)
  type: int
  sample: 7
level_name:
  description: Name of the level.
  returned: success, unless O(all_instances=true)
  type: str
  sample: debug
previous:
  description: The level before, as last set on this process, from its command line, or the daemon's default.
  returned: success, unless O(all_instances=true)
  type: int
  sample: 5
previous_known:
  description: Whether RV(previous) was set on this very process before, rather than assumed.
  returned: success, unless O(all_instances=true)
  type: bool
  sample: false
returns:
  description: The level that will be restored, with O(restore_after). Null if none will.
  returned: success, unless O(all_instances=true)
  type: dict
  contains:
    to:
      description: The level to restore.
      type: int
      sample: 5
    at:
      description: Time at which it will be restored, in epoch seconds.
      type: int
      sample: 1795386064
    timer:
      description: What restores it, a systemd unit or C(pid N), a process that waits. Null in check mode, and if nothing does.
      type: str
      sample: ckpool-fleet-loglevel-4242-1843211
reply:
  description: Reply of the daemon. Null if nothing was sent.
  returned: success, unless O(all_instances=true)
  type: str
  sample: success
instances:
  description:
    - The result for each instance, with the same keys as for one. If an instance failed, its result has C(failed), and C(phase), C(path),
      C(reason), C(hint) and C(msg) of the failure. The task fails as well then, with the results of the other instances.
  returned: O(all_instances=true)
  type: list
  elements: dict
  sample: []
instance:
  description: The instance, as it was last seen. Null if there is none.
  returned: success, unless O(all_instances=true)
  type: dict
  contains:
    name:
      description: The daemon's name, from its command line, or from its directory if it has ended.
      type: str
      sample: ckpool
    mode:
      description: The daemon's mode, from its command line. One of V(pool), V(solo), V(proxy), V(passthrough), V(redirector) and V(node).
      type: str
      sample: pool
    socket_dir:
      description: Its socket directory, as the daemon sees it.
      type: str
      sample: /tmp/ckpool
    log_dir:
      description: Its log directory, as the daemon sees it, from its open files or its configuration. Null if unknown.
      type: str
      sample: /var/log/ckpool
    pid:
      description: Its process ID, as seen from the host. Null if there is none.
      type: int
      sample: 4242
    started:
      description: Time at which its process was started, in epoch seconds. Null if it does not run.
      type: int
      sample: 1795385226
    root:
      description: Where the host sees its file system. V(/), or C(/proc/PID/root) for a container or a unit with C(PrivateTmp).
      type: str
      sample: /
    user:
      description: Owner of its process, or of its directory if it has ended. Null if unknown.
      type: str
      sample: ckpool
    state:
      description:
        - V(ok) if it answers and has work. V(degraded) if a part of it does not answer. V(starting) if it has no work yet. V(hung) if it
          accepts connections and does not answer. V(down) if nothing listens. V(unknown) if it cannot be asked, because its sockets
          are not accessible, or because another process or nonsense answers on them. Null if it was not asked.
      type: str
      sample: ok
problems:
  description: What else could not be done, by area, with the reason. C(memory) if the level could not be stored. C(timer) if nothing on
    the host will restore it.
  returned: success, unless O(all_instances=true)
  type: dict
  sample: {}
msg:
  description: The result in one sentence.
  returned: always
  type: str
  sample: "ckpool (/tmp/ckpool): log level 7 (debug), before 5 (notice) as far as is known"
phase:
  description: The phase that failed. One of V(options), V(find), V(connect), V(ask), V(read) and V(parse).
  returned: failure
  type: str
  sample: connect
path:
  description: The socket, file or directory that the failure is about. Null if it is about none.
  returned: failure
  type: str
  sample: /tmp/ckpool/listener
reason:
  description: The reason for the failure, as a short, stable code.
  returned: failure
  type: str
  sample: not_permitted
hint:
  description: What to check or try next. Empty if nothing is known to help.
  returned: failure
  type: str
  sample: "use become: true"
"""

import functools
import typing as t

from ansible_collections.ckpool.fleet.plugins.module_utils import _compile_once  # noqa: F401  # pylint: disable=unused-import
from ansible_collections.ckpool.fleet.plugins.module_utils._control import Control
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import BadInput
from ansible_collections.ckpool.fleet.plugins.module_utils._module import (
    PoolModule,
    Result,
    controlled,
    for_each,
    run,
)
from ansible_collections.ckpool.fleet.plugins.module_utils._options import check_range
from ansible_collections.ckpool.fleet.plugins.module_utils._orders.log_level import (
    LEVELS,
    LevelChange,
    parse_level,
)
from ansible_collections.ckpool.fleet.plugins.module_utils._results import describe, together
from ansible_collections.ckpool.fleet.plugins.module_utils._units import parse_duration

_MONTH = 30 * 86400
_Work = t.Callable[[Control], LevelChange]


def work(module: PoolModule) -> Result:
    """Set the level of one pool or of all."""
    act = chosen(module)
    if not module.params["all_instances"]:
        return one(module, Control.find(**module.instance_options()), act)
    everyone = functools.partial(Control.find_all, **module.search_options())
    return together(for_each(module, everyone, lambda control: one(module, control, act)))


def chosen(module: PoolModule) -> _Work:
    """The change that the options ask for, as a function of a pool."""
    check = module.check_mode
    if module.params["restore"]:
        if module.params["level"] is not None or module.params["restore_after"] is not None:
            raise BadInput("restore takes neither level nor restore_after", reason="bad_input")
        return lambda control: control.restore_log_level(check)
    level, after = parse_level(module.params["level"]), module.params["restore_after"]
    seconds = None if after is None else parse_duration(after)
    check_range("restore_after", seconds, 1, _MONTH)
    return lambda control: control.set_log_level(level, seconds, check)


def one(module: PoolModule, control: Control, act: _Work) -> Result:
    """The result of one pool."""
    found = act(control)
    sure = "" if found.known else " as far as is known"
    back = ""
    if found.returns:
        when = f"in {module.params['restore_after']}" if found.returns.timer or module.check_mode else "on request"
        back = f"; {named(found.returns.to)} is restored {when}"
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
    """A level as number and name."""
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
