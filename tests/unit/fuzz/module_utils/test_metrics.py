# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Metrics with names that a pool, a miner or a user chose, and files of metrics that anybody wrote."""

from __future__ import annotations

import typing as t

from ansible_collections.ckpool.fleet.plugins.module_utils import _metrics as metrics
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import Unparsable
from ansible_collections.ckpool.fleet.plugins.module_utils._metrics import Sample
from hypothesis import given
from hypothesis import strategies as st

from ..made import JSON

NAMES = st.text(st.characters(codec=None), max_size=2000)
NUMBERS = st.one_of(
    st.floats(-1e100, 1e100, allow_nan=False), st.integers(-(2**63), 2**63), st.floats(0, 1e-9), st.floats(0, 1e22)
)


@given(NAMES, NAMES, NAMES, NUMBERS)
def test_a_name_is_a_label_and_nothing_else(host: str, pool: str, user: str, value: float) -> None:
    labels = (*metrics.label("pool", pool), *metrics.label("user", user))
    sample = Sample("ckpool_user_workers", value, labels).of(host)
    text = metrics.exposition([sample])
    text.encode("utf-8")
    assert text.count("\n") == len(text.splitlines()) == 3
    (read,) = metrics.parse(text)
    assert read == Sample(sample.name, float(value), sample.labels)
    assert metrics.exposition([read]).splitlines()[:2] == text.splitlines()[:2]


@given(
    st.lists(st.fixed_dictionaries({"name": NAMES, "socket_dir": NAMES, "started": st.none() | st.integers(0, 2**40)}))
)
def test_no_two_pools_of_a_host_have_one_label(instances: t.List[t.Dict[str, t.Any]]) -> None:
    assert len(metrics.pool_labels(instances)) == len(instances)


@given(st.one_of(st.text(), st.text(alphabet='ckpool_up{}="\\n 1.e+-,#\n')))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        samples = metrics.parse(text)
    except Unparsable:
        return
    assert all(metrics.is_sample(one.name, dict(one.labels), one.value) for one in samples)
    metrics.exposition(samples)


@given(JSON, JSON, JSON)
def test_any_value_is_a_sample_or_not(name: t.Any, labels: t.Any, value: t.Any) -> None:
    assert metrics.is_sample(name, labels, value) in (True, False)
    assert metrics.is_sample("ckpool_up", labels, value) in (True, False)
