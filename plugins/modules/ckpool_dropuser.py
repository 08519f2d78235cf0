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
  - Closes the connections of some miners, and verifies that they are closed.
  - Without options, the module uses the only pool of the host. If there are several, choose one by O(socket_dir), or set
    O(all_instances=true).
  - On a build that supports the operator's guide, the daemon's own command is used. A build that answers the query API is asked who is
    connected. Public builds report this only in their log. It is read backwards from its end, with the rotated logs, to the start of
    the process, but no further than necessary, and for at most 15 seconds.
  - A dropped miner treats this as a network failure, and connects again within seconds. RV(returned) lists those that did within O(watch).
    To keep a miner away, block it in front of the pool.
extends_documentation_fragment:
  - ckpool.fleet.pool
  - ckpool.fleet.pool.pid
  - ckpool.fleet.pool.all_instances
  - ckpool.fleet.attributes
  - ckpool.fleet.attributes.control_module
  - ckpool.fleet.attributes.actiongroup_ckpool
options:
  users:
    description:
      - Users whose clients are all dropped. A user that the pool does not know is listed in RV(missing), and is not created.
    type: list
    elements: str
    default: []
  workers:
    description:
      - Full names of workers, such as V(alice.rig1), whose clients are all dropped.
    type: list
    elements: str
    default: []
  client_ids:
    description:
      - IDs of single clients, as found in the log. They are only valid for one run of the daemon.
    type: list
    elements: int
    default: []
  watch:
    description:
      - Seconds to watch for clients that return, from V(0) to V(600). Stops early once every dropped client has returned.
    type: float
    default: 5.0
  fail_when_missing:
    description:
      - Fail if RV(missing) is not empty, after the others were dropped.
    type: bool
    default: false
    version_added: 1.0.0
  all_instances:
    description:
      - Look for O(users) and O(workers) on every running instance of the host. RV(instances) has a result for each.
      - A pool without such a user is not a failure. Neither is one whose log does not go back far enough, if another pool has the user, and
        this one has never written a status file for it.
      - Mutually exclusive with O(socket_dir), O(name) and O(pid), and with O(client_ids), which belong to one daemon.
notes:
  - The command to drop a client is sent to the daemon's connector. The stratifier has the same command, but only forgets the client, and
    its miner stays connected until it submits its next share.
  - At a log level below 5 (notice), public builds do not log who connects. The module then fails and says so. Other users and workers
    of the same task are still dropped.
seealso:
  - module: ckpool.fleet.ckpool_clients
  - module: ckpool.fleet.ckpool_loglevel
"""

EXAMPLES = r"""
- name: Drop two users
  ckpool.fleet.ckpool_dropuser:
    users: [1BoatSLRHtKNngkdXEeobR76b53LETtpyT, bob]
  register: dropped

- name: Show the result
  ansible.builtin.debug:
    msg: "{{ dropped.msg }}"

- name: Drop one worker, and do not watch whether it returns
  ckpool.fleet.ckpool_dropuser:
    workers: [bob.rig3]
    watch: 0

- name: Drop a user from every pool on the host
  ckpool.fleet.ckpool_dropuser:
    users: [bob]
    all_instances: true

- name: Drop clients by their IDs
  ckpool.fleet.ckpool_dropuser:
    client_ids: [17, 23]
"""

RETURN = r"""
users:
  description:
    - The counts for each user that was requested or that had one of the requested clients.
    - With O(all_instances=true), the sums over all pools.
  returned: success, or failure after the clients were looked for
  type: list
  elements: dict
  contains:
    user:
      description: Name of the user.
      type: str
      sample: bob
    connected:
      description: Number of its clients that were connected, of those that were requested.
      type: int
      sample: 2
    dropped:
      description: Number of these that were dropped, or would be in check mode.
      type: int
      sample: 2
    returned:
      description: Number of its clients that connected within O(watch).
      type: int
      sample: 1
dropped:
  description: The clients that were dropped, according to the daemon's log or listing. In check mode, those that would be dropped.
  returned: success, or failure after the clients were looked for, unless O(all_instances=true)
  type: list
  elements: dict
  contains:
    client_id:
      description: The daemon's ID of the connection. It is only valid for one run of the daemon.
      type: int
      sample: 17
    user:
      description: Name of its user.
      type: str
      sample: bob
    worker:
      description: Name of its worker.
      type: str
      sample: bob.rig3
    address:
      description: Its address. Null for builds of 2017, and if the log does not contain it.
      type: str
      sample: 192.0.2.7
    since:
      description: Time at which it was authorised, in epoch seconds.
      type: int
      sample: 1795385464
returned:
  description: The clients of these users or workers that connected within O(watch), with the keys of RV(dropped).
  returned: success, or failure after the clients were looked for, unless O(all_instances=true)
  type: list
  elements: dict
  sample: []
unknown:
  description: Users and workers whose clients could not be determined, with the reason.
  returned: success, or failure after the clients were looked for, unless O(all_instances=true)
  type: dict
  sample: {}
missing:
  description:
    - Users and workers that the pool does not know, such as misspelled names. They are not connected, and neither the status files nor the
      log have them. A name is not listed if this cannot be determined.
    - With O(all_instances=true), those that no pool knows.
  returned: success, or failure after the clients were looked for
  type: list
  elements: str
  version_added: 1.0.0
  sample: []
replies:
  description: The daemon's replies to its own command, by user, if it has one.
  returned: success, or failure after the clients were looked for, unless O(all_instances=true)
  type: dict
  sample: {}
source:
  description: Where the clients were found. V(api) for the daemon's listing, V(files) for its log.
  returned: success, or failure after the clients were looked for, unless O(all_instances=true)
  type: str
  sample: files
instance:
  description: The instance, as it was last seen. Null if there is none.
  returned: success, or failure after the instance was found, unless O(all_instances=true)
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
  description:
    - What else could not be determined or verified, by area, with the reason. C(log) if the log is incomplete. C(told_to_leave) if clients
      were told to reconnect shortly before. C(not_proven) if the daemon did not confirm that a client is gone. C(unknown) for users
      whose clients could not be determined on this pool, and who are connected to another one.
  returned: success, or failure after the instance was found, unless O(all_instances=true)
  type: dict
  sample: {}
instances:
  description:
    - The result for each instance, with the same keys as for one. If an instance failed, its result has C(failed), and C(phase), C(path),
      C(reason), C(hint) and C(msg) of the failure. The task fails as well then, with the results of the other instances.
  returned: O(all_instances=true)
  type: list
  elements: dict
  sample: []
msg:
  description: The result in one sentence.
  returned: always
  type: str
  sample: "ckpool (/tmp/ckpool): 2 of 2 clients dropped, bob 2; 1 came back within 5 s"
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
from ansible_collections.ckpool.fleet.plugins.module_utils._orders.drop import Client, Dropped, Wanted
from ansible_collections.ckpool.fleet.plugins.module_utils._results import describe, together
from ansible_collections.ckpool.fleet.plugins.module_utils._wording import counted

MOST_SECONDS = 600.0  #: for all pools of a host, without the time that is watched for
SIDES = ("connected", "dropped", "returned")
_NAMES = ("users", "workers", "client_ids")


def work(module: PoolModule) -> Result:
    """Drop the requested clients of one pool or of all."""
    module.check_ranges(watch=(0, 600))
    wanted = Wanted(*(list(dict.fromkeys(module.params[name])) for name in _NAMES))
    if not any(module.params[name] for name in _NAMES):
        raise BadInput("one of users, workers and client_ids must not be empty", reason="nobody_named")
    for client_id in wanted.client_ids:
        if not 0 < client_id < 2**63:
            raise BadInput(f"client id {client_id} is not valid: they begin at 1", reason="bad_client_id")
    wanted.check()
    if not module.params["all_instances"]:
        result = judged(one(module, Control.find(**module.instance_options()), wanted), set())
        del result["of_a_person"]
        return with_known_names(module, result)
    if wanted.client_ids:
        raise BadInput(
            "client_ids belong to one daemon: they cannot be combined with all_instances: true", reason="bad_option"
        )
    everyone = functools.partial(Control.find_all, **module.search_options())
    seconds = MOST_SECONDS + module.params["watch"]
    rows = for_each(module, everyone, lambda control: one(module, control, wanted), seconds)
    return with_known_names(module, everywhere(rows, [*wanted.users, *wanted.workers]))


def everywhere(rows: t.List[Result], names: t.Sequence[str]) -> Result:
    """The result of all pools, with the sums of the counts of each user, and the names that no pool knows."""
    # The pool of a regular user is no evidence for that of the system: its user decides what it reports.
    present: t.Dict[bool, t.Set[str]] = {False: set(), True: set()}
    for row in rows:
        for client in row["found"].connected if "found" in row else ():
            present[True].update((client.user, client.worker))
            if not row["of_a_person"]:
                present[False].update((client.user, client.worker))
    asked = [row for row in rows if not row.get("of_a_person", True)] or rows
    missing = [text(name) for name in names if rows and all(text(name) in row.get("missing", ()) for row in asked)]
    result = together([judged(row, present[row.pop("of_a_person", True)]) for row in rows])
    counts: t.Dict[str, t.Dict[str, t.Any]] = {}
    for one_pools in (user for row in rows for user in row.get("users", ())):
        sums = counts.setdefault(one_pools["user"], {"user": one_pools["user"], **dict.fromkeys(SIDES, 0)})
        sums.update({side: sums[side] + one_pools[side] for side in SIDES})
    return {**result, "users": list(counts.values()), "missing": missing}


def with_known_names(module: PoolModule, result: Result) -> Result:
    """The result, which is a failure if there are names that no pool knows, and O(fail_when_missing) is set."""
    if result["missing"] and module.params["fail_when_missing"] and not result.get("failed"):
        who, hint = (
            ", ".join(result["missing"]),
            "check the spelling; ckpool_user_info and ckpool_worker_info list the names",
        )
        msg = f"ask: not known: {who}. {result['msg']}. Hint: {hint}"
        result.update(failed=True, msg=msg, phase="ask", reason="missing", path=None, hint=hint)
    return result


def one(module: PoolModule, control: Control, wanted: Wanted) -> Result:
    """The result of one pool, with everything that was found in C(found), and whether it is a regular user's in C(of_a_person)."""
    control.require_listener()
    found = control.drop(wanted, module.params["watch"], module.check_mode)
    if module.check_mode:
        found.dropped = found.connected
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
        missing=[text(name) for name in found.missing],
        replies=found.replies,
        source=found.source,
        problems={**control.instance.problems, **found.problems},
        found=found,
        of_a_person=control.instance.is_of_a_person,
    )
    result["changed"] = bool(found.dropped) or (found.fell or 0) > 0
    return result


def judged(result: Result, elsewhere: t.Container[str]) -> Result:
    """The result of one pool, which is a failure if the clients of some users could not be determined.

    :arg elsewhere: users and workers that are connected to another pool. A log that does not go back far enough is not a
        failure for them.
    """
    found: t.Optional[Dropped] = result.pop("found", None)
    if found is None:
        return result
    spared = {name: why for name, why in found.unknown.items() if name in found.strangers and name in elsewhere}
    if spared:
        result["problems"]["unknown"] = (
            f"{listed(spared)}; but there is no status file of them, and they are connected to another pool"
        )
    doubtful = {name: why for name, why in found.unknown.items() if name not in spared}
    if doubtful:
        msg = f"ask: could not determine the clients of {listed(doubtful)}. {result['msg']}. Hint: {HINT}"
        path = found.log_file
        result.update(failed=True, msg=msg, phase="ask", reason="clients_unknown", path=path, hint=HINT)
    return result


def listed(unknown: t.Dict[str, str]) -> str:
    """Names, each with the reason why its clients are unknown."""
    return "; ".join(f"{who}: {reason}" for who, reason in unknown.items())


HINT = (
    "set ckpool_loglevel level=notice, which logs who connects from then on; ckpool_clients state=dropped makes all miners"
    " connect again; a client id that is known otherwise can be dropped by client_ids"
)


def by_user(wanted: Wanted, found: Dropped) -> t.List[t.Dict[str, t.Any]]:
    """The counts of each user."""
    names = dict.fromkeys([*wanted.users, *(client.user for client in found.connected)])
    return [
        {"user": text(user), **{side: sum(client.user == user for client in getattr(found, side)) for side in SIDES}}
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
    """A name as text: a miner may choose bytes that are not UTF-8."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def lines(clients: t.Iterable[Client]) -> str:
    """Clients for a diff, one per line."""
    return "".join(
        f"\n  {client.client_id} {text(client.worker)} {client.address or ''}".rstrip() for client in clients
    )


def sentence(found: Dropped, watch: float, is_check: bool) -> str:
    """The result as a sentence."""
    missing = f"; not known here: {', '.join(map(text, found.missing))}" if found.missing else ""
    if not found.connected:
        fewer = f", and there are {found.fell} fewer connections than before" if found.fell else ""
        return f"no such client is known to be connected{fewer}{missing}"
    who = ", ".join(
        f"{user} {sum(c.user == user for c in found.dropped)}" for user in {c.user: 0 for c in found.dropped}
    )
    if is_check:
        return f"{counted(len(found.dropped), 'client')} would be dropped, {who}{missing}"
    back = f"; {len(found.returned)} came back within {watch:g} s" if watch and found.dropped else ""
    return f"{len(found.dropped)} of {len(found.connected)} clients dropped{', ' + who if who else ''}{back}{missing}"


def main() -> None:
    """Run the module."""
    options = {
        "users": {"type": "list", "elements": "str", "default": []},
        "workers": {"type": "list", "elements": "str", "default": []},
        "client_ids": {"type": "list", "elements": "int", "default": []},
        "watch": {"type": "float", "default": 5.0},
        "fail_when_missing": {"type": "bool", "default": False},
        "all_instances": {"type": "bool", "default": False},
    }
    run(PoolModule(options), work)


if __name__ == "__main__":
    main()
