"""The `risk.round` section: who goes first when several want something at the same close.

Rules of this file: a scorer is loaded and tried when the config is read, so that a wrong one is told with its line.
"""

import inspect
from collections.abc import Mapping
from importlib import import_module
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from livebot.config.problems import Mismatch, Problem
from livebot.config.section import Section
from livebot.config.values import Number, Text
from livebot.config.wording import Wording
from livebot.core.ranking import Scorer
from livebot.errors import BadInput
from livebot.runtime.settings import RoundSettings

Deadline = Annotated[
    int, BeforeValidator(Number(what="whole milliseconds", at_least=1, at_most=30_000, whole=True))
]  # half of the shortest candle: a round is over before the next begins


class RoundConfig(Section):
    """first_come: who asks first is admitted first.  ranked: the candidates of a close wait for each other.

    A ranked round ends when everybody who decides at that close has spoken, or `deadline_ms` after its first candidate.
    The most confident goes first, and who says nothing of that last; `scorer` (package.module:name, a function, or a class
    that is made without arguments and can be called) is given each candidate and answers a number instead: the higher,
    the sooner.
    """

    policy: Literal["first_come", "ranked"] = Field(default="first_come", description="first_come or ranked")
    deadline_ms: Deadline = 500
    scorer: Text | None = None

    @model_validator(mode="after")
    def _means_something(self) -> Self:
        if self.policy == "first_come":
            given = sorted(self.model_fields_set - {"policy"})
            found = [
                (key, "means nothing for policy: first_come; take it out or write policy: ranked") for key in given
            ]
            if found:
                raise Mismatch(*found)
        return self


def round_settings(section: RoundConfig) -> RoundSettings | None:
    """How rounds are judged; None: who comes first is admitted first.  Raises BadInput: the scorer cannot be used."""
    if section.policy == "first_come":
        return None
    scorer = None if section.scorer is None else load_scorer(section.scorer)
    return RoundSettings(deadline_s=section.deadline_ms / 1000, scorer=scorer)


def load_scorer(path: str) -> Scorer:
    """The function, or an instance of the class, at `package.module:name`.

    Raises:
        BadInput: there is none, it does not import, or it cannot be called with a candidate; naming the mend.

    """
    module_name, _, name = path.strip().rpartition(":")
    if not all(part.isidentifier() for part in (*module_name.split("."), name)):
        raise BadInput(f"scorer {path!r} names nothing; write it as package.module:name")
    try:
        found: Any = getattr(import_module(module_name), name, None)
        scorer = found() if isinstance(found, type) else found
    except Exception as error:  # a user's own code may raise anything
        raise BadInput(f"scorer {path!r} cannot be loaded: {type(error).__name__}: {error}") from error
    if not callable(scorer):
        raise BadInput(f"scorer {path!r}: {module_name} has no {name} that can be called with a candidate")
    try:
        inspect.signature(scorer).bind(None)
    except TypeError as error:
        raise BadInput(f"scorer {path!r} must take one argument, the candidate: {error}") from None
    except ValueError:
        pass  # written in C, and silent about what it takes
    made: Scorer = scorer
    return made


def scorer_problems(data: Mapping[str, object], wording: Wording) -> list[Problem]:
    """What is wrong with the scorer of a config, if everything else in the section is right."""
    risk = data.get("risk")
    section = risk.get("round") if isinstance(risk, dict) else None
    if section is None:
        return []
    try:
        checked = RoundConfig.model_validate(section)
    except ValidationError:
        return []  # told elsewhere
    try:
        round_settings(checked)
    except BadInput as error:
        return [wording.at(("risk", "round", "scorer"), str(error))]
    return []
