"""Checker and JSON Schema give the answers that the corpus of manifests states (docs/UPSTREAM.md)."""

import json
import subprocess
import sys

import pytest
from constants import TREE
from corpus import BUNDLES, CASES, FOLDER, begin_so
from jsonschema import Draft202012Validator

from gpupanel.bundle_check import check_file, check_folder
from gpupanel.manifest.json_schema import build_schema, format_schema

PUBLISHED = TREE / "docs" / "manifest.schema.json"
VALIDATOR = Draft202012Validator(build_schema())
BY_NAME = pytest.mark.parametrize("case", CASES, ids=[case.case for case in CASES])


def test_the_index_names_each_manifest_once():
    assert sorted(path.name for path in BUNDLES.glob("*.json")) == sorted(case.file for case in CASES)
    assert len(CASES) == len({case.case for case in CASES}) >= 60
    assert all((BUNDLES / f"{case.sync_id}.ready").exists() for case in CASES)
    assert {path.name for path in FOLDER.iterdir()} == {"bundles", "index.json"}


@BY_NAME
def test_the_checker_gives_the_verdict_and_the_problems_of_the_index(case):
    found = check_file(BUNDLES / case.file, None)
    assert found.verdict == case.verdict
    assert begin_so(found.problems, case.problems) and begin_so(found.item_problems, case.item_problems)


def test_a_folder_is_checked_as_each_of_its_manifests():
    found = {answer.sync_id: answer.verdict for answer in check_folder(BUNDLES, None)}
    assert found == {case.sync_id: case.verdict for case in CASES}


@BY_NAME
def test_a_public_validator_gives_the_answer_of_the_index(case):
    """What is not strict JSON may be read in any way, so that only the parser has an answer."""
    if case.schema is None:
        assert case.verdict == "refused"
        return
    document = json.loads((BUNDLES / case.file).read_bytes())
    assert VALIDATOR.is_valid(document) is (case.schema == "valid")


def test_whatever_the_schema_refuses_the_checker_refuses_and_accepts_only_what_the_schema_accepts():
    assert {case.verdict for case in CASES if case.schema == "invalid"} == {"partial", "refused"}
    assert {case.schema for case in CASES if case.verdict == "sound"} == {"valid"}


def test_the_published_schema_is_the_one_that_the_types_give():
    """`bin/gpupanel check --schema >docs/manifest.schema.json` writes it."""
    assert PUBLISHED.read_text(encoding="utf-8") == format_schema()


def test_the_schema_is_json_schema_2020_12_and_names_no_place():
    Draft202012Validator.check_schema(build_schema())
    assert "$id" not in format_schema()


def test_the_command_prints_the_schema():
    command = [sys.executable, str(TREE / "bin" / "gpupanel"), "check", "--schema"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == format_schema()


def test_the_example_of_the_manual_is_sound(tmp_path):
    manual = (TREE / "docs" / "BUNDLE-FORMAT.md").read_text(encoding="utf-8")
    section = manual.partition("## A complete example")[2].partition("Unknown keys are ignored")[0]
    lines = [line.partition("  //")[0] for line in section.splitlines() if line.startswith("    ")]
    document = json.loads("\n".join(lines))
    assert VALIDATOR.is_valid(document)
    file = tmp_path / f"{document['sync_id']}.json"
    file.write_text(json.dumps(document))
    assert check_file(file, None).verdict == "sound"
