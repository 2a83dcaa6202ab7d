"""`--help` is written for a reader: whole sentences that name the default."""

import argparse
from collections.abc import Iterator

import pytest

pytest.importorskip("brevitas", reason="training needs the train extra")

from spikeline.cli.main import _parser


def commands() -> dict[str, argparse.ArgumentParser]:
    (found,) = (a for a in _parser()._actions if isinstance(a, argparse._SubParsersAction))
    return dict(found.choices)


def arguments() -> Iterator[tuple[str, argparse.ArgumentParser, argparse.Action]]:
    for name, parser in commands().items():
        for action in parser._actions:
            if not isinstance(action, argparse._HelpAction):
                yield f"{name} {(action.option_strings or [action.dest])[-1]}", parser, action


def sentence(text: str | None) -> bool:
    return bool(text) and text[0].isupper() and text.endswith(".")


@pytest.mark.parametrize(
    "name", ["train", "export", "compile", "data", "info", "sim", "run", "report", "bench", "power", "energy"]
)
def test_every_subcommand_says_what_it_does(name):
    (listing,) = (a for a in _parser()._actions if isinstance(a, argparse._SubParsersAction))
    helps = {choice.dest: choice.help for choice in listing._choices_actions}
    assert sentence(helps[name])


def test_every_subcommand_is_looked_at():
    assert {name for name, _, _ in arguments()} >= {"train --preset", "export --out", "compile model", "run model"}


@pytest.mark.parametrize(("name", "parser", "action"), [pytest.param(*x, id=x[0]) for x in arguments()])
def test_every_argument_is_a_sentence_and_names_its_default(name, parser, action):
    text = parser._get_formatter()._expand_help(action) if action.help else None
    assert sentence(text), f"{name}: {text!r}"
    if action.nargs != 0 and not action.required and action.option_strings:
        assert "(default: " in text, f"{name} does not say what holds without it"
        if isinstance(action.default, int | float | str):
            assert f"(default: {action.default})" in text
    if not action.option_strings:
        assert action.metavar == action.metavar.upper()
