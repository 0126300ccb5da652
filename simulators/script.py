"""The script of a synthetic patient: ``60 s sinus 72; 8 s asystole; 20 s sinus 72 with pvc 6``.

::

    script   = part { ";" part }
    part     = NUMBER ("s" | "min") rhythm [ NUMBER ] { "with" extra }
    rhythm   = "sinus" | "bradycardia" | "tachycardia" | "af" | "bigeminy" | "trigeminy" | "vt"
             | "vf" | "asystole" | "pause"
    extra    = "pvc" NUMBER              that many a minute
             | "noise" NUMBER            mV, standard deviation of muscle noise
             | "off" LEAD { LEAD }       these electrodes are off

The number after a rhythm is its ventricular rate in 1/min. Words and numbers are checked here, with
the column in the error; what they look like is `synthetic.py`'s matter.
"""

import re
from dataclasses import dataclass
from typing import NoReturn

from leadwire.errors import SettingError

LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")

# rhythm: (default rate, least, most) in 1/min; None: it has no ventricular rate
RHYTHMS: dict[str, tuple[float, float, float] | None] = {
    "sinus": (72, 30, 180),
    "bradycardia": (38, 15, 60),
    "tachycardia": (150, 90, 250),
    "af": (110, 40, 220),
    "bigeminy": (75, 40, 130),
    "trigeminy": (75, 40, 130),
    "vt": (180, 100, 250),
    "vf": None,
    "asystole": None,
    "pause": None,
}
MAX_SCRIPT_S = 3600.0
_TOKEN = re.compile(r"\s*(;|[0-9]+(?:\.[0-9]+)?|[^\s;0-9][^\s;]*)")


@dataclass(frozen=True)
class Part:
    """A stretch of one rhythm: `seconds` long, at `rate` 1/min (0: none)."""

    seconds: float
    rhythm: str
    rate: float = 0.0
    pvc: float = 0.0
    noise: float = 0.0
    off: tuple[str, ...] = ()


def parse_script(text: str) -> tuple[Part, ...]:
    """The parts of the script `text`.

    Raises
    ------
    SettingError
        It cannot be read; the text says at which column, what came and what was expected.
    """
    return _Parser(text).script()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[tuple[int, str]] = []
        at, end = 0, len(text.rstrip())
        while at < end:
            match = _TOKEN.match(text, at)
            assert match is not None  # a token is anything but white space
            self._tokens.append((match.start(1), match.group(1)))
            at = match.end()
        self._at = 0

    def script(self) -> tuple[Part, ...]:
        parts = [self._part()]
        while self._word() == ";":
            self._at += 1
            if self._word():  # a semicolon may end the script
                parts.append(self._part())
        if self._word():
            self._refuse("';' or 'with'")
        total = sum(p.seconds for p in parts)
        if total > MAX_SCRIPT_S:
            raise SettingError(f"a script of {total:g} s came; at most {MAX_SCRIPT_S:g} s was expected")
        return tuple(parts)

    def _part(self) -> Part:
        seconds = self._number("a duration", 0.1, MAX_SCRIPT_S)
        if self._word() not in ("s", "min"):
            self._refuse("'s' or 'min'")
        seconds *= 60 if self._take() == "min" else 1
        if self._word() not in RHYTHMS:
            self._refuse(f"a rhythm ({', '.join(RHYTHMS)})")
        rhythm = self._take()
        rates = RHYTHMS[rhythm]
        rate = rates[0] if rates else 0.0
        if rates and self._word()[:1].isdigit():
            rate = self._number(f"the rate of {rhythm}", *rates[1:])
        extras: dict[str, float] = {}
        off: list[str] = []
        while self._word() == "with":
            self._at += 1
            if self._word() == "pvc":
                self._at += 1
                extras["pvc"] = self._number("PVCs a minute", 0, 60)
            elif self._word() == "noise":
                self._at += 1
                extras["noise"] = self._number("noise in mV", 0, 10)
            elif self._word() == "off":
                self._at += 1
                if self._word() not in LEADS:
                    self._refuse(f"a lead ({', '.join(LEADS)})")
                while self._word() in LEADS:
                    off.append(self._take())
            else:
                self._refuse("'pvc', 'noise' or 'off'")
        return Part(seconds, rhythm, rate, off=tuple(dict.fromkeys(off)), **extras)

    def _word(self) -> str:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else ""

    def _take(self) -> str:
        self._at += 1
        return self._tokens[self._at - 1][1]

    def _number(self, what: str, least: float, most: float) -> float:
        expected = f"{what}, {least:g} to {most:g},"
        try:
            value = float(self._word())
        except ValueError:
            self._refuse(expected)
        if not (self._word()[0].isdigit() and least <= value <= most):
            self._refuse(expected)
        self._at += 1
        return value

    def _refuse(self, expected: str) -> NoReturn:
        came = repr(self._word()) if self._word() else "the end"
        column = self._tokens[self._at][0] + 1 if self._word() else len(self._text.rstrip()) + 1
        raise SettingError(f"script, column {column}: {came} came; {expected} was expected")
