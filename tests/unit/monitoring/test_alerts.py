# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The alert rules: each fires on what it is for, on nothing else, and leads to its section of the troubleshooting page.

C(promtool test rules) runs them on series of one value a minute, written as Prometheus writes them: C(1x30) is thirty times
the same, C(0+60x30) begins at 0 and adds 60.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import typing as t
from itertools import chain
from pathlib import Path

import pytest

yaml = pytest.importorskip("yaml")

from ansible_collections.ckpool.fleet.plugins.module_utils._health import CHECKS
from ansible_collections.ckpool.fleet.plugins.module_utils._metrics import ALL_STATES, METRICS

from tests.support import ROOT

RULES = ROOT / "docs" / "monitoring" / "ckpool-alerts.yml"
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
GUIDE = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
ALERTS: t.Dict[str, t.Dict[str, t.Any]] = {
    rule["alert"]: rule for group in yaml.safe_load(RULES.read_text("utf-8"))["groups"] for rule in group["rules"]
}
HOME = re.search(r"^repository: (\S+)", (ROOT / "galaxy.yml").read_text("utf-8"), re.MULTILINE)
MINUTES = 60

needs_promtool = pytest.mark.skipif(
    not shutil.which("promtool"), reason="promtool is not installed (Debian: prometheus)"
)

Series = t.Mapping[str, str]


class Case(t.NamedTuple):
    """Series, by metric with its own labels, on which an alert fires, and several on which it does not.

    :ivar at: the minute at which it fires, and before which it does not if C(early) is set.
    """

    fires: Series
    quiet: t.Tuple[Series, ...]
    at: int
    early: t.Optional[int] = None


def check(name: str, values: str) -> Series:
    return {f'ckpool_check_status{{check="{name}"}}': values}


RATE, HOUR = 'ckpool_hashrate_hashes_per_second{window="5m"}', 'ckpool_hashrate_hashes_per_second{window="1hr"}'
ACCEPTED, REJECTED = "ckpool_accepted_difficulty_total", "ckpool_rejected_difficulty_total"
#: the samples are one a minute from the epoch on, so the value that keeps up with the time is 0+60x60
CASES: t.Dict[str, Case] = {
    "CkpoolDown": Case({"ckpool_up": "1x9 0x50"}, ({"ckpool_up": "1x60"}, {"ckpool_up": "1x10 0 1x49"}), 12, 11),
    "CkpoolHostUnreachable": Case({"ckpool_host_up": "1x9 0x50"}, ({"ckpool_host_up": "1x60"},), 12, 11),
    "CkpoolNotReady": Case(
        {'ckpool_state{state="starting"}': "1x60"},
        ({'ckpool_state{state="starting"}': "1x3 0x57"}, {'ckpool_state{state="hung"}': "1x60"}), 5, 4,
    ),
    "CkpoolMetricsStale": Case(
        {"ckpool_up": "1x60", "ckpool_scrape_timestamp_seconds": "60x60"},
        ({"ckpool_up": "1x60", "ckpool_scrape_timestamp_seconds": "0+60x60"},
         {"ckpool_up": "0x60", "ckpool_scrape_timestamp_seconds": "60x60"}), 17, 16,
    ),
    "CkpoolMetricsVanished": Case({"ckpool_up": "1x20 stale"}, ({"ckpool_up": "1x60"}, {"ckpool_up": "0x60"}, {"host:ckpool_up": "0x20 stale"}), 36, 25),
    "CkpoolScrapeProblems": Case({"ckpool_scrape_problems": "2x60"}, ({"ckpool_scrape_problems": "0x60"},), 30, 29),
    "CkpoolWorkStale": Case(check("work_age", "0x9 2x50"), (check("work_age", "1x60"), check("disk", "2x60")), 11, 10),
    "CkpoolBitcoindDown": Case(check("bitcoind", "0x9 2x50"), (check("bitcoind", "1x60"), check("bitcoind", "-1x60")), 11, 10),
    "CkpoolStatisticsStale": Case(check("statistics", "0x9 1x50"), (check("statistics", "0x60"), check("statistics", "-1x60")), 15, 14),
    "CkpoolHashrateDropped": Case({RATE: "100x9 49x50", HOUR: "100x60"}, ({RATE: "51x60", HOUR: "100x60"}, {RATE: "0x60"}), 15, 14),
    "CkpoolRejects": Case(
        {ACCEPTED: "0+80x60", REJECTED: "0+20x60"},
        ({ACCEPTED: "0+95x60", REJECTED: "0+5x60"}, {ACCEPTED: "0+95x30 0+95x29", REJECTED: "0+5x30 0+5x29"},
         {ACCEPTED: "5x60", REJECTED: "5x60"}), 40, 10,
    ),
    "CkpoolStrandedMiners": Case({"ckpool_stranded_clients": "0x9 3x50"}, ({"ckpool_stranded_clients": "0x60"},), 15, 14),
    "CkpoolRejecting": Case(check("accepting", "1x60"), (check("accepting", "0x60"), check("accepting", "1x15 0x45")), 20, 19),
    "CkpoolOpenFiles": Case(
        {"ckpool_open_files": "850x60", "ckpool_max_files": "1024x60"},
        ({"ckpool_open_files": "700x60", "ckpool_max_files": "1024x60"},), 10, 9,
    ),
    "CkpoolLogDiskFull": Case(
        {"ckpool_log_disk_free_bytes": "9x60", "ckpool_log_disk_size_bytes": "100x60"},
        ({"ckpool_log_disk_free_bytes": "11x60", "ckpool_log_disk_size_bytes": "100x60"},), 10, 9,
    ),
    "CkpoolLogErrors": Case({"ckpool_recent_log_errors": "1x60"}, ({"ckpool_recent_log_errors": "0x60"},), 15, 14),
    "CkpoolCheckCritical": Case(
        {**check("socket_listener", "2x60"), "ckpool_up": "1x60"},
        ({**check("socket_listener", "1x60"), "ckpool_up": "1x60"}, {**check("process", "2x60"), "ckpool_up": "0x60"},
         {**check("bitcoind", "2x60"), "ckpool_up": "1x60"},
         {**check("ready", "2x60"), "ckpool_up": "1x60", 'ckpool_state{state="starting"}': "1x60"}), 5, 4,
    ),
    "CkpoolRestarted": Case(
        {"ckpool_process_start_timestamp_seconds": "1000x20 2000x39"}, ({"ckpool_process_start_timestamp_seconds": "1000x60"},), 22, 20,
    ),
    "CkpoolBlockFound": Case(
        {"ckpool_last_block_timestamp_seconds": "-9000x20 1200x39"}, ({"ckpool_last_block_timestamp_seconds": "-9000x60"},), 25, 20,
    ),
}  # fmt: skip


def labelled(series: Series, instance: str) -> t.Iterator[t.Dict[str, str]]:
    """Series with the labels of a pool; C(host:) before the name is for one of a host."""
    for name, values in series.items():
        metric, _brace, labels = name.rstrip("}").partition("{")
        own = f'instance="{instance}"' + ("" if "host" in metric else ',pool="solo"')
        yield {"series": f"{metric.replace('host:', '')}{{{own}{',' + labels if labels else ''}}}", "values": values}


def run(
    folder: Path, series: t.Sequence[t.Dict[str, str]], expected: t.Mapping[int, t.Sequence[str]], alert: str
) -> str:
    """What promtool says against a rule, empty if nothing.

    :arg expected: minute to the instances about which the alert fires then.
    """
    firing = f'ALERTS{{alertname="{alert}",alertstate="firing"}}'
    wanted = {minute: (f"count by (instance) ({firing})", names) for minute, names in expected.items()}
    # At the end: about what it has ever fired.
    wanted[MINUTES - 1] = (f"count by (instance) (count_over_time({firing}[1h]))", sorted({*chain(*expected.values())}))
    queries = [
        {"expr": expression, "eval_time": f"{minute}m",
         "exp_samples": [{"labels": f'{{instance="{name}"}}' if name else "{}", "value": 1} for name in names]}
        for minute, (expression, names) in wanted.items()
    ]  # fmt: skip
    tests = [{"interval": "1m", "input_series": list(series), "promql_expr_test": queries}]
    path = folder / f"{alert}.yml"
    path.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}))
    done = subprocess.run(["promtool", "test", "rules", str(path)], capture_output=True, text=True, timeout=120, check=False)  # fmt: skip
    return "" if done.returncode == 0 else done.stdout + done.stderr


@needs_promtool
def test_promtool_finds_nothing_wrong() -> None:
    done = subprocess.run(["promtool", "check", "rules", str(RULES)], capture_output=True, text=True, timeout=60, check=False)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(ALERTS)} rules found" in done.stdout


def test_every_alert_is_tested() -> None:
    assert set(CASES) == set(ALERTS) - {"CkpoolMetricsAbsent"}


@needs_promtool
@pytest.mark.parametrize("alert", CASES)
def test_it_fires_and_it_does_not(tmp_path: Path, alert: str) -> None:
    case = CASES[alert]
    series = [*labelled(case.fires, "ill")]
    for number, quiet in enumerate(case.quiet):
        series += labelled(quiet, f"healthy{number}")
    expected = {case.at: ["ill"], **({} if case.early is None else {case.early: []})}
    assert run(tmp_path, series, expected, alert) == ""


@needs_promtool
def test_that_there_is_nothing_fires(tmp_path: Path) -> None:
    alert = "CkpoolMetricsAbsent"
    assert run(tmp_path, [{"series": "other", "values": "1x60"}], {11: [""], 9: []}, alert) == ""
    assert run(tmp_path, [{"series": "ckpool_up", "values": "0x60"}], {11: []}, alert) == ""


@needs_promtool
def test_a_block_is_no_fall_of_a_counter(tmp_path: Path) -> None:
    """The counts start again at 0, and the rates stay what they are."""
    series = [*labelled({ACCEPTED: "0+90x30 90+90x28", REJECTED: "0+10x30 10+10x28"}, "x")]
    query = {"expr": f"rate({ACCEPTED}[10m])", "eval_time": "35m",
             "exp_samples": [{"labels": '{instance="x",pool="solo"}', "value": 1.5}]}  # fmt: skip
    path = tmp_path / "block.yml"
    path.write_text(
        yaml.safe_dump({"tests": [{"interval": "1m", "input_series": series, "promql_expr_test": [query]}]})
    )
    done = subprocess.run(["promtool", "test", "rules", str(path)], capture_output=True, text=True, timeout=60, check=False)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("alert", ALERTS)
def test_it_says_what_to_do(alert: str) -> None:
    rule = ALERTS[alert]
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    assert HOME and rule["annotations"]["runbook_url"] == f"{HOME[1]}/docs/troubleshooting.md#{alert.lower()}"
    section = PAGE.partition(f"\n### {alert}\n")[2].partition("\n#")[0]
    assert len(section.split()) > 10, "no section of the page, or an empty one"
    assert f"| `{alert}` | {rule['labels']['severity']} |" in GUIDE


def test_the_page_has_no_alert_that_is_gone() -> None:
    assert set(re.findall(r"^### (Ckpool\w+)$", PAGE, re.MULTILINE)) == set(ALERTS)
    assert set(re.findall(r"^\| `(Ckpool\w+)` \|", GUIDE, re.MULTILINE)) == set(ALERTS)


@pytest.mark.parametrize("alert", ALERTS)
def test_it_asks_for_what_there_is(alert: str) -> None:
    """A name that is mistyped never fires."""
    expression = ALERTS[alert]["expr"]
    assert set(re.findall(r"ckpool_\w+", expression)) <= {metric.name for metric in METRICS}
    for names in re.findall(r'check!?=~?"([^"]*)"', expression):
        assert set(names.split("|")) <= set(CHECKS)
    assert set(re.findall(r'state="([^"]*)"', expression)) <= set(ALL_STATES)


@pytest.mark.parametrize("alert", sorted(set(ALERTS) - {"CkpoolMetricsAbsent"}))
def test_a_maintenance_window_can_silence_it(alert: str) -> None:
    """An alert about a pool has its labels: nothing aggregates them away."""
    for labels in re.findall(r"\b(?:by|on) \(([^)]*)\)", ALERTS[alert]["expr"]):
        assert labels.split(", ") == ["instance", "pool"]
    assert "without" not in ALERTS[alert]["expr"]
