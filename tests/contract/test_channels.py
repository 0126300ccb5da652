"""What every channel must do; it is found by itself. Each sends to a real gateway on this machine."""

import logging
import re
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import get_args

import pytest
import structlog

from alerts.channel_secrets import ChannelSecrets
from alerts.channels import channels, open_channels
from alerts.channels.port import Page, Sent
from leadwire.errors import GatewayUnavailable, PageRejected
from leadwire.network_items import CHANNEL_FORMS, ChannelName
from tests.contract.gateways import NAMES, SECRET, Stand, http_gateway, stand

NOW = 1_760_000_000.25
every_channel = pytest.mark.parametrize("name", NAMES)
every_http_channel = pytest.mark.parametrize("name", [n for n in NAMES if n != "mail"])


def page(to: str, **changes: object) -> Page:
    found = Page(
        id="w.1:500:asystole/p1",
        alerts=("w.1:500:asystole",),
        user="li.na",
        to=to,
        language="zh",
        priority="high",
        kind="asystole",
        level=0,
        clinic="Shuanghe",
        bed="3",
        since=NOW - 5,
        patient="",
        title="*** 心脏停搏：Shuanghe，3 床",
        text="自 2026-11-22 02:17:49 +08:00\nhttps://ecg.example.org/case/x",
        link="https://ecg.example.org/case/x",
    )
    return replace(found, **changes)


@pytest.fixture
def here(name: str) -> Iterator[Stand]:
    with stand(name) as found:
        yield found


def test_every_channel_of_an_address_exists_and_has_a_gateway_to_be_tried_on():
    assert set(channels()) == {*get_args(ChannelName), "websocket"}
    assert set(channels()) == {*NAMES, "websocket"}, "tests/contract/gateways.py needs a stand for it"


@pytest.mark.parametrize("name", channels())
def test_a_channel_tells_its_limits(name):
    cls = channels()[name]
    assert cls.name == name
    assert 100 <= cls.max_bytes <= 1 << 16
    assert 0 < cls.timeout_s <= 30
    assert cls.to_phone == (name != "websocket")


@every_channel
def test_the_address_a_stand_hands_out_has_the_form_that_the_network_asks_for(name, here):
    assert re.search(CHANNEL_FORMS[name][0], here.to)


@every_channel
def test_a_page_arrives_with_what_a_person_needs(name, here):
    sent = here.channel.send(page(here.to), NOW)
    assert isinstance(sent, Sent)
    assert sent.state == ("delivered" if name == "webhook" else "sent")
    assert len(here.gateway.bodies) == 1
    if name != "mail":  # its body is encoded
        assert "心脏停搏" in here.gateway.text()
        assert "https://ecg.example.org/case/x" in here.gateway.text()


@every_channel
def test_a_channel_adds_no_patient(name, here):
    here.channel.send(page(here.to), NOW)
    assert "patient" not in here.gateway.text()
    assert not {k for k in here.gateway.asked for k in k if "patient" in k.lower()}


@every_channel
def test_a_gateway_that_is_not_there_is_tried_again(name, here):
    here.channel.send(page(here.to), NOW)
    with stand(name) as other:
        pass  # it has gone: nobody listens on its port any more
    with pytest.raises(GatewayUnavailable) as caught:
        other.channel.send(page(other.to), NOW)
    assert SECRET not in str(caught.value)


@every_channel
def test_a_gateway_in_trouble_is_tried_again(name, here):
    here.gateway.status = 503
    with pytest.raises(GatewayUnavailable) as caught:
        here.channel.send(page(here.to), NOW)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("name", channels())
@pytest.mark.parametrize(
    "to", ["", "://", "x", "\x00", "http://", "javascript:alert(1)", f"x://{SECRET}", "é" * 400]
)
def test_what_is_no_address_is_refused_and_not_quoted(name, to):
    if name == "websocket":
        return
    channel = open_channels(ChannelSecrets())[name]
    with pytest.raises(PageRejected) as caught:
        channel.send(page(to), NOW)
    assert SECRET not in str(caught.value)
    with suppress(PageRejected):
        assert SECRET not in channel.gateway(to)


@every_channel
def test_no_log_and_no_name_of_a_gateway_shows_a_secret(name, here, caplog, capfd):
    with caplog.at_level(logging.DEBUG), structlog.testing.capture_logs() as lines:
        here.channel.send(page(here.to), NOW)
        here.gateway.status = 500
        with pytest.raises(GatewayUnavailable):
            here.channel.send(page(here.to), NOW)
    out, err = capfd.readouterr()
    logged = "\n".join(r.getMessage() for r in caplog.records)
    assert SECRET not in logged + out + err + str(lines) + here.channel.gateway(here.to)
    assert SECRET not in repr(ChannelSecrets({"mail": SECRET}))


@every_http_channel
def test_no_redirect_is_followed(name, here):
    with http_gateway() as elsewhere:
        here.gateway.status = 307
        here.gateway.headers = {"Location": f"http://127.0.0.1:{elsewhere.port}/"}
        with pytest.raises((GatewayUnavailable, PageRejected)):
            here.channel.send(page(here.to), NOW)
        assert elsewhere.bodies == []


@pytest.mark.parametrize("name", ["webhook", "dingtalk", "wecom", "feishu"])
@pytest.mark.parametrize("drip", [False, True], ids=["says nothing", "drips"])
def test_a_gateway_that_does_not_answer_is_left_after_the_time_limit(name, drip, here):
    here.channel.timeout_s = 0.3
    here.gateway.hold = None if drip else threading.Event()
    here.gateway.drip = drip
    try:
        with pytest.raises(GatewayUnavailable, match=r"127\.0\.0\.1:\d+: \w+"):
            here.channel.send(page(here.to), NOW)
    finally:
        if here.gateway.hold is not None:
            here.gateway.hold.set()


@every_channel
def test_one_channel_serves_several_threads(name, here):
    failed: list[BaseException] = []

    def send(n: int) -> None:
        try:
            here.channel.send(page(here.to, id=f"p{n}", title=f"title {n}"), NOW)
        except BaseException as why:
            failed.append(why)

    threads = [threading.Thread(target=send, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(here.gateway.bodies) == 6
    assert all(f"title {n}" in here.gateway.text() for n in range(6))
