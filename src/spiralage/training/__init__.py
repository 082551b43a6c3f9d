"""Training: recipes, losses, loops, checkpoints, export. Needs the extra ``train``."""
