# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of snapshots: how they are named, and which of them are kept. No Ansible."""

from __future__ import annotations

import datetime
import hashlib
import os
import re
import typing as t
import urllib.parse

_LONGEST = 150  #: characters of a host's part of a name, so that the whole fits into a file system's 255
_STAMP = "%Y%m%d_%H%M%S"
_NAME = re.compile(r"pool_stats_(.*)_([0-9]{4})([0-9]{2})([0-9]{2})_([0-9]{2})([0-9]{2})([0-9]{2})\.json", re.DOTALL)
_DAY = 86400


def safe_name(host: str) -> str:
    """A host's name as a part of a file's name, different from that of every other host.

    Anything but letters, digits, dots, hyphens and underscores is percent-encoded. That never gives C(%-), which marks
    the digest of a name that would be too long.
    """
    name = urllib.parse.quote(host, safe="", errors="surrogateescape").replace("~", "%7E")
    if len(name) <= _LONGEST:
        return name
    return f"{name[:100]}%-{hashlib.sha256(os.fsencode(host)).hexdigest()[:32]}"


def file_name(host: str, now: float) -> str:
    """The name of a host's file, with the time in UTC.

    :arg now: epoch seconds.
    """
    stamp = datetime.datetime.fromtimestamp(now, datetime.timezone.utc).strftime(_STAMP)
    return f"pool_stats_{safe_name(host)}_{stamp}.json"


def moment_of(name: str, host: str) -> t.Optional[float]:
    """The time of a host's file in epoch seconds; None if it is not a file of that host."""
    found = parts_of(name)
    return found[1] if found and found[0] == safe_name(host) else None


def parts_of(name: str) -> t.Optional[t.Tuple[str, float]]:
    """The host's part of a file's name, and the time in it in epoch seconds; None if it is not a file of a snapshot."""
    match = _NAME.fullmatch(name)
    if not match:
        return None
    year, month, day, hour, minute, second = map(int, match.groups()[1:])
    try:
        moment = datetime.datetime(year, month, day, hour, minute, second, tzinfo=datetime.timezone.utc)
    except ValueError:  # the 99th of a month
        return None
    return match.group(1), moment.timestamp()


def outdated(
    names: t.Iterable[str], host: str, fresh: str, now: float, keep: t.Optional[int], keep_days: t.Optional[float]
) -> t.List[str]:
    """The files of a host to remove, the newest first. Never the one that was just written.

    :arg names: the files of the folder.
    :arg fresh: the file that was just written, which counts as one of those to keep.
    :arg now: epoch seconds.
    :arg keep: how many to keep; None for any number.
    :arg keep_days: the age in days up to which to keep them; None for any age.
    """
    moments = {name: moment for name in names if (moment := moment_of(name, host)) is not None and name != fresh}
    by_age = sorted(moments, key=lambda name: (moments[name], name), reverse=True)
    many = set() if keep is None else set(by_age[keep - 1 :])
    old = set() if keep_days is None else {name for name in by_age if moments[name] < now - keep_days * _DAY}
    return [name for name in by_age if name in many | old]
