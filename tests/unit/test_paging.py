"""From register lines to messages and receipts: who gets what, and what it says."""

import pytest

from alerts import commands
from alerts.channels.port import Sent
from alerts.outbox import OutboxLimits
from alerts.paging import Step
from leadwire.case import Command, Line
from leadwire.network import Address, to_item
from leadwire.story import apply
from tests.unit.paging_world import (
    CASE,
    CHANNELS,
    HOOK,
    MAIL,
    P1,
    SMS,
    T,
    as_entry,
    entry,
    network,
    page_line,
    paging,
    raised,
    requested,
    user,
)


def test_a_page_goes_to_every_address_of_its_person():
    found = paging(network(user("li", HOOK, SMS, HOOK)), raised(), requested(P1))
    jobs = found.on_time(T + 0.1).jobs
    assert [(j.channel, j.page.to) for j in jobs] == [
        ("webhook", HOOK.to),
        ("sms", SMS.to),
        ("webhook", HOOK.to),
    ]
    assert {j.page.id for j in jobs} == {P1}


def test_a_message_says_what_where_since_when_and_the_way_to_the_case_in_its_reader_s_language():
    for language, words in (
        ("zh", ["*** 心脏停搏：Shuanghe，3 床", "自 2025-10-09 16:53:20 +0800 起", f"病例号 {CASE}"]),
        ("en", ["*** Asystole: Shuanghe, bed 3", "Since 2025-10-09 16:53:20 +0800", f"Case {CASE}"]),
    ):
        found = paging(network(user("li", HOOK, language=language)), raised(), requested(P1))
        (job,) = found.on_time(T).jobs
        lines = [job.page.title, *job.page.text.splitlines()]
        assert [w for w in words if w not in lines] == []
        assert job.page.link in lines
        assert job.page.link == "https://ecg.example.org/desk#w.1%3A500%3Aasystole"
        assert (job.page.clinic, job.page.bed, job.page.since) == ("Shuanghe", "3", T)


@pytest.mark.parametrize(
    ("address", "told"),
    [
        (HOOK, False),
        (Address(channel="webhook", to=HOOK.to, names_allowed=True), True),
        (MAIL, True),
        (SMS, False),  # a channel that carries no names at all
    ],
)
def test_a_patient_is_named_only_where_address_and_channel_may_carry_it(address, told):
    found = paging(network(user("li", address)), raised(), requested(P1))
    (job,) = found.on_time(T).jobs
    assert ("李" in f"{job.page.title}{job.page.text}{job.page.patient}") == told


def test_every_text_fits_its_channel():
    long = raised(clinic="诊" * 128, bed="床" * 128, patient="李" * 128)
    found = paging(network(user("li", SMS, MAIL, HOOK)), long, requested(P1))
    for job in found.on_time(T).jobs:
        assert len(job.page.text.encode()) <= CHANNELS[job.channel].max_bytes


@pytest.mark.parametrize(
    ("kind", "first"),
    [
        ("exhausted", "无人应答"),
        ("test", "测试报警：不涉及患者"),
        ("alarm", "自 20"),
        ("never heard of", "自 20"),
    ],
)
def test_a_page_says_why_it_is_sent(kind, first):
    found = paging(network(user("li", HOOK)), raised(), requested(P1, kind=kind))
    (job,) = found.on_time(T).jobs
    assert job.page.text.startswith(first)


def test_a_case_that_grew_worse_is_told_as_what_it_is_now():
    worse = raised(kind="ventricular_fibrillation").lines[0]
    up = entry(CASE, Line(line="condition", state="upgraded", data=worse.data), at=T + 5)
    found = paging(network(user("li", HOOK, language="en")), raised(), up, requested(P1, at=T + 5))
    (job,) = found.on_time(T + 5).jobs
    assert job.page.title == "*** Ventricular fibrillation: Shuanghe, bed 3"
    assert job.page.since == T


def test_a_case_whose_beginning_is_not_known_is_told_by_its_id():
    found = paging(network(user("li", HOOK, language="en")), requested(P1))
    (job,) = found.on_time(T).jobs
    assert job.page.title.startswith("*** Asystole")
    assert CASE in job.page.text


def receipts(step: Step) -> list[tuple[str, str, str]]:
    return [
        (r.data.get("channel", ""), r.data["state"], r.data.get("detail", "").split(":")[0])
        for r in step.receipts
    ]


def test_outcomes_become_receipts_with_ids_derived_from_page_channel_and_state():
    def run() -> list[Command]:
        found = paging(network(user("li", HOOK, SMS)), raised(), requested(P1))
        hook, sms = found.on_time(T).jobs
        steps = [
            found.on_sent(hook, Sent("delivered"), T + 1),
            found.on_rejected(sms, "no SMS gateway", T + 1),
        ]
        assert receipts(steps[0]) == [("webhook", "sent", ""), ("webhook", "delivered", "")]
        assert receipts(steps[1]) == [("sms", "not_sent", "rejected")]
        assert found.waiting == 0
        return [r for s in steps for r in s.receipts]

    first = run()
    assert all(r.alert == CASE and r.action == "receipt" and r.data["page"] == P1 for r in first)
    assert [r.id for r in first] == [r.id for r in run()]
    assert len({r.id for r in first}) == 3


def test_a_page_has_failed_only_when_its_last_hope_has():
    found = paging(network(user("li", HOOK, SMS, SMS)), raised(), requested(P1))
    hook, first, second = found.on_time(T).jobs
    assert receipts(found.on_rejected(first, "no", T)) == [("sms", "not_sent", "rejected")]
    assert receipts(found.on_rejected(hook, "no", T)) == [("webhook", "not_sent", "rejected")]
    assert receipts(found.on_rejected(second, "no", T)) == [("sms#2", "failed", "rejected")]


def test_a_page_that_was_shown_has_not_failed_whatever_a_channel_says():
    found = paging(network(user("li", SMS)), raised(), requested(P1))
    (job,) = found.on_time(T).jobs
    found.on_entry(page_line(P1, "delivered", channel="websocket"))
    assert receipts(found.on_rejected(job, "no", T)) == [("sms", "not_sent", "rejected")]


def test_an_outcome_in_the_register_ends_what_still_waits_for_another_attempt():
    found = paging(network(user("li", HOOK, HOOK)), raised(), requested(P1))
    for job in found.on_time(T).jobs:
        found.on_failed(job, "503", T)
    found.on_entry(page_line(P1, "sent", channel="webhook#2"))
    assert [j.dispatch.deliveries[0].number for j in found.on_time(T + 5).jobs] == [1]


def test_receipts_are_what_the_desk_reads():
    net = network(user("li", HOOK, SMS))
    found = paging(net, raised(), requested(P1))
    case = apply(apply(None, raised()), requested(P1))
    hook, sms = found.on_time(T).jobs
    for step in (found.on_rejected(sms, "no", T + 1), found.on_sent(hook, Sent("delivered"), T + 1)):
        for receipt in step.receipts:
            assert commands.read(receipt, commands.Receipt).page == P1
            case = apply(case, as_entry(receipt))
    assert case.pages[P1].state == "delivered"


def test_a_person_without_an_address_is_reached_on_the_pages_only():
    found = paging(network(user("li")), raised(), requested(P1))
    (job,) = found.on_time(T).jobs
    assert job.channel == "websocket"
    assert receipts(found.on_sent(job, CHANNELS["websocket"].send(job.page, T), T)) == [
        ("websocket", "sent", "")
    ]


@pytest.mark.parametrize("kind", ["unwatched", "role_silent", "queue_lag"])
def test_that_nobody_watches_goes_to_a_phone_or_is_no_address(kind):
    case = f"leadwire.watch.x:1:{kind}"
    both = (raised(case, kind=kind), requested(f"{case}/p1"))
    (job,) = paging(network(user("li", SMS)), *both).on_time(T).jobs
    assert job.channel == "sms"
    step = paging(network(user("li")), *both).on_time(T)
    assert step.jobs == ()
    assert receipts(step) == [("", "failed", "no_address")]


def test_a_part_of_leadwire_that_is_silent_is_named():
    case = "leadwire.watch.role.dsp:1:role_silent"
    silent = raised(case, kind="role_silent", clinic="", bed="", patient="", device="dsp")
    (job,) = paging(
        network(user("li", SMS, language="en")), silent, requested(f"{case}/p1")
    ).on_time(T).jobs  # fmt: skip
    assert job.page.title == "*** A part of Leadwire is silent: dsp"


def test_a_person_who_is_not_known_yet_is_waited_for():
    net = network()
    found = paging(net, raised(), requested(P1))
    assert found.on_time(T).receipts == ()
    net.apply(to_item(user("li", HOOK), key="k", at=T))
    assert [j.channel for j in found.on_time(T + 1).jobs] == ["webhook"]


@pytest.mark.parametrize(
    "net", [network(), network(user("li", HOOK, active=False))], ids=["unknown", "closed"]
)
def test_a_person_who_stays_unknown_or_whose_account_is_closed_has_no_address(net):
    found = paging(net, raised(), requested(P1))
    found.on_time(T)
    assert receipts(found.on_time(T + 6)) == [("", "failed", "no_address")]
    assert found.on_time(T + 7).receipts == ()


def test_an_address_that_was_taken_away_while_a_message_waited_is_not_used():
    net = network(user("li", HOOK))
    found = paging(net, raised(), requested(P1))
    (job,) = found.on_time(T).jobs
    found.on_failed(job, "503", T)
    net.apply(to_item(user("li", SMS), key="k2", at=T))
    step = found.on_time(T + 5)
    assert step.jobs == ()
    assert receipts(step) == [("webhook", "failed", "rejected")]


def test_cancelled_pages_are_not_sent_and_need_no_receipt():
    found = paging(network(user("li", HOOK)), raised(), requested(P1))
    found.on_entry(page_line(P1, "cancelled"))
    step = found.on_time(T)
    assert (step.jobs, step.receipts) == ((), ())
    again = paging(network(user("li", HOOK)), raised(), requested(P1))
    (job,) = again.on_time(T).jobs
    gone = again.on_entry(page_line(P1, "cancelled"))
    assert gone == (), "it is under way"
    assert again.on_failed(job, "no", T + 1).unsent[0].reason == "cancelled"


def test_the_same_request_twice_is_one_message():
    found = paging(network(user("li", HOOK)), raised(), requested(P1), requested(P1))
    assert len(found.on_time(T).jobs) == 1
    found.on_entry(requested(P1))
    assert found.on_time(T).jobs == ()


def test_a_flood_becomes_a_summary_without_names_that_links_to_all_cases():
    entries = []
    for n in range(15):
        case = f"w.{n}:1:tachycardia"
        entries += [raised(case, kind="tachycardia", bed=str(n), at=T + n / 100)]
        entries += [requested(f"{case}/p1", priority="medium", at=T + n / 100)]
    found = paging(network(user("li", MAIL, language="en")), *entries, limits=OutboxLimits(lanes=50))
    step = found.on_time(T + 1)
    assert len(step.jobs) == 10
    assert len(step.held) == 5
    for job in step.jobs:
        found.on_sent(job, Sent(), T + 1)
    (job,) = found.on_time(T + 70).jobs
    assert job.page.title == "** 5 messages in one"
    assert "** Tachycardia: Shuanghe, bed 14" in job.page.text
    assert job.page.text.endswith("https://ecg.example.org/desk")
    assert "李" not in job.page.text + job.page.patient
    assert len(job.page.alerts) == 5
    made = found.on_sent(job, Sent(), T + 71).receipts
    assert len(made) == 5
    assert all("storm_limited" in r.data["detail"] for r in made)


def test_a_summary_that_is_too_long_says_how_much_it_leaves_out():
    entries = []
    for n in range(60):
        case = f"w.{n}:1:tachycardia"
        entries += [raised(case, kind="tachycardia"), requested(f"{case}/p1", priority="medium")]
    found = paging(network(user("li", SMS, language="en")), *entries, limits=OutboxLimits(per_person=1))
    found.on_time(T)
    (job,) = [j for j in found.on_time(T + 61).jobs if len(j.page.alerts) > 1]
    assert len(job.page.text.encode()) <= CHANNELS["sms"].max_bytes
    shown = sum("Tachycardia" in line for line in job.page.text.splitlines())
    assert f"and {59 - shown} more" in job.page.text


def test_pages_of_long_ago_that_were_never_reported_are_given_up_by_name_and_the_others_forgotten():
    old = T - 86_400
    found = paging(
        network(user("li", HOOK)),
        raised(at=old),
        requested(f"{CASE}/p0", at=old),
        page_line(f"{CASE}/p0", "sent", at=old, channel="webhook"),
        requested(P1, at=old + 5),
        requested(f"{CASE}/p2", at=T - 10),
    )
    step = found.on_time(T)
    assert [j.page.id for j in step.jobs] == [f"{CASE}/p2"]
    assert [(r.data["page"], r.data["detail"]) for r in step.receipts] == [(P1, "expired")]
