"""``spiralage serve``: the pipeline over HTTP, for this machine. Photos stay in memory and are never logged."""
