# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A daemon's command line: its options as the daemon itself reads them, and what follows from those.

The user who starts a process chooses these words: they show where to look, and prove nothing.

Source: the daemon's own help; getopt_long(3).
"""

from __future__ import annotations

import os
import re
import typing as t

MODE_NAMES = {
    "pool": "ckpool",
    "solo": "ckpool",
    "proxy": "ckproxy",
    "passthrough": "ckpassthrough",
    "redirector": "ckredirector",
    "node": "cknode",
}
PROGRAMS = tuple(sorted(set(MODE_NAMES.values())))
#: the long options of all builds, with their letters, including those of upstream in 2026
_LONG = {
    "btcsolo": "B", "ckdb-name": "d", "ckdb-sockdir": "S", "config": "c", "daemonise": "D", "group": "g", "handover": "H",
    "help": "h", "killold": "k", "log-shares": "L", "loglevel": "l", "name": "n", "node": "N", "passthrough": "P",
    "proxy": "p", "quiet": "q", "redirector": "R", "sockdir": "s", "standalone": "A", "testconfig": "T", "trusted": "t",
    "userproxy": "u",
}  # fmt: skip
_WITH_VALUE = frozenset("cdglnSs")
_MODE_FLAGS = {"N": "node", "R": "redirector", "P": "passthrough", "p": "proxy", "u": "proxy", "B": "solo"}
_MODE_ORDER = ("node", "redirector", "passthrough", "proxy", "solo")
_INTERPRETER = re.compile(r"python[\w.-]*|(ba|da)?sh")
_STARTERS = ("env", "valgrind", "gdbserver")  #: run a program that is no script
_COMMANDS = ("ckpool", "ckpool-fleet")  #: the command of this collection


class CommandLine:
    """A command line, starting with the program, as the daemon reads it.

    :ivar options: the values of its options, by letter; an empty text for those without a value.
    """

    def __init__(self, argv: t.Sequence[str]) -> None:
        self.argv = list(argv)
        self.options = _options(self.argv[1:])

    @property
    def program(self) -> str:
        """The name of the program; with an interpreter, that of the script."""
        is_second = len(self.argv) > 1 and (self._is_script or os.path.basename(self.argv[0]) in _STARTERS)
        return os.path.basename(next(iter(self.argv[is_second:]), ""))

    @property
    def _is_script(self) -> bool:
        """Whether an interpreter runs it."""
        return bool(self.argv) and bool(_INTERPRETER.fullmatch(os.path.basename(self.argv[0])))

    @property
    def mode(self) -> str:
        """pool, solo, proxy, passthrough, redirector or node."""
        flags = {_MODE_FLAGS.get(letter) for letter in self.options}
        default = "proxy" if self.program == MODE_NAMES["proxy"] else "pool"
        return next((mode for mode in _MODE_ORDER if mode in flags), default)

    @property
    def name(self) -> str:
        """The daemon's name: C(-n), or the default of its mode."""
        return self.options.get("n") or MODE_NAMES[self.mode]

    @property
    def socket_dir(self) -> str:
        """The socket directory, which may be relative to its working directory."""
        return self.options.get("s") or f"/tmp/{self.name}"

    @property
    def config(self) -> str:
        """The configuration file, which may be relative to its working directory."""
        return self.options.get("c") or f"{self.name}.conf"

    @property
    def is_known_program(self) -> bool:
        """Whether the program has the name of a ckpool."""
        return not self.is_ours and any(known in self.program for known in PROGRAMS)

    @property
    def is_ours(self) -> bool:
        """Whether it is the command of this collection: a script of its name, with what to do as its first word (C(ckpool health)),
        or nothing but help. The daemon takes options alone.
        """
        rest = self.argv[1:]
        while rest and rest[0].startswith("-"):  # of the interpreter
            rest = rest[1:]
        first = next(iter(rest[1:]), "--help")
        is_named = self._is_script and bool(rest) and os.path.basename(rest[0]) in _COMMANDS
        return is_named and (not first.startswith("-") or first in ("-h", "--help", "--version"))


def without_setsid(argv: t.Sequence[str]) -> t.List[str]:
    """The command that C(setsid) starts, as in the unit of a daemon that outlasts its main process; else the words as they are."""
    words = list(argv)
    if not words or os.path.basename(words[0]) != "setsid":
        return words
    return words[next((place for place, word in enumerate(words[1:], 1) if not word.startswith("-")), 1) :]


def _options(words: t.Sequence[str]) -> t.Dict[str, str]:
    """The options by letter. Anything else is skipped, as getopt does."""
    found: t.Dict[str, str] = {}
    rest = iter(words)
    for word in rest:
        if word == "--":
            break
        letters = _letters_of_long(word[2:]) if word.startswith("--") else word[1:] if word.startswith("-") else ""
        for place, letter in enumerate(letters, 1):
            if letter in _WITH_VALUE:
                found[letter] = letters[place:] or next(rest, "")
                break
            found[letter] = ""
    return found


def _letters_of_long(text: str) -> str:
    """A long option as a short one with its value. It may be abbreviated as long as it is unambiguous."""
    name, _sign, value = text.partition("=")
    fitting = [name] if name in _LONG else [known for known in _LONG if known.startswith(name)]
    return _LONG[fitting[0]] + value if len(fitting) == 1 else ""
