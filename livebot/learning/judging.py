"""What models in use answer to a batch of questions: values in, values out.

Rules of this file: nothing is read and nothing is remembered; one call of a predictor a model, on arrays; whatever a predictor
does wrong is a refusal of those who asked, and never an exception.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from math import isfinite
from struct import Struct

import numpy as np

from livebot.core.series import Floats
from livebot.errors import Rejected
from livebot.learning.dataset import Mask
from livebot.learning.loaded import LoadedModel
from livebot.model_ports import Judgement, Question, Shadow

MISSING, UNCOVERED, STALE = "model_missing", "model_uncovered", "model_stale"
UNLIKE, THRESHOLD, FAILED = "model_unlike", "model_threshold", "model_failed"
HOUR_MS = 3_600_000


class Untrained(Enum):
    """What becomes of an entry in a symbol that the model was not trained on, or for which there is no model yet."""

    BLOCK = "block"
    FALLBACK = "fallback"  # the shared part of the model answers
    PASS = "pass"  # noqa: S105  it passes without a confidence


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingTerms:
    """How models are used.

    A model whose training ends more than `expiration_ms` ago is stale and refuses; None: never.  `out_of_distribution`: an
    entry is unlike the training when more than this share of its features lies outside the usual values of training (the
    0.1 % to 99.9 % quantile of each); None: not looked at.  `threshold`: the least confidence; None: the version's own.
    """

    untrained: Untrained = Untrained.BLOCK
    expiration_ms: int | None = None
    out_of_distribution: float | None = None
    threshold: float | None = None

    def stale(self, train_end_ms: int, now_ms: int) -> bool:
        """Whether a model whose training ends then is too old by now."""
        return self.expiration_ms is not None and now_ms - train_end_ms > self.expiration_ms


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scope:
    """The models in use in one scope of a strategy: the one that decides, and one in its shadow.

    `unusable` says why there is none, where one should decide and failed its checks.
    """

    name: str
    strategy: str
    model: LoadedModel | None = None
    challenger: LoadedModel | None = None
    unusable: str | None = None


@dataclass(slots=True, eq=False)
class Answers:
    """One judgement for each question; `uncovered` are the questions (their places) whose symbol wants training.

    `faults` are (model, sentence) of models that failed.
    """

    judgements: list[Judgement]
    uncovered: list[int]
    faults: list[tuple[str, str]]


def judged(questions: Sequence[Question], scopes: Sequence[Scope], terms: ServingTerms, now_ms: int) -> Answers:
    """Answer each question by the models of its scope (one a question), each model asked once."""
    answers = Answers([_NOTHING] * len(questions), [], [])
    places: dict[int, list[int]] = {}
    for place, scope in enumerate(scopes):
        places.setdefault(id(scope), []).append(place)
    for group in places.values():
        scope = scopes[group[0]]
        if scope.model is None:
            _without_model(scope, questions, group, terms, answers)
        else:
            _Batch(scope, scope.model, [questions[place] for place in group], group, answers).answer(terms, now_ms)
    return answers


def shadows_of(
    questions: Sequence[Question], scopes: Sequence[Scope]
) -> tuple[list[tuple[Shadow, ...]], list[tuple[str, str]]]:
    """What the challenger of each question's scope says of it, if it can, and (model, sentence) of those that failed."""
    told: list[tuple[Shadow, ...]] = [()] * len(questions)
    faults: list[tuple[str, str]] = []
    places: dict[int, list[int]] = {}
    for place, scope in enumerate(scopes):
        places.setdefault(id(scope), []).append(place)
    for group in places.values():
        model = scopes[group[0]].challenger
        if model is None:
            continue
        try:
            for place, confidence in _in_shadow(model, [questions[place] for place in group], group):
                told[place] = ((model.name, confidence),)
        except Rejected as error:
            faults.append((model.name, str(error)))
    return told, faults


def _in_shadow(model: LoadedModel, questions: Sequence[Question], places: Sequence[int]) -> Iterable[tuple[int, float]]:
    """Raises Rejected as LoadedModel.probabilities."""
    features, sound = _evidence(questions, len(model.manifest.feature_names))
    rows = [
        row
        for row, question in enumerate(questions)
        if sound[row] and (model.manifest.shared or question.symbol in model.covered)
    ]
    if not rows:
        return ()
    signs = np.asarray([questions[row].side.sign for row in rows], dtype=np.int8)
    said = model.probabilities(features[rows], signs, [questions[row].symbol for row in rows])
    return zip((places[row] for row in rows), _floats(said), strict=True)


def _without_model(
    scope: Scope, questions: Sequence[Question], group: Sequence[int], terms: ServingTerms, answers: Answers
) -> None:
    answers.uncovered += group
    if terms.untrained is Untrained.PASS and scope.unusable is None:
        return
    for place in group:
        text = scope.unusable or (
            f"there is no model in use in {scope.name}, which would judge {questions[place].symbol}; train one (livebot train), "
            "or promote one (livebot models promote)"
        )
        answers.judgements[place] = Judgement(refused=(MISSING, text))


class _Batch:
    """Questions to one scope whose model is in use."""

    def __init__(
        self, scope: Scope, model: LoadedModel, questions: list[Question], places: list[int], answers: Answers
    ) -> None:
        self._scope = scope
        self._model = model
        self._questions = questions
        self._places = places
        self._answers = answers
        self._signs = np.asarray([question.side.sign for question in questions], dtype=np.int8)
        width = len(model.manifest.feature_names)
        self._features, self._sound = _evidence(questions, width)

    def answer(self, terms: ServingTerms, now_ms: int) -> None:
        asked = self._within_training(self._fresh(self._covered(terms), terms, now_ms), terms)
        threshold = self._model.manifest.threshold if terms.threshold is None else terms.threshold
        try:
            said = self._said(asked) if asked else []
        except Rejected as error:
            self._answers.faults.append((self._model.name, str(error)))
            for row in asked:
                self._refuse(row, FAILED, str(error))
            said, asked = [], []
        self._decide(asked, said, threshold)

    def _covered(self, terms: ServingTerms) -> list[int]:
        """The rows whose symbol the model answers for."""
        covered, asked = self._model.covered, []
        for row, question in enumerate(self._questions):
            if question.symbol in covered:
                asked.append(row)
                continue
            self._answers.uncovered.append(self._places[row])
            if terms.untrained is Untrained.FALLBACK and self._model.manifest.shared:
                asked.append(row)
            elif terms.untrained is not Untrained.PASS:
                self._refuse(row, UNCOVERED, self._uncovered_text(question.symbol, terms))
        return asked

    def _uncovered_text(self, symbol: str, terms: ServingTerms) -> str:
        text = f"model {self._model.name} was not trained on {symbol}"
        if terms.untrained is Untrained.FALLBACK:
            text += " and has no shared part to fall back on"
        return f"{text}; {symbol} waits for training (livebot train --if-due)"

    def _fresh(self, asked: list[int], terms: ServingTerms, now_ms: int) -> list[int]:
        end_ms = self._model.manifest.train_end_ms
        if terms.expiration_ms is None or not terms.stale(end_ms, now_ms):
            return asked
        text = (
            f"model {self._model.name} is stale: its training ends {(now_ms - end_ms) / HOUR_MS:.0f} hours ago, and model.serving."
            f"expiration_hours allows {terms.expiration_ms / HOUR_MS:g}; train anew"
        )
        for row in asked:
            self._refuse(row, STALE, text)
        return []

    def _within_training(self, asked: list[int], terms: ServingTerms) -> list[int]:
        """The rows whose evidence can be judged and looks like that of training."""
        ratio = terms.out_of_distribution
        if ratio is None:
            unlike = np.zeros(len(self._questions), dtype=np.bool_)
        else:
            outside = (self._features < self._model.low) | (self._features > self._model.high)
            shares = outside.mean(axis=1)
            unlike = shares > ratio
        if self._sound.all() and not unlike.any():
            return asked
        left = []
        for row in asked:
            if not self._sound[row]:
                self._refuse(row, UNLIKE, self._unsound_text(row))
            elif unlike[row]:
                told = f"{shares[row]:.0%} of the features are outside of what training knew, and {ratio:.0%} may be"
                self._refuse(row, UNLIKE, f"model {self._model.name}: {told}")
            else:
                left.append(row)
        return left

    def _unsound_text(self, row: int) -> str:
        names = self._model.manifest.feature_names
        values = self._questions[row].evidence
        if len(values) != len(names):
            return f"model {self._model.name} wants {len(names)} features and was given {len(values)}"
        name, value = next((name, value) for name, value in zip(names, values, strict=True) if not isfinite(value))
        return f"model {self._model.name}: {name} is {value}"

    def _decide(self, asked: list[int], said: list[float], threshold: float) -> None:
        judgements, places, name = self._answers.judgements, self._places, self._model.name
        for row, confidence in zip(asked, said, strict=True):
            if confidence >= threshold:
                judgements[places[row]] = Judgement(confidence=confidence, model=name)
            else:
                text = f"model {name}: confidence {confidence:.3f} is below {threshold:.3f}"
                judgements[places[row]] = Judgement(confidence=confidence, model=name, refused=(THRESHOLD, text))

    def _said(self, rows: list[int]) -> list[float]:
        symbols = [self._questions[row].symbol for row in rows]
        if len(rows) == len(self._questions):
            return _floats(self._model.probabilities(self._features, self._signs, symbols))
        return _floats(self._model.probabilities(self._features[rows], self._signs[rows], symbols))

    def _refuse(self, row: int, code: str, text: str) -> None:
        self._answers.judgements[self._places[row]] = Judgement(model=self._model.name, refused=(code, text))


def _evidence(questions: Sequence[Question], width: int) -> tuple[Floats, Mask]:
    """The evidence as one array (n, width), and which rows of it are whole and finite."""
    given = [question.evidence for question in questions]
    whole = np.ones(len(given), dtype=np.bool_)
    if {*map(len, given)} != {width}:
        whole = np.asarray([len(values) == width for values in given])
        given = [values if len(values) == width else (0.0,) * width for values in given]
    row = Struct(f"{width}d")  # half as long as what numpy has for it takes
    features = np.frombuffer(bytearray().join([row.pack(*values) for values in given])).reshape(len(given), width)
    sound: Mask = whole & np.isfinite(features).all(axis=1)
    return features, sound


def _floats(array: Floats) -> list[float]:
    given: list[float] = array.tolist()
    return given


_NOTHING = Judgement()
