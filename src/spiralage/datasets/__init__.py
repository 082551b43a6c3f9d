"""Data sets: an official archive or folder in, manifest rows and aligned crops out."""
