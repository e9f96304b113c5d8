"""config/evio.yaml and docs/parameters.md say what the declarations in the code say."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
SPEC = importlib.util.spec_from_file_location(
    "generate_configuration", ROOT / "tools" / "generate_configuration.py"
)
generate_configuration = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(generate_configuration)


@pytest.mark.parametrize("name", generate_configuration.FILES)
def test_the_files_are_those_that_make_configuration_writes(name):
    text = generate_configuration.FILES[name]()
    assert (ROOT / name).read_text() == text, "run `make configuration`"


def test_the_values_of_the_yaml_file_pass_the_checks_with_their_types():
    content = yaml.safe_load((ROOT / "config" / "evio.yaml").read_text())
    assert set(content) <= {f"/**/{name}" for name in generate_configuration.NODES}
    for name, node in generate_configuration.NODES.items():
        values = content.get(f"/**/{name}", {}).get("ros__parameters", {})
        for prefix, kind in node.parameter_groups():
            section = values[prefix] if prefix else values
            for description in kind.describe():
                assert type(section[description.name]) is description.type
                assert section[description.name] == description.default
