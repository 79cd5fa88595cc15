"""GANMF: estimator, module and the arithmetic of its steps."""
