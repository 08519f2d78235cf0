# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A daemon's command line, read as the daemon reads it."""

from __future__ import annotations

import time
import typing as t

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils._host.command_line import CommandLine, without_setsid


@pytest.mark.parametrize(
    ("words", "name", "mode", "folder"),
    [
        ([], "ckpool", "pool", "/tmp/ckpool"),
        (["-s", "/run/a"], "ckpool", "pool", "/run/a"),
        (["-s/run/a"], "ckpool", "pool", "/run/a"),
        (["--sockdir=/run/a"], "ckpool", "pool", "/run/a"),
        (["--sockdir", "/run/a"], "ckpool", "pool", "/run/a"),
        (["-s", "/run/a/"], "ckpool", "pool", "/run/a/"),
        (["--sockd", "/run/a"], "ckpool", "pool", "/run/a"),
        (["--sockd=/run/a"], "ckpool", "pool", "/run/a"),
        (["-n", "mine"], "mine", "pool", "/tmp/mine"),
        (["-nmine", "-l", "6"], "mine", "pool", "/tmp/mine"),
        (["--name=mine"], "mine", "pool", "/tmp/mine"),
        (["-B"], "ckpool", "solo", "/tmp/ckpool"),
        (["-Bn", "mine"], "mine", "solo", "/tmp/mine"),
        (["-BHkn", "mine", "-s/run/b"], "mine", "solo", "/run/b"),
        (["-p"], "ckproxy", "proxy", "/tmp/ckproxy"),
        (["--proxy"], "ckproxy", "proxy", "/tmp/ckproxy"),
        (["-u"], "ckproxy", "proxy", "/tmp/ckproxy"),
        (["-P"], "ckpassthrough", "passthrough", "/tmp/ckpassthrough"),
        (["-R"], "ckredirector", "redirector", "/tmp/ckredirector"),
        (["-N"], "cknode", "node", "/tmp/cknode"),
        (["--node", "--name", "x"], "x", "node", "/tmp/x"),
        (["-NP"], "cknode", "node", "/tmp/cknode"),
        (["-c", "-s", "-n", "x"], "x", "pool", "/tmp/x"),  # a value may look like an option
        (["-l", "P", "stray", "-k"], "ckpool", "pool", "/tmp/ckpool"),
        (["--unheard-of=PNs/run/a"], "ckpool", "pool", "/tmp/ckpool"),
        (["--killold", "--quiet", "-"], "ckpool", "pool", "/tmp/ckpool"),
        (["-s"], "ckpool", "pool", "/tmp/ckpool"),
    ],
)
def test_the_options_of_a_command(words: t.List[str], name: str, mode: str, folder: str) -> None:
    command = CommandLine(["/usr/bin/ckpool", *words])
    assert (command.name, command.mode, command.socket_dir) == (name, mode, folder)


def test_a_long_word_is_read_in_time() -> None:
    """No step may be quadratic: who starts a process chooses its words."""
    start = time.process_time()
    assert CommandLine(["/usr/bin/ckpool", "-" + "A" * 1_000_000 + "nmine"]).name == "mine"
    assert time.process_time() - start < 5


@pytest.mark.parametrize(
    ("words", "program"),
    [
        (["/usr/bin/setsid", "--fork", "/opt/ckpool", "-P"], "/opt/ckpool"),
        (["setsid", "/opt/ckpool"], "/opt/ckpool"),
        (["/opt/ckpool", "-n", "setsid"], "/opt/ckpool"),
        (["setsid", "-f"], "-f"),
        ([], None),
    ],
)
def test_what_setsid_starts_is_the_command(words: t.List[str], program: t.Optional[str]) -> None:
    assert next(iter(without_setsid(words)), None) == program


@pytest.mark.parametrize(
    ("words", "is_daemon"),
    [
        (["/usr/bin/ckpool"], True),
        (["/usr/bin/ckpool", "health"], True),  # the daemon's own program takes no such word, and runs all the same
        (["/usr/bin/python3", "/opt/simulated_ckpool.py", "-n", "x"], True),
        (["/bin/sh", "/usr/local/bin/ckpool", "-n", "x"], True),
        (["/opt/fleet/bin/python3", "/opt/fleet/bin/ckpool", "health", "--name", "solo"], False),
        (["/opt/fleet/bin/python3.13", "/opt/fleet/bin/ckpool", "watch"], False),
        (["/opt/fleet/bin/python3", "/opt/fleet/bin/ckpool-fleet", "--version"], False),
        (["/opt/fleet/bin/python3", "/opt/fleet/bin/ckpool"], False),
        (["/usr/bin/python3", "-sP", "/usr/bin/ckpool", "watch"], False),
        (["/bin/sh", "/etc/init.d/ckpool", "start"], False),
        (["valgrind", "/usr/bin/ckpool"], True),
        (["/usr/bin/sha2-ckpool", "-n", "ckpool"], True),
    ],
)
def test_the_command_of_this_collection_is_no_daemon(words: t.List[str], is_daemon: bool) -> None:
    assert CommandLine(words).is_known_program == is_daemon


@pytest.mark.parametrize(
    "words",
    [
        ["valgrind", "--leak-check=full", "/usr/bin/ckpool", "-c", "x.conf"],
        ["valgrind", "/usr/bin/ckpool"],
        ["/opt/share-ckpool", "-c", "ckpool"],
        ["/usr/bin/python3", "-u", "/opt/simulated.py", "-n", "ckpool"],
        ["/usr/bin/python3", "/opt/start.py", "ckpool"],
        ["/usr/bin/python3", "-sP", "/usr/bin/ckpool", "-n", "x"],
        ["ckpool"],
        [],
    ],
)
def test_no_other_program_is_hidden_as_if_it_were_our_command(words: t.List[str]) -> None:
    assert not CommandLine(words).is_ours
