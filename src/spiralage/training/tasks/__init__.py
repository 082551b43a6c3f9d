"""What can be trained, one file each; every file reads from top to bottom."""
