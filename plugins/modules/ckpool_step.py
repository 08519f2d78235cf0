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
  - The short call that M(ckpool.fleet.ckpool_shutdown), M(ckpool.fleet.ckpool_restart) and M(ckpool.fleet.ckpool_wait) consist of. Prefer
    these modules, and use this one for your own procedures.
  - Without options, the module uses the only pool of the host. If there are several, choose one by O(socket_dir), O(name) or O(pid).
  - Never waits for an effect. It looks at the pool after a step, and so does the next call.
  - Every step except V(look) and V(clean) is intended for one process, and does nothing if the pool has another one by now.
extends_documentation_fragment:
  - ckpool.fleet.pool
  - ckpool.fleet.pool.redirect
  - ckpool.fleet.attributes
  - ckpool.fleet.attributes.control_module
  - ckpool.fleet.attributes.actiongroup_ckpool
attributes:
  check_mode:
    details:
      - A step is not taken in check mode, but its requirements are checked.
  diff_mode:
    support: none
  idempotent:
    support: none
    details:
      - The step is taken every time.
options:
  step:
    description:
      - V(look) only looks.
      - V(accept), V(reject) and V(reconnect) tell the daemon what to do with its miners, as described for M(ckpool.fleet.ckpool_clients). The
        host itself undoes V(reject) after O(accept_after).
      - V(shutdown) and V(restart) tell the daemon to end, or to hand over to a new process. Before V(restart), the daemon's program is tried,
        unless O(try_program=false). A process on the host then watches the handover, and frees the miners whose connections the new
        process inherits (O(sever)).
      - V(sever) closes connections of miners from outside (O(which)), as root. Miners notice this at once, and connect again. Only
        established connections to ports on which the process listens are closed.
      - V(stop_service) makes systemd stop O(service), and does not wait for it.
      - V(terminate) and V(kill) send C(SIGTERM) and C(SIGKILL) to the process.
      - V(clean) removes what an ended daemon left in its socket directory, if it is down.
    type: str
    choices: [look, accept, reject, reconnect, sever, shutdown, restart, stop_service, terminate, kill, clean]
    default: look
  pid:
    description:
      - The process that the step is intended for, from RV(process.pid) of an earlier look.
    type: int
  started:
    description:
      - The start time of that process, from RV(process.started) of an earlier look.
    type: int
  redirect_to:
    description:
      - The pool to which miners should connect, as V(HOST:PORT), with O(step=reconnect). If omitted, they connect to this pool again.
    type: str
  service:
    description:
      - The systemd unit to stop, with O(step=stop_service).
    type: str
  accept_after:
    description:
      - Seconds after which the host itself makes the pool accept miners again, with O(step=reject), even if the controller goes away, from V(0)
        to V(604800). V(0) disables this.
    type: float
    default: 60.0
    version_added: 0.4.0
  sever:
    description:
      - How to free the miners whose connections a new process inherits and never reads, with O(step=restart).
      - V(pidfd) closes the connections by copies of the process's own descriptors (Linux 5.6 or newer). V(sock_destroy) makes the kernel close
        them (C(INET_DIAG_DESTROY)). Both need root, or for V(pidfd) the daemon's user if the host allows users to trace their processes.
      - V(dropall) makes the daemon reject, close all connections that it knows, and restart one second later.
      - V(none) leaves them open. V(auto) uses the first of these that is possible.
    type: str
    choices: [auto, pidfd, sock_destroy, dropall, none]
    default: auto
    version_added: 0.4.0
  which:
    description:
      - Which connections to close with O(step=sever). V(stranded) closes those that nobody reads, and V(all) those of all miners.
    type: str
    choices: [stranded, all]
    default: stranded
    version_added: 0.4.0
  try_program:
    description:
      - Run the daemon's program with C(-h) before O(step=restart), as the daemon's user and without any other privileges. This is only done if it
        is the very file that is running, or if only root and that user could have put it there, and never in check mode.
    type: bool
    default: true
    version_added: 0.4.0
  predecessor:
    description:
      - The process that was told to restart, as V(PID:STARTED), with V(takeover) in O(wants).
    type: str
    version_added: 0.4.0
  wants:
    description:
      - What else to look for.
      - V(stats) returns users, workers, hashrate and the age of the work. V(service) returns the systemd unit of the process. V(handover) returns
        what would make a restart fail. V(holders) returns the processes that hold the sockets. V(connections) returns the connections of
        miners as the kernel has them. V(takeover) returns the progress of the restart of O(predecessor). V(redirect) returns whether something
        accepts connections at O(redirect_to). V(log_tail) returns the end of the log.
    type: list
    elements: str
    choices: [stats, service, handover, holders, connections, takeover, redirect, log_tail]
    default: []
seealso:
  - module: ckpool.fleet.ckpool_shutdown
  - module: ckpool.fleet.ckpool_restart
  - module: ckpool.fleet.ckpool_wait
"""

EXAMPLES = r"""
- name: Look at the pool on this host
  ckpool.fleet.ckpool_step:
    wants: [service, handover]
  register: pool

- name: Make this very process tell its miners to reconnect
  ckpool.fleet.ckpool_step:
    step: reconnect
    pid: "{{ pool.process.pid }}"
    started: "{{ pool.process.started }}"
  when: pool.process.state == 'alive'
"""

RETURN = r"""
found:
  description: Whether there is a pool, or anything that one left behind. If not, nothing runs, and nothing has to be stopped.
  returned: success
  type: bool
  sample: true
instance:
  description: The instance, as it was last seen. Null if there is none.
  returned: success
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
process:
  description: The pool's process.
  returned: success
  type: dict
  contains:
    pid:
      description: Its process ID. Null if there is none.
      type: int
      sample: 4242
    started:
      description: Its start time, in clock ticks since the host was booted. Together with the process ID, it identifies the process.
      type: int
      sample: 1843211
    state:
      description:
        - V(alive) if it runs. V(dead) if C(main.pid) names a process that is gone. V(another) if it names another program. V(hidden) if it
          cannot be determined whose process it is. V(absent) if there is no C(main.pid).
      type: str
      sample: alive
answers:
  description: Outcome of a ping for each socket, V(reply) or the reason why there was none.
  returned: success
  type: dict
  sample: {"connector": "reply", "generator": "reply", "listener": "reply", "stratifier": "reply"}
clients:
  description: Number of connected clients, by the connector's count. Null if it does not answer.
  returned: success
  type: int
  sample: 120
ready:
  description: Whether miners can work, that is, stratifier, generator and connector answer, and there is work.
  returned: success
  type: bool
  sample: true
down:
  description: Whether its process is gone, and every socket refuses connections or does not exist.
  returned: success
  type: bool
  sample: false
leftovers:
  description: Files in the socket directory that no process uses.
  returned: success
  type: list
  elements: str
  sample: [listener, stratifier, connector, generator]
stats:
  description: Users, workers, hashrate and the age of the work.
  returned: O(wants) contains V(stats), otherwise null
  type: dict
  contains:
    users:
      description: Number of users with workers. Null if unknown.
      type: int
      sample: 3
    workers:
      description: Number of workers. Null if unknown.
      type: int
      sample: 12
    hashrate1m:
      description: Hashrate over 1 minute, in H/s. Null if unknown.
      type: float
      sample: 38500000.0
    accepted:
      description: Sum of the difficulty of accepted shares over the life of the pool. Null if unknown.
      type: float
      sample: 36712811.0
      version_added: 1.0.0
    rejected:
      description: The same of rejected shares. Null if unknown.
      type: float
      sample: 5123.0
      version_added: 1.0.0
    shares_per_second:
      description: Mean number of accepted shares per second in the last 5 minutes. Null if unknown.
      type: float
      sample: 3.6
      version_added: 1.0.0
    shares:
      description: Number of shares that this process has accepted, from the stratifier's C(stats). Null if unknown.
      type: int
      sample: 5310
      version_added: 1.0.0
    work_age:
      description: Seconds since the last piece of work, from the log. Null if unknown.
      type: float
      sample: 12.3
    source:
      description: Where these statistics came from, as O(source). Null if there are none.
      type: str
      sample: files
    as_of:
      description: Time at which the source produced them, in epoch seconds. Null if there are none.
      type: int
      sample: 1795385464
service:
  description: The systemd unit of the process. Null if it has none.
  returned: O(wants) contains V(service), otherwise null
  type: dict
  sample: {"exit_type": "cgroup", "kill_mode": "control-group", "main_pid": 0, "restart": "always", "type": "simple", "unit": "ckpool.service"}
handover:
  description: What would make a restart fail.
  returned: O(wants) contains V(handover), otherwise null
  type: dict
  contains:
    obstacles:
      description: One dictionary for each obstacle, with C(reason), C(message) and C(hint).
      type: list
      elements: dict
      sample: []
holders:
  description: The processes that hold the pool's listening sockets, with C(pid) and C(command).
  returned: O(wants) contains V(holders), otherwise null
  type: list
  elements: dict
  sample: [{"command": "/usr/local/bin/ckpool -c /etc/ckpool.conf", "pid": 4242}]
connections:
  description: The connections of miners as the kernel has them.
  returned: O(wants) contains V(connections), otherwise null
  type: dict
  version_added: 0.4.0
  contains:
    held:
      description: Number of connections to its ports that the process holds, whether it counts them or not.
      type: int
      sample: 124
    stranded:
      description:
        - Number of these that are open but read by nobody. Either the process does not wait for data on them, as after a handover that left
          them, or data has arrived and was not read for 2 seconds, as while it rejects. Null if this cannot be determined.
      type: int
      sample: 4
    sever:
      description: What O(sever=auto) would choose for a restart.
      type: str
      sample: pidfd
takeover:
  description: The progress of the restart of O(predecessor), as seen by the process that watches it. Null if none does.
  returned: O(wants) contains V(takeover), otherwise null
  type: dict
  version_added: 0.4.0
  contains:
    state:
      description: V(waiting), V(taken_over), V(ended) if the new process has ended, or V(none) if there never was one.
      type: str
      sample: taken_over
    pid:
      description: The new process. Null if there is none.
      type: int
      sample: 4310
    inherited:
      description: Number of connections of miners that it inherited. Null if this cannot be determined.
      type: int
      sample: 16
    severed:
      description: Number of these that were closed.
      type: int
      sample: 16
    longest_gap:
      description:
        - Seconds from the request until the new process had accepted as many connections of miners as the old one served. No miner waited
          longer for this. By the clock of the host, with a look every 50 ms. Null if they have not returned.
      type: float
      sample: 0.31
    is_over:
      description: Whether the watch has ended.
      type: bool
      sample: true
    problem:
      description: What went wrong with watching or closing. Empty if nothing did.
      type: str
      sample: ""
redirect:
  description: Whether something accepts connections at O(redirect_to), as seen from the host.
  returned: O(wants) contains V(redirect) and O(redirect_to) is set, otherwise null
  type: dict
  version_added: 1.0.0
  contains:
    reachable:
      description: Whether it does.
      type: bool
      sample: false
    problem:
      description: Why not. Null if it does.
      type: str
      sample: "nothing accepts connections at spare.example.org:3333: Connection refused"
left_rejecting:
  description: What is known about a process that was told to reject, and not to accept again. Null if it accepts.
  returned: success
  type: dict
  version_added: 0.4.0
  contains:
    since:
      description: Time at which it was told, in epoch seconds.
      type: int
      sample: 1795385464
    accepts_at:
      description: Time at which the host makes it accept again, in epoch seconds. Null if it does not.
      type: int
      sample: 1795386364
    by:
      description: The module that told it.
      type: str
      sample: ckpool_clients
severed:
  description: Number of connections that V(sever) closed.
  returned: O(step=sever), otherwise null
  type: int
  version_added: 0.4.0
  sample: 4
removed:
  description: The files that V(clean) removed.
  returned: O(step=clean), otherwise null
  type: list
  elements: str
  sample: [main.pid]
reply:
  description: Reply of the daemon to the step. Null if there is none.
  returned: success
  type: str
  sample: exiting
problems:
  description: What could not be determined, by area, with the reason.
  returned: success
  type: dict
  sample: {}
log_tail:
  description: The last lines of the log, if it can be read.
  returned: the pool is down or hung, or O(wants) contains V(log_tail)
  type: list
  elements: str
  sample: ["[2026-11-22 22:09:25.734] BLOCK ACCEPTED!"]
msg:
  description: The result in one sentence.
  returned: always
  type: str
  sample: "ckpool (/tmp/ckpool) is ok, 120 clients"
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

import typing as t

from ansible_collections.ckpool.fleet.plugins.module_utils import _compile_once  # noqa: F401  # pylint: disable=unused-import
from ansible_collections.ckpool.fleet.plugins.module_utils._control import Control
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import BadInput, NotFound, PoolError
from ansible_collections.ckpool.fleet.plugins.module_utils._instance import Instance
from ansible_collections.ckpool.fleet.plugins.module_utils._module import PoolModule, Result, run
from ansible_collections.ckpool.fleet.plugins.module_utils._names import parse_address
from ansible_collections.ckpool.fleet.plugins.module_utils._observation import Observation
from ansible_collections.ckpool.fleet.plugins.module_utils._results import describe

_STEPS = (
    "look", "accept", "reject", "reconnect", "sever", "shutdown", "restart", "stop_service", "terminate", "kill",
    "clean",
)  # fmt: skip
_FOUND = ("stats", "service", "handover", "holders", "connections", "takeover", "redirect")
_WANTS = (*_FOUND, "log_tail")
_LONGEST = 604800.0
NOTHING_DONE: Result = dict.fromkeys(("reply", "removed", "severed"))
_FOR_ANY_PROCESS = ("look", "clean")
_DOWN_STATES = ("down", "hung")


def work(module: PoolModule) -> Result:
    """Take the step, then look."""
    options = module.params
    if options["redirect_to"] is not None:
        parse_address(options["redirect_to"])
    module.check_ranges(accept_after=(0, _LONGEST))
    predecessor(options)
    done: Result = {"changed": False, **NOTHING_DONE}
    before = None
    if options["step"] != "look":
        before = find(module, True)
        done = take(module, before)
    problems = done.pop("undone", {})
    try:
        control = find_again(module, before)
    except NotFound as exc:
        if exc.reason != "no_instance":
            raise
        return {**done, **nothing(str(exc))}
    found = seen(module, control)
    found["problems"].update(problems)
    return {**done, **found}


def find(module: PoolModule, is_step: bool = False) -> Control:
    """The pool as it is now.

    :arg is_step: accept that it has another process by now; the step itself refuses that with a better message.
    """
    try:
        return Control.find(**module.instance_options())
    except NotFound as exc:
        if not is_step or module.params["pid"] is None or exc.reason != "no_instance":
            raise
    return Control.find(**{**module.instance_options(), "pid": None})


def find_again(module: PoolModule, before: t.Optional[Control]) -> Control:
    """The pool after a step, which may have another process by now, or none.

    :arg before: the pool before the step.
    """
    try:
        return find(module)
    except NotFound:
        if before is None or before.instance.root or module.params["pid"] is None:
            raise
    return Control.find(**{**module.instance_options(), "pid": None, "socket_dir": before.instance.socket_dir})


def take(module: PoolModule, control: Control) -> Result:
    """Take a step, unless in check mode."""
    step, pid, started = module.params["step"], module.params["pid"], module.params["started"]
    if step not in _FOR_ANY_PROCESS:
        if pid is None or started is None:
            raise BadInput(f"step {step} needs pid and started, of the process that it is intended for")
        control.require_process(pid, started)
    if step == "reconnect" and module.params["redirect_to"] is not None and module.params["redirect_check"]:
        control.require_redirect(module.params["redirect_to"])
    if step == "clean":
        removed = control.clean(module.check_mode)
        return {"changed": bool(removed), **NOTHING_DONE, "removed": removed}
    if module.check_mode:
        return {"changed": True, **NOTHING_DONE}
    if step == "sever":
        severed = control.sever(module.params["which"] == "all")
        return {"changed": bool(severed), **NOTHING_DONE, "severed": severed}
    return {"changed": True, **NOTHING_DONE, **tell(control, step, module.params)}


def tell(control: Control, step: str, options: t.Dict[str, t.Any]) -> Result:
    """Take one step; the daemon's C(reply) if it has one, and what could not be C(undone)."""
    if step in ("accept", "reject"):
        seconds = options["accept_after"] or None
        done = control.accept() if step == "accept" else control.reject(seconds, "ckpool_step")
        return {"reply": done.reply, "undone": done.problems}
    if step == "reconnect":
        return {"reply": control.reconnect(options["redirect_to"])}
    if step == "restart":
        return {"reply": control.restart(options["sever"], options["try_program"])}
    if step == "shutdown":
        return {"reply": control.shutdown()}
    if step == "stop_service":
        control.stop_service(options["service"])
    else:
        control.signal(step)
    return {}


def predecessor(options: t.Dict[str, t.Any]) -> t.Optional[t.Tuple[int, int]]:
    """PID and start time of the process whose restart is asked about; None if there is none.

    :raises BadInput: they are malformed.
    """
    text = options["predecessor"]
    if not text:
        return None
    pid, colon, started = text.partition(":")
    if not (colon and pid.isdecimal() and started.isdecimal()):
        raise BadInput(f"predecessor must be PID:STARTED, not {text[:60]!r}", reason="bad_input")
    return int(pid), int(started)


def nothing(why: str) -> Result:
    """The result of a look if there is no pool."""
    return {
        "found": False,
        "instance": None,
        "process": {"pid": None, "started": None, "state": "absent"},
        "answers": {},
        **dict.fromkeys(("clients", "left_rejecting", *_FOUND)),
        "ready": False,
        "down": True,
        "leftovers": [],
        "problems": {},
        "msg": why,
    }


def seen(module: PoolModule, control: Control) -> Result:
    """The result of a look, with what else is wanted."""
    observed, instance = control.look(), control.instance
    left = control.left_rejecting()
    result: Result = {
        "found": True,
        "instance": instance.as_dict(observed.state),
        "process": {"pid": instance.pid, "started": instance.start_ticks, "state": instance.pid_state},
        "answers": observed.outcomes,
        "clients": observed.clients,
        "ready": observed.is_ready,
        "down": observed.is_down,
        "leftovers": observed.leftovers if observed.is_down else [],
        "left_rejecting": left.as_dict() if left else None,
        **extras(module, control, observed.problems),
        "problems": observed.problems,
        "msg": sentence(instance, observed),
    }
    if observed.state in _DOWN_STATES or "log_tail" in module.params["wants"]:
        from ansible_collections.ckpool.fleet.plugins.module_utils._sources.log.events import (
            log_tail,  # few looks want it
        )

        result["log_tail"] = log_tail(instance)
    return result


def extras(module: PoolModule, control: Control, problems: t.Dict[str, str]) -> Result:
    """What else is wanted, by name; None for what is not wanted or could not be determined.

    :arg problems: gets the reason for each that could not be determined.
    """
    found: Result = dict.fromkeys(_FOUND)
    sources: t.Dict[str, t.Callable[[], t.Any]] = {
        "stats": lambda: figures(module, control),
        "service": control.service,
        "handover": lambda: {"obstacles": control.obstacles()},
        "holders": control.holders,
        "connections": control.connections,
        "takeover": lambda: taken_over(module),
        "redirect": lambda: reachability(module.params["redirect_to"]),
    }
    for name in module.params["wants"]:
        if name not in sources:
            continue
        try:
            found[name] = sources[name]()
        except PoolError as exc:
            problems[name] = exc.with_hint
    return found


def reachability(redirect_to: str | None) -> Result | None:
    """Whether something accepts connections where the miners shall go; None if they shall go nowhere."""
    if redirect_to is None:
        return None
    try:
        Control.require_redirect(redirect_to)
    except PoolError as exc:
        return {"reachable": False, "problem": f"{exc}"}
    return {"reachable": True, "problem": None}


def taken_over(module: PoolModule) -> t.Optional[Result]:
    """The progress of the restart of the predecessor; None if nobody watches it."""
    process = predecessor(module.params)
    found = Control.handover_of(*process) if process else None
    return found.as_dict() if found else None


def figures(module: PoolModule, control: Control) -> Result:
    """Users, workers, hashrate in H/s and the age of the work in seconds; None for what is unknown."""
    from ansible_collections.ckpool.fleet.plugins.module_utils._pool import Pool  # few looks need it

    return Pool(control.instance, **module.connection_options()).figures()


def sentence(instance: Instance, observed: Observation) -> str:
    """A look as a sentence."""
    clients = "" if observed.clients is None else f", {observed.clients} clients"
    return f"{describe(instance)} is {observed.state}{clients}"


def main() -> None:
    """Run the module."""
    wants = {"type": "list", "elements": "str", "default": [], "choices": list(_WANTS)}
    options = {
        "step": {"type": "str", "default": "look", "choices": list(_STEPS)},
        "pid": {"type": "int"},
        "started": {"type": "int"},
        "redirect_to": {"type": "str"},
        "redirect_check": {"type": "bool", "default": True},
        "service": {"type": "str"},
        "accept_after": {"type": "float", "default": 60.0},
        "sever": {"type": "str", "default": "auto", "choices": ["auto", "pidfd", "sock_destroy", "dropall", "none"]},
        "which": {"type": "str", "default": "stranded", "choices": ["stranded", "all"]},
        "try_program": {"type": "bool", "default": True},
        "predecessor": {"type": "str"},
        "wants": wants,
    }
    run(PoolModule(options, required_if=[("step", "stop_service", ["service"])]), work)


if __name__ == "__main__":
    main()
