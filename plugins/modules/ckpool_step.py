# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at a ckpool, or take one step of its control."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ckpool_step
short_description: Look at a ckpool, or take one step of its control
version_added: 0.2.0
author: The ckpool.fleet contributors (@ckpool-fleet)
description:
  - One short call of which M(ckpool.fleet.ckpool_shutdown), M(ckpool.fleet.ckpool_restart) and M(ckpool.fleet.ckpool_wait)
    are made. Use these; use this for procedures of your own.
  - It never waits for an effect. After a step it looks how the pool is, and so does the next call.
  - Every step but V(look) and V(clean) is meant for one process, and does nothing if the pool's is not that one any more.
extends_documentation_fragment:
  - ckpool.fleet.pool
  - ckpool.fleet.attributes
  - ckpool.fleet.attributes.actiongroup_ckpool
attributes:
  check_mode:
    support: full
    description: Can run in C(check_mode) and return changed status prediction without modifying target.
    details:
      - A step is not taken then, but what has to hold for it is looked at.
  diff_mode:
    support: none
    description: >-
      Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
  idempotent:
    support: none
    description: >-
      When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
    details:
      - A step is taken whenever it is asked for.
options:
  step:
    description:
      - V(look) only looks.
      - V(accept), V(reject) and V(reconnect) tell the daemon what to do with its miners, see M(ckpool.fleet.ckpool_clients).
      - V(shutdown) and V(restart) tell it to end, or to hand over to a new process.
      - V(stop_service) has systemd stop O(service), without waiting for it.
      - V(terminate) and V(kill) send C(SIGTERM) and C(SIGKILL) to the process.
      - V(clean) removes what an ended daemon left in its socket directory, if it is down.
    type: str
    choices: [look, accept, reject, reconnect, shutdown, restart, stop_service, terminate, kill, clean]
    default: look
  pid:
    description:
      - The process that the step is meant for, from RV(process.pid) of an earlier look.
    type: int
  started:
    description:
      - When that process started, from RV(process.started).
    type: int
  redirect_to:
    description:
      - Where miners shall go, as V(HOST:PORT), with O(step=reconnect). Without it they come back to this pool.
    type: str
  service:
    description:
      - The systemd unit to stop, with O(step=stop_service).
    type: str
  wants:
    description:
      - What else to look for. V(stats) takes users, workers, hashrate and the age of the work, V(service) the systemd unit of
        the process, V(handover) what would make a restart fail, V(holders) the processes that hold the sockets.
    type: list
    elements: str
    choices: [stats, service, handover, holders]
    default: []
seealso:
  - module: ckpool.fleet.ckpool_shutdown
  - module: ckpool.fleet.ckpool_restart
  - module: ckpool.fleet.ckpool_wait
"""

EXAMPLES = r"""
- name: Look at the pool of this host
  ckpool.fleet.ckpool_step:
    wants: [service, handover]
  register: pool

- name: Have exactly that process tell its miners to connect anew
  ckpool.fleet.ckpool_step:
    step: reconnect
    pid: "{{ pool.process.pid }}"
    started: "{{ pool.process.started }}"
  when: pool.process.state == 'alive'
"""

RETURN = r"""
found:
  description: Whether there is a pool, or what one left. If not, nothing runs and nothing has to be stopped.
  returned: success
  type: bool
  sample: true
instance:
  description: The pool as it is after the step. Null if there is none.
  returned: success
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
      description:
        - V(ok) if it answers, V(starting) if it has no work yet, V(hung) if it accepts and does not answer, V(down) if
          nothing listens, V(degraded) if only its stratifier is gone, V(unknown) if its sockets may not be used.
      type: str
      sample: ok
process:
  description: The pool's process.
  returned: success
  type: dict
  contains:
    pid:
      description: Its process id. Null if there is none.
      type: int
      sample: 4242
    started:
      description: When it started, in clock ticks since the host's boot. With the pid that names it for good.
      type: int
      sample: 1843211
    state:
      description:
        - V(alive), V(dead) if C(main.pid) names a process that is gone, V(another) if it names somebody else's, V(hidden) if
          we may not see whose, V(absent) if there is no C(main.pid).
      type: str
      sample: alive
answers:
  description: What came of a ping, by socket, V(reply) or why there was none.
  returned: success
  type: dict
  sample: {"connector": "reply", "generator": "reply", "listener": "reply", "stratifier": "reply"}
clients:
  description: Connections of miners, as the connector counts them. Null if it does not tell.
  returned: success
  type: int
  sample: 120
ready:
  description: Whether miners can work. The stratifier, the generator and the connector answer, and there is work.
  returned: success
  type: bool
  sample: true
down:
  description: Whether its process is gone, and every socket refuses or is absent.
  returned: success
  type: bool
  sample: false
leftovers:
  description: Files of the socket directory that nobody stands behind any more.
  returned: success
  type: list
  elements: str
  sample: [listener, stratifier, connector, generator]
stats:
  description: Users, workers, hashrate and the age of the work. What is not known is null.
  returned: O(wants) has V(stats), else null
  type: dict
  contains:
    users:
      description: Users with workers.
      type: int
      sample: 3
    workers:
      description: Workers.
      type: int
      sample: 12
    hashrate1m:
      description: Hashrate over 1 minute, in H/s.
      type: float
      sample: 38500000.0
    work_age:
      description: Seconds since the last piece of work, from the log.
      type: float
      sample: 12.3
    source:
      description: Where it came from, V(guide), V(api) or V(files).
      type: str
      sample: files
    as_of:
      description: When the source made it, in epoch seconds.
      type: int
      sample: 1795385464
service:
  description: The systemd unit of the process. Null if it has none.
  returned: O(wants) has V(service), else null
  type: dict
  sample: {"exit_type": "cgroup", "kill_mode": "control-group", "main_pid": 0, "restart": "always", "type": "simple", "unit": "ckpool.service"}
handover:
  description: What would make a restart fail.
  returned: O(wants) has V(handover), else null
  type: dict
  contains:
    obstacles:
      description: One dictionary for each obstacle, with C(reason), C(message) and C(hint).
      type: list
      elements: dict
      sample: []
holders:
  description: The processes that hold the pool's listening sockets, with C(pid) and C(command).
  returned: O(wants) has V(holders), else null
  type: list
  elements: dict
  sample: [{"command": "/usr/local/bin/ckpool -c /etc/ckpool.conf", "pid": 4242}]
removed:
  description: What V(clean) removed.
  returned: O(step=clean), else null
  type: list
  elements: str
  sample: [main.pid]
reply:
  description: The daemon's reply to the step. Null where there is none.
  returned: success
  type: str
  sample: exiting
problems:
  description: What could not be had, by area, and why.
  returned: success
  type: dict
  sample: {}
log_tail:
  description: The last lines of its log, where they may be read.
  returned: the pool is down or hung
  type: list
  elements: str
  sample: ["[2026-11-22 22:09:25.734] Listener received shutdown message, terminating ckpool"]
msg:
  description: What was done and what was found, in one sentence.
  returned: always
  type: str
  sample: "ckpool (/tmp/ckpool) is ok, 120 clients"
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

from ansible_collections.ckpool.fleet.plugins.module_utils._control import Control, Instance, Sight
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import BadInput, NotFound, PoolError
from ansible_collections.ckpool.fleet.plugins.module_utils._module import PoolModule, Result, describe, run
from ansible_collections.ckpool.fleet.plugins.module_utils._names import parse_address

_STEPS = (
    "look", "accept", "reject", "reconnect", "shutdown", "restart", "stop_service", "terminate", "kill", "clean",
)  # fmt: skip
_FOR_ANY_PROCESS = ("look", "clean")
_DOWN_STATES = ("down", "hung")


def work(module: PoolModule) -> Result:
    """Take the step, then look."""
    options = module.params
    if options["redirect_to"] is not None:
        parse_address(options["redirect_to"])
    done: Result = {"changed": False, "reply": None, "removed": None}
    if options["step"] != "look":
        done = take(module, find(module))
    try:
        control = find(module)
    except NotFound as exc:
        if exc.reason != "no_instance":
            raise
        return {**done, **nothing(str(exc))}
    return {**done, **seen(module, control)}


def find(module: PoolModule) -> Control:
    """The pool, as it is now."""
    return Control.find(module.params["socket_dir"], module.params["name"], **module.common())


def take(module: PoolModule, control: Control) -> Result:
    """Take a step, unless in check mode."""
    step, pid, started = module.params["step"], module.params["pid"], module.params["started"]
    if step not in _FOR_ANY_PROCESS:
        if pid is None or started is None:
            raise BadInput(f"step {step} needs pid and started, of the process that it is meant for")
        control.expect(pid, started)
    if step == "clean":
        removed = control.clean(module.check_mode)
        return {"changed": bool(removed), "reply": None, "removed": removed}
    reply = None if module.check_mode else tell(control, step, module.params)
    return {"changed": True, "reply": reply, "removed": None}


def tell(control: Control, step: str, options: t.Dict[str, t.Any]) -> t.Optional[str]:
    """Do one step to the pool; the daemon's reply where it has one."""
    if step in ("accept", "reject"):
        gate = f"{step}ing"
        reply = control.set_gate(gate)
        control.remember(gate=gate)
        return reply
    if step == "reconnect":
        return control.reconnect(options["redirect_to"])
    if step in ("shutdown", "restart"):
        return control.shutdown() if step == "shutdown" else control.restart()
    if step == "stop_service":
        control.stop_service(options["service"])
    else:
        control.signal(step)
    return None


def nothing(why: str) -> Result:
    """The look at a pool that is not there."""
    return {
        "found": False,
        "instance": None,
        "process": {"pid": None, "started": None, "state": "absent"},
        "answers": {},
        **shown(Sight(state="down", down=True)),
        **dict.fromkeys(("stats", "service", "handover", "holders")),
        "msg": why,
    }


def seen(module: PoolModule, control: Control) -> Result:
    """The look at a pool, with what else is wanted."""
    sight, instance = control.look(), control.instance
    result: Result = {
        "found": True,
        "instance": instance.as_dict(sight.state),
        "process": {"pid": instance.pid, "started": instance.start_ticks, "state": instance.pid_state},
        "answers": sight.answers,
        **shown(sight),
        **extras(module, control, sight.problems),
        "msg": sentence(instance, sight),
    }
    if sight.state in _DOWN_STATES:
        result["log_tail"] = instance.last_log_lines()
    return result


def shown(sight: Sight) -> Result:
    """What a look found, under the names of the result."""
    return {name: getattr(sight, name) for name in ("clients", "ready", "down", "leftovers", "problems")}


def extras(module: PoolModule, control: Control, problems: t.Dict[str, str]) -> Result:
    """What a look costs more for; None for what is not wanted or cannot be had."""
    found: Result = dict.fromkeys(("stats", "service", "handover", "holders"))
    sources: t.Dict[str, t.Callable[[], t.Any]] = {
        "stats": lambda: figures(module, control),
        "service": control.service,
        "handover": control.handover,
        "holders": control.holders,
    }
    for name in module.params["wants"]:
        try:
            found[name] = sources[name]()
        except PoolError as exc:
            problems[name] = f"{exc}" + (f" ({exc.hint})" if exc.hint else "")
    return found


def figures(module: PoolModule, control: Control) -> Result:
    """Users, workers, hashrate in H/s and the age of the work in seconds; None for what is not known."""
    from ansible_collections.ckpool.fleet.plugins.module_utils._pool import Pool  # few looks want it

    return Pool(control.instance, **module.how()).figures()


def sentence(instance: Instance, sight: Sight) -> str:
    """A look for a person."""
    clients = "" if sight.clients is None else f", {sight.clients} clients"
    return f"{describe(instance)} is {sight.state}{clients}"


def main() -> None:
    """Run the module."""
    wants = {"type": "list", "elements": "str", "default": [], "choices": ["stats", "service", "handover", "holders"]}
    options = {
        "step": {"type": "str", "default": "look", "choices": list(_STEPS)},
        "pid": {"type": "int"},
        "started": {"type": "int"},
        "redirect_to": {"type": "str"},
        "service": {"type": "str"},
        "wants": wants,
    }
    run(PoolModule(options, required_if=[("step", "stop_service", ["service"])]), work)


if __name__ == "__main__":
    main()
