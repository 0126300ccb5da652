"""One condition of a stream as a rule pack sees it: which of its rules hold, since when, and until when.

The detectors say when a condition begins and ends. A pack may ask for more: a value beyond a limit of its
own, a heart rate beside it, a time that it lasts. What the value is while the condition lasts depends on
the kind (`KindInfo.follows`). All times are counted in samples, by the ticks of the stream (one a second).
"""

from msgspec import Struct, structs

from alerts.kinds import info_of
from alerts.rules import Rule
from leadwire.model import Evidence, RhythmEpisode

SLACK = 0.03
"""A rate that was beyond a limit counts as beyond until it is back by this part of the limit ..."""
LAPSE_S = 3.0
"""... for more than this, in s: a second more than the detectors wait, so theirs comes first."""
SETTLED_S = 1.0
"""A beat may still be reported so long after its R peak, in s."""


class Track(Struct):
    """A condition that has begun; plain data, so it is its own snapshot.

    Attributes
    ----------
    episode
        The last word of the detectors; `pack` names the pack whose rules `since` and `failing` are for.
    value
        What the evidence measures, followed up to the last tick.
    since, failing
        Per rule: the sample since which it holds, and since which it fails though it held; -1: not.
    alert, grade
        Under which id and by which rule (its number) it was announced; "" and -1: it was not.
    gone
        Announced, and over since this sample, but its end is not announced yet; -1: it lasts.
    held_at
        When (s, epoch) it could have been announced but for data still to come; -1: it is not held.
    refused
        The reason told last.
    """

    episode: RhythmEpisode
    value: float
    pack: str = ""
    since: list[int] = []
    failing: list[int] = []
    alert: str = ""
    grade: int = -1
    gone: int = -1
    held_at: float = -1.0
    refused: str = ""


class Moment(Struct):
    """How far a stream has come: the sample of its last tick and of its last R peak; -1: none yet."""

    at: int = -1
    fs: float = 0.0
    last_beat: int = -1


def begin(episode: RhythmEpisode) -> Track:
    """A track for a condition as it is first heard of."""
    return Track(episode=episode, value=episode.evidence.value)


def follow(track: Track, now: Moment, rate: float | None) -> None:
    """Bring the value up to a tick that said `rate` (1/min); of a condition that is over it stays."""
    if track.episode.end is not None:
        return
    follows = info_of(track.episode.kind).follows
    if follows == "rate" and rate is not None:
        track.value = rate
    elif follows == "peak" and rate is not None:
        track.value = max(track.value, rate)
    elif follows == "silence" and now.fs:
        silent_from = max(track.episode.onset, now.last_beat)
        track.value = max(track.value, (now.at - silent_from) / now.fs - SETTLED_S)


def interval(track: Track, sample: int, rr: float | None) -> None:
    """A beat came at `sample` with the interval `rr` before it."""
    if info_of(track.episode.kind).follows == "silence" and rr is not None and sample > track.episode.onset:
        track.value = max(track.value, rr)


def judge(track: Track, rules: tuple[Rule, ...], pack: str, now: Moment, rate: float | None = None) -> None:
    """Note which of `rules` (of the pack `pack`) hold; `rate` is told by ticks alone (None: as it was)."""
    if track.pack != pack or len(track.since) != len(rules):
        track.pack, track.since, track.failing = pack, [-1] * len(rules), [-1] * len(rules)
        first = True
    else:
        first = False
    for i, rule in enumerate(rules):
        was = track.since[i] >= 0
        if holds(rule, track, rate, was):
            track.failing[i] = -1
            if not was:
                track.since[i] = track.episode.onset if first or not _current(track, rule) else now.at
        elif was and track.failing[i] < 0:
            track.failing[i] = now.at
        if was and track.failing[i] >= 0 and now.at - track.failing[i] > LAPSE_S * now.fs:
            track.since[i] = -1


def _current(track: Track, rule: Rule) -> bool:
    """Whether the criterion is about the heart rate as it is now, which may come and go."""
    by_rate = rule.rate_at_least is not None or rule.rate_at_most is not None
    return by_rate or info_of(track.episode.kind).follows == "rate"


def holds(rule: Rule, track: Track, rate: float | None, was: bool) -> bool:
    """Whether the rule's criterion is met; once it `was`, a rate may fall back a little.

    A value in another unit than the rule's cannot be compared: in doubt it holds.
    """
    info = info_of(track.episode.kind)
    slack = SLACK if was else 0.0
    if track.episode.evidence.unit == info.unit:
        own = slack if info.follows == "rate" else 0.0
        if rule.at_least is not None and track.value < rule.at_least * (1 - own):
            return False
        if rule.at_most is not None and track.value > rule.at_most * (1 + own):
            return False
    if rule.rate_at_least is not None or rule.rate_at_most is not None:
        if rate is None:
            return was
        if rule.rate_at_least is not None and rate < rule.rate_at_least * (1 - slack):
            return False
        if rule.rate_at_most is not None and rate > rule.rate_at_most * (1 + slack):
            return False
    return True


def ripe(track: Track, rules: tuple[Rule, ...], until: int, fs: float) -> int:
    """The first rule that has held as long as it asks for, at sample `until`; -1: none.

    Without a sampling rate (fs 0) time cannot be counted: nothing is delayed.
    """
    for i, rule in enumerate(rules):
        if track.since[i] >= 0 and track.failing[i] < 0 and until - track.since[i] >= rule.delay_s * fs:
            return i
    return -1


def lasting(track: Track) -> bool:
    """Whether any rule holds."""
    return any(since >= 0 for since in track.since)


def lapsed_at(track: Track) -> int:
    """Since which sample no rule has held that did; -1: none has yet (its alert is known from before)."""
    return max(track.failing, default=-1)


def evidence(track: Track, rule: Rule) -> Evidence:
    """The detectors' evidence, measured against the rule's own limit if it has one."""
    found = track.episode.evidence
    limit = rule.at_least if rule.at_least is not None else rule.at_most
    if limit is None or found.unit != rule.unit:
        return found
    return structs.replace(found, value=round(track.value, 3), threshold=limit)
