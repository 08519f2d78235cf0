# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The metrics of all pools in the form that a Prometheus asks for, and those of this service itself."""

from __future__ import annotations

import dataclasses
import typing as t

from ckpool_fleet._metrics import (
    COUNTER,
    FAILED,
    METRICS,
    POOL,
    Sample,
    samples_of,
    samples_of_nothing,
    samples_without_answer,
)
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder

if t.TYPE_CHECKING:
    from ckpool_fleet._ask.answer import Answer
    from ckpool_fleet._metrics import Reading

_KINDS = {metric.name: metric for metric in METRICS}


@dataclasses.dataclass
class Measured:
    """What is known of a pool.

    :ivar reading: None if it could not be measured in time.
    :ivar blocks: what the pool answered about its blocks; None if it was not asked, or gave no answer in time.
    :ivar messages: that it was sent by this service.
    """

    label: str
    reading: t.Optional[Reading]
    messages: int
    blocks: t.Optional[Answer] = None

    def is_like(self, other: Measured) -> bool:
        """Whether the samples are the same, as they come from the same look."""
        return self.label == other.label and self.reading is other.reading and self.blocks is other.blocks

    def samples(self, now: float) -> t.List[Sample]:
        """The samples of the pool."""
        if self.reading is None:
            return samples_without_answer(self.label, FAILED, now)
        reading = self.reading
        if self.blocks is not None:
            reading = dataclasses.replace(reading, blocks=self.blocks.blocks, reached=self.blocks.reached)
        return samples_of(reading, self.label)


@dataclasses.dataclass
class Service:
    """What this service has to say about itself.

    :ivar requests: by status.
    :ivar expires: when its certificate does, in epoch seconds; None without one.
    """

    connections: int
    requests: t.Mapping[int, int]
    expires: t.Optional[float] = None


class Exposition:
    """Makes the text that Prometheus reads. The part about pools is made once for each look."""

    def __init__(self) -> None:
        self._kept: t.Dict[str, t.Tuple[t.Sequence[Measured], bytes]] = {}
        self._process = CollectorRegistry()
        ProcessCollector(namespace="ckpool_http", registry=self._process)

    def text(self, pools: t.Sequence[Measured], service: Service, now: float, accept: str) -> t.Tuple[bytes, str]:
        """The metrics as text, and its type.

        :arg now: epoch seconds.
        :arg accept: the header of that name.
        """
        encoder, kind = _encoder(accept)
        known = self._kept.get(kind)
        if known is None or not _are_alike(known[0], pools):
            # All that is kept is of one look, in the few forms that there are.
            known = self._kept[kind] = (pools, _without_end(encoder(_registry(_of_pools(pools, now)))))
        own = _without_end(encoder(_registry(_of_service(pools, service))))
        return known[1] + own + encoder(self._process), kind


def _are_alike(before: t.Sequence[Measured], now: t.Sequence[Measured]) -> bool:
    is_known = bool(now) and all(
        pool.reading is not None for pool in now
    )  # what has no reading has the time of the request
    return is_known and len(before) == len(now) and all(map(Measured.is_like, before, now))


def _without_end(text: bytes) -> bytes:
    """A part of a text, without the end that OpenMetrics has."""
    end = b"# EOF\n"
    return text[: -len(end)] if text.endswith(end) else text


def _registry(families: t.Iterable[Metric]) -> CollectorRegistry:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(list(families)))
    return registry


def _encoder(accept: str) -> t.Tuple[t.Callable[[CollectorRegistry], bytes], str]:
    """How to write metrics for a header. One that cannot be understood counts as none."""
    choose: t.Callable[[str], t.Tuple[t.Callable[[CollectorRegistry], bytes], str]] = choose_encoder
    try:
        return choose(accept)
    except Exception:  # it compares whatever stands there as a version
        return choose("")


class _Collector:
    """Gives metrics to a registry."""

    def __init__(self, families: t.List[Metric]) -> None:
        self._families = families

    def collect(self) -> t.Iterable[Metric]:
        return self._families

    def describe(self) -> t.Iterable[Metric]:
        return []


def _of_pools(pools: t.Sequence[Measured], now: float) -> t.Iterable[Metric]:
    samples: t.List[Sample] = []
    for pool in pools:
        samples += pool.samples(now)
    groups: t.Dict[str, t.List[Sample]] = {}
    for sample in samples or samples_of_nothing(now):
        groups.setdefault(sample.name, []).append(sample)
    return [_family(name, groups[name]) for name in _KINDS if name in groups]


def _family(name: str, samples: t.Sequence[Sample]) -> Metric:
    metric = _KINDS[name]
    family: t.Any = (CounterMetricFamily if metric.kind == COUNTER else GaugeMetricFamily)(name, metric.help)
    for sample in {sample.labels: sample for sample in reversed(samples)}.values():
        family.add_sample(name, dict(sample.labels), sample.value)
    return t.cast(Metric, family)


def _of_service(pools: t.Sequence[Measured], service: Service) -> t.Iterable[Metric]:
    messages = CounterMetricFamily(
        "ckpool_http_messages_total", "The messages that this service sent to the pool.", labels=[POOL]
    )
    for pool in pools:
        messages.add_metric([pool.label], pool.messages)
    requests = CounterMetricFamily(
        "ckpool_http_requests_total", "The requests that were answered, by status.", labels=["code"]
    )
    for code, count in sorted(service.requests.items()):
        requests.add_metric([str(code)], count)
    connections = GaugeMetricFamily(
        "ckpool_http_connections", "The open connections to this service.", service.connections
    )
    found: t.List[Metric] = [messages, requests, connections]
    if service.expires is not None:
        name, about = (
            "ckpool_http_certificate_expiry_timestamp_seconds",
            "When the certificate of this service expires.",
        )
        found.append(GaugeMetricFamily(name, about, service.expires))
    return found
