# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots: what is in them, what their files are called, and which of them are kept. No Ansible."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import os
import re
import typing as t
import urllib.parse

from ..module_utils._state import COUNTING_MODES

_LONGEST = 150  #: characters of a host's part of a name, so that the whole fits into a file system's 255
_STAMP = "%Y%m%d_%H%M%S"
_DAY = 86400
Json = t.Dict[str, t.Any]


@dataclasses.dataclass
class Taken:
    """What is known of one host.

    :ivar pools: an entry for each pool that answered, with what it told.
    :ivar missing: why something could not be had, an entry for each pool.
    """

    host: str
    pools: t.List[Json] = dataclasses.field(default_factory=list)
    missing: t.List[Json] = dataclasses.field(default_factory=list)

    def as_dict(self, now: float) -> Json:
        """The contents of its file."""
        return {"host": self.host, "taken": int(now), "pools": self.pools, "missing": self.missing}


def taken_of(host: str, registered: Json) -> t.Optional[Taken]:
    """What a host's task told; None if it was skipped.

    :arg registered: what C(ckpool_info) returned, or what became of its task, which may be a loop's.
    """
    if registered.get("skipped"):
        return None
    taken = Taken(host)
    entries = registered.get("results")
    for entry in entries if isinstance(entries, list) and entries else [registered]:
        _sort_in(taken, entry if isinstance(entry, dict) else {})
    return taken


def _sort_in(taken: Taken, entry: Json) -> None:
    """One pool's answer, or why there is none."""
    loop_var = str(entry.get("ansible_loop_var"))
    looped = entry.get(loop_var)
    known = entry.get("instance") or (looped.get("instance") if isinstance(looped, dict) else None)
    instance = known if isinstance(known, dict) else {}
    missing = {"host": taken.host, "instance": instance.get("name"), "socket_dir": instance.get("socket_dir")}
    if entry.get("unreachable") or entry.get("failed") or not entry.get("instance"):
        why = "unreachable: " if entry.get("unreachable") else ""
        taken.missing.append({**missing, "why": why + " ".join(str(entry.get("msg") or "no answer").split())})
        return
    unwanted = (*_NOT_TOLD, loop_var)
    told = {name: value for name, value in entry.items() if name not in unwanted and not name.startswith("_ansible")}
    taken.pools.append(told)
    if entry.get("source") is None and (instance.get("mode") in COUNTING_MODES or instance.get("state") != "ok"):
        why = f"{instance.get('state') or 'unknown'}, and no statistics are to be had"
        taken.missing.append({**missing, "why": why})


#: what Ansible adds to a result, and what says nothing of the pool
_NOT_TOLD = ("ansible_loop_var", "changed", "failed", "invocation", "shared", "warnings", "deprecations")


def safe_name(host: str) -> str:
    """A host's name as a part of a file's name, which no other host has.

    What is no letter, digit, dot, hyphen or underscore is written as in a URL. That never gives C(%-), which is what
    the digest of a name begins with that would be too long.
    """
    name = urllib.parse.quote(host, safe="", errors="surrogateescape").replace("~", "%7E")
    if len(name) <= _LONGEST:
        return name
    return f"{name[:100]}%-{hashlib.sha256(os.fsencode(host)).hexdigest()[:32]}"


def file_name(host: str, now: float) -> str:
    """The name of a host's file, with the time in UTC."""
    stamp = datetime.datetime.fromtimestamp(now, datetime.timezone.utc).strftime(_STAMP)
    return f"pool_stats_{safe_name(host)}_{stamp}.json"


def moment_of(name: str, host: str) -> t.Optional[float]:
    """The time of a host's file in epoch seconds; None if it is no file of that host's."""
    match = re.fullmatch(rf"pool_stats_{re.escape(safe_name(host))}_([0-9]{{8}}_[0-9]{{6}})\.json", name)
    if not match:
        return None
    try:
        moment = datetime.datetime.strptime(match.group(1), _STAMP)
    except ValueError:  # the 99th of a month
        return None
    return moment.replace(tzinfo=datetime.timezone.utc).timestamp()


def outdated(
    names: t.Iterable[str], host: str, fresh: str, now: float, keep: t.Optional[int], keep_days: t.Optional[float]
) -> t.List[str]:
    """The files of a host that are to be removed, the newest first. Never the one that was just written.

    :arg names: the files of the folder.
    :arg fresh: the file that was just written, which is one of those that are kept.
    :arg keep: how many to keep; None for any number.
    :arg keep_days: how old they may become; None for any age.
    """
    moments = {name: moment for name in names if (moment := moment_of(name, host)) is not None and name != fresh}
    by_age = sorted(moments, key=lambda name: (moments[name], name), reverse=True)
    many = set() if keep is None else set(by_age[keep - 1 :])
    old = set() if keep_days is None else {name for name in by_age if moments[name] < now - keep_days * _DAY}
    return [name for name in by_age if name in many | old]
