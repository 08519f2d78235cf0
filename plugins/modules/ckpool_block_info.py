# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the blocks that a ckpool found."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ckpool_block_info
short_description: Read the blocks that a ckpool found
version_added: 0.3.0
author: The ckpool.fleet contributors (@ckpool-fleet)
description:
  - Lists the blocks that a ckpool found, the newest first, with what its bitcoind said to each.
  - No build tells its blocks over a socket, so they are read from the daemon's log, and the rotated ones beside it.
    Those are C(NAME.log.1), C(NAME.log-20261122) and the like, also packed by gzip. Other packers are named in
    RV(problems).
  - The several lines that a build writes of one find become one entry. A find of which bitcoind was told and that it
    refused is listed too, with RV(blocks[].accepted) false.
  - A pool in front of others (proxy, passthrough) logs that it may have found a block, and never what came of it.
  - At log levels below 4 the daemon writes none of these lines, and there is nothing to be found.
  - Names of workers come from miners. Lines count only if they are whole and begin with what the daemon writes.
extends_documentation_fragment:
  - ckpool.fleet.pool
  - ckpool.fleet.attributes
  - ckpool.fleet.attributes.info_module
  - ckpool.fleet.attributes.actiongroup_ckpool
options:
  since:
    description:
      - Only blocks found since then. Epoch seconds, or how long ago as a number with V(s), V(m), V(h), V(d) or V(w),
        such as V(7d) or V(12h).
      - A number without a letter is a time if it is at least V(1000000000), and else seconds ago.
      - By default all that is in reach counts. Files that were last written before are not opened.
    type: str
  limit:
    description:
      - At most so many blocks, the newest, from V(1) to V(10000). No more is read than that takes.
    type: int
    default: 20
  log_limit:
    description:
      - Bytes of all logs together that may be read, at least V(1). Packed ones count unpacked.
      - RV(complete) is false if that was not enough.
    type: int
    default: 4294967296
  fail_when_down:
    description:
      - Fail if the pool is V(down) or V(hung).
    type: bool
    default: false
seealso:
  - module: ckpool.fleet.ckpool_stats
  - module: ckpool.fleet.ckpool_workbase_info
"""

EXAMPLES = r"""
- name: Read the last blocks of the pool of this host
  ckpool.fleet.ckpool_block_info:
  register: pool

- name: Show who found the last one
  ansible.builtin.debug:
    msg: "{{ (pool.blocks | first | default({})).worker | default('no block yet') }}"

- name: Stop if bitcoind refused a block of this week
  ckpool.fleet.ckpool_block_info:
    since: 7d
    limit: 1000
  register: week
  failed_when: week is failed or week.blocks | selectattr('accepted', 'eq', false) | list | length > 0
"""

RETURN = r"""
blocks:
  description: The finds, the newest first. What the log does not tell is null.
  returned: success
  type: list
  elements: dict
  contains:
    time:
      description: When it was found, in epoch seconds. The time of the first line about it, from the host's local time.
      type: int
      sample: 1795385365
    height:
      description: Height of the block. From the line C(Solved and confirmed block), or the one that it was rejected.
      type: int
      sample: 850001
    hash:
      description: Hash of the block. Null on public builds, which do not log it; from the guide's C(BLOCK FOUND) if it
        tells one.
      type: str
      sample: "00000000000000000001abababababababababababababababababababababab"
    worker:
      description: The worker that found it. From the line C(Solved and confirmed block), so null if it was refused.
      type: str
      sample: bc1qexampleaddress.rig0
    user:
      description: The user of that worker, which is what stands before the first dot or underscore.
      type: str
      sample: bc1qexampleaddress
    difficulty:
      description: Difficulty of the share that solved it. From the line C(Possible block solve diff).
      type: float
      sample: 86388558925180.5
    network_difficulty:
      description: Difficulty of the network at that time. From the last line C(Network diff set to) before it in the
        same file, within 32 MiB; builds of 2017 do not write it.
      type: float
      sample: 86388558925171.0
    accepted:
      description: Whether bitcoind took the block. Null if no line tells, as in proxy mode.
      type: bool
      sample: true
    reason:
      description: Why not, in bitcoind's words, or C(no response). From the line C(SUBMIT BLOCK RETURNED). Null if it
        was taken, or no reason was logged.
      type: str
      sample: null
    stale:
      description: Whether the share was stale, for work that was not the last. From the line C(Possible block solve
        diff).
      type: bool
      sample: false
    shares:
      description: Shares of difficulty 1 that the pool had accepted since the block before, or its first start. From
        the line C(Block solved after).
      type: float
      sample: 73842190482155
    effort:
      description: The same in percent of the network's difficulty. Below 100 was luck. From the same line.
      type: float
      sample: 85.5
complete:
  description:
    - Whether everything that was asked for was looked at. False where O(limit) or O(log_limit) ended the search, or a
      file could not be read.
  returned: success
  type: bool
  sample: true
reached:
  description: Time of the oldest line that was looked at, in epoch seconds. Null if there was none.
  returned: success
  type: int
  sample: 1795385224
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
    - Where the answer came from, always V(files). Null if there is no answer.
  returned: success
  type: str
  sample: files
as_of:
  description: When the log was read, in epoch seconds. Null if there is no answer.
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
  sample: "ckpool (/tmp/ckpool): 2 blocks, 2 accepted, the last 12 m ago by bc1qexampleaddress.rig0 (files)"
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

import time

from ansible_collections.ckpool.fleet.plugins.module_utils._module import PoolModule, Result, describe, run
from ansible_collections.ckpool.fleet.plugins.module_utils._pool import LOG_LIMIT, Answer
from ansible_collections.ckpool.fleet.plugins.module_utils._reading import answered, find_pool
from ansible_collections.ckpool.fleet.plugins.module_utils._units import moment


def read(module: PoolModule) -> Result:
    """Look for blocks in the logs, and say what was found."""
    options = module.params
    module.check_ranges(limit=(1, 10_000), log_limit=(1, 2**63 - 1))
    since = moment(options["since"], time.time()) if options["since"] else 0.0
    pool = find_pool(module)
    answer = pool.blocks(since, options["limit"], options["log_limit"])
    msg = f"{describe(pool.instance)}: {sentence(answer)}"
    blocks = [block.as_dict() for block in answer.blocks]
    return answered(module, pool, answer, msg, blocks=blocks, complete=answer.is_complete, reached=answer.reached)


def sentence(answer: Answer) -> str:
    """The answer for a person."""
    if answer.source is None:
        return "no log to find blocks in"
    blocks = answer.blocks
    if not blocks:
        return f"no block in reach ({answer.source})"
    accepted = sum(block.accepted is True for block in blocks)
    refused = sum(block.accepted is False for block in blocks)
    counts = f"{len(blocks)} block{'s' * (len(blocks) != 1)}, {accepted} accepted"
    if refused:
        counts += f", {refused} refused"
    by = f" by {blocks[0].worker}" if blocks[0].worker else ""
    return f"{counts}, the last {ago(time.time() - blocks[0].time)} ago{by} ({answer.source})"


def ago(seconds: float) -> str:
    """A time span in the largest unit that it fills."""
    seconds = max(seconds, 0.0)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def main() -> None:
    """Run the module."""
    options = {
        "since": {"type": "str"},
        "limit": {"type": "int", "default": 20},
        "log_limit": {"type": "int", "default": LOG_LIMIT},
        "fail_when_down": {"type": "bool", "default": False},
    }
    run(PoolModule(options), read)


if __name__ == "__main__":
    main()
