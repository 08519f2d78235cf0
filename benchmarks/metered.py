# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Python of simulated hosts: runs the real one, and writes down what that costs. Ansible starts it for each module.

    metered.py PYTHON [ARGUMENTS]

Appends a line to the file of C(CKPOOL_FLEET_METER): the processor seconds of the real one, those of this program, which belong to
neither side, and with C(CKPOOL_FLEET_COUNT) the instructions of the real one, else 0. Runs with C(-IS), which starts fastest.
"""

import os
import resource
import sys


def main() -> int:
    command, count = sys.argv[1:], 0
    log = f"{os.environ['CKPOOL_FLEET_METER']}.{os.getpid()}" if os.environ.get("CKPOOL_FLEET_COUNT") else ""
    if log:
        # The order of sets and dictionaries of text is otherwise another one in each process.
        os.environ["PYTHONHASHSEED"] = "0"
        tool = [
            "valgrind",
            "--tool=cachegrind",
            "--cache-sim=no",
            "--cachegrind-out-file=/dev/null",
            f"--log-file={log}",
        ]
        command = tool + command
    status = os.spawnvp(os.P_WAIT, command[0], command)
    if log:
        with open(log, encoding="utf-8") as stream:
            count = instructions(stream.read())
        os.unlink(log)
    theirs, own = resource.getrusage(resource.RUSAGE_CHILDREN), resource.getrusage(resource.RUSAGE_SELF)
    line = f"{theirs.ru_utime + theirs.ru_stime:.6f} {own.ru_utime + own.ru_stime:.6f} {count}\n"
    file = os.open(os.environ["CKPOOL_FLEET_METER"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(file, line.encode("ascii"))  # in one piece: hosts write at the same time
    return status if status >= 0 else 128 - status


def instructions(log: str) -> int:
    """The number in what cachegrind says; 0 if it says none."""
    for line in log.splitlines():
        _process, found, number = " ".join(line.split()).partition("I refs:")
        if found:
            return int(number.replace(",", ""))
    return 0


if __name__ == "__main__":
    sys.exit(main())
