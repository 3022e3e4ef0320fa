"""Finds a strategy's class: a shipped one by its name, a user's own by its class path."""

import inspect
import pkgutil
from importlib import import_module
from types import ModuleType
from typing import Any

import livebot.strategies
from livebot.errors import BadInput
from livebot.strategies.interface import Strategy, check_class


def shipped() -> dict[str, type[Strategy[Any]]]:
    """The strategies of this package by name, one module each; a new file is found without being listed anywhere."""
    package = livebot.strategies
    modules = [import_module(f"{package.__name__}.{found.name}") for found in pkgutil.iter_modules(package.__path__)]
    return {found.name: found for module in modules for found in _strategies_of(module)}


def load(name_or_class_path: str) -> type[Strategy[Any]]:
    """The class of a shipped strategy (`ema_cross`) or of a user's (`package.module:Class` or `package.module.Class`).

    Raises:
        BadInput: there is none, it does not import, or it is not a strategy; the text names the cause and the mend.

    """
    text = name_or_class_path.strip()
    if not any(mark in text for mark in ".:"):
        return _shipped_by_name(text)
    module_name, _, class_name = text.rpartition(":" if ":" in text else ".")
    if not all(part.isidentifier() for part in (*module_name.split("."), class_name)):
        message = f"strategy {text!r} is not a class path; write it as package.module:Class"
        raise BadInput(message)
    module = _module(text, module_name)
    found = getattr(module, class_name, None)
    if found is None:
        own = ", ".join(sorted(strategy.__name__ for strategy in _strategies_of(module))) or "none"
        message = f"strategy {text!r}: {module_name} has no {class_name}; strategies in it: {own}"
        raise BadInput(message)
    if not (isinstance(found, type) and issubclass(found, Strategy)):
        message = (
            f"strategy {text!r}: {class_name} is not a strategy; derive it from livebot.strategies.interface.Strategy"
        )
        raise BadInput(message)
    problems = check_class(found)
    if problems:
        message = f"strategy {text!r}: {'; '.join(problems)}"
        raise BadInput(message)
    return found


def _shipped_by_name(name: str) -> type[Strategy[Any]]:
    strategies = shipped()
    if name not in strategies:
        message = (
            f"there is no strategy {name!r}; shipped are {', '.join(sorted(strategies))}; "
            "one of your own is named by its class path, package.module:Class"
        )
        raise BadInput(message)
    return strategies[name]


def _module(text: str, module_name: str) -> ModuleType:
    try:
        return import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            message = f"strategy {text!r}: {module_name} needs {error.name}, which is not installed; install it"
            raise BadInput(message) from error
        message = (
            f"strategy {text!r}: there is no module {error.name}; "
            "check the spelling, and that its folder is on PYTHONPATH or installed"
        )
        raise BadInput(message) from error
    except Exception as error:  # a user's module may raise anything while it is imported
        message = f"strategy {text!r}: {module_name} does not import, mend it: {type(error).__name__}: {error}"
        raise BadInput(message) from error


def _strategies_of(module: ModuleType) -> list[type[Strategy[Any]]]:
    """Those written in the module itself, not imported into it, and complete."""
    return [
        found
        for _, found in inspect.getmembers(module, inspect.isclass)
        if issubclass(found, Strategy) and found.__module__ == module.__name__ and not inspect.isabstract(found)
    ]
