"""What the chat robots (DingTalk, WeCom, Feishu) share: a JSON post, and an answer that must be read.

They answer a refused message with status 200 and a code in the body, which Apprise takes for a success
(2.2 does): a page nobody got would count as sent. So they are posted from here.
"""

import json
import re
from collections.abc import Collection, Mapping

from alerts.channels.port import Page
from alerts.channels.post import post, target_of
from leadwire.errors import GatewayUnavailable, PageRejected

BUSY_S = 10.0
"""Robots take about 20 messages a minute; after a refusal that is not final so many s pass, at least."""


def secret_and_token(to: str, forms: Collection[str], expected: str) -> tuple[str, str]:
    """The secret (may be empty) and the token in an address.

    Parameters
    ----------
    forms
        Patterns with the groups ``token`` and perhaps ``secret``.
    expected
        The forms in words, for the refusal.

    Raises
    ------
    PageRejected
        None of `forms` fits; nothing of the address is told.
    """
    for form in forms:
        found = re.fullmatch(form, to)
        if found:
            return found.groupdict().get("secret") or "", found["token"]
    raise PageRejected(f"an address that is no robot's came; {expected} was expected")


def deliver(url: str, content: Mapping[str, object], timeout_s: float, never: Mapping[int, str]) -> None:
    """Post `content` as JSON and read the code in the answer (``errcode``, ``code`` or ``StatusCode``).

    Parameters
    ----------
    never
        Codes that stay what they are however often one tries, and what they mean. Any other code but 0
        is tried again.

    Raises
    ------
    GatewayUnavailable, PageRejected
    """
    target = target_of(url)
    body = json.dumps(content, ensure_ascii=False).encode()
    data = post(target, body, {"Content-Type": "application/json; charset=utf-8"}, timeout_s)
    try:
        answer = json.loads(data)
    except ValueError:
        answer = None
    known = answer if isinstance(answer, dict) else {}
    code = next((known[name] for name in ("errcode", "code", "StatusCode") if name in known), None)
    if type(code) is not int:
        raise GatewayUnavailable(f"{target.place} answered without a code", BUSY_S)
    if code in never:
        raise PageRejected(f"{target.place} answered {code}: {never[code]}")
    if code != 0:
        raise GatewayUnavailable(f"{target.place} answered {code}", BUSY_S)


def whole_text(page: Page) -> str:
    """Title and text: robots show one piece."""
    return f"{page.title}\n{page.text}" if page.text else page.title
