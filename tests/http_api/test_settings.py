# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration: what is wrong with one is said in one sentence, with exit status 2."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from tests.http_api.test_gate import certificate, token_file
from tests.support.http_service import HttpService


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"colour": 1}, "'colour' is not a setting"),
        ({"port": 0}, "port has to be a whole number from 1 to 65535"),
        ({"port": "9333"}, "port has to be a whole number"),
        ({"port": True}, "port has to be"),
        ({"timeout": 0}, "timeout has to be a number from 0.1 to 60"),
        ({"cache_seconds": 0.5}, "cache_seconds has to be a number from 1 to 3600"),
        ({"listen": "example.com"}, "listen has to be an IP address"),
        ({"listen": None}, "listen has to be text"),
        ({"listen": "0.0.0.0"}, "needs token_file, tls_certificate and tls_key"),
        ({"listen": "::"}, "needs token_file, tls_certificate and tls_key"),
        ({"log_dir": "logs"}, "log_dir has to be an absolute path"),
        ({"socket_dirs": "/tmp"}, "socket_dirs has to be a list"),
        ({"socket_dirs": [1]}, "socket_dirs has to be a list of texts"),
        ({"token_file": "/nonexistent/token"}, "/nonexistent/token cannot be read"),
        ({"tls_certificate": "/a"}, "tls_certificate and tls_key go together"),
        ({"tls_certificate": "/nonexistent/a", "tls_key": "/nonexistent/b"}, "tls_certificate /nonexistent/a"),
        ({"thresholds": {"x": 1}}, "thresholds.x is not a threshold"),
        ({"thresholds": {"work_age_critical": "old"}}, "thresholds.work_age_critical has to be a number"),
        ({"thresholds": {"work_age_critical": -1}}, "thresholds.work_age_critical must be from"),
        ({"thresholds": {"hashrate_min": "much"}}, "thresholds.hashrate_min is"),
        ({"skip_checks": ["everything"]}, "which is not a check"),
        ({"metrics_public": 1}, "metrics_public has to be true or false"),
        ({"top_users": 1001}, "top_users has to be"),
        ({"max_body": 1.5}, "max_body has to be a whole number"),
    ],
)
def test_what_is_wrong_is_named(home: Path, settings: t.Dict[str, t.Any], words: str) -> None:
    done = HttpService(home, **settings).check()
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


@pytest.mark.parametrize("text", ["", "[]", "{", "null", "[" * 60000, '{"port": 1' + " " * 70000 + "}"])
def test_a_file_that_is_none(home: Path, text: str) -> None:
    service = HttpService(home)
    service.config.write_text(text)
    done = service.check(write=False)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


def test_a_file_that_others_may_write(home: Path) -> None:
    service = HttpService(home)
    service.write()
    service.config.chmod(0o666)
    assert "others may not write to it" in service.check(write=False).stderr


def test_a_token_that_all_can_read_or_that_is_short(home: Path) -> None:
    path = token_file(home, mode=0o644)
    assert "may be read by every user" in HttpService(home, token_file=str(path)).check().stderr
    token_file(home, "short")
    assert "16 to 512" in HttpService(home, token_file=str(path)).check().stderr


def test_a_good_one(home: Path) -> None:
    settings = {"listen": "::", "token_file": str(token_file(home)), **certificate(home)}
    thresholds = {"hashrate_min": "1.5P", "work_age_critical": 120}
    done = HttpService(home, **settings, thresholds=thresholds, skip_checks=["disk"]).check()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
