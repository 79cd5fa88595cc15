"""What the authors of the GANMF paper published: figures and parameters, under our names.

Source: the result files of the authors' repository (github.com/edervishaj/GANMF), belonging to
Dervishaj and Cremonesi, "GAN-based Matrix Factorization for Recommender Systems", SAC '22. What
was not published but chosen with this library is kept apart, in `chosen_params`.
"""

import json
from functools import cache
from importlib.resources import files
from typing import Any

__all__ = [
    "best_params",
    "chosen_params",
    "dataset_names",
    "dataset_of",
    "dense_params",
    "feature_matching",
    "latent_factors",
    "older_ndcg",
    "published",
    "published_dataset",
    "published_figures",
    "published_value",
    "user_cosine",
]

Figures = dict[int, dict[str, float]]

# Their name -> ours, where the two differ.
_METRICS = {"hit_rate": "mean_hits"}
_PARAMS = {"topK": "topk"}


@cache
def _table(name: str) -> Any:
    return json.loads(files(__name__).joinpath(f"{name}.json").read_text(encoding="utf-8"))


def dataset_names() -> tuple[str, ...]:
    """Names of the data sets that figures were published for."""
    return tuple(_table("published_results")["datasets"])


def published(dataset: str, model: str) -> dict[int, dict[str, float]] | None:
    """Every published figure of a model on the test split.

    Parameters
    ----------
    dataset : str
        "lastfm", "hetrec2011" or "ml-1m".
    model : str
        Name in the authors' results, such as "GANMF-u" or "ItemKNN-cosine".

    Returns
    -------
    dict of dicts, or None if nothing was published
        Cutoff (5, 10, 20, 50) -> metric -> value. Metrics have the names of
        `ganmf_fast.evaluate`; an NDCG that is not comparable is left out.
    """
    row = _table("published_results")["datasets"].get(dataset, {}).get(model)
    if row is None:
        return None
    return {
        int(k): {
            _METRICS.get(metric, metric): value
            for metric, value in metrics.items()
            if metric != "ndcg" or row["ndcg_comparable"]
        }
        for k, metrics in row["metrics"].items()
    }


def published_dataset(data_hash: str, name: str, *, simulated: bool) -> str | None:
    """Published data set that splits belong to: by their content, else by their name."""
    found = dataset_of(data_hash)
    if found is None and name in dataset_names() and not simulated:
        return name
    return found


def published_figures(dataset: str, model: str) -> dict[tuple[str, int | None], float]:
    """`published` as one mapping: (metric, cutoff) -> value, empty if nothing was published."""
    figures = published(dataset, model) or {}
    return {(metric, k): value for k, found in figures.items() for metric, value in found.items()}


def older_ndcg(dataset: str, model: str) -> dict[int, float]:
    """Published NDCG of a model by cutoff, where it is not the normalised one; else nothing."""
    row = _table("published_results")["datasets"].get(dataset, {}).get(model)
    if row is None or row["ndcg_comparable"]:
        return {}
    return {int(k): metrics["ndcg"] for k, metrics in row["metrics"].items()}


def feature_matching(dataset: str, model: str) -> dict[float, tuple[dict[str, Any], Figures]]:
    """The paper's figure 4: GANMF tuned anew at each share of feature matching.

    Returns
    -------
    dict
        Share of feature matching -> parameters as of our constructor, and cutoff -> metric ->
        value. Empty if nothing was published.

    Notes
    -----
    The figures of user mode at 1.0 hold the older NDCG: from 5 to 50 items it more than doubles,
    on data where that of the other points hardly moves.
    """
    points = _table("feature_matching")["datasets"].get(dataset, {}).get(model, {})
    return {
        float(share): (
            {**point["best_params"], "recon_coefficient": float(share)},
            {int(k): metrics for k, metrics in point["metrics"].items()},
        )
        for share, point in points.items()
    }


def latent_factors(dataset: str, model: str) -> dict[int, Figures]:
    """The paper's figure 6: number of factors -> cutoff -> metric -> value.

    The NDCG among them is the older one, not normalised, throughout.
    """
    points = _table("latent_factors")["datasets"].get(dataset, {}).get(model, {})
    return {
        int(factors): {int(k): metrics for k, metrics in point.items()}
        for factors, point in sorted(points.items(), key=lambda found: int(found[0]))
    }


def user_cosine(dataset: str) -> dict[str, tuple[float, float]]:
    """The paper's figure 5: "with" and "without" feature matching -> mean cosine and deviation."""
    found = _table("feature_matching")["figure5_cosine"].get(dataset, {})
    figures = {}
    for name, ours in (("with", "with"), ("wo", "without")):
        if name in found:
            mean, deviation = (line.partition(":")[2] for line in found[name].splitlines())
            figures[ours] = (float(mean), float(deviation))
    return figures


def published_value(dataset: str, model: str, metric: str, k: int) -> float | None:
    """One published figure, or None."""
    return (published(dataset, model) or {}).get(k, {}).get(metric)


def best_params(dataset: str, model: str) -> dict[str, Any] | None:
    """Hyper-parameters that the authors' search found, named as in our constructors.

    Returns
    -------
    dict, or None if nothing was published
        Empty for a published model without parameters (TopPopular).
    """
    params = _table("best_params")["datasets"].get(dataset, {}).get(model)
    if params is None:
        return {} if model == "TopPopular" and dataset in dataset_names() else None
    return {_PARAMS.get(name, name): value for name, value in params.items()}


def chosen_params(dataset: str, model: str) -> dict[str, Any] | None:
    """Hyper-parameters chosen with this library on validation data, where none were published."""
    params = _table("chosen_params")["datasets"].get(dataset, {}).get(model)
    return None if params is None else dict(params)


def dense_params(dataset: str) -> dict[str, dict[str, Any]]:
    """Hyper-parameters of variants chosen with this library by ``tune(protocol="dense")``."""
    found = _table("dense_params")["datasets"].get(dataset, {})
    return {model: dict(params) for model, params in found.items()}


def dataset_of(splits_hash: str) -> str | None:
    """Name of the published data set whose five splits have this hash, if any.

    Parameters
    ----------
    splits_hash : str
        As `ganmf_fast.Splits.data_hash` computes it.
    """
    found: str | None = _table("published_splits")["datasets"].get(splits_hash)
    return found
