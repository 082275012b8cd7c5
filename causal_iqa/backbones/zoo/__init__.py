"""Architectures by name, each with the published weight files it reads."""
