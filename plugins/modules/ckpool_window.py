# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The maintenance window of a host: one run at a time, a record, and a host that goes back by itself."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ckpool_window
short_description: Open, use and close the maintenance window of a host
version_added: 1.0.0
author: The ckpool.fleet contributors (@ckpool-fleet)
description:
  - A window is the right of one run to change the pools of a host, and the record of all that it changes. The role
    P(ckpool.fleet.upgrade#role) uses this module. Use the role to upgrade, and the module to look at a window, to confirm one by
    hand, or to break one.
  - One file on the host, C(window.json) in O(folder), is the lock and the record. Only root can read it, and it survives a reboot.
  - What a window changes are pieces, links and files, each with an old and a new side. With O(state=switched) a guard on the host
    brings an instance to the new side. It hands over, or stops and starts the unit. The guard goes back to the old side by
    itself if that fails, or if nobody confirms it in time, whatever becomes of the controller, the link or the host's power.
  - The guard is a service of systemd while there is something to guard, and a process of its own where systemd does not run.
extends_documentation_fragment:
  - ckpool.fleet.attributes
attributes:
  action:
    support: full
    description: Indicates this has a corresponding action plugin so some parts of the options can be executed on the controller.
    details:
      - It says which run asks, and takes over the window of a run of the same controller that has ended.
  check_mode:
    support: full
    description: Can run in C(check_mode) and return changed status prediction without modifying target.
    details:
      - The record is read, and nothing is written or asked of the guard.
  diff_mode:
    support: none
    description: >-
      Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
  idempotent:
    support: partial
    description: >-
      When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
    details:
      - What is asked for by one run twice is done once. A window is opened anew by each run.
options:
  state:
    description:
      - V(query) only reads.
      - V(opened) opens the window for this run. It fails if another run holds it.
      - V(staged) writes down the new side (O(pieces), O(instances)), and what is there now as the old side. Nothing is changed.
      - V(noted) keeps the figures O(before) of O(instance) with the record.
      - V(switched) has the guard bring O(instance) to the new side. Neither this nor V(reverted) waits for it.
      - V(reverted) has the guard bring everything back.
      - V(held) keeps what was switched, without a deadline, until a person confirms or reverts it.
      - V(confirmed) keeps the new side for good.
      - V(closed) closes the window with its O(outcome). It stays open while the host runs what nobody has confirmed.
      - V(broken) lets another run take the window over. What the host has to do by itself goes on.
    type: str
    choices: [query, opened, staged, noted, switched, reverted, held, confirmed, closed, broken]
    default: query
  run:
    description:
      - Names the run that asks. The action plugin knows it.
    type: str
  owner:
    description:
      - For whom that is, as C(who@controller). The action plugin knows it.
    type: str
  controller:
    description:
      - Where the run lives, with C(host), C(boot), C(pid) and C(started). The action plugin knows it.
    type: dict
  reason:
    description:
      - What the window is for, shown to anyone who finds it held.
    type: str
    default: ""
  expires_after:
    description:
      - Seconds after which another run may take the window over, from V(1) to V(604800).
    type: float
    default: 7200.0
  take_over:
    description:
      - A run that is known to have ended without closing its window, which this run takes over with O(state=opened).
    type: str
  pieces:
    description:
      - What the window changes, with O(state=staged).
    type: list
    elements: dict
    suboptions:
      path:
        description:
          - The link or file. Nobody but root may be able to write to the folders on its way.
        type: str
        required: true
      kind:
        description:
          - What it is. V(release) is the link to the current release, V(link) another one.
        type: str
        choices: [release, link, config, unit]
        required: true
      instance:
        description:
          - The instance that it belongs to. Empty for what all of the host share.
        type: str
        default: ""
      target:
        description:
          - What a link leads to.
        type: str
      src:
        description:
          - A file on the host that has the new content. Its content is kept in O(folder).
        type: str
      mode:
        description:
          - The permissions of a file, in octal.
        type: str
        default: "0644"
      owner:
        description:
          - The user of a file.
        type: str
        default: root
      group:
        description:
          - The group of a file.
        type: str
        default: root
  instances:
    description:
      - The instances of the host that are to run the new side, in this order, with O(state=staged).
    type: list
    elements: dict
    suboptions:
      name:
        description:
          - A name for it, unique on the host.
        type: str
        required: true
      socket_dir:
        description:
          - Its socket directory.
        type: str
        required: true
      unit:
        description:
          - Its systemd unit. Without one it can hand over, and cannot be stopped and started.
        type: str
        default: ""
      program:
        description:
          - The file of the new program. Without it the program stays the same.
        type: str
  restore:
    description:
      - With O(state=staged), what was the old side of an earlier window becomes the new one, in place of O(pieces) and
        O(instances). V(previous) is the last window whose outcome was V(done), or the name of its run.
    type: str
  strategy:
    description:
      - How the instances get to the new side. V(auto) hands over where nothing is in the way of that, and else stops and starts.
    type: str
    choices: [auto, handover, stop_start]
    default: auto
  min_free:
    description:
      - Bytes that have to be free where the pieces and the record are, with O(state=staged), from V(0) to
        V(1125899906842624). So a disk that is nearly full is found before anything is done.
    type: int
    default: 33554432
  confirm_within:
    description:
      - Seconds until the host goes back by itself after a switch, unless it is confirmed, from V(1) to V(604800). They begin again
        with each O(state=switched).
    type: float
    default: 900.0
  limits:
    description:
      - Seconds that things may take on the host, with O(state=staged).
    type: dict
    suboptions:
      handover:
        description:
          - From the order to hand over until the new process answers.
        type: float
        default: 60.0
      start:
        description:
          - From the start of a unit until its listener answers.
        type: float
        default: 60.0
      stop:
        description:
          - That a unit may take to stop before it is killed.
        type: float
        default: 60.0
      ready:
        description:
          - Until a pool that was switched back has work. After that the rollback has failed.
        type: float
        default: 120.0
  instance:
    description:
      - The instance to switch, with O(state=switched).
    type: str
  before:
    description:
      - The figures before, with O(state=switched), to be kept with the record. Those of an earlier run that has begun the same
        stay.
    type: dict
  why:
    description:
      - Why it is held or reverted.
    type: str
    default: by hand
  outcome:
    description:
      - What came of the window, with O(state=closed).
    type: str
    choices: [nothing_to_do, done, rolled_back, rollback_failed, failed, not_started]
  msg:
    description:
      - The outcome in one sentence, with O(state=closed).
    type: str
    default: ""
  report:
    description:
      - What else to keep with the record, with O(state=closed).
    type: dict
  history:
    description:
      - How many records of closed windows to return, the newest first, from V(0) to V(1000).
    type: int
    default: 0
  folder:
    description:
      - Where the record is.
    type: str
    default: /var/lib/ckpool.fleet
seealso:
  - module: ckpool.fleet.ckpool_upgrade
"""

EXAMPLES = r"""
- name: Who holds the window of this host, and what is going on?
  ckpool.fleet.ckpool_window:
  become: true

- name: Keep what an upgrade has left for a person to decide
  ckpool.fleet.ckpool_window:
    state: confirmed
  become: true

- name: Let the next run take over the window of one that is dead
  ckpool.fleet.ckpool_window:
    state: broken
  become: true
"""

RETURN = r"""
window:
  description: The record of the window that is open, or was last. Null where there never was one.
  returned: success
  type: dict
  contains:
    run:
      description: The run that holds it.
      type: str
      sample: 20261126-060000-4242
    owner:
      description: For whom.
      type: str
      sample: alice@ci1.example.org
    reason:
      description: What it is for.
      type: str
      sample: ckpool 1.2.0
    opened:
      description: When it was opened, in epoch seconds.
      type: int
      sample: 1795385226
    expires:
      description: From when on another run may take it over, in epoch seconds.
      type: int
      sample: 1795392426
    closed:
      description: When it was closed, in epoch seconds. Null while it is open.
      type: int
      sample: 1795385326
    state:
      description:
        - How far it is. V(open), V(staged), V(switching), V(switched), V(held), V(confirmed), V(reverting), V(reverted), or V(stuck)
          if the old side does not serve again.
      type: str
      sample: confirmed
    outcome:
      description: V(nothing_to_do), V(done), V(rolled_back), V(rollback_failed), V(failed) or V(not_started). Null until it is known.
      type: str
      sample: done
    msg:
      description: The outcome in one sentence.
      type: str
      sample: ckpool runs 1.2.0
    confirm_by:
      description: When the host goes back by itself, in epoch seconds. Null if it does not.
      type: int
      sample: 1795386126
    confirm_within:
      description: Seconds from a switch until then.
      type: float
      sample: 900.0
    guard:
      description: What on the host does that, a unit of systemd or a process. Empty if there is nothing to guard.
      type: str
      sample: ckpool-fleet-window.service
    revert:
      description: Why it goes, or went, back. Empty if it does not.
      type: str
      sample: nobody confirmed it in 900 s
    controller:
      description: Where the run lives.
      type: dict
      sample: {"host": "ci1.example.org", "pid": 4242}
    earlier:
      description: The runs that held it before and did not close it, with C(run), C(owner), C(opened) and C(state).
      type: list
      elements: dict
      sample: []
    pieces:
      description: What it changes, with C(path), C(kind), C(instance), and what is there on the C(old) and the C(new) side.
      type: list
      elements: dict
      sample: [{"path": "/opt/ckpool/current", "kind": "release", "instance": "", "old": {"target": "releases/1.1.1"}, "new": {"target": "releases/1.2.0"}}]
    instances:
      description:
        - The instances, with the side that each is C(wanted) on and is C(at), C(changes), C(strategy) and C(why), C(programs) of both
          sides, the figures C(before), and how the last C(switch) went.
      type: list
      elements: dict
      sample: [{"name": "ckpool", "wanted": "new", "at": "new", "strategy": "handover"}]
    report:
      description: What the run wrote down at the end.
      type: dict
      sample: {}
resumed:
  description: Whether an earlier run has begun the same, so that this one goes on.
  returned: O(state=staged)
  type: bool
  sample: false
must_revert:
  description: Whether an earlier run has left something else unconfirmed, which has to be reverted before this is staged.
  returned: O(state=staged)
  type: bool
  sample: false
history:
  description: Records of closed windows, the newest first, like RV(window).
  returned: O(history) is not 0
  type: list
  elements: dict
  sample: []
msg:
  description: The result in one sentence.
  returned: always
  type: str
  sample: "the window of this host is open: alice@ci1.example.org (run 20261126-060000-4242) since 2026-11-26 06:00:00 UTC"
phase:
  description: What failed, V(options), V(window), V(preflight), V(switch) or V(read).
  returned: failure
  type: str
  sample: window
path:
  description: The socket, file or directory that the failure is about. Null if it is about none.
  returned: failure
  type: str
  sample: /var/lib/ckpool.fleet/window.json
reason:
  description: The reason for the failure, as a short, stable code.
  returned: failure
  type: str
  sample: window_held
hint:
  description: What to check or try next. Empty if nothing is known to help.
  returned: failure
  type: str
  sample: wait for that run
"""

import typing as t

from ansible_collections.ckpool.fleet.plugins.module_utils import (  # pylint: disable=unused-import
    _compile_once,  # noqa: F401
    _window,
)
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import BadInput, NotFound
from ansible_collections.ckpool.fleet.plugins.module_utils._host.access import group_named, owner_named
from ansible_collections.ckpool.fleet.plugins.module_utils._host.put import Attributes
from ansible_collections.ckpool.fleet.plugins.module_utils._host_module import HostModule, run_on_host
from ansible_collections.ckpool.fleet.plugins.module_utils._module import Result
from ansible_collections.ckpool.fleet.plugins.module_utils._options import check_range
from ansible_collections.ckpool.fleet.plugins.module_utils._upgrade.options import OPTIONS, RANGES
from ansible_collections.ckpool.fleet.plugins.module_utils._window import Piece, Store, Window

_NEEDS_RUN = ("opened", "staged", "noted", "switched", "held", "closed")


def work(module: HostModule) -> Result:
    """Do what is wanted with the window."""
    options = module.params
    module.check_ranges(**RANGES)
    for name, seconds in (options["limits"] or {}).items():
        check_range(f"limits.{name}", seconds, 1, 3600)
    if options["state"] in _NEEDS_RUN and not options["run"]:
        raise BadInput(f"state {options['state']} needs run", reason="bad_option")
    store = Store(options["folder"])
    before = _read(store, options)
    result: Result = {"changed": False} if options["state"] == "query" else _done(module, store, before)
    window: t.Optional[Window] = result.pop("window", before)
    result["window"] = window.as_dict() if window else None
    result["msg"] = _sentence(window)
    if options["history"]:
        result["history"] = [one.as_dict() for one in store.history()[: options["history"]]]
    return result


def _read(store: Store, options: Result) -> t.Optional[Window]:
    """The window as it is. Another one that is held is in the way of opening one, in check mode too."""
    window = store.load()
    if options["state"] == "opened" and window and window.is_open:
        _window.require_free(store, window, options["run"], options["take_over"] or "")
    return window


def _done(module: HostModule, store: Store, before: t.Optional[Window]) -> Result:
    options = module.params
    if module.check_mode:
        return {"changed": True}
    state, run_id = options["state"], options["run"]
    if state == "opened":
        window = _window.open_window(
            store, run_id, options["owner"] or "", options["reason"], options["expires_after"], options["controller"],
            options["take_over"] or "",
        )  # fmt: skip
        return {"changed": True, "window": window}
    if state == "broken":
        broken = _window.break_hold(store)
        return {"changed": broken is not None, "window": broken or before}
    if state == "closed":
        window = _window.close(store, run_id, options["outcome"], options["msg"], options["report"] or {})
        return {"changed": True, "window": window}
    if state == "staged":
        return _staged(store, options)
    return _asked(store, options)


def _staged(store: Store, options: Result) -> Result:
    from ansible_collections.ckpool.fleet.plugins.module_utils._upgrade import stage

    if options["restore"]:
        pieces, wanted = _restored(store, options["restore"])
    else:
        pieces = [_piece(store, one) for one in options["pieces"] or []]
        wanted = [
            stage.Wanted(one["name"], one["socket_dir"], one["unit"], one["program"])
            for one in options["instances"] or []
        ]
    if len({one.name for one in wanted}) != len(wanted):
        raise BadInput("two instances have the same name", reason="bad_option")
    stage.require_room(store, pieces, options["min_free"])
    made = stage.stage(
        store, options["run"], pieces, wanted, options["strategy"], options["confirm_within"], options["limits"]
    )
    return {
        "changed": not made.resumed,
        "window": made.window,
        "resumed": made.resumed,
        "must_revert": made.must_revert,
    }


def _piece(store: Store, one: Result) -> Piece:
    """A piece with its new side.

    :raises BadInput: it is neither a link nor a file, or has an owner that is not known here.
    """
    from ansible_collections.ckpool.fleet.plugins.module_utils._upgrade import pieces

    if bool(one["target"]) == bool(one["src"]):
        raise BadInput(f"piece {one['path']} needs either target or src", reason="bad_option")
    if one["target"]:
        return Piece(one["path"], one["kind"], one["instance"], new={"target": one["target"]})
    try:
        mode = int(one["mode"], 8)
    except ValueError:
        raise BadInput(f"piece {one['path']}: mode {one['mode']!r} is not octal", reason="bad_option") from None
    attributes = Attributes(owner_named(one["owner"]).user, group_named(one["group"]), mode)
    return Piece(one["path"], one["kind"], one["instance"], new=pieces.take(store, one["src"], attributes))


def _restored(store: Store, which: str) -> t.Tuple[t.List[Piece], t.List[t.Any]]:
    """The old side of an earlier window as a new one.

    :raises NotFound: there is no such window.
    """
    from ansible_collections.ckpool.fleet.plugins.module_utils._upgrade import stage

    for earlier in store.history():
        if which == earlier.run or (which == "previous" and earlier.outcome == "done"):
            pieces = [Piece(one.path, one.kind, one.instance, new=one.old) for one in earlier.pieces]
            wanted = [
                stage.Wanted(one.name, one.socket_dir, one.unit, one.programs.get("old")) for one in earlier.members
            ]
            return pieces, wanted
    known = ", ".join(one.run for one in store.history()) or "none"
    raise NotFound(f"there is no window {which} to go back before; known are {known}", store.folder, reason="no_window")


def _asked(store: Store, options: Result) -> Result:
    """What the guard is asked for."""
    from ansible_collections.ckpool.fleet.plugins.module_utils._upgrade import guard

    state, run_id = options["state"], options["run"]
    if state == "noted":
        window = guard.note(store, run_id, options["instance"], options["before"] or {})
    elif state == "switched":
        window = guard.ask_switch(store, run_id, options["instance"], options["before"])
    elif state == "reverted":
        window = guard.ask_back(store, run_id, options["why"])
    elif state == "held":
        window = guard.hold(store, run_id, options["why"])
    else:
        window = guard.confirm(store, run_id)
    return {"changed": True, "window": window}


def _sentence(window: t.Optional[Window]) -> str:
    if window is None:
        return "this host had no window yet"
    if window.is_open:
        return f"the window of this host is open: {window.holder()}"
    return f"the window of this host is closed; the last one was {window.outcome or window.state}: {window.msg}"


def main() -> None:
    """Run the module."""
    module = HostModule(
        OPTIONS,
        required_if=[
            ("state", "closed", ["outcome"]), ("state", "noted", ["instance"]), ("state", "switched", ["instance"]),
        ],
    )  # fmt: skip
    run_on_host(module, work)


if __name__ == "__main__":
    main()
