"""A paper as a value: what stands on it, apart from how it looks."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

Json: TypeAlias = "str | int | float | bool | Sequence[Json] | Mapping[str, Json] | None"


@dataclass(frozen=True, slots=True)
class Document:
    """A numbered paper: the template that lays it out, and JSON content for it.

    `number` is the document number printed on every page. `template_version` goes up with each
    change of the template that changes a paper, so that old papers are known as such.
    """

    number: str
    template: str
    template_version: int
    content: Mapping[str, Json]

    def fingerprint(self) -> str:
        """Return the SHA-256 (hex) of template, version and content, in canonical JSON.

        The number is left out: it names the paper, and two versions of a paper share it. Equal
        fingerprints mean that nothing would change on paper. Raise `ValueError` for NaN and
        infinity, `TypeError` for what JSON has no form for.
        """
        said = [self.template, self.template_version, self.content]
        text = json.dumps(
            said, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
        )
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
