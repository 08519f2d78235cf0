# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What it takes to load modules from the zip in which Ansible sends them. Each module imports this room before all others.

Python compiles what it imports from a zip twice: once to find out the name of the file, and once to run it. Here the name is put
together from what the zip contains, which halves what it costs a host to load a module.

Before Python 3.10, a room that one thread imports from a zip is there for all others before it is complete, and they fail for lack
of what is not in it yet: such loaders do not tell the import system that they are not done. Here they get the methods of newer ones.

Sources: PEP 451, bpo-42131 (zipimport).
"""

from __future__ import annotations

import sys
import typing as t
import zipimport
from importlib.machinery import SourceFileLoader


def _filename(self: zipimport.zipimporter, fullname: str) -> str:
    """The path of a module in a zip, which only has sources.

    :raises ZipImportError: the zip has no such module.
    """
    end = "/__init__.py" if self.is_package(fullname) else ".py"
    return f"{self.archive}/{self.prefix}{fullname.rpartition('.')[2]}{end}"


_LOADER: t.Any = getattr(__spec__, "loader", None)

if isinstance(_LOADER, zipimport.zipimporter):
    zipimport.zipimporter.get_filename = _filename  # type: ignore[method-assign]
    if sys.version_info < (3, 10):
        zipimport.zipimporter.create_module = SourceFileLoader.create_module  # type: ignore[attr-defined]
        zipimport.zipimporter.exec_module = SourceFileLoader.exec_module  # type: ignore[attr-defined]
