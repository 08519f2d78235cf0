# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration: a JSON file that only root or the service's own user may write."""

from __future__ import annotations

import dataclasses
import ipaddress
import json
import os
import stat
import typing as t

from ckpool_fleet._errors import PoolError
from ckpool_fleet._health_options import HEALTH_OPTIONS, checked_options

if t.TYPE_CHECKING:
    from ckpool_fleet._ask.survey import HealthOptions

_MOST_BYTES = 65536
_MOST_PATHS = 100
_RANGES: t.Dict[str, t.Tuple[float, float]] = {
    "port": (1, 65535),
    "timeout": (0.1, 60),
    "cache_seconds": (1, 3600),  # less would ask the pool more than once a second
    "top_users": (0, 1000),
    "max_connections": (1, 100_000),
    "max_requests": (1, 10_000),
    "header_seconds": (0.1, 300),
    "max_body": (0, 1_048_576),
}


class BadSettings(Exception):
    """The configuration cannot be used. The message is one sentence."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """The configuration, with its defaults. Times are in seconds, sizes in bytes.

    :ivar listen: the address to listen on. One that is not loopback needs a token and TLS.
    :ivar socket_dirs: socket directories of pools that should run.
    :ivar log_dir: the log directory of pools whose own is not known.
    :ivar timeout: of one exchange with a pool.
    :ivar cache_seconds: of a look at a pool, for each message that it sends.
    :ivar top_users: users of a pool that have series of their own.
    :ivar max_requests: requests that are worked on at once; others wait.
    :ivar header_seconds: within which a connection has to send a complete request.
    :ivar metrics_public: whether C(/metrics) needs no token.
    """

    listen: str = "127.0.0.1"
    port: int = 9333
    socket_dirs: t.Tuple[str, ...] = ()
    log_dir: t.Optional[str] = None
    token_file: t.Optional[str] = None
    tls_certificate: t.Optional[str] = None
    tls_key: t.Optional[str] = None
    timeout: float = 3.0
    cache_seconds: float = 1.0
    top_users: int = 0
    max_connections: int = 2000
    max_requests: int = 64
    header_seconds: float = 10.0
    max_body: int = 0
    thresholds: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    skip_checks: t.Tuple[str, ...] = ()
    metrics_public: bool = False

    @property
    def deadline(self) -> float:
        """Seconds after which a request is answered in any case. Half a second is left to send the answer."""
        return self.timeout + 0.5

    @property
    def is_loopback(self) -> bool:
        """Whether only this host can connect."""
        return ipaddress.ip_address(self.listen).is_loopback

    @property
    def judged_by(self) -> t.Dict[str, t.Any]:
        """What decides on a verdict besides the pool, so that a reader can compare this with what should decide."""
        lists = {"skip_checks": list(self.skip_checks), "socket_dirs": list(self.socket_dirs)}
        return {"thresholds": dict(self.thresholds), **lists, "log_dir": self.log_dir}

    def health_options(self) -> HealthOptions:
        """The options of the checks.

        :raises BadInput: a threshold is out of range.
        """
        given = {name: option.get("default") for name, option in HEALTH_OPTIONS.items()}
        defaults = {name: option.get("default") for name, option in HEALTH_OPTIONS["thresholds"]["options"].items()}
        return checked_options(
            {**given, "thresholds": {**defaults, **self.thresholds}, "skip_checks": list(self.skip_checks)}
        )


def load(path: str) -> Settings:
    """The settings of a file.

    :raises BadSettings: it cannot be read or trusted, or a key or a value is wrong.
    """
    text = read_trusted(path, _MOST_BYTES)
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise BadSettings(f"{path} is not JSON: {exc}") from None
    if not isinstance(values, dict):
        raise BadSettings(f"{path} is not a JSON object")
    return checked(values)


def checked(values: t.Dict[str, t.Any]) -> Settings:
    """Settings from the values of a configuration.

    :raises BadSettings: naming the key that is wrong.
    """
    known = {field.name: field for field in dataclasses.fields(Settings)}
    for name in values:
        if name not in known:
            raise BadSettings(f"{name!r} is not a setting: those are {', '.join(known)}")
    settings = Settings(**{name: _checked_value(name, value) for name, value in values.items()})
    _check_address(settings)
    _check_thresholds(settings)
    return settings


def read_trusted(path: str, most: int, is_secret: bool = False) -> bytes:
    """The content of a file of root's or of our own user's that others may not write.

    :arg is_secret: others may not read it either; its group may.
    :raises BadSettings: it is something else, or has more than C(most) bytes.
    """
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as stream:
            info = os.fstat(stream.fileno())
            if not stat.S_ISREG(info.st_mode):
                raise BadSettings(f"{path} is not a regular file")
            if info.st_uid not in (0, os.geteuid()) or info.st_mode & 0o022:
                raise BadSettings(f"{path} has to belong to root or to this user, and others may not write to it")
            if is_secret and info.st_mode & 0o004:
                raise BadSettings(f"{path} may be read by every user of this host: chmod o-r")
            text = stream.read(most + 1)
    except OSError as exc:
        raise BadSettings(f"{path} cannot be read: {exc.strerror}") from None
    except ValueError:
        raise BadSettings(f"{path!r} cannot be a path") from None
    if len(text) > most:
        raise BadSettings(f"{path} has more than {most} bytes")
    return text


def _checked_value(name: str, value: t.Any) -> t.Any:
    default = getattr(Settings, name, None)
    if name == "thresholds":
        return _mapping(name, value)
    if name in ("socket_dirs", "skip_checks"):
        return _texts(name, value)
    if isinstance(default, bool):
        return _of_type(name, value, bool, "true or false")
    if isinstance(default, (int, float)):
        return _number(name, value, isinstance(default, int))
    if value is None and default is None:
        return None
    value = _of_type(name, value, str, "text" if default else "text or null")
    if name.endswith(("_dir", "_file", "certificate", "key")):
        _check_path(name, value)
    return value


def _of_type(name: str, value: t.Any, kind: type, what: str) -> t.Any:
    if not isinstance(value, kind):
        raise BadSettings(f"{name} has to be {what}, not {json.dumps(value)[:60]}")
    return value


def _number(name: str, value: t.Any, is_whole: bool) -> t.Union[int, float]:
    kinds = (int,) if is_whole else (int, float)
    least, most = _RANGES[name]
    if isinstance(value, bool) or not isinstance(value, kinds) or not least <= value <= most:
        what = "a whole number" if is_whole else "a number"
        raise BadSettings(f"{name} has to be {what} from {least:g} to {most:g}, not {json.dumps(value)[:60]}")
    return value


def _texts(name: str, value: t.Any) -> t.Tuple[str, ...]:
    _of_type(name, value, list, "a list")
    for text in value:
        _of_type(name, text, str, "a list of texts")
        if name == "socket_dirs":
            _check_path(name, text)
    if len(value) > _MOST_PATHS:
        raise BadSettings(f"{name} has more than {_MOST_PATHS} entries")
    return tuple(value)


def _check_path(name: str, path: str) -> None:
    if not path.startswith("/") or "\0" in path:
        raise BadSettings(f"{name} has to be an absolute path, not {path[:60]!r}")


def _mapping(name: str, value: t.Any) -> t.Dict[str, t.Any]:
    _of_type(name, value, dict, "an object")
    options = HEALTH_OPTIONS["thresholds"]["options"]
    for key, limit in value.items():
        if key not in options:
            raise BadSettings(f"{name}.{key} is not a threshold: those are {', '.join(options)}")
        is_text = key == "hashrate_min" and isinstance(limit, str)
        if isinstance(limit, bool) or not (is_text or isinstance(limit, (int, float))):
            raise BadSettings(f"{name}.{key} has to be a number, not {json.dumps(limit)[:60]}")
    return {key: str(limit) if key == "hashrate_min" else limit for key, limit in value.items()}


def _check_address(settings: Settings) -> None:
    try:
        is_loopback = settings.is_loopback
    except ValueError:
        raise BadSettings(f"listen has to be an IP address such as 127.0.0.1 or ::, not {settings.listen!r}") from None
    if (settings.tls_certificate is None) != (settings.tls_key is None):
        raise BadSettings("tls_certificate and tls_key go together: set both, or none")
    has_both = settings.token_file is not None and settings.tls_certificate is not None
    if not is_loopback and not has_both:
        raise BadSettings(
            f"listen is {settings.listen}, where others can connect: this needs token_file, tls_certificate and tls_key"
        )


def _check_thresholds(settings: Settings) -> None:
    checks = HEALTH_OPTIONS["skip_checks"]["choices"]
    for name in settings.skip_checks:
        if name not in checks:
            raise BadSettings(f"skip_checks has {name!r}, which is not a check: those are {', '.join(checks)}")
    try:
        settings.health_options()
    except PoolError as exc:
        raise BadSettings(exc.with_hint) from None
