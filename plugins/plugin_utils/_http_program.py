# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program of the HTTP service as one file: its own code, and the very files with which the modules ask pools.

The same sources make the same bytes on every controller: sorted, without times, and not compressed, as each zlib packs differently.

Sources: zipapp, zipimport.
"""

from __future__ import annotations

import io
import os
import typing as t
import zipfile

SERVICE = "ckpool_http"  #: the package of the service
SHARED = "ckpool_fleet"  #: what it calls the package of the files that it shares with the modules
NEED_ANSIBLE = ("_module.py", "_info_module.py", "_host_module.py")  #: rooms that stay out of it
_START = "__main__.py"
_TIME = (1980, 1, 1, 0, 0, 0)  #: the first that a zip file can name
_MODE = 0o100644 << 16
_UNIX = 3
# What is imported while it runs would be read from the file that an upgrade has put in the place of this one: so all is, now.
# The service itself says what it needs and does not find.
_BEGIN = """\
import contextlib
import importlib
import runpy

for _name in {names}:
    with contextlib.suppress(ImportError):
        importlib.import_module(_name)
runpy.run_module("{service}", run_name="__main__", alter_sys=True)
"""


class NoSources(Exception):
    """The collection on this controller lacks the sources of the service."""


def program_of(collection: str) -> bytes:
    """The bytes of C(ckpool-http.pyz), which C(python3) runs.

    :arg collection: the root of the collection.
    :raises NoSources: naming what is missing.
    """
    files = {
        **_sources(os.path.join(collection, "roles", "http_api", "files", SERVICE), SERVICE),
        **_sources(os.path.join(collection, "plugins", "module_utils"), SHARED),
    }
    for name in NEED_ANSIBLE:
        files.pop(f"{SHARED}/{name}", None)
    if f"{SERVICE}/{_START}" not in files:
        raise NoSources(f"{collection} has no {SERVICE}/{_START} in the files of the role http_api")
    files[_START] = _BEGIN.format(names=_modules(files), service=SERVICE).encode()
    return _zip(files)


def _sources(folder: str, package: str) -> t.Dict[str, bytes]:
    """The Python files of a folder, by their names in the program.

    :raises NoSources: one cannot be read.
    """
    found = {f"{package}/__init__.py": b""}
    for place, folders, names in os.walk(folder, onerror=_refuse):
        folders[:] = [name for name in folders if name != "__pycache__"]
        within = os.path.relpath(place, folder).replace(os.sep, "/")
        inner = package if within == "." else f"{package}/{within}"
        for name in names:
            if name.endswith(".py"):
                with open(os.path.join(place, name), "rb") as handle:
                    found[f"{inner}/{name}"] = handle.read()
    return found


def _refuse(exc: OSError) -> t.NoReturn:
    raise NoSources(f"{exc.filename}: {exc.strerror}") from None


def _modules(files: t.Iterable[str]) -> t.List[str]:
    """The modules of the program by their names, without those that do something when they are imported."""
    names = (name[: -len(".py")].replace("/", ".") for name in sorted(files))
    return [name for name in names if not name.endswith(("__init__", "__main__"))]


def _zip(files: t.Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _TIME)
            entry.external_attr, entry.create_system = _MODE, _UNIX
            archive.writestr(entry, files[name])
    return stream.getvalue()
