"""The outbox on a clock held in the hand: retries, lanes, storm limits, a reason for what is not sent."""

from itertools import pairwise

import pytest

from alerts.outbox import Delivery, Outbox, OutboxLimits, Unsent

T = 1_760_000_000.0
LIMITS = OutboxLimits()


def delivery(page: str, **changes: object) -> Delivery:
    fields = {
        "page": page,
        "alert": "case",
        "channel": "webhook",
        "number": 1,
        "user": "li",
        "clinic": "c",
        "priority": "medium",
        "gateway": "g",
        "asked_at": T,
    }
    return Delivery(**fields | changes)


def pages(turn) -> list[list[str]]:
    return [[d.page for d in dispatch.deliveries] for dispatch in turn.send]


def sent_until(outbox: Outbox, start: float, end: float, step: float = 0.5) -> list[tuple[float, list[str]]]:
    """Let every gateway take everything; when what left."""
    found = []
    now = start
    while now <= end:
        for dispatch in outbox.on_time(now).send:
            outbox.taken(dispatch.id)
            found.append((now - T, [d.page for d in dispatch.deliveries]))
        now += step
    return found


def test_a_page_leaves_at_once_and_only_once():
    outbox = Outbox()
    assert outbox.want(delivery("p"))
    assert not outbox.want(delivery("p")), "it is in the outbox already"
    (dispatch,) = outbox.on_time(T).send
    assert outbox.on_time(T + 1).send == ()
    assert [d.page for d in outbox.taken(dispatch.id)] == ["p"]
    assert outbox.taken(dispatch.id) == ()
    assert len(outbox) == 0
    assert outbox.on_time(T + 2).send == ()


def attempts(outbox: Outbox, until: float) -> list[float]:
    found, now = [], T
    while now < T + until:
        for dispatch in outbox.on_time(now).send:
            found.append(now - T)
            outbox.failed(dispatch.id, dispatch.attempt, "no", now)
        now += 0.25
    return found


def test_waits_double_up_to_a_limit_and_differ_between_pages_but_not_between_runs():
    waits = {}
    for page in ("p", "q", "p"):
        outbox = Outbox()
        outbox.want(delivery(page))
        times = attempts(outbox, 300)
        found = [b - a for a, b in pairwise(times)]
        assert waits.setdefault(page, found) == found
        for n, wait in enumerate(found):
            expected = min(LIMITS.most_s, LIMITS.first_s * 2**n)
            assert expected <= wait <= 1.25 * expected + 0.25
    assert waits["p"] != waits["q"]


def test_high_priority_is_tried_again_sooner():
    counted = {}
    for priority in ("high", "low"):
        outbox = Outbox()
        outbox.want(delivery("p", priority=priority))
        counted[priority] = len(attempts(outbox, 600))
    assert counted["high"] > 2 * counted["low"]


def test_a_gateway_s_wish_to_wait_is_kept():
    outbox = Outbox()
    outbox.want(delivery("p"))
    (dispatch,) = outbox.on_time(T).send
    outbox.failed(dispatch.id, dispatch.attempt, "429", T, after_s=120)
    assert outbox.on_time(T + 119).send == ()
    assert pages(outbox.on_time(T + 120)) == [["p"]]


def test_what_nobody_takes_is_given_up_with_the_last_reason():
    outbox = Outbox()
    outbox.want(delivery("p"))
    attempts(outbox, LIMITS.expire_s - 1)
    (unsent,) = outbox.on_time(T + LIMITS.expire_s + 1).unsent
    assert (unsent.reason, unsent.detail) == ("expired", "no")
    assert len(outbox) == 0


def test_what_is_refused_is_not_tried_again():
    outbox = Outbox()
    outbox.want(delivery("p"))
    (dispatch,) = outbox.on_time(T).send
    assert outbox.refused(dispatch.id, "no key") == (Unsent(delivery("p"), "rejected", "no key"),)
    assert outbox.on_time(T + 1000).send == ()


def test_an_attempt_of_which_nothing_is_heard_is_made_again_and_its_late_word_still_counts():
    outbox = Outbox()
    outbox.want(delivery("p"))
    (first,) = outbox.on_time(T).send
    assert outbox.on_time(T + LIMITS.hang_s).send == ()
    outbox.on_time(T + LIMITS.hang_s + 0.5)
    (second,) = outbox.on_time(T + LIMITS.hang_s + 3).send
    assert (second.id, second.attempt) == (first.id, 2)
    assert outbox.failed(first.id, first.attempt, "late", T + 65) == ()
    assert outbox.on_time(T + 66).send == (), "the late word of the first attempt does not end the second"
    assert len(outbox.taken(first.id)) == 1


def test_a_slow_gateway_holds_up_no_other_and_keeps_lanes_for_high_priority():
    outbox = Outbox()
    for n in range(5):
        outbox.want(delivery(f"slow{n}", gateway="slow", user=f"u{n}"))
    assert len(outbox.on_time(T).send) == LIMITS.lanes
    outbox.want(delivery("other", gateway="fast", user="v"))
    assert pages(outbox.on_time(T + 1)) == [["other"]]
    for n in range(5):
        outbox.want(delivery(f"red{n}", gateway="slow", user=f"u{n}", priority="high"))
    assert len(outbox.on_time(T + 2).send) == LIMITS.lanes_high - LIMITS.lanes


def test_the_most_urgent_leaves_first_then_the_oldest():
    outbox = Outbox(OutboxLimits(lanes=1, lanes_high=1))
    for page, priority, at in (
        ("a", "low", T),
        ("b", "medium", T + 1),
        ("c", "high", T + 2),
        ("d", "high", T),
    ):
        outbox.want(delivery(page, priority=priority, asked_at=at, user=page))
    assert [p for _, p in sent_until(outbox, T + 3, T + 6)] == [["d"], ["c"], ["b"], ["a"]]


def test_cancelled_pages_do_not_leave():
    outbox = Outbox()
    outbox.want(delivery("p"))
    outbox.want(delivery("p", number=2))
    outbox.want(delivery("q"))
    assert {(u.reason, u.delivery.number) for u in outbox.cancel("p")} == {("cancelled", 1), ("cancelled", 2)}
    assert pages(outbox.on_time(T)) == [["q"]]
    assert outbox.cancel("never heard of") == ()


@pytest.mark.parametrize("taken", [True, False])
def test_what_is_under_way_when_it_is_cancelled_is_told_if_it_arrives_and_not_tried_again(taken):
    outbox = Outbox()
    outbox.want(delivery("p"))
    (dispatch,) = outbox.on_time(T).send
    assert outbox.cancel("p") == ()
    if taken:
        assert [d.page for d in outbox.taken(dispatch.id)] == ["p"]
    else:
        (gone,) = outbox.failed(dispatch.id, 1, "no", T + 1)
        assert gone.reason == "cancelled"
    assert len(outbox) == 0
    assert outbox.on_time(T + 100).send == ()


def test_a_flood_to_one_person_becomes_summaries_and_nobody_else_waits():
    outbox = Outbox()
    for n in range(30):
        outbox.want(delivery(f"p{n:02}", asked_at=T + n / 100))
    outbox.want(delivery("other", user="wang"))
    turn = outbox.on_time(T + 1)
    assert len(turn.held) == 30 - LIMITS.per_person
    for dispatch in turn.send:
        outbox.taken(dispatch.id)
    rest = sent_until(outbox, T + 1, T + 300)
    alone = [p for _, p in rest if len(p) == 1]
    assert len(alone) + len(turn.send) == LIMITS.per_person + 1
    ((when, summary),) = [(t, p) for t, p in rest if len(p) > 1]
    assert summary == [f"p{n:02}" for n in range(10, 30)]
    assert when == pytest.approx(1 + LIMITS.group_s)


def test_a_flood_from_one_clinic_becomes_summaries_too():
    outbox = Outbox()
    for n in range(100):
        outbox.want(delivery(f"p{n}", user=f"u{n % 20}", gateway=f"g{n}"))
    outbox.want(delivery("elsewhere", user="u0", clinic="d", gateway="h"))
    turn = outbox.on_time(T)
    assert ["elsewhere"] in pages(turn)
    assert len(turn.send) == LIMITS.per_clinic + 1
    assert len(turn.held) == 40


def test_high_priority_is_never_held_back():
    outbox = Outbox()
    for n in range(50):
        outbox.want(delivery(f"low{n}", priority="low"))
    outbox.on_time(T)
    for n in range(50):
        outbox.want(delivery(f"red{n}", priority="high", gateway=f"g{n}"))
    turn = outbox.on_time(T + 1)
    assert turn.held == ()
    assert len([p for p in pages(turn) if p[0].startswith("red")]) == 50


def test_a_page_on_several_channels_counts_once():
    outbox = Outbox()
    for n in range(LIMITS.per_person):
        for channel in ("webhook", "sms", "mail"):
            outbox.want(delivery(f"p{n}", channel=channel, gateway=f"{channel}{n}"))
    turn = outbox.on_time(T)
    assert turn.held == ()
    assert len(turn.send) == 3 * LIMITS.per_person


def test_after_the_window_pages_leave_alone_again():
    outbox = Outbox()
    for n in range(20):
        outbox.want(delivery(f"p{n}"))
    sent_until(outbox, T, T + 100)
    outbox.want(delivery("soon", asked_at=T + 200))
    assert outbox.on_time(T + 200).send == ()
    outbox.want(delivery("later", asked_at=T + 700))
    assert ["later"] in pages(outbox.on_time(T + 700))


def test_what_was_sent_before_counts_for_the_limits():
    outbox = Outbox()
    for n in range(LIMITS.per_person):
        outbox.note_sent("li", "c", f"old{n}", T - 10)
    outbox.want(delivery("p"))
    assert [d.page for d in outbox.on_time(T).held] == ["p"]


def test_what_is_cancelled_while_it_is_held_back_is_in_no_summary():
    outbox = Outbox()
    for n in range(13):
        outbox.want(delivery(f"p{n:02}"))
    outbox.on_time(T)
    assert [u.delivery.page for u in outbox.cancel("p11")] == ["p11"]
    sent = [p for _, p in sent_until(outbox, T, T + 200)]
    assert ["p10", "p12"] in sent
    assert not [p for p in sent if "p11" in p]
