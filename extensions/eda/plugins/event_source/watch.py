# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The event source ckpool.fleet.watch."""

from __future__ import annotations

import asyncio
import importlib
import sys
import types
import typing as t
from pathlib import Path

DOCUMENTATION = r"""
---
name: watch
short_description: Tell each change of a fleet of ckpools once, from the HTTP services of its hosts
description:
  - Asks the HTTP service of the role C(ckpool.fleet.http_api) on each host at an interval, compares the pools with what they were, and
    puts one event into the queue for each change.
  - The changes are those of the playbook C(ckpool.fleet.watch), such as C(pool_down) after two failed looks, C(pool_recovered),
    C(block_found), C(hashrate_drop), C(work_stale), C(user_idle), C(worker_idle), C(version_changed) and C(data_missing).
    U(https://example.org/ckpool.fleet/docs/watch.md) lists all of them.
  - The first look at a pool is silent about what is already so. Only a pool that is down is told.
  - An event has the key C(ckpool) with C(id), C(event), C(severity) (C(critical), C(warning) or C(info)), C(host), C(pool),
    C(socket_dir), C(time) in epoch seconds, C(text) for a person, and C(facts), which depend on the event. For C(pool_down), the facts
    are C(why) and C(state), which is C(hung), C(down), C(unknown), C(gone), C(unreachable) or C(failed).
  - Miners choose names of users and workers. In events, control characters are escaped, and C({{) is written as C(\x7b{), so that
    Ansible finds no template in them. Do not put them into a shell command.
  - It needs the standard library alone, and the rest of this collection.
options:
  services:
    description:
      - The services to ask, one for each host. Each is a URL, or a dictionary with C(url), and C(host), C(token), C(token_file),
        C(ca_file) and C(validate_certs) where they differ from those of the others. A text with commas is a list of URLs.
      - C(host) is the name of the host in events. It should be its name in the inventory. By default, it is the name in the URL.
      - A URL without a port means port 9333.
    type: list
    elements: raw
    required: true
  interval:
    description:
      - Seconds from the start of one look to the start of the next, from 1 to 86400.
    type: float
    default: 60
  timeout:
    description:
      - Seconds that one answer of a service may take, from 1 to 300.
    type: float
    default: 10
  token:
    description:
      - The token of the services. It is sent by HTTPS, or on this machine.
    type: str
  token_file:
    description:
      - The absolute path of a file with the token, in place of C(token). It is read again for each look.
    type: str
  ca_file:
    description:
      - The absolute path of a file with the certificates to trust, in PEM format, in place of those of the system.
    type: str
  validate_certs:
    description:
      - Whether the certificates of the services are checked.
    type: bool
    default: true
  events:
    description:
      - The kinds of changes to tell. All by default.
    type: list
    elements: str
    choices: [pool, block, hashrate, work, user, worker, version, data]
  looks:
    description:
      - Failed looks in a row after which a pool is down, and looks without data after which C(data_missing) is told, from 1 to 100.
    type: int
    default: 2
  hashrate_drop:
    description:
      - Percent that the hashrate over 5 minutes must be below that over an hour, from 1 to 100.
    type: float
    default: 50
  work_age:
    description:
      - Seconds after which work is stale.
    type: float
    default: 300
  idle_after:
    description:
      - Seconds without a share after which a user or a worker is idle, 60 or more.
    type: float
    default: 900
  users:
    description:
      - The users to watch, with their workers. All by default.
    type: list
    elements: str
  state_file:
    description:
      - The absolute path of a file in which the state is kept. With it, the source goes on after a restart where it was, loses no event and
        repeats none. Without it, everything is seen for the first time after a restart.
      - If the process is killed at the moment at which an event is handed over, that event is repeated with the same C(id).
      - Only one source at a time uses the file. It contains names of users. It must belong to the user of the source, or to root.
    type: str
  forget:
    description:
      - Pools that were removed on purpose, each as C(HOST), C(HOST:NAME) or C(HOST:SOCKET_DIR), or C(all). They are not told as gone.
    type: list
    elements: str
  feedback:
    description:
      - Whether the rule engine confirms each event. It needs C(--persistence-id). Without it, an event counts as handed over when the
        engine has taken it from the queue.
    type: bool
    default: false
"""

EXAMPLES = r"""
- ckpool.fleet.watch:
    services:
      - https://pool1.example.org:9333
      - https://pool2.example.org:9333
    token_file: /etc/ckpool-watch/token
    ca_file: /etc/ckpool-watch/ca.pem
    state_file: /var/lib/ckpool-watch/rulebook.json

- ckpool.fleet.watch:
    services:
      - url: https://10.0.0.7:9333
        host: pool1
        token: "{{ pool1_token }}"
      - url: http://127.0.0.1:9333
        host: localhost
    interval: 30
    events: [pool, block, work]
"""

_PACKAGE = "_ckpool_fleet_plugins"


async def main(queue: asyncio.Queue[t.Any], args: dict[str, t.Any]) -> None:
    """Put an event into the queue for each change, until this is cancelled.

    :raises ValueError: naming the argument that is wrong.
    """
    await _code().run(queue, args)


def _code() -> t.Any:
    """The code of the collection that this file is in, wherever that is: nothing else makes it importable here."""
    if _PACKAGE not in sys.modules:
        package = types.ModuleType(_PACKAGE)
        package.__path__ = [str(Path(__file__).resolve().parents[4] / "plugins")]
        sys.modules[_PACKAGE] = package
    return importlib.import_module(f"{_PACKAGE}.plugin_utils._rulebook.source")
