# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signals and the end of the controller, as a worker sees them."""

from __future__ import annotations

import os
import signal
import threading

import pytest
from ansible_collections.ckpool.fleet.plugins.plugin_utils._clock import Interrupted, WorkerClock


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_sleep_and_is_restored(signum: signal.Signals) -> None:
    before = signal.signal(signum, signal.SIG_DFL)  # nohup, for one, has it ignored
    try:
        with WorkerClock() as clock, pytest.raises(Interrupted, match=signum.name) as caught:
            threading.Timer(0.1, os.kill, (os.getpid(), signum)).start()
            clock.sleep(30)
        assert caught.value.signum == signum
        assert signal.getsignal(signum) == signal.SIG_DFL
    finally:
        signal.signal(signum, before)


def test_a_signal_waits_for_the_end_of_a_call_and_of_putting_back() -> None:
    with WorkerClock() as clock:
        os.kill(os.getpid(), signal.SIGINT)  # in the middle of a call
        with clock.held():
            clock.sleep(0)
            clock.check()
        with pytest.raises(Interrupted):
            clock.check()


def test_what_was_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with WorkerClock() as clock:
            os.kill(os.getpid(), signal.SIGHUP)
            clock.check()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_worker_whose_controller_is_gone_stops() -> None:
    clock = WorkerClock()
    clock.controller = -1
    with pytest.raises(Interrupted, match="the controller is gone"):
        clock.check()
