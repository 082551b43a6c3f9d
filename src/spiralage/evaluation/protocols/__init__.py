"""Protocols: how networks are measured, one file each."""
