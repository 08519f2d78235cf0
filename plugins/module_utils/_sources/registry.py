# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which sources there are, and which of them answers. A new source is a line here and a file beside this one.

The classes are imported only when they are needed, as each host compiles what a module imports.
"""

from __future__ import annotations

import typing as t

from .._errors import PoolError

if t.TYPE_CHECKING:
    from .._instance import Instance
    from .._types import Json
    from .exchange import Sockets
    from .source import Source


def _guide() -> t.Type[Source]:
    from .guide import Guide

    return Guide


def _api() -> t.Type[Source]:
    from .api import Api

    return Api


def _files() -> t.Type[Source]:
    from .files import FileSource

    return FileSource


AUTO = "auto"  #: the best source that answers
#: sources that the daemon is asked for, the best first; a daemon speaks one of them or none
LIVE: t.Dict[str, t.Callable[[], t.Type[Source]]] = {"guide": _guide, "api": _api}
#: sources that the daemon writes, which are read without asking it
STORED: t.Dict[str, t.Callable[[], t.Type[Source]]] = {"files": _files}
LOG_SOURCE = "files"  #: the source that the log is part of
CHOICES = (AUTO, *LIVE, *STORED)  #: of the option C(source)


class Sources:
    """The sources of one instance in one visit.

    :arg sockets: the instance's sockets.
    :arg counts: returns what the stratifier answers to C(stats), or raises PoolError.
    :arg wanted: C(auto), or the name of the only source to use.
    """

    def __init__(self, instance: Instance, sockets: Sockets, counts: t.Callable[[], Json], wanted: str = AUTO) -> None:
        self._place = (instance, sockets, counts)
        self._wanted = wanted
        self._made: t.Dict[str, Source] = {}
        self._live: t.List[t.Optional[Source]] = []  #: the live source, once it was looked for

    @property
    def asks_the_daemon(self) -> bool:
        """Whether the daemon may be asked, or only what it has written be read."""
        return self._wanted not in STORED

    def ask(
        self, question: str, work: t.Callable[[Source], None]
    ) -> t.Tuple[t.Optional[Source], t.Dict[str, PoolError]]:
        """Have the best source answer a question: that one, and by name what failed before it.

        A daemon speaks one live source: where that one fails, what is stored stands in for it.

        :arg question: one of those that sources give.
        :arg work: asks the source, and takes its answer; another source is tried if it raises PoolError.
        """
        failures: t.Dict[str, PoolError] = {}
        is_asked = False
        for name in self._names(LIVE) + self._names(STORED):
            if is_asked and name in LIVE:
                continue
            source = self._source(name)
            try:
                if question not in source.gives or not source.answers(question):
                    continue
                is_asked = True
                work(source)
                return source, failures
            except PoolError as exc:
                failures[name] = exc
        return None, failures

    def live(self) -> t.Optional[Source]:
        """The source that the daemon is seen to speak, or the one that was named; None if it speaks none.

        One that does not answer counts as not spoken, and is not asked again.
        """
        if not self._live:
            self._live.append(self._look_for_live())
        return self._live[0]

    def _look_for_live(self) -> t.Optional[Source]:
        try:
            found = map(self._source, self._names(LIVE))
            return next((source for source in found if source.is_spoken()), None)
        except PoolError:
            return None

    def stored(self) -> t.List[Source]:
        """The sources that the daemon writes, whichever was named."""
        return [self._source(name) for name in STORED]

    def _names(self, group: t.Iterable[str]) -> t.List[str]:
        return [name for name in group if self._wanted in (AUTO, name)]

    def _source(self, name: str) -> Source:
        if name not in self._made:
            make = (LIVE.get(name) or STORED[name])()
            self._made[name] = make(*self._place, is_named=self._wanted == name)
        return self._made[name]
