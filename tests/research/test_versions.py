"""What a result was made by: library versions, and the source of our own modules."""

import sys
from types import ModuleType

import lightgbm
import scipy

from livebot.research.fold_run import code_digest, run_fold
from livebot.research.versions import libraries_of, source_digest
from tests.research.studies import quick_fit


def test_libraries_are_told_by_version():
    assert libraries_of(())["scipy"] == scipy.__version__
    assert libraries_of(("logistic_regression", "lightgbm"))["lightgbm"] == lightgbm.__version__
    own = libraries_of(("sklearn.ensemble:ExtraTreesClassifier",))
    assert own["sklearn.ensemble"] == own["scikit-learn"]


def test_an_estimator_of_ones_own_is_told_by_its_source(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    found = []
    for place, text in enumerate(("A = 1", "A = 2")):
        (tmp_path / f"mine_{place}.py").write_text(text)
        found.append(libraries_of((f"mine_{place}:Thing",))[f"mine_{place}"])
    assert len(set(found)) == 2 and all(len(each) == 40 for each in found)
    monkeypatch.setitem(sys.modules, "bare", ModuleType("bare"))
    assert libraries_of(("bare:Thing",))["bare"] == "not known"
    assert libraries_of(("nobody.there:Thing",))["nobody.there"] == "not known"


def test_another_scipy_is_another_code(monkeypatch):
    before = code_digest(quick_fit)
    monkeypatch.setattr(scipy, "__version__", "0.0.1")
    assert code_digest(quick_fit) != before != code_digest(quick_fit, ("lightgbm",))


def test_modules_are_followed_in_our_packages_only():
    near = source_digest((run_fold,), ("livebot.research.fold_run",))
    assert near != source_digest((run_fold,), ("livebot.research",)) != source_digest((run_fold,), ("livebot",))
