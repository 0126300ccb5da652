"""Paging killed anywhere, receipts in any order: every page arrives or has a reason."""

from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.channels.port import Sent
from alerts.paging import Job, Step
from leadwire.case import Command, RegisterEntry
from tests.unit.paging_world import (
    CASE,
    HOOK,
    MAIL,
    SMS,
    T,
    as_entry,
    network,
    page_line,
    paging,
    raised,
    requested,
    user,
)

# What may happen, in any order. "kill" loses everything but the register.
ACTS = st.lists(
    st.sampled_from(["page", "low", "sent", "failed", "rejected", "cancel", "time", "long", "tell", "kill"]),
    max_size=60,
)


@settings(deadline=None)
@given(acts=ACTS, data=st.data())
def test_killed_anywhere_with_receipts_in_any_order_every_page_arrives_or_has_a_reason(acts, data):
    net = network(user("li", HOOK, SMS), user("wang", MAIL))
    register: list[RegisterEntry] = [raised()]
    said: list[Command] = []  # receipts on their way to the desk
    arrived: set[tuple[str, str]] = set()
    reasons: dict[tuple[str, str], str] = {}
    asked: dict[str, str] = {}
    cancelled: set[str] = set()
    flying: list[Job] = []
    now = T
    found = paging(net, *register)

    def write(e: RegisterEntry) -> None:
        register.append(e)
        found.on_entry(e)

    def heard(step: Step) -> None:
        said.extend(step.receipts)
        flying.extend(step.jobs)
        for job in step.jobs:
            if job.page.priority == "high":
                assert len(job.dispatch.deliveries) == 1, "high priority leaves alone"
            for d in job.dispatch.deliveries:
                done = {
                    (e.lines[0].data["page"], e.lines[0].data["channel"]) for e in register if is_outcome(e)
                }
                assert (d.page, d.channel) not in done, "what the register knows to be done is not done again"
        for unsent in step.unsent:
            reasons[unsent.delivery.page, unsent.delivery.channel] = unsent.reason

    def land(how: str) -> None:
        job = flying.pop(data.draw(st.integers(0, len(flying) - 1)))
        if how == "sent":
            arrived.update((d.page, d.channel) for d in job.dispatch.deliveries)
            heard(found.on_sent(job, Sent(), now))
        elif how == "failed":
            heard(found.on_failed(job, "no", now))
        else:
            heard(found.on_rejected(job, "never", now))

    def tell() -> None:
        """The desk writes some of what was said, in any order."""
        for receipt in data.draw(st.permutations(said)):
            write(as_entry(receipt))
        said.clear()

    for act in acts:
        if act in ("page", "low"):
            page = f"{CASE}/p{len(asked)}"
            who = data.draw(st.sampled_from(["li", "wang"]))
            asked[page] = who
            write(requested(page, who, at=now, priority="high" if act == "page" else "low"))
        elif act in ("sent", "failed", "rejected") and flying:
            land(act)
        elif act == "cancel" and asked:
            page = data.draw(st.sampled_from(sorted(asked)))
            cancelled.add(page)
            write(page_line(page, "cancelled", at=now))
        elif act in ("time", "long"):
            now += 1.0 if act == "time" else 61.0
            heard(found.on_time(now))
        elif act == "tell":
            tell()
        elif act == "kill":
            flying.clear()
            if data.draw(st.booleans()):  # else they were on their way already
                said.clear()
            found = paging(net, *register)

    # At last everything works again, and nobody is killed any more.
    for _ in range(60):
        heard(found.on_time(now))
        while flying:
            land("sent")
        tell()
        now += 30.0
    assert found.waiting == 0
    for page, who in asked.items():
        for channel in ("webhook", "sms") if who == "li" else ("mail",):
            assert (page, channel) in arrived or (page, channel) in reasons or page in cancelled


def is_outcome(e: RegisterEntry) -> bool:
    return e.lines[0].line == "page" and e.lines[0].state in ("sent", "failed", "not_sent")
