"""Adversarially trained models; the only part of the package that imports torch."""
