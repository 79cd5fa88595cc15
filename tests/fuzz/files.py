"""Targets whose inputs are files: everything that the package reads."""

import contextlib
import hashlib
import io
import json
import os
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import polars as pl
from tests.fuzz.cases import real
from tests.fuzz.containers import (
    bent_npz,
    bent_safetensors,
    bent_tensors,
    compressed,
    packed_safetensors,
    unpacked_safetensors,
)
from tests.fuzz.targets import FileTarget, Target, WrongError
from tests.fuzz.values import (
    INTS,
    TEXTS,
    bent_json,
    bent_text,
    either,
    odd,
    spoiled,
    written_json,
)

import ganmf_fast as gf
from ganmf_fast.base.errors import ConflictError, DataError
from ganmf_fast.base.files import checksum
from ganmf_fast.base.progress import set_quiet
from ganmf_fast.base.unpacking import GRACE
from ganmf_fast.base.urm import fingerprint
from ganmf_fast.cli import config, main
from ganmf_fast.cli.app import build
from ganmf_fast.experiments.run_specs import read_params, run_specs
from ganmf_fast.experiments.variants import VARIANTS
from ganmf_fast.models.model_file import ModelFile
from ganmf_fast.report import findings, open_run, render
from ganmf_fast.results import store
from ganmf_fast.scorers.autoencoder import Autoencoder
from ganmf_fast.scorers.factors import Factors
from ganmf_fast.scorers.profile_maps import LinearMap
from ganmf_fast.scorers.profile_norms import ProfileNorms
from ganmf_fast.scorers.tensors import csr_from_tensors
from ganmf_fast.split import PARTS
from ganmf_fast.tuning import Journal, read_journal
from ganmf_fast.tuning.spaces import Space, table_for

__all__ = ["TARGETS"]

_USERS, _ITEMS = 14, 11


def _interactions() -> Any:
    """A small matrix, the same in every process."""
    rng = Random(1)
    dense = [[rng.random() < 0.5 for _ in range(_ITEMS)] for _ in range(_USERS)]
    return np.array(dense, dtype=np.float32)


def _saved(thing: Any) -> dict[str, bytes]:
    """Files that ``thing.save`` writes, by name; a single one is called ``file``."""
    with tempfile.TemporaryDirectory() as name:
        thing.save(Path(name) / "file")
        return _files(Path(name))


def _files(folder: Path) -> dict[str, bytes]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


@contextlib.contextmanager
def _command_line(cwd: Path) -> Iterator[tuple[io.StringIO, io.StringIO]]:
    """What a command prints, run in a folder of its own."""
    out, err, before = io.StringIO(), io.StringIO(), Path.cwd()
    os.chdir(cwd)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            yield out, err
    finally:
        os.chdir(before)
        set_quiet(True)


def _command(cwd: Path, *tokens: str, codes: tuple[int, ...] = (0, 2, 3)) -> None:
    """A command, which has to end with one of these codes and at most one sentence."""
    with _command_line(cwd) as (_out, err):
        code = main([*tokens, "--quiet"])
    said = err.getvalue()
    if code not in codes:
        raise WrongError(f"{tokens[0]} ended with {code}: {said[-300:]}")
    if "Traceback" in said or "ganmf: unexpected" in said:
        raise WrongError(f"{tokens[0]} said: {said[-300:]}")


# safetensors -------------------------------------------------------------------------------------


class _Tensors(FileTarget):
    """A safetensors file with a description under `key`."""

    key: str

    def draw(self, rng: Random) -> dict[str, Any]:
        """A file that is whole but wrong, or damaged."""
        originals = self.corpus["files"]
        content = rng.choice(originals)
        match rng.randrange(10):
            case 0:
                content = spoiled(rng, content, originals)
            case 1 | 2:
                content = bent_safetensors(rng, content)
            case _:
                content = self._rewritten(rng, content)
        return {"files": {"file": content}}

    def _rewritten(self, rng: Random, content: bytes) -> bytes:
        """Other tensors or another description, with the checksum of what they are now."""
        metadata, tensors = unpacked_safetensors(content)
        text = metadata[self.key]
        for _ in range(rng.choice((1, 1, 2))):
            if rng.random() < 0.6 and tensors:
                tensors = bent_tensors(rng, tensors)
            elif rng.random() < 0.1:
                text = spoiled(rng, text.encode()).decode(errors="replace")
            else:
                with contextlib.suppress(ValueError, RecursionError):
                    text = json.dumps(bent_json(rng, json.loads(text)))
        text = self._consistent(text, tensors)
        metadata = {self.key: text, "sha256": checksum(text, tensors)}
        try:
            return packed_safetensors(metadata, tensors)
        except (ValueError, TypeError, UnicodeError):  # a name or a text that cannot be written
            return bent_safetensors(rng, content)

    def _consistent(self, text: str, tensors: Mapping[str, Any]) -> str:
        """The description with what else has to agree."""
        del tensors
        return text


class ModelTarget(_Tensors):
    """`gf.load`, and what the model that was loaded is then asked."""

    name = "model"
    key = "ganmf_fast"
    documented = (DataError,)

    @classmethod
    def make_corpus(cls) -> dict[str, Any]:
        """A model with each form of scorer, some with ids."""
        dense = _interactions()
        rows, cols = dense.nonzero()
        text = {"user": [f"user {r}" for r in rows], "item": [f"item {c}" for c in cols]}
        dates = np.datetime64("2020-01-01") + np.arange(_USERS)
        named = gf.Interactions.from_frame(text, user="user", item="item")
        dated = gf.Interactions.from_frame(
            {"user": pl.Series(dates[rows]), "item": cols}, user="user", item="item"
        )
        fits = [
            (gf.ItemKNN(topk=3), dense),
            (gf.UserKNN(topk=3), named),
            (gf.EASE(l2=5.0), dense),
            (gf.EASE(l2=5.0), dense.T.copy()),
            (gf.EASE(l2=5.0, norm_exponent=0.5), dense.T.copy()),
            (gf.PureSVD(num_factors=2), dated),
            (gf.TopPopular(), named),
            (gf.Random(), dense),
        ]
        files = [_saved(model.fit(X))["file"] for model, X in fits]
        return {"files": [*files, *cls._untrained(dense)]}

    @classmethod
    def _untrained(cls, dense: Any) -> Iterator[bytes]:
        """Models of CFGAN and GANMF that were never trained, for which torch is not needed."""
        rng = np.random.default_rng(0)

        def floats(*shape: int) -> Any:
            return rng.random(shape, dtype=np.float32)

        autoencoder = Autoencoder(
            floats(_ITEMS, 3), (floats(3, 3),), (floats(3), floats(3)), floats(_ITEMS, 3),
            floats(_ITEMS), "sigmoid",
        )  # fmt: skip
        learned = {"best_epoch_": 1, "history_": [{"epoch": 1, "d_loss": 0.5}]}
        urm = gf.ItemKNN().fit(dense).urm_
        mapped = LinearMap(floats(_ITEMS, 2), floats(2), ProfileNorms.of(urm, 0.5))
        factors = Factors(floats(_USERS, 2), floats(_ITEMS, 2), mapped)
        for model, scorer, more in (
            (gf.CFGAN(), autoencoder, {}),
            (gf.GANMF(), factors, {"chosen_params_": {}}),
        ):
            params = model.get_params()
            file = ModelFile(type(model).__name__, params, learned | more, urm, scorer, None)
            with tempfile.TemporaryDirectory() as name:
                file.write(Path(name) / "file")
                yield (Path(name) / "file").read_bytes()

    def _consistent(self, text: str, tensors: Mapping[str, Any]) -> str:
        with contextlib.suppress(ValueError, TypeError, KeyError, RecursionError):
            meta = json.loads(text)
            meta["data_hash"] = fingerprint(csr_from_tensors("urm", tensors))
            return json.dumps(meta)
        return text

    def plain(self) -> dict[str, Any]:
        """As it was written."""
        return {"files": {"file": self.corpus["files"][0]}}

    def run(self, case: Mapping[str, Any]) -> None:
        """Load it, and ask for lists of the first users."""
        self.place(case["files"])
        model = gf.load(self.folder / "file")
        if model.n_items_ > 10**5 or not model.n_users_:
            return
        users = (np.arange(2) if model.ids_ is None else model.ids_.users[:2])[: model.n_users_]
        try:
            model.recommend(users, n=3)
            model.score_users(users)
            with contextlib.suppress(NotImplementedError):
                model.fold_in(np.eye(2, model.n_items_, dtype=np.float32))
        except ValueError as error:  # finite weights may lead to numbers beyond float32
            if "not finite" not in str(error) and " holds " not in str(error):
                raise
        repr(model)


class CheckpointTarget(_Tensors):
    """A fit that finds a checkpoint."""

    name = "checkpoint"
    key = "ganmf_fast.checkpoint"
    documented = (DataError,)
    params = (
        ("GANMF", {"num_factors": 2, "emb_dim": 3, "batch_size": 8, "step": "dense"}),
        ("GANMF", {"num_factors": 2, "emb_dim": 3, "batch_size": 8, "g_ema": 0.5}),
        ("CFGAN", {"g_nodes": 2, "d_nodes": 2}),
    )

    @classmethod
    def make_corpus(cls) -> dict[str, Any]:
        """The state after the last epoch, so that nothing is left to train."""
        import torch

        torch.set_num_threads(1)
        files = []
        for model, params in cls.params:
            with tempfile.TemporaryDirectory() as name:
                path = Path(name) / "file"
                with contextlib.suppress(_StopError):
                    cls._model(model, params, path).fit(**cls._data(), callback=_stop)
                files.append(path.read_bytes())
        return {"files": files}

    @staticmethod
    def _model(name: str, params: Mapping[str, Any], path: Path) -> Any:
        cls = getattr(gf, name)
        return cls(
            **params, epochs=2, freq=1, device="cpu", checkpoint_every=1, checkpoint_path=str(path)
        )

    @staticmethod
    def _data() -> dict[str, Any]:
        dense = _interactions()
        held_out = np.zeros_like(dense)
        held_out[np.arange(_USERS), dense.argmax(1)] = 1
        return {"X": dense - held_out, "validation": held_out}

    def draw(self, rng: Random) -> dict[str, Any]:
        """A checkpoint, and the model that finds it."""
        return {**super().draw(rng), "model": rng.randrange(len(self.params))}

    def _rewritten(self, rng: Random, content: bytes) -> bytes:
        # Most configurations that are not the one of the fit are refused alike.
        text = unpacked_safetensors(content)[0][self.key]
        rewritten = super()._rewritten(rng, content)
        with contextlib.suppress(ValueError, KeyError, TypeError, UnicodeError, RecursionError):
            metadata, tensors = unpacked_safetensors(rewritten)
            description = json.loads(metadata[self.key])
            if rng.random() < 0.8:
                description["config"] = json.loads(text)["config"]
            new = json.dumps(description)
            return packed_safetensors({self.key: new, "sha256": checksum(new, tensors)}, tensors)
        return rewritten

    def plain(self) -> dict[str, Any]:
        """As it was written."""
        return {"files": {"file": self.corpus["files"][0]}, "model": 0}

    def run(self, case: Mapping[str, Any]) -> None:
        """Fit."""
        self._placed.pop("file", None)  # a fit removes it
        self.place(case["files"])
        name, params = self.params[case["model"]]
        self._model(name, params, self.folder / "file").fit(**self._data())


class _StopError(Exception):
    pass


def _stop(epoch: int, _values: Mapping[str, float]) -> None:
    if epoch == 2:
        raise _StopError


# JSON --------------------------------------------------------------------------------------------


class JournalTarget(FileTarget):
    """The journal of a search: read, gone on with, and shown by ``ganmf runs show``."""

    name = "journal"
    documented = (DataError, ConflictError)

    @classmethod
    def make_corpus(cls) -> dict[str, Any]:
        """The journals of two searches."""
        splits = gf.split.paper_protocol(_interactions(), seed=1)
        files = []
        for model in ("ItemKNN", "PureSVD"):
            with tempfile.TemporaryDirectory() as name:
                path = Path(name) / "journal.jsonl"
                gf.tune(model, splits, n_calls=5, n_initial=5, backend="random", journal=path)
                files.append(path.read_bytes())
        return {"files": files}

    def draw(self, rng: Random) -> dict[str, Any]:
        """A journal with other values in a line, other lines, or damaged."""
        content = _bent_journal(rng, self.corpus["files"])
        return {"files": {"journal.jsonl": content}, "show": rng.random() < 0.05}

    def plain(self) -> dict[str, Any]:
        """As it was written."""
        return {"files": {"journal.jsonl": self.corpus["files"][0]}, "show": True}

    def run(self, case: Mapping[str, Any]) -> None:
        """Read it, show it, and go on with it."""
        self.place(case["files"])
        self._placed.clear()  # going on changes it
        path = self.folder / "journal.jsonl"
        if case["show"]:
            _command(self.folder, "runs", "show", str(path))
        first = self.corpus["files"][0].split(b"\n")[0]
        try:
            read_journal(path)
        finally:
            Journal(path, json.loads(first)).close()


def _bent_journal(rng: Random, originals: list[bytes]) -> bytes:
    content = rng.choice(originals)
    match rng.randrange(8):
        case 0:
            return spoiled(rng, content, originals)
        case 1:
            return bent_text(rng, content)
    lines = content.split(b"\n")
    for _ in range(rng.choice((1, 1, 2))):
        at = rng.randrange(max(len(lines) - 1, 1))  # one that was spoiled may have no line left
        with contextlib.suppress(ValueError, RecursionError):
            lines[at] = written_json(rng, bent_json(rng, json.loads(lines[at])))
    return b"\n".join(lines)


class RunTarget(FileTarget):
    """The folder of a run: what a report reads, and what a run goes on from."""

    name = "run"
    documented = (ValueError,)

    @classmethod
    def make_corpus(cls) -> dict[str, Any]:
        """A small run of table 2, with a search in it."""
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            gf.split.paper_protocol(_interactions(), seed=1).save(folder / "splits")
            with _command_line(folder):
                code = main(
                    [
                        *("reproduce", "table2", "--data", "splits", "--output", "run", "--quick"),
                        *("--models", "TopPopular,ItemKNN-cosine,GANMF-u", "--device", "cpu"),
                        "--quiet",
                    ]
                )
            if code:
                raise RuntimeError(f"the run that cases are made from ended with {code}")
            run = folder / "run"
            for path in run.glob("chart.*"):
                path.unlink()
            (run / "search").mkdir()
            (run / "search" / "journal.jsonl").write_bytes(JournalTarget.make_corpus()["files"][0])
            return {"run": _files(run)}

    def draw(self, rng: Random) -> dict[str, Any]:
        """The folder with one or two files changed."""
        files = dict(self.corpus["run"])
        files.pop(".lock", None)
        names = [name for name in files if name.endswith((".json", ".npz", ".jsonl"))]
        for _ in range(rng.choice((1, 1, 2))):
            name = rng.choice(names)
            files[name] = self._bent(rng, name, files[name])
        if rng.random() < 0.1:
            del files[rng.choice(list(files))]
        if rng.random() < 0.9:
            self._seal(files)
        return {"files": files, "render": rng.random() < 0.02}

    def _bent(self, rng: Random, name: str, content: bytes) -> bytes:
        if rng.random() < 0.15:
            return spoiled(rng, content)
        if name.endswith(".npz"):
            return bent_npz(rng, content)
        if name.endswith(".jsonl"):
            return _bent_journal(rng, [content])
        with contextlib.suppress(ValueError, RecursionError):
            return written_json(rng, bent_json(rng, json.loads(content)))
        return spoiled(rng, content)

    def _seal(self, files: dict[str, bytes]) -> None:
        """Make the checksums of all records those of what they hold now."""
        for name in [name for name in files if name.endswith("result.json")]:
            with contextlib.suppress(
                ValueError, TypeError, AttributeError, KeyError, RecursionError
            ):
                record = json.loads(files[name])
                beside = name.removesuffix("result.json")
                for file in list(record["files"]):
                    content = files.get(beside + file, b"")
                    record["files"][file] = hashlib.sha256(content).hexdigest()
                record.pop("sha256", None)
                plain = json.dumps(record, sort_keys=True, separators=(",", ":"))
                record["sha256"] = hashlib.sha256(plain.encode()).hexdigest()
                files[name] = json.dumps(record).encode()

    def plain(self) -> dict[str, Any]:
        """As it was written."""
        return {"files": self.corpus["run"], "render": True}

    def run(self, case: Mapping[str, Any]) -> None:
        """Read it as a report does, now and then to the last page, and as a run does."""
        self.place(case["files"])
        run = store.Store(self.folder)
        for name in run.records():
            run.files(name)
        run.find({})
        found = open_run(self.folder)
        findings(found)
        if case["render"]:
            render(found)


# Splits ------------------------------------------------------------------------------------------


class SplitsTarget(FileTarget):
    """A folder of splits."""

    name = "splits"
    documented = (DataError,)
    memory = FileTarget.memory + GRACE
    """What a file may become is allocated (docs/reliability.md)."""

    @classmethod
    def make_corpus(cls) -> dict[str, Any]:
        """Splits of a matrix, of text ids and of dates."""
        dense = _interactions()
        rows, cols = dense.nonzero()
        text = {"user": [f"u{r}" for r in rows], "item": [f"i{c}" for c in cols]}
        named = gf.Interactions.from_frame(text, user="user", item="item")
        folders = []
        for X in (dense, named):
            with tempfile.TemporaryDirectory() as name:
                gf.split.paper_protocol(X, seed=1).save(name)
                folders.append(_files(Path(name)))
        return {"folders": folders}

    def draw(self, rng: Random) -> dict[str, Any]:
        """A folder with one or two files changed."""
        files = dict(rng.choice(self.corpus["folders"]))
        for _ in range(rng.choice((1, 1, 2))):
            name = rng.choice(list(files))
            if rng.random() < 0.1:
                files[name] = spoiled(rng, files[name], list(files.values()))
            elif name.endswith(".npz"):
                files[name] = bent_npz(rng, files[name])
            else:
                with contextlib.suppress(ValueError, RecursionError):
                    files[name] = written_json(rng, bent_json(rng, json.loads(files[name])))
        if rng.random() < 0.05:
            a, b = rng.choice(PARTS), rng.choice(PARTS)
            files[f"{a}.npz"], files[f"{b}.npz"] = files[f"{b}.npz"], files[f"{a}.npz"]
        return {"files": files}

    def plain(self) -> dict[str, Any]:
        """As they were written."""
        return {"files": self.corpus["folders"][0]}

    def run(self, case: Mapping[str, Any]) -> None:
        """Load them."""
        self.place(case["files"])
        splits = gf.Splits.load(self.folder)
        repr(splits)
        if splits.urm.nnz != splits.n_interactions:
            raise WrongError("train and test overlap")


# Logs of interactions ----------------------------------------------------------------------------


class CsvTarget(FileTarget):
    """Delimited text and JSON lines, compressed or not, with any options."""

    name = "csv"
    documented = (ValueError, TypeError)

    def draw(self, rng: Random) -> dict[str, Any]:
        """A log, most often damaged, and how it is to be read."""
        separator = rng.choice((",", ",", "\t", ";", "|", "::"))
        lines = rng.random() < 0.15
        content = self._json_lines(rng) if lines else self._text(rng, separator)
        if rng.random() < 0.6:
            content = spoiled(rng, content)
        if rng.random() < 0.1:
            encoding = rng.choice(("utf-16", "latin-1", "utf-32", "utf-8-sig"))
            content = content.decode(errors="replace").encode(encoding, errors="replace")
        if rng.random() < 0.1:
            content = compressed(rng, content)
            content = spoiled(rng, content) if rng.random() < 0.5 else content
        options: dict[str, Any] = {}
        if rng.random() < 0.5:
            options = {name: self._option(rng, name, separator) for name in self._chosen(rng)}
        return {"files": {"log.csv": content}, "options": options, "scan": rng.random() < 0.1}

    def _chosen(self, rng: Random) -> list[str]:
        names = ("user", "item", "rating", "timestamp", "separator", "header", "quote", "encoding")
        return rng.sample((*names, "strip", "duplicates", "weights"), rng.choice((1, 2, 4)))

    def _option(self, rng: Random, name: str, separator: str) -> Any:
        columns = ("user", "item", "rating", "time", "user_id", 0, 1, 2)
        usual = {
            "user": columns,
            "item": columns,
            "rating": (*columns, False),
            "timestamp": (*columns, False),
            "separator": (separator, separator, ",", "::"),
            "header": (True, False),
            "quote": ("auto", "off", '"', "'", None),
            "encoding": ("utf-8", "latin-1", "utf-16", "cp1252", "hex", "utf-7", "idna"),
            "strip": (True, False),
            "duplicates": ("error", "sum", "first", "last", "max", "mean"),
            "weights": ({"a": 1.0, "b": 2.0}, {"1": 0.5}),
        }[name]
        return either(rng, lambda: rng.choice(usual), lambda: odd(rng, 1), 0.2)

    def _text(self, rng: Random, separator: str) -> bytes:
        names = rng.choice(
            (("user", "item"), ("user_id", "item_id", "rating"), ("a", "b", "c", "d"))
        )
        lines = [separator.join(names)] if rng.random() < 0.6 else []
        for _ in range(rng.randrange(12)):
            fields = [str(rng.randrange(5)) for _ in names]
            if len(fields) > 2:
                fields[2] = rng.choice(("1", "2.5", "5", "a", "1e3"))
            if len(fields) > 3:
                fields[3] = rng.choice(("978300760", "2020-01-02", "2020-01-02T03:04:05Z", "1.5"))
            if rng.random() < 0.05:
                fields[rng.randrange(len(fields))] = rng.choice(
                    (*TEXTS, '"a"', '"a,b"', '"a""b"', '"', "'x'", str(rng.choice(INTS)))
                )
            lines.append(separator.join(fields))
        end = rng.choice(("\n", "\n", "\r\n", "\r"))
        text = end.join(lines) + rng.choice((end, ""))
        return text.encode(errors="surrogatepass")

    def _json_lines(self, rng: Random) -> bytes:
        lines = []
        for _ in range(rng.randrange(8)):
            record: Any = {"user": f"u{rng.randrange(4)}", "item": rng.randrange(4), "rating": 1}
            if rng.random() < 0.1:
                record = bent_json(rng, record)
            lines.append(written_json(rng, record))
        return b"\n".join(lines)

    def plain(self) -> dict[str, Any]:
        """Two interactions."""
        return {"files": {"log.csv": b"user,item\n1,2\n2,1\n"}, "options": {}, "scan": True}

    def run(self, case: Mapping[str, Any]) -> None:
        """Read it, into memory or by way of the disk."""
        self.place(case["files"])
        options, path = real(case["options"]), self.folder / "log.csv"
        data = gf.Interactions.from_csv(path, **options)
        if data.urm.nnz != data.csr.nnz or data.urm.shape != (
            len(data.user_ids),
            len(data.item_ids),
        ):
            raise WrongError("ids and matrix differ")
        repr(data)
        if case["scan"]:
            scanned = gf.Interactions.scan(path, **options)
            if (scanned.urm != data.urm).nnz:
                raise WrongError("scan reads another matrix")


class ParquetTarget(FileTarget):
    """Parquet files."""

    name = "parquet"
    documented = (ValueError, TypeError)

    @classmethod
    def make_corpus(cls) -> dict[str, Any]:
        """Files of several types, encodings and codecs."""
        columns: list[dict[str, Any]] = [
            {"user": [1, 2, 2], "item": [3, 3, 4]},
            {"user": ["a", "b", "a"], "item": ["x", "y", "z"], "rating": [1.0, 2.5, 3.0]},
            {"user": [1, None, 2], "item": ["x", "y", None]},
            {"user": [[1], [2], []], "item": [{"a": 1}, {"a": 2}, None]},
            {"user": [b"a", b"b", b"c"], "item": [True, False, True], "rating": [1, 2, 3]},
        ]
        frames = [pl.DataFrame(part) for part in columns]
        dates = pl.datetime_range(pl.date(2020, 1, 1), pl.date(2020, 1, 3), eager=True)
        frames += [
            frames[0].with_columns(timestamp=dates),
            frames[1].cast({"user": pl.Categorical, "rating": pl.Decimal(9, 2)}),
            pl.DataFrame({"user": [7] * 500, "item": list(range(500)), "rating": [1.0] * 500}),
            pl.DataFrame({"user": [], "item": []}),
        ]
        files = []
        for frame in frames:
            for codec in ("uncompressed", "zstd", "snappy", "gzip"):
                content = io.BytesIO()
                frame.write_parquet(content, compression=codec, row_group_size=100)
                files.append(content.getvalue())
        return {"files": files}

    def draw(self, rng: Random) -> dict[str, Any]:
        """A file, most often with its end changed, where parquet describes itself."""
        files = self.corpus["files"]
        content = rng.choice(files)
        size = int.from_bytes(content[-8:-4], "little") + 8
        match rng.randrange(6):
            case 0:
                content = spoiled(rng, content, files)
            case 1:
                content = spoiled(rng, content[:-size]) + content[-size:]
            case 2:
                pass
            case _:
                footer = spoiled(rng, content[-size:-8])
                content = content[:-size] + footer + len(footer).to_bytes(4, "little") + b"PAR1"
        options = {}
        for name in ("user", "item", "rating", "timestamp"):
            if rng.random() < 0.2:
                options[name] = rng.choice(
                    ("user", "item", "rating", "timestamp", 0, 1, False, "é")
                )
        return {"files": {"log.parquet": content}, "options": options}

    def plain(self) -> dict[str, Any]:
        """As it was written."""
        return {"files": {"log.parquet": self.corpus["files"][0]}, "options": {}}

    def run(self, case: Mapping[str, Any]) -> None:
        """Read it."""
        self.place(case["files"])
        data = gf.Interactions.from_parquet(self.folder / "log.parquet", **case["options"])
        if not data.urm.nnz:
            raise WrongError("interactions without any")


# Configuration -----------------------------------------------------------------------------------

_CONFIG = b"""threads = 1
quiet = true
[data]
data = "demo"
user = "user_id"
[fit]
model = "ItemKNN"
[fit.param]
topk = 50
similarity = "cosine"
[reproduce.table2]
models = ["ItemKNN-cosine"]
seeds = 3
"""
_SPACE = b"""[ItemKNN]
topk = { int = [5, 100], at_most = "items" }
shrink = [{ int = [0, 1000], when = { similarity = "cosine" } }, { real = [1.0, 2.0], log = true }]
similarity = { choice = ["cosine", "jaccard"] }
normalize = true
[EASE]
l2 = { real = [1.0, 1e7], log = true }
"""
_PARAMS = b"""[ItemKNN-cosine]
topk = 100
shrink = 3.5
[GANMF-u]
epochs = 300
num_factors = 50
"""


def _bent_toml(rng: Random, content: bytes) -> bytes:
    """TOML with other values, keys or structure; or damaged."""
    if rng.random() < 0.15:
        return spoiled(rng, content)
    lines = content.decode().splitlines()
    for _ in range(rng.choice((1, 1, 2, 3))):
        at = rng.randrange(len(lines))
        key, _, value = lines[at].partition(" = ")
        new = rng.choice(
            (
                *("true", "nan", "-inf", "[]", "{}", "''", "1979-05-27T07:32:00Z", "12:00:00"),
                *(value or "1", str(rng.choice(INTS)), json.dumps(rng.choice(TEXTS[:11]))),
                *("{ a.b.c = 1 }", "[" * 40 + "]" * 40, "{ int = [1, 2] }", "0x7fffffffffffffff"),
            )
        )
        match rng.randrange(6):
            case 0:
                lines[at] = f"{key} = {new}"
            case 1:
                lines[at] = f"{json.dumps(rng.choice(TEXTS[:20]))} = {new}"
            case 2:
                lines.insert(at, rng.choice((f"x = {new}", "[fit]", "[[a]]", "[a.b.c]", "a.b = 1")))
            case 3:
                del lines[at]
                lines = lines or [""]
            case 4 if value.startswith(("{", "[")):
                lines[at] = f"{key} = " + value.replace(
                    rng.choice(("int", "5", "100", '"items"', "choice", "log", ",", "true")), new
                )
            case _:
                lines[at] = f"{key} = [{new}, {value or 1}]"
    return "\n".join(lines).encode(errors="surrogatepass")


class ConfigTarget(FileTarget):
    """``ganmf.toml``."""

    name = "config"
    documented = (config.ConfigError,)

    def __init__(self, folder: Path, corpus: Mapping[str, Any]) -> None:
        super().__init__(folder, corpus)
        self._options = config._options(build())

    def draw(self, rng: Random) -> dict[str, Any]:
        """A configuration."""
        command = rng.choice((["version"], ["data", "list"])) if rng.random() < 0.002 else None
        return {"files": {"ganmf.toml": _bent_toml(rng, _CONFIG)}, "command": command}

    def plain(self) -> dict[str, Any]:
        """As it is meant."""
        return {"files": {"ganmf.toml": _CONFIG}, "command": ["version"]}

    def run(self, case: Mapping[str, Any]) -> None:
        """Read it; now and then a command does."""
        self.place(case["files"])
        if case["command"]:
            _command(self.folder, *case["command"])
        config.FileSource(self.folder / "ganmf.toml", self._options)


class TablesTarget(FileTarget):
    """Files of search spaces and of parameters."""

    name = "tables"
    documented = (ValueError, TypeError)

    def draw(self, rng: Random) -> dict[str, Any]:
        """A space and parameters as TOML, or parameters as JSON."""
        params = tomllib.loads(_PARAMS.decode())
        return rng.choice(
            (
                lambda: {"files": {"space.toml": _bent_toml(rng, _SPACE)}},
                lambda: {"files": {"params.toml": _bent_toml(rng, _PARAMS)}},
                lambda: {"files": {"params.json": written_json(rng, bent_json(rng, params))}},
            )
        )()

    def plain(self) -> dict[str, Any]:
        """As it is meant."""
        return {"files": {"space.toml": _SPACE}}

    def run(self, case: Mapping[str, Any]) -> None:
        """Resolve the space for a model, or the parameters of every row."""
        self.place(case["files"])
        [name] = case["files"]
        path = self.folder / name
        if name == "space.toml":
            table, _ = table_for("ItemKNN", path)
            space = Space.resolve(table, {"similarity": "cosine"}, (30, 20))
            json.dumps(space.to_dict(), default=str)
        else:
            for spec in run_specs(VARIANTS, None, read_params(path)):
                with contextlib.suppress(ValueError, TypeError):
                    spec.quick()


TARGETS: tuple[type[Target], ...] = (
    ModelTarget,
    CheckpointTarget,
    JournalTarget,
    SplitsTarget,
    CsvTarget,
    ParquetTarget,
    ConfigTarget,
    TablesTarget,
    RunTarget,
)
