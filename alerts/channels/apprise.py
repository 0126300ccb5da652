"""Any other service that the library Apprise knows: its URL, or ``named://NAME`` of `channels_file`."""

from alerts.channel_secrets import ChannelSecrets
from alerts.channels import channel
from alerts.channels.gateway import MAIL_TIMEOUT_S, notify
from alerts.channels.port import Page, Sent
from leadwire.errors import PageRejected

_NAMED = "named"
_HERE = frozenset({"dbus", "gio", "glib", "gnome", "kde", "macosx", "qt", "syslog", "windows", "blink1"})
"""Services of the machine Leadwire runs on: nobody looks there."""
_OWN = {"dingtalk": "dingtalk", "wecombot": "wecom", "feishu": "feishu", "lark": "feishu"}


@channel
class AppriseService:
    """Sent means that the service took it; whether the person got it, it does not tell."""

    name = "apprise"
    carries_names = True
    to_phone = True
    max_bytes = 8000
    timeout_s = MAIL_TIMEOUT_S

    def __init__(self, secrets: ChannelSecrets) -> None:
        self._secrets = secrets

    def gateway(self, to: str) -> str:
        return f"{self.name} {_scheme(self._url(to))}"

    def send(self, page: Page, now: float) -> Sent:
        url = self._url(page.to)
        scheme = _scheme(url)
        if scheme in _OWN:
            raise PageRejected(
                f"{scheme}:// came for apprise; channel {_OWN[scheme]}, which reads the answer, was expected"
            )
        if scheme in _HERE:
            raise PageRejected(f"{scheme}:// came, which stays on this machine; a service was expected")
        notify(url, page.title, page.text, f"{self.name} {scheme}")
        return Sent()

    def _url(self, to: str) -> str:
        if _scheme(to) != _NAMED:
            return to
        url = self._secrets.get("@" + to.removeprefix(f"{_NAMED}://").rstrip("/"))
        if not url:
            raise PageRejected("a named:// address came that is no @NAME of channels_file")
        return url


def _scheme(url: str) -> str:
    scheme = url.partition("://")[0].lower()
    return scheme if scheme.isalnum() and len(scheme) <= 32 else "unknown"
