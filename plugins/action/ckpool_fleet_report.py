# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write a report on a fleet for people: an HTML page, Markdown and JSON."""

from __future__ import annotations

import json
import os
import re
import secrets
import time
import typing as t

from ansible.errors import AnsibleActionFail

from ..module_utils._health import FAIL_ON
from ..module_utils._text import clean, printable
from ..module_utils._wording import counted, listed, sentence
from ..plugin_utils._action import ControllerAction
from ..plugin_utils._asked import Asked, inventory_hosts, not_asked_text
from ..plugin_utils._baseline import BadBaseline, compare, read_baseline
from ..plugin_utils._files import read_own_file, write_atomically
from ..plugin_utils._outcome import HEALTHY, UNDETERMINED_OUTCOME, outcome
from ..plugin_utils._page import charts
from ..plugin_utils._page.files import past_of, windows_of
from ..plugin_utils._page.html import Parts, page
from ..plugin_utils._page.markdown import markdown
from ..plugin_utils._page.model import Inputs, model_of
from ..plugin_utils._page.names import NONE, REDACTIONS
from ..plugin_utils._registered import registered
from ..plugin_utils._rows import Row, rows_of
from ..plugin_utils._types import Json, Options

_FORMS = ("html_file", "markdown_file", "json_file")
_ROLE = os.path.join(os.path.dirname(__file__), "..", "..", "roles", "report")
_COMMENT = re.compile(r"\A/\*.*?\*/\s*", re.DOTALL)  #: at the start of the style and the script, about their licence
_SHOWN = 3  #: unreadable files that a message names
_RANGES = {"days": (0, 3660), "users": (0, 10000), "idle_workers": (0, 10000), "users_read": (0, 10000000)}


class ActionModule(ControllerAction):
    """Runs on the controller; asks no host."""

    options: t.ClassVar[Json] = {
        "variable": {"type": "str", "default": "health_check_result"},
        "pools_variable": {"type": "str", "default": "report_pools"},
        "idle_variable": {"type": "str", "default": "report_idle"},
        "hosts": {"type": "str"},
        "fail_on": {"type": "str", "default": "critical", "choices": list(FAIL_ON)},
        "html_file": {"type": "path"},
        "markdown_file": {"type": "path"},
        "json_file": {"type": "path"},
        "baseline": {"type": "path"},
        "snapshots": {"type": "path"},
        "windows": {"type": "path"},
        "days": {"type": "float", "default": 30.0},
        "charts": {"type": "bool", "default": True},
        "redact": {"type": "str", "default": NONE, "choices": list(REDACTIONS)},
        "redact_key": {"type": "str", "no_log": True},
        "title": {"type": "str", "default": "ckpool fleet"},
        "users": {"type": "int", "default": 20},
        "users_read": {"type": "int", "default": 0},
        "idle_workers": {"type": "int", "default": 100},
    }

    def work(self, options: Json, task_vars: Json) -> Json:
        """Gather what the hosts' tasks registered and what is kept on the controller, and write the report."""
        _check(options)
        gathered = Gathered(options, task_vars, self._loader, time.time())
        model = gathered.model()
        texts = _texts(model, options)
        if not self._task.check_mode:
            for path, text in texts.items():
                write_atomically(path, text)
        word = model["outcome"]
        is_tolerated = options["fail_on"] == "never" and model["pools"] and not gathered.is_wrong
        return {
            "changed": bool(texts),
            "failed": False,
            "well": word == HEALTHY or bool(is_tolerated),
            "outcome": word,
            "files": [{"path": path, "size": len(text.encode("utf-8"))} for path, text in texts.items()],
            "pools": len(model["pools"]),
            "problems": model["problems"],
            "missing": model["missing"],
            "not_asked": model["not_asked"],
            "msg": printable(f"outcome: {word}; {self._sentence(model, texts)}"),
        }

    def _sentence(self, model: Json, texts: t.Mapping[str, str]) -> str:
        written = listed(texts)
        parts = [
            *model["problems"],
            model["summary"],
            f"not known: {listed(_missing(entry) for entry in model['missing'][:_SHOWN])}" if model["missing"] else "",
            not_asked_text(model["not_asked"]),
            f"{'would write' if self._task.check_mode else 'written'}: {written}" if written else "",
        ]
        return sentence(parts)


def _missing(entry: Json) -> str:
    return f"users of {entry['pool']} on {entry['host']} ({entry['why']})"


def _was_asked(result: t.Tuple[str, t.Any]) -> bool:
    """Whether the task of a host was not skipped."""
    return not (isinstance(result[1], dict) and result[1].get("skipped"))


def _check(options: Options) -> None:
    for name, (least, most) in _RANGES.items():
        if not least <= options[name] <= most:
            raise AnsibleActionFail(f"{name} must be from {least} to {most}, not {options[name]}")
    paths = [os.path.abspath(options[name]) for name in _FORMS if options[name]]
    if len(set(paths)) < len(paths):
        raise AnsibleActionFail(f"two forms of the report have the same file: {listed(paths)}")
    if options["html_file"] and options["charts"]:
        try:
            charts.library()
        except charts.Missing as exc:
            raise AnsibleActionFail(
                f"{exc}; install it there: pip install {charts.NEEDED}; or set charts: false (of the playbook, -e report_charts=false)"
            ) from None


def _texts(model: Json, options: Options) -> t.Dict[str, str]:
    """Path to content of the files that are wanted."""
    texts: t.Dict[str, str] = {}
    if options["html_file"]:
        texts[options["html_file"]] = page(model, _parts(), options["charts"])
    if options["markdown_file"]:
        texts[options["markdown_file"]] = markdown(model)
    if options["json_file"]:
        texts[options["json_file"]] = json.dumps(model, indent=2) + "\n"
    return texts


def _parts() -> Parts:
    """The template, the style and the script of the page, which the role holds."""
    names = ("templates/report.html.j2", "files/report.css", "files/report.js")
    return Parts(*(_COMMENT.sub("", _part(os.path.join(_ROLE, name))) for name in names))


def _part(path: str) -> str:
    try:
        text = read_own_file(path)
    except AnsibleActionFail as exc:
        raise AnsibleActionFail(f"cannot read {path}: {exc}") from exc
    if text is None:
        raise AnsibleActionFail(f"{path} is missing: install the collection as a whole")
    return text


class Gathered:
    """What the hosts registered, and what is kept on the controller.

    :ivar is_wrong: whether the call itself is wrong, such as by a pattern that matches no host.
    """

    def __init__(self, options: Options, task_vars: Json, loader: t.Any, now: float) -> None:
        self._options, self._now = options, now

        def of(variable: str) -> t.Tuple[Asked, t.List[t.Tuple[str, t.Any]]]:
            wanted = {"hosts": options["hosts"], "variable": options[variable]}
            return registered(wanted, task_vars, loader)

        self._asked, results = of("variable")
        self._pools, self._idle = of("pools_variable")[1], of("idle_variable")[1]
        self.is_wrong = bool(self._asked.problems)
        self._problems = list(self._asked.problems)
        rows = [row for host, result in results for row in rows_of(host, result)]
        self._hosts = [host for host, _result in results]
        self._rows = [*rows, *self._gone(rows, inventory_hosts(task_vars))]

    def _gone(self, rows: t.Sequence[Row], inventory: t.Set[str]) -> t.List[Row]:
        """The instances that a health check knew, and that are not there now."""
        path = self._options["baseline"]
        if not path:
            return []
        try:
            text = read_own_file(path)
            known = read_baseline(text) if text is not None else []
        except (BadBaseline, AnsibleActionFail) as exc:
            self.is_wrong = True
            self._problems.append(f"{path} is not the report of a health check: {exc}")
            return []
        return compare(known, rows, inventory, (), self._now).gone

    def model(self) -> Json:
        """The content of the report."""
        options = self._options
        inputs = Inputs(
            self._rows,
            self._pools,
            self._now,
            self._idle if any(map(_was_asked, self._idle)) else None,
            not_asked=self._asked.not_asked,
            title=options["title"],
            users=options["users"],
            idle_workers=options["idle_workers"],
            read=options["users_read"],
            names=options["redact"],
            key=(options["redact_key"] or secrets.token_hex(16)).encode(),
        )
        self._read_snapshots(inputs)
        self._read_windows(inputs)
        inputs.problems = self._problems
        model = model_of(inputs)
        word = outcome(self._rows, options["fail_on"], self._problems if self.is_wrong else ())
        # Without its users a pool is not known as it should be, however healthy it is.
        incomplete = bool(model["missing"] or model["problems"])
        model["outcome"] = UNDETERMINED_OUTCOME if word == HEALTHY and incomplete else word
        cleaned: Json = clean(model)
        return cleaned

    def _read_snapshots(self, inputs: Inputs) -> None:
        if self._options["snapshots"]:
            try:
                past = past_of(self._options["snapshots"], self._hosts, self._now, self._options["days"])
            except AnsibleActionFail as exc:
                self._problems.append(str(exc))
                return
            inputs.grid, inputs.snapshots, inputs.instances = past.grid, past.snapshots, past.instances
            self._note_unreadable(past.unreadable)

    def _read_windows(self, inputs: Inputs) -> None:
        if self._options["windows"]:
            try:
                inputs.windows, unreadable = windows_of(self._options["windows"], set(self._hosts))
            except AnsibleActionFail as exc:
                self._problems.append(str(exc))
                return
            self._note_unreadable(unreadable)

    def _note_unreadable(self, files: t.Sequence[str]) -> None:
        if files:
            more = f" and {len(files) - _SHOWN} more" if len(files) > _SHOWN else ""
            self._problems.append(f"{counted(len(files), 'file')} could not be read: {listed(files[:_SHOWN])}{more}")
