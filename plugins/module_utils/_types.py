# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Types that several rooms share. A host need not compile this room if it is only imported for annotations."""

from __future__ import annotations

import typing as t

Json = t.Dict[str, t.Any]  #: a JSON object, as a daemon, a file or a result has it
Number = t.Optional[float]  #: None if it is not known
Result = Json  #: what a module returns
#: field of a record to the way to read it, which is a method of C(_fields.Fields), and its names at the source, the best first
Spellings = t.Mapping[str, t.Tuple[str, ...]]
