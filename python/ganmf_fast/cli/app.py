"""The tree of commands; what a command needs is only imported when it is called."""

from cyclopts import App

from ganmf_fast import __version__

__all__ = ["build"]


def build() -> App:
    """The app ``ganmf`` with all its commands."""
    app = App(
        name="ganmf",
        help="GAN-based and classical top-N recommendation: reproducible, exact and fast.",
        version=f"ganmf-fast {__version__}",
        result_action="return_value",
        suppress_keyboard_interrupt=False,
    )
    data = App(name="data", help="Public data sets, and what a file of your own holds.")
    for name in ("list", "fetch", "describe"):
        data.command(f"ganmf_fast.cli.data:{name}_", name=name)
    app.command(data)
    app.command("ganmf_fast.cli.data:split", name="split")
    for name in ("fit", "evaluate", "recommend"):
        app.command(f"ganmf_fast.cli.models:{name}", name=name)
    app.command("ganmf_fast.cli.tune:tune", name="tune")
    runs = App(name="runs", help="Searches of hyper-parameters on this machine.")
    for name in ("list", "show"):
        runs.command(f"ganmf_fast.cli.runs:{name}_", name=name)
    app.command(runs)
    reproduce = App(name="reproduce", help="The experiments of the GANMF paper.")
    for name in ("table1", "table2", "table3", "figure4", "figure5", "figure6", "figure7"):
        reproduce.command(f"ganmf_fast.cli.reproduce:{name}", name=name)
    reproduce.command("ganmf_fast.cli.reproduce:all_", name="all")
    app.command(reproduce)
    for name in ("report", "doctor", "version"):
        app.command(f"ganmf_fast.cli.{name}:{name}", name=name)
    return app
