# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Accept, hold, redirect or drop the miners of a running ckpool."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ckpool_clients
short_description: Accept, hold, redirect or drop the miners of a running ckpool
version_added: 0.2.0
author: The ckpool.fleet contributors (@ckpool-fleet)
description:
  - Accepts miners, holds them, redirects them to another pool, or drops their connections. This applies to all of them at once.
  - Without options, the module uses the only pool of the host. If there are several, choose one by O(socket_dir), O(name) or O(pid).
  - Use M(ckpool.fleet.ckpool_dropuser) for some of the miners, and M(ckpool.fleet.ckpool_shutdown) to drain a pool before it ends.
extends_documentation_fragment:
  - ckpool.fleet.pool
  - ckpool.fleet.pool.redirect
  - ckpool.fleet.pool.pid
  - ckpool.fleet.attributes
  - ckpool.fleet.attributes.control_module
  - ckpool.fleet.attributes.actiongroup_ckpool
options:
  state:
    description:
      - V(accepting) accepts connections and shares, as a daemon does from its start.
      - V(rejecting) stops that. It does not drain the pool. Miners remain connected, but their shares are not read until the pool accepts
        again. They are then taken all at once, unless they are stale by that time. New miners connect and get no answer, which most of
        them treat as a network failure. A passthrough drops all of its miners.
      - V(redirected) tells every miner to connect to O(redirect_to). Nearly all of them leave within a second. A miner that ignores this
        stays connected, but its shares are no longer accepted, so it should be dropped. Some miners deliberately ignore a redirection
        to another host, and connect to this one again.
      - V(dropped) closes every connection at once, without notice. Miners treat this as a network failure. They connect again within
        seconds, or go to the next pool in their list.
    type: str
    required: true
    choices: [accepting, rejecting, redirected, dropped]
  redirect_to:
    description:
      - The pool to which miners should connect, as V(HOST:PORT), with O(state=redirected).
    type: str
  accept_after:
    description:
      - Time after which the pool accepts miners again, with O(state=rejecting). Seconds, or a number with a unit, V(s), V(m), V(h), V(d)
        or V(w), such as V(90s) or V(10m), up to 7 days. V(0) leaves it rejecting until it is told to accept, or restarted.
      - The host itself does this, by a transient systemd timer or by a process that waits. It happens even if the controller or the
        connection is gone. It has no effect if the daemon has been restarted in the meantime.
    type: str
    default: 15m
    version_added: 0.4.0
  wait:
    description:
      - Seconds to wait for the miners to leave, from V(0) to V(60), with O(state=redirected) and O(state=dropped). The wait ends once all
        of them have left.
    type: float
    default: 5.0
notes:
  - A daemon cannot be asked whether it accepts. V(accepting) and V(rejecting) are therefore always sent. RV(ignore:changed) is based on
    what this module last set on this very process, or on the assumption that it accepts since its start. RV(previous_known) says
    which of the two.
  - V(redirected) and V(dropped) change nothing if no miner is connected, by the connector's count.
seealso:
  - module: ckpool.fleet.ckpool_dropuser
  - module: ckpool.fleet.ckpool_shutdown
"""

EXAMPLES = r"""
- name: Redirect all miners to the spare pool
  ckpool.fleet.ckpool_clients:
    state: redirected
    redirect_to: spare.example.org:3333
  register: redirected

- name: Show how many have not left
  ansible.builtin.debug:
    msg: "{{ redirected.clients_after }} of {{ redirected.clients_before }} are still connected"

- name: Hold the miners while the node restarts, for 5 minutes at most
  ckpool.fleet.ckpool_clients:
    state: rejecting
    accept_after: 5m

- name: Accept them again
  ckpool.fleet.ckpool_clients:
    state: accepting
"""

RETURN = r"""
state:
  description: The state that was requested.
  returned: success
  type: str
  sample: redirected
previous:
  description: V(accepting) or V(rejecting), as far as this is known. Null with O(state=redirected) and O(state=dropped).
  returned: success
  type: str
  sample: accepting
previous_known:
  description: Whether RV(previous) was set on this very process before, rather than assumed.
  returned: success
  type: bool
  sample: false
accepts_at:
  description: Time at which the host makes the pool accept again, in epoch seconds. Null if it does not.
  returned: success
  type: int
  sample: 1795386364
  version_added: 0.4.0
timer:
  description: What makes the pool accept again, a systemd unit or C(pid N), a process that waits. Null in check mode, and if nothing does.
  returned: success
  type: str
  sample: ckpool-fleet-accept-4242-1843211
  version_added: 0.4.0
clients_before:
  description: Number of connected miners before, by the connector's count. Null if it does not answer.
  returned: success
  type: int
  sample: 120
clients_after:
  description: Number of connected miners afterwards, or after O(wait). In check mode the same as before.
  returned: success
  type: int
  sample: 0
reply:
  description: Reply of the daemon. Null in check mode, if there was nothing to do, and with O(state=dropped), which has no reply.
  returned: success
  type: str
  sample: reconnecting
instance:
  description: The instance, as it was last seen. Null if there is none.
  returned: success, or failure after the instance was found
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
  description: What else could not be done, by area, with the reason.
  returned: success, or failure after the instance was found
  type: dict
  sample: {}
msg:
  description: The result in one sentence.
  returned: always
  type: str
  sample: "ckpool (/tmp/ckpool): redirected to spare.example.org:3333, 0 of 120 clients are left"
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
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import PoolError
from ansible_collections.ckpool.fleet.plugins.module_utils._module import PoolModule, Result, controlled, run
from ansible_collections.ckpool.fleet.plugins.module_utils._names import parse_address
from ansible_collections.ckpool.fleet.plugins.module_utils._options import check_range
from ansible_collections.ckpool.fleet.plugins.module_utils._orders import accepting
from ansible_collections.ckpool.fleet.plugins.module_utils._results import describe
from ansible_collections.ckpool.fleet.plugins.module_utils._units import parse_duration

_WEEK = 7 * 86400


def work(module: PoolModule) -> Result:
    """Accept, reject, redirect or drop the miners."""
    module.check_ranges(wait=(0, 60))
    state, redirect_to = module.params["state"], module.params["redirect_to"]
    if state == "redirected":
        parse_address(redirect_to)
    control = Control.find(**module.instance_options())
    control.require_listener()
    if state == "redirected" and module.params["redirect_check"]:
        control.require_redirect(redirect_to)
    return (
        accept_or_reject(module, control, state)
        if state in ("accepting", "rejecting")
        else send_away(module, control, state)
    )


def accept_or_reject(module: PoolModule, control: Control, wanted: str) -> Result:
    """Accept miners, or reject them."""
    seconds = parse_duration(module.params["accept_after"]) or None
    check_range("accept_after", seconds, 1, _WEEK)
    previous, known = accepting.current(control)
    left = control.left_rejecting()
    clients = control.clients()
    done = accepting.AcceptingChange()
    if not module.check_mode:
        done = control.accept() if wanted == "accepting" else control.reject(seconds, "ckpool_clients")
    sure = "" if known else " as far as is known"
    by = f", left rejecting by {left.by}" if left else ""
    until = f" until it accepts again by itself in {module.params['accept_after']}" if done.timer else ""
    return controlled(
        module,
        control.instance,
        f"{describe(control.instance)}: {wanted} miners{until}, before {previous}{sure}{by}",
        {"miners": (previous, wanted)},
        state=wanted,
        previous=previous,
        previous_known=known,
        accepts_at=done.accepts_at,
        timer=done.timer,
        clients_before=clients,
        clients_after=clients,
        reply=done.reply,
        problems=done.problems,
    )


def send_away(module: PoolModule, control: Control, state: str) -> Result:
    """Redirect all miners, or drop them."""
    before = control.clients()
    if before is None:
        raise PoolError(
            "the connector does not report how many miners are connected, so nothing was done",
            control.instance.socket("connector"),
            "check it with ckpool_health_info",
            reason="clients_unknown",
        )
    after: t.Optional[int] = before
    reply = None
    if before and not module.check_mode:
        if state == "redirected":
            reply = control.reconnect(module.params["redirect_to"])
        else:
            control.drop_all()
        after = control.wait_for_clients(0, module.params["wait"])
    left = 0 if module.check_mode else after
    where = f"{state} to {module.params['redirect_to']}" if state == "redirected" else state
    return controlled(
        module,
        control.instance,
        f"{describe(control.instance)}: {where}, {'-' if left is None else left} of {before} clients are left",
        {"clients": (f"{before} connected", f"{before} {where}" if before else "0 connected")},
        state=state,
        previous=None,
        previous_known=False,
        accepts_at=None,
        timer=None,
        clients_before=before,
        clients_after=after,
        reply=reply,
        problems={},
    )


def main() -> None:
    """Run the module."""
    options = {
        "state": {"type": "str", "required": True, "choices": ["accepting", "rejecting", "redirected", "dropped"]},
        "redirect_to": {"type": "str"},
        "redirect_check": {"type": "bool", "default": True},
        "accept_after": {"type": "str", "default": "15m"},
        "wait": {"type": "float", "default": 5.0},
    }
    run(PoolModule(options, required_if=[("state", "redirected", ["redirect_to"])]), work)


if __name__ == "__main__":
    main()
