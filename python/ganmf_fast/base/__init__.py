"""Foundations of the package: matrices, checks, errors, files, progress, threads."""
