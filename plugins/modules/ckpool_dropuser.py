# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drop users, workers or single clients of a ckpool."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ckpool_dropuser
short_description: Drop users, workers or single clients of a ckpool
version_added: 0.2.0
author: The ckpool.fleet contributors (@ckpool-fleet)
description:
  - Closes the connections of some miners, and proves that they are gone.
  - A daemon that speaks the guide's dialect is given its own command, and one that answers the query API is asked who is
    connected. Public builds tell that nowhere but in their log, so it is read backwards from its end, with rotated files, to
    the start of the process, but no farther than needed.
  - A dropped miner takes that for a network failure and comes back within seconds. RV(returned) says who did within
    O(watch). To keep a miner away, block it before the pool.
extends_documentation_fragment:
  - ckpool.fleet.pool
  - ckpool.fleet.attributes
  - ckpool.fleet.attributes.control_module
  - ckpool.fleet.attributes.actiongroup_ckpool
options:
  users:
    description:
      - Users, all of whose clients are dropped. A user that nobody has heard of is not connected, and is not created.
    type: list
    elements: str
    default: []
  workers:
    description:
      - Names of workers, in full, such as V(alice.rig1), all of whose clients are dropped.
    type: list
    elements: str
    default: []
  client_ids:
    description:
      - Ids of single clients, as the log has them. They are valid for one run of the daemon.
    type: list
    elements: int
    default: []
  watch:
    description:
      - Seconds to look out for those who come back, from V(0) to V(600). It ends as soon as as many are back as were dropped.
    type: float
    default: 5.0
notes:
  - The daemon's connector is told which client to drop. Its stratifier knows the same command, and only forgets the client
    then, while its miner hangs on to the connection until it submits its next share.
  - At a log level below 5 (notice) public builds do not write who connects. Then the module fails and says so; other users
    and workers of the same task have been dropped nevertheless.
seealso:
  - module: ckpool.fleet.ckpool_clients
  - module: ckpool.fleet.ckpool_loglevel
"""

EXAMPLES = r"""
- name: Drop two users
  ckpool.fleet.ckpool_dropuser:
    users: [1BoatSLRHtKNngkdXEeobR76b53LETtpyT, bob]
  register: dropped

- name: Show what came of it
  ansible.builtin.debug:
    msg: "{{ dropped.msg }}"

- name: Drop one worker, and do not look who comes back
  ckpool.fleet.ckpool_dropuser:
    workers: [bob.rig3]
    watch: 0

- name: Drop clients by their ids
  ckpool.fleet.ckpool_dropuser:
    client_ids: [17, 23]
"""

RETURN = r"""
users:
  description: What came of it, for each user that was asked for or had a client among those asked for.
  returned: success, or failure after the clients were looked for
  type: list
  elements: dict
  contains:
    user:
      description: The user.
      type: str
      sample: bob
    connected:
      description: How many of its clients were connected, of those asked for.
      type: int
      sample: 2
    dropped:
      description: How many of these are gone. In check mode how many would be dropped.
      type: int
      sample: 2
    returned:
      description: How many came within O(watch).
      type: int
      sample: 1
dropped:
  description: The clients that are gone, by the daemon's log or listing. In check mode those that would be dropped.
  returned: success, or failure after the clients were looked for
  type: list
  elements: dict
  contains:
    client_id:
      description: The daemon's id of the connection, valid for one run of the daemon.
      type: int
      sample: 17
    user:
      description: Its user.
      type: str
      sample: bob
    worker:
      description: Its worker's name.
      type: str
      sample: bob.rig3
    address:
      description: The address that it came from. Null in 2017 builds and where the log does not have it.
      type: str
      sample: 192.0.2.7
    since:
      description: When it was authorised, in epoch seconds.
      type: int
      sample: 1795385464
returned:
  description: The clients of these users or workers that came within O(watch), with the same keys as RV(dropped).
  returned: success, or failure after the clients were looked for
  type: list
  elements: dict
  sample: []
unknown:
  description: Users and workers of which it cannot be known who is connected, and why.
  returned: success, or failure after the clients were looked for
  type: dict
  sample: {}
replies:
  description: What the daemon replied to its own command, by user, where it has one.
  returned: success, or failure after the clients were looked for
  type: dict
  sample: {}
source:
  description: Where the clients were found, V(api) for the daemon's listing, V(files) for its log.
  returned: success, or failure after the clients were looked for
  type: str
  sample: files
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
  description:
    - What could not be known or proven besides, by area, and why. C(log) if the log is incomplete, C(told_to_leave) if clients
      were told to reconnect shortly before, C(not_proven) if the daemon did not say of a client that it is gone.
  returned: success, or failure after the pool was found
  type: dict
  sample: {}
msg:
  description: What was done, in one sentence.
  returned: always
  type: str
  sample: "ckpool (/tmp/ckpool): 2 clients dropped, bob 2; 1 came back within 5 s"
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
from ansible_collections.ckpool.fleet.plugins.module_utils._drop import Client, Dropped, Wanted, drop
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import BadInput
from ansible_collections.ckpool.fleet.plugins.module_utils._module import PoolModule, Result, controlled, describe, run

_NAMES = ("users", "workers", "client_ids")


def work(module: PoolModule) -> Result:
    """Drop who was asked for, and say what came of it."""
    module.check_ranges(watch=(0, 600))
    wanted = Wanted(*(list(dict.fromkeys(module.params[name])) for name in _NAMES))
    if not any(module.params[name] for name in _NAMES):
        raise BadInput("one of users, workers and client_ids has to name somebody", reason="nobody_named")
    for client_id in wanted.client_ids:
        if not 0 < client_id < 2**63:
            raise BadInput(f"client id {client_id} is none: they begin at 1", reason="bad_client_id")
    wanted.check()
    control = Control.find(module.params["socket_dir"], module.params["name"], **module.common())
    control.must_listen()
    found = drop(control, wanted, module.params["watch"], module.check_mode)
    if module.check_mode:
        found.dropped = found.connected
    return report(module, control, wanted, found)


def report(module: PoolModule, control: Control, wanted: Wanted, found: Dropped) -> Result:
    """The result, and the failure if there are users of whom nothing can be known."""
    name = describe(control.instance)
    result = controlled(
        module,
        control.instance,
        f"{name}: {sentence(found, module.params['watch'], module.check_mode)}",
        {"clients": (lines(found.connected), lines(c for c in found.connected if c not in found.dropped))},
        users=by_user(wanted, found),
        dropped=[record(client) for client in found.dropped],
        returned=[record(client) for client in found.returned],
        unknown=found.unknown,
        replies=found.replies,
        source=found.source,
        problems={**control.instance.problems, **found.problems},
    )
    result["changed"] = bool(found.dropped) or (found.fell or 0) > 0
    if found.unknown:
        why = "; ".join(f"{who}: {reason}" for who, reason in found.unknown.items())
        msg = f"ask: cannot know which clients are meant by {why}. {result['msg']}. Hint: {HINT}"
        result.update(
            failed=True, msg=msg, phase="ask", reason="clients_unknown", path=control.instance.log_file, hint=HINT
        )
    return result


HINT = (
    "set ckpool_loglevel level=notice, as who connects from then on is known; to have all miners connect anew use"
    " ckpool_clients state=dropped; a client id that is known from elsewhere can be dropped as such"
)


def by_user(wanted: Wanted, found: Dropped) -> t.List[t.Dict[str, t.Any]]:
    """The counts of each user."""
    names = dict.fromkeys([*wanted.users, *(client.user for client in found.connected)])
    sides = ("connected", "dropped", "returned")
    return [
        {"user": text(user), **{side: sum(client.user == user for client in getattr(found, side)) for side in sides}}
        for user in names
    ]


def record(client: Client) -> t.Dict[str, t.Any]:
    """A client under the names of the result."""
    return {
        "client_id": client.client_id,
        "user": text(client.user),
        "worker": text(client.worker),
        "address": client.address,
        "since": int(client.since),
    }


def text(name: str) -> str:
    """A name as text, as a miner may choose bytes that are none."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def lines(clients: t.Iterable[Client]) -> str:
    """Clients for a diff, one a line."""
    return "".join(
        f"\n  {client.client_id} {text(client.worker)} {client.address or ''}".rstrip() for client in clients
    )


def sentence(found: Dropped, watch: float, is_check: bool) -> str:
    """What was done, for a person."""
    if not found.connected:
        fewer = f", and there are {found.fell} connections fewer than before" if found.fell else ""
        return f"none of them is known to be connected{fewer}"
    who = ", ".join(
        f"{user} {sum(c.user == user for c in found.dropped)}" for user in {c.user: 0 for c in found.dropped}
    )
    if is_check:
        return f"{len(found.dropped)} clients would be dropped, {who}"
    back = f"; {len(found.returned)} came back within {watch:g} s" if watch and found.dropped else ""
    return f"{len(found.dropped)} of {len(found.connected)} clients dropped{', ' + who if who else ''}{back}"


def main() -> None:
    """Run the module."""
    options = {
        "users": {"type": "list", "elements": "str", "default": []},
        "workers": {"type": "list", "elements": "str", "default": []},
        "client_ids": {"type": "list", "elements": "int", "default": []},
        "watch": {"type": "float", "default": 5.0},
    }
    run(PoolModule(options), work)


if __name__ == "__main__":
    main()
