"""Tools for agents, by the Model Context Protocol, over the same use-cases as the routes."""
