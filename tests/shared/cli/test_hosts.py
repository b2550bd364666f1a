"""`graft hosts` shows who works and who does not, and why."""

import json

from commands import Graft
from shared import db
from shared.errors import LowDisk
from shared.tables import Host


def test_a_host_in_trouble_is_listed_with_its_reason(stocked: Graft) -> None:
    why = LowDisk(host="gpu-1", free=3, path="/data", wanted=500).record()
    with db.writing() as session:
        session.add(Host(name="gpu-1", trouble=why, heartbeat_at=2e10))
        session.add(Host(name="gpu-2", heartbeat_at=2e10))
    said = stocked("hosts")
    assert "gpu-1: Host gpu-1 has 3 MiB left" in said.stderr
    states = {each["name"]: each["state"] for each in json.loads(stocked("hosts", "--json").stdout)}
    assert states == {"gpu-1": "in trouble", "gpu-2": "up"}
