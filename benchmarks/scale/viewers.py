"""Many people with the same page open, as Streamlit's own websocket protocol says it.

Each viewer opens the page and then asks for its live parts again every `pause` seconds, at moments
of their own, as a browser does. The client shares the machine's cores with the server.
"""

import asyncio
import random
import time
from dataclasses import dataclass, field

import psutil
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState, ContextInfo
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol


@dataclass
class Load:
    """What all viewers together saw."""

    #: Seconds from asking for a refresh to its last message.
    seconds: list[float] = field(default_factory=list)
    #: Processor seconds of the server while they were watching.
    cpu: float = 0.0
    megabytes: float = 0.0
    received: int = 0


async def watch(url: str, pid: int, *, count: int, pause: float, seconds: float) -> Load:
    """`count` viewers of the page at `url` for so many seconds, once all of them have it open."""
    load, process = Load(), psutil.Process(pid)
    address = url.replace("http://", "ws://") + "/_stcore/stream"
    viewers = [Viewer(address, load, random.Random(n)) for n in range(count)]
    try:
        for viewer in viewers:
            await viewer.open()
        before = process.cpu_times()
        until = time.monotonic() + seconds
        load.received = 0
        await asyncio.gather(*(viewer.refresh(pause, until) for viewer in viewers))
        after = process.cpu_times()
        load.cpu = after.user + after.system - before.user - before.system
        load.megabytes = process.memory_info().rss / 2**20
    finally:
        for viewer in viewers:
            await viewer.close()
    return load


class Viewer:
    """One open page."""

    def __init__(self, address: str, load: Load, chance: random.Random) -> None:
        self.address, self.load, self.chance = address, load, chance
        self.fragments: dict[str, float] = {}
        self.socket: ClientConnection | None = None

    async def open(self) -> None:
        """Connect and let the page be drawn."""
        self.socket = await connect(
            self.address, subprotocols=[Subprotocol("streamlit")], max_size=None
        )
        await self._run(ClientState())
        if not self.fragments:
            raise SystemExit("the page has no live part")

    async def close(self) -> None:
        """Close the page."""
        if self.socket is not None:
            await self.socket.close()

    async def refresh(self, pause: float, until: float) -> None:
        """Draw the live parts again: those that move every `pause` seconds, others as they ask."""
        due = {name: time.monotonic() + self.chance.uniform(0, pause) for name in self.fragments}
        while (now := min(due.values())) < until:
            await asyncio.sleep(max(0.0, now - time.monotonic()))
            name = min(due, key=due.__getitem__)
            started = time.monotonic()
            await self._run(ClientState(fragment_id=name, is_auto_rerun=True))
            self.load.seconds.append(time.monotonic() - started)
            due[name] = max(time.monotonic(), now + max(pause, self.fragments.get(name, pause)))

    async def _run(self, state: ClientState) -> None:
        """One run of the page's script or of a fragment, to its end."""
        assert self.socket is not None
        context = ContextInfo(timezone="UTC", locale="en-GB", color_scheme="light")
        state.context_info.CopyFrom(context)
        await self.socket.send(BackMsg(rerun_script=state).SerializeToString())
        async for raw in self.socket:
            assert isinstance(raw, bytes)
            self.load.received += len(raw)
            message = ForwardMsg.FromString(raw)
            kind = message.WhichOneof("type")
            if kind == "auto_rerun":
                self.fragments[message.auto_rerun.fragment_id] = message.auto_rerun.interval
            elif kind == "script_finished":
                early = ForwardMsg.ScriptFinishedStatus.FINISHED_EARLY_FOR_RERUN
                if message.script_finished != early:
                    return
