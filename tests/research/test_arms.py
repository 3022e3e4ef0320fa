"""The arms: what each is, that they differ in nothing else, and their order."""

from dataclasses import replace

import pytest

from livebot.errors import BadInput
from livebot.learning.spec import EstimatorSpec, HybridForm, SymbolEncoding, TrainingMode, TrainingSpec
from livebot.research.arms import ARMS, BOOSTING, RANDOM, SINGLE, UNFILTERED, arms_named, simplicity

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
