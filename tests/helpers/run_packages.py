"""Stand-ins of wandb and trackio, which keep what they are told and refuse what those refuse."""

import json
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType


class Run:
    """A run that is open until `finish`."""

    def __init__(self, given):
        self.given, self.rows, self.open = given, [], True
        self.config = json.loads(json.dumps(given["config"], allow_nan=False))

    def keep(self, step, values):
        if not self.open:
            raise RuntimeError("the run is finished")
        if not isinstance(values, dict) or not all(isinstance(name, str) for name in values):
            raise TypeError("log takes a dict by names")
        self.rows.append((step, dict(values)))


class WandbRun(Run):
    code = None

    def __init__(self, given):
        super().__init__(given)
        self.axes = {}

    def define_metric(
        self,
        name,
        step_metric=None,
        step_sync=None,
        hidden=None,
        summary=None,
        overwrite=None,
    ):
        self.axes[name] = step_metric

    def log(self, data, step=None, commit=None):
        last = self.rows[-1][0] if self.rows else -1
        step = last + 1 if step is None else step
        if step < last:
            raise ValueError("the real one warns, and loses what is logged at an earlier step")
        self.keep(step, data)

    def finish(self, exit_code=None):
        self.open, self.code = False, exit_code

    def points(self, name):
        axis = self.axes.get(name, self.axes.get("*"))
        return [(values[axis], values[name]) for _, values in self.rows if name in values]


class TrackioRun(Run):
    def log(self, metrics, step=None):
        if {"project", "run", "timestamp", "step", "time", "metrics"} & set(metrics):
            raise ValueError("the real one warns, and renames a reserved name")
        self.keep(step, metrics)

    def finish(self):
        sys.stdout.write("* Run finished. Uploading logs to Trackio (please wait...)\n")
        self.open = False

    def points(self, name):
        return [(step, values[name]) for step, values in self.rows if name in values]


class Package(ModuleType):
    """A module that can be imported, with every run in `runs`; `broken` is raised by `init`."""

    def __init__(self):
        super().__init__(self.name)
        self.__spec__ = ModuleSpec(self.name, None)
        self.runs, self.asked, self.broken = [], 0, None

    def begin(self, kind, given):
        self.asked += 1
        if self.broken is not None:
            raise self.broken
        self.runs.append(kind(given))
        return self.runs[-1]


class Wandb(Package):
    name = "wandb"

    def init(
        self, entity=None, project=None, id=None, name=None, notes=None, tags=None,  # noqa: A002
        config=None, group=None, job_type=None, mode=None, reinit=None, resume=None, settings=None,
    ):  # fmt: skip
        for text, refused in ((project, "/\\#?%:"), (id, ":;,#?/'")):
            if text is not None and (set(refused) & set(text) or not 0 < len(text) <= 128):
                raise ValueError(f"{text} is no name")
        running = [run for run in self.runs if run.open]
        if running and reinit != "create_new":
            return running[-1]
        return self.begin(WandbRun, locals())


class Trackio(Package):
    name = "trackio"
    current = None

    def init(
        self, project, name=None, group=None, space_id=None, server_url=None, config=None,
        resume="never", settings=None, private=None, embed=True,
    ):  # fmt: skip
        if any(key.startswith("_") for key in config or {}):
            raise ValueError("the key is reserved")
        for run in self.runs:
            run.open = False
        sys.stdout.write(f"* Created new run: {name}\n")
        self.current = None
        self.current = self.begin(TrackioRun, locals())
        return self.current

    def finish(self):
        if self.current is None:
            raise RuntimeError("Call trackio.init() before trackio.finish().")
        self.current.finish()
        self.current = None


PACKAGES = {"wandb": Wandb, "trackio": Trackio}


def installed(name, monkeypatch):
    """The stand-in, in the place of the package of this name."""
    package = PACKAGES[name]()
    monkeypatch.setitem(sys.modules, name, package)
    return package
