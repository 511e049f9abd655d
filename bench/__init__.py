"""How fast Freehold is, next to its peers, in one run on one machine."""
