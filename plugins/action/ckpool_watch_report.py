# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell what has changed in a fleet: remember it, and keep each message until it is sent."""

from __future__ import annotations

import os
import time
import typing as t
import uuid

from ansible.errors import AnsibleActionFail

from ..module_utils._text import printable
from ..module_utils._wording import counted, listed, one_line, sentence, shortened
from ..plugin_utils._action import ControllerAction
from ..plugin_utils._asked import inventory_hosts, not_asked_text
from ..plugin_utils._files import read_own_file, write_atomically
from ..plugin_utils._registered import registered
from ..plugin_utils._run import identity
from ..plugin_utils._run_lock import Held, holding, release
from ..plugin_utils._types import Json, Options, Variables
from ..plugin_utils._watch import EVENTS, Limits, Watch
from ..plugin_utils._watch_state import BadState, State, read_state

CHANNELS = ("webhook", "ntfy", "tasks")
_MOST_FAILURES = 3  #: of a channel in one run, after which the rest waits for the next
_LONGEST = 300  #: characters of the reason for a failure
_RANGES = {"looks": (1, 100), "hashrate_drop": (1, 100), "work_age": (1, 2**31), "idle_after": (60, 2**31)}


class ActionModule(ControllerAction):
    """Runs on the controller; asks no host."""

    options: t.ClassVar[Json] = {
        "step": {"type": "str", "required": True, "choices": ["begin", "report", "sent", "end"]},
        "state_file": {"type": "path", "required": True},
        "channels": {"type": "list", "elements": "str", "default": [], "choices": list(CHANNELS)},
        "tasks_file": {"type": "str"},
        "variable": {"type": "str", "default": "watch_result"},
        "hosts": {"type": "str"},
        "forget": {"type": "list", "elements": "str", "default": []},
        "drop": {"type": "list", "elements": "str", "default": []},
        "kinds": {"type": "list", "elements": "str", "default": list(EVENTS), "choices": list(EVENTS)},
        "looks": {"type": "int", "default": 2},
        "hashrate_drop": {"type": "float", "default": 50},
        "work_age": {"type": "float", "default": 300},
        "idle_after": {"type": "float", "default": 900},
        "users": {"type": "list", "elements": "str", "default": []},
        "id": {"type": "str"},
        "channel": {"type": "str", "choices": list(CHANNELS)},
        "error": {"type": "str"},
    }

    def work(self, options: Json, task_vars: Json) -> Json:
        """Take one step of the watch, as the only run that uses the file."""
        steps = {"begin": self._begin, "report": self._report, "sent": self._sent, "end": self._end}
        path = options["state_file"]
        step = steps[options["step"]]
        if self._task.check_mode:  # it changes nothing, so it does not have to be alone
            return step(options, task_vars, {})
        run = identity(os.getppid())
        try:
            with holding(f"{path}.lock", run, take=options["step"] == "begin") as notes:
                result = step(options, task_vars, notes)
        except Held as exc:
            raise AnsibleActionFail(f"{path} is not used: {exc}") from None
        if options["step"] == "end":
            release(f"{path}.lock", run)
        return result

    def _begin(self, options: Options, _variables: Variables, _notes: Json) -> Json:
        """Refuse what would fail later, when it would cost messages."""
        _check(options)
        state = _known(options["state_file"])
        waiting = state.outbox if state else []
        known = counted(len(state.pools) if state else 0, "pool")
        return {
            "changed": False,
            "msg": sentence([f"{known} known", f"{counted(len(waiting), 'message')} to send" if waiting else ""]),
        }

    def _report(self, options: Options, task_vars: Variables, _notes: Json) -> Json:
        """Find what has changed, and store it before anything is sent."""
        state = _known(options["state_file"]) or State(uuid.uuid4().hex[:12])
        dropped = _drop(state, options["drop"])
        watch = Watch(state, _check(options), options["channels"], time.time())
        asked, results = registered(options, task_vars, self._loader)
        for host, result in results:
            watch.add(host, result, options["forget"])
        watch.finish(inventory_hosts(task_vars), options["forget"])
        self._store(options, state)
        problems = [*asked.problems, *([] if results else ["no host was asked"])]
        waiting = len(state.outbox) - len(watch.edges)
        parts = [
            *problems,
            f"{counted(len(state.pools), 'pool')} watched",
            f"{counted(len(watch.edges), 'change')}: {listed(edge.text for edge in watch.edges)}"
            if watch.edges
            else "no change",
            f"{counted(waiting, 'message')} of earlier runs still to send" if waiting else "",
            f"without an answer: {listed(watch.failing)}" if watch.failing else "",
            f"forgotten: {listed(watch.forgotten)}" if watch.forgotten else "",
            f"dropped: {listed(dropped)}" if dropped else "",
            not_asked_text(asked.not_asked),
        ]
        return {
            "changed": True,
            "failed": bool(problems),
            "edges": [edge.payload() for edge in watch.edges],
            "deliveries": [
                {"channel": channel, "message": message.payload()} for message in state.outbox for channel in message.to
            ],
            "failing": watch.failing,
            "forgotten": watch.forgotten,
            "dropped": dropped,
            "kept": watch.kept,
            "not_asked": asked.not_asked,
            "problems": problems,
            "msg": printable(sentence(parts)),
        }

    def _sent(self, options: Options, _variables: Variables, notes: Json) -> Json:
        """Note that a message was sent, or why not."""
        state = _known(options["state_file"]) or State("")
        channel, name = options["channel"], options["id"]
        message = next((each for each in state.outbox if each.id == name and channel in each.to), None)
        if message is None:
            raise AnsibleActionFail(f"no message {name} is to be sent to {channel}")
        error = printable(shortened(one_line(options["error"] or ""), _LONGEST))
        if error:
            message.tries, message.why = message.tries + 1, f"{channel}: {error}"
            notes[channel] = notes.get(channel, 0) + 1
        else:
            message.to.remove(channel)
            state.outbox = [each for each in state.outbox if each.to]
        self._store(options, state)
        return {
            "changed": True,
            "paused": [each for each in CHANNELS if notes.get(each, 0) >= _MOST_FAILURES],
            "msg": f"{name}: not sent to {channel}: {error}" if error else f"{name}: sent to {channel}",
        }

    def _end(self, options: Options, _variables: Variables, _notes: Json) -> Json:
        """What is still to be sent."""
        state = _known(options["state_file"]) or State("")
        unsent = [
            {**message.payload(), "to": message.to, "tries": message.tries, "why": message.why}
            for message in state.outbox
        ]
        if self._task.check_mode:
            return {
                "changed": False,
                "unsent": unsent,
                "msg": f"check mode: nothing was sent, {options['state_file']} is as it was",
            }
        whys = list(dict.fromkeys(message.why for message in state.outbox if message.why))
        failed = f"{counted(len(unsent), 'message')} not sent, the next run tries again: {listed(whys)}"
        return {"changed": False, "unsent": unsent, "msg": failed if unsent else "every message was sent"}

    def _store(self, options: Options, state: State) -> None:
        if not self._task.check_mode:
            write_atomically(options["state_file"], state.text())


def _check(options: Options) -> Limits:
    """The limits that the options mean.

    :raises AnsibleActionFail: an option is wrong.
    """
    for name, (least, most) in _RANGES.items():
        if not least <= options[name] <= most:
            raise AnsibleActionFail(f"{name} must be from {least} to {most}, not {options[name]}")
    if not options["channels"]:
        raise AnsibleActionFail(
            "channels is empty, so nobody would be told of a change: name a webhook, an ntfy topic or a tasks file. In the playbook "
            "watch, set watch_webhook_url, watch_ntfy_topic or watch_tasks"
        )
    tasks = options["tasks_file"]
    if tasks and not (os.path.isabs(tasks) and os.path.isfile(tasks)):
        raise AnsibleActionFail(f"tasks_file must be the absolute path of a file with tasks: {tasks}")
    return Limits(
        options["looks"], options["hashrate_drop"] / 100, options["work_age"], options["idle_after"], options["users"], options["kinds"],
    )  # fmt: skip


def _known(path: str) -> t.Optional[State]:
    """The state of the file; None if there is none.

    :raises AnsibleActionFail: it is broken.
    """
    try:
        text = read_own_file(path)
        return None if text is None else read_state(text)
    except (BadState, AnsibleActionFail) as exc:
        raise AnsibleActionFail(
            f"{path} is not the state of an earlier watch: {exc}. It is left as it is, because it may hold messages that were not sent:"
            " look at it, then restore it or move it away; the run after that is silent about what is already so"
        ) from None


def _drop(state: State, names: t.Sequence[str]) -> t.List[str]:
    """Remove messages that shall no longer be sent; their ids."""
    dropped = [message.id for message in state.outbox if message.id in names or "all" in names]
    state.outbox = [message for message in state.outbox if message.id not in dropped]
    return dropped
