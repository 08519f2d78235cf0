# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Making text from other sources safe for results and terminals. Pure functions."""

from __future__ import annotations

import json
import math
import re
import typing as t

_SURROGATE = re.compile("[\ud800-\udfff]")
_MOST_DIGITS = 640  #: of an integer; Python may refuse to read more, or take long for it
_BYTES = range(0xDC80, 0xDD00)  #: what Python makes of the bytes 0x80 to 0xff of a name that is not UTF-8


def _integer(digits: str) -> t.Union[int, float]:
    """An integer; infinity in place of one that is too long, so that it costs nothing but itself."""
    return int(digits) if len(digits) <= _MOST_DIGITS else math.inf


JSON = json.JSONDecoder(parse_int=_integer)  #: reads what daemons write, and whoever answers in their place


def utf8(text: str) -> str:
    r"""Text that can be encoded as UTF-8: other bytes are written as C(\xff), lone surrogates as C(\ud800)."""
    return text if text.isascii() else _SURROGATE.sub(_escape, text)


def printable(text: str) -> str:
    r"""Text in one line without control characters: C(\x1b), C(\x0a), C(\u202e) and the like are escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def clean(value: t.Any) -> t.Any:
    """JSON data that can be sent: all text is UTF-8, at any depth, and numbers that are not finite are None."""
    if isinstance(value, str):
        return utf8(value)
    if isinstance(value, dict):
        return {utf8(key) if isinstance(key, str) else key: clean(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def without_credentials(url: str) -> t.Tuple[str, t.Set[str]]:
    """A URL without user, password and query, which may be secret, and the texts that were left out."""
    import urllib.parse  # few tasks need it

    try:
        parts = urllib.parse.urlsplit(url)
    except ValueError:
        return "a URL that cannot be understood", {url}
    user, _sign, host = parts.netloc.rpartition("@")
    name, _colon, password = user.partition(":")
    return parts._replace(netloc=host, query="", fragment="").geturl(), {user, password or name, parts.query} - {""}


def _escape(match: t.Match[str]) -> str:
    return _escaped(match.group())


def _escaped(character: str) -> str:
    code = ord(character)
    if code in _BYTES:
        code -= 0xDC00
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
