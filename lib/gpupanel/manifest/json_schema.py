"""The JSON Schema of a manifest, made from the types of schema.py and the rules for paths.

A manifest is valid by it if a preflight would plan all of its items, as far as a schema can know: text that is not
strict JSON, counts, repeated entries, shared folders and dates that do not exist are found by the parser alone.
"""

import json
from typing import Any

import msgspec

from ..config import MountSettings
from .schema import ManifestFields
from .validation import LONGEST_NAME, PATH_RULES

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
TITLE = "Manifest of a bundle"
ABOUT = (
    "A manifest that a preflight accepts with all of its items. `gpupanel check` also finds what a schema cannot know:"
    " text that is not strict JSON, numbers such as 1.0 for 1, counts, repeated entries, shared folders, dates that do"
    " not exist, the name of the file, and the files of the items."
)
# The parser's patterns are Python's; `$` matches before a line break there, and validators use their own dialect.
ANCHORS = ((r"\A", "^"), (r"\Z", "$"), (r".//", r"[\s\S]//"))
NO_LINE_BREAK = {"pattern": r"\n"}


def build_schema() -> Schema:
    """Return the JSON Schema 2020-12 of a manifest."""
    (root,), kinds = msgspec.json.schema_components([ManifestFields], ref_template="#/$defs/{name}")
    kinds = {name: _adapted(kind) for name, kind in kinds.items()}
    manifest = kinds.pop(root["$ref"].rpartition("/")[2])
    _add_limits(manifest, kinds)
    _add_manifest_rules(manifest, kinds)
    _add_item_rules(kinds["Item"])
    about = {"$schema": DIALECT, "title": TITLE, "description": ABOUT}
    return about | {key: value for key, value in manifest.items() if key not in about} | {"$defs": kinds}


def format_schema() -> str:
    """Return the JSON Schema as the text of docs/manifest.schema.json."""
    return json.dumps(build_schema(), indent=2) + "\n"


def _adapted(value: Any) -> Any:
    """Return a part of a schema with patterns that mean the same to every validator."""
    if isinstance(value, list):
        return [_adapted(element) for element in value]
    if not isinstance(value, dict):
        return value
    adapted = {key: _adapted(element) for key, element in value.items() if key != "default"}
    if isinstance(pattern := adapted.get("pattern"), str):
        adapted |= {"pattern": _translated(pattern), "not": NO_LINE_BREAK}
    return adapted


def _translated(pattern: str) -> str:
    for python, portable in ANCHORS:
        pattern = pattern.replace(python, portable)
    return pattern


def _add_limits(manifest: Schema, kinds: dict[str, Schema]) -> None:
    limits = MountSettings()
    manifest["properties"]["items"]["maxItems"] = limits.max_items
    manifest["properties"]["containers"]["maxItems"] = limits.max_containers
    kinds["Item"]["properties"]["derivatives"]["maxItems"] = limits.max_derivatives
    kinds["Container"]["properties"]["items"] |= {"maxItems": limits.max_members, "uniqueItems": True}


def _add_manifest_rules(manifest: Schema, kinds: dict[str, Schema]) -> None:
    """Add that a bundle is consumable, and what depends on its action and type."""
    manifest["properties"]["status"]["const"] = "completed"
    manifest["required"].append("completed_at")
    manifest["properties"]["completed_at"] = _not_null(manifest["properties"]["completed_at"])
    kinds["Verification"]["properties"]["passed"]["const"] = True
    has_folder = {"required": ["path"], "properties": {"path": {"type": "string"}}}
    says_simple = {"required": ["asset_subtype"], "properties": {"asset_subtype": {"const": "video_simple"}}}
    is_video = {"required": ["asset_type"], "properties": {"asset_type": {"const": "video"}}}
    manifest["allOf"] = [
        {"if": _is("action", "remove"), "else": _each_item(has_folder)},
        {"if": _is("sync_type", "video_simple"), "then": _each_item({"if": is_video, "then": says_simple})},
    ]
    for kind in ("Item", "Derivative"):
        _add_path_rules(kinds[kind]["properties"]["path"])


def _add_item_rules(item: Schema) -> None:
    only_video = {"properties": {"asset_type": {"const": "video"}}}
    item["if"] = {"required": ["asset_subtype"], "properties": {"asset_subtype": {"type": "string"}}}
    item["then"] = only_video


def _add_path_rules(path: Schema) -> None:
    """Add what a path must not contain; names are counted in characters, since a schema knows no bytes."""
    text = next((choice for choice in path.get("anyOf", []) if choice.get("type") == "string"), path)
    rules = [{"description": words, "not": {"pattern": _translated(rule.pattern)}} for rule, words in PATH_RULES]
    longest = {"description": f"no name longer than {LONGEST_NAME} bytes",
               "not": {"pattern": f"[^/]{{{LONGEST_NAME + 1}}}"}}
    text["allOf"] = [*rules, longest]


def _not_null(value: Schema) -> Schema:
    """Return the choice of a value that may be null."""
    (choice,) = (choice for choice in value["anyOf"] if choice != {"type": "null"})
    return dict(choice)


def _is(key: str, value: str) -> Schema:
    return {"required": [key], "properties": {key: {"const": value}}}


def _each_item(rule: Schema) -> Schema:
    return {"properties": {"items": {"items": rule}}}
