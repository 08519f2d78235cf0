# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask the bitcoinds of a ckpool's configuration how far they are."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ckpool_bitcoind_info
short_description: Ask the bitcoinds of a ckpool's configuration how far they are
version_added: 1.0.0
author: The ckpool.fleet contributors (@ckpool-fleet)
description:
  - Asks each bitcoind that a configuration names how far its chain is, from the host, with the user and the password that the
    configuration has. These never leave the host.
  - A node that does not answer is no failure. RV(nodes) says why, and RV(synced) whether any is ready.
extends_documentation_fragment:
  - ckpool.fleet.attributes
  - ckpool.fleet.attributes.info_module
options:
  path:
    description:
      - The configuration file.
    type: path
    required: true
  user:
    description:
      - The daemon's user, as whom the configuration and the cookies that it names are read.
    type: str
  timeout:
    description:
      - Seconds that one question may take, from V(0.1) to V(600).
    type: float
    default: 10.0
seealso:
  - module: ckpool.fleet.ckpool_config
"""

EXAMPLES = r"""
- name: Wait until a bitcoind has the whole chain
  ckpool.fleet.ckpool_bitcoind_info:
    path: /etc/ckpool/main.conf
    user: ckpool
  become: true
  register: bitcoind
  until: bitcoind.synced
  retries: 360
  delay: 10
"""

RETURN = r"""
synced:
  description: Whether any of them has the whole chain.
  returned: success
  type: bool
  sample: true
nodes:
  description: The nodes, in the order of the configuration.
  returned: success
  type: list
  elements: dict
  contains:
    url:
      description: The node, as the configuration names it.
      type: str
      sample: 127.0.0.1:8332
    reachable:
      description: Whether it answers.
      type: bool
      sample: true
    synced:
      description: Whether it has the whole chain.
      type: bool
      sample: true
    chain:
      description: Which chain it is on. Null if not known.
      type: str
      sample: main
    blocks:
      description: How many blocks it has verified. Null if not known.
      type: int
      sample: 975000
    headers:
      description: How many there are. Null if not known.
      type: int
      sample: 975000
    progress:
      description: How much of the chain is verified, from 0 to 1. Null if not known.
      type: float
      sample: 0.9999
    publishes:
      description: Where it publishes new blocks by ZMQ (C(zmqpubhashblock)). Null if it does not tell.
      type: list
      elements: str
      sample: ["tcp://127.0.0.1:28332"]
    problem:
      description: Why it could not be asked. Empty if it could.
      type: str
      sample: ""
msg:
  description: The result in one sentence.
  returned: always
  type: str
  sample: "127.0.0.1:8332 has all 975000 blocks"
phase:
  description: What failed, V(options), V(read) or V(parse).
  returned: failure
  type: str
  sample: read
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

import typing as t

from ansible_collections.ckpool.fleet.plugins.module_utils import _compile_once  # noqa: F401  # pylint: disable=unused-import
from ansible_collections.ckpool.fleet.plugins.module_utils._host.access import owner_named
from ansible_collections.ckpool.fleet.plugins.module_utils._host.file import Files
from ansible_collections.ckpool.fleet.plugins.module_utils._host_module import HostModule, run_on_host
from ansible_collections.ckpool.fleet.plugins.module_utils._inspection import parse_config
from ansible_collections.ckpool.fleet.plugins.module_utils._install.bitcoind import Node, look
from ansible_collections.ckpool.fleet.plugins.module_utils._module import Result

_OPTIONS: t.Dict[str, t.Any] = {
    "path": {"type": "path", "required": True},
    "user": {"type": "str"},
    "timeout": {"type": "float", "default": 10.0},
}


def read(module: HostModule) -> Result:
    """Ask each of them."""
    options = module.params
    module.check_ranges(timeout=(0.1, 600))
    files = Files("", owner_named(options["user"]))
    entries = parse_config(files.read(options["path"]), options["path"]).get("btcd") or [{}]
    entries = [entry for entry in (entries if isinstance(entries, list) else [entries]) if isinstance(entry, dict)]
    nodes = [look(entry, options["timeout"], files) for entry in entries]
    return {
        "nodes": [node.as_dict() for node in nodes],
        "synced": any(node.synced for node in nodes),
        "msg": "; ".join(map(sentence, nodes)),
    }


def sentence(node: Node) -> str:
    """How far a node is, for a person."""
    if node.problem:
        return f"{node.url}: {node.problem}"
    if node.synced:
        return f"{node.url} has all {node.blocks} blocks"
    share = "" if node.progress is None else f", {node.progress:.2%} verified"
    return f"{node.url} has {node.blocks} of {node.headers} blocks{share}"


def main() -> None:
    """Run the module."""
    run_on_host(HostModule(_OPTIONS), read)


if __name__ == "__main__":
    main()
