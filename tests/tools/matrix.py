# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests run on: the interpreters of this machine, the releases of ansible-core, and which of those meet."""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache"

#: Each release of ansible-core that the collection supports, oldest first, with the Pythons that it runs on.
CORES = {
    "2.18": ("3.11", "3.12", "3.13"),
    "2.19": ("3.11", "3.12", "3.13"),
    "2.20": ("3.12", "3.13", "3.14"),
    "2.21": ("3.12", "3.13", "3.14"),
}
#: The Pythons of target hosts. Module code has to run on each.
TARGETS = ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14")

#: In the environment: the file to which a session writes how many seconds it spent on packages.
PACKAGES = "CKPOOL_FLEET_PACKAGES"
#: In the environment: the versions of the interpreters that have been found.
_FOUND = "CKPOOL_FLEET_PYTHONS"

_PROBE = """
import ensurepip, os, sys, venv
print("%d.%d" % sys.version_info[:2], os.path.realpath(sys._base_executable))
"""


def chromium() -> str | None:
    """The path of Chromium, if this machine has it."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


def has_java() -> bool:
    """Whether this machine has a Java that works, which ansible-rulebook needs."""
    try:
        return subprocess.run(["java", "-version"], capture_output=True, timeout=60, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _ask(candidate: str, version: str) -> str | None:
    """The real interpreter behind a name, if it works and is what it is called (a version manager's may not be)."""
    try:
        done = subprocess.run([candidate, "-c", _PROBE], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode != 0 or not done.stdout.startswith(f"{version} "):
        return None
    return done.stdout.strip().split(" ", 1)[1]


def _find(version: str) -> str | None:
    pyenv = os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv")
    names = [os.path.join(folder, f"python{version}") for folder in os.environ.get("PATH", "").split(os.pathsep)]
    names += sorted(glob.glob(os.path.join(glob.escape(pyenv), "versions", f"{version}.*", "bin", "python")))
    names += [name for name in (shutil.which("python3"), shutil.which("python")) if name]
    for name in names:
        if os.path.exists(name) and (path := _ask(name, version)):
            return path
    return None


def link_interpreters() -> list[str]:
    """Make a folder of links to the interpreters that work, put it first on PATH, and say which versions they are.

    nox, uv and ansible-test all look for `pythonX.Y` on PATH, and trip over one that is there but does not run.
    """
    if _FOUND in os.environ:  # by the process that started this one
        return os.environ[_FOUND].split()
    folder = CACHE / "python"
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["PATH"] = os.pathsep.join(
        entry for entry in os.environ.get("PATH", os.defpath).split(os.pathsep) if entry != str(folder)
    )
    versions = []
    for version in TARGETS:
        link = folder / f"python{version}"
        path = _find(version)
        if path is None:
            link.unlink(missing_ok=True)
            continue
        versions.append(version)
        if not link.is_symlink() or os.readlink(link) != path:
            # In one step: the environments of a run that goes on meanwhile stand on these links.
            fresh = folder / f".{os.getpid()}"
            fresh.symlink_to(path)
            fresh.replace(link)
    os.environ["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"
    os.environ[_FOUND] = " ".join(versions)
    return versions


def stay_in_checkout() -> None:
    """Point what the tools keep in a home directory into the checkout; keep what the user configured there."""
    home = Path(os.path.expanduser("~"))
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    for variable, file in (
        ("GIT_CONFIG_GLOBAL", home / ".gitconfig"),
        ("PIP_CONFIG_FILE", config / "pip" / "pip.conf"),
        ("UV_CONFIG_FILE", config / "uv" / "uv.toml"),
    ):
        if file.is_file():
            os.environ.setdefault(variable, str(file))
    if (home / ".pyenv").is_dir():
        os.environ.setdefault("PYENV_ROOT", str(home / ".pyenv"))
    for variable in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        os.environ.pop(variable, None)
    os.environ.setdefault("UV_CACHE_DIR", str(CACHE / "uv"))
    os.environ.setdefault("UV_SYSTEM_CERTS", "1")  # as pip does
    os.environ["UV_PYTHON_DOWNLOADS"] = "never"
    os.environ["UV_VENV_SEED"] = "1"
    os.environ["HOME"] = str(CACHE / "home")
    (CACHE / "home").mkdir(parents=True, exist_ok=True)


def possible(versions: list[str]) -> dict[str, str]:
    """The releases of ansible-core that run here, oldest first, each with the Python to test it on.

    That is the oldest Python for the oldest release, and the newest for the others.
    """
    chosen: dict[str, str] = {}
    for core, pythons in CORES.items():
        usable = [version for version in pythons if version in versions]
        if usable:
            chosen[core] = usable[-1] if chosen else usable[0]
    return chosen
