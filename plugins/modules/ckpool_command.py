# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Send a message to a socket of a ckpool."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ckpool_command
short_description: Send a message to a socket of a ckpool
version_added: 0.3.0
author: The ckpool.fleet contributors (@ckpool-fleet)
description:
  - Sends one message, as C(ckpmsg) does, and returns the reply, which is parsed if it is JSON.
  - Without options, the module uses the only pool of the host. If there are several, choose one by O(socket_dir), O(name) or O(pid).
  - If another module of this collection does what you need, use that one. It interprets the reply, falls back to the status files of
    builds that do not answer, and verifies the effect.
  - Messages that are known to crash a public build, to leak resources or to create users on it are refused, unless O(unsafe=true).
extends_documentation_fragment:
  - ckpool.fleet.pool
  - ckpool.fleet.pool.pid
  - ckpool.fleet.attributes
  - ckpool.fleet.attributes.control_module
  - ckpool.fleet.attributes.actiongroup_ckpool
attributes:
  check_mode:
    support: partial
    details:
      - In check mode, only messages that are known to have no side effects are sent. RV(reply) is null for all others.
  diff_mode:
    support: none
  idempotent:
    support: none
    details:
      - The message is sent every time.
options:
  command:
    description:
      - The message. A dictionary is sent as JSON, for daemons that answer such queries.
      - The daemon compares the beginning of a message, and ignores case. V(shutdownXYZ) is a shutdown.
    type: raw
    required: true
  socket:
    description:
      - The socket to send the message to. V(pool) is the name in the operator's guide of the process that public builds call
        V(listener). It is used as such if there is no socket with this name.
    type: str
    choices: [listener, stratifier, connector, generator, pool]
    default: listener
  expect:
    description:
      - A regular expression that must match somewhere in the reply. JSON is searched as text.
      - Without it, the reply C(unknown) of the listener is a failure.
    type: str
  reply:
    description:
      - V(required) fails if the daemon closes the connection without a reply, unless the message is known to have none.
      - V(optional) accepts both. V(none) fails if there is a reply.
      - It is always a failure if the daemon neither replies nor closes the connection.
    type: str
    choices: [required, optional, none]
    default: required
  unsafe:
    description:
      - Send the message even if it is known to do harm.
    type: bool
    default: false
notes:
  - RV(ignore:changed) is true unless the message is known to have no side effects. Use C(changed_when) to override this.
seealso:
  - module: ckpool.fleet.ckpool_info
  - module: ckpool.fleet.ckpool_clients
"""

EXAMPLES = r"""
- name: Ping the stratifier
  ckpool.fleet.ckpool_command:
    socket: stratifier
    command: ping
    expect: ^pong$

- name: Read the object counts of the stratifier
  ckpool.fleet.ckpool_command:
    socket: stratifier
    command: stats
  register: counts

- name: Show the number of its workbases
  ansible.builtin.debug:
    msg: "{{ counts.reply.workbases.count }}"

- name: Reset the share statistics, which has no reply
  ckpool.fleet.ckpool_command:
    socket: stratifier
    command: resetshares

- name: Query a daemon that answers in JSON
  ckpool.fleet.ckpool_command:
    socket: stratifier
    command:
      method: stats
      params: []
    reply: optional
"""

RETURN = r"""
reply:
  description: Reply of the daemon, parsed if it is JSON. Null if there was none, or if the message was not sent.
  returned: success
  type: raw
  sample: pong
reply_type:
  description: Type of the reply. One of V(json), V(text) and V(none).
  returned: success
  type: str
  sample: text
seconds:
  description: Duration of the exchange in seconds. Null if the message was not sent.
  returned: success
  type: float
  sample: 0.0012
sent:
  description: Whether the message was sent. In check mode, only messages that are known to have no side effects are sent.
  returned: success
  type: bool
  sample: true
instance:
  description: The instance, as it was last seen. Null if there is none.
  returned: success, or failure after the instance was found
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
msg:
  description: The result in one sentence.
  returned: always
  type: str
  sample: "ckpool (/tmp/ckpool): stratifier replied to 'ping' with text of 4 characters"
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

import re

from ansible_collections.ckpool.fleet.plugins.module_utils import _compile_once  # noqa: F401  # pylint: disable=unused-import
from ansible_collections.ckpool.fleet.plugins.module_utils._control import Control
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import BadInput, PoolError
from ansible_collections.ckpool.fleet.plugins.module_utils._messages import is_silent
from ansible_collections.ckpool.fleet.plugins.module_utils._module import PoolModule, Result, run
from ansible_collections.ckpool.fleet.plugins.module_utils._orders.command import (
    SOCKETS,
    Reply,
    encoded,
    is_read,
    rehearse,
)
from ansible_collections.ckpool.fleet.plugins.module_utils._results import describe


def work(module: PoolModule) -> Result:
    """Send the message, and check the reply."""
    options = module.params
    message, pattern = encoded(options["command"]), compiled(options["expect"])
    control = Control.find(**module.instance_options())
    socket = control.socket_called(options["socket"])
    reads = is_read(socket, message)
    about = {"instance": control.instance.as_dict(), "changed": not reads}
    name = f"{describe(control.instance)}: {socket}"
    try:
        if module.check_mode and not reads:
            rehearse(control, socket, message, options["unsafe"])
            return {**about, **shown(None), "msg": f"{name} would be sent '{message[:80]}'"}
        reply = control.command(socket, message, options["unsafe"])
        judge(options["reply"], pattern, reply, message, is_silent(socket, message))
    except PoolError as exc:
        exc.facts = {"instance": about["instance"], **exc.facts}
        raise
    return {**about, **shown(reply), "msg": f"{name} {sentence(reply, message)}"}


def compiled(pattern: str | None) -> re.Pattern[str] | None:
    """The compiled O(expect); None if it was omitted.

    :raises BadInput: it is not valid.
    """
    try:
        return None if pattern is None else re.compile(pattern)
    except re.error as exc:
        raise BadInput(f"expect is not a valid regular expression: {exc}", reason="bad_pattern") from None


def judge(wanted: str, pattern: re.Pattern[str] | None, reply: Reply, message: str, silent: bool) -> None:
    """Raise unless the reply is as expected.

    :raises PoolError: with the reply among its facts.
    """
    facts = shown(reply)
    if reply.kind == "none" and wanted == "required" and not (silent and pattern is None):
        raise PoolError(
            f"closed without a reply to '{message[:80]}'",
            hint="this build does not answer it; set reply: optional to accept that, or use a module that reads files",
            reason="no_reply",
            facts=facts,
        )
    if reply.kind != "none" and wanted == "none":
        raise PoolError(f"replied to '{message[:80]}': {reply.text[:200]!r}", reason="unexpected_reply", facts=facts)
    if pattern is None and reply.kind == "text" and reply.text == "unknown":
        raise PoolError(
            f"this build does not know '{message[:80]}'",
            hint="docs/what-ckpool-answers.md lists what each build answers; set expect to accept 'unknown'",
            reason="unknown_command",
            facts=facts,
        )
    if pattern is not None and not (reply.kind == "none" and wanted == "optional") and not pattern.search(reply.text):
        raise PoolError(
            f"the reply to '{message[:80]}' does not match {pattern.pattern!r}: {reply.text[:200]!r}",
            reason="unexpected_reply",
            facts=facts,
        )


def shown(reply: Reply | None) -> Result:
    """A reply under the names of the result; None if nothing was sent."""
    if reply is None:
        return {"reply": None, "reply_type": "none", "seconds": None, "sent": False}
    return {"reply": reply.value, "reply_type": reply.kind, "seconds": round(reply.seconds, 6), "sent": True}


def sentence(reply: Reply, message: str) -> str:
    """A reply as a sentence."""
    if reply.kind == "none":
        return f"accepted '{message[:80]}' without a reply"
    return f"replied to '{message[:80]}' with {reply.kind} of {len(reply.text)} characters"


def main() -> None:
    """Run the module."""
    options = {
        "command": {"type": "raw", "required": True},
        "socket": {"type": "str", "default": "listener", "choices": list(SOCKETS)},
        "expect": {"type": "str"},
        "reply": {"type": "str", "default": "required", "choices": ["required", "optional", "none"]},
        "unsafe": {"type": "bool", "default": False},
    }
    run(PoolModule(options), work)


if __name__ == "__main__":
    main()
