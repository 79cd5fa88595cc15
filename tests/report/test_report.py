"""The HTML report: true to the run, safe with what strangers made, honest on what is missing."""

import base64
import hashlib
import json
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import ganmf_fast as gf
from ganmf_fast.experiments.table2 import Table2
from ganmf_fast.results import document, store
from ganmf_fast.results.charts.comparison import points
from ganmf_fast.results.charts.cost import cost
from ganmf_fast.results.charts.training import COLLAPSE, CURVES
from ganmf_fast.results.families import is_gan
from ganmf_fast.results.result_table import PUBLISHED_SPLITS, Entry, ResultTable, Run
from ganmf_fast.results.store import Store, npz
from ganmf_fast.results.tables import write_tables

vl_convert = pytest.importorskip("vl_convert", reason="the extra report is not installed")
pytest.importorskip("jinja2", reason="the extra report is not installed")


from ganmf_fast.experiments.run_specs import run_specs
from ganmf_fast.experiments.variants import VARIANTS, select
from ganmf_fast.report import findings, open_run, page, render
from ganmf_fast.report.run_folder import ExperimentFolder, RunFolder
from ganmf_fast.report.run_record import History, RunRecord

MAP, NDCG = ("map", 5), ("ndcg", 5)
HOSTILE = "<script>window.hostile=1</script>\"'>&{{7*7}}<img src=x onerror=alert(1)>"


def entry(model: str, *values: float, seconds: float = 1.0, **rest) -> Entry:
    """A row with one run for each value of MAP@5."""
    seeds = [None] if len(values) == 1 else range(len(values))
    cost = {"fit_seconds": seconds, "evaluate_seconds": 0.1, "fit_peak_mib": 100.0}
    cost |= {"fit_extra_mib": 40.0 * seconds, "evaluate_peak_mib": 110.0}
    runs = [
        Run(seed, {MAP: value, NDCG: value / 2}, cost)
        for seed, value in zip(seeds, values, strict=True)
    ]
    return Entry(model, tuple(runs), **rest)


def comparison(*entries: Entry, **rest) -> ResultTable:
    about = {"splits": "split for a test", "cutoffs": (5,), "columns": (MAP, NDCG), "chart": "bars"}
    return ResultTable("lastfm", False, entries=entries, **{**about, **rest})


def curve(cosine: float, epochs: int = 4) -> dict:
    rows = [
        {"epoch": n + 1, "d_loss": 1.0 / (n + 1), "g_loss": 0.5 + n, "generated_cosine": cosine}
        for n in range(epochs)
    ]
    search = [{**row, "validation": 0.1 * row["epoch"]} for row in rows]
    return {"search": search, "final": rows}


def write(
    folder: Path, made: ResultTable, cosines: dict[str, float] | None = None, **config
) -> Path:
    """A run with these results."""
    store = Store(folder)
    about = {"experiment": made.experiment, "dataset": {"name": made.dataset}, "models": {}}
    with store.locked(made.experiment):
        write_tables(store, made)
        for row in made.entries:
            for run in row.runs:
                point = "" if row.point is None else f"_{row.point:g}"
                name = f"{row.model}{point}" + ("" if run.seed is None else f"-{run.seed}")
                name = re.sub(r"[^A-Za-z0-9._-]", "_", name)
                about["models"][name] = {}
                files = {"per_user.npz": npz({"users": np.arange(3)})}
                if cosines and row.model in cosines:
                    files["history.json"] = json.dumps(curve(cosines[row.model])).encode()
                record = {
                    "row": row.model, "point": row.point, "seed": run.seed, "source": row.source,
                    "params": dict(row.params), "status": "done", "cost": run.cost,
                    "config": {
                        "model": "Other",
                        "params": {**row.params, "seed": run.seed, "point": row.point},
                    },
                    "values": {f"{m}@{k}": v for (m, k), v in run.values.items()},
                    "versions": {"numpy": np.__version__},
                }  # fmt: skip
                store.write(name, record, files)
        store.write_text("config.json", json.dumps({**about, **config}))
    return folder


class Elements(HTMLParser):
    """Elements of a page with their attributes, and its text outside of scripts and styles."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self._inside = ""
        self.feed(content)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self._inside = tag
            self.scripts.append((dict(attrs), ""))

    def handle_endtag(self, tag):
        if tag == self._inside:
            self._inside = ""

    def handle_data(self, data):
        if self._inside:
            attributes, before = self.scripts[-1]
            self.scripts[-1] = (attributes, before + data)
        else:
            self.text += data


def specs(content: str) -> Iterator[dict]:
    for attributes, text in Elements(content).scripts:
        if attributes.get("type") == "application/json":
            yield json.loads(text)


def compiled(spec: dict) -> dict:
    """As the page would draw it: with records, and a width."""
    columns = spec["data"]["columns"]
    rows = zip(*columns.values(), strict=True)
    records = [dict(zip(columns, row, strict=True)) for row in rows]
    return vl_convert.vegalite_to_vega(spec | {"data": {"values": records}, "width": 300})


@pytest.fixture(scope="module")
def real_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of table 2 on 80 users and 50 items."""
    urm = (np.random.default_rng(3).random((80, 50)) < 0.3).astype(np.float32)
    splits = replace(gf.split.paper_protocol(urm), name="tiny")
    folder = tmp_path_factory.mktemp("report") / "tiny"
    rows = select(["TopPopular", "PureSVD", "ItemKNN-cosine", "P3alpha"])
    given = {"PureSVD": {"num_factors": 4}, "ItemKNN-cosine": {"topk": 10}, "P3alpha": {"topk": 10}}
    Table2(splits, run_specs(rows, None, given), Store(folder), seeds=[1, 2]).run()
    return folder


@pytest.fixture
def gans(tmp_path: Path) -> Path:
    """Two baselines and two GANs, one of which collapsed."""
    made = comparison(
        entry("TopPopular", 0.1, published={MAP: 0.1}),
        entry("EASE-R", 0.2, seconds=0.5, published={MAP: 0.25}, params={"l2": 100.0}),
        entry("GANMF-u", 0.18, 0.20, seconds=50.0, published={MAP: 0.188}, source="published"),
        entry("CAAE", 0.05, 0.06, seconds=9.0),
        significance={MAP: {"GANMF-u": 0.2, "TopPopular": 1e-9}},
    )
    return write(tmp_path / "gans", made, {"GANMF-u": 0.3, "CAAE": 0.97})


# what the page says ----------------------------------------------------------------------------


def test_the_figures_of_a_run_stand_in_the_page(ganmf, real_run: Path) -> None:
    done = ganmf("report", real_run, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["missing"] == []
    content = (real_run / "report.html").read_text()
    assert found["bytes"] == len(content.encode())
    shown = Elements(content).text
    made = document.read((real_run / "comparison.json").read_text())
    for row in made.entries:
        for key in made.columns:
            assert f"{row.mean(*key):.4f}" in shown
    config = json.loads((real_run / "config.json").read_text())
    for fact in (config["dataset"]["hash"], "num_factors", gf.__version__, np.__version__, "1, 2"):
        assert fact in shown


def test_the_page_is_one_small_file_that_asks_for_nothing(gans: Path) -> None:
    content = render(open_run(gans))
    assert len(content.encode()) < 5_000_000
    elements = Elements(content)
    for tag, attributes in elements.found:
        assert tag not in ("link", "img", "iframe", "object", "embed", "form", "base")
        assert "src" not in attributes
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]
        if "href" in attributes:
            assert attributes["href"].startswith("#")
    [policy] = [a["content"] for tag, a in elements.found if "http-equiv" in a]
    assert policy.startswith("default-src 'none';")
    run = [text for a, text in elements.scripts if not a and "--ground" not in text[:200]]
    assert len(run) == 2
    for script in run:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy


def test_every_link_leads_somewhere(gans: Path) -> None:
    elements = Elements(render(open_run(gans)))
    anchors = [a["id"] for _, a in elements.found if "id" in a]
    assert len(set(anchors)) == len(anchors)
    for _, attributes in elements.found:
        if "href" in attributes:
            assert attributes["href"][1:] in anchors
        if "data-figure" in attributes:
            assert attributes["data-figure"] in anchors


def test_every_figure_is_a_specification_that_vega_lite_compiles(
    gans: Path, tmp_path: Path
) -> None:
    points = tuple(
        replace(entry("GANMF-u", 0.1 + point, published={MAP: 0.2}), point=point)
        for point in (0.0, 0.5, 1.0)
    )
    write(
        tmp_path / "gans" / "figure4",
        comparison(*points, experiment="figure4", chart="lines", axis="recon_coefficient"),
    )
    groups = tuple(replace(p, model=m) for m in ("A", "B") for p in points)
    names = {0.0: "few", 0.5: "some", 1.0: "many"}
    write(
        tmp_path / "gans" / "figure7",
        comparison(*groups, experiment="figure7", chart="groups", axis="group", point_names=names),
    )
    content = render(open_run(gans))
    found = list(specs(content))
    # Bars, differences, cost (2), alarm, lines (2), and curves: 4 for each GAN.
    assert len(found) == 1 + 1 + 2 + 1 + 2 + 8
    for spec in found:
        compiled(spec)


def test_more_models_than_colours_are_told_apart() -> None:
    entries = [replace(entry(f"model {n}", 0.1), point=at) for n in range(20) for at in (0.0, 1.0)]
    drawn = points(comparison(*entries, chart="lines", axis="factors"))
    encodings = {k: v for layer in (*drawn["layer"], drawn) for k, v in layer["encoding"].items()}
    colours, shapes = (encodings[name]["scale"]["range"] for name in ("color", "shape"))
    looks = list(zip(colours, shapes, strict=True))
    assert len(set(looks)) == len(looks) == 20


def test_the_best_is_named_beside_its_cost_even_where_the_best_gan_is_near() -> None:
    made = comparison(
        entry("Random", 0.0, seconds=0.01),
        entry("EASE-R", 0.2, seconds=0.5),
        entry("GANMF-u", 0.19, seconds=40.0),
        entry("CAAE", 0.05, seconds=900.0),
    )
    columns = cost(made, "fit_seconds")["data"]["columns"]
    named = dict(zip(columns["label"], columns["side"], strict=True))
    assert named == {"Random": "right", "EASE-R": "left", "GANMF-u": "left", "": ""}


def test_a_model_that_adds_no_memory_is_shown_at_the_least_of_the_axis() -> None:
    made = comparison(entry("TopPopular", 0.1, seconds=0.0), entry("EASE-R", 0.2, seconds=5.0))
    columns = cost(made, "fit_extra_mib")["data"]["columns"]
    assert dict(zip(columns["model"], columns["cost"], strict=True)) == {
        "TopPopular": 1.0,
        "EASE-R": 200.0,
    }
    assert columns["shown"][0] == "0.00 MiB"


def test_data_are_no_baselines(tmp_path: Path) -> None:
    made = comparison(entry("lastfm", 0.1), subject="data", ranked="none", chart="none")
    assert "● baseline" not in Elements(render(open_run(write(tmp_path / "one", made)))).text
    models = comparison(entry("TopPopular", 0.1))
    assert "● baseline" in Elements(render(open_run(write(tmp_path / "two", models)))).text


def test_the_same_run_gives_the_same_bytes(gans: Path) -> None:
    assert render(open_run(gans)) == render(open_run(gans))


def test_trainings_at_points_of_figures_are_lines_of_their_own(tmp_path: Path) -> None:
    """One line must not run through the epochs of several trainings with the same seed."""
    points = tuple(replace(entry("GANMF-u", 0.1 + at), point=at) for at in (0.0, 0.5, 1.0))
    made = comparison(*points, experiment="figure4", chart="lines", axis="share")
    folder = write(tmp_path / "figure4", made, {"GANMF-u": 0.5})
    [curve, *_] = [s for s in specs(render(open_run(folder))) if "Discriminator" in str(s)]
    found = curve["data"]["columns"]
    assert set(found["point"]) == {"0", "0.5", "1"}
    lines = list(zip(found["point"], found["stage"], found["seed"], found["epoch"], strict=True))
    assert len(set(lines)) == len(lines) == 3 * 2 * 4
    [line] = [layer for layer in curve["layer"] if layer["mark"].get("type") == "line"]
    assert line["encoding"]["color"]["field"] == "point"
    compiled(curve)


def test_long_trainings_are_thinned_out_and_keep_their_ends(gans: Path) -> None:
    record = Store(gans).read("GANMF-u-0")
    files = {"history.json": json.dumps(curve(0.3, 5000)).encode()}
    Store(gans).write("GANMF-u-0", record, files)
    content = render(open_run(gans))
    epochs = [s["data"]["columns"]["epoch"] for s in specs(content) if "epoch" in str(s)]
    assert max(map(max, epochs)) == 5000
    assert max(map(len, epochs)) <= 2 * 200 + 2 * 4
    assert len(content) < 1_500_000


def test_a_run_of_everything_stays_below_five_megabytes(tmp_path: Path) -> None:
    """Three data sets, 25 models, three seeds, and long trainings of twelve GANs."""
    gan_rows = [row.name for row in VARIANTS if is_gan(row.name)][:12]
    other_rows = [row.name for row in VARIANTS if not is_gan(row.name)][:13]
    metrics = [(f"metric_{n}", k) for n in range(20) for k in (5, 20)]
    values = dict.fromkeys([MAP, NDCG, ("map", 20), ("ndcg", 20), *metrics], 0.123456789)
    runs = tuple(Run(seed, values, {"fit_seconds": 1.23456789}) for seed in (1337, 1338, 1339))
    entries = tuple(
        Entry(name, runs, dict.fromkeys(values, 0.1), {f"p{n}": 0.123456789 for n in range(20)})
        for name in (*gan_rows, *other_rows)
    )
    epochs = np.arange(1.0, 301.0)
    noise = np.random.default_rng(1).random(300)
    columns = {"epoch": epochs} | {name: noise for name, _ in CURVES}
    histories = (History("search", columns), History("final", columns))
    experiments = []
    for dataset in ("lastfm", "hetrec2011", "ml-1m"):
        made = comparison(*entries, columns=(*list(values)[:4],))
        records = [
            RunRecord(
                f"{row}-{seed}", row, None, seed, "", True, "", {f"p{n}": n for n in range(25)}, {},
                "", {}, values, {}, None, histories if is_gan(row) else (),
            )
            for row in (*gan_rows, *other_rows)
            for seed in (1337, 1338, 1339)
        ]  # fmt: skip
        experiments.append(
            ExperimentFolder(dataset, replace(made, dataset=dataset), tuple(records), {})
        )
    size = len(render(RunFolder("everything", tuple(experiments))).encode())
    assert 2_000_000 < size < 4_500_000


# findings --------------------------------------------------------------------------------------


def titles(folder: Path, most: int = 9) -> list[str]:
    return [found.title for found in findings(open_run(folder), most)]


def said(folder: Path) -> str:
    return " ".join(s for found in findings(open_run(folder), 9) for s in found.sentences)


def test_findings_follow_from_the_figures(gans: Path) -> None:
    assert titles(gans) == [
        "EASE-R ranks best",
        "2 of 3 published figures are reproduced",
        "1 of 2 trained GANs collapsed",
        "Some GANs do not beat popularity",
        "The best GAN takes 100 times as long as the best baseline",
        "How much the seed matters",
    ]
    assert len(findings(open_run(gans))) == 3
    text = said(gans)
    assert "EASE-R reaches MAP@5 0.2000; the best GAN, GANMF-u, 0.1900" in text
    assert "5.0\N{NO-BREAK SPACE}% lower; place 2 of 4" in text
    assert "chance would explain (paired t test, p = 0.20)" in text
    assert "-0.0500 (EASE-R on lastfm, MAP@5)" in text
    assert "CAAE on lastfm (0.970)" in text
    assert "CAAE does not beat TopPopular (MAP@5 0.1000)" in text
    assert "GANMF-u varies most with its seed: MAP@5 0.1900 ± 0.0141 over 2 seeds" in text


def test_other_figures_give_other_findings(tmp_path: Path) -> None:
    made = comparison(
        entry("EASE-R", 0.2, published={MAP: 0.2004}),
        entry("GANMF-u", 0.3, published={MAP: 0.2995}, seconds=0.5),
    )
    folder = write(tmp_path / "run", made, {"GANMF-u": COLLAPSE - 0.01})
    assert titles(folder) == [
        "GANMF-u ranks best",
        "All published figures are reproduced",
        "The best GAN is fitted faster than the best baseline",
    ]
    assert "the best baseline, EASE-R, 0.2000 (33.3\N{NO-BREAK SPACE}% lower; place 2" in said(
        folder
    )


def test_a_quick_run_is_not_called_a_comparison_with_the_paper(tmp_path: Path) -> None:
    row = entry("EASE-R", 0.2, published={MAP: 0.4})
    folder = write(tmp_path / "run", comparison(row, row, quick="at most 10 epochs"))
    assert "A quick run cannot be compared with the paper" in titles(folder)
    assert "at most 10 epochs" in Elements(render(open_run(folder))).text


def test_figures_of_another_split_are_context_and_no_finding(tmp_path: Path) -> None:
    row = entry("EASE-R", 0.2, 0.21, published={MAP: 0.4}, another_split=True)
    folder = write(tmp_path / "run", comparison(row, entry("TopPopular", 0.1)))
    assert not any("reproduced" in title for title in titles(folder))
    text = Elements(render(open_run(folder))).text
    assert "0.4000" in text
    assert "1 another split" in text
    assert "The published figures are of another split" in text
    assert "-0.1950" not in text
    assert "random:" not in text
    # Of earlier versions, whose documents do not say it, the phrase on the split does.
    path = folder / "comparison.json"
    document = json.loads(path.read_text())
    for found in document["entries"]:
        del found["another_split"]
    path.write_text(json.dumps(document))
    assert not any("reproduced" in title for title in titles(folder))
    path.write_text(json.dumps({**document, "splits": PUBLISHED_SPLITS}))
    assert "0 of 1 published figures are reproduced" in titles(folder)


@pytest.mark.parametrize("experiment", ["figure4", "figure5"])
def test_a_control_that_collapses_is_no_finding(tmp_path: Path, experiment: str) -> None:
    about = {"experiment": experiment, "axis": "recon_coefficient", "chart": "lines"}
    made = comparison(entry("GANMF-u", 0.2, point=0.0), entry("GANMF-i", 0.3, point=0.4), **about)
    folder = write(tmp_path / "run", made, {"GANMF-u": 0.99, "GANMF-i": 0.3})
    assert not any("collapsed" in title for title in titles(folder))
    # The figure itself says so.
    assert "GANMF-u at 0 (0.990)" in Elements(render(open_run(folder))).text
    made = comparison(entry("GANMF-u", 0.2, point=0.0), entry("GANMF-i", 0.3, point=0.4), **about)
    folder = write(tmp_path / "other", made, {"GANMF-u": 0.99, "GANMF-i": 0.98})
    assert "1 of 1 trained GANs collapsed" in titles(folder)


def test_too_little_gives_no_finding(tmp_path: Path) -> None:
    folder = write(tmp_path / "run", comparison(entry("EASE-R", 0.2)))
    assert titles(folder) == []
    assert "too little to conclude" in render(open_run(folder))


# folders of strangers --------------------------------------------------------------------------


def test_hostile_texts_stay_texts(tmp_path: Path) -> None:
    hostile = entry(HOSTILE, 0.2, params={HOSTILE: HOSTILE}, source=HOSTILE, problem=HOSTILE)
    made = comparison(
        hostile,
        entry("GANMF-u", 0.1, 0.2, published={MAP: 0.9}, known_difference=HOSTILE),
        title=HOSTILE,
        quick=HOSTILE,
    )
    made = replace(made, dataset=HOSTILE, splits=HOSTILE)
    config = {
        "dataset": {"name": HOSTILE, "hash": HOSTILE},
        "device": HOSTILE,
        "environment": {"versions": {HOSTILE: HOSTILE}, "hardware": {"processor": HOSTILE}},
    }
    folder = write(tmp_path / "run", made, {"GANMF-u": 0.99}, **config)
    Store(folder).write(
        "failed",
        {
            "row": HOSTILE, "point": None, "seed": 1, "config": {"model": HOSTILE}, "source": "",
            "status": "failed", "reason": HOSTILE,
        },
        {},
    )  # fmt: skip
    content = render(open_run(folder))
    elements = Elements(content)
    assert "<script>window.hostile" not in content
    assert "img" not in [tag for tag, _ in elements.found]
    assert "49" not in elements.text[: elements.text.index("Summary")]
    assert elements.text.count(HOSTILE) > 10
    data = [a for a, _ in elements.scripts if a.get("type") == "application/json"]
    # The style, the two scripts, and data.
    assert len(elements.scripts) == 3 + len(data)


def test_no_code_of_a_terminal_and_no_turned_text_stands_in_a_page(tmp_path: Path) -> None:
    codes = "\x1b[31m\x9b\u202egnp.exe\u2066\x00\x7f"
    made = comparison(
        entry("GANMF-u", 0.2, params={"p": codes}, source=codes, published={MAP: 0.9}),
        entry("A", 0.1, problem=codes),
        title=codes,
    )
    about = {"device": codes, "environment": {"hardware": {"processor": codes}}}
    folder = write(tmp_path / "run\x1b[31m\u202e", made, {"GANMF-u": 0.99}, **about)
    (folder / "other\u202e").mkdir()
    (folder / "other\u202e" / "comparison.json").write_text("{}")
    content = render(open_run(folder))
    own = Elements(content)
    attributes = " ".join(str(value) for _, held in own.found for value in held.values())
    figures = json.dumps(list(specs(content)), ensure_ascii=False)
    for text in (own.text, attributes, figures):
        assert not {*"\x1b\x9b\u202e\u2066\x00\x7f"} & {*text}
    assert "\\x1b[31m\\x9b\\u202egnp.exe" in own.text


@pytest.mark.parametrize(
    "name", ["../../secret.txt", "/etc/hostname", "history.json/../../x", "fifo"]
)
def test_a_record_cannot_name_files_elsewhere(gans: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    store = Store(gans)
    record = store.read("EASE-R")
    store.write("EASE-R", record, {})
    path = gans / "models" / "EASE-R" / "result.json"
    content = json.loads(path.read_text())
    content["files"] = {name: hashlib.sha256(b"secret").hexdigest()}
    del content["sha256"]
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    path.write_text(json.dumps({**content, "sha256": hashlib.sha256(text.encode()).hexdigest()}))
    [problem] = open_run(gans).problems
    assert problem.where == "models/EASE-R"
    assert "is missing" in problem.what


def test_a_bomb_of_zeros_is_not_unpacked(gans: Path) -> None:
    store = Store(gans)
    zeros = npz({"cosine": np.zeros((4200, 4200), np.float32)})
    assert len(zeros) < 200_000
    store.write("EASE-R", store.read("EASE-R"), {"cosine.npz": zeros})
    found = open_run(gans)
    assert found.experiments[0].records_of(entry("EASE-R"))[0].cosine is None


# parts that are missing ------------------------------------------------------------------------


def damage(folder: Path, name: str, how: str) -> None:
    path = folder / name
    if how == "gone":
        path.unlink()
    elif how == "cut":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif how == "deep":
        path.write_text("[" * 100_000)
    elif how == "binary":
        path.write_bytes(bytes(range(256)))
    elif how == "other":
        path.write_text('{"format": 99, "entries": 3, "dataset": [], "models": 7}')


@pytest.mark.parametrize("how", ["gone", "cut", "deep", "binary", "other"])
@pytest.mark.parametrize(
    "name",
    [
        "config.json",
        "comparison.json",
        "models/CAAE-1/result.json",
        "models/CAAE-1/history.json",
        "models/CAAE-1/per_user.npz",
    ],
)
def test_the_report_opens_and_names_the_damaged_part(
    ganmf, gans: Path, name: str, how: str
) -> None:
    damage(gans, name, how)
    done = ganmf("report", gans, "--json")
    assert done.returncode == 0, done.stderr
    missing = json.loads(done.stdout)["missing"]
    part = name.rpartition("/")[0] or name
    expected = [] if (name, how) == ("config.json", "other") else [part]
    assert [m["part"] for m in missing] == expected
    shown = Elements((gans / "report.html").read_text()).text
    for found in missing:
        assert found["part"] in shown
        assert found["problem"] in shown
        assert part in done.stderr
    assert "0.1900" in shown, "the figures of the others"


def test_cells_that_were_not_run_or_failed_are_named(gans: Path) -> None:
    config = json.loads((gans / "config.json").read_text())
    config["models"]["WRMF-0"] = {}
    (gans / "config.json").write_text(json.dumps(config))
    record = {"row": "WRMF", "point": None, "seed": 1, "config": {"model": "WRMF", "params": {}}}
    record |= {"source": "", "params": {}, "status": "failed", "reason": "out of luck"}
    Store(gans).write("WRMF-1", record, {})
    problems = {p.where: p.what for p in open_run(gans).problems}
    assert problems == {"models/WRMF-0": "has not been run", "models/WRMF-1": "failed: out of luck"}


def test_names_that_no_file_can_have_are_named_and_cost_nothing(gans: Path) -> None:
    config = json.loads((gans / "config.json").read_text())
    config["models"]["9" * 300] = {}
    (gans / "config.json").write_text(json.dumps(config))
    record = json.loads((gans / "models" / "CAAE-1" / "result.json").read_text())
    record["files"] = {"x" * 300 + ".npz": "0" * 64}
    del record["sha256"]
    record["sha256"] = store._digest(store._canonical(record))
    (gans / "models" / "CAAE-1" / "result.json").write_text(json.dumps(record))
    problems = {p.where: p.what for p in open_run(gans).problems}
    assert problems["models/" + "9" * 80] == "has not been run"
    assert "cannot be read: File name too long" in problems["models/CAAE-1"]
    assert max(map(len, problems.values())) < 500


def test_a_whole_run_names_the_experiments_it_lacks(gans: Path) -> None:
    whole = gans.parent / "whole"
    whole.mkdir()
    gans.rename(whole / "table2")
    names = ["table2", "figure4", "../elsewhere"]
    (whole / "config.json").write_text(json.dumps({"experiment": "all", "experiments": names}))
    found = open_run(whole)
    assert [e.path for e in found.experiments] == ["table2"]
    assert [(p.where, p.what) for p in found.problems] == [("figure4", "has not been run")]
    assert "EASE-R ranks best" in render(found)


def test_a_run_of_the_first_format_opens(tmp_path: Path) -> None:
    """As version 0.1 left it: one file beside each result, no comparison.json."""
    folder = tmp_path / "old"
    cell = folder / "models" / "EASE-R"
    cell.mkdir(parents=True)
    per_user = npz({"users": np.arange(3)})
    (cell / "per_user.npz").write_bytes(per_user)
    record = {
        "format": 1, "row": "EASE-R", "seed": None, "source": "defaults", "params": {"l2": 9.0},
        "config": {"model": "EASE", "params": {"l2": 9.0}, "cutoffs": [5]}, "status": "done",
        "values": {"map@5": 0.1234, "ndcg@5": 0.2}, "cost": {"fit_seconds": 1.0},
        "per_user_sha256": hashlib.sha256(per_user).hexdigest(),
    }  # fmt: skip
    text = json.dumps(record, sort_keys=True, separators=(",", ":"))
    record["sha256"] = hashlib.sha256(text.encode()).hexdigest()
    (cell / "result.json").write_text(json.dumps(record))
    about = {"experiment": "table2", "dataset": {"name": "lastfm"}, "models": {"EASE-R": {}}}
    (folder / "config.json").write_text(json.dumps(about))
    found = open_run(folder)
    assert [problem.where for problem in found.problems] == ["comparison.json"]
    [row] = found.experiments[0].comparison.entries
    assert row.published[MAP] == pytest.approx(0.1956, abs=1e-4)
    assert "0.1234" in render(found)


def test_what_is_no_run_is_refused(ganmf, tmp_path: Path) -> None:
    for folder, phrase in ((tmp_path, "holds neither"), (tmp_path / "no", "and '")):
        done = ganmf("report", folder)
        assert done.returncode == 2
        assert phrase in done.stderr


def test_a_report_that_cannot_be_made_leaves_the_old_one(
    ganmf, gans: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = gans.parent / "mine.html"
    assert ganmf("report", gans, "--output", output).stdout == f"{output}\n"
    before = output.read_bytes()
    monkeypatch.setattr(page, "LIMIT", 1000)
    done = ganmf("report", gans, "--output", output)
    assert done.returncode == 2
    assert "MB" in done.stderr
    assert output.read_bytes() == before
    assert [path.name for path in gans.parent.glob(".*")] == []


# searches --------------------------------------------------------------------------------------


def journal(folder: Path, n: int = 12, **header) -> Path:
    """A search of `n` trials, of which the fourth failed and the ninth is the best."""
    about = {
        "format": 1, "model": "ItemKNN", "dataset": "lastfm", "metric": "map@5", "n_initial": 3,
        "backend": "skopt", "seed": 1, "params": {}, "versions": {"numpy": np.__version__},
        "space": {
            "topk": {"int": [1, 100], "log": True}, "alpha": {"real": [0.0, 1.0]},
            "normalize": {"choice": [True, False]}, "fixed": {"choice": ["one"]},
        },
    }  # fmt: skip
    lines = [about | header]
    for number in range(n):
        value = 0.9 if number == 8 else 0.1 + number / 100
        params = {"topk": number + 1, "alpha": number / n, "normalize": number % 2 == 0}
        done = {"status": "done", "value": value, "seconds": 1.5, "epochs": None}
        failed = {"status": "failed", "value": None, "reason": "out of luck"}
        lines.append({"number": number, "params": params, **(failed if number == 3 else done)})
    folder.mkdir(parents=True)
    (folder / "journal.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_a_search_shows_its_trials_and_its_best(tmp_path: Path) -> None:
    found = open_run(journal(tmp_path / "search"))
    [search] = found.searches
    assert search.best.number == 8
    assert list(search.space) == ["topk", "alpha", "normalize"]
    [finding] = findings(found)
    assert finding.sentences == (
        (
            "ItemKNN on lastfm: the best of 11 trials is number 8 with map@5 0.9000 on validation "
            "data; 7 trials improved on all before them."
        ),
    )
    content = render(found)
    shown = Elements(content).text
    assert "out of luck" in shown
    assert "0.9000" in shown
    made = list(specs(content))
    # Convergence twice, parallel coordinates, and what each parameter does where it is known.
    assert len(made) in (3, 3 + 3)
    for spec in made:
        compiled(spec)


def test_each_parameter_by_itself_is_shown_where_it_can_be_modelled(tmp_path: Path) -> None:
    pytest.importorskip("skopt", reason="scikit-optimize is not installed")
    pytest.importorskip("ganmf_fast.tuning", reason="searches are not part of this version")
    content = render(open_run(journal(tmp_path / "search")))
    made = [spec["description"] for spec in specs(content)]
    for name in ("topk", "alpha", "normalize"):
        assert f"map@5 by {name} alone." in made


def test_searches_stand_beside_experiments(gans: Path) -> None:
    journal(gans / "tuning" / "knn")
    found = open_run(gans.parent)
    assert [search.path for search in found.searches] == ["gans/tuning/knn"]
    assert [experiment.path for experiment in found.experiments] == ["gans"]
    assert {"searches", "comparison"} <= {
        attributes.get("id") for _, attributes in Elements(render(found)).found
    }


@pytest.mark.parametrize(
    ("line", "text", "phrase"),
    [
        (0, "{}", "it is no journal of a search"),
        (0, "[1]", "it is no journal of a search"),
        (0, '{"format": 7}', "it is a journal of format 7"),
        (0, '{"format": 1, "space": {"a": {"int": [5, 1]}}}', "a needs low < high"),
        (0, '{"format": 1, "space": {"a": {"choice": [1, 1]}}}', "a holds a choice twice"),
        (2, "{}", "line 3 of it is damaged: Object missing required field `number`"),
        (2, "[" * 100_000, "line 3 of it is damaged"),
        (2, '{"number": 1, "params": {}, "status": "done", "value": "1"}', "- at `$.value`"),
        (2, '{"number": 1, "params": {}, "status": "done", "value": NaN}', "malformed"),
        (2, '{"number": 1, "params": {}, "status": "done"}', "value is None of a trial that"),
    ],
)
def test_a_damaged_journal_costs_no_more_than_it_must(
    gans: Path, line: int, text: str, phrase: str
) -> None:
    path = journal(gans / "search") / "journal.jsonl"
    lines = path.read_text().split("\n")
    lines[line] = text
    path.write_text("\n".join(lines))
    found = open_run(gans)
    [problem] = found.problems
    assert problem.where == "search/journal.jsonl"
    assert phrase in problem.what
    assert len(found.searches) == (line > 0)
    assert sum(len(search.trials) for search in found.searches) == 11 * (line > 0)
    assert "EASE-R ranks best" in render(found)


def test_hostile_texts_of_a_search_stay_texts(tmp_path: Path) -> None:
    space = {HOSTILE: {"choice": [HOSTILE, "b"]}, "a": {"real": [0, 1]}}
    about = {"model": HOSTILE, "dataset": HOSTILE, "metric": HOSTILE, "backend": HOSTILE}
    folder = journal(tmp_path / "search", space=space, **about, params={HOSTILE: HOSTILE})
    content = render(open_run(folder))
    assert "<script>window.hostile" not in content
    assert "img" not in [tag for tag, _ in Elements(content).found]
    assert HOSTILE in Elements(content).text


# the document ----------------------------------------------------------------------------------


def test_a_comparison_is_read_back_as_it_was() -> None:
    made = comparison(
        replace(entry("A", 0.1, 0.2, published={MAP: 0.3}, known_difference="so"), point=0.5),
        entry("B", 0.3, incomparable={NDCG: 0.9}, problem="half", params={"x": [1, None]}),
        axis="share",
        point_names={0.5: "half"},
        ranked="point",
        significance={MAP: {"A": 0.04}},
        quick="few",
    )
    assert document.read(document.to_json(made)) == made


def test_a_peak_that_was_not_measured_is_left_out() -> None:
    row = entry("A", 0.1)
    row.runs[0].cost["fit_peak_mib"] = float("nan")
    [back] = document.read(document.to_json(comparison(row))).entries
    assert "fit_peak_mib" not in back.runs[0].cost


@pytest.mark.parametrize(
    ("place", "value", "phrase"),
    [
        (("entries", 0, "runs", 0, "values", "map@5"), "0.1", "values holds '0.1', not a number"),
        (("entries", 0, "runs", 0, "values", "map@5"), float("nan"), "values holds nan"),
        (("entries", 0, "runs", 0, "seed"), 1.5, "seed holds 1.5, not a whole number"),
        (("entries", 0, "model"), None, "model is None, not a text"),
        (("entries", 0, "published"), [1], "published is no table"),
        (("entries",), {}, "entries is no list"),
        (("columns",), ["map@five"], "a metric is 'map@five'"),
        (("cutoffs",), [0], "cutoffs holds 0"),
        (("ranked",), "best", "ranked is 'best'"),
        (("chart",), 3, "chart is 3"),
        (("format",), 2, "it has format 2, and 1 is known"),
    ],
)
def test_a_damaged_document_says_where(place: tuple, value: object, phrase: str) -> None:
    content = json.loads(document.to_json(comparison(entry("A", 0.1))))
    inner = content
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    with pytest.raises(document.DamagedError, match=re.escape(phrase)):
        document.read(json.dumps(content))


# in a browser ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Iterator:
    """Chromium without a window."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    names = ("chromium", "chromium-browser", "google-chrome")
    program = next((found for name in names if (found := shutil.which(name))), None)
    driver = shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("no Chromium with its chromedriver is installed (apt install chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    started = webdriver.Chrome(options, webdriver.ChromeService(driver))
    yield started
    started.quit()


@pytest.fixture(scope="module")
def opened(browser, tmp_path_factory: pytest.TempPathFactory):
    """Open a page of a report in the browser, as wide and in the scheme that is asked for."""
    made = comparison(
        entry("TopPopular", 0.1, published={MAP: 0.1}),
        entry("EASE-R", 0.2, seconds=0.5, published={MAP: 0.25}),
        entry("GANMF-u", 0.18, 0.20, seconds=50.0, params={"num_factors": 12345678901234567890}),
        entry(HOSTILE, 0.15),
        entry("Absent", problem="has not been run"),
    )
    points = tuple(replace(entry("GANMF-u", 0.1 + at), point=at) for at in (0.0, 0.5))
    square = npz({"cosine": np.eye(9, dtype=np.float32)})
    figure = comparison(*points, experiment="figure4", chart="lines", axis="share")
    folder = tmp_path_factory.mktemp("browser") / "run"
    write(folder / "figure4", figure)
    write(folder / "table2", made, {"GANMF-u": 0.3})
    store = Store(folder / "figure4")
    store.write("square", store.read("GANMF-u_0") | {"row": "Square"}, {"cosine.npz": square})
    page = folder / "report.html"
    page.write_text(render(open_run(folder)))

    def show(anchor: str = "", width: int = 1280, scheme: str = "light"):
        feature = {"name": "prefers-color-scheme", "value": scheme}
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        browser.get("about:blank")
        browser.get(f"{page.as_uri()}#{anchor}")
        return browser

    return show


def wait_for(condition) -> object:
    for _ in range(400):
        if found := condition():
            return found
        time.sleep(0.025)
    raise AssertionError("it did not happen within ten seconds")


def draw_all(browser) -> None:
    """Scroll past every figure of the page that is open."""
    for plot in browser.find_elements("css selector", ".plot"):
        if plot.is_displayed():
            browser.execute_script("arguments[0].scrollIntoView()", plot)
            wait_for(lambda plot=plot: plot.get_attribute("data-state") == "drawn")


def first_column(table) -> list[str]:
    heads = table.find_elements("css selector", "tbody th")
    return [head.get_attribute("data-value") for head in heads]


ORDERED = ["EASE-R", "GANMF-u", HOSTILE, "TopPopular", "Absent"]


def test_no_page_has_an_error_or_overflows_a_phone(opened) -> None:
    browser = opened(width=360)
    browser.get_log("browser")
    pages = [page.get_attribute("id") for page in browser.find_elements("css selector", ".page")]
    assert len(pages) == 6
    for anchor in pages:
        browser.execute_script("location.hash = arguments[0]", anchor)
        shown = [p for p in browser.find_elements("css selector", ".page") if p.is_displayed()]
        assert [page.get_attribute("id") for page in shown] == [anchor]
        draw_all(browser)
        width = "return document.documentElement.scrollWidth"
        wide = """return [...document.querySelectorAll("body *")].filter(
            (e) => e.getBoundingClientRect().right > 360 && !e.closest(".scroll, nav")
        ).map((e) => e.outerHTML.slice(0, 200))"""
        assert browser.execute_script(width) <= 360, browser.execute_script(wide)
        for figure in shown[0].find_elements("css selector", ".plot svg"):
            assert figure.size["width"] <= 360
    assert browser.get_log("browser") == []
    assert browser.execute_script("return window.hostile") is None


def test_a_table_sorts_by_click_and_by_keyboard(opened) -> None:
    browser = opened("comparison")
    table = browser.find_element("css selector", "#comparison table")
    assert first_column(table) == ["TopPopular", "EASE-R", "GANMF-u", HOSTILE, "Absent"]
    head = table.find_element("css selector", "th[data-name='MAP@5, here']")
    button = head.find_element("css selector", "button")
    button.click()
    assert first_column(table) == ORDERED
    assert head.get_attribute("aria-sort") == "descending"
    status = browser.find_element("id", "status")
    assert status.get_property("textContent") == "Sorted by MAP@5, here, falling"
    # What has no value stays at the end.
    button.send_keys(" ")
    assert first_column(table) == [*reversed(ORDERED[:-1]), ORDERED[-1]]
    assert head.get_attribute("aria-sort") == "ascending"
    name = table.find_element("css selector", "th.corner[data-column] button")
    name.send_keys("\ue007")
    assert first_column(table) == sorted(ORDERED, key=str.lower)
    assert head.get_attribute("aria-sort") is None


def test_a_figure_shows_its_values_on_hover(opened) -> None:
    browser = opened("comparison")
    draw_all(browser)
    chains = pytest.importorskip("selenium.webdriver.common.action_chains")
    bars = browser.find_elements("css selector", "#comparison .plot .mark-rect path")
    bars = [bar for bar in bars if "GANMF-u" in (bar.get_attribute("aria-label") or "")]
    chains.ActionChains(browser).move_to_element(bars[0]).perform()
    tip = wait_for(lambda: browser.find_elements("css selector", "#vg-tooltip-element.visible"))
    assert "0.1900 ± 0.0141 over 2 seeds" in tip[0].text
    # A curve answers to whatever is nearest.
    browser = opened("model-lastfm-ganmf-u")
    draw_all(browser)
    svg = browser.find_element("css selector", ".page:not([hidden]) .plot svg")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", svg)
    chains.ActionChains(browser).move_to_element_with_offset(svg, 20, 10).perform()
    tip = wait_for(lambda: browser.find_elements("css selector", "#vg-tooltip-element.visible"))
    for text in ("epoch", "value", "stage", "seed"):
        assert text in tip[0].text


def test_another_metric_can_be_chosen_by_keyboard(opened) -> None:
    browser = opened("comparison")
    draw_all(browser)
    shown = "return document.querySelector('#comparison .plot svg').textContent"
    assert "0.2000" in browser.execute_script(shown)
    browser.find_element("css selector", "#comparison select").send_keys("N")
    wait_for(lambda: "0.1000" in browser.execute_script(shown))
    assert "0.2000" not in browser.execute_script(shown)


def test_the_page_follows_the_colour_scheme(opened) -> None:
    def light(colour: str) -> float:
        return sum(map(int, re.findall(r"\d+", colour)[:3])) / 3

    found = {}
    for scheme in ("light", "dark"):
        browser = opened("comparison", scheme=scheme)
        draw_all(browser)
        colour = "return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]"
        found[scheme] = [
            light(browser.execute_script(colour, *where))
            for where in (
                ("body", "backgroundColor"),
                ("body", "color"),
                ("#comparison .plot text", "fill"),
            )
        ]
    ground, *ink = found["light"]
    assert ground > 240
    assert max(ink) < 60
    ground, *ink = found["dark"]
    assert ground < 40
    assert min(ink) > 200


def test_every_page_is_reached_by_keyboard(opened) -> None:
    browser = opened()
    keys = pytest.importorskip("selenium.webdriver.common.keys").Keys
    body = browser.find_element("css selector", "body")
    body.send_keys(keys.TAB)
    focused = browser.switch_to.active_element
    assert focused.text == "Skip to the summary"
    link = browser.find_element("css selector", "#models a[href='#model-lastfm-ease-r']")
    link.send_keys(keys.ENTER)
    wait_for(lambda: browser.switch_to.active_element.text.endswith("EASE-R"))
    assert browser.title == "EASE-R on lastfm: report"
    back = browser.find_element("css selector", ".page:not([hidden]) a[href='#models']")
    back.send_keys(keys.ENTER)
    assert wait_for(lambda: browser.find_element("id", "models").is_displayed())
