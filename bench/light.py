"""An SSH server that answers any collector at once: `python -m bench.light PORT FOLDER`."""

import asyncio
import re
import sys
from pathlib import Path

import asyncssh

ANSWER = "bench\n" * 20
_ASK = re.compile(r"^ask (\w+) ", re.MULTILINE)


def framed(script: str) -> str:
    """Return what the script would print, had every command the same answer."""
    keys = _ASK.findall(script)
    frames = [f"==mailcare:1:reply== {key} 0 {len(ANSWER)}\n{ANSWER}\n" for key in keys]
    begin = f"==mailcare:1:begin== 0 {len(keys)} light\n"
    return "".join([begin, *frames, f"==mailcare:1:end== - {len(keys)} -\n"])


async def _answer(process: "asyncssh.SSHServerProcess[str]") -> None:
    process.stdout.write(framed(await process.stdin.read()))
    process.exit(0)


async def _serve(port: int, folder: Path) -> None:
    await asyncssh.listen(
        "0.0.0.0",
        port,
        server_host_keys=[str(folder / "host_key")],
        authorized_client_keys=str(folder / "login_key.pub"),
        process_factory=_answer,
        backlog=2000,
    )
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), Path(sys.argv[2])))
