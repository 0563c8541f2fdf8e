"""A real SSH server on loopback that runs what it is told, and can be made to misbehave."""

import asyncio
import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import asyncssh

from mailcare.backup.agent.ssh import There
from mailcare.inspection.collect.scene import Scene
from mailcare.secrets import Secret
from mailcare.systems.site import Credential, Node, Ssh
from tests.inspection.samples import lab_system

HOST_KEY = asyncssh.generate_private_key("ssh-ed25519")
USER_KEY = asyncssh.generate_private_key("ssh-ed25519")

# This very Python first: what a machine calls python3 may be a slow wrapper around it.
OUR_PATH = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))

Process = asyncssh.SSHServerProcess[bytes]
Child = subprocess.Popen[bytes]
Relay = Callable[[Process, Child], Awaitable[None]]


class Gate(asyncssh.SSHServer):
    """Let the inspector in by key."""

    def begin_auth(self, username: str) -> bool:  # noqa: ARG002
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:  # noqa: ARG002
        return key.public_data == USER_KEY.public_data


async def passes_on(process: Process, child: Child) -> None:
    """Pass the output of a command on, to its end."""
    assert child.stdout
    while data := await asyncio.to_thread(child.stdout.read1, 65536):
        process.stdout.write(data)


def cuts_after(most_bytes: int, *, times: int = 1) -> Relay:
    """Drop the connection after so many bytes of the agent's output, the first `times` times."""
    left = [times]

    async def relay(process: Process, child: Child) -> None:
        is_agent = "-I" in (process.command or "")
        if not is_agent or not left[0]:
            await passes_on(process, child)
            return
        left[0] -= 1
        assert child.stdout
        process.stdout.write(await asyncio.to_thread(child.stdout.read, most_bytes))
        await process.stdout.drain()
        process.channel.get_connection().abort()

    return relay


async def falls_silent(process: Process, child: Child) -> None:
    """Say nothing more once the agent has begun."""
    if "-I" not in (process.command or ""):
        await passes_on(process, child)
        return
    assert child.stdout
    process.stdout.write(await asyncio.to_thread(child.stdout.readline))
    await process.wait_closed()


def start(words: list[str], env: dict[str, str]) -> Child:
    """Start a command whose input and output are ours."""
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env)


@contextlib.contextmanager
def ssh_host(relay: Relay = passes_on, *, path: str | None = None) -> Iterator[There]:
    """Serve SSH on loopback; yield the seat over there. `path` replaces the programs' PATH."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def session(process: Process) -> None:
        env = {"PATH": OUR_PATH if path is None else path}
        words = ["/bin/sh", "-c", process.command or "sh"]
        script = await process.stdin.read()
        child = await asyncio.to_thread(start, words, env)
        assert child.stdin
        assert child.stdout
        with contextlib.suppress(OSError):
            child.stdin.write(script)
            child.stdin.close()
        with contextlib.suppress(OSError):
            await relay(process, child)
        child.stdout.close()
        child.terminate()
        process.exit(await asyncio.to_thread(child.wait))

    async def listen() -> asyncssh.SSHAcceptor:
        return await asyncssh.listen(
            "127.0.0.1",
            0,
            server_factory=Gate,
            server_host_keys=[HOST_KEY],
            process_factory=session,
            encoding=None,
            config=None,
        )

    server = asyncio.run_coroutine_threadsafe(listen(), loop).result(10)
    try:
        yield There(node_at(server.get_port()), scene())
    finally:

        async def close() -> None:
            server.close()
            await server.wait_closed()
            here = asyncio.current_task()
            if sessions := [one for one in asyncio.all_tasks() if one is not here]:
                await asyncio.wait(sessions, timeout=5)  # a child that ends takes its time

        asyncio.run_coroutine_threadsafe(close(), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def node_at(port: int, pinned: asyncssh.SSHKey = HOST_KEY) -> Node:
    """Return a host of the lab's site that is to be found on that port."""
    login = Ssh(
        port=port,
        credential=Credential(login="inspector", password_env="UNUSED"),
        host_key=pinned.export_public_key().decode().strip(),
    )
    return lab_system().site.nodes[0].model_copy(update={"address": "127.0.0.1", "ssh": login})


def scene(permit: Callable[[str], None] = lambda _node: None) -> Scene:
    """Return the surroundings of a login with the key that the host knows."""
    key = USER_KEY.export_private_key().decode()
    return Scene(lab_system(), lambda _credential: Secret("inspector", private_key=key), permit)
