"""Occlusion: what can hide a part of a face, and what is really hidden in a crop."""
