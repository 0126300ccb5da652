"""Pages of Leadwire that are open: they show the case by themselves, and report `delivered` and `seen`."""

from alerts.channel_secrets import ChannelSecrets
from alerts.channels import channel
from alerts.channels.port import Page, Sent


@channel
class Websocket:
    """Nothing is sent from here: whoever has a page open sees the register as it grows."""

    name = "websocket"
    carries_names = True
    to_phone = False
    max_bytes = 1 << 14
    timeout_s = 1.0

    def __init__(self, secrets: ChannelSecrets) -> None:
        pass

    def gateway(self, to: str) -> str:
        return self.name

    def send(self, page: Page, now: float) -> Sent:
        return Sent()
