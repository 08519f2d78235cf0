# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples of the README, the guides and the roles: every fenced block, and how it is tested."""

from __future__ import annotations

import dataclasses
import functools
import re
import shlex
import textwrap
import typing as t

import yaml

from tests.support.paths import ROOT

#: what a test of the register does with an example that is not simply run
KINDS = ("commands", "cron", "inventory", "schema", "shown", "syntax", "variables")
PAGES = ("README.md", "CONTRIBUTING.md", "docs/*.md", "roles/*/README.md")
REGISTER = ROOT / "tests" / "support" / "examples.yml"
_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^ *```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#{1,4} (.+)$", re.MULTILINE)
#: playbooks that a test may run on this machine: they change nothing but pools of the test, and files that it names
SAFE_PLAYBOOKS = {
    "announce", "drop_user", "graceful_shutdown", "health_check", "loglevel", "metrics", "monitor", "report", "snapshot",
    "top_users", "user", "watch",
}  # fmt: skip
SAFE_ROLES = {"graceful_shutdown", "health_check", "loglevel", "report"}
SAFE_MODULES = {"ansible.builtin.assert", "ansible.builtin.debug", "ansible.builtin.set_fact"}
#: modules of the collection that change the host, and need a window or a systemd
UNSAFE_MODULES = {"ckpool_config", "ckpool_http_program", "ckpool_release", "ckpool_upgrade", "ckpool_window"}
#: what would leave this machine
_ELSEWHERE = re.compile(r"https?://(?!127\.0\.0\.1)|ntfy|\.example\.(?:org|com):\d|via(?:=|: )http")
_KEYWORDS = {
    "args", "become", "block", "always", "changed_when", "check_mode", "delay", "delegate_to", "failed_when", "ignore_errors", "loop",
    "loop_control", "name", "no_log", "register", "rescue", "retries", "run_once", "tags", "throttle", "until", "vars", "when", "with_items",
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Example:
    """A fenced block of a page.

    :ivar label: its heading and its language, and a number if there is another one of that language before it.
    """

    page: str
    label: str
    language: str
    text: str

    @property
    def commands(self) -> t.List[str]:
        """The lines of a block of commands as they are typed: those after a prompt, if there are prompts."""
        lines = self.text.replace("\\\n", " ").splitlines()
        typed = [line[2:] for line in lines if line.startswith("$ ")]
        return typed or [line for line in lines if line.strip() and not line.startswith("#")]

    @property
    def is_safe(self) -> bool:
        """Whether any machine may run it, because nothing but pools of the test and named files can change."""
        if _ELSEWHERE.search(self.text):
            return False
        if self.language in ("console", "sh"):
            return bool(self.commands) and all(map(_is_safe_command, self.commands))
        if self.language == "yaml":
            content = yaml.safe_load(self.text)
            return isinstance(content, list) and bool(content) and all(map(_is_safe_entry, content))
        return self.language == "python"


def examples() -> t.List[Example]:
    """All of them, page by page."""
    pages = sorted(path for pattern in PAGES for path in ROOT.glob(pattern))
    return [
        example
        for path in pages
        for example in examples_of(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))
    ]


def examples_of(page: str, text: str) -> t.List[Example]:
    """The examples of a page."""
    found: t.List[Example] = []
    for match in _FENCE.finditer(text):
        headings = _HEADING.findall(re.sub(_FENCE, "", text[: match.start()]))
        language = match["language"] or "text"
        label = f"{headings[-1] if headings else ''}: {language}"
        number = 1 + sum(other.label.partition(" #")[0] == label for other in found)
        name = label if number == 1 else f"{label} #{number}"
        found.append(Example(page, name, language, textwrap.dedent(match["text"])))
    return found


def module_examples() -> t.List[Example]:
    """The examples in the documentation of the modules."""
    found = []
    for path in sorted((ROOT / "plugins" / "modules").glob("*.py")):
        text = re.search(r'^EXAMPLES = r"""\n(.*?)^"""', path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
        if text:
            found.append(Example(path.relative_to(ROOT).as_posix(), "EXAMPLES: yaml", "yaml", text[1]))
    return found


@functools.cache
def register() -> t.Dict[str, t.Dict[str, str]]:
    """How those are tested that are not simply run: page, label, and a test or a reason."""
    content = yaml.safe_load(REGISTER.read_text(encoding="utf-8"))
    return t.cast("t.Dict[str, t.Dict[str, str]]", content)


def runnable() -> t.List[Example]:
    """Those that tests/integration/test_examples.py runs as they stand."""
    return [each for each in [*examples(), *module_examples()] if each.is_safe and not treatment(each)]


def treatment(each: Example) -> str:
    """What the register says of an example; empty if nothing."""
    known = register().get(each.page, {})
    return known.get(each.label) or known.get(f"*: {each.language}") or ""


def of_kind(kind: str) -> t.List[Example]:
    """Those of which the register says that they are of that kind."""
    return [each for each in [*examples(), *module_examples()] if treatment(each).partition(":")[0] == kind]


def _is_safe_command(line: str) -> bool:
    words = shlex.split(line, comments=True)
    if words[0] == "ansible-playbook":
        playbooks = [word[len("ckpool.fleet.") :] for word in words if word.startswith("ckpool.fleet.")]
        return len(playbooks) == 1 and playbooks[0] in SAFE_PLAYBOOKS
    if words[0] == "ansible":
        modules = [word for word in words if word.startswith("ckpool.fleet.")]
        return len(modules) == 1 and modules[0] not in {f"ckpool.fleet.{name}" for name in UNSAFE_MODULES}
    return words[0] == "ckpool"


def _is_safe_entry(entry: t.Any) -> bool:
    """Whether a play or a task of a list is safe."""
    if not isinstance(entry, dict):
        return False
    if "hosts" in entry:
        if "sources" in entry:  # a rulebook
            return False
        roles = [role if isinstance(role, str) else role["role"] for role in entry.get("roles", [])]
        is_ours = all(role.rpartition(".")[2] in SAFE_ROLES for role in roles)
        return is_ours and all(_is_safe_entry(task) for task in entry.get("tasks", []))
    parts = [task for key in ("block", "rescue", "always") for task in entry.get(key, [])]
    actions = {key for key in entry if key not in _KEYWORDS}
    return all(map(_is_safe_entry, parts)) and all(map(_is_safe_action, actions)) and bool(parts or actions)


def _is_safe_action(name: str) -> bool:
    if name in SAFE_MODULES:
        return True
    return name.startswith("ckpool.fleet.ckpool_") and name[len("ckpool.fleet.") :] not in UNSAFE_MODULES
