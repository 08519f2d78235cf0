# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Made-up results of modules."""

from __future__ import annotations

import typing as t

from ansible_collections.ckpool.fleet.plugins.plugin_utils._types import Json
from ansible_collections.ckpool.fleet.plugins.plugin_utils._users import NUMBERS

#: the keys of a row of the report
KEYS = {
    "host", "instance", "socket_dir", "pid", "root", "user", "state", "status", "hashrate", "users", "workers", "clients",
    "work_age", "log_line", "wrong", "checks",
}  # fmt: skip


def check(status: str = "ok", name: str = "process", **changes: t.Any) -> Json:
    """A check of C(ckpool_health_info)."""
    hint = "" if status in ("ok", "skipped") else f"look at {name}"
    usual = {"observed": 1, "expected": "", "reason": status, "hint": hint, "summary": f"{name} is {status}"}
    return {"name": name, "status": status, **usual, **changes}


def result(state: str = "ok", *checks: Json, name: str = "ckpool", **changes: t.Any) -> Json:
    """What C(ckpool_health_info) returns of one instance."""
    statuses = [made["status"] for made in checks]
    statuses += ["critical"] if state in ("unknown", "hung", "down") else []
    status = next((found for found in ("critical", "warning") if found in statuses), "ok")
    wrong = [made["summary"] for made in checks if made["status"] in ("warning", "critical")]
    return {
        "instance": {"name": name, "socket_dir": f"/tmp/{name}", "state": state, "pid": 42, "root": "/"},
        "health": {"state": state, "ok": state == "ok", "status": status, "wrong": wrong, "checks": list(checks)},
        "stats": {"hashrate1m": 38.5e6, "users": 3, "workers": 12},
        "clients": 12,
        "work_age": 4.2,
        **changes,
    }


def user(name: str = "bc1q", rate: t.Any = 1e12, **more: t.Any) -> Json:
    """A user as C(ckpool_user_info) returns it."""
    return {"user": name, **dict.fromkeys(NUMBERS), "hashrate1m": rate, "workers": [], **more}


def pool(*users: t.Any, name: str = "ckpool", **more: t.Any) -> Json:
    """What C(ckpool_user_info) returns of one pool."""
    return {"instance": {"name": name, "mode": "pool", "state": "ok"}, "source": "files", "users": list(users), **more}
