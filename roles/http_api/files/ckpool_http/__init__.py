# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pools of a host over HTTP: read-only, and asked gently however many readers there are."""

from __future__ import annotations

VERSION = "1.0.0"  #: that of the collection
