# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command C(ckpool), installed: what it answers, in which form, with which exit status, whatever a pool does."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.support import DEADLINE, ROOT, argv_of, processes_with, wait_for
from tests.support.ansible import Direct
from tests.support.paths import remove
from tests.support.privileges import without_privileges
from tests.support.processes import without_children
from tests.support.target import SIMULATIONS
from tests.support.terminal import Terminal

from .conftest import Environment, Host

T = TypeVar("T")
HIM = 12345  #: a user of whom nobody knows anything
EVIL = "\x1b[31mred\x07\u202e"
#: command and its words, module and its options
SAME: dict[str, tuple[list[str], str, dict[str, Any]]] = {
    "health": ([], "ckpool_health_info", {}),
    "stats": ([], "ckpool_stats", {}),
    "users": (["--limit", "2", "--sort-by", "user"], "ckpool_user_info", {"limit": 2}),
    "workers": (["--state", "active", "--sort-by", "worker"], "ckpool_worker_info", {"state": "active"}),
    "blocks": (["--since", "30d"], "ckpool_block_info", {"since": "30d"}),
    "summary": ([], "ckpool_info", {"gather_subset": ["summary", "clients"], "share_within": 0}),
}
#: what changes from one look to the next
MOVES = {
    "work_age",
    "latency",
    "observed",
    "summary",
    "age",
    "as_of",
    "uptime",
    "hint",
    "msg",
    "changed",
    "failed",
    "shared",
    "warnings",
}


def steady(value: Any, is_live: bool) -> Any:
    """A result without what changes from one look to the next. The subset C(summary) stays.

    :arg is_live: whether figures are of the moment, and not from a file.
    """
    if isinstance(value, dict):
        keys = {key for key in value if key not in MOVES or (key == "summary" and isinstance(value[key], dict))}
        return {key: steady(value[key], is_live) for key in keys}
    if isinstance(value, list):
        return [steady(item, is_live) for item in value]
    is_figure = isinstance(value, (int, float)) and not isinstance(value, bool)
    return "a figure" if is_live and is_figure else value


def prompt(look: Callable[[], T]) -> T:
    """The first look in which no socket took long to answer, as each may on a busy host."""

    def is_prompt(found: T) -> bool:
        return not re.search("""reason['"]: ['"]slow""", str(found))

    return wait_for(lambda: [found for found in [look()] if is_prompt(found)], "a pool that answers at once", 300)[0]


def as_json(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("kind", SIMULATIONS)
def test_its_json_is_what_the_modules_return(host: Host, kind: str) -> None:
    options = {"users": 4, "uptime": 90000, "accepted": 1e6, "rejected": 2000, "bestshare": 7e5, **SIMULATIONS[kind]}
    options["status_interval"] = 3600  # what is compared is of the same files
    with host.pool(**options) as pool:
        pool.wait_for_statistics()
        pool.find_block(800000, "alice.rig0")
        is_live = "dialect" in SIMULATIONS[kind]
        modules = [(module, dict(more, socket_dir=str(pool.socket_dir))) for _words, module, more in SAME.values()]
        there = {"ansible_python_interpreter": str(host.machine.interpreter)}
        expected = prompt(lambda: Direct().modules(modules, host=there))
        for (command, (words, _module, _more)), result in zip(SAME.items(), expected):
            line = [command, *words, "--json", "--socket-dir", str(pool.socket_dir)]
            done = prompt(lambda line=line: host.ckpool(*line))  # type: ignore[misc]
            assert (done.returncode, done.stderr) == (0, "")
            assert steady(as_json(done), is_live) == steady(result, is_live), command
            shown = host.ckpool(command, *words)
            assert (shown.returncode, shown.stderr) == (0, "")
            assert "ckpool" in shown.stdout and "\x1b" not in shown.stdout
        everyone = as_json(host.ckpool("stats", "--all", "--json"))
        assert (
            [row["instance"]["pid"] for row in everyone["instances"]] == [pool.pid] == [expected[1]["instance"]["pid"]]
        )


def test_it_runs_on_every_python(environment: Environment, host: Host) -> None:
    """What differs between the forms and the versions is that it runs at all."""
    there = Host(host.machine, environment)
    with there.pool() as pool:
        for command in SAME:
            done = there.ckpool(command)
            assert (done.returncode, done.stderr) == (0, ""), command
            assert str(pool.socket_dir) in done.stdout


def test_no_pool_is_not_healthy(host: Host) -> None:
    for words in (
        ["health"],
        ["stats"],
        ["users"],
        ["summary"],
        ["health", "--all"],
        ["stats", "--all"],
        ["summary", "--all"],
    ):
        done = host.ckpool(*words)
        assert done.returncode == 2, words
        assert "no ckpool" in done.stdout + done.stderr
        told = as_json(host.ckpool(*words, "--json"))
        assert told.get("failed") or not told["instances"]


def test_several_pools_are_named_as_they_can_be_typed(host: Host) -> None:
    with host.pool("one"), host.pool("two") as two:
        done = host.ckpool("health")
        assert done.returncode == 2 and done.stdout == ""
        choices = [line.split("  ")[1].strip() for line in done.stderr.splitlines()[1:]]
        assert len(choices) == 3 and choices[-1] == "--all"
        for choice in choices:
            assert host.ckpool("health", *shlex.split(choice)).returncode == 0
        done = prompt(lambda: host.ckpool("health", "--name", "two"))
        assert done.stdout.startswith(f"two ({two.socket_dir}) is ok")


def test_a_pool_that_is_down_and_one_that_hangs(host: Host) -> None:
    with host.pool("one") as one, host.pool("two") as two:
        one.stop(signal.SIGSTOP)
        two.stop()
        for words in (["health"], ["stats"], ["users"], ["summary"], ["blocks"]):
            done = host.ckpool(*words, "--all", "--timeout", "0.3")
            assert done.returncode == 2, (words, done.stdout)
            assert re.search(r"one .* is hung", done.stdout) and re.search(r"s-two\) is down", done.stdout), done.stdout


def test_somebody_without_rights_is_told_so(host: Host) -> None:
    with host.pool() as pool:
        pool.socket_dir.chmod(0)
        done = host.ckpool("health", before=without_privileges())
        assert done.returncode == 4, done.stdout
        assert "is unknown" in done.stdout and "try it as root" in done.stdout
        assert "use become" not in done.stdout, done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run processes of other users")
def test_pools_that_are_not_asked_are_not_healthy(host: Host, home: Path) -> None:
    """A regular user starts more than are listed: one of them, or of others, may be a pool that is down."""
    program = home / "ckpool"
    shutil.copy("/bin/sleep", program)
    command = [
        *host.machine.prefix,
        "setpriv",
        f"--reuid={HIM}",
        f"--regid={HIM}",
        "--clear-groups",
        str(program),
        "300",
    ]
    crowd = [subprocess.Popen(command) for _number in range(22)]
    try:
        with host.pool() as pool:
            pool.wait_for_statistics()
            wait_for(lambda: sum(argv_of(pid)[0] == str(program) for pid in processes_with(str(program))) == 22, "them")
            assert len(as_json(host.ckpool("stats", "--all", "--json"))["instances"]) == 21
            done = host.ckpool("health", "--all")
            assert done.returncode == 2 and "2 more of regular users are not listed" in done.stdout, done.stdout
    finally:
        for process in crowd:
            process.kill()
            process.wait(30)


def test_wrong_calls_name_what_is_wrong(host: Host) -> None:
    wrong = {
        "--limit": ["users", "--limit", "0"],
        "--timeout": ["stats", "--timeout", "nan"],
        "--active-within": ["users", "--active-within", "soon"],
        "--since": ["blocks", "--since", "x"],
        "--skip-check": ["health", "--skip-check", "nothing"],
        "--all": ["stats", "--all", "--pid", "1"],
        "COMMAND": [],
        "terminal": ["watch"],
        "pid 1 is not a ckpool": ["stats", "--pid", "1"],
        "--pid: must be": ["health", "--pid", "9" * 20],
        "--socket-dir: must not be empty": ["health", "--socket-dir", ""],
        "--name: must not be empty": ["health", "--name", ""],
        "unrecognized arguments: --al": ["stats", "--al"],
    }
    for what, words in wrong.items():
        done = host.ckpool(*words)
        assert (done.returncode, done.stdout) == (2, ""), words
        assert what in done.stderr, done.stderr


def test_users_and_workers_that_are_not_there(host: Host) -> None:
    with host.pool() as pool:
        pool.wait_for_statistics()
        user = next(iter(pool.users))
        assert host.ckpool("users", user).returncode == 0
        done = host.ckpool("users", user, "nobody")
        assert done.returncode == 2 and "unknown: nobody" in done.stdout
        everywhere = host.ckpool("users", "nobody", "--all", "--json")
        assert everywhere.returncode == 2 and as_json(everywhere)["missing"] == ["nobody"]


def test_evil_names_are_shown_as_text(host: Host) -> None:
    with host.pool(EVIL) as pool:
        for command in SAME:
            done = host.ckpool(command, "--all")
            assert "\\x1b[31mred" in done.stdout, done.stdout
            assert all(line.isprintable() for line in done.stdout.splitlines())
            json.loads(host.ckpool(command, "--all", "--json").stdout)
        with host.pool("other"):
            done = host.ckpool("health")
            assert done.returncode == 2 and all(line.isprintable() for line in done.stderr.splitlines())
        assert pool.pids


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may be somebody else")
def test_a_socket_of_somebody_else_is_not_asked(host: Host, home: Path) -> None:
    """A user can put sockets where the daemon had its own; nothing is sent to them."""
    with host.pool() as pool:
        pool.stop()
        path = pool.socket_dir / "stratifier"
        path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as fake:
            fake.bind(str(path))
            os.chown(path, HIM, HIM)
            fake.listen()
            fake.settimeout(0)
            done = host.ckpool("stats", "--socket-dir", str(pool.socket_dir), "--timeout", "0.5")
            assert done.returncode in (2, 4) and "ok" not in done.stdout.partition(":")[0]
            try:
                connection, _peer = fake.accept()
            except BlockingIOError:
                return
            connection.settimeout(5)
            assert connection.recv(100) == b""


def test_the_command_is_no_pool(host: Host) -> None:
    """It has the name of the daemon, in /proc too: a look at the host must not take it for one."""
    with Terminal() as terminal, host.pool() as pool:
        command = host.command("watch", "--name", "phantom")
        watching = subprocess.Popen(
            command, stdin=terminal.inner, stdout=terminal.inner, stderr=terminal.inner, start_new_session=True,
            env={**os.environ, "TERM": "xterm"},
        )  # fmt: skip
        try:
            wait_for(lambda: terminal.look().is_alternate, "the screen")
            (row,) = as_json(host.ckpool("health", "--all", "--json"))["instances"]
            assert row["instance"]["pid"] == pool.pid
        finally:
            terminal.type(b"q")
            watching.wait(30)


def test_a_reader_that_leaves(host: Host) -> None:
    with host.pool(users=30):
        command = shlex.join(host.command("users"))
        done = subprocess.run(
            ["bash", "-c", f"{command} | true; exec {command} >&-"],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert (done.stdout, done.stderr) == ("", "")
        full = subprocess.run(
            ["bash", "-c", f"{command} > /dev/full"], capture_output=True, text=True, timeout=120, check=False
        )
        assert full.returncode == 4 and full.stderr == "ckpool: cannot write: No space left on device\n"
        for word in ("--help", "--version"):
            command = shlex.join(host.command(word))
            done = subprocess.run(
                ["bash", "-c", f"{command} | true; {command} > /dev/full"],
                capture_output=True, text=True, timeout=120, check=False,
            )  # fmt: skip
            # The help of newer Pythons says nothing of it.
            assert done.stderr in ("", "ckpool: cannot write: No space left on device\n")
        assert (done.returncode, done.stderr != "") == (4, True)
        plain = host.ckpool("users", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
        assert plain.returncode == 0


class Shown:
    """The command on a terminal."""

    def __init__(self, host: Host, *words: str, size: tuple[int, int] = (80, 24), **variables: str) -> None:
        self.terminal = Terminal(*size)
        inner = self.terminal.inner
        self.command = [host.installed.command, *words]
        self.process = subprocess.Popen(
            host.command(*words), stdin=inner, stdout=inner, stderr=inner, start_new_session=True,
            env={**os.environ, "TERM": "xterm", **variables},
        )  # fmt: skip

    def __enter__(self) -> Shown:
        return self

    def __exit__(self, *_args: object) -> None:
        self.process.kill()
        self.process.wait(30)
        self.terminal.close()

    @property
    def pid(self) -> int:
        """The command itself, behind what brings it to its host: others run it at the same time."""
        ours = processes_with(self.command[0], session=self.process.pid)
        (found,) = without_children(pid for pid in ours if argv_of(pid)[1:] == self.command)
        return found

    def sees(self, text: str) -> str:
        """Wait until a text is on the screen; the line with it."""
        what = f"{text!r} on the screen"
        return wait_for(lambda: [row for row in self.terminal.look().rows if text in row], what, 2 * DEADLINE)[0]

    def end(self) -> int:
        """Wait for the end; the exit status."""
        wait_for(lambda: self.terminal.look() and self.process.poll() is not None, "the end", 2 * DEADLINE)
        self.terminal.look()  # also at what came between the last look and the end
        assert "Traceback" not in self.terminal.text
        return int(self.process.returncode)


def test_on_a_terminal_it_fits_and_has_colours(host: Host) -> None:
    with host.pool(users=3) as pool:
        pool.wait_for_statistics()
        for words in ("health", "users", "workers", "stats", "summary"):
            with Shown(host, words, size=(50, 40)) as shown:
                assert shown.end() == 0
                plain = re.sub(r"\x1b\[[\d;]*m", "", shown.terminal.text)
                assert [row for row in plain.splitlines() if len(row) > 50] == []
        with Shown(host, "health") as shown:
            assert shown.end() == 0 and "\x1b[32m" in shown.terminal.text
        with Shown(host, "health", NO_COLOR="1") as shown:
            assert shown.end() == 0 and "\x1b" not in shown.terminal.text
        with Shown(host, "health", "--no-color") as shown:
            assert shown.end() == 0 and "\x1b" not in shown.terminal.text
        with Shown(host, "watch", TERM="dumb") as shown:
            assert shown.end() == 2 and "\x1b" not in shown.terminal.text


def test_watch_shows_every_pool_until_q(host: Host) -> None:
    words = ("watch", "--interval", "2", "--timeout", "0.5")
    with host.pool("one") as one, host.pool("two") as two, Shown(host, *words, size=(100, 40)) as shown:
        shown.sees(f"one ({one.socket_dir}) is ok")
        shown.sees(f"two ({two.socket_dir}) is ok")
        one.stop(signal.SIGSTOP)  # which holds up neither the other nor the keys
        shown.sees(f"one ({one.socket_dir}) is hung")
        two.stop()
        shown.sees("s-two) is down")
        shown.terminal.resize(60, 12)
        shown.sees("q quits")
        shown.terminal.type(b"q")
        assert shown.end() == 0
        assert shown.terminal.is_as_before
        assert f"one ({one.socket_dir}) is hung" in shown.terminal.text.rpartition("\x1b[?1049l")[2]


@pytest.mark.parametrize("options", [(), ("--all",)])
def test_what_serves_nothing_yet_is_not_healthy(host: Host, home: Path, options: tuple[str, ...]) -> None:
    """A daemon that ends at each start, and is started again, is always young."""
    program = home / "ckpool"
    program.write_text("#!/bin/sh\nsleep 300 & wait\n")
    program.chmod(0o755)
    command = [*host.machine.prefix, str(program), "-s", str(home / "none")]
    with subprocess.Popen(command) as process:
        try:
            (done,) = wait_for(
                lambda: [look for look in [host.ckpool("health", *options)] if "no ckpool" not in str(look)], "it"
            )
            assert "is starting" in done.stdout and done.returncode == 4, done
        finally:
            process.kill()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run processes of other users")
def test_watch_shows_a_pool_though_somebody_names_its_directory(host: Host, home: Path) -> None:
    program = home / "ckpool"
    program.write_text("#!/bin/sh\nsleep 300 & wait\n")
    program.chmod(0o755)
    home.chmod(0o711)
    with host.pool() as pool:
        him = [
            "setpriv",
            f"--reuid={HIM}",
            f"--regid={HIM}",
            "--clear-groups",
            str(program),
            "-s",
            str(pool.socket_dir),
        ]
        process = subprocess.Popen([*host.machine.prefix, *him])
        try:
            with Shown(host, "watch", "--interval", "2", size=(150, 60)) as shown:
                shown.sees("holds files of another user")  # his
                shown.sees(f"ckpool ({pool.socket_dir}) is ok")
        finally:
            process.kill()
            process.wait(30)


def test_watch_makes_room_for_those_that_run(installed: Environment) -> None:
    """Anybody can start and end pools with ever new directories: they would stay, with a thread each."""
    program = """
import argparse
from ckpool_fleet._command import watch
from ckpool_fleet._instance import Instance
from ckpool_fleet._pool import Pool
watch.result_of = lambda pool, work: {"instance": pool.instance.as_dict(), "failed": True, "msg": "gone"}
watch._MOST_KNOWN = 3
looks = watch.Looks(argparse.Namespace(socket_dir=None, name=None, pid=None, interval=0.01, timeout=1))
for number in range(10):
    watch.pools_of = lambda options: [Pool(Instance("/run/own", "own")), Pool(Instance(f"/tmp/{number}", "other"))]
    looks._find()
texts = [line for line, _colour in looks.board(watch.os.terminal_size((100, 50)))]
looks.stop()
print(sum("/run/own" in text for text in texts), sum("/tmp/" in text for text in texts), *(t for t in texts if "ended" in t))
"""
    done = subprocess.run([installed.python, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "1 2 8 pools that ended: no longer looked at\n", done.stderr


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_watch_leaves_the_terminal_as_it_was(host: Host, number: int, status: int) -> None:
    with host.pool(), Shown(host, "watch") as shown:
        shown.sees("is ok")
        os.kill(shown.pid, number)
        assert shown.end() == status
        assert shown.terminal.is_as_before


def test_watch_waits_for_the_first_pool(host: Host) -> None:
    with Shown(host, "watch", "--interval", "2") as shown:
        shown.sees("no ckpool runs on this host")
        with host.pool():
            shown.sees("is ok")
        shown.sees("is down")


@pytest.fixture
def folder(home: Path) -> Iterator[Path]:
    made = home / "a folder"
    made.mkdir()
    yield made
    remove(made)


COMPLETED = [
    ("ckpool w", {"workers", "watch"}),
    ("ckpool health --s", {"--socket-dir", "--source", "--skip-check", "--sample-seconds"}),
    ("ckpool-fleet stats --source a", {"auto", "api"}),
    ("ckpool workers --state i", {"idle"}),
    ("ckpool completion b", {"bash"}),
]


def completed_by_bash(script: Path, line: str, cwd: Path) -> set[str]:
    words = line.split(" ")
    program = f"""
        source {shlex.quote(str(script))}
        COMP_WORDS=({shlex.join(words)}) COMP_CWORD={len(words) - 1}
        compopt() {{ :; }}
        _ckpool
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, timeout=60, check=False, cwd=cwd)
    assert not done.stderr, done.stderr
    return set(done.stdout.splitlines()) - {""}


def completed_by_zsh(script: Path, line: str, cwd: Path) -> set[str]:
    """What zsh would offer: its own functions that show it are replaced by ones that print it."""
    words = line.split(" ")
    program = f"""
        compdef() {{ :; }}
        _describe() {{ local name=${{@[-1]}}; print -l -- ${{(P)name%%:*}}; }}
        compadd() {{ shift; print -l -- "$@"; }}
        _files() {{ print -l -- *(/); }}
        source {shlex.quote(str(script))}
        words=({shlex.join(words)}) CURRENT={len(words)}
        _ckpool
    """
    done = subprocess.run(["zsh", "-fc", program], capture_output=True, text=True, timeout=60, check=False, cwd=cwd)
    assert not done.stderr, done.stderr
    return {word for word in done.stdout.splitlines() if word.startswith(words[-1])}


def completed_by_fish(script: Path, line: str, cwd: Path) -> set[str]:
    program = f"source {shlex.quote(str(script))}; complete -C {shlex.quote(line)}"
    done = subprocess.run(
        ["fish", "--no-config", "-c", program], capture_output=True, text=True, timeout=60, check=False, cwd=cwd,
        env={**os.environ, "HOME": str(cwd)},
    )  # fmt: skip
    assert not done.stderr, done.stderr
    return {row.partition("\t")[0] for row in done.stdout.splitlines()}


@pytest.mark.parametrize(
    ("shell", "completed"), [("bash", completed_by_bash), ("zsh", completed_by_zsh), ("fish", completed_by_fish)]
)
def test_completion(installed: Environment, folder: Path, shell: str, completed: Any) -> None:
    if not shutil.which(shell):
        pytest.skip(f"there is no {shell}")
    script = folder.parent / "script"
    done = subprocess.run(
        [installed.command, "completion", shell], capture_output=True, text=True, timeout=60, check=True
    )
    script.write_text(done.stdout)
    for line, expected in COMPLETED:
        assert completed(script, line, folder.parent) == expected, line
    assert {word.rstrip("/") for word in completed(script, "ckpool stats --log-dir a", folder.parent)} == {"a folder"}


def test_it_says_what_it_is() -> None:
    """Help names every command, and the guide every exit status."""
    guide = (ROOT / "docs" / "python.md").read_text()
    assert all(f"ckpool-fleet {command}" in guide for command in (*SAME, "watch", "completion bash"))
