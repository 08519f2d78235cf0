# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records: data classes whose methods are the same code for all of them.

C(dataclasses) writes code for each class, which a host would compile each time that a module starts. A record is no data class to
the functions of that library. What is hashed or frozen is a real one.
"""

from __future__ import annotations

import typing as t

_REQUIRED: t.Any = object()

if t.TYPE_CHECKING:
    from dataclasses import dataclass as record
    from dataclasses import field
else:

    class _Field:
        """How a field that is not given is made, and whether it is compared and shown."""

        def __init__(self, default, default_factory, repr, compare):
            self.default, self.default_factory, self.repr, self.compare = default, default_factory, repr, compare

    def field(*, default=_REQUIRED, default_factory=None, repr=True, compare=True):
        """A field of a record, with options of C(dataclasses.field)."""
        return _Field(default, default_factory, repr, compare)

    def record(cls):
        """The class, with an initializer, a comparison and a representation of its annotated fields."""
        cls._fields = {name: _default(cls, name) for name in cls.__annotations__}
        cls._compared = [name for name in cls._fields if getattr(cls._fields[name], "compare", True)]
        cls.__init__, cls.__eq__, cls.__repr__, cls.__hash__ = _init, _eq, _repr, None
        return cls


__all__ = ["field", "record", "replaced"]
_Record = t.TypeVar("_Record")


def replaced(given: _Record, **changes: t.Any) -> _Record:
    """A copy of a record with other values."""
    return type(given)(**{**vars(given), **changes})


def _default(cls: type, name: str) -> t.Any:
    """The default of a field, what makes it, or C(_REQUIRED)."""
    found = getattr(cls, name, _REQUIRED)
    if hasattr(found, "default_factory"):
        delattr(cls, name)
    return found


def _init(self: t.Any, *values: t.Any, **named: t.Any) -> None:
    fields: t.Dict[str, t.Any] = self._fields
    given = dict(zip(fields, values))
    given.update(named)
    if len(given) != len(values) + len(named):
        raise TypeError(f"{type(self).__name__} has too many values, or one of them twice")
    made = vars(self)
    for name, default in fields.items():
        made[name] = given.pop(name) if name in given else _made(self, name, default)
    if given:
        raise TypeError(f"{type(self).__name__} has no {', '.join(given)}")


def _made(of: t.Any, name: str, default: t.Any) -> t.Any:
    factory = getattr(default, "default_factory", None)
    found = factory() if factory else getattr(default, "default", default)
    if found is _REQUIRED:
        raise TypeError(f"{type(of).__name__} needs {name}")
    return found


def _eq(self: t.Any, other: t.Any) -> t.Any:
    if type(other) is not type(self):
        return NotImplemented
    return all(vars(self)[name] == vars(other)[name] for name in self._compared)


def _repr(self: t.Any) -> str:
    shown = (f"{name}={value!r}" for name, value in vars(self).items() if getattr(self._fields.get(name), "repr", True))
    return f"{type(self).__name__}({', '.join(shown)})"
