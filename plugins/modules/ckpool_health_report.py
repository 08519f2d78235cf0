# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ckpool_health_report
short_description: Show the health of a fleet of ckpools as a table
version_added: 0.1.0
author: The ckpool.fleet contributors (@ckpool-fleet)
description:
  - Shows the results of M(ckpool.fleet.ckpool_health_info) on every host of an earlier play as one table, and fails if the fleet is not
    healthy. Hosts that could not be reached are shown too. A result that is malformed becomes a row of its own.
  - The last column shows the cause and the remedy. Further problems, and the last line of the log of a pool that is down or hung, are
    shown below the table. The line C(TOTAL) contains the sums over all pools.
  - Optionally writes the report as JSON and as JUnit XML, for CI. The JSON file of one run is the baseline of the next one.
  - Can also ask the service of the role C(ckpool.fleet.http_api) on each host for the same results, from this one task. See O(via).
  - Runs on the controller, and connects to no host but to such services. No table is shown under a callback that prints JSON.
extends_documentation_fragment:
  - ckpool.fleet.report
  - ckpool.fleet.report.json_file
options:
  variable:
    default: health_check_result
  hosts:
    description:
      - Pattern of the hosts that should have been asked, as for C(hosts) of a play. A host without a result has a row then. Hosts that
        C(--limit) leaves out are listed in RV(not_asked). If the pattern or the limit matches no host, RV(outcome) is V(invalid).
      - Run the module in a play over C(localhost:all). Otherwise, hosts outside of the play count as left out.
    version_added: 0.4.0
  fail_on:
    description:
      - What makes the task fail. V(critical) is a critical check, or a host that could not be reached or asked. V(warning) is any pool
        whose state is not V(ok). V(never) is neither.
      - A fleet without any host, and what makes RV(outcome=invalid), always fails.
    type: str
    choices: [critical, warning, never]
    default: critical
  via:
    description:
      - How the hosts are asked. With V(ssh), the report is on what their tasks registered under O(variable). With V(http), the task asks the
        service of each host of O(hosts) with C(GET /health), 100 of them at the same time. A registered result does not count then.
      - With V(by_host), the variable C(health_check_via) of each host decides, which is V(ssh) or V(http). A host without it is asked by ssh.
      - A service is asked as the variables of its host say. They may be templates and come from a vault.
        C(health_check_http_url) is its URL, C(https://HOST:PORT) or, for a service that is reached on this machine, C(http://HOST:PORT); a path
        that a proxy needs may follow. The default is C(https://), or C(http://) if the address is a loopback address; the address
        C(ansible_host), or else the name of the host in the inventory; and the port C(health_check_http_port), or else C(http_api_port), or
        else V(9333).
      - C(health_check_http_token) is its token, by default C(http_api_token). It is never shown, and is not sent without TLS to another machine.
        C(health_check_http_ca_file) is a file on the controller with the certificates to trust in place of those of the system, and
        C(health_check_http_validate_certs=false) trusts any certificate. C(health_check_http_timeout) is the number of seconds that a whole
        answer may take, from the resolution of the name to the last byte; V(10) by default.
      - A host has a row with the state V(unreachable) if no connection is made, and V(failed) if the answer is late, larger than 4 MiB, a
        redirect, not a verdict, more than 60 seconds older or newer than the controller's clock, or if the same service answers for another
        host too. The row says the cause and what to look at.
      - The service judges by its own configuration. If C(health_check_thresholds), C(health_check_skip_checks), C(health_check_socket_dirs) or
        C(health_check_log_dir) of a host are set and its service does not say that it judges by the same, its row is V(failed).
        C(health_check_sample_seconds) cannot be applied by a service, so it is refused.
    type: str
    choices: [ssh, http, by_host]
    default: ssh
    version_added: 1.0.0
  json_file:
    description:
      - File on the controller to write the report to, as JSON. It is replaced atomically. Its directory must exist.
      - If the file exists, it must be the report of an earlier run. An instance in it that no longer exists has a row with the state V(gone),
        which is critical, in this run and in every later one, until O(forget) names it. Instances of hosts that were not asked or not
        reached remain in the file. Any other content makes RV(outcome=invalid), and the file is not modified.
      - An instance of an earlier run is the same if its host, name, socket directory, and the kind of its root (that of the host, or of a
        container) are the same.
  forget:
    description:
      - Instances that are gone intentionally. Each is C(HOST:SOCKET_DIR), C(HOST:NAME), C(HOST) for all of a host, a socket directory or a name
        alone, or V(all).
      - Only instances that are gone are forgotten, and only in a file that O(json_file) names.
    type: list
    elements: str
    default: []
    version_added: 0.4.0
  junit_file:
    description:
      - File on the controller to write the report to, as JUnit XML, with a test suite for each instance and a test case for each check. It is
        replaced atomically. Its directory must exist.
    type: path
attributes:
  check_mode:
    details:
      - Shows the table, and writes no file.
seealso:
  - module: ckpool.fleet.ckpool_health_info
"""

EXAMPLES = r"""
- name: Check every host
  hosts: pools
  gather_facts: false
  ignore_unreachable: true
  tasks:
    - name: Check every pool on the host
      ckpool.fleet.ckpool_health_info:
        all_instances: true
      register: health_check_result

- name: Report
  hosts: localhost:all # never empty, whatever --limit says
  gather_facts: false
  tasks:
    - name: Show the fleet, and fail unless every pool is healthy
      ckpool.fleet.ckpool_health_report:
        hosts: pools
        fail_on: warning
        junit_file: health.xml
      run_once: true

- name: Report, without a task on the hosts
  hosts: localhost:all
  gather_facts: false
  tasks:
    - name: Ask the services of all hosts at once, and show the fleet
      ckpool.fleet.ckpool_health_report:
        hosts: pools
        via: http
      run_once: true

- name: Report, and remember
  hosts: localhost:all
  gather_facts: false
  tasks:
    - name: Show the fleet, and detect instances that are gone since the last run
      ckpool.fleet.ckpool_health_report:
        hosts: pools
        json_file: /var/lib/ckpool-health.json
        forget: ["pool3.example.org:/run/ckpool/solo"]
      run_once: true
"""

RETURN = r"""
fleet:
  description: A row for each instance of each host.
  returned: the options are valid
  type: list
  elements: dict
  contains:
    host:
      description: Name of the host in the inventory.
      type: str
      sample: pool1
    instance:
      description: The daemon's name. Null if no instance was found.
      type: str
      sample: ckpool
    socket_dir:
      description: Its socket directory.
      type: str
      sample: /tmp/ckpool
    pid:
      description: Its process ID. Null if there is none.
      type: int
      sample: 4242
    root:
      description: Where the host sees its file system. V(/) for that of the host. Null if unknown.
      type: str
      sample: /
    user:
      description: Its owner. Null if unknown.
      type: str
      sample: root
    state:
      description: As RV(ckpool.fleet.ckpool_health_info#module:health.state). V(unreachable) if the host could not be reached. V(failed)
        if the task failed or its result is malformed. V(gone) if an earlier run found the instance, and this one did not.
      type: str
      sample: ok
    status:
      description: One of V(ok), V(warning) and V(critical).
      type: str
      sample: ok
    hashrate:
      description: Hashrate over 1 minute, in H/s. Null if unknown.
      type: float
      sample: 38500000.0
    users:
      description: Number of users with workers. Null if unknown.
      type: int
      sample: 3
    workers:
      description: Number of workers. Null if unknown.
      type: int
      sample: 12
    clients:
      description: Number of connected clients, by the connector's count. Null if it does not answer.
      type: int
      sample: 12
    work_age:
      description: Seconds since the last piece of work. Null if unknown.
      type: float
      sample: 4.2
    log_line:
      description: The last line of its log, if it is down or hung. Null if unknown.
      type: str
      sample: null
    wrong:
      description: What is wrong, for a person, the worst first.
      type: list
      elements: str
      sample: []
    checks:
      description: The checks, as RV(ckpool.fleet.ckpool_health_info#module:health.checks).
      type: list
      elements: dict
      sample: []
outcome:
  description:
    - V(healthy) if no pool fails by O(fail_on). V(unhealthy) if one does; V(never) is treated as V(critical) here. V(undetermined) if nothing
      is known to be unhealthy, but a host or a pool could not be asked. V(invalid) if the task or the play is not set up correctly.
  returned: always
  type: str
  sample: healthy
well:
  description: Whether the task passed.
  returned: always
  type: bool
  sample: true
table:
  description: The table as lines of text.
  returned: the options are valid
  type: list
  elements: str
  sample: ["HOST   INSTANCE  STATE  HASHRATE   USERS  WORKERS  WORK AGE  WHAT IS WRONG"]
notes:
  description: The lines that are shown below the table.
  returned: the options are valid
  type: list
  elements: str
  sample: ["ckpool on pool1 is hung, and:", "  - its log ends: [2026-11-22 22:09:25.734] BLOCK ACCEPTED!"]
totals:
  description: The sums over all pools. A sum is null if no pool reported the value.
  returned: the options are valid
  type: dict
  contains:
    hosts:
      description: Number of hosts with a row.
      type: int
      sample: 3
    pools:
      description: Number of pools that were found.
      type: int
      sample: 3
    healthy:
      description: Number of pools whose state is V(ok).
      type: int
      sample: 3
    counted:
      description: Number of pools that reported a hashrate.
      type: int
      sample: 3
    hashrate:
      description: Hashrate over 1 minute, in H/s.
      type: float
      sample: 115500000.0
    users:
      description: Number of users with workers. A user of two pools counts twice.
      type: int
      sample: 9
    workers:
      description: Number of workers.
      type: int
      sample: 36
not_asked:
  description: The hosts of O(hosts) that C(--limit) left out.
  returned: the options are valid
  type: list
  elements: str
  sample: []
forgotten:
  description: The instances that O(forget) removed from the baseline, each in a form that can be used as an option.
  returned: the options are valid
  type: list
  elements: str
  sample: []
msg:
  description: The outcome, and the state of the fleet in one sentence.
  returned: always
  type: str
  sample: "outcome: healthy; 3 of 3 pools on 3 hosts are healthy"
"""
