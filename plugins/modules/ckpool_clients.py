# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say what happens to the miners of a running ckpool."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ckpool_clients
short_description: Say what happens to the miners of a running ckpool
version_added: 0.2.0
author: The ckpool.fleet contributors (@ckpool-fleet)
description:
  - Lets miners in, keeps them waiting, sends them elsewhere or cuts them off, all of them at once.
  - M(ckpool.fleet.ckpool_dropuser) does so for some of them, M(ckpool.fleet.ckpool_shutdown) before the pool ends.
extends_documentation_fragment:
  - ckpool.fleet.pool
  - ckpool.fleet.attributes
  - ckpool.fleet.attributes.control_module
  - ckpool.fleet.attributes.actiongroup_ckpool
options:
  state:
    description:
      - V(accepting) lets miners in and reads what they say, as a daemon does from its start.
      - V(rejecting) stops that. It is no drain. Miners that are connected stay, but their shares are not read until the
        pool accepts again, and are then taken all at once, if they are not stale by then. New miners connect and get no
        answer, which most take for a network failure. A passthrough drops all of its miners.
      - V(redirected) tells every miner to go to O(redirect_to). Nearly all leave within a second. Of a miner that
        ignores it the connection stays, but its shares are not accepted any more, so it should be dropped. Some miners
        ignore a redirection to another host on purpose, and come back to this one.
      - V(dropped) closes every connection at once, without a word. Miners take that for a network failure and come back
        within seconds, or go to the next pool of their list.
    type: str
    required: true
    choices: [accepting, rejecting, redirected, dropped]
  redirect_to:
    description:
      - Where miners shall go, as V(HOST:PORT), with O(state=redirected).
    type: str
  wait:
    description:
      - Seconds in which the miners have to be gone, from V(0) to V(60), with O(state=redirected) and O(state=dropped).
        It ends as soon as they are.
    type: float
    default: 5.0
notes:
  - Whether a daemon accepts cannot be asked. So V(accepting) and V(rejecting) are always sent, and RV(ignore:changed) rests
    on what this module last set on this very process, or on a daemon's accepting from its start. RV(previous_known) says
    which.
  - V(redirected) and V(dropped) change nothing if no miner is connected, by the count of the daemon's connector.
"""

EXAMPLES = r"""
- name: Send all miners to the spare pool
  ckpool.fleet.ckpool_clients:
    state: redirected
    redirect_to: spare.example.org:3333
  register: sent

- name: Show how many did not go
  ansible.builtin.debug:
    msg: "{{ sent.clients_after }} of {{ sent.clients_before }} are still here"

- name: Keep miners waiting while the node restarts
  ckpool.fleet.ckpool_clients:
    state: rejecting

- name: Let them in again
  ckpool.fleet.ckpool_clients:
    state: accepting
"""

RETURN = r"""
state:
  description: What was asked for.
  returned: success
  type: str
  sample: redirected
previous:
  description: V(accepting) or V(rejecting), as far as it is known. Null with O(state=redirected) and O(state=dropped).
  returned: success
  type: str
  sample: accepting
previous_known:
  description: Whether RV(previous) is what was last set on this very process, and no assumption.
  returned: success
  type: bool
  sample: false
clients_before:
  description: Connections of miners before, as the connector counts them. Null if it does not tell.
  returned: success
  type: int
  sample: 120
clients_after:
  description: The same afterwards, or at the end of O(wait). In check mode the same as before.
  returned: success
  type: int
  sample: 0
reply:
  description: What the daemon replied. Null in check mode, if there was nothing to do, and for V(dropped), which has no reply.
  returned: success
  type: str
  sample: reconnecting
instance:
  description: The pool that was told.
  returned: success, or failure after the pool was found
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
  description: What could not be done besides, by area, and why.
  returned: success, or failure after the pool was found
  type: dict
  sample: {}
msg:
  description: What was done, in one sentence.
  returned: always
  type: str
  sample: "ckpool (/tmp/ckpool): redirected to spare.example.org:3333, 0 of 120 clients are left"
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
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import PoolError
from ansible_collections.ckpool.fleet.plugins.module_utils._module import PoolModule, Result, controlled, describe, run
from ansible_collections.ckpool.fleet.plugins.module_utils._names import parse_address


def work(module: PoolModule) -> Result:
    """Do to the miners what was asked for."""
    module.check_ranges(wait=(0, 60))
    state, redirect_to = module.params["state"], module.params["redirect_to"]
    if state == "redirected":
        parse_address(redirect_to)
    control = Control.find(module.params["socket_dir"], module.params["name"], **module.common())
    control.must_listen()
    return (
        set_gate(module, control, state) if state in ("accepting", "rejecting") else send_away(module, control, state)
    )


def set_gate(module: PoolModule, control: Control, gate: str) -> Result:
    """Let miners in, or keep them waiting."""
    previous, known = control.known_gate()
    clients = control.clients()
    reply = None if module.check_mode else control.set_gate(gate)
    problem = control.remember(gate=gate) if reply is not None else ""
    sure = "" if known else " as far as one can know"
    return controlled(
        module,
        control.instance,
        f"{describe(control.instance)}: {gate} miners, before {previous}{sure}",
        {"miners": (previous, gate)},
        state=gate,
        previous=previous,
        previous_known=known,
        clients_before=clients,
        clients_after=clients,
        reply=reply,
        problems={"memory": problem} if problem else {},
    )


def send_away(module: PoolModule, control: Control, state: str) -> Result:
    """Send all miners elsewhere, or cut them off."""
    before = control.clients()
    if before is None:
        raise PoolError(
            "the connector does not tell how many miners are connected, so nothing was done",
            control.instance.socket("connector"),
            "see ckpool_health_info",
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
        "wait": {"type": "float", "default": 5.0},
    }
    run(PoolModule(options, required_if=[("state", "redirected", ["redirect_to"])]), work)


if __name__ == "__main__":
    main()
