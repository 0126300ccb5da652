"""Which conditions become alerts, and how urgent: one table, profile "monitor-adult".

Priorities are IEC 60601-1-8's. A condition that is not in the table is refused by name, never
dropped. Not here: when a condition begins and ends (`dsp/rhythm/`) and its limits (`Limits`).
"""

from dataclasses import dataclass
from typing import Literal

from leadwire.model import Priority


@dataclass(frozen=True)
class Rule:
    """How one kind of condition is announced."""

    priority: Priority
    category: Literal["physiological", "technical"]


MONITOR_ADULT: dict[str, Rule] = {
    "asystole": Rule("high", "physiological"),
    "ventricular_fibrillation": Rule("high", "physiological"),
    "sustained_ventricular_tachycardia": Rule("high", "physiological"),
    "ventricular_tachycardia": Rule("high", "physiological"),
    "ventricular_bradycardia": Rule("high", "physiological"),
    "ventricular_rhythm": Rule("medium", "physiological"),
    "atrial_fibrillation": Rule("low", "physiological"),
    "extreme_tachycardia": Rule("high", "physiological"),
    "extreme_bradycardia": Rule("high", "physiological"),
    "pause": Rule("medium", "physiological"),
    "tachycardia": Rule("medium", "physiological"),
    "bradycardia": Rule("medium", "physiological"),
    "svt": Rule("medium", "physiological"),
    "pvc_run": Rule("low", "physiological"),
    "r_on_t": Rule("low", "physiological"),
    "frequent_pvc": Rule("low", "physiological"),
    "pvc_couplet": Rule("low", "physiological"),
    "bigeminy": Rule("low", "physiological"),
    "trigeminy": Rule("low", "physiological"),
    "missed_beat": Rule("low", "physiological"),
    # A patient nobody can see any more is worse off than one seen badly.
    "no_data": Rule("medium", "technical"),
    "missing": Rule("medium", "technical"),
    "lead_off": Rule("low", "technical"),
    "flat": Rule("low", "technical"),
    "saturated": Rule("low", "technical"),
    "noisy": Rule("low", "technical"),
}
