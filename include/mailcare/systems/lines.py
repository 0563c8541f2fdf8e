"""Read YAML and remember the line on which each key stands."""

from dataclasses import dataclass

import yaml
from yaml.composer import Composer, ComposerError
from yaml.constructor import SafeConstructor
from yaml.cyaml import CParser
from yaml.resolver import Resolver

from mailcare.errors import InputError

Path = tuple[str | int, ...]

# Of every file that people write and hand in; 20,000 contracts fit, in YAML and in xlsx.
FILE_BYTES_MOST = 4 * 1024 * 1024
DEPTH_LIMIT = 50


@dataclass(frozen=True, slots=True)
class LineMap:
    """The 1-based line of each place in a document."""

    lines: dict[Path, int]

    def line(self, path: Path) -> int:
        """Return the line of `path`, or of its nearest ancestor that the document has."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


class _PlainLoader(Composer, CParser, SafeConstructor, Resolver):
    """Refuse what makes a small text a huge or endless document: aliases and deep nesting.

    libyaml parses, three times as fast as Python does; what it finds is composed here.
    """

    def __init__(self, text: str) -> None:
        CParser.__init__(self, text)
        Composer.__init__(self)
        SafeConstructor.__init__(self)
        Resolver.__init__(self)
        self.depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose one node and what it holds."""
        event = self.peek_event()
        assert event is not None
        assert event.start_mark is not None
        mark = yaml.Mark("", 0, event.start_mark.line, 0, "", 0)
        if self.check_event(yaml.AliasEvent):
            raise ComposerError(problem="不支持 YAML 别名（*）", problem_mark=mark)
        if self.depth == DEPTH_LIMIT:
            raise ComposerError(problem=f"嵌套超过 {DEPTH_LIMIT} 层", problem_mark=mark)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def refuse_oversized(size_bytes: int, *, name: str) -> None:
    """Raise `InputError` for a file that is larger than any file may be."""
    if size_bytes > FILE_BYTES_MOST:
        raise InputError(f"文件超过 {FILE_BYTES_MOST // 1024**2} MiB", subject=name)


def read_yaml(text: str, *, name: str) -> tuple[object, LineMap]:
    """Return the document and its line map; raise `InputError` for what is not one YAML mapping.

    Aliases, more than `DEPTH_LIMIT` levels and a text over the size limit are refused too.
    """
    refuse_oversized(len(text.encode("utf-8", "replace")), name=name)
    try:
        loader = _PlainLoader(text)
        root = loader.get_single_node()
        data = loader.construct_document(root) if root else None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise InputError(f"第 {line} 行不是合法的 YAML：{error.problem}", subject=name) from None
    except (yaml.YAMLError, ValueError) as error:
        raise InputError(f"不是合法的 YAML：{error}", subject=name) from None
    if not isinstance(root, yaml.MappingNode):
        raise InputError("内容必须是键值对", subject=name)
    lines: dict[Path, int] = {}
    _walk(root, (), lines, name)
    return data, LineMap(lines)


def _walk(node: yaml.Node, path: Path, lines: dict[Path, int], name: str) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*path, str(key.value))
            line = key.start_mark.line + 1
            if here in lines:
                raise InputError(f"第 {line} 行重复了键 {key.value}", subject=name)
            lines[here] = line
            _walk(value, here, lines, name)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            lines[(*path, index)] = value.start_mark.line + 1
            _walk(value, (*path, index), lines, name)
