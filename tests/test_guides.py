"""The code of the guides runs as it stands there."""

import re
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone

import ganmf_fast as gf

DOCS = Path(__file__).resolve().parents[1] / "docs"
GUIDE = DOCS / "add-a-model.md"


def blocks(heading: str, language: str = "python", guide: Path = GUIDE) -> list[str]:
    """Code in the section of a heading."""
    [section] = re.findall(
        rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)",
        guide.read_text(encoding="utf-8"),
        re.DOTALL | re.MULTILINE,
    )
    return re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)


def run(code: str, name: str, monkeypatch) -> types.ModuleType:
    module = types.ModuleType(name)
    monkeypatch.setitem(sys.modules, name, module)
    exec(compile(code, str(GUIDE), "exec"), module.__dict__)
    return module


def test_a_model_of_ones_own_takes_two_methods(ganmf, tmp_path, monkeypatch):
    own, use, _ = blocks("A model of your own")
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(own)
    monkeypatch.syspath_prepend(tmp_path)
    module = run(f"from mine import *\n{use}", "use", monkeypatch)
    seen = module.split.train
    lists = module.Blend().fit(seen).recommend(np.arange(50), n=7)
    assert lists.shape == (50, 7)
    assert not (seen[np.arange(50)[:, None], lists].toarray()[lists >= 0]).any()
    assert module.blend["ndcg", 5] > 0.5 * module.knn["ndcg", 5]
    assert module.found.best_trial.status == "done"
    assert "Blend" in module.table.models
    # The commands of the guide, on the same split.
    gf.Splits.from_split(module.split).save("splits")
    Path("space.toml").write_text("[Blend]\ntopk = { int = [5, 100] }\n")
    [commands] = blocks("A model of your own", "sh")
    few = {"tune": ["--calls", 2, "--backend", "random"], "reproduce": ["--quick"]}
    for command in commands.splitlines():
        _, *tokens = command.split()
        done = ganmf(*tokens, *few.get(tokens[0], []))
        assert done.returncode == 0, done.stderr


def test_a_subclass_of_recommender_gets_all_of_it(toy_urm, tmp_path, monkeypatch):
    cls = run(blocks("A model of your own")[2], "mine_too", monkeypatch).PowerCosine
    model = cls(power=1.0).fit(toy_urm)
    cosine = gf.ItemKNN(topk=40, shrink=0).fit(toy_urm)
    np.testing.assert_allclose(model.item_weights_.toarray(), cosine.item_weights_.toarray(), 1e-5)
    model.save(tmp_path / "mine.safetensors")
    again = gf.load(tmp_path / "mine.safetensors", model=cls)
    assert again.get_params() == {"power": 1.0}
    np.testing.assert_array_equal(again.score_users([3]), model.score_users([3]))
    with pytest.raises(ValueError, match=r"no model 'PowerCosine'.*load\(path, model=Class\)"):
        gf.load(tmp_path / "mine.safetensors")
    found = gf.tune(cls, gf.split.holdout(toy_urm), n_calls=2, backend="random")
    assert 0.5 <= found.best_params["power"] <= 4.0


def test_a_classical_model_takes_one_class(toy_urm, monkeypatch):
    module = run(blocks("A classical model")[0], "guide", monkeypatch)
    model = module.PowerPopular(power=0.3).fit(toy_urm)
    popular = gf.TopPopular().fit(toy_urm)
    assert (model.recommend(range(60)).items == popular.recommend(range(60)).items).all()
    assert clone(model).power == 0.3
    assert "Greater than 0" in module.PowerPopular.__doc__
    with pytest.raises(ValueError, match="power must be greater than 0, not 0"):
        module.PowerPopular(power=0).fit(toy_urm)


def test_a_gan_takes_settings_and_a_module(toy_urm, monkeypatch):
    pytest.importorskip("torch", reason="GANs need torch, which is not installed")
    for name, code in zip(("guide_gan", "guide_module"), blocks("A GAN"), strict=True):
        run(code, name, monkeypatch)
    estimator = sys.modules["guide_gan"].LeastSquaresGANMF
    monkeypatch.setattr(estimator, "module", "guide_module:LeastSquaresModule")
    model = estimator(num_factors=4, epochs=2, freq=1, device="cpu")
    model.fit(toy_urm, validation=toy_urm)
    assert [row["epoch"] for row in model.history_] == [1, 2]
    assert model.recommend([0], n=3).items.shape == (1, 3)
