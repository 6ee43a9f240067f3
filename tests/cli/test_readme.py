"""Every command that the README shows is one that the command line takes."""

from __future__ import annotations

import ast
import inspect
import re
import shlex
from pathlib import Path

import click
import pytest

import fdeg_codec
from fdeg_codec.cli.main import fdeg

README = (Path(__file__).parents[2] / "README.md").read_text()
BLOCKS = re.findall(r"(?s)```(\w*)\n(.*?)```", README)
COMMANDS = [
    line.partition("  #")[0].partition("|")[2 if line.startswith("cat") else 0].partition(" > ")[0].strip().removeprefix("bin/")
    for language, block in BLOCKS
    if not language
    for line in block.splitlines()
]
PYTHON = [block for language, block in BLOCKS if language == "python"]


def test_all_kinds_are_there() -> None:
    assert {command.split()[1] for command in COMMANDS} >= {"encode", "decode", "info", "verify", "compare", "batch"}
    assert len(PYTHON) > 1


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_is_understood(line: str) -> None:
    program, name, *words = shlex.split(line)
    assert program == "fdeg"
    command = fdeg.get_command(click.Context(fdeg), name)
    assert command is not None
    command.make_context(name, words)  # a UsageError where it is not


@pytest.mark.parametrize("block", PYTHON, ids=range(len(PYTHON)))
def test_python_names_what_there_is(block: str) -> None:
    """Words of calls are those of the functions; attributes of the scene are there."""
    for node in ast.walk(ast.parse(block)):
        match node:
            case ast.Attribute(value=ast.Name("fdeg_codec"), attr=name):
                assert hasattr(fdeg_codec, name)
            case ast.Attribute(value=ast.Name("scene"), attr=name) if "xarray" not in block:
                assert hasattr(fdeg_codec.open, name)
            case ast.Call(func=ast.Attribute(value=ast.Name("fdeg_codec"), attr="batch")):
                pass  # takes encode's words, too
            case ast.Call(func=ast.Attribute(value=ast.Name("fdeg_codec"), attr=name), keywords=words):
                assert {word.arg for word in words} <= inspect.signature(getattr(fdeg_codec, name)).parameters.keys()
