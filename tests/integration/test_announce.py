# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook announce: one message to each channel, or an error."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.test_watch import Receiver
from tests.support.ansible import Ansible, Run

MESSAGE = {"event": "block_found", "severity": "info", "text": "pool1: found block 850000", "facts": {"height": 850000}}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as made:
        yield made


def announce(ansible: Ansible, *arguments: str, **variables: Any) -> Run:
    return ansible.playbook("ckpool.fleet.announce", *arguments, variables={"watch_message": MESSAGE, **variables})


@pytest.mark.every_core
def test_a_message_goes_to_each_channel(ansible: Ansible, receiver: Receiver) -> None:
    variables = {
        "watch_webhook_url": f"{receiver.url}/hook", "watch_ntfy_url": receiver.url, "watch_ntfy_topic": "pools",
    }  # fmt: skip
    run = announce(ansible, **variables)
    assert run.status == 0, run.text
    assert receiver.take() == [MESSAGE]
    (body,) = receiver.take("/")
    assert (body["topic"], body["title"], body["message"]) == ("pools", "ckpool: block found", MESSAGE["text"])
    assert receiver.url not in run.text
    # In check mode it is not sent. Where one channel fails, the other one gets it.
    assert announce(ansible, "--check", **variables).status == 0
    assert receiver.got == []
    receiver.failures["/hook"] = 1
    run = announce(ansible, **variables)
    assert run.status == 2, run.text
    assert "not sent to webhook" in run.output
    assert len(receiver.take("/")) == 1


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"watch_webhook_url": "http://127.0.0.1:9/", "watch_message": "found a block"},
        {"watch_webhook_url": "http://127.0.0.1:9/", "watch_message": {"text": "found a block"}},
        {"watch_webhook_url": "http://127.0.0.1:9/", "watch_message": {**MESSAGE, "severity": "loud"}},
    ],
)
def test_a_wrong_call_is_an_error(ansible: Ansible, variables: dict[str, Any]) -> None:
    run = announce(ansible, **variables)
    assert run.status == 2, run.text
    assert "watch_message must be a dictionary with event, severity" in run.text
