"""Weight files: what they hold, how large they may be, and how they are read."""
