"""Occlusion: the paper's mask, drawn masks, and what is really hidden in a crop."""
