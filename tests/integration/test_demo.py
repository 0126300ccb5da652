"""The demonstration as a newcomer starts it: beds, people on duty, a page that needs no password."""

from pathlib import Path

import httpx
import pytest

from benchmarks.child import Child
from tests.services.hospital import eventually


@pytest.mark.timeout(900)
def test_the_demonstration_has_beds_people_on_duty_and_cases_that_tell_them(tmp_path: Path) -> None:
    with (
        Child(tmp_path, {"SESSION_SECRET_FILE": str(tmp_path / "key")}, ("demo", "--beds", "2")) as demo,
        httpx.Client(base_url=demo.addresses["dashboard"], timeout=30.0) as client,
    ):
        eventually(lambda: client.get("/api/session").json().get("user") == "wang", 120.0)
        eventually(lambda: len(client.get("/api/streams").json()) == 2, 120.0)

        # The second bed's heart stops after 22 s.
        def told() -> set[str]:
            cases = client.get("/api/cases").json()
            return {p["user"] for c in cases if c["priority"] == "high" for p in c["pages"].values()}

        eventually(lambda: told() >= {"wang", "zheng"}, 180.0)
        login = {"user": "zheng", "password": "demo-password"}
        assert client.post("/api/session", json=login).status_code == 200
        clinics = {c["clinic"] for c in client.get("/api/cases", params={"state": "all"}).json()}
        assert clinics <= {"清溪乡卫生院 Qingxi"}
