"""A robot in a WeCom (企业微信) group: ``wecombot://KEY`` or its https address."""

from alerts.channel_secrets import ChannelSecrets
from alerts.channels import channel
from alerts.channels.port import Page, Sent
from alerts.channels.robot import deliver, secret_and_token, whole_text

_FORMS = (
    r"wecombot://(?P<token>[A-Za-z0-9_-]+)/?",
    r"https://qyapi\.weixin\.qq\.com/cgi-bin/webhook/send\?key=(?P<token>[A-Za-z0-9_-]+)",
)
_NEVER = {93000: "the key is unknown", 40008: "the kind of message is unknown", 44004: "the message is empty"}


@channel
class WeCom:
    """Texts hold 2048 bytes, title included. At most 20 messages a minute and robot."""

    name = "wecom"
    carries_names = True
    to_phone = True
    max_bytes = 1500
    timeout_s = 10.0

    def __init__(self, secrets: ChannelSecrets, api: str = "https://qyapi.weixin.qq.com") -> None:
        self._api = api

    def gateway(self, to: str) -> str:
        return self.name

    def send(self, page: Page, now: float) -> Sent:
        _, token = secret_and_token(page.to, _FORMS, "wecombot://KEY or the robot's https address")
        content = {"msgtype": "text", "text": {"content": whole_text(page)}}
        deliver(f"{self._api}/cgi-bin/webhook/send?key={token}", content, self.timeout_s, _NEVER)
        return Sent()
