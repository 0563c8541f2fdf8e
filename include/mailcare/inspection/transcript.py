"""The verbatim record of a probe's dialogue, as text that a person and a parser can read.

Each line begins with a mark: `>` what we said, `<` what the server said, `#` what happened
(`# connected`, `# refused`, `# timeout connect`, `# unreachable`, `# tls TLSv1.3 …`, `# closed`,
`# tls-failed …`, `# elapsed_ms 12`). Secrets are written as `***` by the collector.
"""

from dataclasses import dataclass

from mailcare.inspection.check import Reply, ReplyError


@dataclass(frozen=True, slots=True)
class Transcript:
    """The lines of a dialogue, mark and text apart."""

    lines: tuple[tuple[str, str], ...]

    def said(self) -> tuple[str, ...]:
        """Return what the server said, a line each."""
        return tuple(text for mark, text in self.lines if mark == "<")

    def event(self, name: str) -> str | None:
        """Return the text behind the first event of that name ("" where it has none), or None."""
        for mark, text in self.lines:
            word, _, rest = text.partition(" ")
            if mark == "#" and word == name:
                return rest
        return None

    def after(self, words: str) -> tuple[str, ...]:
        """Return what the server said between our line beginning with `words` and our next one."""
        answer: list[str] = []
        listening = False
        for mark, text in self.lines:
            if mark == ">":
                if listening:
                    break
                listening = text.upper().startswith(words.upper())
            elif mark == "<" and listening:
                answer.append(text)
        return tuple(answer)


def read_transcript(reply: Reply) -> Transcript:
    """Read a reply as a dialogue; raise `ReplyError` for a text that is none."""
    lines = tuple(
        (line[0], line[2:]) for line in reply.text.splitlines() if line[:2] in ("> ", "< ", "# ")
    )
    if not lines:
        raise ReplyError("回复不是探测记录")
    return Transcript(lines)


def sent_away(reply: Reply) -> bool:
    """Tell whether the server answered our connection with a 4xx: come back later (RFC 5321 4.2).

    Only an SMTP dialogue can say so; any other text is no.
    """
    first = next((line[2:] for line in reply.text.splitlines() if line[:2] == "< "), "")
    return reply.source.startswith("smtp:") and first.startswith("4")
