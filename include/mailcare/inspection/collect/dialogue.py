"""A conversation with one server, written down as it goes: bounded in time and in size.

The standard library's protocol clients keep no record, and their timeouts hold for one read only:
a server that sends a byte a minute holds them for ever. Here the whole conversation has one
deadline, and what was said and heard is the reply itself (see `transcript`).
"""

import io
import re
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from types import TracebackType
from typing import Self

from mailcare.errors import InputError
from mailcare.inspection.check import Ask, Reply
from mailcare.inspection.collect.scene import Scene
from mailcare.systems.site import Site

SIZE_LIMIT_BYTES = 256 * 1024
FAREWELL_S = 3.0
CONNECT_S = 5.0
SECRET = "***"  # noqa: S105 - what stands for a secret
_LONGEST_TELLING = 3  # shorter words stand in any reply
# Neither a terminal nor a database takes these as text; line ends and tabs are no trouble.
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), 127) if chr(code) != "\t"}


class Interrupted(Exception):
    """The conversation broke off; the transcript already says why."""


class Declined(Exception):
    """The server answered, and the answer leaves nothing more to say but goodbye."""


@dataclass(frozen=True, slots=True)
class Server:
    """A port to talk to; `name` is what SNI and the certificate should say."""

    address: str
    port: int
    tls: str
    name: str

    @classmethod
    def of(cls, words: tuple[str, ...]) -> Self:
        """Read the four words that every probe of an endpoint begins with, behind its verb."""
        address, port, tls, name = words
        return cls(address, int(port), tls, name)


class _Wire(io.RawIOBase):
    """The receiving side of a socket under the deadline and the size limit of its dialogue."""

    def __init__(self, dialogue: "Dialogue", connection: socket.socket) -> None:
        self._dialogue = dialogue
        self._connection = connection

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        return self._dialogue.receive_into(self._connection, buffer)


class _Nothing(io.RawIOBase):
    """What there is to read before a connection is made."""

    def readable(self) -> bool:
        return True

    def readinto(self, _buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        return 0


class Dialogue:
    """One transcript over one connection after the other; use it as a context manager."""

    def __init__(self, *, timeout_s: float, limit_bytes: int = SIZE_LIMIT_BYTES) -> None:
        self._deadline = monotonic() + timeout_s
        self._room_bytes = limit_bytes
        self._lines: list[str] = []
        self._secrets: set[str] = set()
        self._connection: socket.socket | None = None
        self.reader: io.BufferedReader[io.RawIOBase] = io.BufferedReader(_Nothing())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def text(self) -> str:
        """Return the transcript so far."""
        return "".join(f"{line}\n" for line in self._lines)

    def note(self, event: str) -> None:
        """Write down an event."""
        self._write("#", event)

    def mark(self) -> int:
        """Return the present end of the transcript, for `rewind`."""
        return len(self._lines)

    def rewind(self, mark: int) -> None:
        """Forget what was written down since `mark`: a round of polling that found nothing."""
        del self._lines[mark:]

    def remaining_s(self) -> float:
        """Return the seconds that are left; raise `Interrupted` when none are."""
        left_s = self._deadline - monotonic()
        if left_s <= 0:
            raise self._broken("timeout total")
        return left_s

    def extend(self, seconds: float) -> None:
        """Leave at least `seconds` from now, for a farewell after a long wait."""
        self._deadline = max(self._deadline, monotonic() + seconds)

    def connect(self, address: str, port: int) -> None:
        """Open a connection, the former one closed; raise `Interrupted` where it fails."""
        self.close()
        self.note(f"connecting {address} {port}")
        started = monotonic()
        try:
            timeout_s = min(CONNECT_S, self.remaining_s())
            self._use(socket.create_connection((address, port), timeout=timeout_s))
        except ConnectionRefusedError:
            raise self._broken("refused") from None
        except TimeoutError:
            raise self._broken("timeout connect") from None
        except OSError as error:
            raise self._broken(f"unreachable {error.strerror or error}") from None
        self.note("connected")
        self.note(f"connect_ms {(monotonic() - started) * 1000:.1f}")

    def start_tls(self, context: ssl.SSLContext, server_name: str) -> ssl.SSLSocket:
        """Begin TLS on the open connection; a failed verification is let through as it is."""
        try:
            self._socket().settimeout(self.remaining_s())
            secured = context.wrap_socket(self._socket(), server_hostname=server_name)
        except ssl.SSLCertVerificationError:
            raise
        except TimeoutError:
            raise self._broken("tls-failed timeout") from None
        except ssl.SSLError as error:
            raise self._broken(f"tls-failed {error.reason or error}") from None
        except (OSError, ValueError) as error:
            raise self._broken(f"tls-failed {error}") from None
        self._use(secured)
        cipher = secured.cipher() or ("", "", 0)
        self.note(f"tls {secured.version()} {cipher[0]}")
        return secured

    def start_trusted_tls(self, trust: ssl.SSLContext, server_name: str) -> None:
        """Begin TLS with a server that `trust` vouches for; raise `Interrupted` for any other."""
        try:
            self.start_tls(trust, server_name)
        except ssl.SSLCertVerificationError as error:
            self.note(f"verify-failed {error.verify_code} {error.verify_message}")
            raise self._broken("closed") from None

    def say(self, line: str, *, shown: str | None = None) -> None:
        """Send a line; `shown` is what the transcript gets instead of a secret."""
        if shown is not None:
            self.hide(line, but=shown)
        self._write(">", line if shown is None else shown)
        self.send(line.encode() + b"\r\n")

    def hide(self, secret: str, *, but: str = "") -> None:
        """Keep a secret and its words, those of `but` apart, out of all that is heard from now."""
        words = {word.strip('"') for word in secret.split()} - {
            one.strip('"') for one in but.split()
        }
        self._secrets |= {one for one in (secret, *words) if len(one) > _LONGEST_TELLING}

    def say_together(self, *lines: str) -> None:
        """Send lines that belong together in one piece."""
        for line in lines:
            self._write(">", line)
        self.send("".join(f"{line}\r\n" for line in lines).encode())

    def send(self, data: bytes) -> None:
        """Send bytes that the caller writes down itself."""
        try:
            self._socket().settimeout(self.remaining_s())
            self._socket().sendall(data)
        except TimeoutError:
            raise self._broken("timeout write") from None
        except OSError as error:
            raise self._broken(f"closed {error.strerror or error}") from None

    def hear(self) -> str:
        """Return the server's next line without its end; raise `Interrupted` where none comes."""
        line = self.reader.readline()
        text = line.decode("utf-8", "backslashreplace").rstrip("\r\n")
        if line:
            self.heard(text)
        if not line.endswith(b"\n"):
            raise self._broken("closed")
        return text

    def hear_bytes(self, count: int) -> bytes:
        """Return exactly `count` bytes; the transcript gets their number only."""
        if count > self._room_bytes:
            raise self._broken("too-long")
        data = self.reader.read(count) or b""
        self.note(f"literal {len(data)}")
        if len(data) < count:
            raise self._broken("closed")
        return data

    def heard(self, text: str) -> None:
        """Write down something that the server said."""
        self._write("<", self._without_secrets(text))

    def receive_into(self, connection: socket.socket, buffer: bytearray | memoryview) -> int:
        """Read what has come, under the deadline and the size limit; 0 at the end."""
        if self._room_bytes <= 0:
            raise self._broken("too-long")
        try:
            connection.settimeout(self.remaining_s())
            count = connection.recv_into(memoryview(buffer)[: self._room_bytes])
        except TimeoutError:
            raise self._broken("timeout read") from None
        except OSError as error:
            raise self._broken(f"closed {error.strerror or error}") from None
        self._room_bytes -= count
        return count

    def close(self) -> None:
        """Close the connection, if one is open."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _use(self, connection: socket.socket) -> None:
        self._connection = connection
        self.reader = io.BufferedReader(_Wire(self, connection))

    def _socket(self) -> socket.socket:
        if self._connection is None:
            raise self._broken("closed")
        return self._connection

    def _broken(self, event: str) -> Interrupted:
        self.note(event)
        return Interrupted(event)

    def _without_secrets(self, text: str) -> str:
        if not self._secrets:
            return text
        longest_first = sorted(self._secrets, key=len, reverse=True)
        return re.sub("|".join(map(re.escape, longest_first)), SECRET, text, flags=re.IGNORECASE)

    def _write(self, mark: str, text: str) -> None:
        # A line of a transcript is one line, whatever line ends a server invents.
        clean = text.encode("utf-8", "backslashreplace").decode("utf-8")
        for line in clean.splitlines() or [""]:
            self._lines.append(f"{mark} {line.translate(_CONTROLS)}")


Script = Callable[[Dialogue], None]


def converse(ask: Ask, scene: Scene, script: Script, *, farewell: Script) -> Reply:
    """Follow the script to its end, say goodbye where a connection still stands.

    Network trouble never leaves here: it is an event of the transcript and exit code 1.
    """
    with Dialogue(timeout_s=ask.timeout_s) as dialogue:
        ended = _follow(dialogue, script)
        if ended:
            _part(dialogue, farewell)
        text = dialogue.text()
    return Reply(text, 0 if ended else 1, scene.now(), source_of(ask))


def source_of(ask: Ask) -> str:
    """Name where a probe's reply comes from: `smtp://10.0.0.1:25`."""
    return f"{ask.channel}://{ask.words[1]}:{ask.words[2]}"


def hang_up(_dialogue: Dialogue) -> None:
    """Part without a word, where the protocol has no goodbye."""


def _follow(dialogue: Dialogue, script: Script) -> bool:
    try:
        script(dialogue)
    except Interrupted:
        return False
    except Declined:
        return True
    return True


def _part(dialogue: Dialogue, farewell: Script) -> None:
    mark = dialogue.mark()
    dialogue.extend(FAREWELL_S)
    try:
        farewell(dialogue)
    except Interrupted:
        dialogue.rewind(mark)


def any_certificate() -> ssl.SSLContext:
    """Return a context that talks to whatever a server offers; `tls.certificate` judges it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return accept_old_protocols(context)


def trusted_by(site: Site) -> ssl.SSLContext:
    """Return a context that trusts the system's authorities and the site's `ca_file`.

    Raise `InputError` where that file cannot be used. The server's name is verified too.
    """
    context = accept_old_protocols(ssl.create_default_context())
    if site.ca_file is None:
        return context
    try:
        context.load_verify_locations(str(site.ca_file))
    except (OSError, ssl.SSLError) as error:
        raise InputError(f"CA 证书文件无法使用（{error}）", subject=str(site.ca_file)) from None
    return context


def accept_old_protocols(context: ssl.SSLContext) -> ssl.SSLContext:
    """Let a context negotiate outdated versions too, so that they can be seen and judged."""
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    return context
