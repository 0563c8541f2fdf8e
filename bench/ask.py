"""Ask hosts once, in a process of its own: `python -m bench.ask ours|bare|light COUNT PORT FOLDER`.

Prints one JSON object: `seconds`, `peak_kib` of this process, `answered` and `lost` hosts, and
`reply_bytes` of all hosts together.
"""

import asyncio
import json
import sys
from pathlib import Path
from time import perf_counter

import asyncssh

from bench.memory import peak_kib
from bench.targets import everything_of, facts_of, system_of
from mailcare.inspection.check import Ask, Reply
from mailcare.inspection.collect.orchestra import HOSTS_AT_ONCE, collect_answers
from mailcare.inspection.collect.scene import Scene
from mailcare.inspection.collect.script import collector_script
from mailcare.inspection.planning import by_node
from mailcare.secrets import find_secret
from mailcare.systems.system import System

Texts = dict[str, str]  # what each host said, by its name


def ours(system: System, asks: tuple[Ask, ...]) -> Texts:
    """Ask as an inspection does; a host counts when every one of its asks is answered."""
    answers = collect_answers(asks, Scene(system, find_secret, lambda _node: None))
    texts: Texts = {}
    for node, group in by_node(asks).items():
        replies = [answers[ask] for ask in group]
        if all(isinstance(one, Reply) for one in replies):
            texts[node] = "".join(one.text for one in replies if isinstance(one, Reply))
    return texts


def bare(system: System, asks: tuple[Ask, ...]) -> Texts:
    """Run the same script over bare asyncssh connections, as many at once."""
    return asyncio.run(_bare(system, by_node(asks)))


async def _bare(system: System, groups: dict[str, tuple[Ask, ...]]) -> Texts:
    limit = asyncio.Semaphore(HOSTS_AT_ONCE)
    texts: Texts = {}

    async def ask(node: str) -> None:
        async with limit:
            texts[node] = await _run(system, node, collector_script(groups[node]))

    async with asyncio.TaskGroup() as tasks:
        for node in groups:
            tasks.create_task(ask(node))
    return texts


async def _run(system: System, name: str, script: str) -> str:
    node = system.node(name)
    assert node.ssh
    assert node.ssh.credential.key_file
    known = asyncssh.import_public_key(node.ssh.host_key)
    async with asyncssh.connect(
        node.address,
        node.ssh.port,
        username=node.ssh.credential.login,
        client_keys=[str(node.ssh.credential.key_file)],
        known_hosts=([known], [], []),
        config=None,
        agent_path=None,
    ) as connection:
        result = await connection.run("sh -s", input=script, check=True)
    return str(result.stdout)


def main(how: str, count: int, port: int, folder: Path) -> None:
    """Ask so many hosts, and print the outcome; `light` is ours with everything there is to ask."""
    system = system_of(count, port, folder)
    asks = everything_of(system) if how == "light" else facts_of(system)
    started = perf_counter()
    texts = {"ours": ours, "bare": bare, "light": ours}[how](system, asks)
    outcome = {
        "seconds": perf_counter() - started,
        "peak_kib": peak_kib(),
        "answered": len(texts),
        "lost": count - len(texts),
        "reply_bytes": sum(len(text.encode()) for text in texts.values()),
    }
    print(json.dumps(outcome))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
