"""Channels one by one: the signature of a webhook, the answers of robots, the file of secrets."""

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from alerts.channel_secrets import ChannelSecrets, read_secrets
from alerts.channels.apprise import AppriseService
from alerts.channels.mail import Mail
from alerts.channels.sms import Sms
from alerts.channels.webhook import Webhook
from leadwire.errors import GatewayUnavailable, PageRejected, SettingError
from tests.contract.gateways import SECRET, http_gateway, stand
from tests.contract.test_channels import NOW, page


def test_a_receiver_can_check_that_a_webhook_is_ours_fresh_and_unchanged():
    with stand("webhook") as here:
        here.channel.send(page(here.to), NOW)
        (body,), (headers,) = here.gateway.bodies, here.gateway.asked
    stamp, mac = (part.split("=")[1] for part in headers["Leadwire-Signature"].split(","))
    assert int(stamp) == int(NOW)
    assert mac == hmac.new(SECRET.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    assert headers["Leadwire-Page"] == json.loads(body)["page"] == "w.1:500:asystole/p1"


def test_the_recipe_of_the_manual_accepts_what_is_ours_and_nothing_else(monkeypatch):
    manual = (Path(__file__).parents[2] / "docs" / "channels.md").read_text(encoding="utf-8")
    recipe: dict[str, Any] = {}
    exec(manual.split("```python\n")[1].split("```")[0], recipe)
    monkeypatch.setattr("time.time", lambda: NOW)
    with stand("webhook") as here:
        here.channel.send(page(here.to), NOW)
        (body,), (headers,) = here.gateway.bodies, here.gateway.asked
    header = headers["Leadwire-Signature"]
    assert recipe["genuine"](header, body, SECRET)
    assert not recipe["genuine"](header, body + b" ", SECRET)
    assert not recipe["genuine"](header, body, "another key")
    assert not recipe["genuine"](header.replace("t=1", "t=2"), body, SECRET)
    monkeypatch.setattr("time.time", lambda: NOW + 301)
    assert not recipe["genuine"](header, body, SECRET)
    for rubbish in ("", "t=", "v1=", "t=x,v1=y", "t=1", "é,é"):
        assert not recipe["genuine"](rubbish, body, SECRET)


def test_a_webhook_says_the_same_at_every_attempt_and_never_its_own_address():
    with stand("webhook") as here:
        for later in (0, 5):
            here.channel.send(page(here.to), NOW + later)
        first, second = here.gateway.bodies
    assert first == second
    assert SECRET.encode() not in first
    assert set(json.loads(first)) == {
        *("version", "page", "cases", "user", "language", "priority", "kind", "level"),
        *("clinic", "bed", "since", "title", "text", "link"),
    }


def test_a_patient_is_in_a_webhook_only_if_the_page_has_one():
    with stand("webhook") as here:
        here.channel.send(page(here.to, patient="李"), NOW)
        assert json.loads(here.gateway.bodies[0])["patient"] == "李"


@pytest.mark.parametrize(
    ("status", "error"),
    [(200, None), (204, None)]
    + [(n, GatewayUnavailable) for n in (408, 425, 429, 500, 502, 503, 599)]
    + [(n, PageRejected) for n in (301, 302, 307, 308, 400, 401, 403, 404, 410, 418, 422)],
)
def test_the_status_of_a_webhook_decides_what_becomes_of_a_page(status, error):
    with stand("webhook") as here:
        here.gateway.status = status
        here.gateway.answer = b"" if status == 204 else b"x"
        if error is None:
            assert here.channel.send(page(here.to), NOW).state == "delivered"
        else:
            with pytest.raises(error, match=str(status)):
                here.channel.send(page(here.to), NOW)


@pytest.mark.parametrize(("said", "waited"), [("7", 7.0), ("999999", 300.0), ("soon", 0.0), ("", 0.0)])
def test_a_gateway_s_wish_to_wait_is_heeded_within_limits(said, waited):
    with stand("webhook") as here:
        here.gateway.status, here.gateway.headers = 429, {"Retry-After": said}
        with pytest.raises(GatewayUnavailable) as caught:
            here.channel.send(page(here.to), NOW)
    assert caught.value.after_s == waited


def test_a_host_without_a_key_gets_nothing():
    with http_gateway() as gateway:
        for secrets in ({}, {"webhook:127.0.0.1": "k"}, {f"webhook:localhost:{gateway.port}": "k"}):
            with pytest.raises(PageRejected, match=r"no key for webhook:127\.0\.0\.1"):
                Webhook(ChannelSecrets(secrets)).send(page(f"http://127.0.0.1:{gateway.port}/x"), NOW)
        assert gateway.bodies == []


def test_an_answer_without_an_end_is_not_read_to_its_end():
    with stand("webhook") as here:
        here.gateway.answer = b"x" * (1 << 20)
        assert here.channel.send(page(here.to), NOW).state == "delivered"


def test_a_message_that_is_too_long_does_not_leave():
    with stand("webhook") as here:
        with pytest.raises(PageRejected, match="at most 65536"):
            here.channel.send(page(here.to, text="x" * (1 << 16)), NOW)
        assert here.gateway.bodies == []


@pytest.mark.parametrize("name", ["dingtalk", "wecom", "feishu"])
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"errcode": 0, "errmsg": "ok"}, None),
        ({"code": 0}, None),
        ({"StatusCode": 0}, None),
        ({"errcode": 130101}, GatewayUnavailable),
        ({"code": 11232}, GatewayUnavailable),
        ({"errcode": "0"}, GatewayUnavailable),
        ({"ok": True}, GatewayUnavailable),
        ([0], GatewayUnavailable),
        (None, GatewayUnavailable),
    ],
)
def test_a_robot_s_200_counts_only_with_its_code(name, answer, error):
    with stand(name) as here:
        here.gateway.answer = b"<html>" if answer is None else json.dumps(answer).encode()
        if error is None:
            assert here.channel.send(page(here.to), NOW).state == "sent"
        else:
            with pytest.raises(error) as caught:
                here.channel.send(page(here.to), NOW)
            assert caught.value.after_s >= 10


@pytest.mark.parametrize(
    ("name", "code", "why"),
    [("dingtalk", 310000, "keyword"), ("wecom", 93000, "unknown"), ("feishu", 19021, "signature")],
)
def test_a_robot_s_final_refusal_is_one(name, code, why):
    with stand(name) as here:
        here.gateway.answer = json.dumps({"code" if name == "feishu" else "errcode": code}).encode()
        with pytest.raises(PageRejected, match=why):
            here.channel.send(page(here.to), NOW)


def test_dingtalk_signs_with_the_robot_s_secret():
    with stand("dingtalk") as here:
        here.channel.send(page(here.to), NOW)
        query = parse_qs(urlsplit(here.gateway.paths[0]).query)
    stamp = query["timestamp"][0]
    assert int(stamp) == int(NOW * 1000)
    mac = hmac.new(SECRET.encode(), f"{stamp}\n{SECRET}".encode(), hashlib.sha256).digest()
    assert query["sign"] == [base64.b64encode(mac).decode()]
    assert query["access_token"] == [SECRET]


def test_feishu_signs_with_the_robot_s_secret():
    with stand("feishu") as here:
        here.channel.send(page(here.to), NOW)
        content = json.loads(here.gateway.bodies[0])
        assert here.gateway.paths == [f"/open-apis/bot/v2/hook/{SECRET}"]
    mac = hmac.new(f"{content['timestamp']}\n{SECRET}".encode(), b"", hashlib.sha256).digest()
    assert content["sign"] == base64.b64encode(mac).decode()
    assert content["content"]["text"].startswith("*** 心脏停搏")


@pytest.mark.parametrize(
    ("name", "to", "path"),
    [
        ("dingtalk", "https://oapi.dingtalk.com/robot/send?access_token=abc1", "access_token=abc1"),
        ("wecom", "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=ab-c_1", "key=ab-c_1"),
        ("feishu", "https://open.feishu.cn/open-apis/bot/v2/hook/ab-1", "hook/ab-1"),
        ("feishu", "https://open.larksuite.com/open-apis/bot/v2/hook/ab-1", "hook/ab-1"),
    ],
)
def test_a_robot_s_own_address_is_understood(name, to, path):
    with stand(name) as here:
        here.channel.send(page(to), NOW)
        assert here.gateway.paths[0].endswith(path)


@pytest.mark.parametrize("name", ["dingtalk", "wecom", "feishu"])
def test_a_robot_at_any_other_host_is_none(name):
    with stand(name) as here:
        with pytest.raises(PageRejected, match="no robot"):
            here.channel.send(page(f"https://127.0.0.1:{here.gateway.port}/robot/send?access_token=a"), NOW)
        assert here.gateway.bodies == []


def test_mail_and_sms_without_a_gateway_are_refused_with_the_way_out():
    for cls, to in ((Mail, "a@b.org"), (Sms, "13800000000")):
        with pytest.raises(PageRejected, match="channels_file"):
            cls(ChannelSecrets()).send(page(to), NOW)


def test_an_address_of_mail_adds_no_recipient_and_no_option():
    with stand("mail") as here:
        here.channel.send(page("a&to=evil@example.org"), NOW)
        assert [line.strip() for line in here.gateway.paths] != []
        assert not [line for line in here.gateway.paths if "<evil@" in line]


def test_an_sms_goes_to_the_number():
    with stand("sms") as here:
        here.channel.send(page(here.to), NOW)
        assert here.gateway.paths == ["/+8613800000000"]


def test_apprise_leaves_robots_to_their_channels_and_this_machine_alone():
    channel = AppriseService(ChannelSecrets())
    with pytest.raises(PageRejected, match="channel wecom"):
        channel.send(page("wecombot://abcdefgh"), NOW)
    with pytest.raises(PageRejected, match="this machine"):
        channel.send(page("syslog://"), NOW)
    with pytest.raises(PageRejected, match="@NAME"):
        channel.send(page("named://nobody"), NOW)


def written(folder: Path, text: str) -> str:
    file = folder / "channels"
    file.write_text(text, encoding="utf-8")
    return str(file)


def test_the_file_of_secrets_is_read(tmp_path):
    text = "# comment\n\nmail  mailtos://u:p@h?from=a@b\nwebhook:A.example.org:8443 key with blanks\n@x-1 json://h\n"
    secrets = read_secrets(written(tmp_path, text))
    assert secrets.get("mail") == "mailtos://u:p@h?from=a@b"
    assert secrets.get("webhook:a.example.org:8443") == "key with blanks"
    assert secrets.get("@x-1") == "json://h"
    assert secrets.get("sms") == ""
    assert read_secrets("").get("mail") == ""


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (f"\nmial {SECRET}", "line 2: mail, sms"),
        (f"mail\n{SECRET}", "line 1"),
        (f"{SECRET}", "line 1"),
        (f"sms json://{SECRET}", r"line 1.*\{to\}"),
        (f"mail {SECRET}\nmail {SECRET}", "line 2: mail came twice"),
        (f"webhook:a/b {SECRET}", "line 1"),
        ("x" * (2 << 20), "more than"),
    ],
)
def test_a_wrong_line_of_secrets_stops_the_start_and_is_not_quoted(tmp_path, text, why):
    with pytest.raises(SettingError, match=why) as caught:
        read_secrets(written(tmp_path, text))
    assert SECRET not in str(caught.value)


def test_a_file_of_secrets_that_is_not_there_stops_the_start(tmp_path):
    with pytest.raises(SettingError, match="No such file"):
        read_secrets(str(tmp_path / "none"))
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingError, match="UTF-8"):
        read_secrets(str(tmp_path / "binary"))
