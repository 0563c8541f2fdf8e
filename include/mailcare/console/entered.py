"""What a person sent with a form: texts and files, bounded, before anything is made of them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated
from uuid import uuid4

from fastapi import Depends, HTTPException, Path, Request, status
from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException

FIELDS_MOST = 500
FILES_MOST = 10
DIGITS_MOST = 9  # what every database takes for a number
KEY = re.compile(r"console/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TEXT_BYTES_MOST = 15 * 1024 * 1024
File = tuple[str, bytes]


@dataclass(frozen=True, slots=True)
class Entered:
    """A form as it came; a text field that was not sent is empty."""

    texts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    files: Mapping[str, tuple[File, ...]] = field(default_factory=dict)

    def one(self, name: str) -> str:
        """Return a field's text, its spaces at both ends left out."""
        return self.texts.get(name, ("",))[-1].strip()

    def every(self, name: str) -> tuple[str, ...]:
        """Return all values of a field, such as those of ticked boxes."""
        return self.texts.get(name, ())

    def file(self, name: str) -> File | None:
        """Return a field's file (name, content), the last one; None where none was sent."""
        return self.attached(name)[-1] if name in self.files else None

    def attached(self, name: str) -> tuple[File, ...]:
        """Return all files of a field."""
        return self.files.get(name, ())

    def whole(self, name: str) -> int:
        """Return a field's number; 400 for what is none."""
        text = self.one(name)
        if not (text.isascii() and text.isdigit() and len(text) <= DIGITS_MOST):
            raise _incomplete()
        return int(text)

    def key(self) -> str:
        """Return what makes the form one, however often it is sent; 400 for none of our own.

        The keys of other ways in (a mail's, a run's) can so not be taken by a form.
        """
        text = self.one("key")
        if not KEY.fullmatch(text):
            raise _incomplete()
        return text


def new_key() -> str:
    """Return the hidden key of a form that is shown."""
    return f"console/{uuid4()}"


def _incomplete() -> HTTPException:
    return HTTPException(status.HTTP_400_BAD_REQUEST, "表单不完整，请重新打开")


async def _read(request: Request) -> Entered:
    parts = request.form(
        max_files=FILES_MOST, max_fields=FIELDS_MOST, max_part_size=TEXT_BYTES_MOST
    )
    try:
        async with parts as form:
            return await _kept(form)
    except MultiPartException as error:
        raise HTTPException(status.HTTP_400_BAD_REQUEST, str(error)) from None


async def _kept(form: FormData) -> Entered:
    texts: dict[str, tuple[str, ...]] = {}
    files: dict[str, tuple[File, ...]] = {}
    for name, value in form.multi_items():
        if isinstance(value, str):
            texts[name] = (*texts.get(name, ()), value)
        elif value.filename:
            files[name] = (*files.get(name, ()), (value.filename, await value.read()))
    return Entered(texts, files)


RowId = Annotated[int, Path(ge=1, lt=10**DIGITS_MOST)]
Form = Annotated[Entered, Depends(_read)]
