# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is built: the same files as the collection has, which install into an empty environment, with types."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml
from ansible_collections.ckpool.fleet.plugins.plugin_utils._http_program import NEED_ANSIBLE

from tests.support import ROOT

from .conftest import Built, Environment, run

HOSTS, OWN = ROOT / "plugins" / "module_utils", ROOT / "python" / "ckpool_fleet"
#: what imports every room of the package
IMPORT_ALL = """
import importlib, pkgutil, sys, ckpool_fleet
names = [m.name for m in pkgutil.walk_packages(ckpool_fleet.__path__, "ckpool_fleet.") if not m.name.endswith("__main__")]
for name in names:
    importlib.import_module(name)
from ckpool_fleet import *
print(len(names), "ansible" in sys.modules, all(name in globals() for name in ckpool_fleet.__all__))
"""


def expected() -> dict[str, bytes]:
    """The files of the package, from the checkout."""
    found = {path.relative_to(HOSTS).as_posix(): path for path in HOSTS.rglob("*.py") if path.name not in NEED_ANSIBLE}
    found |= {path.relative_to(OWN).as_posix(): path for path in OWN.rglob("*") if path.suffix in (".py", ".typed")}
    return {f"ckpool_fleet/{name}": path.read_bytes() for name, path in found.items()}


def test_the_wheel_has_the_files_of_the_checkout_and_no_others(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as wheel:
        found = {name: wheel.read(name) for name in wheel.namelist() if ".dist-info/" not in name}
    assert found.keys() == expected().keys()
    assert found == expected()


def test_the_version_and_the_license_are_those_of_the_collection(built: Built) -> None:
    galaxy = yaml.safe_load((ROOT / "galaxy.yml").read_text())
    with zipfile.ZipFile(built.wheel) as wheel:
        (name,) = (name for name in wheel.namelist() if name.endswith("/METADATA"))
        metadata = wheel.read(name).decode()
        assert any(name.endswith("GPL-3.0-or-later.txt") for name in wheel.namelist())
    fields = dict(re.findall(r"^([\w-]+): (.*)$", metadata.partition("\n\n")[0], flags=re.MULTILINE))
    assert fields["Version"] == galaxy["version"]
    assert fields["License-Expression"] == galaxy["license"][0]
    assert fields["Requires-Python"] == ">=3.8"
    assert "Requires-Dist" not in fields


def test_the_sdist_holds_what_the_package_is_built_from_alone(built: Built) -> None:
    with tarfile.open(built.sdist) as archive:
        tops = {"/".join(Path(name).parts[1:3]) for name in archive.getnames()}
    assert tops == {
        "LICENSES/GPL-3.0-or-later.txt", "PKG-INFO", "docs/python.md", "galaxy.yml", "plugins/module_utils", "pyproject.toml",
        "python/ckpool_fleet", ".gitignore",
    }  # fmt: skip


def test_it_installs_into_an_empty_environment(environment: Environment) -> None:
    listing = run(environment.python, "-m", "pip", "list", "--format", "freeze")
    names = {line.partition("==")[0].replace("_", "-") for line in listing.splitlines()}
    assert names - {"pip", "setuptools", "wheel"} == {"ckpool-fleet"}
    count, has_ansible, has_all = run(environment.python, "-I", "-c", IMPORT_ALL).split()
    modules = [name for name in expected() if name.endswith(".py") and not name.endswith("__main__.py")]
    packages = [name for name in modules if name.endswith("__init__.py")]
    assert int(count) >= len(modules) - len(packages)
    assert (has_ansible, has_all) == ("False", "True")
    for command in (
        [environment.command],
        [f"{environment.command}-fleet"],
        [environment.python, "-m", "ckpool_fleet"],
    ):
        version = yaml.safe_load((ROOT / "galaxy.yml").read_text())["version"]
        assert run(*command, "--version") == f"ckpool-fleet {version}\n"


def strict(program: Path, installed: Environment) -> subprocess.CompletedProcess[str]:
    """Check the types of a program that uses the package."""
    command = [sys.executable, "-m", "mypy", "--strict", "--python-executable", installed.python]
    cache = f"--cache-dir={program.parent / 'cache'}"
    return subprocess.run(
        [*command, cache, str(program)], capture_output=True, text=True, timeout=300, check=False, cwd=program.parent
    )


def test_a_program_that_uses_it_is_checked_by_mypy(installed: Environment, tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    good, bad = tmp_path / "good.py", tmp_path / "bad.py"
    good.write_text(
        "\n".join(re.findall(r"```python\n(.*?)```", (ROOT / "docs/python.md").read_text(), flags=re.DOTALL))
    )
    done = strict(good, installed)
    assert done.returncode == 0, done.stdout
    bad.write_text(
        "from ckpool_fleet import Pool\n\nPool.find(nmae='solo')\nPool.find().stats().stats.hashrate1m + 1\n"
    )
    done = strict(bad, installed)
    assert 'Unexpected keyword argument "nmae"' in done.stdout and "Unsupported operand" in done.stdout, done.stdout
