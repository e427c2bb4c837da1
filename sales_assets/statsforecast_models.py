"""Which models statsforecast has and what they take, read from its source.

Importing statsforecast takes seconds, and settings are loaded by every command.
"""

import ast
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

# Parameters that are no number, word or list, and the one that names a model's column.
NOT_SETTABLE = {"prediction_intervals", "alias", "trend_forecaster"}
# Models that need an object, are there to fill a column, or draw numbers without a seed.
NOT_MODELS = {"SklearnModel", "ConstantModel", "ZeroModel", "NaNModel", "ConformalSeasonalPool"}


@dataclass(frozen=True)
class Signature:
    """What a model's constructor takes: all its parameters, and those without a default."""

    accepted: tuple[str, ...]
    required: tuple[str, ...]


def fault_of(name: str, parameters: Mapping[str, Any]) -> str | None:
    """Return what is wrong with a model's name or parameters, and what is accepted instead."""
    models = signatures()
    if name not in models:
        return f"{name!r} is no model of statsforecast; the models are {', '.join(sorted(models))}"
    signature = models[name]
    accepted = f"it takes {', '.join(signature.accepted) or 'none'}"
    unknown = [parameter for parameter in parameters if parameter not in signature.accepted]
    if unknown:
        return f"{name} takes no {', '.join(map(repr, unknown))}; {accepted}"
    missing = [parameter for parameter in signature.required if parameter not in parameters]
    if missing:
        return f"{name} needs {', '.join(missing)}; {accepted}"
    return None


@cache
def signatures() -> dict[str, Signature]:
    """Return the constructor of each model that can be named in settings."""
    package = importlib.util.find_spec("statsforecast")
    assert package is not None, "statsforecast is a requirement"
    assert package.origin is not None, "statsforecast is a requirement"
    source = Path(package.origin).with_name("models.py").read_text(encoding="utf-8")
    body = ast.parse(source).body
    classes = {node.name: node for node in body if isinstance(node, ast.ClassDef)}
    public = next(
        ast.literal_eval(node.value)
        for node in body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    )
    return {
        name: _signature(classes, name)
        for name in public
        if name in classes and name not in NOT_MODELS
    }


def _signature(classes: Mapping[str, ast.ClassDef], name: str) -> Signature:
    """Return what `__init__` takes, inherited where the class has none of its own."""
    definition = classes.get(name)
    if definition is None:
        return Signature((), ())
    for node in definition.body:
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            names = [argument.arg for argument in node.args.args[1:]]
            without_default = names[: len(names) - len(node.args.defaults)]
            return Signature(
                tuple(each for each in names if each not in NOT_SETTABLE),
                tuple(each for each in without_default if each not in NOT_SETTABLE),
            )
    return (
        _signature(classes, ast.unparse(definition.bases[0]))
        if definition.bases
        else Signature((), ())
    )
