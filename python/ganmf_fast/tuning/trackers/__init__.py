"""Observers of a search: progress lines, MLflow, TensorBoard, W&B, trackio."""
