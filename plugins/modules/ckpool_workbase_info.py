# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the block template that a ckpool is working on."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ckpool_workbase_info
short_description: Read the block template that a ckpool is working on
version_added: 0.3.0
author: The ckpool.fleet contributors (@ckpool-fleet)
description:
  - Reads height, previous block, value, difficulty and transactions of the current work, which the daemon calls the workbase, and
    the age of that work.
  - Without options, the module uses the only pool of the host. If there are several, choose one by O(socket_dir), or set
    O(all_instances=true).
  - On a build that supports the operator's guide, this is the stratifier's C(current.workbase). On any other build it is the
    generator's C(getbase). For that, the generator asks its bitcoind for a new template, as it does for each piece of work. This
    takes bitcoind a moment, so do not ask every second.
  - A pool that gets no work from a bitcoind because of its mode (proxy, passthrough, redirector, node) has no template. This is not
    an error. RV(workbase) is null then, and its generator is not asked.
  - The module fails if a pool answers without a template. RV(reason) is V(no_bitcoind) if its bitcoind provides none, and
    V(unanswered) if the generator is still waiting for one.
extends_documentation_fragment:
  - ckpool.fleet.pool
  - ckpool.fleet.pool.pid
  - ckpool.fleet.pool.all_instances
  - ckpool.fleet.pool.fail_when_down
  - ckpool.fleet.attributes
  - ckpool.fleet.attributes.info_module
  - ckpool.fleet.attributes.actiongroup_ckpool
options:
  with_transactions:
    description:
      - Also return the transactions of the template, up to the first 20000.
    type: bool
    default: false
notes:
  - With O(source=api), only C(getbase) is used, which every build with a bitcoind answers. With O(source=guide), only
    C(current.workbase) is used. No file contains a template, so O(source=files) is an error.
seealso:
  - module: ckpool.fleet.ckpool_health_info
  - module: ckpool.fleet.ckpool_block_info
"""

EXAMPLES = r"""
- name: Read the current work
  ckpool.fleet.ckpool_workbase_info:
  register: pool

- name: Fail if the pool works on a block that another node has already seen
  ansible.builtin.assert:
    that: pool.workbase.height > known_height | int

- name: Read the current work with its transactions
  ckpool.fleet.ckpool_workbase_info:
    with_transactions: true
  register: pool

- name: Show the fees of the next block, in satoshi
  ansible.builtin.debug:
    msg: "{{ pool.transactions | map(attribute='fee') | sum }}"
"""

RETURN = r"""
workbase:
  description: The template. A value that the source does not provide is null. Null altogether if the pool is not up, or has no
    template because of its mode.
  returned: success, unless O(all_instances=true)
  type: dict
  contains:
    height:
      description: Height of the block that the pool works on. From both sources.
      type: int
      sample: 850001
    previous_block:
      description: Hash of the block before it, the last of the chain. From both sources.
      type: str
      sample: "00000000000000000001abababababababababababababababababababababab"
    transactions:
      description: Number of transactions in it, without its own coinbase. From both sources.
      type: int
      sample: 2843
    coinbase_value:
      description: Subsidy and fees of the block, in satoshi. From both sources.
      type: int
      sample: 312500000
    bits:
      description: The target in compact form, in hexadecimal digits. From both sources.
      type: str
      sample: "17034219"
    difficulty:
      description: Difficulty of the network, computed from the target, or from the bits if there is no target.
      type: float
      sample: 86388558925171.02
    version:
      description: Version of the block. From both sources.
      type: int
      sample: 536870912
    time:
      description: Time of the template by the clock of bitcoind (C(curtime)), in epoch seconds. From both sources.
      type: int
      sample: 1795385443
    age:
      description:
        - Seconds since the pool last stored a piece of work, from the line C(Stored local workbase) in the last MiB of its log.
          If there is none and the guide answered, seconds since RV(workbase.time). Otherwise null.
        - The generator makes its template on request, so the time of that says nothing about the work of the miners.
      type: float
      sample: 12.408
transactions:
  description: The transactions, in the order of the template.
  returned: O(with_transactions=true) and success
  type: list
  elements: dict
  contains:
    txid:
      description: ID of the transaction. Empty if the source does not provide it.
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
  description: The instance, as it was last seen. Null if there is none.
  returned: success, or failure after the instance was found, unless O(all_instances=true)
  type: dict
  contains:
    name:
      description: The daemon's name, from its command line, or from its directory if it has ended.
      type: str
      sample: ckpool
    mode:
      description: The daemon's mode, from its command line. One of V(pool), V(solo), V(proxy), V(passthrough), V(redirector) and V(node).
      type: str
      sample: pool
    socket_dir:
      description: Its socket directory, as the daemon sees it.
      type: str
      sample: /tmp/ckpool
    log_dir:
      description: Its log directory, as the daemon sees it, from its open files or its configuration. Null if unknown.
      type: str
      sample: /var/log/ckpool
    pid:
      description: Its process ID, as seen from the host. Null if there is none.
      type: int
      sample: 4242
    started:
      description: Time at which its process was started, in epoch seconds. Null if it does not run.
      type: int
      sample: 1795385226
    root:
      description: Where the host sees its file system. V(/), or C(/proc/PID/root) for a container or a unit with C(PrivateTmp).
      type: str
      sample: /
    user:
      description: Owner of its process, or of its directory if it has ended. Null if unknown.
      type: str
      sample: ckpool
    state:
      description:
        - V(ok) if it answers and has work. V(degraded) if a part of it does not answer. V(starting) if it has no work yet. V(hung) if it
          accepts connections and does not answer. V(down) if nothing listens. V(unknown) if it cannot be asked, because its sockets
          are not accessible, or because another process or nonsense answers on them. Null if it was not asked.
      type: str
      sample: ok
source:
  description: Where the answer came from. V(guide) for C(current.workbase), V(api) for C(getbase). Null if there is no answer.
  returned: success, unless O(all_instances=true)
  type: str
  sample: api
as_of:
  description: Time at which the pool was asked, in epoch seconds. Null if there is no answer.
  returned: success, unless O(all_instances=true)
  type: int
  sample: 1795385464
problems:
  description: What could not be determined, by area, with the reason.
  returned: success, or failure after the instance was found, unless O(all_instances=true)
  type: dict
  sample: {}
log_tail:
  description: The last lines of the log, if it can be read.
  returned: the pool is down or hung, unless O(all_instances=true)
  type: list
  elements: str
  sample: ["[2026-11-22 22:09:25.734] BLOCK ACCEPTED!"]
instances:
  description:
    - The result for each instance, with the same keys as for one. If an instance failed, its result has C(failed), and C(phase), C(path),
      C(reason), C(hint) and C(msg) of the failure. The task fails as well then, with the results of the other instances.
  returned: O(all_instances=true)
  type: list
  elements: dict
  sample: []
msg:
  description: The result in one sentence.
  returned: always
  type: str
  sample: "ckpool (/tmp/ckpool): works on block 850001, 2843 transactions, 3.125 BTC, work 12 s old (api)"
phase:
  description: The phase that failed. One of V(options), V(find), V(connect), V(ask), V(read) and V(parse).
  returned: failure
  type: str
  sample: connect
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

from ansible_collections.ckpool.fleet.plugins.module_utils import _compile_once  # noqa: F401  # pylint: disable=unused-import
from ansible_collections.ckpool.fleet.plugins.module_utils._ask import reading
from ansible_collections.ckpool.fleet.plugins.module_utils._info_module import read_each
from ansible_collections.ckpool.fleet.plugins.module_utils._module import PoolModule, Result, run
from ansible_collections.ckpool.fleet.plugins.module_utils._options import READING_OPTIONS
from ansible_collections.ckpool.fleet.plugins.module_utils._pool import Answer, Pool

SATOSHI = 100_000_000  #: per bitcoin


def read(module: PoolModule) -> Result:
    """Read the template of one pool or of all."""
    with_transactions = module.params["with_transactions"]

    def one(pool: Pool) -> Result:
        answer = pool.workbase(with_transactions)
        workbase = answer.workbase
        values: Result = {"workbase": workbase.as_dict() if workbase else None}
        if with_transactions:
            values["transactions"] = [row.as_dict() for row in workbase.transaction_list] if workbase else []
        return reading.answered(pool, answer, sentence(answer), **values)

    return read_each(module, one)


def sentence(answer: Answer) -> str:
    """The answer as a sentence."""
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
        **READING_OPTIONS,
    }
    run(PoolModule(options), read)


if __name__ == "__main__":
    main()
