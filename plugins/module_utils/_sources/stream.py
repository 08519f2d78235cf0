# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A JSON object from a file of any length, member by member, in bounded memory.

The file of a user with 60,000 workers has more than 16 MiB. Only a window of it is in memory, and one list comes item by
item.
"""

from __future__ import annotations

import codecs
import os
import re
import time
import typing as t

from .._errors import Unparsable
from .._text import JSON

_PIECE = 256 * 1024  #: bytes that are read at a time
_MOST_VALUE = 1024 * 1024  #: characters of one value; a worker has 300
_SPACE = re.compile(r"[ \t\r\n]*")


class Stream:
    """The JSON text of an open file. Bytes that are not UTF-8 become lone surrogates.

    :arg limit: bytes that are read of it.
    :arg seconds: that this may take.
    """

    def __init__(self, handle: int, path: str, limit: int, seconds: float) -> None:
        self._handle, self._path, self._left = handle, path, limit
        self._deadline = time.monotonic() + seconds
        self._decode = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode
        self._text, self._at, self._ended = "", 0, False

    def members(self, listed: str) -> t.Iterator[t.Tuple[str, t.Any]]:
        """Each name with its value, in order. The list with the name C(listed) comes as None and then each item.

        :raises Unparsable: the rest is not JSON, or not complete; the members before are.
        """
        self._expect("{")
        if self._peek() == "}":
            return
        while True:
            name = self._value()
            if not isinstance(name, str):
                raise self._broken("a name is no text")
            self._expect(":")
            if name == listed and self._peek() == "[":
                yield name, None
                for item in self._items():
                    yield name, item
            else:
                yield name, self._value()
            if self._next_of(",}") == "}":
                return

    def _items(self) -> t.Iterator[t.Any]:
        self._expect("[")
        if self._peek() == "]":
            self._expect("]")
            return
        while True:
            yield self._value()
            if self._next_of(",]") == "]":
                return

    def _value(self) -> t.Any:
        self._peek()
        while True:
            try:
                value, end = JSON.raw_decode(self._text, self._at)
                if end < len(self._text) or self._ended:  # a number may continue
                    self._at = end
                    return value
            except (ValueError, RecursionError) as exc:
                if self._ended or isinstance(exc, RecursionError):
                    raise self._broken(str(exc)) from None
            if len(self._text) - self._at > _MOST_VALUE:
                raise self._broken("a value is too long")
            self._fill()

    def _peek(self) -> str:
        """The next character that is not a space; empty at the end."""
        while True:
            self._at = _SPACE.match(self._text, self._at).end()  # type: ignore[union-attr]  # it always matches
            if self._at < len(self._text) or self._ended:
                return self._text[self._at : self._at + 1]
            self._fill()

    def _next_of(self, wanted: str) -> str:
        found = self._peek()
        if not found or found not in wanted:
            raise self._broken(f"expecting one of {wanted}")
        self._at += 1
        return found

    def _expect(self, wanted: str) -> None:
        self._next_of(wanted)

    def _fill(self) -> None:
        """Forget what was taken, and read more."""
        if time.monotonic() > self._deadline:
            raise self._broken("it takes too long to read")
        try:
            data = os.read(self._handle, min(_PIECE, self._left))
        except OSError as exc:
            raise self._broken(f"cannot be read: {exc.strerror}") from None
        self._left -= len(data)
        if not data and self._left <= 0:
            raise self._broken("it is too long")
        self._ended = not data
        self._text = self._text[self._at :] + self._decode(data, self._ended)
        self._at = 0

    def _broken(self, why: str) -> Unparsable:
        return Unparsable(f"{self._path} is not whole JSON: {why}", self._path, reason="half_written")
