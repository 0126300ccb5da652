"""What every archive promises of beats, episodes, alerts and streams, and of hostile values."""

import pytest
from msgspec import structs

from leadwire.errors import MessageRejected
from leadwire.model import (
    Beat,
    DeviceStatus,
    HeartRate,
    LinkEvent,
    Quarantined,
    SignalQuality,
    StreamInfo,
)
from leadwire.ranges import MAX_CHUNK_SAMPLES, MAX_SAMPLE, MAX_TIME
from tests.contract.archives import (
    FS,
    NOW,
    alert,
    chunk,
    compact,
    content,
    episode,
    evidence,
    new_stream,
    put,
    signal,
)


def test_a_beat_that_comes_again_is_replaced(archive, reader):
    stream = new_stream()
    beats = [Beat(stream=stream, sample=s, detected=s + 60, rr=0.8) for s in range(100, 90_000, 200)]
    put(archive, *beats)
    compact(archive)
    relabelled = Beat(stream=stream, sample=beats[7].sample, detected=beats[7].detected, symbol="V")
    put(archive, relabelled)
    for _ in range(2):
        assert reader.beats(stream) == [*beats[:7], relabelled, *beats[8:]]
        assert reader.beats(stream, 300, 900) == beats[1:4]
        compact(archive)


def test_heart_rates_and_qualities_come_back_equal(archive, reader):
    stream = new_stream()
    rates = [
        HeartRate(stream=stream, sample=250 * i, rate=None if i % 7 == 0 else 60 + i / 3) for i in range(99)
    ]
    qualities = [
        SignalQuality(
            stream=stream,
            sample=250 * i,
            sig_name=("I", "II"),
            flags=((), ("flat", "noisy")) if i % 5 else ((), ()),
            score=i / 99,
            usable=i % 2 == 0,
        )
        for i in range(99)
    ]
    put(archive, *rates, *qualities)
    for _ in range(2):
        assert reader.heart_rates(stream) == rates
        assert reader.qualities(stream) == qualities
        compact(archive)


def test_an_episode_that_ended_stays_ended(archive, reader):
    stream = new_stream()
    put(archive, episode(stream, 100), episode(stream, 9000, kind="pause"))
    assert [e.end for e in reader.episodes(stream)] == [None, None]
    put(archive, episode(stream, 100, end=2000))
    put(archive, episode(stream, 100))  # a replay that stopped half-way
    assert [(e.kind, e.end) for e in reader.episodes(stream)] == [("asystole", 2000), ("pause", None)]
    assert reader.episodes(stream, 2000, 5000) == []
    assert [e.kind for e in reader.episodes(stream, 1999, 5000)] == ["asystole"]
    assert [e.kind for e in reader.episodes(stream, 50_000, 60_000, kind="pause")] == ["pause"]


def test_link_events_and_device_status_are_kept_each(archive, reader):
    stream = new_stream()
    links = [LinkEvent(stream=stream, kind="connected", sample=0, time=NOW + i) for i in range(3)]
    status = DeviceStatus(stream=stream, sample=10, time=NOW, lead_off=("II",), battery=51.5)
    put(archive, *links, status)
    assert reader.link_events(stream) == links
    assert reader.device_statuses(stream) == [status]
    assert reader.link_events(stream, 1, 100) == []


def test_an_alert_is_its_last_transition_and_its_history_is_kept(archive, reader):
    stream = new_stream()
    raised, ended = alert(stream), alert(stream, version=2, state="ended", end=900)
    other = alert(stream, id=f"{stream}:5:pause", kind="pause", onset=5, raised_at=NOW + 60)
    put(archive, raised, other)
    put(archive, ended)
    put(archive, alert(stream, changed_at=NOW + 999))  # a rerun: what was said stays said
    assert reader.alerts(stream) == [other, ended]
    assert reader.alerts(stream, active=True) == [other]
    assert reader.alerts(stream, active=False) == [ended]
    assert reader.alerts(stream, since=NOW, until=NOW + 60) == [ended]
    assert reader.alerts(stream, limit=1) == [other]
    assert reader.alert_history(raised.id) == [raised, ended]


def test_a_stream_tells_who_it_is_and_how_far_it_goes(archive, reader):
    stream = new_stream()
    info = StreamInfo(
        stream=stream, device="d1", clinic="三河", bed="2", fs=FS, sig_name=("I",), units=("mV",), started=NOW
    )
    put(archive, info)
    assert reader.stream(stream).info == info
    put(archive, chunk(stream, 500, signal(250)), structs.replace(info, bed="3"))
    found = reader.stream(stream)
    assert (found.info.bed, found.end_sample) == ("3", 750)
    assert reader.streams()[0] == found
    compact(archive)
    assert reader.stream(stream).end_sample == 750


def test_hostile_values_are_archived_or_refused_and_never_stop_the_others(archive, reader):
    stream = new_stream()
    last = MAX_SAMPLE - MAX_CHUNK_SAMPLES
    nasty = "\0'\"%s;--\\\U0001f4a9" + "长" * 50
    kept = [
        chunk(stream, last, signal(7), device_time=MAX_TIME, receive_time=-MAX_TIME),
        Beat(
            stream=stream, sample=MAX_SAMPLE, detected=MAX_SAMPLE, symbol=nasty, leads=(nasty, ""), rr=1e-300
        ),
        Beat(stream=stream, sample=0, detected=MAX_SAMPLE, amplitude=1e300),
        HeartRate(stream=stream, sample=MAX_SAMPLE, rate=5e-324),
        episode(
            stream,
            MAX_SAMPLE,
            detected=MAX_SAMPLE,
            evidence=evidence(detail=nasty, value=-1e300),
            withheld=nasty,
        ),
        LinkEvent(stream=stream, kind="late", sample=MAX_SAMPLE, time=-MAX_TIME, detail=nasty),
        alert(stream, version=MAX_SAMPLE, raised_at=-MAX_TIME, changed_at=NOW, evidence=evidence(unit=nasty)),
        Quarantined(source=nasty + stream, reason=nasty, time=MAX_TIME, data=bytes(range(256)) * 4000),
        StreamInfo(
            stream=stream,
            device=nasty,
            clinic="",
            bed=nasty,
            fs=100,
            sig_name=("x",),
            units=("?",),
            started=0,
        ),
    ]
    for bad in (
        chunk(stream, 0, signal(5, 1), sig_name=("a\0b",)),
        chunk(stream, 0, signal(5, 1), units=("\0",)),
        alert(stream, id="\0"),
        alert(stream, id="x" * 10_000),
    ):
        with pytest.raises(MessageRejected, match=r"came; .* expected"):
            archive.add(bad)
    put(archive, *kept)
    for _ in range(2):
        assert list(content(reader, stream)) == list(range(last, last + 7))
        assert reader.beats(stream, 0, MAX_SAMPLE + 1) == [kept[2], kept[1]]
        assert reader.heart_rates(stream, 0, MAX_SAMPLE + 1) == [kept[3]]
        assert reader.episodes(stream, 0, MAX_SAMPLE + 1) == [kept[4]]
        assert reader.link_events(stream, 0, MAX_SAMPLE + 1) == [kept[5]]
        assert reader.alerts(stream) == [kept[6]]
        assert reader.stream(stream).info == kept[8]
        compact(archive)
    assert next(q for q in reader.quarantined() if stream in q.source).data == kept[7].data
