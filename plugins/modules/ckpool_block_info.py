# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the blocks that a ckpool has found."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ckpool_block_info
short_description: Read the blocks that a ckpool has found
version_added: 0.3.0
author: The ckpool.fleet contributors (@ckpool-fleet)
description:
  - Lists the blocks that a ckpool has found, the newest first, with the verdict of its bitcoind on each.
  - Without options, the module uses the only pool of the host. If there are several, choose one by O(socket_dir), or set
    O(all_instances=true).
  - No build reports blocks over a socket, so they are read from the daemon's log and from the rotated logs beside it. These are
    C(NAME.log.1), C(NAME.log-20261122), C(NAME.1.log), C(NAME-20261122.log), C(NAME.log.old) and the like, also if compressed by
    gzip. RV(problems) names files that are compressed otherwise.
  - C(NAME-2.log) may also be the log of another instance. It is ignored if an instance of that name was started in it, or if
    it was still written to long after C(NAME.log) was begun.
  - Logs are read for at most 30 seconds. RV(problems) says if this time or O(log_limit) was not sufficient.
  - The lines that a build writes about one block become one entry. A block that bitcoind rejected is listed too, with
    RV(blocks[].accepted) false.
  - A pool that works for another one (proxy, passthrough) only logs that it may have found a block, not whether it was accepted.
  - At a log level below 4, the daemon writes none of these lines, so no block can be found.
  - Names of workers are chosen by miners. Only whole lines that begin as the daemon writes them are taken into account.
extends_documentation_fragment:
  - ckpool.fleet.pool
  - ckpool.fleet.pool.pid
  - ckpool.fleet.pool.all_instances
  - ckpool.fleet.pool.fail_when_down
  - ckpool.fleet.attributes
  - ckpool.fleet.attributes.info_module
  - ckpool.fleet.attributes.actiongroup_ckpool
options:
  since:
    description:
      - Only return blocks that were found since this time. Either epoch seconds, or how long ago, as a number with a unit, V(s),
        V(m), V(h), V(d) or V(w), such as V(12h) or V(7d).
      - A number without a unit is a time if it is V(1000000000) or more, and otherwise a number of seconds ago.
      - By default, all logs are searched. Files that were last written before this time are not opened.
    type: str
  limit:
    description:
      - Maximum number of blocks to return, the newest ones, from V(1) to V(10000). The search ends when they are found.
    type: int
    default: 20
  log_limit:
    description:
      - Maximum number of bytes to read from all logs together, from V(1) to V(9223372036854775807). Compressed logs count
        uncompressed.
      - RV(complete) is false if this was not sufficient.
    type: int
    default: 4294967296
seealso:
  - module: ckpool.fleet.ckpool_stats
  - module: ckpool.fleet.ckpool_workbase_info
"""

EXAMPLES = r"""
- name: Read the last blocks of the pool on this host
  ckpool.fleet.ckpool_block_info:
  register: pool

- name: Show which worker found the last one
  ansible.builtin.debug:
    msg: "{{ (pool.blocks | first | default({})).worker | default('no block yet') }}"

- name: Fail if bitcoind rejected a block within the last week
  ckpool.fleet.ckpool_block_info:
    since: 7d
    limit: 1000
  register: week
  failed_when: week is failed or week.blocks | selectattr('accepted', 'eq', false) | list | length > 0
"""

RETURN = r"""
blocks:
  description: The blocks, the newest first. A value that the log does not contain is null.
  returned: success, unless O(all_instances=true)
  type: list
  elements: dict
  contains:
    time:
      description: Time at which it was found, in epoch seconds. From the first line about it, in the time zone of the daemon, which is
        taken from its environment or its C(/etc/localtime). If the zone cannot be determined, it is inferred from the time at which
        the log was last written, and RV(problems) says so.
      type: int
      sample: 1795385365
    height:
      description: Height of the block. From the line C(Solved and confirmed block), or from the line about its rejection.
      type: int
      sample: 850001
    hash:
      description: Hash of the block. From the guide's C(BLOCK FOUND). Null on public builds, which do not log it.
      type: str
      sample: "00000000000000000001abababababababababababababababababababababab"
    worker:
      description: The worker that found it. From the line C(Solved and confirmed block), so null if it was rejected.
      type: str
      sample: bc1qexampleaddress.rig0
    user:
      description: The user of that worker, which is the part before the first dot or underscore.
      type: str
      sample: bc1qexampleaddress
    difficulty:
      description: Difficulty of the share that solved it. From the line C(Possible block solve diff).
      type: float
      sample: 86388558925180.5
    network_difficulty:
      description: Difficulty of the network at that time. From the last line C(Network diff set to) before it in the same file,
        within 32 MiB. Builds of 2017 do not write this line.
      type: float
      sample: 86388558925171.0
    accepted:
      description: Whether bitcoind accepted the block. Null if no line says so, as in proxy mode.
      type: bool
      sample: true
    reason:
      description: Why bitcoind rejected it, in its own words, or C(no response). From the line C(SUBMIT BLOCK RETURNED). Null if
        it was accepted or no reason was logged.
      type: str
      sample: null
    stale:
      description: Whether the share was stale, that is, not for the latest work. From the line C(Possible block solve diff).
      type: bool
      sample: false
    shares:
      description: Shares that the pool had accepted since the block before, or since it was first started, in shares of
        difficulty 1. From the line C(Block solved after).
      type: float
      sample: 73842190482155
    effort:
      description: The same in percent of the network difficulty. Below 100 was luck. From the same line.
      type: float
      sample: 85.5
complete:
  description: Whether everything that was asked for was searched. False if O(limit) or O(log_limit) ended the search, or if a file
    could not be read.
  returned: success, unless O(all_instances=true)
  type: bool
  sample: true
reached:
  description: Time of the oldest line that was read, in epoch seconds. Null if there was none.
  returned: success, unless O(all_instances=true)
  type: int
  sample: 1795385224
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
  description: Where the answer came from, as O(source). Null if there is no answer.
  returned: success, unless O(all_instances=true)
  type: str
  sample: files
as_of:
  description: Time at which the log was read, in epoch seconds. Null if there is no log.
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
  sample: "ckpool (/tmp/ckpool): 2 blocks, 2 accepted, the last 12 m ago by bc1qexampleaddress.rig0 (files)"
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

import time

from ansible_collections.ckpool.fleet.plugins.module_utils import _compile_once  # noqa: F401  # pylint: disable=unused-import
from ansible_collections.ckpool.fleet.plugins.module_utils._ask import reading
from ansible_collections.ckpool.fleet.plugins.module_utils._info_module import read_each
from ansible_collections.ckpool.fleet.plugins.module_utils._module import PoolModule, Result, run
from ansible_collections.ckpool.fleet.plugins.module_utils._options import READING_OPTIONS
from ansible_collections.ckpool.fleet.plugins.module_utils._sources.log.file import LOG_LIMIT
from ansible_collections.ckpool.fleet.plugins.module_utils._units import moment


def read(module: PoolModule) -> Result:
    """Search the logs for blocks."""
    options = module.params
    module.check_ranges(limit=(1, 10_000), log_limit=(1, 2**63 - 1))
    since = moment(options["since"], time.time()) if options["since"] else 0.0

    return read_each(module, lambda pool: reading.blocks(pool, since, options["limit"], options["log_limit"]))


def main() -> None:
    """Run the module."""
    options = {
        "since": {"type": "str"},
        "limit": {"type": "int", "default": 20},
        "log_limit": {"type": "int", "default": LOG_LIMIT},
        **READING_OPTIONS,
    }
    run(PoolModule(options), read)


if __name__ == "__main__":
    main()
