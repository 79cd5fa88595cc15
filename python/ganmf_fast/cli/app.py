"""The tree of commands; what a command needs is only imported when it is called."""

from importlib.metadata import version

from cyclopts import App


def build() -> App:
    """The app ``ganmf`` with all its commands."""
    app = App(
        name="ganmf",
        help="GAN-based and classical top-N recommendation: reproducible, exact and fast.",
        version=f"ganmf-fast {version('ganmf-fast')}",
        result_action="return_value",
        suppress_keyboard_interrupt=False,
    )
    data = App(name="data", help="Public data sets, and what a file of your own holds.")
    for name in ("list", "fetch", "describe"):
        data.command(f"ganmf_fast.cli.data_{name}:data_{name}", name=name)
    app.command(data)
    for name in (
        "split",
        "fit",
        "evaluate",
        "compare",
        "evaluate-lists",
        "backtest",
        "recommend",
        "similar",
        "tune",
    ):
        module = name.replace("-", "_")
        app.command(f"ganmf_fast.cli.{module}:{module}", name=name)
    runs = App(name="runs", help="Searches of hyper-parameters on this machine.")
    for name in ("list", "show"):
        runs.command(f"ganmf_fast.cli.runs_{name}:runs_{name}", name=name)
    app.command(runs)
    reproduce = App(name="reproduce", help="The experiments of the GANMF paper.")
    tables, figures = ("table1", "table2", "table3"), ("figure4", "figure5", "figure6", "figure7")
    for name in (*tables, *figures, "adversarial", "all"):
        reproduce.command(f"ganmf_fast.cli.reproduce:{name}", name=name)
    app.command(reproduce)
    for name in ("report", "bench", "doctor", "version"):
        app.command(f"ganmf_fast.cli.{name}:{name}", name=name)
    return app
