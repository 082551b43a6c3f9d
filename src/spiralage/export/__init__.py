"""Trained networks as files: to ONNX, to int8, and from a shipped file back into a run."""
