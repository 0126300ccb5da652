"""SMS through the gateway in `channels_file` (``sms URL`` with ``{to}``): whatever gateway Apprise knows.

Never a patient's label: the text crosses networks in the clear and stays on a screen that is locked.
"""

import re

from alerts.channel_secrets import ChannelSecrets
from alerts.channels import channel
from alerts.channels.gateway import MAIL_TIMEOUT_S, notify
from alerts.channels.port import Page, Sent
from leadwire.errors import PageRejected


@channel
class Sms:
    """At most 300 bytes: two or three parts."""

    name = "sms"
    carries_names = False
    to_phone = True
    max_bytes = 300
    timeout_s = MAIL_TIMEOUT_S

    def __init__(self, secrets: ChannelSecrets) -> None:
        self._gateway = secrets.get("sms")

    def gateway(self, to: str) -> str:
        return self.name

    def send(self, page: Page, now: float) -> Sent:
        if not self._gateway:
            raise PageRejected("no SMS gateway; a line 'sms URL' of channels_file was expected")
        number = re.sub(r"[ -]", "", page.to)
        if not re.fullmatch(r"\+?[0-9]{3,20}", number):
            raise PageRejected("an address that is no phone number came; digits were expected")
        notify(self._gateway.replace("{to}", number), page.title, page.text, self.name)
        return Sent()
