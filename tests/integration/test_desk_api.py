"""The desk over HTTP: who is let in, what each may see and do; a command is done once or refused by name."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.services.hospital import CLINIC, OTHER, PASSWORD, Hospital, eventually, give


@pytest.fixture
def hospital(tmp_path: Path) -> Iterator[Hospital]:
    made = Hospital(tmp_path)
    made.admit("s1", clinic=CLINIC, bed="3")
    yield made
    made.close()


def code(answer: httpx.Response) -> str:
    """The one shape of every error."""
    body: dict[str, Any] = answer.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message"}
    return f"{answer.status_code} {body['error']['code']}"


def test_a_call_back_from_alarm_to_close_by_api_alone(hospital: Hospital) -> None:
    tan, wang = hospital.client("tan"), hospital.client("wang")
    alert = hospital.raise_alert("s1")
    case = hospital.case(tan, alert.id)
    assert case["responsibility"] == "raised"
    assert {p["user"] for p in case["pages"].values()} >= {"tan", "wang"}  # both sides at once
    assert give(tan, alert.id, "accept").json()["case"]["owner"] == "tan"
    assert give(tan, alert.id, "triage", verdict="true_actionable", grade="1").status_code == 200
    assert give(tan, alert.id, "confirm").json()["case"]["call_back"]["state"] == "open"
    assert code(give(tan, alert.id, "close", reason="done")) == "409 read_back_missing"
    attempt = {"contact": "王医生", "number": "13800000001", "result": "answered", "who": "王医生"}
    assert give(tan, alert.id, "attempt", **attempt).status_code == 200
    assert give(tan, alert.id, "read_back", words="停搏，立即复苏", by="王医生").status_code == 200
    assert give(wang, alert.id, "clinic_acknowledge").status_code == 200
    assert give(wang, alert.id, "state_action", text="CPR, 120").status_code == 200
    assert give(tan, alert.id, "outcome", text="ROSC").status_code == 200
    ended = hospital.raise_alert("s1", version=2, state="ended", end=500)
    assert ended.id == alert.id
    closed = give(tan, alert.id, "close", reason="transferred")
    assert closed.json()["case"]["closed"] is True
    story = [f"{x['line']}/{x['state']}" for e in hospital.case(tan, alert.id)["entries"] for x in e["lines"]]
    wanted = [
        "condition/raised",
        "responsibility/accepted",
        "clinical/confirmed",
        "callback/read_back",
        "clinical/closed",
    ]
    assert [step for step in story if step in wanted] == wanted


def test_without_a_session_nothing_is_told(hospital: Hospital) -> None:
    hospital.case(hospital.client("tan"), hospital.raise_alert("s1").id)
    nobody = hospital.client()
    for path in (
        "/api/session",
        "/api/cases",
        "/api/streams",
        "/api/alerts",
        "/api/network",
        "/api/history/alerts?stream=s1",
    ):
        assert code(nobody.get(path)) == "401 login_needed", path
    assert code(nobody.post("/api/test-alarms", json={"clinic": CLINIC})) == "401 login_needed"
    forged = httpx.Client(base_url=hospital.address, headers={"Authorization": "Bearer tan.9999999999.x"})
    assert code(forged.get("/api/cases")) == "401 login_needed"


@pytest.mark.parametrize(
    ("user", "password"), [("tan", "wrong horse"), ("nobody", PASSWORD), ("gone", PASSWORD)]
)
def test_a_wrong_name_a_wrong_password_and_a_person_who_left_get_the_same_answer(
    hospital: Hospital, user: str, password: str
) -> None:
    hospital.client("tan")
    answer = hospital.client().post("/api/session", json={"user": user, "password": password})
    assert code(answer) == "401 wrong_password"


def test_guessing_a_password_is_stopped(hospital: Hospital) -> None:
    client = hospital.client("tan")
    codes = [
        code(client.post("/api/session", json={"user": "chen", "password": f"guess number {n}"}))
        for n in range(7)
    ]
    assert codes[:5] == ["401 wrong_password"] * 5
    assert codes[-1] == "429 too_many_tries"


def test_the_patients_of_other_clinics_do_not_exist(hospital: Hospital) -> None:
    hospital.admit("s2", clinic=OTHER, bed="1")
    alert = hospital.raise_alert("s2")
    dong, wang = hospital.client("dong"), hospital.client("wang")
    hospital.case(dong, alert.id)
    assert code(wang.get(f"/api/cases/{alert.id}")) == "404 not_found"
    assert code(give(wang, alert.id, "seen")) == "404 not_found"
    assert [c["id"] for c in wang.get("/api/cases").json()] == []
    assert [s["stream"] for s in wang.get("/api/streams").json()] == ["s1"]
    assert [a["alert"]["id"] for a in wang.get("/api/alerts").json()] == []
    assert [a["alert"]["id"] for a in dong.get("/api/alerts").json()] == [alert.id]


def test_who_is_not_on_duty_cannot_accept(hospital: Hospital) -> None:
    off = hospital.client("off")
    alert = hospital.raise_alert("s1")
    hospital.case(off, alert.id)
    assert code(give(off, alert.id, "accept")) == "409 not_on_duty"


def test_a_command_given_twice_with_one_key_is_done_once_and_answered_alike(hospital: Hospital) -> None:
    tan = hospital.client("tan")
    alert = hospital.raise_alert("s1")
    hospital.case(tan, alert.id)
    first, second = (give(tan, alert.id, "note", key="k1", text="looked") for _ in range(2))
    assert first.json()["entry"] == second.json()["entry"]
    lines = [x for e in hospital.case(tan, alert.id)["entries"] for x in e["lines"] if x["state"] == "note"]
    assert len(lines) == 1


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"action": "fly"}, "409 unknown_action"),
        ({"action": "Accept"}, "422 bad_request"),
        ({"action": "triage", "data": {"verdict": "maybe"}}, "409 bad_data"),
        ({"action": "accept", "extra": 1}, "422 bad_request"),
        ({"action": "note", "data": {"text": "x" * 70_000}}, "413 too_long"),
        ([], "422 bad_request"),
    ],
)
def test_an_impossible_command_is_refused_by_name(hospital: Hospital, body: Any, expected: str) -> None:
    tan = hospital.client("tan")
    alert = hospital.raise_alert("s1")
    hospital.case(tan, alert.id)
    assert code(tan.post(f"/api/cases/{alert.id}/commands", json=body)) == expected


def test_a_body_without_a_length_is_not_read(hospital: Hospital) -> None:
    tan = hospital.client("tan")
    answer = tan.post("/api/test-alarms", content=iter([b'{"clinic": "Linxi"}']))
    assert code(answer) == "411 length_needed"


def test_another_sites_page_cannot_act(hospital: Hospital) -> None:
    tan = hospital.client("tan")
    answer = tan.post("/api/test-alarms", json={"clinic": CLINIC}, headers={"Origin": "http://evil.example"})
    assert code(answer) == "403 wrong_origin"


def test_a_test_alarm_pages_the_people_of_the_chain(hospital: Hospital) -> None:
    tan = hospital.client("tan")
    hospital.case(tan, hospital.raise_alert("s1").id)
    entry = tan.post("/api/test-alarms", json={"clinic": CLINIC}).json()["entry"]
    case = hospital.case(tan, entry["alert"])
    assert case["kind"] == "test_alarm"
    assert case["pages"]


def test_only_an_administrator_changes_the_network_and_no_password_is_told(hospital: Hospital) -> None:
    tan, zhu = hospital.client("tan"), hospital.client("zhu")
    body = {"id": "new", "name": "新村卫生室", "tier": "village"}
    assert code(tan.put("/api/network/clinic/new", json=body)) == "403 not_allowed"
    assert zhu.put("/api/network/clinic/new", json=body).status_code == 200
    assert code(zhu.put("/api/network/clinic/new", json=body | {"tier": "moon"})) == "409 bad_data"
    eventually(lambda: zhu.get("/api/network").json()["clinic"].get("new", {}).get("name") == "新村卫生室")
    assert "scrypt" not in zhu.get("/api/network").text
    assert code(zhu.put("/api/network/clinic/new", json=body | {"pack": "no-such-pack"})) == "409 bad_data"
    user = {"id": "neu", "name": "Neu", "roles": ["technician"], "password": "long enough"}
    entry = zhu.put("/api/network/user/neu", json=user).json()["entry"]
    # The register tells what changed, and never the hash.
    assert entry["lines"][0]["data"]["body"] == {"id": "neu", "name": "Neu", "roles": ["technician"]}
    assert zhu.delete("/api/network/clinic/new").status_code == 200
    eventually(lambda: "new" not in zhu.get("/api/network").json()["clinic"])


def test_a_person_who_is_made_inactive_is_out_at_once(hospital: Hospital) -> None:
    tan, zhu = hospital.client("tan"), hospital.client("zhu")
    user = zhu.get("/api/network").json()["user"]["tan"]
    assert zhu.put("/api/network/user/tan", json=user | {"active": False}).status_code == 200
    eventually(lambda: tan.get("/api/cases").status_code == 401)


def test_looking_at_a_case_stands_in_the_register(hospital: Hospital) -> None:
    tan = hospital.client("tan")
    alert = hospital.raise_alert("s1")
    hospital.case(tan, alert.id)
    hospital.case(tan, alert.id)

    def views() -> list[tuple[str, str]]:
        lines = [(e, x) for e in hospital.register() for x in e.lines]
        return [(e.by, e.alert) for e, x in lines if (x.line, x.state) == ("access", "view")]

    eventually(lambda: set(views()) == {("tan", alert.id)})


def test_who_is_on_duty_is_told_to_who_may_know(hospital: Hospital) -> None:
    tan = hospital.client("tan")
    duties = tan.get("/api/roster").json()["duties"]
    assert duties == {
        "technician": ["tan"],
        "cardiologist": ["chen"],
        "second": ["cui"],
        "chief": ["zhu"],
        "installer": ["ida"],
    }
    later = tan.get("/api/roster", params={"at": 4_000_000_000}).json()["duties"]
    assert set(map(tuple, later.values())) == {()}


def test_the_register_as_a_whole_is_the_administrators(hospital: Hospital) -> None:
    tan, zhu = hospital.client("tan"), hospital.client("zhu")
    for path in ("/api/register", "/api/statistics"):
        assert code(tan.get(path)) == "403 not_allowed"
        assert code(zhu.get(path)) == "404 no_archive"
        assert code(zhu.get(path, params={"since": -1})) == "422 bad_request"


def test_every_route_is_described(hospital: Hospital) -> None:
    described = hospital.client("tan").get("/openapi.json").json()
    paths = {(path, method) for path, methods in described["paths"].items() for method in methods}
    assert ("/api/cases/{alert}/commands", "post") in paths
    assert ("/api/network/{kind}/{name}", "put") in paths
    assert all(op.get("description") for methods in described["paths"].values() for op in methods.values())
