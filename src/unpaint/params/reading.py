"""YAML as both engines read it, and what is wrong with it in words.

Snakemake and DVC read YAML by different rules, so whatever the two would read differently is refused here.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from unpaint.errors import UserError
from unpaint.params.sections import PATTERNS, Params

WORLDS = {"digits", "folder", "dataset", "none"}


def plain(path: Path) -> dict[str, Any]:
    """The mapping that a YAML file holds, if both engines read it alike.

    Raises:
        UserError: naming the file, the line and what to do.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; copy one of presets/ to it")
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=_StrictLoader)  # noqa: S506 (a SafeLoader)
    except (UnicodeDecodeError, yaml.reader.ReaderError):
        raise UserError(f"{path}: not a text in UTF-8; save it as one") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f" line {mark.line + 1}:" if mark else ""
        raise UserError(f"{path}:{line} {error.problem}") from None
    if not isinstance(raw, dict):
        raise UserError(f"{path}: not a mapping of keys; copy one of presets/ to it")
    return raw


def read(path: Path) -> Params:
    """A params file, each key of which is sound for itself and beside the others.

    Raises:
        UserError: naming the file, the key and what to do.
    """
    raw = plain(path)
    try:
        return Params.model_validate(raw)
    except ValidationError as error:
        # a value that may be a text or a list has two issues, of which the first says it
        issues = [issue for issue in error.errors() if issue["loc"][-1:] != ("list[str]",)]
        raise UserError("\n".join(f"{path}: {_describe(issue)}" for issue in issues)) from None


def _describe(issue: Any) -> str:
    tags, origins = {"graddiff", "rg", "rgd"}, {"trained", "by class", "pinned"}
    where = [str(part) for part in issue["loc"]]
    # pydantic names the union's member, which is no key of the file
    if len(where) > 2 and where[0] == "methods" and where[2] in tags:
        del where[2]
    if len(where) > 1 and where[0] in ("world", "base", "judge") and where[1] in WORLDS | origins:
        del where[1]
    if len(where) > 2 and where[0] == "questions" and where[2] in ("naming", "presence", "detection"):
        del where[2]
    key, given = ".".join(where), repr(issue["input"])
    match issue["type"]:
        case "extra_forbidden":
            text = "unknown key; delete it or correct its spelling"
        case "missing" | "union_tag_not_found":
            text = "missing; every key is required, presets/ show each"
        case "value_error":
            # it names the rest of the key itself
            text = str(issue["ctx"]["error"])
            return f"{key}.{text}" if key else text
        case "union_tag_invalid":
            text = f"{issue['ctx']['tag']} is none of {issue['ctx']['expected_tags']}"
        case "string_type":
            key, text = key.removesuffix(".str"), f"a text is wanted, got {given}; put it in quotes"
        case "string_pattern_mismatch":
            key, text = key.removesuffix(".[key]"), f"{PATTERNS[issue['ctx']['pattern']]}, got {given}"
        case _:
            text = issue["msg"]
            text = f"{text[:1].lower()}{text[1:]}, got {given}"
    if issue["type"].startswith("union_tag"):
        key = f"{key}.{issue['ctx']['discriminator'].strip(chr(39))}"
    return f"{key}: {text}"


class _StrictLoader(yaml.SafeLoader):
    """YAML without what Snakemake's and DVC's parsers read differently."""

    _EXPONENT = re.compile(r"^[-+]?[0-9][0-9_]*(\.[0-9]*)?[eE][-+]?[0-9]+$")
    _NUMBER = re.compile(r"^[-+]?(0[0-9_]+|0o[0-7_]+|[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?)$")
    _WORD = re.compile(r"^(y|n|yes|no|on|off)$", re.IGNORECASE)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                raise yaml.MarkedYAMLError(
                    problem="a list or a mapping stands in place of a key; write a name",
                    problem_mark=key_node.start_mark,
                )
            if key in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key} stands twice; keep one", problem_mark=key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError):  # how PyYAML takes what looks like a date or a number
            advice = f"{node.value} is no {node.tag.rpartition(':')[2]}; put it in quotes if it is a text"
            raise yaml.MarkedYAMLError(problem=advice, problem_mark=node.start_mark) from None

    def construct_scalar(self, node: Any) -> Any:
        if isinstance(node, yaml.ScalarNode) and node.style is None:
            text = node.value
            if self._WORD.match(text):
                advice = f"{text} is a word to one engine and a truth value to the other; write true, false or quotes"
                raise yaml.MarkedYAMLError(problem=advice, problem_mark=node.start_mark)
            if self._NUMBER.match(text):
                advice = f"{text} is not the same number to both engines; write it plainly or in quotes"
                raise yaml.MarkedYAMLError(problem=advice, problem_mark=node.start_mark)
            if self._EXPONENT.match(text) and not re.fullmatch(r"[-+]?[0-9]+\.[0-9]*[eE][-+][0-9]+", text):
                mantissa, exponent = re.split("[eE]", text)
                mantissa = mantissa if "." in mantissa else f"{mantissa}.0"
                exponent = exponent if exponent[0] in "+-" else f"+{exponent}"
                advice = f"{text} is a text to one engine and a number to the other; write {mantissa}e{exponent}"
                raise yaml.MarkedYAMLError(problem=advice, problem_mark=node.start_mark)
        return super().construct_scalar(node)
