"""The condition line of one condition: begun, announced, worse, gone, ended; or refused, with the reason.

Every function looks at one `Track` as of the last tick of its stream.
"""

from msgspec import structs

from alerts import tracks
from alerts.announced import Announced
from alerts.decisions import Decision, Reason, Refusal
from alerts.held import Held
from alerts.kinds import KINDS
from alerts.pack_files import Pack
from alerts.rules import Rule
from alerts.tracks import Track
from leadwire.model import Alert, event_id

HOLD_S = 60.0
"""A condition found in late data waits at most so long for the stream to catch up, in s."""

_LEFT_ALONE = (Rule(priority="low", off=True),)
"""For an alert whose kind the pack no longer has: it stays until the condition ends."""


def look(
    held: Held, known: str, announced: Announced, pack: Pack, now: float, rate: float | None = None
) -> Decision:
    """Decide on the track `known` of a stream; `rate` (1/min) if a tick just told it."""
    track = held.tracks[known]
    episode, moment = track.episode, held.moment
    rules = pack.rules.get(episode.kind, ()) if episode.kind in KINDS else ()
    if track.alert and not rules:
        rules = _LEFT_ALONE
    other_rules = track.pack != pack.label or len(track.since) != len(rules)
    tracks.judge(track, rules, pack.label, moment, rate)
    alert = announced.get(track.alert)
    if alert is not None and other_rules:
        track.grade = _grade_of(alert, rules)
    if not track.alert:
        _join(held, known, rules, announced)
    until = moment.at if episode.end is None else episode.end
    grade = tracks.ripe(track, rules, until, moment.fs)
    if track.alert:
        return _announced_one(held, known, rules, grade, announced, pack, now)
    reason, detail = _why_not(track, rules, grade, pack)
    if reason is not None:
        return refuse(held, known, reason, detail)
    if grade < 0:
        return Decision()  # its delay runs
    late = held.timing.behind or track.held_at >= 0
    if late and episode.end is None:
        if track.held_at < 0:
            track.held_at = now
        if held.timing.behind and now - track.held_at < HOLD_S:
            return Decision()
    return _announce(held, known, grade, rules[grade], late, announced, pack, now)


def refuse(held: Held, known: str, reason: Reason, detail: str) -> Decision:
    """Say why not, once; a condition that is over is done with."""
    track = held.tracks[known]
    told = track.refused == reason
    track.refused = reason
    if track.episode.end is not None:
        held.drop(known)
    return Decision() if told else Decision(refusals=(Refusal(known, reason, detail),))


def _why_not(track: Track, rules: tuple[Rule, ...], grade: int, pack: Pack) -> tuple[Reason | None, str]:
    """Why a condition that was not announced must not be now; None: it may, or its delay runs."""
    if not rules:
        return "no_rule", track.episode.kind
    if track.episode.withheld:
        return "withheld", track.episode.withheld
    if grade >= 0:
        return ("off", pack.label) if rules[grade].off else (None, "")
    if not tracks.lasting(track):
        return "below_criterion", pack.label
    return (None, "") if track.episode.end is None else ("delayed_and_gone", pack.label)


def _join(held: Held, known: str, rules: tuple[Rule, ...], announced: Announced) -> None:
    """While an alert of its kind is active, a condition is part of it: it is back, or this is its end."""
    track = held.tracks[known]
    episode = track.episode
    alert = announced.open(episode.stream, episode.kind)
    if alert is None:
        return
    over = episode.end is not None and episode.onset <= alert.onset < max(episode.end, episode.onset + 1)
    same = over and (known == alert.id or not episode.withheld)
    back = episode.onset > alert.onset and not episode.withheld and tracks.lasting(track)
    back = back and not any(rule.off for rule in rules)
    if not same and not back:
        return
    track.alert, track.grade = alert.id, _grade_of(alert, rules)
    for other in [i for i, t in held.tracks.items() if t.alert == alert.id and i != known]:
        held.drop(other, joined=True)


def _grade_of(alert: Alert, rules: tuple[Rule, ...]) -> int:
    """Which of `rules` an alert was raised by; the last one, if none of them."""
    same = (
        i
        for i, rule in enumerate(rules)
        if (rule.priority, rule.frozen(alert.rule.pack)) == (alert.priority, alert.rule)
    )
    return next(same, max(0, len(rules) - 1))


def _announce(
    held: Held,
    known: str,
    grade: int,
    rule: Rule,
    late: bool,
    announced: Announced,
    pack: Pack,
    now: float,
) -> Decision:
    track = held.tracks[known]
    episode = track.episode
    onset = max(episode.onset, track.since[grade])
    before = announced.get(event_id(episode.stream, onset, episode.kind))
    before = before or announced.covering(episode.stream, episode.kind, onset)
    if before is not None:
        if before.state == "active":
            track.alert, track.grade, track.held_at = before.id, grade, -1.0
        return refuse(held, known, "known", f"version {before.version} of {before.id}")
    alert = announced.raised(
        episode.stream,
        episode.kind,
        onset,
        rule,
        pack,
        tracks.evidence(track, rule),
        now,
        end=episode.end,
        late=late,
    )
    track.alert, track.grade, track.held_at = alert.id, grade, -1.0
    if episode.end is not None:
        held.drop(known)
    return Decision((alert,))


def _announced_one(
    held: Held,
    known: str,
    rules: tuple[Rule, ...],
    grade: int,
    announced: Announced,
    pack: Pack,
    now: float,
) -> Decision:
    """A condition whose alert was raised: worse, over, or as it was."""
    track = held.tracks[known]
    alert = announced.get(track.alert)
    if alert is None or alert.state == "ended":  # so it went on after the snapshot that this began from
        track.alert, track.grade, track.gone = "", -1, -1
        return refuse(held, known, "known", "its end was announced before")
    said: tuple[Alert, ...] = ()
    if 0 <= grade < track.grade and not rules[grade].off and not track.episode.withheld:
        track.grade = grade
        if _grade_of(alert, rules) != grade:  # else it was raised so after the snapshot
            alert = _worse(track, rules[grade], alert, announced, pack, now)
            said = (alert,)
    if track.episode.end is not None:
        track.gone = track.episode.end if track.gone < 0 else track.gone
    elif tracks.lasting(track):
        track.gone = -1
    elif track.gone < 0:
        track.gone = tracks.lapsed_at(track)
    if track.gone < 0 or not held.cleared(track.gone, rules[track.grade].clear_s, now):
        return Decision(said)
    evidence = alert.evidence
    if track.episode.end is not None and evidence.rule == track.episode.evidence.rule:
        evidence = structs.replace(evidence, detail=track.episode.evidence.detail)
    ended = announced.ended(alert, track.gone, now, evidence=evidence)
    if track.episode.end is not None:
        held.drop(known)
    else:
        track.alert, track.grade, track.gone = "", -1, -1
    return Decision((*said, ended))


def _worse(track: Track, rule: Rule, alert: Alert, announced: Announced, pack: Pack, now: float) -> Alert:
    """The alert by the more urgent rule that holds now. It is never lowered while it lasts."""
    return announced.moved(
        alert,
        now,
        kind=rule.says or track.episode.kind,
        priority=rule.priority,
        evidence=tracks.evidence(track, rule),
        rule=rule.frozen(pack.label),
    )
