"""How conditions begin and end: the few lines every rule shares."""

from msgspec import structs

from dsp.abstract import Second
from leadwire.model import Evidence, RhythmEpisode

BEATS_SHOWN = 8


def begin(
    now: Second,
    kind: str,
    onset: int,
    *,
    rule: str,
    value: float,
    threshold: float,
    unit: str,
    leads: tuple[str, ...] = (),
    detail: str = "",
    withheld: str = "",
) -> RhythmEpisode:
    """An episode that is known from the last sample of this second on."""
    return RhythmEpisode(
        stream=now.stream,
        kind=kind,
        onset=onset,
        detected=now.stop - 1,
        evidence=Evidence(
            rule=rule,
            value=value,
            threshold=threshold,
            unit=unit,
            beats=tuple(now.beats[-BEATS_SHOWN:].tolist()),
            leads=leads,
            quality=now.score,
            detail=detail,
        ),
        withheld=withheld,
    )


def end(episode: RhythmEpisode, sample: int) -> RhythmEpisode:
    """The same episode, over at `sample`."""
    return structs.replace(episode, end=max(sample, episode.onset))
