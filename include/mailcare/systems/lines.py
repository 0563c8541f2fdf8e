"""Read YAML and remember the line on which each key stands."""

from dataclasses import dataclass

import yaml
from yaml.composer import ComposerError

from mailcare.errors import InputError

Path = tuple[str | int, ...]

SIZE_LIMIT_CHARACTERS = 256 * 1024
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


class _PlainLoader(yaml.SafeLoader):
    """Refuse what makes a small text a huge or endless document: aliases and deep nesting."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose one node and what it holds."""
        mark = self.peek_event().start_mark
        if self.check_event(yaml.AliasEvent):
            raise ComposerError(problem="不支持 YAML 别名（*）", problem_mark=mark)
        if self.depth == DEPTH_LIMIT:
            raise ComposerError(problem=f"嵌套超过 {DEPTH_LIMIT} 层", problem_mark=mark)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def read_yaml(text: str, *, name: str) -> tuple[object, LineMap]:
    """Return the document and its line map; raise `InputError` for what is not one YAML mapping.

    Aliases, more than `DEPTH_LIMIT` levels and a text over the size limit are refused too.
    """
    if len(text) > SIZE_LIMIT_CHARACTERS:
        raise InputError("内容超过 256 KiB", subject=name)
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
