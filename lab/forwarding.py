"""Small servers beside the demonstration: a TCP forwarder and a mailbox for outgoing letters."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from threading import Thread

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextmanager
def forward(port: int, target: str) -> Iterator[None]:
    """Hand every connection to 127.0.0.1:`port` on to the same port of `target`."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            far_reader, far_writer = await asyncio.open_connection(target, port)
            await asyncio.gather(_pour(reader, far_writer), _pour(far_reader, writer))
        writer.close()

    with _serving(serve, port):
        yield


async def _pour(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while block := await source.read(65536):
            sink.write(block)
            await sink.drain()
    with suppress(OSError):
        sink.close()


@contextmanager
def keep_mail(port: int, folder: Path) -> Iterator[None]:
    """Accept mail on 127.0.0.1:`port` and keep each message as a file in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    names = (folder / f"{number}.eml" for number in count(1))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            await _receive(reader, writer, names)
        writer.close()

    with _serving(serve, port):
        yield


async def _receive(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, names: Iterator[Path]
) -> None:
    writer.write(b"220 demo.invalid ESMTP\r\n")
    while line := await reader.readline():
        verb = line[:4].upper()
        if verb == b"DATA":
            writer.write(b"354 go on\r\n")
            body = await reader.readuntil(b"\r\n.\r\n")
            text = body.removesuffix(b".\r\n").replace(b"\r\n..", b"\r\n.")
            await asyncio.to_thread(next(names).write_bytes, text)
        writer.write(b"221 bye\r\n" if verb == b"QUIT" else b"250 ok\r\n")
        await writer.drain()
        if verb == b"QUIT":
            return


@contextmanager
def _serving(serve: Serve, port: int) -> Iterator[None]:
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(
        asyncio.start_server(serve, "127.0.0.1", port, limit=64 * 1024 * 1024)
    )
    thread = Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=5)
