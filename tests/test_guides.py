"""The code of the guides runs as it stands there."""

import re
import sys
import types
from pathlib import Path

import pytest
from sklearn.base import clone

import ganmf_fast as gf

GUIDE = Path(__file__).resolve().parents[1] / "docs" / "add-a-model.md"


def blocks() -> list[str]:
    found = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(found) == 3
    return found


def test_a_classical_model_takes_one_class(toy_urm, monkeypatch):
    module = types.ModuleType("guide")
    monkeypatch.setitem(sys.modules, "guide", module)
    exec(compile(blocks()[0], str(GUIDE), "exec"), module.__dict__)
    model = module.PowerPopular(power=0.3).fit(toy_urm)
    popular = gf.TopPopular().fit(toy_urm)
    assert (model.recommend(range(60)).items == popular.recommend(range(60)).items).all()
    assert clone(model).power == 0.3
    assert "Greater than 0" in module.PowerPopular.__doc__
    with pytest.raises(ValueError, match="power must be greater than 0, not 0"):
        module.PowerPopular(power=0).fit(toy_urm)


def test_a_gan_takes_settings_and_a_module(toy_urm, monkeypatch):
    pytest.importorskip("torch", reason="GANs need torch, which is not installed")
    for name, code in zip(("guide_gan", "guide_module"), blocks()[1:], strict=True):
        module = types.ModuleType(name)
        monkeypatch.setitem(sys.modules, name, module)
        exec(compile(code, str(GUIDE), "exec"), module.__dict__)
    estimator = sys.modules["guide_gan"].LeastSquaresGANMF
    monkeypatch.setattr(estimator, "module", "guide_module:LeastSquaresModule")
    model = estimator(num_factors=4, epochs=2, freq=1, device="cpu")
    model.fit(toy_urm, validation=toy_urm)
    assert [row["epoch"] for row in model.history_] == [1, 2]
    assert model.recommend([0], n=3).items.shape == (1, 3)
