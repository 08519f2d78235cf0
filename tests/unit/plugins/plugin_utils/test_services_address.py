# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the service of a host is, from its variables."""

from __future__ import annotations

import typing as t

import pytest

pytest.importorskip("ansible")

from ansible.errors import AnsibleError
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import BadInput
from ansible_collections.ckpool.fleet.plugins.plugin_utils._services.address import service_of

HTTP = "health_check_http_"


def variables(**given: t.Any) -> t.Dict[str, t.Any]:
    """Variables of a host; a name that starts with an underscore is one of those of HTTP."""
    return {f"{HTTP}{name[1:]}" if name.startswith("_") else name: value for name, value in given.items()}


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({}, "https://pool1:9333"),
        ({"ansible_host": "10.0.0.1"}, "https://10.0.0.1:9333"),
        ({"ansible_host": "10.0.0.1", "_port": 444}, "https://10.0.0.1:444"),
        ({"_port": "444"}, "https://pool1:444"),
        ({"ansible_host": "127.0.0.1"}, "http://127.0.0.1:9333"),
        ({"ansible_host": "localhost"}, "http://localhost:9333"),
        ({"ansible_host": "fd00::1"}, "https://[fd00::1]:9333"),
        ({"ansible_host": "::1"}, "http://[::1]:9333"),
        ({"_url": "https://pools.example.org"}, "https://pools.example.org:9333"),
        ({"_url": "http://pools.example.org:80/"}, "http://pools.example.org:80"),
        ({"_url": "https://pools.example.org:1/pool-1/"}, "https://pools.example.org:1/pool-1"),
        ({"_url": "https://[fd00::1]:444", "_port": 1}, "https://[fd00::1]:444"),
        ({"_url": "https://other", "ansible_host": "10.0.0.1", "_port": 1}, "https://other:1"),
    ],
)
def test_address(given: t.Dict[str, t.Any], url: str) -> None:
    assert service_of("pool1", variables(**given)).url == url


def test_how_it_is_asked() -> None:
    given = variables(_token="s3cret\n", _ca_file="/etc/ca.pem", _validate_certs="no", _timeout="2.5")
    found = service_of("pool1", given)
    assert (found.token, found.ca_file, found.verifies, found.timeout) == ("s3cret", "/etc/ca.pem", False, 2.5)
    usual = service_of("pool1", {})
    assert (usual.token, usual.ca_file, usual.verifies, usual.timeout) == (None, None, True, 10.0)


URLS: t.List[t.Any] = ["", "pool1:9333", "ftp://pool1", "https://", "https://a b", "https://[::1", 7, []]
URLS += [f"https://{rest}" for rest in ("u:secret@pool1", "pool1?token=secret", "pool1#x", "pool1?", "p:99999", "pööl")]
PORTS: t.List[t.Any] = [0, 65536, -1, "x", 1.5, True, [], "²", "9" * 5000]
TIMEOUTS: t.List[t.Any] = [0, -1, "soon", "nan", "inf", 1e9, True, [], 10**400]
WRONG: t.List[t.Dict[str, t.Any]] = [
    *({"_url": url} for url in URLS),
    *({"_port": port} for port in PORTS),
    *({"_timeout": seconds} for seconds in TIMEOUTS),
    {"_url": "https://pool1/a b"},
    {"_url": "https://pool1/\r\nX: y"},
    {"_validate_certs": "perhaps"},
    {"_ca_file": ["/etc/ca.pem"]},
    {"ansible_host": "a b"},
    {"ansible_host": "a/../b"},
    {"_url": "{{ nowhere }}"},
    {"http_api_port": 0},
    {"http_api_token": "two secret words"},
    {"health_check_sample_seconds": 40},
]


@pytest.mark.parametrize("given", WRONG)
def test_a_wrong_variable_is_refused_by_its_name(given: t.Dict[str, t.Any]) -> None:
    found = variables(**given)
    with pytest.raises(BadInput) as caught:
        service_of("pool1", found)
    name = next(iter(found))
    assert (name in caught.value.with_hint) or name == "ansible_host"
    assert "secret" not in caught.value.with_hint
    assert caught.value.with_hint.isprintable()


def test_what_a_service_should_judge_by() -> None:
    usual = {"thresholds": {}, "skip_checks": [], "socket_dirs": [], "sample_seconds": 0.0, "log_dir": "", "timeout": 2}
    assert service_of("pool1", {f"health_check_{name}": value for name, value in usual.items()}).judged_by == {}
    given = {
        "thresholds": {"workers_min": 3},
        "skip_checks": ["disk"],
        "socket_dirs": ["/run/a"],
        "log_dir": "/var/log/a",
    }
    assert service_of("pool1", {f"health_check_{name}": value for name, value in given.items()}).judged_by == given


def test_the_variables_of_the_role_that_installed_it_are_enough() -> None:
    given = {"http_api_port": 444, "http_api_token": "s3cret"}
    found = service_of("pool1", given)
    assert (found.url, found.token) == ("https://pool1:444", "s3cret")
    found = service_of("pool1", {**given, **variables(_port=445, _token="other")})
    assert (found.url, found.token) == ("https://pool1:445", "other")


@pytest.mark.parametrize(
    "token", ["two words", "line\nbreak", "t\u00f6ken", 7, ["s3cret"], "x" * 5000, "{{ s3cret }}", "\x00"]
)
def test_a_token_that_is_none_is_not_shown(token: t.Any) -> None:
    with pytest.raises(BadInput) as caught:
        service_of("pool1", variables(_token=token))
    assert f"{HTTP}token" in str(caught.value)
    assert not [word for word in ("words", "line", "s3cret", "7", "xxx") if word in caught.value.with_hint]


def test_a_token_is_not_in_the_representation() -> None:
    assert "s3cret" not in repr(service_of("pool1", variables(_token="s3cret")))


def test_a_token_does_not_leave_this_machine_unencrypted() -> None:
    with pytest.raises(BadInput, match="unencrypted"):
        service_of("pool1", variables(_url="http://10.0.0.1:9333", _token="s3cret"))
    assert service_of("pool1", variables(_url="http://127.0.0.1:9333", _token="s3cret")).token == "s3cret"
    assert service_of("pool1", variables(_url="http://10.0.0.1:9333")).token is None


class Failing(t.Dict[str, t.Any]):
    """Variables whose templates fail when they are read."""

    def __getitem__(self, name: str) -> t.Any:
        raise AnsibleError(f"no filter named 'x' in {super().__getitem__(name)}")


@pytest.mark.parametrize("name", ["token", "url"])
def test_a_template_that_fails_is_said_without_the_token(name: str) -> None:
    with pytest.raises(BadInput, match=f"{HTTP}{name} cannot be templated") as caught:
        service_of("pool1", Failing({f"{HTTP}{name}": "{{ 's3cret' | x }}"}))
    assert ("s3cret" in caught.value.with_hint) == (name != "token")
