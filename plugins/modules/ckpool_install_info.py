# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Get what is installed of ckpool on a host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ckpool_install_info
short_description: Get what is installed of ckpool on a host
version_added: 1.0.0
author: The ckpool.fleet contributors (@ckpool-fleet)
description:
  - Lists the releases below a prefix, and which of them are current and previous.
  - Reports for each instance that should be on the host what is installed of it, whether the role P(ckpool.fleet.install#role)
    installed it or a person by hand, and in that case what adopting it would change.
  - Nothing is sent to a daemon. Use M(ckpool.fleet.ckpool_instance_info) to list everything that runs.
extends_documentation_fragment:
  - ckpool.fleet.attributes
  - ckpool.fleet.attributes.info_module
options:
  prefix:
    description:
      - Where the releases are.
    type: path
    default: /opt/ckpool
  config_dir:
    description:
      - Where the configurations are.
    type: path
    default: /etc/ckpool
  state_dir:
    description:
      - Where each instance has a directory of what has to last.
    type: path
    default: /var/lib/ckpool
  unit_dir:
    description:
      - Where the systemd units are.
    type: path
    default: /etc/systemd/system
  user:
    description:
      - The daemons' user.
    type: str
  group:
    description:
      - The daemons' group.
    type: str
  instances:
    description:
      - The instances that should be there.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The instance's name.
        type: str
        required: true
      mode:
        description: What it is started as.
        type: str
        choices: [pool, solo, proxy, passthrough, redirector]
        default: pool
      socket_dir:
        description: Its socket directory. By default C(/run/ckpool/NAME).
        type: path
      log_dir:
        description: Its log directory. By default the one that it has, else C(/var/log/ckpool/NAME).
        type: path
seealso:
  - module: ckpool.fleet.ckpool_instance_info
  - module: ckpool.fleet.ckpool_release
"""

EXAMPLES = r"""
- name: Look at what is installed
  ckpool.fleet.ckpool_install_info:
    instances:
      - name: main
  become: true
  register: installed

- name: Show which release is current
  ansible.builtin.debug:
    msg: "{{ installed.current }}, before that {{ installed.previous }}"
"""

RETURN = r"""
systemd:
  description: The init system of the host.
  returned: success
  type: dict
  contains:
    running:
      description: Whether it is systemd, and runs.
      type: bool
      sample: true
    version:
      description: Its version. Null if it is not there.
      type: int
      sample: 252
current:
  description: The version that C(PREFIX/current) leads to. Null if there is none.
  returned: success
  type: str
  sample: 1.2.0
previous:
  description: The version that was current before. Null if there was none.
  returned: success
  type: str
  sample: 1.1.1
releases:
  description: The releases, the oldest first, as M(ckpool.fleet.ckpool_release) returns one.
  returned: success
  type: list
  elements: dict
  sample: [{"bears": "1.1.1", "checksum": "sha256:0f34...", "path": "/opt/ckpool/releases/1.1.1", "placed": 1795385226,
            "program": "/opt/ckpool/releases/1.1.1/ckpool", "source": "/home/me/ckpool", "version": "1.1.1"}]
in_use_by:
  description: The names of the instances that run by a program below the prefix, whatever O(instances) names.
  returned: success
  type: list
  elements: str
  sample: [main]
account:
  description: Whether O(user) and O(group) are there.
  returned: success
  type: dict
  contains:
    user:
      description: The user.
      type: bool
      sample: true
    group:
      description: The group.
      type: bool
      sample: true
instances:
  description: The instances that should be there, in their order.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Its name.
      type: str
      sample: main
    mode:
      description: What it should be started as.
      type: str
      sample: pool
    config_file:
      description: Its configuration, where it should be.
      type: str
      sample: /etc/ckpool/main.conf
    socket_dir:
      description: Its socket directory, where it should be.
      type: str
      sample: /run/ckpool/main
    log_dir:
      description: Its log directory. The one that was given, else the one of the configuration that is in place, or of the
        instance that runs, else the usual one.
      type: str
      sample: /var/log/ckpool/main
    missing_dirs:
      description: Directories that are not there, of that one, the one that it is in, and O(state_dir).
      type: list
      elements: str
      sample: []
    kind:
      description:
        - V(absent) if nothing is installed. V(installed) if the role installed it. V(hand_made) if something is installed that
          the role did not install. V(adopted) if its unit is the role's, and the running process was started before in another way.
      type: str
      sample: installed
    unit:
      description: Its systemd unit.
      type: dict
      contains:
        name:
          description: The name that it should have.
          type: str
          sample: ckpool-main.service
        path:
          description: Its file. Null if there is none.
          type: str
          sample: /etc/systemd/system/ckpool-main.service
        exists:
          description: Whether there is such a unit.
          type: bool
          sample: true
        managed:
          description: Whether the role has written it.
          type: bool
          sample: true
        strategy:
          description: How it can be brought to another release, V(handover) or V(stop_start). Null if it does not say.
          type: str
          sample: handover
        active:
          description: Whether it runs, in systemd's words. Null if that is not known.
          type: str
          sample: active
        enabled:
          description: Whether it is started at boot, in systemd's words. Null if that is not known.
          type: str
          sample: enabled
        needs_reload:
          description: Whether its file was changed since systemd has read it.
          type: bool
          sample: false
        drop_ins:
          description: The files that add to it.
          type: list
          elements: str
          sample: []
    config:
      description: The configuration that is in place.
      type: dict
      contains:
        exists:
          description: Whether there is one.
          type: bool
          sample: true
        managed:
          description: Whether M(ckpool.fleet.ckpool_config) has written it.
          type: bool
          sample: true
        log_dir:
          description: Its log directory. Null if it names none by an absolute path.
          type: str
          sample: /var/log/ckpool/main
    retention:
      description: Whether a timer deletes what is old in its log directory.
      type: bool
      sample: false
    running:
      description: What runs, as M(ckpool.fleet.ckpool_instance_info) returns it. Null if nothing does.
      type: dict
      sample: {"name": "main", "pid": 4242, "socket_dir": "/run/ckpool/main", "unit": "ckpool-main.service", "version": "1.2.0"}
    old_unit:
      description: Another unit that it runs in, or that should run it. Null if there is none.
      type: str
      sample: null
    changes:
      description: What adopting it changes, for an instance that the role did not install.
      type: list
      elements: dict
      contains:
        what:
          description: V(unit), V(program), V(config_file), V(mode), V(socket_dir), V(log_dir) or V(user).
          type: str
          sample: socket_dir
        before:
          description: What it is. Null if there is none.
          type: str
          sample: /tmp/ckpool
        after:
          description: What it would be.
          type: str
          sample: /run/ckpool/main
plan:
  description: The changes to instances that were installed by hand, as lines of text.
  returned: success
  type: list
  elements: str
  sample: ["main: unit: old.service -> /etc/systemd/system/ckpool-main.service"]
msg:
  description: The result in one sentence.
  returned: always
  type: str
  sample: "release 1.2.0 is current; main is installed and runs as pid 4242"
phase:
  description: What failed.
  returned: failure
  type: str
  sample: options
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

import os
import typing as t

from ansible_collections.ckpool.fleet.plugins.module_utils import _compile_once  # noqa: F401  # pylint: disable=unused-import
from ansible_collections.ckpool.fleet.plugins.module_utils._host.releases import PROGRAM, Releases
from ansible_collections.ckpool.fleet.plugins.module_utils._host_module import HostModule, run_on_host
from ansible_collections.ckpool.fleet.plugins.module_utils._install import survey
from ansible_collections.ckpool.fleet.plugins.module_utils._install.daemon_config import MODES
from ansible_collections.ckpool.fleet.plugins.module_utils._module import Result
from ansible_collections.ckpool.fleet.plugins.module_utils._text import printable

_INSTANCE: t.Dict[str, t.Any] = {
    "name": {"type": "str", "required": True},
    "mode": {"type": "str", "default": "pool", "choices": list(MODES)},
    "socket_dir": {"type": "path"},
    "log_dir": {"type": "path"},
}
_OPTIONS: t.Dict[str, t.Any] = {
    "prefix": {"type": "path", "default": "/opt/ckpool"},
    "config_dir": {"type": "path", "default": "/etc/ckpool"},
    "state_dir": {"type": "path", "default": "/var/lib/ckpool"},
    "unit_dir": {"type": "path", "default": "/etc/systemd/system"},
    "user": {"type": "str"},
    "group": {"type": "str"},
    "instances": {"type": "list", "elements": "dict", "default": [], "options": _INSTANCE},
}


def read(module: HostModule) -> Result:
    """Look at all of it."""
    options = module.params
    releases = Releases(options["prefix"])
    found = survey.survey([wanted(one, options, releases) for one in options["instances"]])
    result: Result = {
        "systemd": survey.manager(),
        "current": releases.current(),
        "previous": releases.previous(),
        "releases": [release.as_dict() for release in releases.all()],
        "in_use_by": survey.in_use(releases.prefix),
        "account": survey.account(options["user"], options["group"]),
        "instances": found,
        "plan": [line for one in found if one["kind"] == "hand_made" for line in plan(one)],
    }
    release = f"release {result['current']} is current" if result["current"] else "no release is current"
    return {**result, "msg": "; ".join([release, *map(sentence, found)])}


def wanted(one: Result, options: Result, releases: Releases) -> survey.Wanted:
    """An instance that should be there, with all its places."""
    return survey.Wanted(
        name=one["name"],
        mode=one["mode"],
        config_file=os.path.join(options["config_dir"], f"{one['name']}.conf"),
        socket_dir=one["socket_dir"] or f"/run/ckpool/{one['name']}",
        log_dir=one["log_dir"],
        unit_file=os.path.join(options["unit_dir"], survey.unit_name(one["name"])),
        program=os.path.join(releases.prefix, "current", PROGRAM),
        user=options["user"],
        state_dir=options["state_dir"],
    )


def plan(found: Result) -> t.List[str]:
    """What would change of an instance that was made by hand, a line each."""
    lines = [
        printable(f"{found['name']}: {change['what']}: {change['before'] or 'none'} -> {change['after']}")
        for change in found["changes"]
    ]
    process = found["running"]
    if process:
        lines.append(
            printable(f"{found['name']}: pid {process['pid']} keeps running unchanged until it is upgraded or stopped")
        )
    return lines


def sentence(found: Result) -> str:
    """What is there of one instance, for a person."""
    kinds = {"hand_made": "was installed by hand", "absent": "is not installed"}
    text = f"{found['name']} {kinds.get(found['kind'], 'is ' + found['kind'])}"
    return f"{text} and runs as pid {found['running']['pid']}" if found["running"] else text


def main() -> None:
    """Run the module."""
    run_on_host(HostModule(_OPTIONS), read)


if __name__ == "__main__":
    main()
