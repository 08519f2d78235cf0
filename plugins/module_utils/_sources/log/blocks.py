# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The blocks that a pool found, from its log and the rotated ones beside it, the newest first.

Looking at each line of a log of a gigabyte would take too long. The lines of every find have one of two characters that
few other lines have, and a piece of log is searched for these at the speed of memory: an exclamation mark (C(Possible
block solve diff 27.3 !)) or a capital O, which no address has (C(BLOCK ACCEPTED!), and the C(BLOCK FOUND) of the
operator's guide). Everything else about a find is within a few lines of those.

A line counts only if its message begins with a mark, is complete, and does not continue the line before it: names in
lines come from miners.
"""

from __future__ import annotations

import dataclasses
import gzip
import os
import re
import typing as t
import zlib

from ..._errors import Unreadable
from ..._names import user_of
from ..._records import Block
from ..._text import printable, utf8
from .file import LOG_LIMIT, SECONDS, Budget, Log, LogFile
from .rotation import LogFiles
from .stamp import MESSAGE as _MESSAGE

_PIECE = 1024 * 1024
_SMALL_PIECE = 64 * 1024  #: bytes; for larger ones, Python asks the system for memory each time
_REGION = 64 * 1024  #: bytes after a mark within which the other lines of the same find are
_LINE = 1024  #: bytes that a line with a mark may have
_BEFORE = 2 * _LINE
_WINDOW = _BEFORE + _PIECE + _REGION + _LINE
_LOOK_BACK = 32 * 1024 * 1024  #: bytes of one file that are searched for the network's difficulty before its finds
_JOIN_SECONDS = 60.0  #: lines that are further apart do not belong to one find
_SLACK_SECONDS = 3600 + _JOIN_SECONDS  #: local time repeats an hour in autumn
_CROWD = 256  #: marks in quick succession, as on a test network, that are not kept together any longer
_MOST_PENDING = 8 * _CROWD  #: marks without a beginning that are kept for one
_MANY = 16_384  #: hits in one piece after which it is searched for words instead of characters
_SPLIT = 500  #: a message of at least this many bytes may continue in the next line, which then begins with anything
_NETWORK = b"] Network diff set to "
#: beginnings of lines that have neither of the two characters
_COMPANIONS = (b"] Submitt", b"] Solved and confirmed block", b"] Block ", b"] Hash for ")
_BEGINNINGS = (b"Possible ", b"BLOCK ", b"Submitt", b"SUBMIT BLOCK ", b"Solved and ", b"Block ", b"Hash for ")
_WORDS = tuple(b"] " + beginning for beginning in _BEGINNINGS)
_NUMBER = rb"\d{1,40}(?:\.\d{1,20})?"
_HEIGHT = rb"(?P<height>\d{1,9})"
_PATTERNS: t.Tuple[t.Tuple[str, t.Pattern[bytes]], ...] = tuple(
    (kind, re.compile(text))
    for kind, text in (
        (
            "possible",
            rb"Possible (?P<stale>stale share )?(?:remote |upstream )?block solve diff (?P<difficulty>%b) !" % _NUMBER,
        ),
        ("submitted", rb"Submitting (?:block data!|likely block solve share from upstream pool)"),
        ("accepted", rb"BLOCK ACCEPTED!"),
        ("returned", rb"SUBMIT BLOCK RETURNED: (?P<reason>.+)"),
        ("unanswered", rb"SUBMIT BLOCK GOT NO RESPONSE!"),
        (
            "checked",
            rb"Hash for (?:forced possibly stale block, height|block height) %b "
            rb"confirms block was (?P<verdict>ACCEPTED|REJECTED)" % _HEIGHT,
        ),
        ("solved", rb"Solved and confirmed block(?:!| %b by (?P<worker>.+))" % _HEIGHT),
        ("rejected", rb"Submitted, but had block %b rejected" % _HEIGHT),
        ("summary", rb"Block solved after (?P<shares>\d{1,30}) shares at (?P<effort>%b)%% diff" % _NUMBER),
        ("share", rb"Submitting possible block solve share diff (?P<difficulty>%b) !" % _NUMBER),
        ("remote", rb"Block %b solved by (?P<worker>.+) @ .+!" % _HEIGHT),
        ("found", rb"BLOCK FOUND\b(?P<text>.*)"),
    )
)
#: what a C(BLOCK FOUND) may contain, of which the operator's guide describes only the beginning
_TOLD: t.Tuple[t.Pattern[bytes], ...] = (
    re.compile(rb"(?:height|block)\W{0,3}%b\b" % _HEIGHT, re.IGNORECASE),
    re.compile(rb"\b(?P<hash>[0-9a-f]{64})\b"),
    re.compile(rb"\b(?:by|worker)\W{1,3}(?P<worker>[^\s,;]+)"),
    re.compile(rb"\bdiff(?:iculty)?\W{1,3}(?P<difficulty>%b)\b" % _NUMBER),
)
_OVER = frozenset(("solved", "rejected"))
_VERDICTS = frozenset(("accepted", "returned", "unanswered", "checked"))
_NOTHING: t.FrozenSet[str] = frozenset()
_Rule = t.Tuple[int, t.FrozenSet[str], t.FrozenSet[str]]
#: kind of line to the finds it may belong to, the first that fits: the oldest (0) or the newest (-1) of those that have
#: one of some kinds and none of others. A line that fits none is the first of a find of its own.
_HOMES: t.Dict[str, t.Tuple[_Rule, ...]] = {
    "possible": (),
    "submitted": ((-1, _NOTHING, _OVER | {"submitted"}),),
    "accepted": (
        (0, frozenset(("submitted",)), _OVER | {"accepted"}),
        (-1, _NOTHING, _OVER | {"accepted"}),
    ),
    "returned": (
        (0, frozenset(("submitted",)), _OVER | _VERDICTS),
        (-1, _NOTHING, _OVER | _VERDICTS),
    ),
    "checked": ((0, _VERDICTS, _OVER | {"checked"}), (-1, _NOTHING, _OVER | {"checked"})),
    "solved": ((0, _VERDICTS, _OVER), (-1, _NOTHING, _OVER)),
    "summary": ((0, _OVER, frozenset(("summary",))), (-1, _VERDICTS, frozenset(("summary",)))),
    "remote": ((-1, _NOTHING, _OVER | {"remote"}),),
    "found": ((-1, _NOTHING, frozenset(("found",))),),
}
_HOMES["unanswered"] = _HOMES["returned"]
_HOMES["rejected"] = _HOMES["solved"]
_Place = t.Tuple[int, int]


@dataclasses.dataclass
class Found:
    """What the logs contain about blocks.

    :ivar blocks: the newest first.
    :ivar reached: epoch seconds of the oldest line that was read; None if none was.
    :ivar is_complete: whether everything that was asked for was read.
    :ivar problems: name of a file to the reason why it, or a part of it, was not read.
    """

    blocks: t.List[Block] = dataclasses.field(default_factory=list)
    reached: t.Optional[float] = None
    is_complete: bool = True
    problems: t.Dict[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class _Mark:
    """One line of a find."""

    kind: str
    when: float
    values: t.Dict[str, bytes]
    network_difficulty: t.Optional[float] = None


def find_blocks(
    log: Log, since: float = 0.0, limit: int = 20, log_limit: int = LOG_LIMIT, seconds: float = SECONDS
) -> Found:
    """The blocks of a log and the rotated ones beside it.

    :arg log: the log that is being written.
    :arg since: epoch seconds of the oldest find that is wanted.
    :arg limit: how many at most, the newest.
    :arg log_limit: bytes, unpacked, that may be read.
    :arg seconds: time within which reading ends.
    :raises Unreadable: there is no log that may be read.
    """
    budget = Budget(log_limit, seconds)
    with LogFiles(log, since - _SLACK_SECONDS, Budget(LOG_LIMIT, seconds), unpack=True) as logs:
        found = Found(problems=dict(logs.problems))
        if logs.failure and (logs.failure.reason != "absent" or logs.files):
            found.problems[printable(os.path.basename(log.path))] = str(logs.failure)
        if not logs.files:
            name, why = next(iter(logs.problems.items()), ("", ""))
            raise (
                logs.failure
                if logs.failure and not name
                else Unreadable(
                    f"no log can be read: {name}: {why}", log.path, "is log_dir right? may we read it? try become"
                )
            )
        search = _Search(found, since, limit, budget)
        for age, file in enumerate(logs.files):
            if search.is_over:
                if budget.is_over:
                    name = printable(os.path.basename(file.path))
                    found.problems[name] = f"not read, and the log is read in part: {budget.bound}"
                break
            search.read(file, age)
        search.close(None)
    if log.zone_problem:
        found.problems["zone"] = log.zone_problem
    found.is_complete = not found.problems and len(found.blocks) < limit
    del found.blocks[limit:]
    return found


class _Search:
    """The search through all files: what was found, which finds may still be incomplete, and how much may still be read."""

    def __init__(self, found: Found, since: float, limit: int, budget: Budget) -> None:
        self._found = found
        self._since = since
        self._limit = limit
        self._budget = budget
        self._stamp: t.Callable[[bytes], t.Optional[float]] = lambda line: None
        self._buffer = bytearray(_WINDOW)
        self._view = memoryview(self._buffer)
        self._pending: t.Dict[_Place, _Mark] = {}
        self._closed: t.Optional[_Place] = None  #: from where on everything was joined
        self._told: t.Set[t.Tuple[t.Any, ...]] = set()
        self._network: t.Optional[_NetworkDifficulty] = None

    @property
    def is_over(self) -> bool:
        """Whether everything was found, or nothing more may be read."""
        if len(self._found.blocks) >= self._limit or self._budget.is_over:
            return True
        return self._found.reached is not None and self._found.reached < self._since - _SLACK_SECONDS

    def read(self, file: LogFile, age: int) -> None:
        """Read one file. What is wrong with it goes to the problems.

        :arg age: counts up from the newest.
        """
        name = printable(os.path.basename(file.path))
        self._stamp = file.clock.stamp
        try:
            if file.path.endswith(".gz"):
                with os.fdopen(os.dup(file.handle), "rb") as packed, gzip.GzipFile(fileobj=packed) as stream:
                    self._forwards(age, stream)
                self.close(self._found.reached)
            else:
                self._backwards(age, file)
        except (OSError, EOFError, zlib.error) as exc:
            self._found.problems[name] = f"read in part: {exc}"
        if self._budget.is_over:
            self._found.problems[name] = f"read in part: {self._budget.bound}"

    def _backwards(self, age: int, file: LogFile) -> None:
        end = file.size
        self._network = _NetworkDifficulty(file, self._budget)
        while end > 0 and not self.is_over:
            end = file.data_before(end)
            start = max(end - min(_PIECE, self._budget.left), 0)
            base, high = max(start - _BEFORE, 0), min(end + _REGION + _LINE, file.size)
            count = os.preadv(file.handle, [self._view[: high - base]], base)
            self._budget.take(end - start)
            self._scan(age, base, count, start - base, end - base)
            self.close(self._reach(start - base, count))
            end = start

    def _forwards(self, age: int, stream: gzip.GzipFile) -> None:
        """Read a packed file from its beginning. If it has too many marks, the first ones are given up."""
        base = kept = done = 0
        self._network = None
        most = 16 * self._limit + 4 * _CROWD
        while not self._budget.is_over:
            more, error = _fill(stream, self._view[kept:])
            count = kept + more
            self._budget.take(more)
            is_last = count < len(self._view)
            first, last = done - base, count if is_last else count - _REGION - _LINE
            if not done:
                self._reach(0, count)
            self._scan(age, base, count, first, last)
            for place in sorted(self._pending)[: max(len(self._pending) - most, 0)]:
                del self._pending[place]
            if error:
                raise error
            if is_last:
                return
            done = base + last
            kept = count - max(last - _BEFORE, 0)
            self._buffer[:kept] = self._buffer[count - kept : count]
            base += count - kept

    def _reach(self, first: int, count: int) -> t.Optional[float]:
        """The time of the first line of a piece."""
        start = first
        for _attempt in range(8):
            when = self._stamp(bytes(self._view[start : start + _MESSAGE]))
            if when is not None:
                known = self._found.reached
                self._found.reached = when if known is None else min(known, when)
                return when
            start = self._buffer.find(b"\n", start, count) + 1
            if not start:
                break
        return None

    def _scan(self, age: int, base: int, count: int, first: int, last: int) -> None:
        """Take the marks out of the buffer, of which C(count) bytes stand at C(base) in the file.

        :arg first, last: where the lines begin that are looked for now; the bytes around them belong to other pieces.
        """
        anchors = dict(self._anchors(count, first, last))
        marks = dict(anchors)
        regions: t.List[t.List[int]] = [[0, _REGION]] if base + first == 0 else []
        self._set_difficulty(base, anchors)
        for start in sorted(anchors):
            if not regions or start > regions[-1][1]:
                regions.append([start, 0])
            regions[-1][1] = start + _REGION
        for begin, end in regions:
            marks.update(self._marks_by(_COMPANIONS, count, begin, min(end, count)))
        for start, mark in marks.items():
            place = (-age, base + start)
            if self._closed is None or place < self._closed:
                self._pending[place] = mark

    def _anchors(self, count: int, first: int, last: int) -> t.Iterator[t.Tuple[int, _Mark]]:
        """The lines between two places that have one of the two characters, and are marks."""
        find, is_at = self._buffer.find, self._buffer.startswith
        end = min(last + _LINE, count)
        room = _MANY
        for character, word, back in ((b"!", b"!", 0), (b"O", b"BLOCK", 2)):
            position = find(character, first, end)
            while position >= 0:
                room -= 1
                if room < 0:  # somebody fills the log with them
                    yield from self._marks_by(_WORDS, count, first, last)
                    return
                if is_at(word, position - back):
                    start = self._buffer.rfind(b"\n", max(position - _LINE, 0), position) + 1
                    mark = self._mark(start, count) if first <= start < last else None
                    if mark:
                        yield start, mark
                    # Continue with the next line: a name may be full of them, and a line may not end.
                    position = find(b"\n", position, end)
                    if position < 0:
                        break
                position = find(character, position + 1, end)

    def _marks_by(self, words: t.Sequence[bytes], count: int, first: int, last: int) -> t.Iterator[t.Tuple[int, _Mark]]:
        """The marks that begin between two places, with one of the words that messages begin with."""
        for word in words:
            position = self._buffer.find(word, first, last + _MESSAGE)
            while position >= 0:
                start = position - _MESSAGE + 2
                mark = self._mark(start, count) if first <= start < last else None
                if mark:
                    yield start, mark
                position = self._buffer.find(word, position + 1, last + _MESSAGE)

    def _mark(self, start: int, count: int) -> t.Optional[_Mark]:
        """The line that begins there, if it is a mark."""
        buffer = self._buffer
        if not buffer.startswith(b"[", start) or (start and buffer[start - 1] != 0x0A):
            return None
        end = buffer.find(b"\n", start, min(start + _LINE, count))
        if end < 0:
            return None
        line = bytes(buffer[start:end])
        if line[_MESSAGE - 2 : _MESSAGE] != b"] " or not line.startswith(_BEGINNINGS, _MESSAGE):
            return None
        for kind, pattern in _PATTERNS:
            match = pattern.fullmatch(line, _MESSAGE)
            if match:
                when = self._stamp(line)
                if when is None or self._goes_on(start):
                    return None
                return _Mark(kind, when, {name: text for name, text in match.groupdict().items() if text})
        return None

    def _goes_on(self, start: int) -> bool:
        """Whether a line is the rest of a long one before it, and so begins with what a miner may have chosen."""
        before = self._buffer.rfind(b"\n", 0, max(start - 1, 0)) + 1
        is_long = start - 1 - before - _MESSAGE >= _SPLIT
        stamps = (bytes(self._buffer[place : place + _MESSAGE]) for place in (before, start))
        return is_long and next(stamps) == next(stamps)

    def _set_difficulty(self, base: int, marks: t.Dict[int, _Mark]) -> None:
        """Give marks the network's difficulty, by the last line before each that contains it."""
        value: t.Optional[float] = None
        searched = 0
        for start in sorted(marks):
            position = self._buffer.rfind(_NETWORK, searched, start)
            if position >= 0:
                value = _difficulty_at(self._buffer, position, self._stamp)
            elif not searched and self._network:
                value = self._network.before(base)
            marks[start].network_difficulty = value
            searched = start

    def close(self, oldest: t.Optional[float]) -> None:
        """Join what is pending, as far as no older line can belong to it.

        :arg oldest: epoch seconds of the oldest line that was read; None to close all.
        """
        places = sorted(self._pending)
        if oldest is not None:
            places = places[self._whole_from(places, oldest) :]
        if not places:
            return
        self._closed = places[0]
        for block in reversed(join([self._pending.pop(place) for place in places])):
            key = (block.time, block.difficulty, block.height, block.worker)
            if block.time >= self._since and key not in self._told:
                self._told.add(key)
                self._found.blocks.append(block)

    def _whole_from(self, places: t.Sequence[_Place], oldest: float) -> int:
        """From which of the places on finds are whole: the first that begins one, and late enough for that.

        Where one follows the other without end, as on a test network, any beginning will do.
        """
        before = float("-inf")
        for index, place in enumerate(places):
            mark = self._pending[place]
            begins = mark.kind == "possible"
            if begins and len(places) >= _CROWD:
                return index
            if (begins or mark.when > before + _JOIN_SECONDS) and mark.when > oldest + _JOIN_SECONDS:
                return index
            before = mark.when
        return len(places) if len(places) < _MOST_PENDING else 0


class _NetworkDifficulty:
    """The network's difficulty, from the lines before a place in a file. It changes about every two weeks."""

    def __init__(self, file: LogFile, budget: Budget) -> None:
        self._file = file
        self._budget = budget
        self._room = _LOOK_BACK
        self._since: t.Optional[int] = None
        self._value: t.Optional[float] = None

    def before(self, end: int) -> t.Optional[float]:
        """The difficulty by the last line before a place that contains it."""
        if self._since is not None and self._since <= end:
            return self._value
        place = end
        while place > 0 and self._room > 0 and not self._budget.is_over:
            place = self._file.data_before(place)
            start = max(place - _SMALL_PIECE, 0)
            # A little of what follows too: the line may be cut in two.
            piece = os.pread(self._file.handle, place - start + _LINE, start)
            self._room -= place - start
            position = piece.rfind(_NETWORK, 0, place - start + len(_NETWORK))
            if position >= 0:
                self._since, self._value = start + position, _difficulty_at(piece, position, self._file.clock.stamp)
                return self._value
            place = start
        self._since, self._value = place, None
        return None


def _difficulty_at(
    buffer: t.Union[bytes, bytearray], position: int, stamp: t.Callable[[bytes], t.Optional[float]]
) -> t.Optional[float]:
    """The number in such a line; None for another line."""
    start = position - _MESSAGE + 2
    end = buffer.find(b"\n", position, position + _LINE)
    line = bytes(buffer[max(start, 0) : end if end >= 0 else position])
    is_line = start == 0 or buffer[start - 1 : start] == b"\n"
    text = line[_MESSAGE - 2 + len(_NETWORK) :]
    return float(text) if is_line and stamp(line) is not None and re.fullmatch(_NUMBER, text) else None


def _fill(stream: gzip.GzipFile, view: memoryview) -> t.Tuple[int, t.Optional[Exception]]:
    """Read until the view is full or the stream ends: the number of bytes, and the error that ended it."""
    count = 0
    try:
        while count < len(view):
            more = stream.readinto1(view[count:])
            if not more:
                break
            count += more
    except (OSError, EOFError, zlib.error) as exc:
        return count, exc
    return count, None


class _Find:
    """A block that is not complete yet: the lines that belong to it."""

    def __init__(self, mark: _Mark) -> None:
        self.kinds: t.Set[str] = set()
        self.last = mark.when
        self.block = Block(int(mark.when))
        self.difficulty = b""

    def add(self, mark: _Mark) -> None:
        """Take over what a line contains. Later lines prevail."""
        block, values = self.block, dict(mark.values)
        if mark.kind == "found":
            for pattern in _TOLD:
                match = pattern.search(values.get("text", b""))
                values.update(match.groupdict() if match else {})
        self.kinds.add(mark.kind)
        self.last = mark.when
        if "difficulty" in values:
            self.difficulty = values["difficulty"]
            block.difficulty = float(self.difficulty)
        if "height" in values:
            block.height = int(values["height"])
        if "hash" in values:
            block.hash = values["hash"].decode("ascii")
        if "worker" in values:
            block.worker = utf8(values["worker"].decode("utf-8", "surrogateescape"))
            block.user = user_of(block.worker)
        if "shares" in values:
            block.shares, block.effort = float(values["shares"]), float(values["effort"])
        if mark.kind == "possible":
            block.stale = "stale" in values
        block.network_difficulty = block.network_difficulty or mark.network_difficulty
        self._judge(mark)

    def _judge(self, mark: _Mark) -> None:
        block = self.block
        if mark.kind in ("accepted", "solved", "summary") or mark.values.get("verdict") == b"ACCEPTED":
            block.accepted, block.reason = True, None
        elif mark.kind in ("returned", "unanswered", "rejected", "checked"):
            block.accepted = False
            if mark.kind == "returned":
                block.reason = printable(mark.values["reason"].decode("utf-8", "surrogateescape"))
            elif mark.kind == "unanswered":
                block.reason = "no response"


def join(marks: t.Sequence[_Mark]) -> t.List[Block]:
    """Blocks from their lines, both in the order of the log."""
    finds: t.List[_Find] = []
    for mark in marks:
        find = _home(mark, [find for find in finds[-8:] if mark.when - find.last <= _JOIN_SECONDS])
        if find is None:
            find = _Find(mark)
            finds.append(find)
        find.add(mark)
    return [find.block for find in finds]


def _home(mark: _Mark, finds: t.Sequence[_Find]) -> t.Optional[_Find]:
    """The find that a line belongs to; None for a new one."""
    if mark.kind == "share":  # a share is logged once more after its block was dealt with
        same = [find for find in finds if find.difficulty in (b"", mark.values["difficulty"])]
        return same[-1] if same else None
    if mark.kind == "possible" and finds and finds[-1].kinds == {"found"}:
        return finds[-1]
    for which, having, lacking in _HOMES[mark.kind]:
        fitting = [find for find in finds if (find.kinds & having or not having) and not find.kinds & lacking]
        if fitting:
            return fitting[which]
    return None
