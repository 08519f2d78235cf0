# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of users and workers in a report that others will read: whole, shortened or hashed. Pure functions."""

from __future__ import annotations

import hashlib
import hmac
import re
import typing as t

from .._types import Json

NONE, SHORTEN, HASH = REDACTIONS = ("none", "shorten", "hash")
_TOKEN = re.compile(r"[^\s,;\"'()\[\]{}<>=]+")
#: what may be an address on the Bitcoin networks, with the name of a worker behind it
_ADDRESS = re.compile(
    r"(?<![0-9a-z])(?:(?:bc|tb|bcrt)1[0-9a-z]{11,87}|[123mn][1-9A-HJ-NP-Za-km-z]{25,39})(?![0-9a-z])(?:[._]\S*)?",
    re.IGNORECASE,
)
#: words in the daemon's log that a name follows, and its folders with a file of each name
_ANNOUNCED = re.compile(
    r"((?:user|worker|workername|username)s?[ :=]+\"?|/(?:users|workers)/)([^\s,;\"]+)", re.IGNORECASE
)
#: a word that was cut off: what is left of a name can be enough to know it
_CUT = re.compile(r"(?<!\S)\S+\.\.\.")
_IP = re.compile(r"\b(?:[0-9]{1,3}\.){3}[0-9]{1,3}\b|\b(?:[0-9a-f]{1,4}:){3,7}[0-9a-f]{0,4}\b", re.IGNORECASE)
_DIGITS = 12  #: hexadecimal digits of a hashed name


class Names:
    """What is written in place of names.

    :arg mode: one of L(REDACTIONS).
    :arg key: makes hashes that nobody else can recompute from the public list of all addresses.
    :arg known: the names of users and workers, to be found in texts.
    """

    def __init__(self, mode: str, key: bytes = b"", known: t.Iterable[str] = ()) -> None:
        self._mode, self._key = mode, key
        names = set(known) if mode != NONE else set()
        self._known = {name for name in names if _TOKEN.fullmatch(name)}
        # Names that are no single word are rare, and are looked for one by one; long ones first, as they contain others.
        self._odd = sorted((name for name in names - self._known if len(name) > 1), key=len, reverse=True)

    def user(self, name: t.Optional[str]) -> t.Optional[str]:
        """A user."""
        if not name or self._mode == NONE:
            return name
        if self._mode == HASH:
            return hmac.new(self._key, name.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:_DIGITS]
        if len(name) > 12:
            return f"{name[:6]}…{name[-4:]}"
        return f"{name[: max(1, len(name) // 3)]}…"

    def worker(self, name: t.Optional[str]) -> t.Optional[str]:
        """A worker: its user, and what follows."""
        if not name or self._mode == NONE:
            return name
        user, separator, rest = _split(name)
        return f"{self.user(user)}{separator}{self.user(rest)}" if rest else self.user(name)

    def text(self, text: t.Optional[str]) -> t.Optional[str]:
        """A line of a log, or a message, with the names in it replaced, and addresses of miners left out."""
        if not text or self._mode == NONE:
            return text
        for name in self._odd:
            text = text.replace(name, str(self.worker(name)))
        text = _CUT.sub("...", text)
        text = _ANNOUNCED.sub(lambda match: match.group(1) + str(self.worker(match.group(2))), text)
        text = _TOKEN.sub(lambda match: self._token(match.group()), text)
        return _IP.sub("(address)", text)

    def _token(self, word: str) -> str:
        bare = word.rstrip(".:!?")
        if bare in self._known or _split(bare)[0] in self._known:
            return str(self.worker(bare)) + word[len(bare) :]
        return _ADDRESS.sub(lambda match: str(self.worker(match.group())), bare) + word[len(bare) :]


def _split(name: str) -> t.Tuple[str, str, str]:
    """User, separator and the rest of a worker's name, as the daemon splits it."""
    for place, character in enumerate(name):
        if character in "._" and place:
            return name[:place], character, name[place + 1 :]
    return name, "", ""


def names_in(users: t.Iterable[Json], workers: t.Iterable[Json], blocks: t.Iterable[Json]) -> t.Set[str]:
    """All names that records tell."""
    found: t.Set[str] = set()
    for record in (*users, *workers, *blocks):
        found.update(name for field in ("user", "worker") if isinstance(name := record.get(field), str) and name)
    return found
