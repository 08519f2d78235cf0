#!/usr/bin/env bash
# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Prints the newest Python that works here, has venv, and is new enough. Asks each one: a name on PATH proves nothing.
set -u
# That of a virtual environment does not count: it may be the one that is about to be made again.
check='import ensurepip, sys, venv; sys.exit(sys.prefix != sys.base_prefix or not (3, 11) <= sys.version_info < (3, 15))'
for version in 3.14 3.13 3.12 3.11 3; do
    for python in "python$version" "${PYENV_ROOT:-${HOME:-/}/.pyenv}/versions/$version".*/bin/python; do
        if "$python" -c "$check" >/dev/null 2>&1; then
            command -v "$python"
            exit 0
        fi
    done
done
echo "No Python 3.11 to 3.14 with venv was found (on Debian: apt install python3 python3-venv; on RHEL 9: dnf install python3.11)." >&2
exit 1
