"""Statistics tables as LaTeX."""

from ganmf_fast.base.text import latex
from ganmf_fast.evaluation import Comparison


def significance_latex(comparison: Comparison) -> str:
    """Two booktabs tables: means with intervals, and the tests of their differences."""
    metric = f"{comparison.metric.upper()}@{comparison.k}"
    percent = f"{100 * comparison.confidence:g}"
    models = [
        f"{latex(row['model'])} & {row['mean']:.4f} & {_interval(row)}"
        for row in comparison.models.iter_rows(named=True)
    ]
    pairs = [
        f"{latex(row['a'])} $-$ {latex(row['b'])} & ${row['difference']:+.4f}$ & "
        f"{_interval(row)} & ${row['effect_size']:+.2f}$ & {row['t_p_holm']:.2g} & "
        f"{row['wilcoxon_p_holm']:.2g}"
        for row in comparison.pairs.iter_rows(named=True)
    ]
    caption = (
        f"{latex(metric)} of {comparison.n_users:,} users. Intervals: {percent}\\,\\% by the "
        "bootstrap; effect: Cohen's $d$ of the paired differences; $p$-values of the paired $t$ "
        "and of Wilcoxon's test, corrected by Holm's method."
    )
    return "\n".join(
        [
            "% needs \\usepackage{booktabs}",
            "\\begin{table}",
            "  \\centering",
            f"  \\caption{{{caption}}}",
            *_tabular("lrr", ["Model", latex(metric), "Interval"], models),
            "",
            *_tabular("lrrrrr", ["Pair", "Difference", "Interval", "Effect", "$t$", "W"], pairs),
            "\\end{table}",
            "",
        ]
    )


def _interval(row: dict[str, float]) -> str:
    return f"[{row['low']:.4f}, {row['high']:.4f}]"


def _tabular(columns: str, names: list[str], rows: list[str]) -> list[str]:
    return [
        f"  \\begin{{tabular}}{{{columns}}}",
        "    \\toprule",
        f"    {' & '.join(names)} \\\\",
        "    \\midrule",
        *(f"    {row} \\\\" for row in rows),
        "    \\bottomrule",
        "  \\end{tabular}",
    ]
