"""Recipes: one TOML file holds all that makes a training run what it is; unknown keys are errors."""

from __future__ import annotations

from spiralage.training.recipes.age import AgeRecipe, Augmentation, Stage, Teaching, Telling
from spiralage.training.recipes.age_losses import CrossEntropy, DistributionLearning, MeanVariance
from spiralage.training.recipes.base import Optimiser, TrainingRecipe
from spiralage.training.recipes.landmarks import LandmarkRecipe
from spiralage.training.recipes.load import Recipe, load_recipe
from spiralage.training.recipes.lopo import Block, Candidate, FineTuning, LopoRecipe
from spiralage.training.recipes.occlusion import Disorder, DistractorName, OcclusionRecipe
from spiralage.training.recipes.restorers import ImagineRecipe, ImagineWeights, SliceRecipe, SliceWeights

__all__ = [
    "AgeRecipe",
    "Augmentation",
    "Block",
    "Candidate",
    "CrossEntropy",
    "Disorder",
    "DistractorName",
    "DistributionLearning",
    "FineTuning",
    "ImagineRecipe",
    "ImagineWeights",
    "LandmarkRecipe",
    "LopoRecipe",
    "MeanVariance",
    "OcclusionRecipe",
    "Optimiser",
    "Recipe",
    "SliceRecipe",
    "SliceWeights",
    "Stage",
    "Teaching",
    "Telling",
    "TrainingRecipe",
    "load_recipe",
]
