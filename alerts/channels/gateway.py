"""Apprise, wrapped: what the channels mail, sms and apprise share.

Apprise tells only whether a gateway took a message, so whatever it did not take is tried again until the
page is too old. Its log is switched off, and that of the HTTP library under it: they may quote addresses,
which hold passwords and tokens. (Apprise hides those in its log by default; that is the second lock.)
"""

import logging
from functools import cache

from apprise import Apprise, AppriseAsset

from leadwire.errors import GatewayUnavailable, PageRejected

MAIL_TIMEOUT_S = 20.0


@cache
def _asset() -> AppriseAsset:
    for name in ("apprise", "urllib3"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    asset = AppriseAsset(storage_mode="memory", service_timeout=MAIL_TIMEOUT_S, allow_templates=False)
    asset.app_id = asset.app_desc = "Leadwire"
    asset.app_url = ""
    asset.async_mode = False
    asset.http_redirects = False
    asset.pgp_autogen = asset.pem_autogen = False
    return asset


def notify(url: str, title: str, text: str, place: str) -> None:
    """Send `title` and `text` (plain) to `url`; errors call the gateway `place`, never by its address.

    Raises
    ------
    GatewayUnavailable
        The gateway did not take it.
    PageRejected
        Apprise knows no such address.
    """
    service = Apprise.instantiate(url, asset=_asset())
    if service is None:
        raise PageRejected(
            f"{place}: an address came that Apprise cannot read; docs/channels.md tells the forms"
        )
    sender = Apprise(asset=_asset())
    sender.add(service)
    result = sender.notify(body=text, title=title, body_format="text")
    if not result:
        raise GatewayUnavailable(f"{place} did not take it")
