# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""List the ckpool instances of a host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ckpool_instance_info
short_description: List the ckpool instances of a host
version_added: 0.4.0
author: The ckpool.fleet contributors (@ckpool-fleet)
description:
  - Lists every instance of the host, including those that have ended and left files behind, with its identity, user, systemd service,
    version and directories.
  - Nothing is sent to a daemon. Everything is read from C(/proc), files and systemd, so this is fast and harmless, and does not show
    the state of a pool. Use M(ckpool.fleet.ckpool_health_info) for that.
  - A host without instances is not an error. RV(instances) is empty then, and RV(msg) says what else was found.
  - This needs C(become) to find the processes of all users.
extends_documentation_fragment:
  - ckpool.fleet.pool
  - ckpool.fleet.attributes
  - ckpool.fleet.attributes.info_module
  - ckpool.fleet.attributes.actiongroup_ckpool
options:
  socket_dir:
    description:
      - Only list instances with this socket directory, as the daemon or as the host sees it.
    type: path
  name:
    description:
      - Only list instances with this name.
    type: str
  pid:
    description:
      - Only list the instance with this process ID.
    type: int
  log_dir:
    description:
      - The log directory of instances whose own one cannot be determined.
    type: path
  socket_dirs:
    description:
      - Socket directories of instances that should exist. An instance that does not run is listed then, even if nothing else points
        to it.
    type: list
    elements: path
    default: []
  source:
    description:
      - Has no effect, because no daemon is asked. Like O(timeout) and O(max_reply), this option exists for C(module_defaults) of the
        action group.
seealso:
  - module: ckpool.fleet.ckpool_health_info
  - module: ckpool.fleet.ckpool_info
"""

EXAMPLES = r"""
- name: List the pools on this host
  ckpool.fleet.ckpool_instance_info:
  become: true
  register: host

- name: Show them
  ansible.builtin.debug:
    msg: "{{ item.name }} {{ item.version }} in {{ item.socket_dir }}, {{ item.unit | default('no service', true) }}"
  loop: "{{ host.instances }}"

- name: Read the statistics of each pool that runs
  ckpool.fleet.ckpool_stats:
    pid: "{{ item.pid }}"
  loop: "{{ host.instances | selectattr('pid_state', '==', 'alive') }}"
  become: true

- name: Fail unless the pool that should be here runs
  ckpool.fleet.ckpool_instance_info:
    socket_dirs: [/run/ckpool/solo]
    socket_dir: /run/ckpool/solo
  register: solo
  failed_when: solo.instances | selectattr('pid_state', '==', 'alive') | length != 1
"""

RETURN = r"""
instances:
  description: The instances, in the order of their directories.
  returned: success
  type: list
  elements: dict
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
    config_file:
      description: Its configuration file, as the daemon sees it. From its command line and working directory. Null if it does not run,
        or if the directory is not accessible.
      type: str
      sample: /etc/ckpool/ckpool.conf
    pid:
      description: Its process ID, as seen from the host. If it has ended, the one in its C(main.pid). Null if there is none.
      type: int
      sample: 4242
    pid_state:
      description:
        - V(alive) if the process runs. V(dead) if it has ended and left its C(main.pid) behind. V(another) if another program has this
          process ID by now. V(hidden) if it cannot be determined whose process it is. V(absent) if there is no C(main.pid).
      type: str
      sample: alive
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
    group:
      description: Main group of its process, or group of its directory if it has ended. The daemon gives it to its sockets, so its members can
        use them. Null if unknown.
      type: str
      sample: ckpool
    regular_user:
      description: Whether its user is a regular one, and neither root nor a system user.
      type: bool
      sample: false
    program:
      description: The path of its program, as the daemon sees it. From C(/proc). Null if it does not run, or if this is not accessible.
      type: str
      sample: /usr/local/bin/ckpool
    version:
      description: The version number that its program contains. Null if it does not run, or if the program cannot be read or contains none.
      type: str
      sample: 0.9.9
    unit:
      description: The systemd service that runs it, or that should. Null if there is none.
      type: str
      sample: ckpool.service
    state:
      description: Always null, because no daemon is asked.
      type: str
      sample: null
    problems:
      description: What could not be determined, by area, with the reason.
      type: dict
      sample: {}
msg:
  description: The result in one sentence.
  returned: always
  type: str
  sample: "2 instances: ckpool (/tmp/ckpool), pid 4242 of ckpool; solo (/run/ckpool/solo), ended"
phase:
  description: The phase that failed. V(options).
  returned: failure
  type: str
  sample: options
path:
  description: Always null.
  returned: failure
  type: str
  sample: null
reason:
  description: The reason for the failure, as a short, stable code.
  returned: failure
  type: str
  sample: bad_path
hint:
  description: What to check or try next. Empty if nothing is known to help.
  returned: failure
  type: str
  sample: ""
"""

import typing as t

from ansible_collections.ckpool.fleet.plugins.module_utils import _compile_once  # noqa: F401  # pylint: disable=unused-import
from ansible_collections.ckpool.fleet.plugins.module_utils._ask.inventory import inventory
from ansible_collections.ckpool.fleet.plugins.module_utils._discovery import neighbours
from ansible_collections.ckpool.fleet.plugins.module_utils._module import PoolModule, Result, run
from ansible_collections.ckpool.fleet.plugins.module_utils._results import NOBODY_RUNS


def read(module: PoolModule) -> Result:
    """List the instances that fit."""
    options = module.params
    wanted = {name: options[name] for name in ("socket_dirs", "log_dir", "socket_dir", "name", "pid")}
    found = inventory(**wanted)
    if found:
        count = f"{len(found)} instance{'s' * (len(found) != 1)}"
        return {"instances": found, "msg": f"{count}: {'; '.join(map(sentence, found))}"}
    given = ", ".join(f"{name} {options[name]}" for name in ("socket_dir", "name", "pid") if options[name] is not None)
    return {"instances": [], "msg": f"no ckpool with {given}; {neighbours()}" if given else NOBODY_RUNS}


def sentence(instance: t.Dict[str, t.Any]) -> str:
    """An instance as a phrase."""
    place = instance["socket_dir"] if instance["root"] == "/" else f"{instance['root']}{instance['socket_dir']}"
    user = f" of {instance['user']}" if instance["user"] else ""
    process = f"pid {instance['pid']}{user}" if instance["pid_state"] == "alive" else ENDED[instance["pid_state"]]
    return f"{instance['name']} ({place}), {process}"


ENDED = {"dead": "ended", "another": "ended", "absent": "not running", "hidden": "of another user"}


def main() -> None:
    """Run the module."""
    run(PoolModule({"socket_dirs": {"type": "list", "elements": "path", "default": []}}), read)


if __name__ == "__main__":
    main()
