"""``ganmf runs list``."""

import datetime as dt

from ganmf_fast.cli.common import Common, begin, print_json, print_table, say
from ganmf_fast.cli.index_option import Index
from ganmf_fast.tuning.trackers.index import RunIndex

_NO_COMMON = Common()


def runs_list(*, index: Index = None, common: Common = _NO_COMMON) -> None:
    """Show the searches on this machine and how far they are, the latest first."""
    begin(common)
    runs = RunIndex(index).runs()
    if common.json:
        print_json(runs)
        return
    if not runs:
        say("there are no runs yet: ganmf tune makes one")
        return
    columns = ("id", "model", "data", "status", "trials", "failed", "metric", "best", "updated")
    print_table(
        "",
        (*columns, "journal"),
        [
            (
                run["id"],
                run["model"],
                run["dataset"],
                run["status"],
                f"{run['finished']}/{run['n_calls']}",
                run["failed"],
                run["metric"],
                run["best_value"],
                _local(run["updated"]),
                run["journal"],
            )
            for run in runs
        ],
    )


def _local(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M")
