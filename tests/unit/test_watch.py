"""Who is watching: on a clock held in the hand, what becomes an alert, when, and when it ends."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from alerts.pack_files import DEFAULT, shipped_pack
from alerts.watch import Watch, WatchLimits, covers
from leadwire import codec
from leadwire.case import Watcher, WatchReport
from leadwire.model import Alert, AlertRule, Priority, StreamInfo

T = 1_760_000_000.5
LIMITS = WatchLimits()
PACK = shipped_pack(DEFAULT)


def rules(kind: str) -> tuple[Priority, AlertRule]:
    rule = PACK.rules[kind][-1]
    return rule.priority, rule.frozen(PACK.label)


def info(stream: str, clinic: str = "c", ended: float | None = None) -> StreamInfo:
    return StreamInfo(
        stream=stream, device="d", clinic=clinic, bed="1", fs=250.0, sig_name=("II",), units=("mV",),
        started=1.0, ended=ended,
    )  # fmt: skip


def watcher(**changes: Any) -> Watcher:
    return Watcher(**{"user": "li", "clinics": (), "visible": True, "audio": "on"} | changes)


def report(process: str = "p", at: float = T, roles=("dashboard",), **more: Any) -> WatchReport:
    return WatchReport(process=process, at=at, roles=roles, **more)


class Ward:
    """A `Watch`, its reports every 5 s, and what it said."""

    def __init__(self, *watchers: Watcher, clinics=("c",), people: bool = True) -> None:
        self.watch = Watch(LIMITS, rules, has_people=people)
        for n, clinic in enumerate(clinics):
            self.watch.on_stream(info(f"s{n}", clinic))
        self.watchers = watchers
        self.lag: dict[str, int] = {}
        self.now = T
        self.said: list[tuple[float, str, str, str]] = []
        self.alerts: list[Alert] = []
        self.alive = True

    def run(self, seconds: float) -> list[tuple[float, str, str, str]]:
        """Let time pass; what was said meanwhile: when, kind, of what, state."""
        end, before = self.now + seconds, len(self.said)
        while self.now < end:
            if self.alive and (self.now - T) % 5 == 0:
                self.watch.on_report("p", report(watchers=self.watchers, lag=self.lag), self.now)
            for alert in self.watch.on_time(self.now):
                codec.decode(codec.encode(alert))
                self.alerts.append(alert)
                self.said.append((self.now - T, alert.kind, alert.evidence.detail, alert.state))
            self.now += 1.0
        return self.said[before:]


def test_a_clinic_that_nobody_watches_is_an_alert_after_30_s_and_no_more_once_somebody_does():
    ward = Ward()
    assert ward.run(30) == []
    assert ward.run(60) == [(30.0, "unwatched", "c", "active")]
    ward.watchers = (watcher(),)
    ((at, *what),) = ward.run(60)
    assert what == ["unwatched", "c", "ended"]
    assert at <= 95
    first, last = ward.alerts
    assert first.id == last.id == f"leadwire.watch.clinic.c:{int(T)}:unwatched"
    assert (first.version, last.version) == (1, 2)
    assert (first.priority, first.category, first.clinic) == ("high", "technical", "c")
    assert last.end is not None
    assert last.end >= first.onset
    assert first.rule.pack == PACK.label


@pytest.mark.parametrize(
    ("changes", "counts"),
    [
        ({}, True),
        ({"clinics": ("c",)}, True),
        ({"clinics": ("b", "c")}, True),
        ({"audio": "paused"}, True),
        ({"clinics": ("b",)}, False),
        ({"visible": False}, False),
        ({"audio": "blocked"}, False),
        ({"user": ""}, False),
    ],
)
def test_only_a_visible_page_with_sound_of_somebody_who_may_see_the_clinic_counts(changes, counts):
    assert covers(watcher(**changes), "c") == counts
    assert (Ward(watcher(**changes)).run(120) == []) == counts


def test_each_clinic_is_watched_for_itself():
    ward = Ward(watcher(clinics=("a",)), clinics=("a", "b", "c", "b"))
    assert {(k, of, s) for _, k, of, s in ward.run(60)} == {
        ("unwatched", "b", "active"),
        ("unwatched", "c", "active"),
    }


def test_a_short_absence_is_none():
    ward = Ward(watcher())
    for _ in range(5):
        ward.run(60)
        ward.watchers = ()
        ward.run(25)
        ward.watchers = (watcher(),)
    assert ward.said == []


def test_nobody_need_watch_where_no_stream_runs_or_the_network_has_no_people():
    assert Ward(clinics=()).run(120) == []
    assert Ward(people=False).run(120) == []
    ward = Ward()
    ward.run(40)
    ward.watch.on_stream(info("s0", ended=5.0))
    assert [s for *_, s in ward.run(5)] == ["ended"]


def test_a_clinic_whose_devices_have_all_sent_nothing_for_an_hour_need_not_be_watched():
    def no_data(state: str) -> Alert:
        blank = Ward()
        blank.run(40)
        return structs.replace(blank.alerts[0], stream="s0", kind="no_data", state=state, raised_at=T)

    ward = Ward()
    ward.watch.on_alert(no_data("active"))
    assert [s for *_, s in ward.run(3000)] == ["active"], "it has only just gone"
    assert [s for *_, s in ward.run(1000)] == ["ended"]
    ward.watch.on_stream(info("s1"))
    assert [s for *_, s in ward.run(60)] == ["active"], "another device of the clinic is there"
    ward.watch.on_stream(info("s1", ended=T))
    ward.run(10)
    ward.watch.on_alert(no_data("ended"))
    assert [s for *_, s in ward.run(60)] == ["active"], "its data are back"


def test_people_on_pages_of_a_process_that_died_do_not_watch():
    ward = Ward(watcher())
    ward.run(60)
    ward.alive = False
    said = [(kind, of) for _, kind, of, _ in ward.run(200)]
    assert said == [("role_silent", "dashboard"), ("unwatched", "c")]


def test_a_role_of_which_nothing_is_heard_is_an_alert_until_it_is_back():
    ward = Ward(watcher(), clinics=())
    ward.watch.on_report("q", report("q", roles=("dsp", "ingest")), ward.now)
    said = ward.run(60)
    assert [(k, of, s) for _, k, of, s in said] == [
        ("role_silent", "dsp", "active"),
        ("role_silent", "ingest", "active"),
    ]
    assert all(30 < at <= 32 for at, *_ in said)
    assert {a.device for a in ward.alerts} == {"dsp", "ingest"}
    ward.watch.on_report("q2", report("q2", roles=("dsp",)), ward.now)
    assert [(of, s) for _, _, of, s in ward.run(5)] == [("dsp", "ended")]


def test_a_process_that_says_goodbye_is_not_missed():
    ward = Ward(clinics=())
    ward.watch.on_report("q", report("q", roles=("dsp",)), ward.now)
    ward.run(10)
    ward.watch.on_report("q", None, ward.now)
    assert ward.run(120) == []


def test_one_of_two_that_do_the_same_may_die_and_is_forgotten():
    ward = Ward(clinics=())
    ward.watch.on_report("q", report("q", roles=("dashboard",)), ward.now)
    ward.run(20)
    assert ward.watch.forgettable(ward.now) == ()
    assert ward.run(60) == []
    assert ward.watch.forgettable(ward.now) == ("q",)
    assert ward.watch.forgettable(ward.now) == ()


def test_a_process_that_is_missed_is_not_forgotten():
    ward = Ward(clinics=())
    ward.watch.on_report("q", report("q", roles=("dsp",)), ward.now)
    ward.run(100)
    assert ward.watch.forgettable(ward.now) == ()


def test_a_goodbye_counts_although_one_that_died_had_the_same_role():
    ward = Ward(clinics=())
    ward.watch.on_report("died", report("died", roles=("dsp",)), ward.now)
    ward.run(28)
    ward.watch.on_report("next", report("next", roles=("dsp",)), ward.now)
    ward.run(20)
    ward.watch.on_report("next", None, ward.now)
    assert ward.run(100) == []
    assert ward.watch.forgettable(ward.now) == ("died",)


def test_a_queue_that_stays_late_is_an_alert_and_one_that_catches_up_is_none():
    ward = Ward(watcher())
    ward.lag = {"dsp": 20, "archive": 3}
    assert ward.run(25) == []
    ward.lag = {"dsp": 5}
    assert ward.run(60) == []
    ward.lag = {"dsp": 20}
    assert [(k, of, s) for _, k, of, s in ward.run(60)] == [("queue_lag", "dsp", "active")]
    assert ward.alerts[-1].priority == "medium"
    ward.lag = {"dsp": 0}
    assert [s for *_, s in ward.run(10)] == ["ended"]


@pytest.mark.parametrize("clinic", ["青山镇卫生院", "a b/c", "x" * 128, "..", "-", "ü"])
def test_whatever_a_clinic_is_called_its_alert_has_an_id(clinic):
    ward = Ward(clinics=(clinic,))
    ward.run(40)
    (alert,) = ward.alerts
    assert alert.clinic == alert.evidence.detail == clinic


def after_death(ward: Ward, reports: dict[str, WatchReport]) -> Ward:
    """Another one that takes over from what the first one published."""
    other = Ward()
    other.now, other.watchers, other.alive, other.lag = ward.now, ward.watchers, ward.alive, ward.lag
    other.watch.take_over(ward.alerts, reports, ward.now)
    return other


@pytest.mark.parametrize("better", [True, False])
def test_a_new_owner_goes_on_with_what_was_published_and_says_nothing_twice(better):
    ward = Ward()
    ward.watch.on_report("q", report("q", roles=("dsp",)), ward.now)
    ward.lag = {"alerts": 99}
    ward.run(100)
    assert len(ward.alerts) == 3
    reports = {
        "q": report("q", at=T, roles=("dsp",)),
        "p": report(at=ward.now, watchers=ward.watchers, lag=ward.lag),
    }
    other = after_death(ward, reports)
    if not better:
        assert other.run(300) == []
        return
    other.watchers, other.lag = (watcher(),), {}
    other.watch.on_report("q", report("q", roles=("dsp",)), other.now)
    said = other.run(20)
    assert {(kind, state) for _, kind, _, state in said} == {
        ("unwatched", "ended"),
        ("queue_lag", "ended"),
        ("role_silent", "ended"),
    }
    assert {a.id for a in other.alerts} == {a.id for a in ward.alerts}


def test_after_an_outage_of_everything_all_get_their_time_to_come_back():
    watch = Watch(LIMITS, rules, has_people=True)
    watch.on_stream(info("s"))
    old = report("p", at=T - 3600, roles=("dsp", "dashboard"), watchers=(watcher(),))
    watch.take_over([], {"p": old}, T)
    assert [a for n in range(30) for a in watch.on_time(T + n)] == []
    assert {a.kind for n in range(30, 40) for a in watch.on_time(T + n)} == {"unwatched", "role_silent"}


@given(
    acts=st.lists(
        st.sampled_from(["see", "leave", "lag", "die", "live", "kill", "time", "time"]), max_size=40
    )
)
def test_killed_anywhere_each_alert_is_raised_once_and_ends_once(acts):
    ward = Ward()
    said: list[Alert] = []
    for act in acts:
        if act == "see":
            ward.watchers = (watcher(),)
        elif act == "leave":
            ward.watchers = ()
        elif act == "lag":
            ward.lag = {} if ward.lag else {"dsp": 60}
        elif act in ("die", "live"):
            ward.alive = act == "live"
        elif act == "kill":
            last = report(at=ward.now, watchers=ward.watchers, lag=ward.lag)
            ward = after_death(
                ward, {"p": structs.replace(last, at=ward.now - 100) if not ward.alive else last}
            )
            ward.alerts = list(said)
        else:
            ward.run(20)
        said = list(ward.alerts)
    versions: dict[str, list[tuple[int, str]]] = {}
    for alert in said:
        versions.setdefault(alert.id, []).append((alert.version, alert.state))
    for found in versions.values():
        assert found in ([(1, "active")], [(1, "active"), (2, "ended")])
    active = [a.kind for a in said if a.state == "active"]
    ended = [a.kind for a in said if a.state == "ended"]
    for kind in ("unwatched", "role_silent", "queue_lag"):
        assert active.count(kind) - ended.count(kind) in (0, 1)
