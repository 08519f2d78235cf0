# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that the controller writes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest.importorskip("ansible.errors")

from ansible.errors import AnsibleActionFail
from ansible_collections.ckpool.fleet.plugins.plugin_utils._files import write_atomically


def test_a_file_that_is_replaced_is_never_there_in_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "health.json"
    path.write_text("old")

    def fail(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(AnsibleActionFail, match=r"cannot write .*health\.json: No space left"):
        write_atomically(str(path), "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["health.json"]
