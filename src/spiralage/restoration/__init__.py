"""Restoration: fill in what is hidden, and leave what is visible untouched."""
