"""The agent's replica against real servers."""
