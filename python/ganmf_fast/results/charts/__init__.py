"""Figures, each one Vega-Lite specification, for the report page and for files."""
