"""Every kind of condition that a rule pack may name: what it is, and what its evidence measures.

One list: a pack that names another kind is refused, and each has a text in both languages in
`leadwire/catalogue.py` (``kind.NAME``). Some are not found by any detector yet; a pack may stand ready for
them.

Not here: how urgent they are (`packs/`), and when they begin and end (the detectors).
"""

from dataclasses import dataclass
from typing import Literal

Follows = Literal["once", "rate", "peak", "silence"]


@dataclass(frozen=True)
class KindInfo:
    """One kind of condition.

    Attributes
    ----------
    category
        IEC 60601-1-8's.
    family, rank
        What it chains with, and how bad it is among them (higher is worse); a pack may say otherwise.
    unit, low, high
        Of `Evidence.value`, and between what a pack's `at_least` and `at_most` may lie; "": it has
        no value that could be compared.
    follows
        What the value is once the condition lasts. ``once``: as it was found. ``rate``: the heart rate as it
        is now. ``peak``: the highest of the value found and the heart rate. ``silence``: the longest
        time without a beat.
    setting
        The setting below (or, of `slow`, above) which the detectors do not say it at all.
    slow
        The lower its value, the worse.
    protected
        Lethal: never off, never less than high, never delayed.
    """

    category: Literal["physiological", "technical"]
    family: str
    rank: int
    unit: str = ""
    low: float = 0.0
    high: float = 0.0
    follows: Follows = "once"
    setting: str = ""
    slow: bool = False
    protected: bool = False


def _heart(family: str, rank: int, unit: str = "", low: float = 0.0, high: float = 0.0) -> KindInfo:
    return KindInfo("physiological", family, rank, unit, low, high)


def _technical(family: str, rank: int, unit: str = "", low: float = 0.0, high: float = 0.0) -> KindInfo:
    return KindInfo("technical", family, rank, unit, low, high)


def _rate(family: str, rank: int, setting: str, *, slow: bool = False) -> KindInfo:
    low, high = (15.0, 140.0) if slow else (60.0, 300.0)
    return KindInfo("physiological", family, rank, "1/min", low, high, "rate", f"limits.{setting}", slow=slow)


def _peak(rank: int, setting: str, low: float, high: float, *, protected: bool = False) -> KindInfo:
    return KindInfo(
        "physiological", "ventricular", rank, "1/min", low, high, "peak", setting, protected=protected
    )


def _silence(rank: int, setting: str, low: float, high: float, *, protected: bool = False) -> KindInfo:
    return KindInfo("physiological", "slow", rank, "s", low, high, "silence", setting, protected=protected)


KINDS: dict[str, KindInfo] = {
    # What the detectors say.
    "ventricular_fibrillation": KindInfo("physiological", "ventricular", 80, protected=True),
    "sustained_ventricular_tachycardia": _peak(70, "limits.vt_rate", 100, 250, protected=True),
    "ventricular_tachycardia": _peak(60, "limits.vt_rate", 100, 250),
    "ventricular_bradycardia": _heart("ventricular", 40, "1/min", 15, 60),
    "ventricular_rhythm": _heart("ventricular", 30, "1/min", 15, 140),
    "asystole": _silence(80, "limits.asystole_s", 3, 10, protected=True),
    "extreme_bradycardia": _rate("slow", 60, "extreme_bradycardia", slow=True),
    "pause": _silence(50, "limits.pause_s", 1.5, 10),
    "bradycardia": _rate("slow", 30, "bradycardia", slow=True),
    "missed_beat": _heart("slow", 10, "s", 0.5, 5),
    "extreme_tachycardia": _rate("fast", 60, "extreme_tachycardia"),
    "svt": KindInfo("physiological", "fast", 50, "1/min", 100, 300, "peak", "limits.svt_rate"),
    "tachycardia": _rate("fast", 30, "tachycardia"),
    "atrial_fibrillation": _heart("atrial", 20),
    "r_on_t": _heart("ectopic", 60, "s", 0.1, 1),
    "pvc_run": _heart("ectopic", 50, "beats", 3, 30),
    "pvc_couplet": _heart("ectopic", 40, "beats", 2, 2),
    "multiform_pvc": _heart("ectopic", 35, "shapes", 2, 3),
    "frequent_pvc": KindInfo("physiological", "ectopic", 30, "1/min", 1, 60, setting="limits.pvc_per_min"),
    "bigeminy": _heart("ectopic", 20, "cycles", 2, 30),
    "trigeminy": _heart("ectopic", 10, "cycles", 2, 30),
    "missing": _technical("signal", 50, "s", 1, 600),
    "lead_off": _technical("signal", 40, "s", 1, 600),
    "flat": _technical("signal", 30, "s", 1, 600),
    "saturated": _technical("signal", 20, "s", 1, 600),
    "noisy": _technical("signal", 10, "s", 1, 600),
    # What the condition line itself sees.
    "no_data": _technical("link", 50, "s", 5, 600),
    "battery_low": KindInfo("technical", "battery", 10, "%", 5, 50, slow=True),
    # What no detector says yet.
    "torsade": _heart("ventricular", 75),
    "r_on_t_long_qt": _heart("ventricular", 50, "s", 0.3, 1),
    "av_block_third_degree": KindInfo("physiological", "slow", 70, "1/min", 15, 140, "once", slow=True),
    "af_with_preexcitation": KindInfo("physiological", "atrial", 60, "s", 0.1, 0.6, "once", slow=True),
    "infarction_acute": _heart("ischaemia", 60, "mV", 0.05, 2),
    "st_elevation": _heart("ischaemia", 50, "mV", 0.05, 2),
    "st_depression": _heart("ischaemia", 30, "mV", 0.05, 2),
    "hyperkalaemia": _heart("metabolic", 50),
    "long_qt": _heart("repolarisation", 30, "s", 0.3, 1),
    # What other parts of Leadwire say of themselves.
    "disconnected": _technical("link", 30, "s", 0, 600),
    "link_down": _technical("link", 40, "s", 0, 86_400),
    "unwatched": _technical("watch", 50, "s", 0, 86_400),
    "queue_lag": _technical("system", 40, "s", 0, 86_400),
    "role_silent": _technical("system", 50, "s", 0, 86_400),
    "test_alarm": _technical("test", 10),
}

_UNKNOWN = KindInfo("physiological", "other", 0)


def info_of(kind: str) -> KindInfo:
    """What is known of `kind`; of one that is not in the list: nothing."""
    return KINDS.get(kind, _UNKNOWN)


PROTECTED = tuple(kind for kind, info in KINDS.items() if info.protected)
NEEDED = (*PROTECTED, "no_data")
"""What every pack must announce: what kills within minutes, and that nothing can be seen at all."""
GROUPS: dict[str, tuple[str, ...]] = {
    category: tuple(kind for kind, info in KINDS.items() if info.category == category)
    for category in ("physiological", "technical")
} | {"signal": tuple(kind for kind, info in KINDS.items() if info.family == "signal")}
"""Words that `inhibits` may use for many kinds at once."""
