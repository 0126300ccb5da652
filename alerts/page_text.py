"""What a person reads when they are paged, in their language. Pure.

The patient's label is in it only if the caller hands it over; whether it may be is decided in `paging.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from urllib.parse import quote

from alerts.channels.port import Page
from leadwire.catalogue import CATALOGUE, text
from leadwire.model import Priority
from leadwire.network import User

MARK: dict[Priority, str] = {"high": "***", "medium": "**", "low": "*"}
"""IEC 60601-1-8's marks: priority without colour and without sound."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a page is about.

    `why` is the reason of the page (alarm, exhausted, clinic_overdue ...), `kind` the condition. `since`
    in s since 1970. `patient` empty: it must not be told, or is not known.
    """

    alert: str
    kind: str
    why: str
    priority: Priority
    clinic: str
    bed: str
    since: float
    patient: str = ""


def link_to(public_url: str, alert: str = "") -> str:
    """Where the case (all cases) is shown; empty if nobody said where the pages are."""
    place = f"#{quote(alert, safe='')}" if alert else ""
    return f"{public_url.rstrip('/')}/desk{place}" if public_url else ""


def title_of(subject: Subject, language: str) -> str:
    """One line: how urgent, what, where."""
    key = "page.title" if subject.bed else "page.title_no_bed"
    values = {"clinic": subject.clinic, "bed": subject.bed} if subject.bed else {"clinic": subject.clinic}
    return text(
        key, language, mark=MARK[subject.priority], kind=text(f"kind.{subject.kind}", language), **values
    )


def text_of(subject: Subject, language: str, zone: tzinfo, link: str, max_bytes: int) -> str:
    """The rest, as many lines as fit into `max_bytes` of UTF-8, the most important first."""
    lines = [text(f"page.why.{subject.why}", language)] if f"page.why.{subject.why}" in CATALOGUE else []
    if subject.patient:
        lines.append(text("page.patient", language, patient=subject.patient))
    lines.append(text("page.since", language, time=_time(subject.since, zone)))
    if link:
        lines.append(link)
    lines.append(text("page.case", language, case=subject.alert))
    return fitting(lines, max_bytes)


def summary_title(subjects: Sequence[Subject], language: str) -> str:
    """One line for several pages: how many, and how urgent the most urgent is."""
    return text("page.summary", language, mark=MARK[subjects[0].priority], n=len(subjects))


def summary_text(subjects: Sequence[Subject], language: str, zone: tzinfo, link: str, max_bytes: int) -> str:
    """One line a page, the most urgent first, and how many lines did not fit."""
    lines = [f"{title_of(s, language)} ({_time(s.since, zone)})" for s in subjects]
    room = max_bytes - len(link.encode()) - 1
    shown = fitting(lines, room)
    missing = len(lines) - len(shown.splitlines())
    if missing:
        more = text("page.more", language, n=missing)
        while shown and len(f"{shown}\n{more}".encode()) > room:
            missing += 1
            shown = "\n".join(shown.splitlines()[:-1])
            more = text("page.more", language, n=missing)
        shown = f"{shown}\n{more}" if shown else more
    return f"{shown}\n{link}" if link else shown


def fitting(lines: Sequence[str], max_bytes: int) -> str:
    """The first of `lines` that together fit into `max_bytes` of UTF-8, without those that do not fit."""
    shown: list[str] = []
    left = max_bytes
    for line in lines:
        size = len(line.encode()) + bool(shown)
        if size <= left:
            shown.append(line)
            left -= size
    return "\n".join(shown)


def compose(
    subjects: Sequence[Subject],
    *,
    name: str,
    level: int,
    user: User,
    to: str,
    names: bool,
    max_bytes: int,
    public_url: str,
    zone: tzinfo,
) -> Page:
    """The message `name` to `user` about `subjects`, the most urgent first; several make a summary.

    Parameters
    ----------
    level
        Of the escalation.
    to, names, max_bytes
        The address, whether it may carry a patient's label (a summary never does), and the longest text.
    """
    names = names and len(subjects) == 1
    head = subjects[0] if names else replace(subjects[0], patient="")
    language = user.language
    if len(subjects) == 1:
        link = link_to(public_url, head.alert)
        title, body = title_of(head, language), text_of(head, language, zone, link, max_bytes)
    else:
        link = link_to(public_url)
        title = summary_title(subjects, language)
        body = summary_text(subjects, language, zone, link, max_bytes)
    return Page(
        id=name,
        alerts=tuple(dict.fromkeys(s.alert for s in subjects)),
        user=user.id,
        to=to,
        language=language,
        priority=head.priority,
        kind=head.kind,
        level=level,
        clinic=head.clinic,
        bed=head.bed,
        since=head.since,
        patient=head.patient,
        title=title,
        text=body,
        link=link,
    )


def _time(at: float, zone: tzinfo) -> str:
    return datetime.fromtimestamp(at, zone).strftime("%Y-%m-%d %H:%M:%S %z")
