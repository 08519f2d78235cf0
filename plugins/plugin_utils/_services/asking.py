# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many services, all asked at a time."""

from __future__ import annotations

import asyncio
import time
import typing as t

from ...module_utils._errors import PoolError
from .._types import Json
from .answer import PATH, result_of
from .http import Contexts, get
from .service import Service, failure

_PARALLEL = 100  #: services that are asked at the same time


def ask_all(services: t.Mapping[str, Service]) -> t.Dict[str, Json]:
    """What a task on each host would have returned, by the host's name."""
    return asyncio.run(_ask_all(services))


async def _ask_all(services: t.Mapping[str, Service]) -> t.Dict[str, Json]:
    contexts, turns = Contexts(), asyncio.Semaphore(_PARALLEL)

    async def ask_one(service: Service) -> Json:
        async with turns:
            return await _ask_one(service, contexts)

    results = await asyncio.gather(*(ask_one(service) for service in services.values()))
    return dict(zip(services, results))


async def _ask_one(service: Service, contexts: Contexts) -> Json:
    try:
        asked = time.time()
        answer = await get(service, PATH, contexts.of(service))
        return result_of(service, answer, asked, time.time())
    except PoolError as exc:
        return failure(exc)
