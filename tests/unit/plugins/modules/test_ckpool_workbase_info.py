# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ckpool_workbase_info."""

from __future__ import annotations

import json
import re
import time
import typing as t
from pathlib import Path

import pytest

pytest.importorskip("ansible.module_utils.basic")

from ansible_collections.ckpool.fleet.plugins.module_utils._sources.template import difficulty_of

from tests.support import DEADLINE, HARMLESS, ROOT, FakeSocket, Simulated, answers, framed, silent

from .conftest import Run

pytestmark = pytest.mark.usefixtures("fakes_are_ours")

KEYS = {"workbase", "instance", "source", "as_of", "problems", "msg", "changed"}
WORKBASE = {
    "height", "previous_block", "transactions", "coinbase_value", "bits", "difficulty", "version", "time", "age",
}  # fmt: skip
TRANSACTIONS = [
    {"txid": f"{number:064x}", "data": "00" * 50, "fee": 1000 + number, "weight": 561, "depends": []}
    for number in range(3)
]
RECORDINGS = sorted((ROOT / "tests" / "unit" / "fixtures" / "recordings").glob("*.jsonl"))


@pytest.fixture
def pool(home: Path, given_up_soon: t.Callable[..., None]) -> t.Iterator[t.Callable[..., t.Dict[str, t.Any]]]:
    """A pool with a scripted generator: the options to ask it."""
    sockets: t.List[FakeSocket] = []

    def start(generator: t.Any, stats: t.Any = None, **more: t.Any) -> t.Dict[str, t.Any]:
        counts = {"workbases": {"count": 3, "generated": 9}}
        if generator is silent:
            given_up_soon("generator")
        stratifier = answers({"ping": "pong", "stats": counts if stats is None else stats, **more})
        sockets.append(FakeSocket(str(home / "stratifier"), stratifier))
        sockets.append(FakeSocket(str(home / "listener"), answers({"ping": "pong"})))
        sockets.append(FakeSocket(str(home / "generator"), generator))
        return {"socket_dir": str(home), "timeout": DEADLINE}

    yield start
    for fake in sockets:
        fake.__exit__()


@pytest.mark.parametrize(("dialect", "source"), [("public", "api"), ("api", "api"), ("guide", "guide")])
def test_the_results_have_the_keys_of_the_contract(
    run: Run, simulate: t.Callable[..., Simulated], dialect: str, source: str
) -> None:
    daemon = simulate(dialect=dialect, template={"transactions": TRANSACTIONS})
    result = run(socket_dir=str(daemon.socket_dir))
    assert set(result) == KEYS and result["changed"] is False
    workbase = result["workbase"]
    assert set(workbase) == WORKBASE
    assert (workbase["height"], workbase["transactions"], workbase["coinbase_value"]) == (850001, 3, 312500000)
    assert (workbase["bits"], workbase["version"]) == ("17034219", 0x20000000)
    assert workbase["difficulty"] == pytest.approx(86388558925171.02)
    assert len(workbase["previous_block"]) == 64 and workbase["time"] == pytest.approx(time.time(), abs=DEADLINE)
    assert 0 <= workbase["age"] < DEADLINE
    assert result["source"] == source
    said = re.search(
        rf"works on block 850001, 3 transactions, 3\.125 BTC, work (\d+) s old \({source}\)", result["msg"]
    )
    assert said and abs(int(said[1]) - workbase["age"]) <= 1
    asked = {message for _name, message in daemon.record()}
    assert asked <= HARMLESS | {"current.workbase" if source == "guide" else "getbase"}


def test_the_transactions_on_request(run: Run, simulate: t.Callable[..., Simulated]) -> None:
    daemon = simulate(template={"transactions": TRANSACTIONS})
    result = run(socket_dir=str(daemon.socket_dir), with_transactions=True)
    assert result["transactions"] == [
        {"txid": row["txid"], "fee": row["fee"], "weight": row["weight"]} for row in TRANSACTIONS
    ]


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda path: str(path.stem))
def test_what_each_build_answers(run: Run, pool: t.Callable[..., t.Dict[str, t.Any]], recording: Path) -> None:
    entries = [json.loads(text) for text in recording.read_text().splitlines()]
    (reply,) = (e["reply"] for e in entries if (e["socket"], e["send"]) == ("generator", "getbase"))
    told = json.loads(reply)
    workbase = run(**pool(framed(reply.encode())))["workbase"]
    assert workbase["height"] == told["height"] and workbase["previous_block"] == told["previousblockhash"]
    assert workbase["difficulty"] == pytest.approx(told["diff"])
    assert (workbase["time"], workbase["bits"], workbase["transactions"]) == (told["curtime"], told["bits"], 0)
    assert workbase["age"] is None, "no log, and the time of a template made for us says nothing"


@pytest.mark.parametrize(
    ("reply", "phase", "reason", "text"),
    [
        ("Failed", "ask", "no_bitcoind", "answered 'Failed': its bitcoind gave it no block template"),
        ("failed", "ask", "no_bitcoind", "answered 'failed'"),
        ("notify", "ask", "no_bitcoind", "answered 'notify'"),
        ("what?", "parse", "bad_reply", "not JSON: 'what?'"),
        ("[1]", "parse", "unparsable", "not a JSON object"),
        ("{}", "parse", "unparsable", "holds no template"),
        ("[" * 100_000, "parse", "bad_reply", "not JSON"),
        ({"height": 1e400}, "parse", "unparsable", "holds no template"),
        ({"height": "high"}, "parse", "unparsable", "holds no template"),
    ],
)
def test_replies_that_are_no_template(
    run: Run, pool: t.Callable[..., t.Dict[str, t.Any]], reply: t.Any, phase: str, reason: str, text: str
) -> None:
    result = run(**pool(answers({"getbase": reply})))
    assert (result["failed"], result["phase"], result["reason"]) == (True, phase, reason)
    assert text in result["msg"] and result["state"] == "degraded"


def test_an_odd_field_of_a_template_costs_only_itself(run: Run, pool: t.Callable[..., t.Dict[str, t.Any]]) -> None:
    odd = {"height": 1, "coinbasevalue": "much", "transactions": ["x", {"txid": "a" * 64, "fee": 5}]}
    result = run(**pool(answers({"getbase": odd})))
    assert (result["workbase"]["height"], result["workbase"]["coinbase_value"]) == (1, None)
    assert "coinbasevalue" in str(result["problems"])


def test_a_generator_that_says_nothing(run: Run, pool: t.Callable[..., t.Dict[str, t.Any]]) -> None:
    result = run(**pool(silent))
    assert (result["failed"], result["reason"]) == (True, "unanswered")
    assert result["path"].endswith("/generator") and "bitcoind" in result["hint"]


def test_a_generator_that_has_just_lost_its_bitcoind(run: Run, pool: t.Callable[..., t.Dict[str, t.Any]]) -> None:
    result = run(**pool(answers({})))
    assert (result["failed"], result["reason"]) == (True, "no_bitcoind")
    assert "lost its bitcoind" in result["msg"] and result["hint"]


def test_values_that_are_no_good_are_null(run: Run, pool: t.Callable[..., t.Dict[str, t.Any]]) -> None:
    fields = {"height": 5, "previousblockhash": "x" * 64, "bits": "zz", "target": "f" * 63, "transactions": 7}
    workbase = run(**pool(answers({"getbase": fields})))["workbase"]
    assert (workbase["height"], workbase["previous_block"], workbase["bits"]) == (5, None, None)
    assert (workbase["difficulty"], workbase["transactions"]) == (None, 7)


@pytest.mark.parametrize(
    ("target", "bits", "expected"),
    [
        (None, "1d00ffff", 1.0),
        (None, "207fffff", 4.6565423739069247e-10),
        ("00000000ffff" + "0" * 52, None, 1.0),
        ("00000000ffff" + "0" * 52, "207fffff", 1.0),
        ("0" * 64, "1d00ffff", 1.0),
        (None, "00000000", None),
        (None, "ffffffff", None),
        (None, "0100ffff", None),
        (None, None, None),
    ],
)
def test_difficulty(target: t.Optional[str], bits: t.Optional[str], expected: t.Optional[float]) -> None:
    assert difficulty_of(target, bits) == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize("option", ["-p", "-P", "-R", "-N"])
def test_a_mode_without_a_bitcoind_is_an_answer(run: Run, simulate: t.Callable[..., Simulated], option: str) -> None:
    daemon = simulate(option)
    result = run(socket_dir=str(daemon.socket_dir), with_transactions=True)
    assert (result["workbase"], result["transactions"], result["source"]) == (None, [], None)
    assert "no bitcoind" not in result["msg"] and "no work from a bitcoind of its own" in result["msg"]
    assert "getbase" not in {message for _name, message in daemon.record()}


@pytest.mark.parametrize("source", ["guide", "files"])
def test_a_source_that_has_none(run: Run, simulate: t.Callable[..., Simulated], source: str) -> None:
    daemon = simulate()
    result = run(socket_dir=str(daemon.socket_dir), source=source)
    assert (result["failed"], result["phase"], result["reason"]) == (True, "ask", "source_not_answered")
    assert "current.workbase" not in {message for _name, message in daemon.record()}


def test_the_generator_of_a_build_of_the_guide(run: Run, simulate: t.Callable[..., Simulated]) -> None:
    daemon = simulate(dialect="guide")
    assert run(socket_dir=str(daemon.socket_dir), source="api")["source"] == "api"


def test_the_age_of_the_guides_is_that_of_its_template_where_there_is_no_log(
    run: Run, pool: t.Callable[..., t.Dict[str, t.Any]]
) -> None:
    stats = {"hashrate1m": 1.0, "users": 1}
    current = {"height": 9, "curtime": int(time.time()) - 100, "nbit": "1d00ffff", "txns": 4}
    options = pool(silent, stats, **{"current.workbase": current})
    result = run(**options)
    assert result["workbase"]["age"] == pytest.approx(100, abs=DEADLINE)
    assert (result["workbase"]["difficulty"], result["workbase"]["transactions"]) == (1.0, 4)


def test_of_a_pool_that_is_down_there_is_none(run: Run, home: Path) -> None:
    result = run(socket_dir=str(home / "nowhere"))
    assert set(result) == KEYS | {"log_tail"}
    assert (result["workbase"], result["source"], result["instance"]["state"]) == (None, None, "down")
    assert run(socket_dir=str(home / "nowhere"), fail_when_down=True)["failed"] is True
