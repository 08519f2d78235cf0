# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what is known of a pool to metrics, to text, and back."""

from __future__ import annotations

import re
import shutil
import subprocess
import typing as t

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils import _metrics as metrics
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import Unparsable
from ansible_collections.ckpool.fleet.plugins.module_utils._health import Check, Verdict
from ansible_collections.ckpool.fleet.plugins.module_utils._metrics import Reading, Sample
from ansible_collections.ckpool.fleet.plugins.module_utils._observation import LogEvents, Observation, Probe
from ansible_collections.ckpool.fleet.plugins.module_utils._records import Block, PoolStats, UserStats, WorkerStats

NOW = 1795385464.25
EVIL = 'bob"\\\n\x1b[2J\u202e} 1'
Labels = t.FrozenSet[t.Tuple[str, str]]

needs_promtool = pytest.mark.skipif(
    not shutil.which("promtool"), reason="promtool is not installed (Debian: prometheus)"
)


def full() -> Reading:
    """Everything that can be known of a pool, each value another."""
    numbers: t.Dict[str, t.Any] = {
        name: number + 1.5 for number, name in enumerate(PoolStats().__dict__) if name != "user_agents"
    }
    log = LogEvents("x", stored_workbase=NOW - 4, network_difficulty=77.0, errors={"fatal": 1, "critical": 2})
    seen = Observation(
        NOW, "pool", 42, "alive", stats=PoolStats(**numbers), stats_as_of=int(NOW) - 9, log=log, clients=5, stranded=0,
        open_files=60, max_files=1024, disk_free=10, disk_total=100,
        probes={"listener": Probe("listener", "reply", 0.0004), "connector": Probe("connector", "unanswered", 5.0)},
    )  # fmt: skip
    checks = [Check("work_age"), Check("disk", "warning"), Check("users", "skipped"), Check("bitcoind", "critical")]
    user = UserStats(
        "alice", 1.0, 2.0, 3.0, 4.0, 5.0, best_share=6.0, last_share=7, workers=[WorkerStats("alice.a", "alice")]
    )
    blocks = [Block(300, accepted=True), Block(200, accepted=False), Block(100, accepted=True), Block(50)]
    return Reading(
        Verdict("degraded", checks), seen, NOW, 0.25, 1000.0, "1.0.0", blocks, 10.0, [user], {"disk": "no", "log": "no"}
    )  # fmt: skip


def empty(state: str) -> Reading:
    return Reading(Verdict(state, []), Observation(NOW, "pool"), NOW)


def values(samples: t.Iterable[Sample]) -> t.Dict[str, t.Dict[Labels, float]]:
    """Metric to its values, by their labels without C(pool)."""
    found: t.Dict[str, t.Dict[Labels, float]] = {}
    for sample in samples:
        labels = frozenset(pair for pair in sample.labels if pair[0] != "pool")
        assert labels not in found.setdefault(sample.name, {}), f"{sample.name} twice"
        found[sample.name][labels] = sample.value
    return found


def by(values_of_one: t.Dict[Labels, float], name: str) -> t.Dict[str, float]:
    return {dict(labels)[name]: value for labels, value in values_of_one.items()}


# The list


def test_names_follow_the_conventions() -> None:
    names = [metric.name for metric in metrics.METRICS]
    assert len(set(names)) == len(names)
    for metric in metrics.METRICS:
        assert re.fullmatch(r"ckpool_[a-z]+(_[a-z]+)*", metric.name)
        assert metric.kind in ("gauge", "counter")
        assert metric.name.endswith("_total") == (metric.kind == "counter"), metric.name
        assert metric.unit and metric.source and metric.help.endswith(".") and "\n" not in metric.help
        for unit, text in {"_seconds": "seconds", "_bytes": "bytes", "_ratio": "ratio", "_per_second": "/s"}.items():
            assert metric.name.endswith(unit) <= (text in metric.unit), metric.name


def test_every_metric_has_a_sample_of_something() -> None:
    assert {sample.name for sample in metrics.samples_of(full(), "x")} == {
        metric.name for metric in metrics.METRICS
    } - {"ckpool_host_up"}


def test_a_counter_says_how_a_block_looks() -> None:
    counters = [metric for metric in metrics.METRICS if metric.kind == "counter"]
    assert counters and all("starts again at 0 at each block" in metric.help.lower() for metric in counters)


# Samples


def test_the_values_of_a_pool() -> None:
    found = values(metrics.samples_of(full(), "x"))
    only: Labels = frozenset()
    single = {name: samples[only] for name, samples in found.items() if only in samples}
    assert single["ckpool_up"] == 1 and single["ckpool_status"] == 2
    assert single["ckpool_network_difficulty"] == full().seen.stats.network_difficulty  # type: ignore[union-attr]
    assert single["ckpool_effort_ratio"] == full().seen.stats.effort / 100  # type: ignore[union-attr, operator]
    assert (single["ckpool_blocks_found"], single["ckpool_last_block_timestamp_seconds"]) == (2, 300)
    assert single["ckpool_blocks_since_timestamp_seconds"] == 10
    assert single["ckpool_work_timestamp_seconds"] == NOW - 4
    assert single["ckpool_statistics_timestamp_seconds"] == int(NOW) - 9
    assert single["ckpool_process_start_timestamp_seconds"] == 1000
    assert single["ckpool_scrape_timestamp_seconds"] == NOW and single["ckpool_scrape_duration_seconds"] == 0.25
    assert (single["ckpool_scrape_problems"], single["ckpool_recent_log_errors"]) == (2, 3)
    assert by(found["ckpool_check_status"], "check") == {"work_age": 0, "disk": 1, "users": -1, "bitcoind": 2}
    assert by(found["ckpool_socket_reply_seconds"], "socket") == {"listener": 0.0004}
    assert set(by(found["ckpool_hashrate_hashes_per_second"], "window")) == {
        "1m",
        "5m",
        "15m",
        "1hr",
        "6hr",
        "1d",
        "7d",
    }
    assert set(by(found["ckpool_shares_per_second"], "window")) == {"1m", "5m", "15m", "1hr"}
    states = by(found["ckpool_state"], "state")
    assert set(states) == {*metrics.ALL_STATES} and [name for name, value in states.items() if value] == ["degraded"]
    assert found["ckpool_build_info"] == {frozenset({("version", "1.0.0"), ("mode", "pool")}): 1}
    assert set(by(found["ckpool_user_hashrate_hashes_per_second"], "window").values()) == {1.0, 2.0, 3.0, 4.0, 5.0}
    assert by(found["ckpool_user_workers"], "user") == {"alice": 1}


@pytest.mark.parametrize("state", metrics.ALL_STATES[:6])
def test_what_is_not_known_has_no_sample(state: str) -> None:
    found = values(metrics.samples_of(empty(state), "x"))
    assert set(found) == {
        "ckpool_up", "ckpool_state", "ckpool_build_info", "ckpool_status", "ckpool_scrape_problems",
        "ckpool_scrape_duration_seconds", "ckpool_scrape_timestamp_seconds",
    }  # fmt: skip
    assert found["ckpool_up"] == {frozenset(): int(state in ("ok", "starting", "degraded"))}
    assert found["ckpool_build_info"] == {frozenset({("mode", "pool")}): 1}


@pytest.mark.parametrize("state", ["down", "hung", "unknown"])
def test_a_pool_that_is_down_has_no_hashrate(state: str) -> None:
    """Its files still hold the last one."""
    reading = full()
    reading.verdict.state = state
    found = values(metrics.samples_of(reading, "x"))
    assert not [name for name in found if "hashrate" in name or name.endswith("_total") or "user" in name]
    assert found["ckpool_statistics_timestamp_seconds"] and found["ckpool_status"] == {frozenset(): 2}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_no_number_has_no_sample(value: float) -> None:
    reading = empty("ok")
    reading.seen.stats = PoolStats(hashrate1m=value, hashrate5m=1.0)
    found = values(metrics.samples_of(reading, "x"))["ckpool_hashrate_hashes_per_second"]
    assert by(found, "window") == {"5m": 1.0}


def test_a_pool_that_nobody_could_ask() -> None:
    found = values(metrics.samples_without_answer("x", "gone", 5.0))
    assert [name for name, value in by(found["ckpool_state"], "state").items() if value] == ["gone"]
    assert (found["ckpool_up"], found["ckpool_status"]) == ({frozenset(): 0}, {frozenset(): 2})
    assert found["ckpool_scrape_timestamp_seconds"] == {frozenset(): 5.0}
    assert "ckpool_scrape_timestamp_seconds" not in values(metrics.samples_without_answer("x", "gone"))


# Labels


def instance(name: str, socket_dir: str = "/tmp/x", started: t.Optional[int] = None) -> t.Dict[str, t.Any]:
    return {"name": name, "socket_dir": socket_dir, "started": started}


@pytest.mark.parametrize(
    ("instances", "labels"),
    [
        ([], []),
        ([instance("a"), instance("b")], ["a", "b"]),
        ([instance("a", "/1"), instance("b"), instance("a", "/2")], ["a:/1", "b", "a:/2"]),
        ([instance("a", "/1", 9), instance("a", "/1", 5), instance("a", "/1")], ["a:/1#3", "a:/1#2", "a:/1"]),
        ([instance("\x1b[2J")], ["\\x1b[2J"]),
    ],
)  # fmt: skip
def test_pools_of_a_host_are_told_apart(instances: t.List[t.Dict[str, t.Any]], labels: t.List[str]) -> None:
    assert metrics.pool_labels(instances) == labels


def test_the_instance_is_a_label_on_demand() -> None:
    (sample,) = metrics.samples_without_answer("x", "gone", 5.0)[-1:]
    assert sample.owner == ("", "x")
    assert sample.of("h").labels == (("instance", "h"), ("pool", "x")) and sample.of("h").owner == ("h", "x")
    assert sample.of("h").of("i").labels == (("instance", "i"), ("pool", "x")) and sample.of("h").of(None) == sample
    assert sample.as_dict() == {"name": sample.name, "labels": {"pool": "x"}, "value": 5.0}


# Text


def everything() -> t.List[Sample]:
    reading = full()
    reading.users[0].user = EVIL
    odd = [sample.of("lost host") for sample in metrics.samples_without_answer(EVIL, "unreachable")]
    return [*metrics.samples_of(reading, "x"), *metrics.samples_of(full(), "y"), *odd, Sample("ckpool_host_up", 0)]


def test_the_text() -> None:
    text = metrics.exposition([*metrics.samples_without_answer("a", "gone", 1.5)[:1], Sample("ckpool_up", 1)])
    first, second, *rest = text.splitlines()
    assert first.startswith("# HELP ckpool_up Whether") and second == "# TYPE ckpool_up gauge"
    assert rest == ['ckpool_up{pool="a"} 0', "ckpool_up 1"] and text.endswith("\n")
    assert metrics.exposition([]) == ""


def test_each_metric_stands_together_and_once() -> None:
    lines = metrics.exposition(everything() * 2).splitlines()
    names = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(set(names)) == len(names) == len(metrics.METRICS)
    series = [line.rpartition(" ")[0] for line in lines if not line.startswith("#")]
    assert len(set(series)) == len(series)


def test_a_name_cannot_break_a_line() -> None:
    text = metrics.exposition(everything())
    assert "\x1b" not in text and "\u202e" not in text
    assert len(text.splitlines()) == text.count("\n")
    assert re.search(r'user="bob\\"\\\\\\\\x0a', text)


def test_the_text_read_back() -> None:
    samples = list(dict.fromkeys(everything()))
    text = metrics.exposition(samples)
    assert sorted(metrics.parse(text), key=repr) == sorted(
        (Sample(one.name, float(one.value), one.labels) for one in samples), key=repr
    )
    assert metrics.exposition(metrics.parse(text)) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (1.0, "1"), (0.25, "0.25"), (2.5e22, "2.5e+22"), (3.85e15, "3850000000000000"), (1e-9, "1e-09"), (-1, "-1")],
)  # fmt: skip
def test_numbers(value: float, text: str) -> None:
    assert metrics.exposition([Sample("ckpool_up", value)]).splitlines()[-1] == f"ckpool_up {text}"
    assert metrics.parse(f"ckpool_up {text}")[0].value == value


@pytest.mark.parametrize("line", ["hello", "node_up 1", "ckpool_up", "ckpool_up{pool=x} 1", 'ckpool_up{pool="x} 1', "ckpool_up 1 2",
                                  "ckpool_up 1.2.3", "ckpool_up nan"])  # fmt: skip
def test_anything_else_is_no_text_of_ours(line: str) -> None:
    with pytest.raises(Unparsable, match="line 2"):
        metrics.parse(f"# HELP x\n{line}\n")


def test_metrics_of_other_versions_are_left_out() -> None:
    assert metrics.parse('ckpool_of_old 1\nckpool_up{more="x"} 1\nckpool_up 1\n') == [Sample("ckpool_up", 1.0)]


@pytest.mark.parametrize(
    ("name", "labels", "value", "good"),
    [
        ("ckpool_up", {}, 1, True),
        ("ckpool_up", {"instance": "a", "pool": "b"}, 0.5, True),
        ("ckpool_host_up", {"pool": "b"}, 1, False),
        ("ckpool_up", {"user": "b"}, 1, False),
        ("ckpool_up", {"pool": 1}, 1, False),
        ("ckpool_up", {"pool": "x" * 2000}, 1, False),
        ("ckpool_up", [], 1, False),
        ("ckpool_up", {}, "1", False),
        ("ckpool_up", {}, True, False),
        ("ckpool_up", {}, float("inf"), False),
        ("ckpool_up", {}, float("nan"), False),
        ("node_up", {}, 1, False),
        (["ckpool_up"], {}, 1, False),
    ],
)
def test_what_a_sample_is(name: t.Any, labels: t.Any, value: t.Any, good: bool) -> None:
    assert metrics.is_sample(name, labels, value) is good


# Memory


def test_who_is_in_a_text_and_when_it_was_seen() -> None:
    samples = [*metrics.samples_of(full(), "x"), *metrics.samples_without_answer("y", "gone"), Sample("ckpool_up", 0)]
    assert metrics.owners(samples) == [("", "x"), ("", "y")]
    assert metrics.last_looks(samples) == {("", "x"): NOW}


@needs_promtool
@pytest.mark.parametrize("samples", [everything(), metrics.samples_of_nothing(NOW)])
def test_promtool_finds_nothing_wrong(samples: t.List[Sample]) -> None:
    text = metrics.exposition(samples)
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
