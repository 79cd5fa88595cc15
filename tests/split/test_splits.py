import copy
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from ganmf_fast import _core
from ganmf_fast.base.errors import DataError
from ganmf_fast.base.urm import as_csr
from ganmf_fast.data import datasets
from ganmf_fast.data.interactions import Interactions, interactions_of
from ganmf_fast.evaluation import evaluate
from ganmf_fast.models import TopPopular
from ganmf_fast.split import PARTS, Splits, paper_protocol
from ganmf_fast.split.open_data import open_data

# users, items, then train, test, train_small, validation, early_stop
PUBLISHED = {
    "ml-1m": (6040, 3706, 799_983, 200_226, 505_222, 202_272, 92_489),
    "hetrec2011": (2113, 10109, 684_308, 171_290, 434_575, 171_875, 77_858),
    "lastfm": (1884, 17632, 74_238, 18_588, 45_751, 19_272, 9_208),
}


@pytest.fixture
def splits(toy_urm):
    return paper_protocol(toy_urm, seed=3)


def same(a, b):
    return a.data_hash == b.data_hash


@pytest.mark.real_data
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_splits_load_as_they_are(data_dir, name):
    s = open_data(name, data_dir, offline=True)
    found = (s.n_users, s.n_items, *(getattr(s, part).nnz for part in PARTS))
    assert found == PUBLISHED[name]
    assert (s.name, s.simulated, s.user_ids) == (name, False, None)
    assert s.train.dtype == np.float32
    assert (s.train != sp.load_npz(data_dir / name / "train.npz")).nnz == 0


@pytest.mark.real_data
def test_the_two_interaction_rule_gives_the_published_size_of_lastfm(data_dir):
    s = paper_protocol(datasets.load("lastfm", data_dir, download=False))
    assert (s.n_interactions, s.n_users, s.n_items) == (92_826, 1_884, 17_626)
    assert s.name == "lastfm"


def test_the_parts_make_up_the_whole(splits, toy_urm):
    np.testing.assert_array_equal(splits.urm.toarray(), toy_urm.toarray())
    inner = splits.train_small + splits.validation + splits.early_stop
    np.testing.assert_array_equal(inner.toarray(), splits.train.toarray())


def test_raw_ids_follow_the_rows_and_columns_that_are_kept():
    # User "c" has one interaction, and is the only one who knows item 9.
    data = Interactions.from_frame({"u": [*"aabbc"], "i": [1, 2, 2, 1, 9]}, "u", "i")
    s = paper_protocol(data)
    assert s.user_ids.tolist() == ["a", "b"]
    assert s.item_ids.tolist() == [1, 2]
    plain = paper_protocol(data.urm)
    assert same(plain, s)
    assert plain.item_ids.tolist() == [0, 1]


def test_the_seed_decides(toy_urm, splits):
    assert same(paper_protocol(toy_urm, seed=3), splits)
    assert not same(paper_protocol(toy_urm, seed=4), splits)


@pytest.mark.usefixtures("threads_restored")
def test_thread_count_does_not_change_the_split():
    hashes = set()
    for n in (1, 2, 5):
        _core.set_num_threads(n)
        hashes.add(paper_protocol(_core.demo_urm(1, 700, 300)).data_hash)
    assert len(hashes) == 1


@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, "1", True, None])
def test_a_bad_seed_is_named(toy_urm, seed):
    with pytest.raises((TypeError, ValueError), match="seed must be"):
        paper_protocol(toy_urm, seed=seed)


def test_a_matrix_without_any_user_of_two_interactions_is_refused():
    with pytest.raises(ValueError, match=r"none of the 3 users .* has 2 interactions"):
        paper_protocol(np.eye(3))


@pytest.mark.parametrize(
    "ids",
    [
        None,
        np.arange(60) * 7,
        np.array([f"u{i}" for i in range(60)]),
        np.array(["é", *map(str, range(59))], dtype=object),
        np.arange(60).astype("datetime64[D]"),
    ],
)
def test_saving_and_loading_is_the_identity(tmp_path, toy_urm, ids):
    data = Interactions.from_matrix(toy_urm, user_ids=ids)
    s = paper_protocol(data)
    s.save(tmp_path / "a" / "b")
    back = Splits.load(tmp_path / "a" / "b")
    assert same(s, back)
    np.testing.assert_array_equal(back.user_ids, s.user_ids)
    np.testing.assert_array_equal(back.item_ids, s.item_ids)
    assert back.user_ids.dtype == s.user_ids.dtype
    for part in PARTS:
        assert (getattr(s, part) != getattr(back, part)).nnz == 0


def test_values_and_the_simulated_label_survive_saving(tmp_path):
    s = paper_protocol(datasets.load("demo"))
    s.save(tmp_path)
    back = Splits.load(tmp_path)
    assert (back.name, back.simulated) == ("demo", True)
    rated = paper_protocol(np.arange(1, 31, dtype=float).reshape(5, 6))
    rated.save(tmp_path / "rated")
    assert Splits.load(tmp_path / "rated").urm.sum() == 465
    assert Splits.load(tmp_path / "rated").name == "data"


def test_saving_twice_replaces_and_leaves_nothing_else(tmp_path, splits, toy_urm):
    splits.save(tmp_path)
    paper_protocol(toy_urm, seed=9).save(tmp_path)
    expected = {*(f"{part}.npz" for part in PARTS), "ids.npz", "splits.json"}
    assert {path.name for path in tmp_path.iterdir()} == expected
    assert same(Splits.load(tmp_path), paper_protocol(toy_urm, seed=9))


def test_ids_that_need_pickle_are_refused_when_the_data_is_made(toy_urm):
    ids = [("tuple", i) for i in range(60)]
    with pytest.raises(TypeError, match=r"user_ids.* which are no ids"):
        Interactions.from_matrix(toy_urm, user_ids=ids)


def test_a_missing_file_is_named(tmp_path, splits):
    with pytest.raises(DataError, match=r"gone is no folder; a split folder holds train\.npz"):
        Splits.load(tmp_path / "gone")
    splits.save(tmp_path)
    (tmp_path / "validation.npz").unlink()
    with pytest.raises(DataError, match=r"lacks validation\.npz;"):
        Splits.load(tmp_path)


def pickled(path):
    np.savez(path, data=np.array([{"a": 1}], dtype=object), format=np.array("csr"))


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("damage", ["cut", "empty", "text", "flipped", "other arrays", "pickled"])
def test_a_damaged_file_is_named_in_one_sentence(tmp_path, splits, part, damage):
    splits.save(tmp_path)
    path = tmp_path / f"{part}.npz"
    content = bytearray(path.read_bytes())
    if damage == "other arrays":
        np.savez(path, a=np.ones(3))
    elif damage == "pickled":
        pickled(path)
    else:
        # The header of the first member of a zip file is shorter than 100 bytes.
        content[100] ^= 0xFF
        path.write_bytes(
            {
                "cut": content[: len(content) // 2],
                "empty": b"",
                "text": b"hello",
                "flipped": content,
            }[damage]
        )
    with pytest.raises(DataError, match=rf"{part}\.npz is damaged") as caught:
        Splits.load(tmp_path)
    assert "\n" not in str(caught.value)


def matrices_alone(folder, splits):
    for part in PARTS:
        sp.save_npz(folder / f"{part}.npz", getattr(splits, part))


@pytest.mark.parametrize("name", ["ids.npz", "splits.json"])
def test_damaged_ids_are_named(tmp_path, splits, name):
    splits.save(tmp_path)
    (tmp_path / name).write_bytes(b"[")
    with pytest.raises(DataError, match=f"{name} is damaged"):
        Splits.load(tmp_path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"test": "train"}, "train and test share .* interactions"),
        ({"validation": "test"}, "validation holds .* interactions that are not in train"),
        ({"early_stop": "train_small"}, "train_small and early_stop share"),
    ],
)
def test_sets_that_do_not_fit_together_are_refused(tmp_path, splits, changes, words):
    matrices_alone(tmp_path, splits)
    for target, source in changes.items():
        sp.save_npz(tmp_path / f"{target}.npz", getattr(splits, source))
    with pytest.raises(DataError, match=words):
        Splits.load(tmp_path)


def test_sets_of_different_shapes_are_refused(tmp_path, splits):
    matrices_alone(tmp_path, splits)
    sp.save_npz(tmp_path / "test.npz", sp.csr_array(splits.test.toarray()[:, :30]))
    with pytest.raises(DataError, match=r"test has shape \(60, 30\), but train has \(60, 40\)"):
        Splits.load(tmp_path)


def test_open_data_finds_names_folders_and_files(tmp_path, splits):
    splits.save(tmp_path / "mine")
    assert same(open_data(str(tmp_path / "mine")), splits)
    csv = tmp_path / "likes.tsv"
    csv.write_text("user\titem\n1\t2\n3\t4\n")
    assert open_data(str(csv)).n_users == 2
    assert open_data("demo").simulated
    splits.save(tmp_path / "lastfm")
    assert same(open_data("lastfm", tmp_path), splits)
    with pytest.raises(DataError, match=r"'lastmf' is neither .*did you mean 'lastfm'\?"):
        open_data("lastmf")


@pytest.fixture
def named(toy_urm):
    users, items = toy_urm.nonzero()
    frame = {"u": [f"user {u}" for u in users], "i": items * 7}
    return Interactions.from_frame(frame, "u", "i")


@pytest.mark.parametrize("saved", [False, True])
def test_a_model_fitted_on_a_part_answers_by_id(named, tmp_path, saved):
    s = paper_protocol(named, seed=2)
    if saved:
        s.save(tmp_path)
        s = Splits.load(tmp_path)
    expected = TopPopular().fit(s.train.copy()).recommend([3, 0], n=2)
    found = TopPopular().fit(s.train).recommend(s.user_ids[[3, 0]].tolist(), n=2)
    assert found["user"].tolist() == [s.user_ids[3]] * 2 + [s.user_ids[0]] * 2
    assert found["item"].tolist() == s.item_ids[expected.items].ravel().tolist()


def test_a_model_fitted_on_a_part_is_measured_on_the_others_by_row(named):
    s = paper_protocol(named, seed=2)
    plain = TopPopular().fit(s.train.copy())
    model = TopPopular().fit(s.train)
    expected = evaluate(plain, s.train.copy(), s.test.copy()).to_dict()
    assert evaluate(model, s.train, s.test).to_dict() == expected
    assert evaluate(model, s.train.copy(), s.test).to_dict() == expected
    assert evaluate(plain, s.train, s.test).to_dict() == expected


def test_splits_of_a_plain_matrix_have_models_that_answer_by_row(toy_urm, tmp_path):
    s = paper_protocol(toy_urm, seed=2)
    s.save(tmp_path)
    numbered = paper_protocol(Interactions.from_matrix(toy_urm), seed=2)
    for splits in (s, Splits.load(tmp_path), numbered):
        assert TopPopular().fit(splits.train).recommend([3], n=2).items.shape == (1, 2)


def test_a_part_is_a_read_only_scipy_array(splits):
    train = splits.train
    assert isinstance(train, sp.csr_array)
    for array in (train.data, train.indices, train.indptr):
        assert not array.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        train.data[0] = 5
    assert as_csr(train) is as_csr(splits.train)


def test_what_scipy_makes_of_a_part_is_an_ordinary_array(named):
    train = paper_protocol(named).train
    assert interactions_of(train) is not None
    for other in (train + train, train * 2, train[:5], train.copy(), train.astype(np.float64)):
        assert interactions_of(other) is None
        assert as_csr(other) is not as_csr(train)
    wider = paper_protocol(named).train
    wider.resize((wider.shape[0], wider.shape[1] + 1))
    assert as_csr(wider).n_cols == train.shape[1] + 1
    again = copy.copy(train)
    assert (again != train).nnz == 0
    assert interactions_of(again).user_ids.tolist() == interactions_of(train).user_ids.tolist()


def test_a_changed_copy_of_splits_is_checked_and_an_unchanged_one_is_the_same(splits):
    renamed = replace(splits, name="other")
    assert (renamed.name, renamed.data_hash) == ("other", splits.data_hash)
    assert as_csr(renamed.train) is as_csr(splits.train)
    with pytest.raises(DataError, match=r"train and test share \d+ interactions"):
        replace(splits, test=splits.validation)


def of_ids(ids, seed=3):
    """Splits of one shape whose matrices and ids are decided by the arguments."""
    X = (np.random.default_rng(0).random((20, 9)) < 0.6).astype(float)
    return paper_protocol(Interactions.from_frame(columns(X, ids), "u", "i"), seed=seed)


def columns(X, ids):
    users, items = X.nonzero()
    return {"u": [ids[u] for u in users], "i": items * 7}


NUMBERS = [*range(100, 120)]
TEXTS = [f"u{at:02}" for at in range(20)]


def rewritten(folder, **changes):
    path = folder / "splits.json"
    info = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in info.items() if value is not None}))


def as_first_written(folder):
    """A folder of the first format, which had no checksums."""
    rewritten(folder, format=1, sha256=None)


def swapped(a, b):
    def swap(folder, _other):
        (folder / a).rename(folder / "a")
        (folder / b).rename(folder / a)
        (folder / "a").rename(folder / b)

    return swap


def taken(*names):
    def take(folder, other):
        for name in names:
            shutil.copy(other / name, folder / name)

    return take


def lost(name):
    return lambda folder, _other: (folder / name).unlink()


def without_items(folder, _other):
    with np.load(folder / "ids.npz") as stored:
        arrays = dict(stored)
    np.savez(folder / "ids.npz", **{k: v for k, v in arrays.items() if k != "item_ids"})


@pytest.mark.parametrize("ids", [NUMBERS, TEXTS])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lost("ids.npz"), r"_ids in ids\.npz or splits\.json are missing"),
        (without_items, r"item_ids in ids\.npz or splits\.json are missing"),
        (lost("splits.json"), r"holds ids\.npz but not the splits\.json"),
        (swapped("validation.npz", "early_stop.npz"), r"validation\.npz is not what was saved"),
        (swapped("train_small.npz", "validation.npz"), r"train_small\.npz is not what"),
        (taken("splits.json"), r"is not what was saved|are not what was saved"),
        (taken("ids.npz"), r"user_ids in .* are not what was saved|holds user_ids twice"),
        (taken(*(f"{part}.npz" for part in PARTS)), r"\.npz is not what was saved"),
        (taken("train.npz", "test.npz"), r"train\.npz is not what was saved"),
    ],
)
def test_a_folder_with_a_file_lost_or_of_another_split_is_refused(tmp_path, ids, change, words):
    mine, other = tmp_path / "mine", tmp_path / "other"
    of_ids(ids).save(mine)
    of_ids([at + 1 for at in NUMBERS], seed=4).save(other)
    change(mine, other)
    with pytest.raises(DataError, match=words) as caught:
        Splits.load(mine)
    assert "split again" in str(caught.value)
    assert str(mine) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("before", ["nothing", "published", "first", "now"])
def test_a_folder_whose_writing_was_cut_short_is_refused(tmp_path, monkeypatch, before):
    new, old, folder = of_ids(TEXTS, seed=4), of_ids(NUMBERS), tmp_path / "s"
    folder.mkdir()
    if before == "published":
        matrices_alone(folder, old)
    elif before != "nothing":
        old.save(folder)
    if before == "first":
        as_first_written(folder)
    shutil.copytree(folder, tmp_path / "kept")
    rename, left = Path.replace, 0

    def cut(self, target):
        nonlocal left
        if not left:
            raise KeyboardInterrupt
        left -= 1
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", cut)
    for kills in range(1, 7):
        shutil.rmtree(folder)
        shutil.copytree(tmp_path / "kept", folder)
        left = kills
        with pytest.raises(KeyboardInterrupt):
            new.save(folder)
        with pytest.raises(DataError, match=r"lacks|(is|are) (not what|missing)|twice"):
            Splits.load(folder)
    left = 7
    new.save(folder)
    assert same(Splits.load(folder), new)


@pytest.mark.parametrize("ids", [NUMBERS, TEXTS, None])
def test_folders_of_the_first_format_are_read(tmp_path, splits, ids):
    s = splits if ids is None else of_ids(ids)
    s.save(tmp_path)
    as_first_written(tmp_path)
    back = Splits.load(tmp_path)
    assert same(back, s)
    assert back.user_ids.tolist() == s.user_ids.tolist()
    assert back.frame_type == s.frame_type
    if ids is not None:
        (tmp_path / "ids.npz").unlink()
        with pytest.raises(DataError, match=r"has lost ids\.npz"):
            Splits.load(tmp_path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": 3}, "has format 3; this version reads formats up to 2"),
        ({"format": 0}, "has format 0"),
        ({"format": None}, "missing required field `format`"),
        ({"sha256": None}, "lacks sha256"),
        ({"sha256": {}}, r"train\.npz is not what was saved"),
    ],
)
def test_a_folder_of_another_format_is_refused(tmp_path, splits, changes, words):
    splits.save(tmp_path)
    rewritten(tmp_path, **changes)
    with pytest.raises(DataError, match=words):
        Splits.load(tmp_path)


def test_a_matrix_saved_in_another_way_is_the_same(tmp_path, splits):
    splits.save(tmp_path)
    sp.save_npz(tmp_path / "train.npz", sp.coo_array(splits.train), compressed=False)
    assert same(Splits.load(tmp_path), splits)


@pytest.mark.parametrize(
    ("ids", "words"),
    [
        ([*range(59), 0], "user_ids must be distinct, but 0"),
        ([*"ab" * 30], "user_ids must be distinct, but 'a'"),
        (np.r_[np.nan, np.arange(59.0)], "position 0: user_ids is missing"),
        ([*range(59), "a"], "position 59: .*'a', of type str, beside 0"),
        ([*range(59)], "user_ids must hold 60 ids, not 59"),
        (np.array(["NaT", *range(59)], dtype="M8[s]"), "position 0: user_ids is missing"),
    ],
)
def test_ids_that_are_none_are_refused_by_splits_and_folders(tmp_path, splits, ids, words):
    with pytest.raises((TypeError, ValueError), match=words):
        replace(splits, user_ids=ids)
    splits.save(tmp_path)
    as_first_written(tmp_path)
    if isinstance(ids, list):
        (tmp_path / "ids.npz").unlink()
        rewritten(tmp_path, user_ids=ids)
    else:
        np.savez(tmp_path / "ids.npz", user_ids=ids)
    with pytest.raises(DataError, match=words):
        Splits.load(tmp_path)


def test_a_path_that_names_no_folder_is_refused(tmp_path, splits, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for use in (splits.save, Splits.load):
        with pytest.raises(ValueError, match="folder must name a folder, not ''"):
            use("")
        with pytest.raises(ValueError, match=r"folder must not begin with ~.* '~/sp' does"):
            use("~/sp")
        with pytest.raises(TypeError, match="folder must be the name of a file or folder, not 5"):
            use(5)
    assert list(tmp_path.iterdir()) == []
    splits.save(".")
    assert same(Splits.load("."), splits)
