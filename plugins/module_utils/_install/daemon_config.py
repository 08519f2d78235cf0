# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A daemon's configuration before it is in place: as the daemon takes it, and what is wrong with it. Pure functions.

The daemon says little of what it cannot use: a key that it does not know, or whose value has the wrong type, is passed
over without a word, and much else ends it with exit status 0, which no unit counts as a failure.

Source: the configurations that the builds of 2017, 2025 and 2026 read, upstream 1.2 and lhr among them.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import typing as t

from .._text import printable

MODES = ("pool", "solo", "proxy", "passthrough", "redirector")
MODE_FLAGS = {"pool": "", "solo": "-B", "proxy": "-p", "passthrough": "-P", "redirector": "-R"}
ERROR, WARNING = "error", "warning"
Config = t.Dict[str, t.Any]

_TEXT, _INTEGER, _REAL, _BOOLEAN, _TEXTS, _GROUPS, _DICTIONARY = (
    "a text", "an integer", "a number", "true or false", "a list of texts", "a list of dictionaries", "a dictionary",
)  # fmt: skip
#: every key that some build reads, and what it reads there
KEYS: t.Mapping[str, str] = {
    **dict.fromkeys(
        (
            "btcaddress", "btcsig", "donaddress", "ipcmining", "logdir", "pooladdress", "sv2_authority_key",
            "sv2_static_key", "upstream", "version_mask", "zmqblock",
        ), _TEXT),
    **dict.fromkeys(
        (
            "blockpoll", "dropidle", "max_pool_useragents", "maxclients", "maxsendqueue", "maxsubclients", "maxusers",
            "nonce1length", "nonce2length", "update_interval",
        ), _INTEGER),
    **dict.fromkeys(("donation", "highdiff", "maxdiff", "mindiff", "poolfee", "startdiff"), _REAL),
    **dict.fromkeys(("allow_low_diff", "reconnect"), _BOOLEAN),
    **dict.fromkeys(
        (
            "nodeserver", "passthroughserver", "redirecturl", "serverurl", "sv2jdurl", "sv2url", "trusted", "useragent",
        ), _TEXTS),
    **dict.fromkeys(("btcd", "proxy"), _GROUPS),
    "mindiff_overrides": _DICTIONARY,
    "simulation": _DICTIONARY,  # of the simulated pool
}  # fmt: skip
_INNER_KEYS: t.Mapping[str, t.Mapping[str, str]] = {
    "btcd": {"url": _TEXT, "auth": _TEXT, "pass": _TEXT, "notify": _BOOLEAN, "cookie": _TEXT, "zmqnotify": _TEXT},
    "proxy": {"url": _TEXT, "auth": _TEXT, "pass": _TEXT, "jds": _TEXT},
}
_ALWAYS_REAL = ("donation", "poolfee")  #: older builds pass over a number that has no point
_DIFFICULTIES = ("highdiff", "maxdiff", "mindiff", "startdiff")
_LISTENING = {
    "serverurl": 3333,
    "nodeserver": 3335,
    "trusted": 3336,
    "passthroughserver": 3335,
    "sv2url": 3336,
    "sv2jdurl": 3337,
}
_OF_MODE: t.Mapping[str, t.Tuple[str, ...]] = {
    "redirecturl": ("redirector",),
    "proxy": ("proxy", "passthrough", "redirector"),
    "sv2url": ("pool", "solo"),
    "sv2jdurl": ("pool", "solo"),
}
_LONGEST_SIGNATURE = 38  #: bytes of btcsig that are kept
_LONGEST_SOCKET = 107  #: bytes that the path of a socket may have, unix(7)
_LONGEST_FOLDER = 200  #: bytes for which the daemon has room
_LONGEST_SOCKET_NAME = "/stratifier"
_LOST_AT_REBOOT = ("/tmp", "/var/tmp", "/run", "/var/run", "/dev/shm")
_ADDRESS = re.compile(r"(?:[a-z0-9+]+://)?(?P<host>\[[0-9A-Fa-f:.%]+\]|[^:/\s]*)(?::(?P<port>\d{1,5}))?(?:/\S*)?")
_EVERYWHERE = ("", "*", "0.0.0.0", "::", "[::]")
_HIGH_PORT = 4000
_WORDS = {"true": True, "false": False, "yes": True, "no": False}


@dataclasses.dataclass(frozen=True)
class Finding:
    """Something that is wrong with a configuration, C(error) or C(warning), and the key that it is about."""

    level: str
    key: str
    message: str

    def as_dict(self) -> t.Dict[str, str]:
        """The record under the names of the modules' results."""
        return {"level": self.level, "key": printable(self.key), "message": printable(self.message)}


@dataclasses.dataclass(frozen=True)
class Neighbour:
    """Another instance of the host, and what it has to itself.

    :ivar listen: where it listens, as C(HOST:PORT).
    :ivar hint: what to do if it is the instance that is meant.
    """

    name: str
    socket_dir: t.Optional[str] = None
    log_dir: t.Optional[str] = None
    listen: t.Tuple[str, ...] = ()
    hint: str = ""


@dataclasses.dataclass(frozen=True)
class Place:
    """What a configuration is for.

    :ivar open_files: how many files the daemon may have open; None where nobody knows.
    """

    name: str
    mode: str
    socket_dir: str
    open_files: t.Optional[int] = None
    neighbours: t.Tuple[Neighbour, ...] = ()


def normalised(config: t.Mapping[str, t.Any]) -> Config:
    """A configuration with every value in the type that all builds read, where it can only mean one thing."""
    return {key: _normalised(key, KEYS.get(key, ""), value) for key, value in config.items()}


def _normalised(key: str, kind: str, value: t.Any) -> t.Any:
    if kind == _TEXTS and isinstance(value, str):
        return [value]
    if kind == _GROUPS:
        items = [value] if isinstance(value, dict) else value
        if isinstance(items, list):
            return [_normalised_group(key, item) if isinstance(item, dict) else item for item in items]
    if isinstance(value, str):
        value = _from_text(kind, value)
    if key in _ALWAYS_REAL and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind in (_INTEGER, _REAL) and key not in _ALWAYS_REAL and isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _normalised_group(key: str, group: t.Mapping[str, t.Any]) -> Config:
    kinds = _INNER_KEYS[key]
    return {inner: _normalised(inner, kinds.get(inner, ""), value) for inner, value in group.items()}


def _from_text(kind: str, text: str) -> t.Any:
    """What a text of a template stands for: a number or a truth, where such a value is wanted."""
    word = text.strip()
    if kind == _BOOLEAN:
        return _WORDS.get(word.lower(), text)
    if kind in (_INTEGER, _REAL):
        if re.fullmatch(r"-?\d{1,18}", word):
            return int(word)
        if kind == _REAL and re.fullmatch(r"-?\d{1,18}\.\d{1,18}", word):
            return float(word)
    return text


def findings(config: t.Mapping[str, t.Any], place: Place) -> t.List[Finding]:
    """All that is wrong with a configuration, the errors first."""
    found = [*_types(config)]
    if not any(finding.level == ERROR for finding in found):
        for check in (
            _required,
            _nodes,
            _upstreams,
            _lengths,
            _ports,
            _news_of_blocks,
            _stratum_v2,
            _of_other_modes,
            _directories,
        ):
            found += check(config, place)
    return sorted(found, key=lambda finding: finding.level != ERROR)


def _error(key: str, message: str) -> Finding:
    return Finding(ERROR, key, message)


def _warning(key: str, message: str) -> Finding:
    return Finding(WARNING, key, message)


def _types(config: t.Mapping[str, t.Any]) -> t.Iterator[Finding]:
    """Keys that no build knows, and values that none reads."""
    for key, value in config.items():
        kind = KEYS.get(key)
        if kind is None:
            yield _unknown(key, KEYS)
        elif not _is_of(kind, value):
            yield _error(
                key, f"{key} is {_kind_of(value)}, and the daemon only reads {kind} there: it would pass it over"
            )
        elif key in _INNER_KEYS:
            yield from _inner_types(key, value)


def _inner_types(key: str, groups: t.Sequence[t.Mapping[str, t.Any]]) -> t.Iterator[Finding]:
    kinds = _INNER_KEYS[key]
    for number, group in enumerate(groups):
        for inner, value in group.items():
            name = f"{key}[{number}].{inner}"
            if inner not in kinds:
                yield _unknown(inner, kinds, f"{key}[{number}].")
            elif not _is_of(kinds[inner], value):
                yield _error(name, f"{name} is {_kind_of(value)}, and the daemon only reads {kinds[inner]} there")


def _unknown(key: str, known: t.Iterable[str], prefix: str = "") -> Finding:
    near = difflib.get_close_matches(key.lower(), list(known), 1, 0.6)
    meant = f"; is {prefix}{near[0]} meant?" if near else ""
    return _warning(prefix + key, f"no build that is known here reads {prefix}{key}{meant}")


def _is_of(kind: str, value: t.Any) -> bool:
    if kind == _TEXTS:
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    if kind == _GROUPS:
        return isinstance(value, list) and all(isinstance(item, dict) for item in value)
    if kind in (_INTEGER, _REAL):
        return isinstance(value, int if kind == _INTEGER else (int, float)) and not isinstance(value, bool)
    return isinstance(value, {_TEXT: str, _BOOLEAN: bool, _DICTIONARY: dict}[kind])


def _kind_of(value: t.Any) -> str:
    names: t.Dict[type, str] = {
        bool: _BOOLEAN,
        int: _INTEGER,
        float: _REAL,
        str: _TEXT,
        dict: _DICTIONARY,
        list: "a list",
    }
    return names.get(type(value), "null")


def _required(config: t.Mapping[str, t.Any], place: Place) -> t.Iterator[Finding]:
    """What the daemon ends for want of, with exit status 0."""
    ends = "the daemon would end at once, with exit status 0"
    if place.mode == "pool" and not config.get("btcaddress"):
        yield _error("btcaddress", f"there is no btcaddress, which the mode pool needs: {ends}")
    if place.mode in _OF_MODE["proxy"] and not config.get("proxy"):
        yield _error("proxy", f"there is no proxy, which the mode {place.mode} needs: {ends}")
    if place.mode == "redirector" and not config.get("redirecturl"):
        yield _error("redirecturl", f"there is no redirecturl, which the mode redirector needs: {ends}")
    for key in ("nonce1length", "nonce2length"):
        if config.get(key) and not 2 <= config[key] <= 8:
            yield _error(key, f"{key} is {config[key]}, and has to be from 2 to 8: {ends}")


def _nodes(config: t.Mapping[str, t.Any], place: Place) -> t.Iterator[Finding]:
    """The bitcoind that work comes from."""
    if place.mode not in ("pool", "solo"):
        return
    if not config.get("btcd"):
        yield _warning("btcd", "there is no btcd: the daemon asks localhost:8332 as user, with the password pass")
    for number, node in enumerate(config.get("btcd") or []):
        wanted = ("url",) if node.get("cookie") else ("url", "auth", "pass")
        missing = [key for key in wanted if not node.get(key)]
        if missing:
            yield _error(
                f"btcd[{number}]", f"btcd[{number}] has no {' and no '.join(missing)}: the daemon would end at once"
            )


def _upstreams(config: t.Mapping[str, t.Any], place: Place) -> t.Iterator[Finding]:
    """The pools that a proxy connects to."""
    if place.mode not in _OF_MODE["proxy"]:
        return
    for number, upstream in enumerate(config.get("proxy") or []):
        missing = [key for key in ("url", "auth") if not upstream.get(key)]
        if missing:
            yield _error(
                f"proxy[{number}]", f"proxy[{number}] has no {' and no '.join(missing)}: the daemon would end at once"
            )


def _lengths(config: t.Mapping[str, t.Any], place: Place) -> t.Iterator[Finding]:
    """What is cut off, or taken for something else."""
    signature = str(config.get("btcsig", "")).encode("utf-8", "replace")
    if len(signature) > _LONGEST_SIGNATURE:
        yield _warning("btcsig", f"btcsig has {len(signature)} bytes, of which the daemon keeps {_LONGEST_SIGNATURE}")
    mask = config.get("version_mask")
    if mask and not re.fullmatch(r"(?:[0-9A-Fa-f]{2}){1,4}", mask):
        yield _warning("version_mask", "version_mask is not 8 hexadecimal digits: the daemon takes 1fffe000 instead")
    for key in _DIFFICULTIES:
        if isinstance(config.get(key), float):
            yield _warning(
                key, f"{key} is {config[key]}: only builds for low hashrates read a fraction, others pass it over"
            )
    most = config.get("maxclients") or 0
    if place.open_files and most > place.open_files * 9 // 10:
        yield _warning(
            "maxclients",
            f"maxclients is {most}, and the daemon takes no more than nine tenths of the {place.open_files} files that it "
            f"may have open: {place.open_files * 9 // 10}",
        )


def _ports(config: t.Mapping[str, t.Any], place: Place) -> t.Iterator[Finding]:
    """Where it listens."""
    for address in config.get("serverurl") or []:
        port = split_address(address, _LISTENING["serverurl"])
        if port is None:
            yield _error("serverurl", f"{address!r} in serverurl is no HOST:PORT")
        elif port[1] > _HIGH_PORT:
            yield _warning(
                "serverurl",
                f"port {port[1]} is above {_HIGH_PORT}: the daemon gives miners there a difficulty of "
                f"{config.get('highdiff') or 1000000} (highdiff), and small ones find no share for days",
            )
    mine = listening(config, place.mode)
    for number, one in enumerate(mine):
        if any(_overlap(one, other) for other in mine[:number]):
            yield _error("serverurl", f"it would listen on port {one[1]} twice")
    for neighbour in place.neighbours:
        for address in neighbour.listen:
            other = split_address(address, 0)
            for one in mine:
                if other and _overlap(one, other):
                    hint = f" ({neighbour.hint})" if neighbour.hint else ""
                    yield _error("serverurl", f"port {one[1]} is that of {neighbour.name}, too{hint}")


def _news_of_blocks(config: t.Mapping[str, t.Any], place: Place) -> t.Iterator[Finding]:
    """How it learns of a new block."""
    if place.mode not in ("pool", "solo"):
        return
    nodes = config.get("btcd") or []
    silent = [number for number, node in enumerate(nodes) if node.get("notify")]
    is_told = config.get("zmqblock") or config.get("ipcmining") or any(node.get("zmqnotify") for node in nodes)
    if silent and not is_told:
        which = ", ".join(f"btcd[{number}]" for number in silent)
        yield _warning(
            f"btcd[{silent[0]}].notify",
            f"notify of {which} is true, so it is not asked for new blocks, and there is no zmqblock: unless the node publishes "
            "at tcp://127.0.0.1:28332 (zmqpubhashblock) or runs the notifier, work is up to "
            f"{config.get('update_interval') or 30} s old, and nothing says so",
        )


def _stratum_v2(config: t.Mapping[str, t.Any], place: Place) -> t.Iterator[Finding]:
    """The keys of Stratum V2, which are what miners know the pool by."""
    for key in ("sv2_authority_key", "sv2_static_key"):
        path = config.get(key)
        if not path:
            if speaks_stratum_v2(config, place.mode):
                yield _error(
                    key, f"there is no {key}: the daemon keeps it in its socket directory, where a reboot takes it"
                )
        elif not path.startswith("/"):
            yield _error(key, f"{key} is not an absolute path")
        elif any(path.startswith(f"{folder}/") for folder in (*_LOST_AT_REBOOT, place.socket_dir)):
            yield _error(
                key,
                f"{key} is in {path.rpartition('/')[0]}, which a reboot empties: no Stratum V2 miner could connect after it",
            )


def _of_other_modes(config: t.Mapping[str, t.Any], place: Place) -> t.Iterator[Finding]:
    """What the mode makes no use of."""
    for key, modes in _OF_MODE.items():
        if config.get(key) and place.mode not in modes:
            yield _warning(key, f"{key} is of no effect in the mode {place.mode}, only in {', '.join(modes)}")


def _directories(config: t.Mapping[str, t.Any], place: Place) -> t.Iterator[Finding]:
    """Directories that two instances share, or that the daemon has no room for."""
    log_dir = str(config.get("logdir") or "")
    if not log_dir.startswith("/"):
        yield _error("logdir", "logdir is not an absolute path: it would depend on where the daemon is started")
    if len(log_dir.encode("utf-8", "replace")) > _LONGEST_FOLDER:
        yield _error("logdir", f"logdir has more than {_LONGEST_FOLDER} bytes")
    if len(place.socket_dir.encode("utf-8", "replace")) + len(_LONGEST_SOCKET_NAME) > _LONGEST_SOCKET:
        yield _error(
            "socket_dir", f"the paths of the sockets in {place.socket_dir} have more than {_LONGEST_SOCKET} bytes"
        )
    for neighbour in place.neighbours:
        if _is_same(log_dir, neighbour.log_dir):
            yield _error(
                "logdir",
                f"{log_dir} is the log directory of {neighbour.name}, too: each would overwrite the other's statistics",
            )
        if _is_same(place.socket_dir, neighbour.socket_dir):
            yield _error(
                "socket_dir",
                f"{place.socket_dir} is the socket directory of {neighbour.name}, too: the second ends the first",
            )


def speaks_stratum_v2(config: t.Mapping[str, t.Any], mode: str) -> bool:
    """Whether it would listen for Stratum V2, where the build can."""
    return mode in _OF_MODE["sv2url"] and bool(config.get("sv2url") or config.get("sv2jdurl"))


def listening(config: t.Mapping[str, t.Any], mode: str) -> t.List[t.Tuple[str, int]]:
    """Where it would listen: hosts and ports. What is no address is left out."""
    given = {key: config.get(key) for key in _LISTENING}
    texts = {
        key: [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
        for key, value in given.items()
    }
    if not speaks_stratum_v2(config, mode):
        texts["sv2url"] = texts["sv2jdurl"] = []
    if not texts["serverurl"] and not texts["sv2url"]:
        texts["serverurl"] = [f"0.0.0.0:{3333 if mode in ('pool', 'solo') else 3334}"]
    found = [split_address(address, _LISTENING[key]) for key, addresses in texts.items() for address in addresses]
    return [address for address in found if address]


def split_address(address: str, default: int) -> t.Optional[t.Tuple[str, int]]:
    """Host and port of C(HOST:PORT); None if it is none.

    :arg default: the port where there is none.
    """
    found = _ADDRESS.fullmatch(address.strip())
    if not found:
        return None
    port = int(found.group("port") or default)
    return (found.group("host").lower(), port) if 0 < port < 65536 else None


def _overlap(one: t.Tuple[str, int], other: t.Tuple[str, int]) -> bool:
    is_everywhere = one[0] in _EVERYWHERE or other[0] in _EVERYWHERE
    return one[1] == other[1] and (is_everywhere or one[0] == other[0])


def _is_same(folder: str, other: t.Optional[str]) -> bool:
    return bool(other) and folder.rstrip("/") == str(other).rstrip("/")
