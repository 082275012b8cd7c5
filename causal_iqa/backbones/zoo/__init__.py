"""Architectures by name, each with the published weight files it reads.

A file here with a REFERENCE is a family of architectures, and every one of its VARIANTS a row of `backbones.TABLE`:
`layout` (name, tensors of a file -> names and shapes that it must hold) and `build` (name, checkpoint, input side ->
network) make it.
"""
