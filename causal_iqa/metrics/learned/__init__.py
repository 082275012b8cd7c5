"""Metrics with learned parameters: the only part of this room that knows backbones and weight files."""
