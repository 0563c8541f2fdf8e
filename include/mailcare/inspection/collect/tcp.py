"""Whether a TCP port accepts a connection, and how fast; nothing is said.

Words: `connect ADDRESS PORT`, or those of `ssh_methods`, which speaks a protocol of its own.
"""

from mailcare.inspection.check import Answer, Ask
from mailcare.inspection.collect import ssh_methods
from mailcare.inspection.collect.dialogue import Dialogue, converse, hang_up
from mailcare.inspection.collect.scene import Scene


def probe(ask: Ask, scene: Scene) -> Answer:
    """Connect and hang up, or ask what the SSH server there offers."""
    if ask.words[0] == "ssh-methods":
        return ssh_methods.probe(ask, scene)
    _, address, port = ask.words

    def script(dialogue: Dialogue) -> None:
        dialogue.connect(address, int(port))

    return converse(ask, scene, script, farewell=hang_up)
