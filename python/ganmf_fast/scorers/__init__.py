"""Fitted models in the forms that are ranked."""
