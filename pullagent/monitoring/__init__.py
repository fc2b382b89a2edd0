"""How the sources stand against their objectives, and who hears of it."""
