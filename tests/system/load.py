# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Miners as a program of their own, which can be run in the network of a host that boots.

    python -m tests.system.load PORT MINERS STUBBORN

Each submits a share a second, which a pool with a negative mindiff accepts, and connects again when it is cut off. The stubborn
ones ignore C(client.reconnect). For each line on standard input it prints, as JSON, what they have seen since the line before.
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from typing import Any

from tests.system.miner import ACCEPTED, DISCONNECTED, REJECTED, Event, Miner, StratumError

ADDRESSES = (
    "bc1q28kkr5hk4gnqe3evma6runjrd2pvqyp8fpwfzu", "1BoatSLRHtKNngkdXEeobR76b53LETtpyT",
    "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
)  # fmt: skip
SECONDS = 1.0


def work(miner: Miner, over: threading.Event) -> None:
    """Submit shares until it is over."""
    while not over.wait(SECONDS):
        with contextlib.suppress(StratumError, OSError):
            miner.submit_garbage()


def seen(miner: Miner, since: int) -> dict[str, Any]:
    """What a miner has seen since an event: shares, how often it was cut off, and the longest time without an accepted share."""
    events: list[Event] = list(miner.events)[max(since - 1, 0) :]
    accepted = [event.when for event in events if event.kind == ACCEPTED]
    return {
        "worker": miner.worker,
        "connected": miner.connected,
        "accepted": len(accepted),
        "rejected": sum(event.kind == REJECTED for event in events),
        "cut_off": sum(event.kind == DISCONNECTED for event in events),
        "longest_gap": round(max((two - one for one, two in zip(accepted, accepted[1:])), default=0.0), 2),
    }


def main() -> None:
    port, count, stubborn = (int(word) for word in sys.argv[1:4])
    over = threading.Event()
    with contextlib.ExitStack() as stack:
        miners = [
            Miner(port, f"{ADDRESSES[n % len(ADDRESSES)]}.rig{n}", follow_reconnect=True, heed_reconnect=n >= stubborn)
            for n in range(count)
        ]
        for miner in miners:
            stack.enter_context(miner)
            threading.Thread(target=work, args=(miner, over), daemon=True).start()
        print("ready", flush=True)
        marks = [0] * count
        for _line in sys.stdin:
            told = [seen(miner, mark) for miner, mark in zip(miners, marks)]
            marks = [len(miner.events) for miner in miners]
            print(json.dumps(told), flush=True)
        over.set()


if __name__ == "__main__":
    main()
