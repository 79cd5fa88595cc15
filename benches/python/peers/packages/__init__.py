"""One adapter per package: a function per operation, named like it, from its inputs to a `Job`.

Inputs are first brought into the form that the package works on (types, orientation, its own data
set object); that is not timed. Everything else is. Packages are imported here and nowhere else.
"""
