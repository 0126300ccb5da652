"""Mail through the server in `channels_file` (``mail mailtos://USER:PASSWORD@HOST?from=ADDRESS``)."""

from urllib.parse import quote

from alerts.channel_secrets import ChannelSecrets
from alerts.channels import channel
from alerts.channels.gateway import MAIL_TIMEOUT_S, notify
from alerts.channels.port import Page, Sent
from leadwire.errors import PageRejected


@channel
class Mail:
    """The title is the subject."""

    name = "mail"
    carries_names = True
    to_phone = True
    max_bytes = 16_000
    timeout_s = MAIL_TIMEOUT_S

    def __init__(self, secrets: ChannelSecrets) -> None:
        self._server = secrets.get("mail")

    def gateway(self, to: str) -> str:
        return self.name

    def send(self, page: Page, now: float) -> Sent:
        if not self._server.startswith(("mailto://", "mailtos://")):
            raise PageRejected("no mail server; a line 'mail mailtos://...' of channels_file was expected")
        # Nothing in an address may become a parameter of the server's.
        to = quote(page.to, safe="@")
        notify(
            f"{self._server}{'&' if '?' in self._server else '?'}to={to}", page.title, page.text, self.name
        )
        return Sent()
