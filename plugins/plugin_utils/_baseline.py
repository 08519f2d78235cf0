# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the report of the earlier run knew: an instance that ran then, and does not now, is noticed. No Ansible.

An instance is the same over runs if its host, name, socket directory and kind of root are the same. Its pid changes with
each start.
"""

from __future__ import annotations

import collections
import dataclasses
import json
import typing as t
from collections.abc import Mapping

from ..module_utils._health import CRITICAL
from ..module_utils._wording import utc_time
from ._rows import FAILED, GONE, UNREACHABLE, Row, row_without_verdict
from ._types import Json

_HOST_ROOTS = (None, "", "/")
_LEFT_OUT = "of a host that was left out"
Key = t.Tuple[str, t.Optional[str], t.Optional[str], bool]


class BadBaseline(Exception):
    """The file is not the report of an earlier run."""


@dataclasses.dataclass(frozen=True)
class Known:
    """An instance that was seen.

    :ivar last_seen: when it last ran, in epoch seconds.
    """

    host: str
    instance: t.Optional[str]
    socket_dir: t.Optional[str]
    root: t.Optional[str]
    last_seen: float

    @property
    def key(self) -> Key:
        """What identifies it in another run."""
        return (self.host, self.instance, self.socket_dir, self.root in _HOST_ROOTS)

    @property
    def names(self) -> t.Tuple[str, ...]:
        """All names by which it can be forgotten."""
        own = [name for name in (self.socket_dir, self.instance) if name]
        return ("all", self.host, *(f"{self.host}:{name}" for name in own), *own)

    @property
    def typed(self) -> str:
        """One of these names, as the command line takes it."""
        return f"{self.host}:{self.socket_dir or self.instance}"

    def as_dict(self) -> Json:
        """The instance as the report stores it."""
        return dataclasses.asdict(self)


@dataclasses.dataclass
class Compared:
    """A run compared with the earlier one.

    :ivar gone: a row for each instance that ran then and does not now.
    :ivar known: every instance that the next run should find.
    :ivar forgotten: the instances that are gone on purpose, as they can be typed.
    :ivar kept: hosts with known instances that were not asked.
    :ivar not_forgotten: the names that forgot nothing, and why.
    """

    gone: t.List[Row] = dataclasses.field(default_factory=list)
    known: t.List[Known] = dataclasses.field(default_factory=list)
    forgotten: t.List[str] = dataclasses.field(default_factory=list)
    kept: t.List[str] = dataclasses.field(default_factory=list)
    not_forgotten: t.Dict[str, str] = dataclasses.field(default_factory=dict)


def read_baseline(text: str) -> t.List[Known]:
    """The instances of a report.

    :raises BadBaseline: saying what is wrong with it.
    """
    report = _report_of(text)
    if "known" in report:
        return [_known_of(entry, None) for entry in _entries(report["known"])]
    # Up to 0.3.0 a report had only its rows.
    return [
        _known_of(row, report["generated"]) for row in _entries(report["fleet"]) if row.get("socket_dir") is not None
    ]


def _report_of(text: str) -> t.Mapping[str, t.Any]:
    if not text.strip():
        raise BadBaseline("it is empty")
    try:
        report = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise BadBaseline(f"it is not JSON: {exc}") from None
    is_report = isinstance(report, Mapping) and isinstance(report.get("fleet"), list)
    if not is_report or not _is_time(report.get("generated")):
        raise BadBaseline("it is not a report of ckpool_health_report")
    return t.cast(t.Mapping[str, t.Any], report)


def compare(
    known: t.Sequence[Known], rows: t.Sequence[Row], inventory: t.Container[str], forget: t.Sequence[str], now: float
) -> Compared:
    """What happened to the instances that were known.

    :arg rows: the rows of this run.
    :arg inventory: every host of the inventory; a host that left it is gone with all its instances.
    :arg forget: what is gone on purpose, by any of C(Known.names).
    :arg now: epoch seconds.
    """
    before = {old.key: old.last_seen for old in known}
    found = Compared(known=[_seen(row, before, now) for row in rows if row["socket_dir"] is not None])
    hosts = _Hosts(rows, inventory)
    why_kept: t.Dict[str, str] = {}
    used: t.Set[str] = set()
    for old in _missing(known, found.known):
        why = hosts.why_unknown(old.host)
        names = set(forget).intersection(old.names)
        if why:
            found.kept += [old.host] if why == _LEFT_OUT and old.host not in found.kept else []
            why_kept.update(dict.fromkeys(names, why))
        elif names:
            used |= names
            found.forgotten.append(old.typed)
            continue
        else:
            found.gone.append(_gone_row(old, old.host in inventory))
        found.known.append(old)
    for name in forget:
        if name not in used:
            why = why_kept.get(name) or hosts.why_unknown(name.partition(":")[0])
            found.not_forgotten[name] = why or "not missing"
    return found


class _Hosts:
    """The hosts of a run."""

    def __init__(self, rows: t.Sequence[Row], inventory: t.Container[str]) -> None:
        self._asked = {row["host"] for row in rows}
        self._undetermined = {row["host"] for row in rows if row["state"] in (UNREACHABLE, FAILED)}
        self._inventory = inventory

    def why_unknown(self, host: str) -> str:
        """Why this run does not know the instances of a host; empty if it does."""
        if host in self._undetermined:
            return "of a host without a verdict"
        return _LEFT_OUT if host not in self._asked and host in self._inventory else ""


def _missing(known: t.Sequence[Known], seen: t.Sequence[Known]) -> t.Iterator[Known]:
    """The known instances that this run has not seen. Of several with the same key, as many as it has not."""
    present = collections.Counter(one.key for one in seen)
    for old in known:
        if present[old.key] > 0:
            present[old.key] -= 1
        else:
            yield old


def _gone_row(old: Known, is_host_there: bool) -> Row:
    where = "" if is_host_there else ", and its host is no longer in the inventory"
    summary = f"was here at {utc_time(old.last_seen)}, and is missing now{where}"
    hint = f"if it was removed on purpose: -e health_check_forget={old.typed}"
    check = {
        "name": "present", "status": CRITICAL, "observed": old.last_seen, "expected": "what an earlier run found",
        "reason": GONE, "hint": hint, "summary": summary,
    }  # fmt: skip
    identity = {"instance": old.instance, "socket_dir": old.socket_dir, "root": old.root}
    return row_without_verdict(old.host, GONE, summary, checks=[check], **identity)


def _seen(row: Row, before: t.Mapping[Key, float], now: float) -> Known:
    seen = Known(row["host"], row["instance"], row["socket_dir"], row["root"], int(now))
    if row["state"] == "down":  # its directory is still there, its process is not
        return dataclasses.replace(seen, last_seen=before.get(seen.key, seen.last_seen))
    return seen


def _entries(value: t.Any) -> t.List[t.Mapping[str, t.Any]]:
    if not isinstance(value, list) or not all(isinstance(entry, Mapping) for entry in value):
        raise BadBaseline("its instances are not a list of dictionaries")
    return value


def _known_of(entry: t.Mapping[str, t.Any], last_seen: t.Any) -> Known:
    host = entry.get("host")
    others = [entry.get(name) for name in ("instance", "socket_dir", "root")]
    last_seen = entry.get("last_seen") if last_seen is None else last_seen
    if not isinstance(host, str) or not all(isinstance(other, (str, type(None))) for other in others):
        raise BadBaseline("one of its instances has no names")
    if not _is_time(last_seen):
        raise BadBaseline(f"an instance of {host} has no time")
    instance, socket_dir, root = others
    return Known(host, instance, socket_dir, root, t.cast(float, last_seen))


def _is_time(value: t.Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 2**40
