"""Every fault does what its name says, where it says, and the same again for the same seed."""

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ingest.protocols.port import Bye, Data
from ingest.protocols.v1_wire import decode, encode
from leadwire.errors import ProtocolRejected, SettingError
from leadwire.model import INVALID_SAMPLE
from simulators import faults as f
from simulators.faulty import FaultPlan, FaultyLink
from simulators.source import ArraySource, Samples, from_physical

FS = 250.0
N = 2500


@pytest.fixture(scope="module")
def source() -> ArraySource:
    t = np.arange(N) / FS
    x = np.column_stack([np.sin(2 * np.pi * t), 0.5 * np.cos(2 * np.pi * t)])
    x[7, 1] = np.nan
    return from_physical(x, FS, ("I", "II"))


def faulty(source: ArraySource, *faults: f.Fault, seed: int = 1) -> Samples:
    return FaultPlan(faults, seed).source(source).read(0, N)


def mv(x: Samples) -> NDArray[np.float64]:
    return np.where(x == INVALID_SAMPLE, np.nan, x / 500.0)


IN, OUT = slice(500, 1000), [*range(500), *range(1000, N)]
STRETCH = {"at_s": 2.0, "for_s": 2.0}
SAMPLE_FAULTS = (f.LeadOff, f.Mains, f.Noise, f.Saturation, f.GainStep, f.Flat, f.Invalid)


@pytest.mark.parametrize("kind", SAMPLE_FAULTS)
def test_a_sample_fault_changes_only_its_stretch_and_its_leads(source: ArraySource, kind: type) -> None:
    clean, dirty = source.read(0, N), faulty(source, kind(**STRETCH, leads=("II",)))
    np.testing.assert_array_equal(dirty[:, 0], clean[:, 0])
    np.testing.assert_array_equal(dirty[OUT, 1], clean[OUT, 1])
    assert (dirty[IN, 1] != clean[IN, 1]).any()
    assert dirty.dtype == np.int16


def test_an_electrode_that_falls_off_measures_nothing_and_is_reported(source: ArraySource) -> None:
    plan = FaultPlan((f.LeadOff(**STRETCH, leads=("II",)),))
    off = plan.source(source)
    assert (off.read(0, N)[IN, 1] == INVALID_SAMPLE).all()
    assert [off.lead_off(n) for n in (499, 500, 999, 1000)] == [(), ("II",), ("II",), ()]
    assert FaultPlan((f.LeadOff(silent=True),)).source(source).lead_off(0) == ()


def test_two_electrodes_off_are_reported_in_the_order_of_the_signals(source: ArraySource) -> None:
    plan = FaultPlan((f.LeadOff(leads=("II",)), f.LeadOff(leads=("I",))))
    assert plan.source(source).lead_off(0) == ("I", "II")


def test_mains_adds_a_hum_of_its_amplitude_and_frequency(source: ArraySource) -> None:
    hum = mv(faulty(source, f.Mains(mv=0.2, hz=50)))[:, 0] - mv(source.read(0, N))[:, 0]
    spectrum = np.abs(np.fft.rfft(hum)) * 2 / N
    assert np.argmax(spectrum) == 50 * N / FS
    assert spectrum.max() == pytest.approx(0.2, rel=0.02)


def test_noise_has_its_strength_and_is_independent_between_leads(source: ArraySource) -> None:
    added = mv(faulty(source, f.Noise(mv=0.1))) - mv(source.read(0, N))
    assert np.nanstd(added, axis=0) == pytest.approx([0.1, 0.1], rel=0.1)
    assert abs(np.corrcoef(added[8:, 0], added[8:, 1])[0, 1]) < 0.1


def test_saturation_cuts_off_at_the_rail_and_not_below(source: ArraySource) -> None:
    clean, cut = mv(source.read(0, N)), mv(faulty(source, f.Saturation(mv=0.3)))
    assert np.nanmax(np.abs(cut)) == pytest.approx(0.3)
    small = np.abs(clean) < 0.3
    np.testing.assert_array_equal(cut[small], clean[small])


def test_a_gain_step_scales_and_flat_is_zero(source: ArraySource) -> None:
    clean = mv(source.read(0, N))
    np.testing.assert_allclose(mv(faulty(source, f.GainStep(factor=0.2))), clean * 0.2, atol=0.0011)
    flat = mv(faulty(source, f.Flat()))
    assert (flat[np.isfinite(flat)] == 0).all()


def test_invalid_marks_its_share_of_the_samples(source: ArraySource) -> None:
    invalid = faulty(source, f.Invalid(p=0.1))[:, 0] == INVALID_SAMPLE
    assert 0.07 < invalid.mean() < 0.13


def test_what_was_not_measured_stays_so_under_every_fault(source: ArraySource) -> None:
    for kind in SAMPLE_FAULTS:
        assert faulty(source, kind())[7, 1] == INVALID_SAMPLE


def test_a_fault_on_a_lead_that_is_not_there_is_refused(source: ArraySource) -> None:
    with pytest.raises(SettingError, match=r"V9 came; some of I, II"):
        faulty(source, f.Flat(leads=("V9",)))


@given(
    cuts=st.lists(st.integers(0, N), max_size=12),
    kinds=st.lists(st.sampled_from(SAMPLE_FAULTS), max_size=4),
    seed=st.integers(0, 2**32),
)
def test_faulty_samples_are_the_same_however_they_are_cut(
    source: ArraySource, cuts: list[int], kinds: list[type], seed: int
) -> None:
    plan = FaultPlan(tuple(k(at_s=1.0, for_s=7.0) for k in kinds), seed)
    at = [0, *sorted(cuts), N]
    one, other = plan.source(source), plan.source(source)
    pieces = [other.read(a, b) for a, b in itertools.pairwise(at)]
    np.testing.assert_array_equal(np.concatenate(pieces), one.read(0, N))


def messages(n: int) -> list[bytes]:
    return [
        encode(Data(seq=i, first_sample=i, oldest=0, device_time=1.0, samples=bytes(2), n_samples=1))
        for i in range(n)
    ]


def carried(*faults: f.LinkFault, n: int = 1000, seed: int = 3) -> list[bytes]:
    link = FaultyLink(faults, seed)
    link.connected(0.0)
    return [arriving for m in messages(n) for arriving in link.carry(m)]


def test_a_link_without_faults_carries_everything_once_in_order() -> None:
    assert carried() == messages(1000)


def test_loss_takes_its_share_and_keeps_the_order() -> None:
    got = carried(f.Loss(p=0.1))
    assert 860 < len(got) < 940
    assert got == [m for m in messages(1000) if m in set(got)]


def test_duplicates_arrive_twice() -> None:
    counts = Counter(carried(f.Duplicate(p=0.1)))
    assert set(counts.values()) == {1, 2}
    assert len(counts) == 1000
    assert 60 < sum(c == 2 for c in counts.values()) < 140


def test_reordering_moves_by_at_most_the_depth_and_loses_only_the_last() -> None:
    sent, got = messages(1000), carried(f.Reorder(p=0.2, depth=3))
    assert got != sent[: len(got)]
    assert set(sent[:-4]) <= set(got)
    assert len(got) == len(set(got))
    place = {m: i for i, m in enumerate(got)}
    # A message sent `depth` later than another, or more, never arrives before it.
    assert all(place[a] < place[b] for a, b in zip(sent, sent[4:], strict=False) if a in place and b in place)


def test_a_corrupted_message_differs_by_one_bit_and_is_noticed() -> None:
    sent = messages(1)[0]
    (got,) = carried(f.Corrupt(p=1), n=1)
    difference = int.from_bytes(sent, "little") ^ int.from_bytes(got, "little")
    assert difference.bit_count() == 1
    with pytest.raises(ProtocolRejected):
        decode(got)


def test_only_data_is_harmed() -> None:
    link = FaultyLink([f.Loss(p=1)])
    bye = encode(Bye(5, oldest=5))
    assert link.carry(bye) == [bye]


def test_the_same_seed_harms_the_same_messages() -> None:
    plan = (f.Loss(p=0.1), f.Reorder(p=0.1), f.Corrupt(p=0.1))
    assert carried(*plan, seed=5) == carried(*plan, seed=5) != carried(*plan, seed=6)


def test_a_disconnection_lasts_its_time() -> None:
    link = FaultyLink([f.Disconnect(at_s=10, for_s=5)])
    assert not link.down(1e6)  # counted from the first connection
    link.connected(100.0)
    for broken in (link.down, link.breaks):
        assert [broken(t) for t in (109.9, 110.0, 114.9, 115.0)] == [False, True, True, False]


def test_a_storm_breaks_every_connection_soon_until_it_is_over() -> None:
    link = FaultyLink([f.Storm(at_s=0, for_s=10, every=1)])
    link.connected(0.0)
    assert [link.breaks(t) for t in (0.9, 1.0, 1.5)] == [False, True, True]
    assert not link.down(1.5)  # it may connect again
    link.connected(5.0)
    assert [link.breaks(t) for t in (5.9, 6.0, 10.0)] == [False, True, False]


def test_clock_faults_add_up() -> None:
    plan = FaultPlan(
        (f.Skew(ppm=100), f.Skew(ppm=-40), f.ClockJump(at_s=5, by=60), f.ClockJump(at_s=9, by=-1))
    )
    assert plan.pace == pytest.approx(1 + 60e-6)
    assert [plan.clock_offset(t) for t in (4.9, 5, 9)] == [0, 60, 59]


@pytest.mark.parametrize("name", f.FAULTS)
def test_every_fault_has_a_text_form(name: str) -> None:
    assert f.parse_fault(name) == f.FAULTS[name]()


def test_a_fault_is_read_from_text() -> None:
    assert f.parse_fault("lead-off:at=10,for=5,leads=I+II") == f.LeadOff(10, 5, ("I", "II"))
    assert f.parse_fault("reorder:p=0.5,depth=9") == f.Reorder(0.5, 9)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "fault '' came; one of lead-off"),
        ("rain", "one of lead-off, mains"),
        ("loss:p", "key=value was expected"),
        ("loss:q=1", "unknown field `q`"),
        ("loss:p=2", "<= 1"),
        ("loss:p=much", "float"),
        ("loss:p=nan", ">= 0"),
        ("mains:mv=inf", "<= 100"),
        ("disconnect:at=-1", ">= 0"),
        ("reorder:depth=0", ">= 1"),
        ("mains:hz=0", "> 0"),
    ],
)
def test_a_wrong_fault_is_refused_with_the_reason(text: str, says: str) -> None:
    with pytest.raises(SettingError, match=says):
        f.parse_fault(text)
