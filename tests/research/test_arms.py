"""The arms: what each is, that they differ in nothing else, and their order."""

from dataclasses import replace

import pytest

from livebot.errors import BadInput
from livebot.learning.spec import EstimatorSpec, HybridForm, SymbolEncoding, TrainingMode, TrainingSpec
from livebot.research.arms import (
    ARMS,
    BOOSTING,
    LIGHTGBM,
    LINEAR,
    RANDOM,
    SINGLE,
    UNFILTERED,
    arms_named,
    arms_of,
    simplicity,
)

BASE = TrainingSpec(symbols=("A/USDT", "B/USDT"), seed=7, calibration_share=0.3, embargo_ms=5)


def by_name(name):
    return next(arm for arm in ARMS if arm.name == name)


def test_every_way_of_organising_models_is_an_arm_once():
    made = {(arm.mode, arm.encoding, arm.hybrid, arm.fallback, arm.estimator) for arm in ARMS if arm.special is None}
    assert len(made) == sum(arm.trained for arm in ARMS) == len(ARMS) - 2
    assert {mode for mode, *_ in made} == set(TrainingMode)
    assert {encoding for _, encoding, *_ in made} == set(SymbolEncoding)
    assert len({arm.name for arm in ARMS}) == len({arm.sentence for arm in ARMS}) == len(ARMS)


@pytest.mark.parametrize("arm", [arm for arm in ARMS if arm.trained], ids=lambda arm: arm.name)
def test_an_arm_changes_nothing_that_all_have_in_common(arm):
    spec = arm.spec(BASE)
    own = ("mode", "encoding", "hybrid", "fallback_to_shared", "estimator")
    assert replace(spec, **{name: getattr(BASE, name) for name in own}) == BASE
    assert spec.estimator.name == arm.estimator


def test_what_makes_an_arm():
    assert by_name("native_gb").spec(BASE).encoding is SymbolEncoding.INDEX
    assert by_name("shrunk_calibration_lr").spec(BASE).hybrid is HybridForm.SHRUNK_CALIBRATION
    alone = by_name("per_symbol_alone_gb")
    assert not alone.spec(BASE).fallback_to_shared and not alone.untrained
    assert by_name("per_symbol_gb").untrained


def test_parameters_of_the_config_hold_for_their_estimator_only():
    base = replace(BASE, estimator=EstimatorSpec(name=BOOSTING, params={"max_iter": 9}))
    assert by_name("blind_gb").spec(base).estimator.params == {"max_iter": 9}
    assert by_name("blind_lr").spec(base).estimator.params == {}


def test_arms_by_name_come_in_the_order_of_simplicity_with_those_without_a_model():
    assert [arm.name for arm in arms_named(["native_gb", SINGLE])] == [UNFILTERED, RANDOM, SINGLE, "native_gb"]
    assert arms_named(None) == ARMS


@pytest.mark.parametrize(
    ("names", "said"),
    [(["one_hot", "blind_lr"], "there is no arm one_hot; choose among no_filter"), ([RANDOM], "with a model")],
)
def test_arms_that_cannot_be_compared_are_refused(names, said):
    with pytest.raises(BadInput, match=said):
        arms_named(names)


def test_simplicity_is_that_order():
    assert simplicity(SINGLE) < simplicity("one_hot_lr") < simplicity("per_symbol_lr") < simplicity("per_symbol_gb")


@pytest.mark.parametrize("estimator", [LINEAR, BOOSTING])
def test_a_shipped_estimator_adds_no_arm(estimator):
    assert arms_of(estimator) == ARMS


OWN = "sklearn.ensemble:ExtraTreesClassifier"


@pytest.mark.parametrize(("estimator", "end", "further"), [(LIGHTGBM, "_lightgbm", 9), (OWN, "_own", 8)])
def test_an_estimator_of_the_config_has_every_way_of_organising_models_that_it_can(estimator, end, further):
    added = arms_of(estimator)[len(ARMS) :]
    assert arms_of(estimator)[: len(ARMS)] == ARMS and len(added) == further
    base = replace(BASE, estimator=EstimatorSpec(name=estimator, params={"n_estimators": 9}))
    for arm in added:
        same = by_name(arm.name.removesuffix(end) + "_gb")
        assert replace(arm, name=same.name, sentence=same.sentence, estimator=BOOSTING) == same
        assert arm.name.endswith(end) and arm.sentence.endswith(f"; {estimator}")
        assert arm.spec(base).estimator == base.estimator
        assert simplicity(arm.name) > simplicity("per_symbol_alone_gb")
    native = {arm.name for arm in added if arm.encoding is SymbolEncoding.INDEX}
    assert native == ({"native_lightgbm"} if estimator == LIGHTGBM else set())
    assert [arm.name for arm in arms_named([added[0].name], estimator)] == [UNFILTERED, RANDOM, added[0].name]


def test_arms_of_an_estimator_that_the_config_does_not_name_are_refused():
    with pytest.raises(BadInput, match="there is no arm blind_lightgbm"):
        arms_named(["blind_lightgbm"], OWN)
