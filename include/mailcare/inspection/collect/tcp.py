"""Whether a TCP port accepts a connection, and how fast; nothing is said.

Words: `connect ADDRESS PORT`.
"""

from mailcare.inspection.check import Answer, Ask
from mailcare.inspection.collect.dialogue import Dialogue, converse, hang_up
from mailcare.inspection.collect.scene import Scene


def probe(ask: Ask, scene: Scene) -> Answer:
    """Connect and hang up."""
    _, address, port = ask.words

    def script(dialogue: Dialogue) -> None:
        dialogue.connect(address, int(port))

    return converse(ask, scene, script, farewell=hang_up)
