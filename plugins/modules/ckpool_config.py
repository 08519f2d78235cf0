# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Validate and write a configuration of ckpool."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ckpool_config
short_description: Validate and write a configuration of ckpool
version_added: 1.0.0
author: The ckpool.fleet contributors (@ckpool-fleet)
description:
  - Writes the configuration file of one instance after validating it. Errors are settings with which the daemon exits, which it
    ignores without a message, or by which data would be lost; then nothing is written. Warnings are settings that may have
    another effect than intended.
  - If the daemon's build can test a configuration (C(-T)), it is tested with it before the file is replaced.
  - The file is replaced atomically. Values that are, or could be, secret are never shown or logged.
  - The pool is not restarted. The daemon reads its configuration when it starts or hands over.
extends_documentation_fragment:
  - ckpool.fleet.attributes
attributes:
  check_mode:
    support: full
    description: Can run in C(check_mode) and return changed status prediction without modifying target.
    details:
      - The daemon's own test is not run then, as that runs a program.
  diff_mode:
    support: full
    description: >-
      Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
    details:
      - Only values that are known to hold no secret are shown.
  idempotent:
    support: full
    description: >-
      When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
options:
  path:
    description:
      - The configuration file. Nobody but root may be able to write to its folder.
    type: path
    required: true
  config:
    description:
      - The configuration, with the daemon's own keys.
      - Numbers and truths that are given as text, one text where the daemon wants a list, and one dictionary in the place of a
        list of them, are written as the daemon reads them.
    type: dict
    required: true
  keep:
    description:
      - Whether keys that O(config) does not name stay as they are in the file, or, where there is no file yet, as O(base) or the
        process O(base_pid) has them. Otherwise they are not in the configuration.
    type: bool
    default: false
  base:
    description:
      - A configuration file of an instance that was there before, from which O(keep) and the diff start where there is no
        O(path) yet.
    type: path
  base_pid:
    description:
      - The process of a running instance, from whose configuration they start.
    type: int
  name:
    description:
      - The instance's name, the one that its option C(-n) gives.
    type: str
    required: true
  mode:
    description:
      - What the daemon is started as.
    type: str
    choices: [pool, solo, proxy, passthrough, redirector]
    default: pool
  socket_dir:
    description:
      - The instance's socket directory. By default C(/run/ckpool/NAME).
    type: path
  state_dir:
    description:
      - A directory that lasts, and that the daemon's user can write to. The keys of Stratum V2 are there where O(config) does not
        say where they are.
    type: path
  others:
    description:
      - The other instances of the host, so that no two share a directory or a port. Those that run are looked for, too.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Its name.
        type: str
        required: true
      socket_dir:
        description: Its socket directory.
        type: path
      log_dir:
        description: Its log directory.
        type: path
      mode:
        description: What it is started as.
        type: str
        choices: [pool, solo, proxy, passthrough, redirector]
        default: pool
      listen:
        description: Where it listens, as V(HOST:PORT). By default where the mode does.
        type: list
        elements: str
        default: []
  own_pids:
    description:
      - Processes of this instance and of O(others), for those that run under another name. Others that run may not have the same
        port or directory.
    type: list
    elements: int
    default: []
  program:
    description:
      - The daemon's program, to test the configuration with. Builds that cannot are left alone.
    type: path
  user:
    description:
      - The daemon's user, as whom that is done, and to whom the keys of Stratum V2 belong.
    type: str
  owner:
    description:
      - The owner of the file. By default the user who runs the module.
    type: str
  group:
    description:
      - The group of the file, which should be one of O(user). Its members can read it.
    type: str
  mode_of_file:
    description:
      - The mode of the file, in octal digits.
    type: str
    default: "0640"
  open_files:
    description:
      - How many files the daemon may have open (C(LimitNOFILE)), which bounds its clients, from V(1) to V(1073741816).
    type: int
notes:
  - The keys of Stratum V2 (C(sv2_authority_key), C(sv2_static_key)) are what miners know a pool by. They are never replaced. If
    the configuration names another place for them, they are copied there; if there are others, that is an error.
seealso:
  - module: ckpool.fleet.ckpool_release
  - module: ckpool.fleet.ckpool_install_info
"""

EXAMPLES = r"""
- name: Configure a pool
  ckpool.fleet.ckpool_config:
    path: /etc/ckpool/main.conf
    name: main
    config:
      btcd:
        - url: 127.0.0.1:8332
          auth: rpc-of-main
          pass: "{{ vault_bitcoind_password }}"
      btcaddress: bc1q28kkr5hk4gnqe3evma6runjrd2pvqyp8fpwfzu
      serverurl: 0.0.0.0:3333
      zmqblock: tcp://127.0.0.1:28332
      logdir: /var/log/ckpool/main
    program: /opt/ckpool/current/ckpool
    user: ckpool
    group: ckpool
  become: true
"""

RETURN = r"""
config:
  description: The configuration, with V(********) in the place of what is, or could be, a secret.
  returned: success
  type: dict
  sample: {"btcd": [{"auth": "********", "pass": "********", "url": "127.0.0.1:8332"}], "logdir": "/var/log/ckpool/main"}
differs:
  description: Whether its content was, or would be, changed.
  returned: success
  type: bool
  sample: true
changes:
  description: The keys whose values were, or would be, changed, with the old and the new value, without secrets.
  returned: success
  type: list
  elements: str
  sample: ["startdiff: 42 -> 1000"]
findings:
  description: What is wrong with it, or may be, the errors first.
  returned: success, or failure of O(config)
  type: list
  elements: dict
  contains:
    level:
      description: V(error) or V(warning).
      type: str
      sample: warning
    key:
      description: The key that it is about.
      type: str
      sample: startdif
    message:
      description: What it is.
      type: str
      sample: "no build that is known here reads startdif; is startdiff meant?"
tested:
  description: Whether the daemon's own test was run. Null if its build has none, or no program was given.
  returned: success
  type: bool
  sample: true
keys_copied:
  description: The key files of Stratum V2 that were copied to a place that lasts.
  returned: success
  type: list
  elements: dict
  contains:
    source:
      description: From where.
      type: str
      sample: /tmp/ckpool/sv2_authority.key
    target:
      description: To where.
      type: str
      sample: /var/lib/ckpool/main/sv2_authority.key
path:
  description: The file, or on failure the file or folder that it failed on.
  returned: always
  type: str
  sample: /etc/ckpool/main.conf
msg:
  description: The result in one sentence.
  returned: always
  type: str
  sample: "/etc/ckpool/main.conf was written: mindiff, serverurl changed; 1 warning"
phase:
  description: What failed, V(options), V(find), V(read), V(parse), V(check), V(try) or V(write).
  returned: failure
  type: str
  sample: check
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

import json
import os
import typing as t

from ansible_collections.ckpool.fleet.plugins.module_utils import (  # pylint: disable=unused-import
    _compile_once,  # noqa: F401
    _discovery,
)
from ansible_collections.ckpool.fleet.plugins.module_utils._ask.config import shown
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import BadInput, PoolError
from ansible_collections.ckpool.fleet.plugins.module_utils._host import put
from ansible_collections.ckpool.fleet.plugins.module_utils._host.access import group_named, owner_named
from ansible_collections.ckpool.fleet.plugins.module_utils._host.connections import addresses
from ansible_collections.ckpool.fleet.plugins.module_utils._host.file import Files
from ansible_collections.ckpool.fleet.plugins.module_utils._host.process import Owner
from ansible_collections.ckpool.fleet.plugins.module_utils._host_module import HostModule, run_on_host
from ansible_collections.ckpool.fleet.plugins.module_utils._inspection import parse_config
from ansible_collections.ckpool.fleet.plugins.module_utils._install import identity, masked, trial
from ansible_collections.ckpool.fleet.plugins.module_utils._install.daemon_config import (
    ERROR,
    MODES,
    Config,
    Finding,
    Neighbour,
    Place,
    findings,
    listening,
    normalised,
)
from ansible_collections.ckpool.fleet.plugins.module_utils._install.survey import CONFIG_MARK
from ansible_collections.ckpool.fleet.plugins.module_utils._module import Result

_NEIGHBOUR: t.Dict[str, t.Any] = {
    "name": {"type": "str", "required": True},
    "socket_dir": {"type": "path"},
    "log_dir": {"type": "path"},
    "mode": {"type": "str", "default": "pool", "choices": list(MODES)},
    "listen": {"type": "list", "elements": "str", "default": []},
}
_OPTIONS: t.Dict[str, t.Any] = {
    "path": {"type": "path", "required": True},
    "config": {"type": "dict", "required": True, "no_log": True},
    "keep": {"type": "bool", "default": False},
    "base": {"type": "path"},
    "base_pid": {"type": "int"},
    "name": {"type": "str", "required": True},
    "mode": {"type": "str", "default": "pool", "choices": list(MODES)},
    "socket_dir": {"type": "path"},
    "state_dir": {"type": "path"},
    "others": {"type": "list", "elements": "dict", "default": [], "options": _NEIGHBOUR},
    "own_pids": {"type": "list", "elements": "int", "default": []},
    "program": {"type": "path"},
    "user": {"type": "str"},
    "owner": {"type": "str"},
    "group": {"type": "str"},
    "mode_of_file": {"type": "str", "default": "0640"},
    "open_files": {"type": "int"},
}


class Before(t.NamedTuple):
    """The configuration that was there, and the socket directory of the daemon that has it."""

    config: Config
    path: str
    socket_dir: str
    is_in_place: bool


class Plan(t.NamedTuple):
    """What there is to do."""

    before: Before
    config: Config
    owner: Owner
    attributes: put.Attributes
    #: those of a file that is in place and has others
    other_attributes: t.Optional[put.Attributes]
    found: t.List[Finding]
    #: the keys of Stratum V2 to copy, from where to where
    copies: t.List[t.Tuple[str, str]]

    @property
    def differing(self) -> t.List[str]:
        """The keys whose values change."""
        old = self.before.config
        return sorted(key for key in {*self.config, *old} if self.config.get(key) != old.get(key))

    @property
    def differs(self) -> bool:
        """Whether the content of the file changes."""
        return bool(self.differing) or not self.before.is_in_place

    @property
    def warnings(self) -> t.List[Finding]:
        """What may be meant otherwise."""
        return [finding for finding in self.found if finding.level != ERROR]


def work(module: HostModule) -> Result:
    """Check the configuration, and write it if it differs."""
    options = module.params
    module.check_ranges(open_files=(1, 1073741816))
    options["socket_dir"] = options["socket_dir"] or f"/run/ckpool/{options['name']}"
    plan = planned(module)
    for finding in plan.warnings:
        module.warn_of(f"{options['name']}: {finding.message}")
    tested = None
    if not module.check_mode:
        for source, target in plan.copies:
            identity.copy(source, target, plan.owner)
        tested = bring(options, plan)
    result: Result = {
        "changed": plan.differs or plan.other_attributes is not None or bool(plan.copies),
        "differs": plan.differs,
        "changes": masked.changes(plan.before.config, plan.config),
        "config": shown(plan.config),
        "findings": [finding.as_dict() for finding in plan.found],
        "tested": tested,
        "keys_copied": [{"source": source, "target": target} for source, target in plan.copies],
        "path": options["path"],
        "msg": sentence(options["path"], plan),
    }
    if module._diff:
        result["diff"] = diff(options["path"], plan)
    return result


def planned(module: HostModule) -> Plan:
    """Find out what there is to do, and whether it may be done.

    :raises PoolError: the configuration is not to be used, or would make another pool of it.
    """
    options, path = module.params, module.params["path"]
    attributes, owner = attributes_of(options), owner_named(options["user"])
    # In check mode its folder may not have been made.
    is_first = module.check_mode and not os.path.isdir(os.path.dirname(path))
    info = None if is_first else put.look(path)
    before = before_of(options, owner, info is not None)
    module.no_log_values |= masked.secrets(before.config)
    config = wanted(options, before)
    found = findings(config, place_of(options))
    require_none(found, path)
    places = [
        identity.places(view, options["mode"], folder)
        for view, folder in ((before.config, before.socket_dir), (config, options["socket_dir"]))
    ]
    other = put.Attributes.of(info) if info and attributes.differ(info) else None
    return Plan(before, config, owner, attributes, other, found, identity.moves(places[0], places[1], owner))


def attributes_of(options: Result) -> put.Attributes:
    """Owner, group and mode that the file shall have.

    :raises BadInput: there is no such user, group or mode.
    """
    try:
        mode = int(options["mode_of_file"], 8)
    except ValueError:
        raise BadInput(f"mode_of_file is no number in octal digits: {options['mode_of_file']!r}") from None
    if mode & ~0o660 or not mode & 0o400:
        raise BadInput(f"mode_of_file must let nobody but the owner and the group read it, and not be {mode:04o}")
    user = owner_named(options["owner"]).user if options["owner"] else os.geteuid()
    return put.Attributes(user, group_named(options["group"]) if options["group"] else None, mode)


def before_of(options: Result, owner: Owner, is_there: bool) -> Before:
    """The configuration that is in place, or the one that it follows.

    :raises PoolError: one is there, and is none.
    """
    if is_there:
        data = Files().read(options["path"])
        return Before(parse_config(data, options["path"]), options["path"], options["socket_dir"], True)
    if options["base_pid"] is not None:
        instance = _discovery.find(pid=options["base_pid"])
        if instance.config is None:
            raise PoolError(
                f"the configuration of pid {instance.pid} could not be read: {instance.problems.get('config', '')}",
                instance.config_file,
                phase="read",
                reason="unreadable",
            )
        return Before(instance.config, instance.config_file or "", instance.root + instance.socket_dir, False)
    if options["base"]:
        data = Files("", owner).read(options["base"])
        return Before(parse_config(data, options["base"]), options["base"], options["socket_dir"], False)
    return Before({}, "", options["socket_dir"], False)


def wanted(options: Result, before: Before) -> Config:
    """The configuration that shall be in place."""
    config = dict(options["config"])
    if options["keep"]:
        config = {**before.config, **config}
    return identity.with_places(normalised(config), options["mode"], options["state_dir"])


def place_of(options: Result) -> Place:
    """What the configuration is for, and who else is there."""
    others = [neighbour_of(other) for other in options["others"] if other["name"] != options["name"]]
    named = {options["name"], *(other.name for other in others)}
    others += [
        Neighbour(
            f"{instance.name} (pid {instance.pid})",
            instance.socket_dir,
            instance.log_dir,
            listen=listening_of(instance.pid),
            hint=f"if it is the instance that is meant, name that {instance.name}",
        )
        for instance in _discovery.discover()
        if instance.pid_state == "alive" and not instance.root and instance.name not in named
        if instance.pid not in options["own_pids"] and not instance.is_of_a_person
    ]
    return Place(options["name"], options["mode"], options["socket_dir"], options["open_files"], tuple(others))


def neighbour_of(other: Result) -> Neighbour:
    """Another instance, as it was given."""
    listen = other["listen"] or [f"{host}:{port}" for host, port in listening({}, other["mode"])]
    return Neighbour(other["name"], other["socket_dir"], other["log_dir"], tuple(listen))


def listening_of(pid: t.Optional[int]) -> t.Tuple[str, ...]:
    """Where a process listens, as C(HOST:PORT); nowhere, where that may not be seen."""
    try:
        found = addresses(pid) if pid else set()
    except PoolError:
        found = set()
    return tuple(sorted(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in found))


def require_none(found: t.Sequence[Finding], path: str) -> None:
    """Raise if there is an error among what was found.

    :raises PoolError: there is.
    """
    errors = [finding.message for finding in found if finding.level == ERROR]
    if errors:
        raise PoolError(
            f"{path} is not written: {'; '.join(errors)}",
            path,
            "nothing was written",
            phase="check",
            reason="bad_config",
            facts={"findings": [finding.as_dict() for finding in found]},
        )


def bring(options: Result, plan: Plan) -> t.Optional[bool]:
    """Write the file, unless it is right, and have the daemon test it before it is in place; whether it did."""
    if not plan.differs and plan.other_attributes is None:
        return tested_by_daemon(options, options["path"], plan.owner)
    # The daemon reads to the closing brace; what follows tells a file of ours from one that was made by hand.
    data = f"{json.dumps(plan.config, indent=2, sort_keys=True)}\n{CONFIG_MARK}\n".encode()
    with put.written(options["path"], data, plan.attributes) as fresh:
        return tested_by_daemon(options, fresh, plan.owner)


def tested_by_daemon(options: Result, path: str, owner: Owner) -> t.Optional[bool]:
    """Have the daemon test a configuration, as its user; None where its build cannot.

    :raises PoolError: it does not pass.
    """
    if not options["program"]:
        return None
    why = trial.fault_of_config(
        options["program"], path, options["name"], options["mode"], options["socket_dir"], owner
    )
    if why:
        raise PoolError(
            f"{options['path']} is not written: the daemon's own test fails: {why}",
            options["path"],
            "nothing was written",
            phase="try",
            reason="bad_config",
        )
    return None if why is None else True


def sentence(path: str, plan: Plan) -> str:
    """What was done, for a person."""
    text = f"{path} is up to date"
    if plan.differs:
        text = f"{path} was written" + (f": {', '.join(plan.differing)} changed" if plan.differing else "")
    elif plan.other_attributes is not None:
        text = f"{path}: owner, group and mode were corrected"
    count = len(plan.warnings)
    return text + (f"; {count} warning{'s' * (count != 1)}" if count else "")


def diff(path: str, plan: Plan) -> Result:
    """What changes, for a person."""
    before, after = masked.before_and_after(plan.before.config, plan.config)
    if plan.other_attributes is not None:
        before, after = f"{before}{plan.other_attributes}\n", f"{after}{plan.attributes}\n"
    return {"before": before, "after": after, "before_header": plan.before.path or path, "after_header": path}


def main() -> None:
    """Run the module."""
    module = HostModule(_OPTIONS, mutually_exclusive=[("base", "base_pid")])
    config = module.params["config"]
    # Every value would be hidden wherever it stands, numbers too: of all that, what could be a secret.
    module.no_log_values = masked.secrets(config)
    invocation = {"module_args": {**module.params, "config": shown(config)}}
    run_on_host(module, work, invocation=invocation)


if __name__ == "__main__":
    main()
