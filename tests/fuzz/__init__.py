"""A fuzzer of the public surface: ``python -m tests.fuzz --help``.

A *case* is an input of one target, made from a seed and a number alone. Cases run in processes of
their own, with a limit of time and of memory, so that aborts, crashes, hangs and greed are seen as
well as wrong exceptions and wrong answers. `values` draws and changes plain values, `containers`
the formats of files; `memory` and `files` have the targets, each with the exceptions that its
documentation promises; `worker` runs cases, `pool` the workers.
"""
