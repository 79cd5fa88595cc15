"""Cosines between the profiles generated for some users."""

import numpy as np
from numpy.typing import NDArray

from ganmf_fast.results.charts.base import SOFT, Spec, spec

_PIXELS = 288


def evenly(n: int, most: int) -> NDArray[np.int64]:
    """At most `most` of n positions, evenly spread, the first and the last among them."""
    if not n:
        return np.empty(0, np.int64)
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(np.int64))


def square(title: str, cosine: NDArray[np.float32], most: int = 48) -> Spec:
    """A heatmap of some users, evenly drawn.

    Parameters
    ----------
    title : str
    cosine : array of shape (n, n)
    most : int, default 48
        Users shown; a divisor of 288, the width in pixels.
    """
    some = evenly(len(cosine), most)
    square = cosine[np.ix_(some, some)]
    a, b = np.divmod(np.arange(square.size), len(square))
    low = min(0.0, float(square.min()))
    # Whole pixels, so that no seams show.
    tight = {"padding": 0, "round": True}
    return spec(
        f"{title}: cosines between generated profiles.",
        {"a": a.tolist(), "b": b.tolist(), "cosine": [round(float(v), 3) for v in square.ravel()]},
        # A square, where others are as wide as the page.
        width=_PIXELS,
        height=_PIXELS,
        mark={"type": "rect", "aria": False},
        encoding={
            "x": {"field": "a", "type": "ordinal", "axis": None, "scale": tight},
            "y": {"field": "b", "type": "ordinal", "axis": None, "scale": tight},
            "color": {
                "field": "cosine",
                "type": "quantitative",
                "title": "cosine",
                "scale": {
                    "domain": [low, 1],
                    "range": ["var(--ground)", "var(--gan)"],
                    "interpolate": "rgb",
                },
                "legend": {
                    "type": "symbol",
                    "format": ".2f",
                    "symbolType": "square",
                    "values": [0, 0.25, 0.5, 0.75, 1],
                    "symbolStrokeColor": SOFT,
                    "symbolStrokeWidth": 1,
                },
            },
            "tooltip": [
                {"field": "a", "type": "ordinal", "title": "User"},
                {"field": "b", "type": "ordinal", "title": "and user"},
                {"field": "cosine", "type": "quantitative", "title": "Cosine", "format": ".3f"},
            ],
        },
    )
