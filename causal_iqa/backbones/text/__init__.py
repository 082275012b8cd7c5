"""Tokenizers, and classifiers made of class names."""
