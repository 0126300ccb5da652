"""The five standard workflows, from samples on the wire to the last state, everything driven by API alone."""

import asyncio
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from leadwire.model import Evidence, RhythmEpisode
from leadwire.network import Clinic, Contact
from simulators.device import SimulatedDevice
from simulators.faults import Disconnect, LeadOff
from simulators.faulty import FaultPlan
from simulators.synthetic import simulate
from storage import open_reader
from tests.integration.system import System, case_of, do, refused, when
from tests.services.hospital import CLINIC, OTHER, eventually

PATCHES = Clinic(
    id=OTHER,
    name="东山村卫生室",
    tier="village",
    parent=CLINIC,
    pack="ambulatory",
    contacts=(Contact(name="董医生", phone="13800000009", user="dong"),),
)
WANG = {"contact": "王医生", "number": "13800000001"}


def story(case: dict[str, Any]) -> list[str]:
    """Every line of the case's register, in order."""
    return [f"{line['line']}/{line['state']}" for entry in case["entries"] for line in entry["lines"]]


def in_order(wanted: list[str], told: list[str]) -> bool:
    """Whether `wanted` stand in `told` in this order."""
    rest = iter(told)
    return all(step in rest for step in wanted)


def lethal_rhythm_at_a_bedside(system: System, stream: str) -> str:
    """A: VF; both sides at once, accepted, confirmed, called, read back, acted on, closed."""
    tan, wang = system.client("tan"), system.client("wang")
    case = case_of(tan, stream, "ventricular_fibrillation")["id"]
    seen = when(tan, case, lambda c: {p["user"] for p in c["pages"].values()} >= {"tan", "wang"})
    assert (seen["priority"], seen["signal"], seen["clinic_side"]) == ("high", "sounding", "told")
    assert do(tan, case, "accept")["owner"] == "tan"
    assert refused(tan, case, "close", reason="x") == "not_triaged"
    do(tan, case, "triage", verdict="true_actionable", grade="1")
    do(tan, case, "confirm")
    assert refused(tan, case, "close", reason="x") == "read_back_missing"
    do(tan, case, "attempt", **WANG, result="no_answer")
    do(tan, case, "attempt", **WANG, result="answered", who="王医生")
    do(tan, case, "read_back", words="3床室颤，立即除颤", by="王医生")
    do(wang, case, "with_patient")
    do(wang, case, "clinic_acknowledge")
    do(wang, case, "state_action", text="CPR, defibrillated, 120 called")
    when(tan, case, lambda c: c["condition"] != "active")
    do(tan, case, "acknowledge")
    do(tan, case, "outcome", text="sinus rhythm")
    assert do(tan, case, "close", reason="transferred")["closed"]
    told = story(when(tan, case, lambda c: bool(c["closed"])))
    wanted = [
        "condition/raised",
        "page/requested",
        "responsibility/accepted",
        "clinical/confirmed",
        "callback/attempt",
        "callback/reached",
        "callback/read_back",
        "callback/action_stated",
        "callback/outcome",
        "clinical/closed",
    ]
    assert in_order(wanted, told), told
    return str(case)


def figures_of_the_night(system: System, cases: int) -> None:
    """What the administrator reads afterwards: every line with its hash, and the times."""
    zhu = system.client("zhu")
    eventually(lambda: zhu.get("/api/statistics").json()["groups"][0]["true_actionable"] >= cases)
    total = zhu.get("/api/statistics").json()["groups"][0]
    assert total["ppv"] == 1.0
    lines = zhu.get("/api/register", params={"limit": 1000}).json()
    assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))
    assert all(b["prev_hash"] == a["hash"] for a, b in pairwise(lines))


def infarction_in_a_village(system: System, stream: str, sample: int) -> str:
    """B: ST elevation on a 12-lead; a cardiologist signs, the clock runs, the cath lab is on it."""
    evidence = Evidence(rule="st_elevation", value=0.25, threshold=0.1, unit="mV", leads=("II", "III", "aVF"))
    system.say(
        RhythmEpisode(stream=stream, kind="st_elevation", onset=sample, detected=sample, evidence=evidence)
    )
    chen, wang = system.client("chen"), system.client("wang")
    case = case_of(chen, stream, "st_elevation")["id"]
    raised = when(chen, case, lambda c: True)
    assert raised["alert"]["evidence"]["leads"] == ["II", "III", "aVF"]
    do(chen, case, "accept")
    do(chen, case, "triage", verdict="true_actionable", grade="STEMI")
    at = raised["opened_at"]
    for mark, after in (("first_medical_contact", -300.0), ("ecg", -60.0), ("diagnosis", 1.0)):
        do(chen, case, "clock", mark=mark, at=at + after)
    do(chen, case, "confirm")
    do(chen, case, "attempt", **WANG, result="answered", who="王医生")
    do(chen, case, "read_back", words="下壁心梗，双抗，转导管室", by="王医生")
    do(wang, case, "clinic_acknowledge")
    do(wang, case, "state_action", text="aspirin, ticagrelor, ambulance")
    do(chen, case, "clock", mark="activation", at=at + 2.0)
    do(chen, case, "clock", mark="departure", at=at + 3.0)
    system.say(
        RhythmEpisode(
            stream=stream,
            kind="st_elevation",
            onset=sample,
            detected=sample + 2,
            end=sample + 1,
            evidence=evidence,
        )
    )
    when(chen, case, lambda c: c["condition"] != "active")
    do(chen, case, "outcome", text="wire 61 min after first contact")
    done = do(chen, case, "close", reason="cath lab")
    assert set(done["clock"]) == {"first_medical_contact", "ecg", "diagnosis", "activation", "departure"}
    assert done["closed"]
    return str(case)


def fibrillation_on_a_patch(system: System, stream: str) -> None:
    """C: AF is told once, as a task: nobody is woken, nothing sounds."""
    tan = system.client("tan")
    case = case_of(tan, stream, "atrial_fibrillation", 180.0)
    assert case["task"] is True
    assert case["signal"] == "quiet"
    assert "escalate" not in case["timers"]
    do(tan, case["id"], "triage", verdict="true_not_actionable")
    do(tan, case["id"], "close", reason="office called")


def electrode_off(system: System, stream: str) -> None:
    """D: an electrode: the clinic first, the installer after half an hour."""
    tan = system.client("tan")
    case = case_of(tan, stream, "lead_off")
    assert (case["priority"], case["category"]) == ("low", "technical")
    assert {p["side"] for p in case["pages"].values()} == {"clinic"}
    installers = [s["after_s"] for s in case["chain"] if s["duty"] == "installer"]
    assert installers == [1800.0]


def link_down(system: System, stream: str) -> None:
    """E: blind, and said so; what happened meanwhile is listed as late and never sounds."""
    tan = system.client("tan")
    blind = case_of(tan, stream, "no_data")
    assert blind["condition"] == "active"
    late = case_of(tan, stream, "asystole")
    assert late["late"] is True
    assert late["signal"] == "quiet"
    assert "signal/sounding" not in story(when(tan, late["id"], lambda c: True))
    when(tan, blind["id"], lambda c: c["condition"] != "active")


async def _begun(sim: SimulatedDevice, seconds: float) -> int:
    """Once so much of `sim` has been acknowledged: the number of samples."""
    while sim.device.acknowledged < seconds * sim.fs:
        await asyncio.sleep(0.05)
    return sim.device.acknowledged


def _vf() -> Any:
    return simulate("20 s sinus 72; 25 s vf; 40 s sinus 76", seed=1)[0]


def _sinus(seconds: int = 3600) -> Any:
    return simulate(f"{seconds} s sinus 74", seed=2)[0]


@pytest.mark.timeout(900)
def test_the_five_workflows_on_one_machine(tmp_path: Path) -> None:
    async def run() -> None:
        async with System(tmp_path, more=[PATCHES]) as system:
            plan = FaultPlan((Disconnect(at_s=12, for_s=48),), 5)
            beds = {
                "A": system.play(CLINIC, "A", _vf(), 5.0),
                "B": system.play(CLINIC, "B", _sinus(600), 1.0),
                "C": system.play(OTHER, "C", simulate("300 s af 95", seed=3)[0], 10.0),
                "D": system.play(CLINIC, "D", _sinus(300), 2.0, FaultPlan((LeadOff(20, 100),), 4)),
                "E": system.play(
                    CLINIC, "E", simulate("18 s sinus 70; 6 s asystole; 600 s sinus 70", seed=5)[0], 1.0, plan
                ),
            }
            sample = await _begun(beds["B"][0], 5.0)
            flows = (
                (lethal_rhythm_at_a_bedside, "A"),
                (fibrillation_on_a_patch, "C"),
                (electrode_off, "D"),
                (link_down, "E"),
            )
            await asyncio.gather(
                asyncio.to_thread(infarction_in_a_village, system, beds["B"][0].stream, sample),
                *(asyncio.to_thread(flow, system, beds[bed][0].stream) for flow, bed in flows),
            )
            await asyncio.to_thread(figures_of_the_night, system, 2)
            for _, playing in beds.values():
                playing.cancel()

    asyncio.run(run())


@pytest.mark.kafka
@pytest.mark.postgres
@pytest.mark.timeout(900)
def test_vf_and_infarction_on_kafka_and_postgresql_stand_in_the_register(
    tmp_path: Path, kafka_address: str, postgres_url: str
) -> None:
    async def run() -> tuple[str, str]:
        settings = {"BUS": f"kafka://{kafka_address}", "ARCHIVE": postgres_url}
        async with System(tmp_path, settings) as system:
            vf, first = system.play(CLINIC, "A", _vf(), 5.0)
            sinus, second = system.play(CLINIC, "B", _sinus(600), 1.0)
            sample = await _begun(sinus, 5.0)
            cases = await asyncio.gather(
                asyncio.to_thread(lethal_rhythm_at_a_bedside, system, vf.stream),
                asyncio.to_thread(infarction_in_a_village, system, sinus.stream, sample),
            )
            first.cancel()
            second.cancel()
            return cases

    cases = asyncio.run(run())
    reader = open_reader(postgres_url)
    for case in cases:
        lines = [f"{x.line}/{x.state}" for e in reader.register.entries(case) for x in e.lines]
        assert in_order(["condition/raised", "callback/read_back", "clinical/closed"], lines)
    reader.close()
    env = os.environ | {"LEADWIRE_ARCHIVE": postgres_url}
    verify = [sys.executable, "-m", "leadwire.cli", "audit", "verify"]
    assert subprocess.run(verify, env=env, cwd=tmp_path, check=False).returncode == 0
