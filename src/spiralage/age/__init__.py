"""Age: the networks, the distribution over years and what is read from it."""
