"""From a log of one's own to figures: split, evaluate, compare, lists of others, backtest."""

import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import ganmf_fast as gf

MINE = """
import ganmf_fast as gf

class Knn:
    def __init__(self, topk=20):
        self.topk = topk
    def fit(self, X):
        self.model = gf.ItemKNN(topk=self.topk).fit(X)
        return self
    def recommend(self, users, n=20):
        return self.model.recommend(users, n=n).items

class Nothing:
    pass

class Popular(gf.Recommender):
    def _fit(self, data):
        return gf.scorers.Popularity(data.matrix.sum(axis=0))
"""


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CSV of 60 users with 1 to 15 events on 25 items, ISO times, ids with commas and umlauts."""
    rng = np.random.default_rng(9)
    rows = [
        (f"usér {user}", f"i,{item}", f"2024-03-{rng.integers(1, 29):02}T10:00:00Z")
        for user in range(60)
        for item in rng.choice(25, size=1 + user % 15, replace=False)
    ]
    path = tmp_path_factory.mktemp("log") / "shop.csv"
    pl.DataFrame(rows, schema=["customer_id", "sku", "time"], orient="row").write_csv(path)
    (path.parent / "mine").with_suffix(".py").write_text(MINE)
    return path


@pytest.fixture(scope="module")
def done(ganmf, log):
    """Run a command that must end well, in the folder of the log."""

    def run(*tokens, **kwargs):
        result = ganmf(*tokens, cwd=log.parent, **kwargs)
        assert result.returncode == 0, result.stderr
        return result

    return run


@pytest.fixture(scope="module")
def folder(done, log) -> Path:
    done("split", "--data", log, "--output", "splits", "--quiet")
    return log.parent / "splits"


@pytest.fixture(scope="module")
def knn(done, folder) -> Path:
    done(
        "fit",
        "itemknn-COSINE",
        "--data",
        folder,
        "--output",
        "knn.safetensors",
        "--param",
        "topk=7",
    )
    return folder.parent / "knn.safetensors"


def refused(ganmf, log, code, words, *tokens, **kwargs):
    result = ganmf(*tokens, cwd=log.parent, **kwargs)
    assert result.returncode == code, result.stderr
    [line] = result.stderr.strip().splitlines()
    assert re.search(words, line), line
    assert result.stdout == ""


METHODS = {
    "paper": [],
    "holdout": ["--test-size", "0.3"],
    "leave-k-out": ["--k", "2"],
    "temporal": ["--cut", "2024-03-20"],
    "cold-users": ["--users", "12", "--target-size", "0.5"],
}


@pytest.mark.parametrize("method", METHODS)
def test_what_split_writes_is_read_by_fit_evaluate_and_tune(done, log, method):
    options = ["--method", method, *METHODS[method]]
    made = done("split", "--data", log, "--output", f"by-{method}", *options, "--json")
    facts = json.loads(made.stdout)
    five = gf.Splits.load(log.parent / f"by-{method}")
    assert facts["test"] == five.test.nnz
    assert facts["left_out"]["interactions"]["of"] == len(log.read_text().splitlines()) - 1
    data = gf.Interactions.from_csv(log)
    assert set(five.user_ids) <= set(data.user_ids)

    model = f"{method}.safetensors"
    done("fit", "EASE", "--data", f"by-{method}", "--output", model)
    figures = json.loads(done("evaluate", model, "--data", f"by-{method}", "--json").stdout)
    fitted = gf.EASE().fit(five.train)
    known = five.known if method == "cold-users" else five.train
    expected = gf.evaluate(fitted, known, five.test)
    assert figures["metrics"]["5"]["ndcg"] == expected["ndcg", 5]
    assert figures["users"] == len(expected.users) > 0
    tuned = done(
        "tune", "ItemKNN", "--data", f"by-{method}", "--output", f"tuned-{method}",
        "--calls", 1, "--backend", "random", "--metric", "recall", "--k", 3, "--json",
    )  # fmt: skip
    assert json.loads(tuned.stdout)["metric"] == "recall@3"


def test_split_says_what_it_leaves_out(done, log):
    data = gf.Interactions.from_csv(log)
    lonely = int((np.diff(data.csr.indptr) == 1).sum())
    assert lonely > 0
    said = done("split", "--data", log, "--output", "said").stderr
    assert f"left out: {lonely} of 60 users" in said
    core = gf.split.k_core(data, 4, 3)
    said = done(
        "split", "--data", log, "--output", "core", "--method", "holdout", "--k-core", "4,3"
    ).stderr
    gone = (60 - core.n_users, 25 - core.n_items, len(data) - len(core))
    assert f"left out: {gone[0]} of 60 users, {gone[1]} of 25 items, {gone[2]} of" in said
    assert "warning: holdout ignored the timestamps" in said
    five = gf.Splits.load(log.parent / "core")
    assert five.user_ids.tolist() == core.user_ids.tolist()


def test_folds_are_folders(done, ganmf, log):
    made = done(
        "split", "--data", log, "--output", "folds", "--method", "k-fold", "--folds", 3, "--json"
    )
    folds = json.loads(made.stdout)["folds"]
    assert [Path(fold["output"]).name for fold in folds] == ["fold-0", "fold-1", "fold-2"]
    expected = gf.split.k_fold(gf.Interactions.from_csv(log), 3, seed=1337)
    for number, split in enumerate(expected):
        five = gf.Splits.load(log.parent / "folds" / f"fold-{number}")
        assert (five.test != split.test).nnz == 0
    words = "output holds fold-2 of another split, which would stay: delete them, or choose"
    again = ("split", "--data", log, "--output", "folds", "--method")
    refused(ganmf, log, 2, words, *again, "k-fold", "--folds", "2")
    refused(ganmf, log, 2, "output holds fold-0, fold-1, fold-2 of", *again, "holdout")
    done(*again, "k-fold", "--folds", 3)
    refused(
        ganmf, log, 2, "output holds train.npz, test.npz",
        "split", "--data", log, "--output", "folds/fold-0", "--method", "k-fold",
    )  # fmt: skip
    done("evaluate", "EASE", "--data", "folds/fold-1")
    refused(ganmf, log, 3, "holds folds: name one", "evaluate", "EASE", "--data", "folds")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--method", "temporl"], "temporal"),
        (
            ["--method", "temporal", "--k", "2"],
            "k belongs to --method leave-k-out, not to temporal",
        ),
        (["--test-size", "0.2"], "test-size belongs to --method holdout or temporal, not to paper"),
        (["--method", "holdout", "--test-size", "many"], "test-size must be a fraction or a count"),
        (["--method", "holdout", "--test-size", "1.5"], "between 0 and 1"),
        (["--method", "k-fold", "--folds", "1"], "n_splits must be between 2 and 255"),
        (["--method", "cold-users", "--users", "1000"], "users"),
        (["--method", "temporal", "--cut", "soon"], "cut must be a date"),
        (["--method", "temporal", "--cut", "2020-01-01T00:00+05:00"], "without a time zone"),
        (
            ["--method", "temporal", "--cut", "2020-01-01", "--test-size", "0.5"],
            "test_size and cut both say where test begins: 0.5 cannot go with '2020-01-01'",
        ),
        (["--method", "temporal", "--cut", "2030-01-01"], "one side would be empty"),
        (["--k-core", "5"], "k-core must be two whole numbers, U,I, not '5'"),
        (["--k-core", "500,1"], "no user with 500 interactions"),
        (["--timestamp", "off", "--method", "temporal"], "needs Interactions with timestamps"),
    ],
)
def test_a_split_that_cannot_be_ends_with_2(ganmf, log, options, words):
    refused(ganmf, log, 2, words, "split", "--data", log, "--output", "bad", *options)
    assert not (log.parent / "bad").exists()


def test_several_models_are_in_one_table(done, folder, knn):
    five = gf.Splits.load(folder)
    tokens = ["evaluate", knn, "EaSe", "mine:Knn", "ganmf-U"]
    few = folder.parent / "few.json"
    few.write_text('{"GANMF-u": {"epochs": 2, "num_factors": 3, "emb_dim": 4}, "ease": {"l2": 9}}')
    options = ["--data", folder, "--cutoffs", "3", "--params", few, "--device", "cpu"]
    document = json.loads(done(*tokens, *options, "--json").stdout)
    found = {one["model"]: one["metrics"]["3"]["ndcg"] for one in document["models"]}
    assert list(found) == ["ItemKNN", "EASE", "Knn", "GANMF-u"]
    models = {"ItemKNN": gf.ItemKNN(topk=7), "EASE": gf.EASE(l2=9.0), "Knn": gf.ItemKNN(topk=20)}
    for name, model in models.items():
        assert (
            found[name] == gf.evaluate(model.fit(five.train), five.train, five.test, 3)["ndcg", 3]
        )
    out = folder.parent / "figures.csv"
    shown = done("evaluate", knn, knn, "--data", folder, "--metrics", "map,Recall", "--output", out)
    assert "recall" in shown.stdout
    assert set(pl.read_csv(out)["metric"]) == {"map", "recall"}


def test_train_and_test_may_be_files(done, ganmf, log, folder):
    split = gf.split.temporal(gf.Interactions.from_csv(log), 0.3)
    for side, data in (("train", split.train_data), ("test", split.test_data)):
        data.to_frame("polars").write_parquet(log.parent / f"{side}.parquet")
    train, test = log.parent / "train.parquet", log.parent / "test.parquet"
    done("fit", "EASE", "--data", train, "--output", "late.safetensors")
    tokens = ["evaluate", "late.safetensors", "EASE", "toppopular", "--test", test]
    known = gf.Interactions.from_parquet(train)
    held = gf.Interactions.from_parquet(test)
    new = ~held.to_frame("polars")["user"].is_in(known.user_ids.tolist())
    assert new.any()
    refused(ganmf, log, 2, "--unknown skip", *tokens, "--train", train)
    document = json.loads(done(*tokens, "--train", train, "--unknown", "skip", "--json").stdout)
    fitted = gf.EASE().fit(known)
    expected = gf.evaluate(fitted, known, held, unknown="skip")
    first, second, _ = document["models"]
    assert first["metrics"]["5"] == second["metrics"]["5"]
    assert first["metrics"]["20"]["map"] == expected["map", 20]
    assert first["skipped"]["interactions"] == expected.skipped.interactions >= new.sum()
    refused(ganmf, log, 2, "one of them", *tokens, "--data", folder)
    refused(ganmf, log, 2, "one of them", "evaluate", "EASE")
    refused(ganmf, log, 2, "train must be given", "evaluate", "EASE", "--test", test)
    refused(
        ganmf, log, 2, "goes with --test", "evaluate", "EASE", "--data", folder, "--train", train
    )
    refused(ganmf, log, 2, "test must be a file", "evaluate", "EASE", "--test", folder)


@pytest.mark.parametrize("suffix", ["json", "csv", "tex", "parquet"])
def test_a_comparison_is_that_of_python(done, folder, knn, suffix):
    five = gf.Splits.load(folder)
    out = folder.parent / f"tests.{suffix}"
    tokens = ["compare", knn, "TopPopular", "EASE", "--data", folder, "--metric", "MAP", "--k", 4]
    shown = done(*tokens, "--baseline", "toppopular", "--output", out, "--resamples", 200)
    models = [gf.ItemKNN(topk=7), gf.TopPopular(), gf.EASE()]
    evaluations = [gf.evaluate(m.fit(five.train), five.train, five.test, 4) for m in models]
    expected = gf.compare(evaluations, "map", 4, baseline="TopPopular", n_resamples=200)
    assert "ItemKNN - TopPopular" in shown.stdout
    if suffix == "json":
        document = json.loads(out.read_text())
        assert document["pairs"] == expected.pairs.to_dicts()
        assert document["models"] == expected.models.to_dicts()
        assert json.loads(done(*tokens, "--json").stdout)["users"] == expected.n_users
    elif suffix == "tex":
        text = out.read_text()
        assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 2
        row = expected.pairs.row(0, named=True)
        assert f"{row['t_p_holm']:.2g}" in text
        assert "MAP@4" in text
    else:
        read = pl.read_csv if suffix == "csv" else pl.read_parquet
        assert read(out)["difference"].to_list() == expected.pairs["difference"].to_list()


def test_lists_of_others_are_measured_and_compared(done, ganmf, log, folder, knn):
    lists = log.parent / "lists.csv"
    done("recommend", knn, "--output", lists, "-n", 10)
    table = pl.read_csv(lists)
    run = log.parent / "run.txt"
    rows = table.with_columns(user=pl.col("user").str.replace(" ", "_")).iter_rows(named=True)
    run.write_text(
        "".join(f"{r['user']} Q0 {r['item']} {r['rank']} {r['score']} me\n" for r in rows)
    )
    options = ["--data", folder, "--cutoffs", "5,10", "--json"]
    model = json.loads(done("evaluate", knn, *options).stdout)
    found = json.loads(done("evaluate-lists", lists, *options).stdout)
    assert found["model"] == "lists"
    for k in ("5", "10"):
        assert found["metrics"][k]["ndcg"] == model["metrics"][k]["ndcg"]
        assert found["metrics"][k]["novelty"] == model["metrics"][k]["novelty"]
    # Their ids differ by a blank: no user is known.
    refused(ganmf, log, 2, "none of the .* users of lists", "evaluate-lists", run, *options)
    refused(ganmf, log, 2, "the longest of the lists", "evaluate-lists", lists, "--data", folder)
    refused(ganmf, log, 2, "'points'", "evaluate-lists", lists, *options, "--score", "points")
    refused(ganmf, log, 3, "absent", "evaluate-lists", "absent.csv", *options)
    pairs = json.loads(done("compare", knn, lists, "--data", folder, "--json").stdout)["pairs"]
    assert [(p["a"], p["b"], p["difference"], p["t_p"]) for p in pairs] == [
        ("ItemKNN", "lists", 0.0, 1.0)
    ]


def test_a_backtest_is_that_of_python(done, log):
    out = log.parent / "backtest.csv"
    tokens = ["backtest", log, "--models", "ease,mine:Knn", "--windows", 3, "--span", 5]
    document = json.loads(done(*tokens, "--output", out, "--json").stdout)
    windows = gf.split.rolling(gf.Interactions.from_csv(log), 3, span=5)
    expected = gf.backtest([gf.EASE()], windows, metrics=["precision", "recall", "map", "ndcg"])
    assert document["windows"] == expected.windows.to_dicts()
    figures = pl.DataFrame(document["figures"], infer_schema_length=None)
    assert figures.filter(model="EASE")["value"].to_list() == expected.figures["value"].to_list()
    assert len(pl.read_csv(out)) == len(figures)
    shown = done(*tokens[:4], "--windows", 2).stdout
    assert "mean" in shown
    assert "ndcg@20" in shown


@pytest.mark.parametrize(
    ("tokens", "code", "words"),
    [
        (["compare", "EASE"], 2, "models must be two at least"),
        (["compare", "EASE", "EAES"], 2, "did you mean 'EASE"),
        (["compare", "EASE", "TopPopular", "--metric", "ndgc"], 2, "did you mean 'ndcg'"),
        (["compare", "EASE", "TopPopular", "--metric", "coverage_item"], 2, "value for each user"),
        (["compare", "EASE", "TopPopular", "--baseline", "GANMF"], 2, "baseline"),
        (["compare", "EASE", "TopPopular", "--output", "x.doc"], 2, "must end in"),
        (["evaluate", "absent.safetensors"], 3, "no model file"),
        (["evaluate", "EASE", "--metrics", "map,ndgc"], 2, "did you mean 'ndcg'"),
        (["evaluate", "EASE", "--params", "absent.json"], 2, "is none"),
        (["evaluate", "mine:Absent"], 2, "no class 'Absent'"),
        (["evaluate", "mine:Nothing"], 2, "has no fit"),
        (["evaluate", "absent.module:Class"], 2, "cannot be imported"),
        (["fit", "mine:Knn", "--output", "x.safetensors"], 2, "no subclass of"),
        (["fit", "EASE", "--validate-on", "early_stop", "--output", "x"], 2, "train_small"),
        (["tune", "mine:Knn", "--output", "t"], 2, "space must be given"),
    ],
)
def test_a_mistake_is_answered_in_one_sentence(ganmf, log, folder, tokens, code, words):
    refused(ganmf, log, code, words, *tokens, "--data", folder)


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        (["--models", "EASE,ease"], "a model twice"),
        (["--models", "EASE", "--windows", "0"], "windows must be between"),
        (["--models", "EASE", "--span", "a week"], "span must be a number"),
        (["--models", "EASE", "--test-size", "0.5"], "one must remain before them"),
        (["--models", "EASE", "--timestamp", "off"], "needs Interactions with timestamps"),
    ],
)
def test_a_backtest_that_cannot_be_ends_with_2(ganmf, log, tokens, words):
    refused(ganmf, log, 2, words, "backtest", log, *tokens)


def test_early_stopping_is_on_any_metric(done, ganmf, log, folder):
    options = ["--data", folder, "--output", "wrmf.safetensors", "--fit-on", "train_small"]
    options += ["--param", "epochs=3", "--param", "freq=1"]
    done("fit", "wrmf", *options, "--validate-on", "early_stop", "--metric", "recall", "--k", 2)
    five = gf.Splits.load(folder)
    again = gf.WRMF(epochs=3, freq=1).fit(
        five.train_small, validation=five.early_stop, metric="recall", k=2
    )
    found = gf.load(log.parent / "wrmf.safetensors")
    assert [row["validation"] for row in found.history_] == [
        row["validation"] for row in again.history_
    ]


def test_a_file_of_configuration_names_no_code(ganmf, log, folder, tmp_path):
    """Whoever types a command may run code of their own; a file that lies around may not."""
    marker = tmp_path / "ran"
    (tmp_path / "trap").with_suffix(".py").write_text(f"open({str(marker)!r}, 'w')\n{MINE}")
    for text in ('models = "EASE,trap:Knn"', '[reproduce.table2]\nmodels = "trap:Knn"'):
        (tmp_path / "ganmf.toml").write_text(text)
        result = ganmf("reproduce", "table2", "--data", folder, "--output", "r", cwd=tmp_path)
        assert result.returncode == 2
        assert "names code" in result.stderr
    (tmp_path / "ganmf.toml").write_text('[fit]\nmodel = "trap:Popular"')
    result = ganmf("fit", "--data", folder, "--output", "m.safetensors", cwd=tmp_path)
    assert result.returncode == 2
    assert not marker.exists()


def test_a_subclass_is_fitted_by_its_name(done, folder):
    done("fit", "mine:Popular", "--data", folder, "--output", "own.safetensors")
    import mine

    found = gf.load(folder.parent / "own.safetensors", model=mine.Popular)
    expected = gf.TopPopular().fit(gf.Splits.load(folder).train)
    user = [found.user_ids_[0]]
    np.testing.assert_array_equal(found.score_users(user), expected.score_users(user))
