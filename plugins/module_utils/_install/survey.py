# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is on a host of the instances that should be installed there: what runs, their units, their configurations.

Everything is read from files, C(/proc) and systemd. No pool is asked, nothing is run but systemctl.
"""

from __future__ import annotations

import dataclasses
import os
import re
import typing as t

from .. import _discovery
from .._ask.inventory import inventory
from .._errors import PoolError
from .._host import process, systemd
from .._host.file import Files, exists, is_folder
from .._inspection import parse_config

SECTION = "X-ckpool.fleet"  #: of a unit, which systemd passes over: that the unit is ours, and what it is for
CONFIG_MARK = "Managed by Ansible: ckpool.fleet."  #: behind the configuration, where the daemon reads no more
_MOST_UNIT = 256 * 1024
_UNIT_NAME = re.compile(r"[A-Za-z0-9:_.@-]{1,200}\.service")
_PROPERTIES = ("LoadState", "ActiveState", "UnitFileState", "FragmentPath", "NeedDaemonReload", "DropInPaths")
Found = t.Dict[str, t.Any]


@dataclasses.dataclass(frozen=True)
class Wanted:
    """An instance that should be there.

    :ivar log_dir: None for the one that it has already, or the usual one.
    :ivar state_dir: where each instance has a folder of what has to last.
    """

    name: str
    mode: str
    config_file: str
    socket_dir: str
    log_dir: t.Optional[str]
    unit_file: str
    program: str
    user: t.Optional[str]
    state_dir: str = "/var/lib/ckpool"

    @property
    def unit(self) -> str:
        """The name of its unit."""
        return os.path.basename(self.unit_file)


def unit_name(name: str) -> str:
    """The name of an instance's unit."""
    return "ckpool.service" if name == "ckpool" else f"ckpool-{name}.service"


def own_section(text: str) -> t.Optional[t.Dict[str, str]]:
    """What a unit file says in the section that is ours; None where it has none."""
    values: t.Optional[t.Dict[str, str]] = None
    is_ours = False
    for line in text.splitlines():
        line = line.strip()
        if line.startswith("["):
            is_ours = line == f"[{SECTION}]"
            values = {} if is_ours and values is None else values
        elif is_ours and values is not None and line[:1] not in ("#", ";", ""):
            key, _sign, value = line.partition("=")
            values[key.strip()] = value.strip()
    return values


def manager() -> t.Dict[str, t.Any]:
    """Whether systemd runs this host, and its version; None where that is not known."""
    version = None
    try:
        found = re.match(r"systemd (\d+)", systemd.systemctl("--version"))
        version = int(found.group(1)) if found else None
    except PoolError:
        pass
    return {"running": systemd.has_systemd(), "version": version}


def in_use(prefix: str) -> t.List[str]:
    """The names of the instances that run by a program below a prefix."""
    below = f"{prefix}/"
    running = (one for one in _discovery.discover(details=False) if one.pid_state == "alive" and not one.root)
    return [
        one.name
        for one in running
        if any(path.startswith(below) for path in (process.program_of(one.pid or 0), *one.argv[:2]))
    ]


def account(user: t.Optional[str], group: t.Optional[str]) -> t.Dict[str, bool]:
    """Whether a user and a group are there."""
    import grp
    import pwd

    def is_there(look: t.Callable[[str], object], name: t.Optional[str]) -> bool:
        try:
            return bool(name and look(name))
        except KeyError:
            return False

    return {"user": is_there(pwd.getpwnam, user), "group": is_there(grp.getgrnam, group)}


def survey(wanted: t.Sequence[Wanted]) -> t.List[Found]:
    """What is there of each instance that should be."""
    entries = [entry for entry in inventory() if entry["pid_state"] == "alive" or entry["unit"]]
    return [_survey_one(one, entries) for one in wanted]


def _survey_one(one: Wanted, entries: t.Sequence[Found]) -> Found:
    unit = unit_facts(one.unit, one.unit_file)
    config = config_facts(one.config_file)
    there = [entry for entry in entries if _is_meant(entry, one)]
    if unit["managed"]:
        # Anybody can start a process of that name: it counts if it is in the unit, or of the user that the unit is for.
        there = [entry for entry in there if entry["unit"] == one.unit or entry["user"] == one.user]
    there.sort(key=lambda entry: _rank(entry, one))
    other = there[0] if there else None
    running = other if other and other["pid_state"] == "alive" else None
    kind = _kind(one, unit, config, other)
    runs_from = other["log_dir"] if other and kind != "installed" else None
    log_dir = one.log_dir or config["log_dir"] or runs_from or f"/var/log/ckpool/{one.name}"
    folders = (os.path.dirname(log_dir), one.state_dir, log_dir)
    return {
        "name": one.name,
        "mode": one.mode,
        "config_file": one.config_file,
        "socket_dir": one.socket_dir,
        "log_dir": log_dir,
        "missing_dirs": [folder for folder in folders if not is_folder(folder)],
        "kind": kind,
        "unit": unit,
        "config": config,
        "retention": exists(f"{one.unit_file[: -len('.service')]}.retention.timer"),
        "running": running,
        "old_unit": other["unit"] if other and other["unit"] != one.unit else None,
        "changes": _changes(one, log_dir, other, unit) if kind in ("hand_made", "adopted") else [],
    }


def _is_meant(entry: Found, one: Wanted) -> bool:
    """Whether an instance that is there is the one that should be: by its name, or as it has what that one shall have."""
    if entry["root"] != "/":
        return bool(entry["name"] == one.name and entry["unit"])
    return bool(
        entry["name"] == one.name
        or entry["unit"] == one.unit
        or entry["socket_dir"] == one.socket_dir
        or entry["config_file"] == one.config_file
    )


def _rank(entry: Found, one: Wanted) -> t.Tuple[bool, bool, bool]:
    """What to sort by: last what a regular user runs, unless the instance shall be that user's, as anybody can run one of that name."""
    is_a_stranger_s = entry["regular_user"] and entry["user"] != one.user
    return is_a_stranger_s, entry["pid_state"] != "alive", entry["unit"] != one.unit


def _kind(one: Wanted, unit: Found, config: Found, other: t.Optional[Found]) -> str:
    """absent, installed by us, adopted by us and still running in its old way, or made by hand."""
    is_ours = unit["managed"] or (config["managed"] and not unit["exists"])
    if not is_ours:
        return "hand_made" if other or unit["exists"] or config["exists"] else "absent"
    if not other or other["pid_state"] != "alive" or not unit["managed"]:
        return "installed"
    is_in_unit = other["unit"] == one.unit or not systemd.has_systemd()
    is_as_ours = (other["config_file"], other["socket_dir"]) == (one.config_file, one.socket_dir)
    return "installed" if is_in_unit and is_as_ours else "adopted"


def _changes(one: Wanted, log_dir: str, other: t.Optional[Found], unit: Found) -> t.List[Found]:
    """What is otherwise than it would be, one dictionary each, with null for what there is none of."""
    there: Found = other or dict.fromkeys(("config_file", "log_dir", "mode", "program", "socket_dir", "unit", "user"))
    pairs = {
        "unit": (there["unit"] or unit["path"], one.unit_file),
        "program": (there["program"], one.program),
        "config_file": (there["config_file"], one.config_file),
        "mode": (there["mode"], one.mode),
        "socket_dir": (there["socket_dir"], one.socket_dir),
        "log_dir": (there["log_dir"], log_dir),
        "user": (there["user"], one.user or there["user"]),
    }
    return [{"what": what, "before": old, "after": new} for what, (old, new) in pairs.items() if old != new]


def unit_facts(name: str, path: str) -> Found:
    """What is known of a unit, and whether its file is one of ours."""
    known: t.Dict[str, str] = {}
    if systemd.has_systemd() and _UNIT_NAME.fullmatch(name):
        try:
            lines = systemd.systemctl("show", "--property", ",".join(_PROPERTIES), "--", name).splitlines()
            known = {key: value for key, _sign, value in (line.partition("=") for line in lines)}
        except PoolError:
            pass  # the file says what it can
    there = known.get("FragmentPath") or (path if exists(path) else "")
    section = _section_of(there)
    return {
        "name": name,
        "path": there or None,
        "exists": bool(there),
        "managed": section is not None,
        "strategy": (section or {}).get("Strategy"),
        "active": known.get("ActiveState") or None,
        "enabled": known.get("UnitFileState") or None,
        "needs_reload": known.get("NeedDaemonReload") == "yes",
        "drop_ins": known.get("DropInPaths", "").split(),
    }


def _section_of(path: str) -> t.Optional[t.Dict[str, str]]:
    if not path:
        return None
    try:
        return own_section(Files().read(path, _MOST_UNIT).decode("utf-8", "replace"))
    except PoolError:
        return None


def config_facts(path: str) -> Found:
    """What is known of a configuration that is in place: whether it is one of ours, and its log directory."""
    facts: Found = {"exists": exists(path), "managed": False, "log_dir": None}
    try:
        data = Files().read(path)
        facts["managed"] = CONFIG_MARK.encode() in data
        log_dir = parse_config(data, path).get("logdir")
        facts["log_dir"] = log_dir if isinstance(log_dir, str) and log_dir.startswith("/") else None
    except PoolError:
        pass  # it is absent, or none
    return facts
