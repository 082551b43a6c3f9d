"""Evaluation: measures, protocols, tables. Needs the extra ``train``."""
