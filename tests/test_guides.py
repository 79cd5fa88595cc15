"""The code of the guides runs as it stands there."""

import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
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


# Events of the log in the guide; the guide says three million.
SMALL, LARGE = 6_000, 3_000_000


def write_log(path: Path, n: int) -> None:
    """Clicks of text ids with ISO times: users have tastes, few items are popular, days pass."""
    rng = np.random.default_rng(n)
    n_users, n_items, n_tastes = max(n // 40, 100), max(n // 600, 400), 20
    users = rng.integers(n_users, size=n)
    ranks = (n_items // n_tastes) * rng.beta(0.4, 2.0, size=n)
    tastes = np.where(rng.random(n) < 0.8, users % n_tastes, rng.integers(n_tastes, size=n))
    items = np.minimum(ranks.astype(int) * n_tastes + tastes, n_items - 1)
    times = np.sort(rng.integers(0, 200 * 86_400_000, size=n))
    log = pl.DataFrame({"user": users, "item": items, "time": times}).select(
        user_id=pl.format("u{}", pl.col("user").cast(str).str.zfill(6)),
        item_id=pl.format("sku-{}", pl.col("item").cast(str).str.zfill(5)),
        timestamp=pl.datetime(2024, 1, 1) + pl.duration(milliseconds="time"),
    )
    log.write_csv(path, datetime_format="%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.parametrize("n", [SMALL, pytest.param(LARGE, marks=pytest.mark.slow)])
def test_a_log_of_ones_own_becomes_lists(n, ganmf, tmp_path, monkeypatch):
    guide = DOCS / "guides" / "your-own-log.md"
    monkeypatch.chdir(tmp_path)
    write_log(tmp_path / "clicks.csv", n)
    code: dict[str, object] = {}
    blocks = re.findall(r"```(sh|python)\n(.*?)```", guide.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 9
    for language, block in blocks:
        if language == "python":
            exec(compile(block, str(guide), "exec"), code)
        else:
            for command in block.replace("\\\n", " ").splitlines():
                program, *tokens = command.split()
                assert program == "ganmf"
                done = ganmf(*tokens)
                assert done.returncode == 0, done.stderr
    lists = pl.read_parquet("lists.parquet")
    log = pl.read_csv("clicks.csv")
    assert lists["user"].n_unique() == log["user_id"].n_unique()
    pairs = log.select(user="user_id", item="item_id").unique()
    assert not len(lists.join(pairs, on=["user", "item"], how="semi"))
    assert lists.group_by("user").len()["len"].max() == 20
    found = code["found"]
    assert found[2]["ndcg", 20] > 1.2 * found[0]["ndcg", 20]


@pytest.fixture
def own(tmp_path, monkeypatch) -> Iterator[str]:
    """The model of one's own in the working folder, as ``mine``; the code that uses it."""
    code, use, _ = blocks("A model of your own")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    Path("mine").with_suffix(".py").write_text(code)
    yield f"from mine import *\n{use}"
    sys.modules.pop("mine", None)  # other tests have a module of this name


def test_a_model_of_ones_own_takes_two_methods(own, monkeypatch):
    measured, _ = own.split("found = ")
    module = run(measured, "use", monkeypatch)
    seen = module.split.train
    lists = module.Blend().fit(seen).recommend(np.arange(50), n=7)
    assert lists.shape == (50, 7)
    assert not seen[np.arange(50)[:, None], lists].toarray()[lists >= 0].any()
    assert module.blend["ndcg", 5] > 0.5 * module.knn["ndcg", 5]


@pytest.mark.slow
def test_a_model_of_ones_own_is_taken_everywhere(own, ganmf, monkeypatch):
    module = run(own, "use", monkeypatch)
    assert module.found.best_trial.status == "done"
    assert "Blend" in module.table.models
    # The commands of the guide, on the same split.
    gf.Splits.from_split(module.split).save("splits")
    Path("space.toml").write_text("[Blend]\ntopk = { int = [5, 100] }\n")
    few = {"tune": ["--calls", 2, "--backend", "random"], "reproduce": ["--quick"]}
    [commands] = blocks("A model of your own", "sh")
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


def test_a_gan_takes_settings_and_a_module(toy_urm, toy_held_out, monkeypatch):
    pytest.importorskip("torch", reason="GANs need torch, which is not installed")
    for name, code in zip(("guide_gan", "guide_module"), blocks("A GAN"), strict=True):
        run(code, name, monkeypatch)
    estimator = sys.modules["guide_gan"].LeastSquaresGANMF
    monkeypatch.setattr(estimator, "module", "guide_module:LeastSquaresModule")
    model = estimator(num_factors=4, epochs=2, freq=1, device="cpu")
    model.fit(toy_urm, validation=toy_held_out)
    assert [row["epoch"] for row in model.history_] == [1, 2]
    assert model.recommend([0], n=3).items.shape == (1, 3)


# Every other page ---------------------------------------------------------------------------------

README = DOCS.parent / "README.md"
# Pages with tests of their own above, and one of a cluster, which is not here.
ELSEWHERE = {"add-a-model.md", "guides/your-own-log.md"}
OF_A_CLUSTER = {"cluster.md"}
PAGES = [README, *sorted(DOCS.glob("*.md")), *sorted(DOCS.glob("guides/*.md"))]
LITTLE = (240, 300)
"""Users and items of the data that stand in for the demo."""


def python_blocks(page: Path) -> list[str]:
    """Code of a page that Python runs."""
    return re.findall(
        r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )


def page_name(page: Path) -> str:
    return page.name if page == README else page.relative_to(DOCS).as_posix()


def hastened(code: str) -> str:
    """The code with few epochs and trials."""
    code = re.sub(r"\bepochs=\d+", "epochs=2", code)
    code = re.sub(r"\bn_calls=\d+", "n_calls=3", code)
    return re.sub(
        r'gf\.tune\(\s*"ItemKNN", splits,',
        'gf.tune("ItemKNN", splits, n_calls=3, n_initial=2,',
        code,
    )


RUN = [
    page
    for page in PAGES
    if python_blocks(page) and page_name(page) not in ELSEWHERE | OF_A_CLUSTER
]


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN, ids=page_name)
def test_the_code_of_a_page_runs_from_top_to_bottom(page, tmp_path, monkeypatch):
    code = "\n".join(map(hastened, python_blocks(page)))
    for needed, package in (("GANMF(", "torch"), ("gf.plot", "vl_convert"), ("gf.tune", "skopt")):
        if needed in code:
            pytest.importorskip(package)
    demo = gf.datasets.load("demo").urm[: LITTLE[0], : LITTLE[1]]
    little = gf.Interactions.from_matrix(demo)
    monkeypatch.setattr(gf.datasets, "load", lambda name: little)
    monkeypatch.chdir(tmp_path)
    gf.split.paper_protocol(little).save("splits")
    pl.DataFrame(little.to_frame()).write_csv("log.csv")
    (tmp_path / "runs").mkdir()
    exec(compile(code, str(page), "exec"), {"__name__": "page"})


def test_pages_that_are_left_out_exist():
    names = {page_name(page) for page in PAGES}
    assert names >= ELSEWHERE | OF_A_CLUSTER
    assert len(RUN) >= 8


def test_every_public_name_is_in_the_reference():
    written = "\n".join(page.read_text(encoding="utf-8") for page in DOCS.glob("api/*.md"))
    models = set(gf.models.__dir__())
    missing = [
        n
        for n in gf.__all__
        if n not in models and f"gf.{n}" not in written and f"ganmf_fast.{n}" not in written
    ]
    assert missing == ["__version__"]
    assert ".. public-models::" in written


def test_every_guide_and_notebook_is_a_page_of_the_site():
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^([\w/-]+)$", index, re.MULTILINE))
    pages = {page_name(page).removesuffix(".md") for page in PAGES if page != README} - {"index"}
    notebooks = {f"examples/{path.stem}" for path in (DOCS.parent / "examples").glob("*.ipynb")}
    assert pages | notebooks <= listed | {"conf"}
