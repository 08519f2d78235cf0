# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Made-up fleets of any size, the same each time: what modules return on their hosts, snapshots, and windows."""

from __future__ import annotations

import json
import math
import random
import typing as t
from pathlib import Path

Json = t.Dict[str, t.Any]
NOW = 1795600000  #: epoch seconds
DIFFICULTY = 1.26e14
#: names that a miner may choose, and that have a meaning in HTML, Markdown, terminals or URLs
EVIL = (
    "<script>document.title='owned'</script>", "\"'><img src=x onerror=document.title='owned'>", "{{ 6 * 7 }}",
    "admin\u202egnp.exe", "bell\x07\x1b[31mred\x00", "javascript:document.title='owned'", "| a | b |\n# head", "</style></script>",
    "\ud800lone", "&lt;b&gt;",
)  # fmt: skip
_FAULTS: t.Sequence[t.Tuple[str, str, str, str]] = (
    ("hung", "critical", "accepts and does not answer", "stopped, stuck, or without its bitcoind: see its log"),
    ("down", "critical", "pid 4242 is gone", "it crashed or was killed: see the end of its log, and dmesg"),
    ("degraded", "warning", "7.2 % of shares rejected", "stale work, a slow network, or miners that fail"),
)
_WINDOWS = ("1m", "5m", "15m", "1hr", "6hr", "1d", "7d")


class Fleet:
    """A fleet of one pool a host.

    :arg pools: how many.
    :arg bad: how many of them are not healthy; the host after the last one cannot be reached.
    :arg evil: whether some of its names are meant to do harm.
    """

    def __init__(self, pools: int = 12, bad: int = 3, users: int = 30, evil: bool = False, now: float = NOW) -> None:
        self.now, self._users, self._evil = now, users, evil
        self.hosts = [f"pool{number:03d}.example.org" for number in range(1, pools + 1)]
        self._bad = bad
        self._chance = random.Random(pools)

    def _rate(self, number: int, moment: float) -> float:
        day = 1 + 0.15 * math.sin(moment / 86400 * 2 * math.pi + number)
        return 1e15 * (1 + number % 7) * day * (0.97 + 0.06 * self._chance.random())

    def _stats(self, number: int, moment: float) -> Json:
        rate, age = self._rate(number, moment), moment - self.now + 60 * 86400
        return {
            **{f"hashrate{window}": rate * (1 - place / 100) for place, window in enumerate(_WINDOWS)},
            "users": self._users, "workers": 3 * self._users, "idle": number % 4, "disconnected": 2,
            "accepted": age * rate / 2**32, "rejected": age * rate / 2**32 * (0.002 + 0.001 * (number % 5)),
            "best_share": 1e9 * (1 + number), "uptime": int(age), "network_difficulty": DIFFICULTY,
        }  # fmt: skip

    def _instance(self, number: int, state: str) -> Json:
        return {
            "name": "ckpool" if number % 5 else "solo", "mode": "pool", "socket_dir": "/run/ckpool/main", "pid": 4242 + number,
            "root": "/", "user": "ckpool", "state": state,
        }  # fmt: skip

    def _state(self, number: int) -> t.Tuple[str, str, str, str]:
        return _FAULTS[number % len(_FAULTS)] if number < self._bad else ("ok", "ok", "", "")

    def health(self) -> t.Dict[str, Json]:
        """What C(ckpool_health_info) returned on each host."""
        found: t.Dict[str, Json] = {}
        for number, host in enumerate(self.hosts):
            state, status, why, cure = self._state(number)
            check = {
                "name": "answers", "status": status, "observed": 1, "expected": "", "reason": status, "hint": cure, "summary": why
            }  # fmt: skip
            stats = self._stats(number, self.now)
            line = f"[2026-11-26 09:00:00.123] Authorised client 7 10.0.0.9 worker {EVIL[0]}.rig as user {EVIL[0]}"
            found[host] = {
                "instance": self._instance(number, state),
                "health": {
                    "state": state, "ok": state == "ok", "status": status, "wrong": [why] if why else [],
                    "checks": [check] if why else [],
                },
                "stats": stats, "clients": stats["workers"], "work_age": 4.0 + number % 25,
                "log_tail": [line if self._evil else "[2026-11-26 09:00:00.123] Connector loop stopped"],
            }  # fmt: skip
        if self._bad:
            found["lost.example.org"] = {
                "unreachable": True,
                "msg": "Failed to connect to the host via ssh: No route to host",
            }
        return found

    def pools(self) -> t.Dict[str, Json]:
        """What C(ckpool_info) returned on each host."""
        found: t.Dict[str, Json] = {}
        for number, host in enumerate(self.hosts):
            instance, stats = self._instance(number, self._state(number)[0]), self._stats(number, self.now)
            summary = {"mode": "pool", "version": "ckpool 1.1.1", **stats}
            found[host] = {
                "instance": instance, "summary": summary, "stats": stats, "source": "files", "as_of": int(self.now) - 20,
                "sources": {"users": "files"}, "problems": {}, "users": [self._user(number, one) for one in range(self._users)],
                "blocks": [self._block(number)] if number % 6 == 1 else [], "workbase": {"difficulty": DIFFICULTY},
            }  # fmt: skip
        if self._bad:
            found["lost.example.org"] = {"skipped": True}
        return found

    def _name(self, number: int) -> str:
        if self._evil and number < len(EVIL):
            return EVIL[number]
        return f"bc1q{number * 7919:038d}"

    def _user(self, pool: int, number: int) -> Json:
        rate = 1e13 * (1 + (pool + number) % 11)
        rates = {f"hashrate{window}": rate for window in ("1m", "5m", "1hr", "1d", "7d")}
        agent = EVIL[1] if self._evil and number == 1 else ("cgminer/4.12.1", "bitaxe/2.6", "NerdMiner")[number % 3]
        workers = [
            {
                "worker": f"{self._name(number)}.rig{rig}",
                "user": self._name(number),
                "user_agent": agent,
                "best_share": 5.0,
                **rates,
            }
            for rig in range(3)
        ]
        return {
            "user": self._name(number), **rates, "shares": 12345678.0, "best_share": 7e8, "last_share": int(self.now) - 30 * number,
            "worker_count": 3, "workers": workers,
        }  # fmt: skip

    def _block(self, number: int) -> Json:
        return {
            "time": int(self.now) - 86400 * number, "height": 900000 - number, "hash": f"{number:064x}", "worker": f"{self._name(0)}.rig0",
            "user": self._name(0), "difficulty": DIFFICULTY * 1.3, "network_difficulty": DIFFICULTY, "accepted": True,
            "reason": None, "stale": None, "shares": None, "effort": 87.5,
        }  # fmt: skip

    def idle(self) -> t.Dict[str, Json]:
        """What C(ckpool_worker_info) returned on each host of the idle workers."""
        found: t.Dict[str, Json] = {
            host: {
                "instance": self._instance(number, "ok"),
                "workers": [
                    {
                        "worker": f"{self._name(one)}.idle",
                        "last_share": int(self.now) - 3600 * (1 + one),
                        "hashrate1d": 1e11,
                        "stale": one > 1,
                    }
                    for one in range(min(number % 4 + (8 if self._evil else 0), 10))
                ],
            }
            for number, host in enumerate(self.hosts)
        }
        return {**found, "lost.example.org": {"skipped": True}} if self._bad else found

    def write_snapshots(self, folder: Path, days: float = 30, every: int = 3600) -> int:
        """Write the snapshots of the time until now; how many files."""
        import time

        folder.mkdir(parents=True, exist_ok=True)
        count = 0
        for number, host in enumerate(self.hosts):
            for moment in range(int(self.now - days * 86400) + every, int(self.now), every):
                if number == 2 and 0.4 < (self.now - moment) / (days * 86400) < 0.5:
                    continue  # a gap
                stats = self._stats(number, moment)
                pool = {
                    "instance": self._instance(number, "ok"), "summary": {"name": "ckpool", **stats}, "stats": stats,
                    "source": "files", "sources": {"stats": "files"}, "as_of": moment - 20, "problems": {},
                }  # fmt: skip
                stamp = time.strftime("%Y%m%d_%H%M%S", time.gmtime(moment))
                path = folder / f"pool_stats_{host}_{stamp}.json"
                path.write_text(json.dumps({"host": host, "taken": moment, "pools": [pool], "missing": []}, indent=2))
                count += 1
        return count

    def write_windows(self, folder: Path) -> None:
        """Write the records of three windows, one of them open."""
        folder.mkdir(parents=True, exist_ok=True)
        outcomes = (("done", 140), ("rolled_back", 300), (None, None))
        for number, (outcome, took) in enumerate(outcomes):
            opened = int(self.now) - 86400 * (3 - number)
            record = {
                "run": f"20261126-06000{number}-ci1-4242", "owner": "alice@ci1.example.org", "reason": EVIL[0] if self._evil else "ckpool 1.2.0",
                "opened": opened, "expires": opened + 7200, "closed": opened + took if took else None,
                "state": "confirmed" if outcome == "done" else "switching", "outcome": outcome, "msg": "ckpool runs 1.2.0",
                "instances": [{"name": "ckpool"}], "host": self.hosts[number % len(self.hosts)],
                "report": {"pools": [{"name": "ckpool", "longest_gap": 0.8}]},
            }  # fmt: skip
            (folder / f"{self.hosts[number % len(self.hosts)]}_{record['run']}.json").write_text(
                json.dumps(record, indent=1)
            )
