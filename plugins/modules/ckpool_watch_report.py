# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ckpool_watch_report
short_description: Find what has changed in a fleet, and keep each message until it is sent
version_added: 1.0.0
author: The ckpool.fleet contributors (@ckpool-fleet)
description:
  - Compares what M(ckpool.fleet.ckpool_info) returned on every host of an earlier play with what the run before remembered in O(state_file).
    A change is a message, once. What is already so when a pool is first seen is no change, except that a pool is down.
  - A message is stored in O(state_file) before it is sent, and stays there until O(step=sent) says that it was. So none is lost, and each is sent at
    least once to each channel. A message that was under way when a run was cut off is sent again, with the same C(id).
  - A host that is not reached and a pool that is not found count as failed looks. Hosts that C(--limit) leaves out stay as they are.
  - Sends nothing itself, runs on the controller, and connects to no host. The playbook C(ckpool.fleet.watch) uses it.
extends_documentation_fragment:
  - ckpool.fleet.report
options:
  step:
    description:
      - V(begin) checks the options and the file, and keeps other runs out until this one has ended. V(report) finds the changes. V(sent) notes that
        one message was sent to one channel, or O(error). V(end) lists what is still to be sent, and lets other runs in.
      - A run that was cut off keeps nobody out. One on another machine does so for at most 6 hours.
    type: str
    choices: [begin, report, sent, end]
    required: true
  state_file:
    description:
      - File on the controller in which everything is remembered. It is replaced atomically. Its directory must exist. C(FILE.lock) beside it
        says which run uses it.
      - A file with something else, or a part of it, is an error and is left as it is.
    type: path
    required: true
  channels:
    description:
      - Where to send each new message. Required with O(step=begin) and O(step=report).
    type: list
    elements: str
    choices: [webhook, ntfy, tasks]
    default: []
  tasks_file:
    description:
      - Path on the controller of the tasks of the channel V(tasks). It is only checked that it is absolute and there.
    type: str
  variable:
    default: watch_result
  forget:
    description:
      - Pools that were removed on purpose, as C(HOST), C(HOST:NAME), C(HOST:SOCKET_DIR) or V(all). Only pools that are not found are forgotten.
    type: list
    elements: str
    default: []
  drop:
    description:
      - The C(id) of messages that shall no longer be sent, or V(all) for those of earlier runs.
    type: list
    elements: str
    default: []
  kinds:
    description:
      - The changes to tell.
    type: list
    elements: str
    choices: [pool, block, hashrate, work, user, worker, version, data]
    default: [pool, block, hashrate, work, user, worker, version, data]
  looks:
    description:
      - Number of failed looks in a row after which a pool is down, and of looks that lack data after which this is told, from V(1) to V(100).
    type: int
    default: 2
  hashrate_drop:
    description:
      - Percent by which the hashrate over 5 minutes must be below that over an hour, from V(1) to V(100).
      - It is back when half of that is regained, or after a day.
    type: float
    default: 50
  work_age:
    description:
      - Seconds after which the work of a pool is stale, from V(1) to V(2147483648).
    type: float
    default: 300
  idle_after:
    description:
      - Seconds without a share after which a user or a worker is idle, from V(60) to V(2147483648). One that is no longer listed is idle too.
      - After the start of a pool, and after it was down, nobody is reported as idle for as long.
    type: float
    default: 900
  users:
    description:
      - Names of the users to watch, with their workers. By default, all users are watched, up to 20,000 of a pool.
    type: list
    elements: str
    default: []
  id:
    description:
      - The C(id) of the message. Required with O(step=sent).
    type: str
  channel:
    description:
      - The channel of that message. Required with O(step=sent).
    type: str
    choices: [webhook, ntfy, tasks]
  error:
    description:
      - Why that message was not sent. By default, it was.
    type: str
seealso:
  - module: ckpool.fleet.ckpool_info
"""

EXAMPLES = r"""
- name: Look at every pool of every host
  hosts: pools
  gather_facts: false
  ignore_unreachable: true
  tasks:
    - name: Read every pool on the host
      ckpool.fleet.ckpool_info:
        all_instances: true
        gather_subset: [summary, blocks]
      register: watch_result
      ignore_errors: true

- name: Show what would be told
  hosts: localhost:all # never empty, whatever --limit says
  gather_facts: false
  tasks:
    - name: Find what has changed since the last run of the watch
      ckpool.fleet.ckpool_watch_report:
        step: report
        hosts: pools
        state_file: /var/lib/ckpool-watch/state.json
        channels: [webhook]
      check_mode: true
      run_once: true
"""

RETURN = r"""
edges:
  description: What has changed, in the order of the hosts. Text from others is escaped, so that it is one line without control characters.
  returned: O(step=report)
  type: list
  elements: dict
  contains: &message
    id:
      description: Identifies the message. It is the same in every try.
      type: str
      sample: 5f1c0a9be412-17
    event:
      description:
        - One of V(pool_down), V(pool_recovered), V(block_found), V(hashrate_drop), V(hashrate_recovered), V(work_stale), V(work_recovered),
          V(user_idle), V(user_back), V(worker_idle), V(worker_back), V(version_changed), V(data_missing) and V(data_back).
      type: str
      sample: pool_down
    severity:
      description: One of V(critical), V(warning) and V(info).
      type: str
      sample: critical
    host:
      description: Name of the host in the inventory.
      type: str
      sample: pool1
    pool:
      description: Name of the pool. Empty if the host has none.
      type: str
      sample: solo
    socket_dir:
      description: Its socket directory.
      type: str
      sample: /run/ckpool/solo
    time:
      description: Time of the look that found it, in epoch seconds.
      type: float
      sample: 1795385464.2
    text:
      description: The change in one sentence.
      type: str
      sample: "pool1: solo (/run/ckpool/solo) is down after 2 failed looks, last seen 2026-11-22 22:09:25 UTC: it is hung"
    facts:
      description: Its numbers and names, by event. Hashrates are in H/s, times in epoch seconds.
      type: dict
      sample: {"why": "it is hung"}
deliveries:
  description: Every message to send, the oldest first, once for each channel.
  returned: O(step=report)
  type: list
  elements: dict
  contains:
    channel:
      description: The channel.
      type: str
      sample: webhook
    message:
      description: The message, as in RV(edges).
      type: dict
      contains: *message
failing:
  description: What did not answer in this run, with the reason. What failed only once is not told yet.
  returned: O(step=report)
  type: list
  elements: str
  sample: ["pool2: unreachable: no route to host"]
forgotten:
  description: The pools that O(forget) removed.
  returned: O(step=report)
  type: list
  elements: str
  sample: []
dropped:
  description: The C(id) of the messages that O(drop) removed.
  returned: O(step=report)
  type: list
  elements: str
  sample: []
kept:
  description: The hosts with known pools that were not asked in this run.
  returned: O(step=report)
  type: list
  elements: str
  sample: []
not_asked:
  description: The hosts of O(hosts) that C(--limit) left out.
  returned: O(step=report)
  type: list
  elements: str
  sample: []
problems:
  description: What is wrong with the call, each as a sentence. The task fails unless this is empty, after everything was stored.
  returned: O(step=report)
  type: list
  elements: str
  sample: []
paused:
  description: The channels that failed so often in this run that the rest of their messages waits for the next.
  returned: O(step=sent)
  type: list
  elements: str
  sample: []
unsent:
  description: The messages that are still to be sent, with the keys of RV(edges), and C(to), the channels, C(tries) and C(why).
  returned: O(step=end)
  type: list
  elements: dict
  sample: []
msg:
  description: The result in one sentence.
  returned: always
  type: str
  sample: "12 pools watched; no change"
"""
