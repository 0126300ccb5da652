"""A robot in a Feishu (飞书) or Lark group: ``feishu://TOKEN``, ``feishu://SECRET@TOKEN``, or its address."""

import base64
import hashlib
import hmac

from alerts.channel_secrets import ChannelSecrets
from alerts.channels import channel
from alerts.channels.port import Page, Sent
from alerts.channels.robot import deliver, secret_and_token, whole_text

_TOKEN = r"(?P<token>[A-Za-z0-9_-]+)"
_FORMS = (
    rf"(?:feishu|lark)://(?:(?P<secret>[A-Za-z0-9]+)@)?{_TOKEN}/?",
    rf"https://open\.(?:feishu\.cn|larksuite\.com)/open-apis/bot/v2/hook/{_TOKEN}",
)
_NEVER = {
    19001: "the token is unknown",
    19021: "the signature does not match, or the clock is wrong",
    19022: "this address of the network is not allowed",
    19024: "the message holds none of the robot's keywords",
}


@channel
class Feishu:
    """`secret` is that of the robot's signature (签名校验). Lark's robots are at larksuite.com."""

    name = "feishu"
    carries_names = True
    to_phone = True
    max_bytes = 16_000
    timeout_s = 10.0

    def __init__(self, secrets: ChannelSecrets, api: str = "") -> None:
        self._api = api

    def gateway(self, to: str) -> str:
        return self.name

    def send(self, page: Page, now: float) -> Sent:
        secret, token = secret_and_token(page.to, _FORMS, "feishu://TOKEN or the robot's https address")
        lark = page.to.startswith("lark:") or "larksuite.com" in page.to
        api = self._api or ("https://open.larksuite.com" if lark else "https://open.feishu.cn")
        content: dict[str, object] = {"msg_type": "text", "content": {"text": whole_text(page)}}
        if secret:
            stamp = str(int(now))
            mac = hmac.new(f"{stamp}\n{secret}".encode(), b"", hashlib.sha256).digest()
            content |= {"timestamp": stamp, "sign": base64.b64encode(mac).decode()}
        deliver(f"{api}/open-apis/bot/v2/hook/{token}", content, self.timeout_s, _NEVER)
        return Sent()
