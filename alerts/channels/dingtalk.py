"""A robot in a DingTalk (钉钉) group: ``dingtalk://TOKEN``, ``dingtalk://SECRET@TOKEN``, or its address."""

import base64
import hashlib
import hmac
from urllib.parse import urlencode

from alerts.channel_secrets import ChannelSecrets
from alerts.channels import channel
from alerts.channels.port import Page, Sent
from alerts.channels.robot import deliver, secret_and_token, whole_text

_FORMS = (
    r"dingtalk://(?:(?P<secret>[A-Za-z0-9]+)@)?(?P<token>[A-Za-z0-9]+)/?",
    r"https://oapi\.dingtalk\.com/robot/send\?access_token=(?P<token>[A-Za-z0-9]+)",
)
_NEVER = {
    310000: "its security settings (keyword, signature or address) do not allow the message",
    300001: "the token is unknown",
    300005: "the token is unknown",
    400101: "the token is empty",
    400102: "the robot is switched off",
}


@channel
class DingTalk:
    """`secret` is that of the robot's signature (加签). At most 20 messages a minute and robot."""

    name = "dingtalk"
    carries_names = True
    to_phone = True
    max_bytes = 16_000
    timeout_s = 10.0

    def __init__(self, secrets: ChannelSecrets, api: str = "https://oapi.dingtalk.com") -> None:
        self._api = api

    def gateway(self, to: str) -> str:
        return self.name

    def send(self, page: Page, now: float) -> Sent:
        secret, token = secret_and_token(page.to, _FORMS, "dingtalk://TOKEN or the robot's https address")
        query = {"access_token": token}
        if secret:
            stamp = str(int(now * 1000))
            mac = hmac.new(secret.encode(), f"{stamp}\n{secret}".encode(), hashlib.sha256).digest()
            query |= {"timestamp": stamp, "sign": base64.b64encode(mac).decode()}
        content = {"msgtype": "text", "text": {"content": whole_text(page)}}
        deliver(f"{self._api}/robot/send?{urlencode(query)}", content, self.timeout_s, _NEVER)
        return Sent()
