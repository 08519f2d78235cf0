# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Types that many rooms share."""

from __future__ import annotations

import typing as t

from ..module_utils import _types

Json = _types.Json
Options = t.Mapping[str, t.Any]  #: the options of a task
Variables = t.Mapping[str, t.Any]  #: the variables of a task or a host
