"""Which pack holds for a stream: the narrower word wins, and nobody is left without rules."""

from pathlib import Path
from typing import Any

import pytest

from alerts.criteria import Packs
from alerts.pack_files import DEFAULT, shipped_pack
from leadwire.model import StreamInfo
from leadwire.network import Clinic, Criteria, Item, to_item
from leadwire.settings import Limits

AT = 1_700_000_000.0


def packs(*items: Item, limits: Limits | None = None, folder: str = "") -> Packs:
    made = Packs(limits=limits, folder=folder)
    for n, item in enumerate(items):
        made.learn(to_item(item, key=f"k{n}", at=AT))
    return made


def info(clinic: str = "c", device: str = "d", patient: str = "p") -> StreamInfo:
    return StreamInfo(
        stream="a",
        device=device,
        clinic=clinic,
        bed="1",
        patient=patient,
        fs=250.0,
        sig_name=("II",),
        units=("mV",),
        started=1.0,
    )


def clinic(pack: str = "", name: str = "c") -> Clinic:
    return Clinic(id=name, name=name, tier="township", pack=pack)


def criteria(scope: str, target: str, pack: str = "", at: float = AT, **rules: dict[str, Any]) -> Criteria:
    name = f"{scope}-{target}".replace("/", "-").replace(" ", "-")
    return Criteria(
        id=name,
        scope=scope,
        target=target,
        pack=pack,
        rules=rules,
        author="li",
        at=at,  # type: ignore[arg-type]
    )


def test_without_a_word_the_default_holds() -> None:
    assert packs().of("a", None) is shipped_pack(DEFAULT)
    assert packs().of("a", info()) is shipped_pack(DEFAULT)


def test_the_narrower_word_wins_rule_by_rule() -> None:
    made = packs(
        clinic("critical-zhejiang"),
        criteria("device", "d", atrial_fibrillation={"priority": "medium"}),
        criteria("patient", "p", svt={"off": True}),
        criteria("patient", "somebody else", bigeminy={"off": True}),
    )
    mine = made.of("a", info())
    assert mine.rules["pause"][0].tier == "critical"
    assert {rule.priority for rule in mine.rules["atrial_fibrillation"]} == {"medium"}
    assert mine.rule("svt") is None
    assert mine.rule("bigeminy") is not None
    other = made.of("b", info(device="e", patient=""))
    assert other.rules["atrial_fibrillation"][0].priority == "high"
    assert made.of("c", info(clinic="elsewhere", device="e", patient="q")) is shipped_pack(DEFAULT)


def test_a_patient_of_one_clinic_is_not_one_of_the_same_label_in_another() -> None:
    made = packs(criteria("patient", "c/p", "ambulatory"))
    assert made.of("a", info()).name == "ambulatory"
    assert made.of("a", info(clinic="x")).name == DEFAULT


def test_a_later_word_on_the_same_patient_stands_over_an_earlier_one() -> None:
    first = criteria("patient", "p", pause={"priority": "high"})
    second = Criteria(
        id="z", scope="patient", target="p", rules={"pause": {"priority": "low"}}, author="li", at=AT + 1
    )
    for order in ((first, second), (second, first)):
        assert packs(*order).of("a", info()).rules["pause"][0].priority == "low"


def test_a_word_that_is_taken_back_no_longer_holds() -> None:
    made = packs(criteria("patient", "p", "ambulatory"))
    item = to_item(criteria("patient", "p"), key="k9", at=AT)
    assert made.of("a", info()).name == "ambulatory"
    made.learn(type(item)(key="k10", kind=item.kind, id=item.id, body=None, at=AT))
    assert made.of("a", info()).name == DEFAULT


@pytest.mark.parametrize(
    "wrong",
    [
        criteria("patient", "p", "no-such-pack"),
        criteria("patient", "p", "../../etc/passwd.toml"),
        criteria("patient", "p", asystole={"off": True}),
        criteria("patient", "p", unheard_of={"priority": "low"}),
        criteria("patient", "p", pause={"colour": "red"}),
        criteria("patient", "p", "monitor-paediatric"),  # asks for more than the detectors are set to find
    ],
)
def test_what_cannot_be_followed_is_refused_as_a_wish_and_passed_over_as_a_fact(wrong: Criteria) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        packs().check(wrong)
    made = packs(clinic("critical-zhejiang"), wrong)
    assert made.of("a", info()).name == "critical-zhejiang"


def test_children_can_be_watched_beside_adults_with_the_detectors_set_wider() -> None:
    limits = Limits(bradycardia=80.0)
    made = packs(criteria("patient", "p", "monitor-paediatric"), limits=limits)
    assert made.of("a", info()).name == "monitor-paediatric"
    assert made.of("a", info(patient="adult")).rules["bradycardia"][-1].at_most == 50


def test_what_can_be_followed_is_no_refused_wish() -> None:
    for item in (clinic(), clinic("ambulatory"), criteria("patient", "p", svt={"off": True})):
        packs().check(item)


def test_a_clinic_with_an_unknown_pack_keeps_the_default() -> None:
    with pytest.raises(ValueError, match="nothing"):
        packs().check(clinic("nothing"))
    assert packs(clinic("nothing")).of("a", info()) is shipped_pack(DEFAULT)


def test_a_pack_of_the_hospital_is_named_and_never_a_path(tmp_path: Path) -> None:
    file = tmp_path / "ours.toml"
    head = 'name = "ours"\nversion = "3"\nissuer = "we"\ndate = 2026-01-01\nextends = "ambulatory"\n'
    file.write_text(head, encoding="utf-8")
    assert packs(criteria("clinic", "c", "ours"), folder=str(tmp_path)).of("a", info()).label == "ours 3"
    for name in ("ours", str(file), "ours.toml", "../ours"):
        assert packs(criteria("clinic", "c", name)).of("a", info()).name == DEFAULT
