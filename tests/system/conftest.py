# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What all system tests share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.support.ansible import Ansible
from tests.system import hosts
from tests.tools import matrix

APART = ("test_hosts.py", "test_http_api.py", "test_install.py")
"""Files whose hosts can each have a process of its own: no test in them is about two."""


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With `--dist loadscope`, run the tests of a file in one process, or those of a host."""
    if config.getoption("dist") != "loadscope":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class ByHost(LoadScopeScheduling):  # type: ignore[misc, unused-ignore]
        def _split_scope(self, nodeid: str) -> str:
            return scope(nodeid)

    return ByHost(config, log)


def scope(nodeid: str) -> str:
    """The file of a test, with the release of Debian that it is about if the hosts of the file are `APART`."""
    file = nodeid.partition("::")[0]
    if not file.endswith(APART):
        return file
    parameters = nodeid.partition("[")[2].rstrip("]").split("-")
    return f"{file}@{next((suite for suite in hosts.SUITES if suite in parameters), hosts.ANY)}"


@pytest.fixture(scope="session")
def trees() -> Path:
    """Where the trees of Debian are kept that hosts are laid over."""
    return Path(os.environ.get("CKPOOL_FLEET_TREES") or matrix.CACHE / "trees")


@pytest.fixture(scope="session")
def ansible(tmp_path_factory: pytest.TempPathFactory) -> Ansible:
    """Ansible, as the integration tests run it."""
    return Ansible(tmp_path_factory.mktemp("ansible"))
