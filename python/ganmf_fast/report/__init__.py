"""Tables and charts of finished comparisons."""
