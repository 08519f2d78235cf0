# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the template that a ckpool makes its work from."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ckpool_workbase_info
short_description: Read the block template that a ckpool makes its work from
version_added: 0.3.0
author: The ckpool.fleet contributors (@ckpool-fleet)
description:
  - Reads height, previous block, value, difficulty and transactions of the current work, the workbase in the daemon's
    words, and how old that work is.
  - Where the build speaks the operator's guide, this is the stratifier's own C(current.workbase). Everywhere else it is
    the generator's C(getbase), for which it asks its bitcoind for a fresh template, as it does for each piece of work.
    That costs bitcoind a moment, so do not ask every second.
  - A pool whose mode makes no work from a bitcoind (proxy, passthrough, redirector, node) has no template. That is an
    answer, RV(workbase) is then null, and nothing is asked of its generator.
  - A pool that answers and gives no template is a failure. If its bitcoind gives none, RV(reason) is V(no_bitcoind),
    and V(unanswered) if the generator still waits for one.
extends_documentation_fragment:
  - ckpool.fleet.pool
  - ckpool.fleet.attributes
  - ckpool.fleet.attributes.info_module
  - ckpool.fleet.attributes.actiongroup_ckpool
options:
  with_transactions:
    description:
      - Also list the transactions of the template, at most the first 20000.
    type: bool
    default: false
  fail_when_down:
    description:
      - Fail if the pool is V(down) or V(hung).
    type: bool
    default: false
notes:
  - With O(source=api) only C(getbase) is used, which every build with a bitcoind answers; with O(source=guide) only
    C(current.workbase). No file holds a template, so O(source=files) is an error.
seealso:
  - module: ckpool.fleet.ckpool_health_info
  - module: ckpool.fleet.ckpool_block_info
"""

EXAMPLES = r"""
- name: Read the current work
  ckpool.fleet.ckpool_workbase_info:
  register: pool

- name: Stop if the pool works on a block that another node has seen already
  ansible.builtin.assert:
    that: pool.workbase.height > known_height | int

- name: Read it with its transactions
  ckpool.fleet.ckpool_workbase_info:
    with_transactions: true
  register: pool

- name: Show the fees of the next block, in satoshi
  ansible.builtin.debug:
    msg: "{{ pool.transactions | map(attribute='fee') | sum }}"
"""

RETURN = r"""
workbase:
  description: The template. A value that the source does not give is null. Null as a whole if the pool is not up, or
    has no template in its mode.
  returned: success
  type: dict
  contains:
    height:
      description: Height of the block that is worked on. Both sources.
      type: int
      sample: 850001
    previous_block:
      description: Hash of the block before it, the last of the chain. Both sources.
      type: str
      sample: "00000000000000000001abababababababababababababababababababababab"
    transactions:
      description: How many transactions it holds, its own coinbase not counted. Both sources.
      type: int
      sample: 2843
    coinbase_value:
      description: What the block pays, subsidy and fees, in satoshi. Both sources.
      type: int
      sample: 312500000
    bits:
      description: The target in its compact form, in hexadecimal digits. Both sources.
      type: str
      sample: "17034219"
    difficulty:
      description: Difficulty of the network, computed from the target, or from the bits where there is no target.
      type: float
      sample: 86388558925171.02
    version:
      description: Version of the block. Both sources.
      type: int
      sample: 536870912
    time:
      description: Time of the template by bitcoind's clock (C(curtime)), in epoch seconds. Both sources.
      type: int
      sample: 1795385443
    age:
      description:
        - Seconds since the pool last stored a piece of work, by the line C(Stored local workbase) in the last MiB of
          its log. Where there is none, and the guide answered, seconds since RV(workbase.time). Else null.
        - The generator's template is made for whoever asks, so its own time says nothing of the miners' work.
      type: float
      sample: 12.408
transactions:
  description: The transactions, in the order of the template.
  returned: O(with_transactions=true) and success
  type: list
  elements: dict
  contains:
    txid:
      description: Id of the transaction. Empty if the source does not give it.
      type: str
      sample: "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b"
    fee:
      description: Its fee, in satoshi.
      type: int
      sample: 1410
    weight:
      description: Its weight, in weight units.
      type: int
      sample: 561
instance:
  description: The pool that answered.
  returned: success, or failure after the pool was found
  type: dict
  contains:
    name:
      description: The daemon's name, from its command line.
      type: str
      sample: ckpool
    mode:
      description: V(pool), V(solo), V(proxy), V(passthrough), V(redirector) or V(node), from its command line.
      type: str
      sample: pool
    socket_dir:
      description: Its socket directory, as the daemon sees it.
      type: str
      sample: /tmp/ckpool
    log_dir:
      description: Its log directory, from its configuration. Null if not known.
      type: str
      sample: /var/log/ckpool
    pid:
      description: Its process id, from C(main.pid). Null if there is none.
      type: int
      sample: 4242
    state:
      description:
        - V(ok) if it answers, V(starting) if it has no work yet, V(hung) if it accepts and does not answer, V(down) if
          nothing listens, V(degraded) if only its stratifier is gone, V(unknown) if its sockets may not be used.
      type: str
      sample: ok
source:
  description:
    - V(guide) for C(current.workbase), V(api) for C(getbase), which every build with a bitcoind answers. Null if there
      is no answer.
  returned: success
  type: str
  sample: api
as_of:
  description: When it was asked, in epoch seconds. Null if there is no answer.
  returned: success
  type: int
  sample: 1795385464
problems:
  description: What could not be had, by area, and why.
  returned: success, or failure after the pool was found
  type: dict
  sample: {}
log_tail:
  description: The last lines of its log, where they may be read.
  returned: the pool is down or hung
  type: list
  elements: str
  sample: ["[2026-11-22 22:09:25.734] BLOCK ACCEPTED!"]
msg:
  description: What was found, in one sentence.
  returned: always
  type: str
  sample: "ckpool (/tmp/ckpool): works on block 850001, 2843 transactions, 3.125 BTC, work 12 s old (api)"
phase:
  description: What failed, V(options), V(find), V(connect), V(ask), V(read) or V(parse).
  returned: failure
  type: str
  sample: connect
path:
  description: The socket, file or folder that it failed on.
  returned: failure
  type: str
  sample: /tmp/ckpool/stratifier
reason:
  description: Why, as a short stable code.
  returned: failure
  type: str
  sample: not_permitted
hint:
  description: What to look at or try next.
  returned: failure
  type: str
  sample: "use become: true"
"""

from ansible_collections.ckpool.fleet.plugins.module_utils._module import PoolModule, Result, describe, run
from ansible_collections.ckpool.fleet.plugins.module_utils._pool import Answer
from ansible_collections.ckpool.fleet.plugins.module_utils._reading import answered, find_pool

SATOSHI = 100_000_000  #: in a bitcoin


def read(module: PoolModule) -> Result:
    """Ask the pool for its template, and say what it is."""
    with_transactions = module.params["with_transactions"]
    pool = find_pool(module)
    answer = pool.workbase(with_transactions)
    workbase = answer.workbase
    values: Result = {"workbase": workbase.as_dict() if workbase else None}
    if with_transactions:
        values["transactions"] = [row.as_dict() for row in workbase.transaction_list] if workbase else []
    return answered(module, pool, answer, f"{describe(pool.instance)}: {sentence(answer)}", **values)


def sentence(answer: Answer) -> str:
    """The answer for a person."""
    workbase = answer.workbase
    if workbase is None:
        return "no template" + (f": {answer.problems['workbase']}" if "workbase" in answer.problems else "")
    parts = [f"works on block {'-' if workbase.height is None else workbase.height}"]
    if workbase.transactions is not None:
        parts.append(f"{workbase.transactions} transactions")
    if workbase.coinbase_value is not None:
        parts.append(f"{workbase.coinbase_value / SATOSHI:g} BTC")
    if workbase.age is not None:
        parts.append(f"work {workbase.age:.0f} s old")
    return f"{', '.join(parts)} ({answer.source})"


def main() -> None:
    """Run the module."""
    options = {
        "with_transactions": {"type": "bool", "default": False},
        "fail_when_down": {"type": "bool", "default": False},
    }
    run(PoolModule(options), read)


if __name__ == "__main__":
    main()
