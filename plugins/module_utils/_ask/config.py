# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of a daemon's configuration that may be shown: values of keys that are known to hold no secret. Pure functions.

A value is shown if some build reads its key, and if it has the form of such a value. Everything else is hidden, as another
build, or a person, may keep a secret in a key that is not listed here.

Source: the configuration that the builds of 2017, 2025 and 2026 read, as described in docs/what-ckpool-answers.md.
"""

from __future__ import annotations

import re
import typing as t

from .._text import printable

HIDDEN = "********"
_MOST = 2**63  #: no daemon can read a greater number
_NUMBERS = frozenset((
    "allow_low_diff", "blockpoll", "donation", "donrate", "dropidle", "highdiff", "ipctemplate", "max_pool_useragents",
    "maxclients", "maxdiff", "maxsendqueue", "maxsubclients", "maxusers", "mindiff", "mindiff_overrides", "nonce1length",
    "nonce2length", "notify", "poolfee", "reconnect", "startdiff", "update_interval",
))  # fmt: skip
_TEXTS = {
    **dict.fromkeys(("btcaddress", "donaddress", "pooladdress"), re.compile(r"[A-Za-z0-9]{20,128}")),
    "version_mask": re.compile(r"[0-9A-Fa-f]{1,8}"),
    "btcsig": re.compile(r"[^\0]{0,100}"),  # every block that the pool finds publishes it
    **dict.fromkeys(("logdir", "ipcmining"), re.compile(r"[\w./ +-]{1,4095}")),
    # The files of these keys, and not a key that somebody has put there instead.
    **dict.fromkeys(("sv2_authority_key", "sv2_static_key"), re.compile(r"/[\w./ +-]{1,4094}")),
}
_PLACES = frozenset((
    "nodeserver", "passthroughserver", "redirecturl", "serverurl", "sv2jdurl", "sv2url", "trusted", "upstream", "url",
    "zmqblock", "zmqnotify",
))  # fmt: skip
#: An address as the daemon takes it, with what a URL may have around it. There may be no user in it, and so no @.
_PLACE = re.compile(
    r"(?:[A-Za-z][A-Za-z0-9+.-]{0,20}://)?"
    r"(?P<place>(?:\*|[A-Za-z0-9][A-Za-z0-9._-]{0,252}|\[[0-9A-Fa-f:.]{2,45}\]):[0-9]{1,5})(?:/[^@\\]*)?"
)
#: keys of values that have keys themselves, to which the same list applies
_GROUPS = frozenset(("btcd", "proxy"))


def shown(config: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    """A configuration that may be shown: a value that is, or could be, a secret is C(********).

    The length of lists and dictionaries stays visible, as do null and empty texts.
    """
    return {printable(key): _shown(key, value) for key, value in config.items()}


def _shown(key: str, value: t.Any) -> t.Any:
    if key in _GROUPS:
        if isinstance(value, list):
            return [shown(item) if isinstance(item, dict) else _hidden(item) for item in value]
        return shown(value) if isinstance(value, dict) else _hidden(value)
    if isinstance(value, list):
        return [_known(key, item) for item in value]
    if key == "mindiff_overrides" and isinstance(value, dict):
        return {printable(agent): _known(key, item) for agent, item in value.items()}
    return _known(key, value)


def _known(key: str, value: t.Any) -> t.Any:
    """One value of a key: itself if it has the form of such a value, otherwise hidden."""
    if key in _NUMBERS and isinstance(value, (int, float)) and abs(value) < _MOST:
        return value
    if isinstance(value, str):
        if key in _TEXTS and _TEXTS[key].fullmatch(value):
            return printable(value)
        found = _PLACE.fullmatch(value) if key in _PLACES else None
        if found:
            return found.group("place")
    return _hidden(value)


def _hidden(value: t.Any) -> t.Any:
    if isinstance(value, dict):
        return {printable(key): _hidden(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_hidden(item) for item in value]
    return value if value is None or value == "" else HIDDEN
