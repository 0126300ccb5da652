"""What is hashed of a register entry."""

from leadwire.case import Line, RegisterEntry
from leadwire.codec import decode, encode
from storage.chain import canonical


def _entry(data: dict[str, object]) -> RegisterEntry:
    line = Line(line="clock", state="ecg", data=data)
    return RegisterEntry(id="c1@a", alert="a", cause="c1", at=1.5, lines=(line,))


def test_the_text_that_is_hashed_has_one_form_whatever_the_order_of_its_keys() -> None:
    a = _entry({"b": 1, "a": {"d": 2.5, "c": [1, "中"]}})
    b = _entry({"a": {"c": [1, "中"], "d": 2.5}, "b": 1})
    assert canonical(a) == canonical(b)
    assert canonical(decode(encode(a))) == canonical(a)  # type: ignore[arg-type]
