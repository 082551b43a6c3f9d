"""The networks that restore, and the discriminators that they are trained against."""
