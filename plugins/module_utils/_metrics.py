# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what is known of a pool to metrics, and from metrics to the text that Prometheus reads. Pure functions.

C(METRICS) is the only list of metrics. A value that is not known has no sample, never a 0. Units are base units, and names
follow the conventions of prometheus.io.

Source: Prometheus, Exposition formats, text format 0.0.4.
"""

from __future__ import annotations

import collections
import dataclasses
import math
import re
import typing as t

from ._errors import Unparsable
from ._health import CRITICAL, OK, SKIPPED, STATES, WARNING
from ._records import USER_WINDOWS, WINDOWS
from ._text import printable, utf8

if t.TYPE_CHECKING:
    from ._health import Verdict
    from ._observation import Observation
    from ._records import Block, PoolStats, UserStats
    from ._types import Json, Number

GAUGE, COUNTER = "gauge", "counter"
UNREACHABLE, FAILED, GONE = "unreachable", "failed", "gone"
#: states of C(ckpool_state): those of a pool, and those of one that nobody could ask
ALL_STATES = (*STATES, UNREACHABLE, FAILED, GONE)
#: states in which a pool answers
UP_STATES = ("ok", "starting", "degraded")
#: values of C(ckpool_check_status) and C(ckpool_status)
STATUS_VALUES = {SKIPPED: -1, OK: 0, WARNING: 1, CRITICAL: 2}
INSTANCE, POOL = "instance", "pool"
MOST_USERS = 1000  #: of a pool that can have series
_SPS_WINDOWS = {"1m": "sps1m", "5m": "sps5m", "15m": "sps15m", "1hr": "sps1h"}
_MOST_LABEL = 1024  #: characters of the value of a label
_RESETS = (
    "Starts again at 0 at each block that the pool finds. It is a counter, as rate() and increase() take a fall for a new start;"
    " what was added between the last scrape and the block is lost."
)


@dataclasses.dataclass(frozen=True)
class Metric:
    """One metric.

    :ivar kind: C(gauge) or C(counter).
    :ivar unit: of its value, for a person.
    :ivar help: what it is, in one line.
    :ivar source: where the value comes from.
    :ivar labels: labels besides C(instance) and C(pool).
    :ivar is_of_pool: whether it has the label C(pool).
    """

    name: str
    kind: str
    unit: str
    help: str
    source: str
    labels: t.Tuple[str, ...] = ()
    is_of_pool: bool = True


METRICS: t.Tuple[Metric, ...] = (
    Metric("ckpool_up", GAUGE, "0 or 1",
           "Whether the pool answers: 1 in the states ok, degraded and starting. 0 without the label pool: no pool of the host is known.",
           "sockets"),
    Metric("ckpool_host_up", GAUGE, "0 or 1",
           "Whether the host was reached and returned metrics. Only in the file of a fleet.", "Ansible", (), False),
    Metric("ckpool_build_info", GAUGE, "always 1", "The version and the mode of the daemon, as labels.",
           "the daemon's program and command line", ("version", "mode")),
    Metric("ckpool_state", GAUGE, "0 or 1",
           "1 for the state of the pool, 0 for every other. unreachable and gone occur only in a file that remembers pools,"
           " failed also where the HTTP service got no verdict in time.",
           "sockets, checks", ("state",)),
    Metric("ckpool_status", GAUGE, "0, 1, 2", "The worst check of the pool: 0 is ok, 1 warning, 2 critical.", "checks"),
    Metric("ckpool_check_status", GAUGE, "-1, 0, 1, 2",
           "One check of ckpool_health_info: 0 is ok, 1 warning, 2 critical, and -1 a check that could not be made.", "checks",
           ("check",)),
    Metric("ckpool_socket_reply_seconds", GAUGE, "seconds", "How long a socket took to answer. No sample if it did not.",
           "sockets", ("socket",)),
    Metric("ckpool_hashrate_hashes_per_second", GAUGE, "hashes/s", "The hashrate over a window, as the daemon reports it.",
           "pool.status, poolstats, or the guide's stats", ("window",)),
    Metric("ckpool_shares_per_second", GAUGE, "shares/s", "The accepted shares per second over a window, as the daemon reports them.",
           "pool.status or poolstats", ("window",)),
    Metric("ckpool_users", GAUGE, "users", "The number of users with workers.", "pool.status, poolstats, or the guide's stats"),
    Metric("ckpool_workers", GAUGE, "workers", "The number of workers.", "pool.status, poolstats, or the guide's stats"),
    Metric("ckpool_idle_workers", GAUGE, "workers", "The number of workers that have sent no share lately.", "pool.status"),
    Metric("ckpool_disconnected_clients", GAUGE, "clients", "The number of clients that have left and may resume.",
           "pool.status or poolstats"),
    Metric("ckpool_clients", GAUGE, "clients", "The number of connected clients.", "the connector's stats"),
    Metric("ckpool_stranded_clients", GAUGE, "clients", "The number of connections of miners that are open and read by nobody.",
           "the kernel"),
    Metric("ckpool_accepted_difficulty_total", COUNTER, "difficulty",
           f"The sum of the difficulties of accepted shares. {_RESETS}", "pool.status, poolstats, or the guide's stats"),
    Metric("ckpool_rejected_difficulty_total", COUNTER, "difficulty",
           f"The sum of the difficulties of rejected shares. {_RESETS}", "pool.status, poolstats, or the guide's stats"),
    Metric("ckpool_accepted_shares_total", COUNTER, "shares", f"The number of accepted shares. {_RESETS}",
           "pool.status or poolstats of builds of 2026"),
    Metric("ckpool_rejected_shares_total", COUNTER, "shares", f"The number of rejected shares. {_RESETS}",
           "pool.status or poolstats of builds of 2026"),
    Metric("ckpool_best_share_difficulty", GAUGE, "difficulty",
           "The difficulty of the best share. A gauge, as it is a maximum and starts again at each block.", "pool.status or poolstats"),
    Metric("ckpool_effort_ratio", GAUGE, "ratio",
           "The accepted difficulty since the last block, as a part of the network's: 1 is the mean of a block. Starts again at each block.",
           "pool.status of builds of 2025 and 2026"),
    Metric("ckpool_blocks_found", GAUGE, "blocks",
           "The blocks in the part of the log that was read which bitcoind accepted. A gauge, as it falls when old logs are removed.",
           "the log and its rotated files"),
    Metric("ckpool_blocks_since_timestamp_seconds", GAUGE, "epoch seconds",
           "The time of the oldest line that was read for ckpool_blocks_found.", "the log and its rotated files"),
    Metric("ckpool_last_block_timestamp_seconds", GAUGE, "epoch seconds", "When the last of these blocks was found.",
           "the log and its rotated files"),
    Metric("ckpool_network_difficulty", GAUGE, "difficulty", "The difficulty of the network.",
           "pool.status of builds of 2026, or the log"),
    Metric("ckpool_work_timestamp_seconds", GAUGE, "epoch seconds", "When the pool stored its last piece of work.", "the log"),
    Metric("ckpool_statistics_timestamp_seconds", GAUGE, "epoch seconds",
           "When the daemon made the statistics: hashrates, users, workers, shares.", "the source of the statistics"),
    Metric("ckpool_process_start_timestamp_seconds", GAUGE, "epoch seconds", "When the daemon's process was started.", "the kernel"),
    Metric("ckpool_open_files", GAUGE, "files", "The number of open files of the daemon's process.", "the kernel"),
    Metric("ckpool_max_files", GAUGE, "files", "The number of files that the daemon's process may open.", "the kernel"),
    Metric("ckpool_log_disk_free_bytes", GAUGE, "bytes", "The free space on the disk of the log directory.", "the kernel"),
    Metric("ckpool_log_disk_size_bytes", GAUGE, "bytes", "The size of the disk of the log directory.", "the kernel"),
    Metric("ckpool_recent_log_errors", GAUGE, "lines", "The number of errors in the log in the last ten minutes.", "the log"),
    Metric("ckpool_scrape_problems", GAUGE, "areas",
           "The number of areas that could not be determined; ckpool_health_info returns them as problems.", "this collection"),
    Metric("ckpool_scrape_duration_seconds", GAUGE, "seconds", "How long it took to look at the pool.", "this collection"),
    Metric("ckpool_scrape_timestamp_seconds", GAUGE, "epoch seconds",
           "When the pool was last looked at. A file that nobody writes shows itself by this.", "this collection"),
    Metric("ckpool_user_hashrate_hashes_per_second", GAUGE, "hashes/s",
           "The hashrate of a user over a window. Only of the top users, if these are asked for.",
           "the users' files or replies", ("user", "window")),
    Metric("ckpool_user_workers", GAUGE, "workers", "The number of workers of a user. Only of the top users, if these are asked for.",
           "the users' files or replies", ("user",)),
    Metric("ckpool_user_best_share_difficulty", GAUGE, "difficulty",
           "The difficulty of the best share of a user. Only of the top users, if these are asked for.",
           "the users' files or replies", ("user",)),
    Metric("ckpool_user_last_share_timestamp_seconds", GAUGE, "epoch seconds",
           "When a user sent the last share. Only of the top users, if these are asked for.", "the users' files or replies", ("user",)),
)  # fmt: skip
_BY_NAME = {metric.name: metric for metric in METRICS}
_ORDER = {metric.name: number for number, metric in enumerate(METRICS)}


@dataclasses.dataclass(frozen=True)
class Sample:
    """One value of a metric, with its labels as pairs of name and value."""

    name: str
    value: float
    labels: t.Tuple[t.Tuple[str, str], ...] = ()

    @property
    def owner(self) -> t.Tuple[str, str]:
        """The values of C(instance) and C(pool); empty where it has no such label."""
        labels = dict(self.labels)
        return labels.get(INSTANCE, ""), labels.get(POOL, "")

    def of(self, instance: t.Optional[str]) -> Sample:
        """The same with another C(instance), or with none."""
        rest = tuple(pair for pair in self.labels if pair[0] != INSTANCE)
        return dataclasses.replace(self, labels=rest if instance is None else (*label(INSTANCE, instance), *rest))

    def as_dict(self) -> Json:
        """The sample, with the keys of the modules' results."""
        return {"name": self.name, "labels": dict(self.labels), "value": self.value}


@dataclasses.dataclass
class Reading:
    """Everything that the metrics of one pool need.

    :ivar now: epoch seconds of the look.
    :ivar blocks: those in the part of the log that was read, the newest first; None if it could not be read.
    :ivar reached: epoch seconds of the oldest line that was read for blocks.
    :ivar users: the top users; empty if these are not asked for.
    :ivar problems: what could not be determined, by area, with the reason.
    """

    verdict: Verdict
    seen: Observation
    now: float
    seconds: float = 0.0
    started: Number = None
    version: t.Optional[str] = None
    blocks: t.Optional[t.List[Block]] = None
    reached: Number = None
    users: t.List[UserStats] = dataclasses.field(default_factory=list)
    problems: t.Dict[str, str] = dataclasses.field(default_factory=dict)


def label(name: str, value: str) -> t.Tuple[t.Tuple[str, str], ...]:
    """A label as the labels of a sample, without control characters; none if its value is empty, which means the same."""
    text = printable(utf8(value))[:_MOST_LABEL]
    return ((name, text),) if text else ()


def pool_labels(instances: t.Sequence[Json]) -> t.List[str]:
    """The value of C(pool) of each instance of a host: its name, and where several have that name, its directory too.

    :arg instances: each with C(name), C(socket_dir) and C(started).
    """
    names = [printable(str(each["name"])) for each in instances]
    places = [f"{name}:{printable(str(each['socket_dir']))}" for name, each in zip(names, instances)]
    labels = [place if names.count(name) > 1 else name for name, place in zip(names, places)]
    order = sorted(range(len(labels)), key=lambda number: instances[number].get("started") or 0)
    seen: t.Dict[str, int] = collections.Counter()
    for number in order:  # in containers, several can have the same directory
        seen[labels[number]] += 1
        if seen[labels[number]] > 1:
            labels[number] += f"#{seen[labels[number]]}"
    return labels


def samples_of(reading: Reading, pool: str) -> t.List[Sample]:
    """The samples of one pool.

    :arg pool: the value of its label, see L(pool_labels).
    """
    made = _Maker(pool)
    seen, verdict = reading.seen, reading.verdict
    is_up = verdict.state in UP_STATES
    made.state(verdict.state)
    made.add("ckpool_build_info", 1, version=reading.version or "", mode=seen.mode)
    made.add("ckpool_status", STATUS_VALUES[verdict.status])
    for check in verdict.checks:
        made.add("ckpool_check_status", STATUS_VALUES[check.status], check=check.name)
    for name, probe in seen.probes.items():
        made.add("ckpool_socket_reply_seconds", round(probe.seconds, 6) if probe.answered else None, socket=name)
    if seen.stats and is_up:  # those of a pool that is down are what its files last said
        _add_statistics(made, seen.stats)
    made.add("ckpool_statistics_timestamp_seconds", seen.stats_as_of)
    _add_surroundings(made, reading)
    _add_blocks(made, reading)
    for user in reading.users[:MOST_USERS] if is_up else ():
        _add_user(made, user)
    made.add("ckpool_scrape_problems", len(reading.problems))
    made.add("ckpool_scrape_duration_seconds", round(reading.seconds, 3))
    made.add("ckpool_scrape_timestamp_seconds", round(reading.now, 3))
    return made.samples


def samples_without_answer(pool: str, state: str, looked: Number = None) -> t.List[Sample]:
    """The samples of a pool that could not be asked.

    :arg state: one of C(ALL_STATES).
    :arg looked: epoch seconds of the last look at it; None if there was none.
    """
    made = _Maker(pool)
    made.state(state)
    made.add("ckpool_status", STATUS_VALUES[CRITICAL])
    made.add("ckpool_scrape_timestamp_seconds", looked)
    return made.samples


def samples_of_nothing(now: float) -> t.List[Sample]:
    """The samples of a host on which no pool is known."""
    return [Sample("ckpool_up", 0), Sample("ckpool_scrape_timestamp_seconds", round(now, 3))]


class _Maker:
    """Makes the samples of one pool."""

    def __init__(self, pool: str) -> None:
        self.samples: t.List[Sample] = []
        self._own = label(POOL, pool)

    def add(self, name: str, value: Number, **labels: str) -> None:
        """Add a sample, unless its value is not known or is no finite number."""
        if value is not None and math.isfinite(value):
            more = tuple(pair for key, text in labels.items() for pair in label(key, text))
            self.samples.append(Sample(name, value, self._own + more))

    def state(self, state: str) -> None:
        """Add what follows from a state."""
        self.add("ckpool_up", int(state in UP_STATES))
        for each in ALL_STATES:
            self.add("ckpool_state", int(each == state), state=each)


def _add_statistics(made: _Maker, stats: PoolStats) -> None:
    for window in WINDOWS:
        made.add("ckpool_hashrate_hashes_per_second", getattr(stats, f"hashrate{window}"), window=window)
    for window, field in _SPS_WINDOWS.items():
        made.add("ckpool_shares_per_second", getattr(stats, field), window=window)
    made.add("ckpool_users", stats.users)
    made.add("ckpool_workers", stats.workers)
    made.add("ckpool_idle_workers", stats.idle)
    made.add("ckpool_disconnected_clients", stats.disconnected)
    made.add("ckpool_accepted_difficulty_total", stats.accepted)
    made.add("ckpool_rejected_difficulty_total", stats.rejected)
    made.add("ckpool_accepted_shares_total", stats.accepted_count)
    made.add("ckpool_rejected_shares_total", stats.rejected_count)
    made.add("ckpool_best_share_difficulty", stats.best_share)
    made.add("ckpool_effort_ratio", None if stats.effort is None else stats.effort / 100)


def _add_surroundings(made: _Maker, reading: Reading) -> None:
    """What is known of the process, the log and the network, however the statistics are."""
    seen, log = reading.seen, reading.seen.log
    difficulty = seen.stats.network_difficulty if seen.stats else None
    made.add("ckpool_clients", seen.clients)
    made.add("ckpool_stranded_clients", seen.stranded)
    made.add("ckpool_network_difficulty", log.network_difficulty if difficulty is None and log else difficulty)
    made.add("ckpool_work_timestamp_seconds", log.stored_workbase if log else None)
    made.add("ckpool_recent_log_errors", sum(log.errors.values()) if log else None)
    made.add("ckpool_process_start_timestamp_seconds", reading.started)
    made.add("ckpool_open_files", seen.open_files)
    made.add("ckpool_max_files", seen.max_files)
    made.add("ckpool_log_disk_free_bytes", seen.disk_free)
    made.add("ckpool_log_disk_size_bytes", seen.disk_total)


def _add_blocks(made: _Maker, reading: Reading) -> None:
    if reading.blocks is None:
        return
    accepted = [block for block in reading.blocks if block.accepted]
    made.add("ckpool_blocks_found", len(accepted))
    made.add("ckpool_blocks_since_timestamp_seconds", reading.reached)
    made.add("ckpool_last_block_timestamp_seconds", max((block.time for block in accepted), default=None))


def _add_user(made: _Maker, user: UserStats) -> None:
    name = user.user
    for window in USER_WINDOWS:
        rate: Number = getattr(user, f"hashrate{window}")
        made.add("ckpool_user_hashrate_hashes_per_second", rate, user=name, window=window)
    workers = len(user.workers) or None
    made.add("ckpool_user_workers", user.worker_count if user.worker_count is not None else workers, user=name)
    made.add("ckpool_user_best_share_difficulty", user.best_share, user=name)
    made.add("ckpool_user_last_share_timestamp_seconds", user.last_share, user=name)


# What a file remembers


def owners(samples: t.Iterable[Sample]) -> t.List[t.Tuple[str, str]]:
    """The pools of some samples, by the values of C(instance) and C(pool), each once."""
    return list(dict.fromkeys(sample.owner for sample in samples if sample.owner[1]))


def last_looks(samples: t.Iterable[Sample]) -> t.Dict[t.Tuple[str, str], float]:
    """When each pool of some samples was last looked at, in epoch seconds."""
    return {sample.owner: sample.value for sample in samples if sample.name == "ckpool_scrape_timestamp_seconds"}


# The text


def exposition(samples: t.Iterable[Sample]) -> str:
    """Samples as Prometheus and the textfile collector read them, grouped by metric, in the order of the list.

    Of samples with the same metric and labels, the first counts.
    """
    groups: t.Dict[str, t.Dict[t.Tuple[t.Tuple[str, str], ...], float]] = {}
    for sample in samples:
        groups.setdefault(sample.name, {}).setdefault(sample.labels, sample.value)
    lines: t.List[str] = []
    for name in sorted(groups, key=_ORDER.__getitem__):
        metric = _BY_NAME[name]
        lines += [f"# HELP {name} {_escaped(metric.help)}", f"# TYPE {name} {metric.kind}"]
        lines += [f"{name}{_braced(labels)} {_number(value)}" for labels, value in groups[name].items()]
    return "".join(f"{line}\n" for line in lines)


def _braced(labels: t.Sequence[t.Tuple[str, str]]) -> str:
    if not labels:
        return ""
    pairs = (f'{name}="{_escaped(value, quotes=True)}"' for name, value in labels)
    return f"{{{','.join(pairs)}}}"


def _escaped(text: str, quotes: bool = False) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quotes else text


def _number(value: float) -> str:
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return repr(value)


_LABEL = r'[a-z_]+="(?:[^"\\\n]|\\[\\n"])*"'
_LINE = re.compile(rf"(?P<name>[a-z0-9_]+)(?:{{(?P<labels>{_LABEL}(?:,{_LABEL})*)}})? (?P<value>-?[0-9][0-9.e+-]*)")
_PAIR = re.compile(r'([a-z_]+)="((?:[^"\\\n]|\\[\\n"])*)"')
_ESCAPES = {"\\\\": "\\", "\\n": "\n", '\\"': '"'}


def parse(text: str) -> t.List[Sample]:
    """The samples of a text that L(exposition) made, maybe of another version. Metrics that are not in the list are left out.

    :raises Unparsable: it is something else.
    """
    samples: t.List[Sample] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if not match or not match["name"].startswith("ckpool_"):
            raise Unparsable(f"line {number} is no metric of ckpool.fleet")
        pairs = [(name, _unescaped(value)) for name, value in _PAIR.findall(match["labels"] or "")]
        try:
            value = float(match["value"])
        except ValueError:
            raise Unparsable(f"line {number} has no number") from None
        if match["name"] in _BY_NAME and is_sample(match["name"], dict(pairs), value):
            samples.append(Sample(match["name"], value, tuple(pairs)))
    return samples


def _unescaped(text: str) -> str:
    return re.sub(r"\\.", lambda match: _ESCAPES[match.group()], text)


def is_sample(name: t.Any, labels: t.Any, value: t.Any) -> bool:
    """Whether this is what a sample of a metric of the list consists of."""
    metric = _BY_NAME.get(name) if isinstance(name, str) else None
    if metric is None or not isinstance(labels, dict):
        return False
    known = {INSTANCE, *metric.labels, *((POOL,) if metric.is_of_pool else ())}
    are_labels = all(
        key in known and isinstance(text, str) and len(text) <= _MOST_LABEL for key, text in labels.items()
    )
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return are_labels and is_number and abs(value) < 1e300
