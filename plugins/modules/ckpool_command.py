# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Send any message to any socket of a ckpool."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ckpool_command
short_description: Send any message to any socket of a ckpool
version_added: 0.3.0
author: The ckpool.fleet contributors (@ckpool-fleet)
description:
  - Sends one message, as C(ckpmsg) does, and returns the reply as what it is, JSON or text.
  - Where another module of this collection does what you want, use that. It knows what the reply means, falls back on
    the status files of builds that do not answer, and proves the effect.
  - It refuses messages that are known to crash a public build, to leak or to create users on it, unless O(unsafe=true).
extends_documentation_fragment:
  - ckpool.fleet.pool
  - ckpool.fleet.attributes
  - ckpool.fleet.attributes.actiongroup_ckpool
attributes:
  check_mode:
    support: partial
    description: Can run in C(check_mode) and return changed status prediction without modifying target.
    details:
      - Only messages that are known to read are sent then. Of others RV(reply) is null.
  diff_mode:
    support: none
    description: >-
      Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
  idempotent:
    support: none
    description: >-
      When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
    details:
      - A message is sent whenever it is asked for.
options:
  command:
    description:
      - The message. A dictionary is sent as JSON, for daemons that answer such queries.
      - The daemon compares beginnings and ignores case, so that V(shutdownXYZ) is a shutdown.
    type: raw
    required: true
  socket:
    description:
      - The socket to send it to. V(pool) is the guide's name of the process that public builds call V(listener), and
        means that where there is no socket of its own.
    type: str
    choices: [listener, stratifier, connector, generator, pool]
    default: listener
  expect:
    description:
      - A regular expression that has to be found in the reply, else the task fails. JSON is searched as text.
      - Without it, the listener's C(unknown) is a failure.
    type: str
  reply:
    description:
      - V(required) fails if the daemon closes the connection without a reply, unless it is known to obey this message
        in silence.
      - V(optional) takes silence for an answer, V(none) fails if there is a reply.
      - A daemon that neither replies nor closes is a failure always.
    type: str
    choices: [required, optional, none]
    default: required
  unsafe:
    description:
      - Send it even if it is known to do harm.
    type: bool
    default: false
notes:
  - RV(ignore:changed) is true unless the message is known to only read. C(changed_when) can say it better.
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

- name: Count objects
  ckpool.fleet.ckpool_command:
    socket: stratifier
    command: stats
  register: counts

- name: Show how many workbases it holds
  ansible.builtin.debug:
    msg: "{{ counts.reply.workbases.count }}"

- name: Reset the share statistics, which is obeyed without a reply
  ckpool.fleet.ckpool_command:
    socket: stratifier
    command: resetshares

- name: Ask a daemon that answers queries in JSON
  ckpool.fleet.ckpool_command:
    socket: stratifier
    command:
      method: stats
      params: []
    reply: optional
"""

RETURN = r"""
reply:
  description: What the daemon replied, parsed if it is JSON. Null if there was none, or if it was not sent.
  returned: success
  type: raw
  sample: pong
reply_type:
  description: V(json), V(text) or V(none).
  returned: success
  type: str
  sample: text
seconds:
  description: How long the exchange took. Null if it was not sent.
  returned: success
  type: float
  sample: 0.0012
sent:
  description: Whether it was sent. In check mode only what is known to read is.
  returned: success
  type: bool
  sample: true
instance:
  description: The pool that was told.
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
      description: Null, as it was not asked how it is.
      type: str
      sample: null
msg:
  description: What was done, in one sentence.
  returned: always
  type: str
  sample: "ckpool (/tmp/ckpool): stratifier replied to 'ping' with text of 4 characters"
phase:
  description: What failed, V(options), V(find), V(connect), V(ask), V(read) or V(parse).
  returned: failure
  type: str
  sample: connect
path:
  description: The socket, file or folder that it failed on.
  returned: failure
  type: str
  sample: /tmp/ckpool/listener
reason:
  description: Why, as a short stable code.
  returned: failure
  type: str
  sample: refused
hint:
  description: What to look at or try next.
  returned: failure
  type: str
  sample: "use become: true"
"""

import re

from ansible_collections.ckpool.fleet.plugins.module_utils._command import (
    SOCKETS,
    Reply,
    encoded,
    is_read,
    is_silent,
    rehearse,
    send,
)
from ansible_collections.ckpool.fleet.plugins.module_utils._control import Control
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import BadInput, PoolError
from ansible_collections.ckpool.fleet.plugins.module_utils._module import PoolModule, Result, describe, run


def work(module: PoolModule) -> Result:
    """Send the message, and judge the reply."""
    options = module.params
    message, pattern = encoded(options["command"]), compiled(options["expect"])
    control = Control.find(options["socket_dir"], options["name"], **module.common())
    socket = control.socket_called(options["socket"])
    reads = is_read(socket, message)
    about = {"instance": control.instance.as_dict(), "changed": not reads}
    name = f"{describe(control.instance)}: {socket}"
    try:
        if module.check_mode and not reads:
            rehearse(control, socket, message, options["unsafe"])
            return {**about, **shown(None), "msg": f"{name} would be sent '{message[:80]}'"}
        reply = send(control, socket, message, options["unsafe"])
        judge(options["reply"], pattern, reply, message, is_silent(socket, message))
    except PoolError as exc:
        exc.facts = {"instance": about["instance"], **exc.facts}
        raise
    return {**about, **shown(reply), "msg": f"{name} {sentence(reply, message)}"}


def compiled(pattern: str | None) -> re.Pattern[str] | None:
    """The regular expression that was asked for.

    :raises BadInput: it is none.
    """
    try:
        return None if pattern is None else re.compile(pattern)
    except re.error as exc:
        raise BadInput(f"expect is no regular expression: {exc}", reason="bad_pattern") from None


def judge(wanted: str, pattern: re.Pattern[str] | None, reply: Reply, message: str, silent: bool) -> None:
    """Hold that the reply is what was expected.

    :raises PoolError: it is not; the reply is among its facts.
    """
    facts = shown(reply)
    if reply.kind == "none" and wanted == "required" and not (silent and pattern is None):
        raise PoolError(
            f"closed without a reply to '{message[:80]}'",
            hint="this build does not answer it; use reply: optional if that is fine, or the module that reads files",
            reason="no_reply",
            facts=facts,
        )
    if reply.kind != "none" and wanted == "none":
        raise PoolError(f"replied to '{message[:80]}': {reply.text[:200]!r}", reason="unexpected_reply", facts=facts)
    if pattern is None and reply.kind == "text" and reply.text == "unknown":
        raise PoolError(
            f"this build does not know '{message[:80]}'",
            hint="see what it answers in docs/what-ckpool-answers.md; expect says if 'unknown' is fine",
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
    """A reply for a person."""
    if reply.kind == "none":
        return f"took '{message[:80]}' without a reply"
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
