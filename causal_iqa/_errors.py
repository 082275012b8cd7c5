"""The one error of the package that users meet; in a file of its own, so that it costs no import of JAX."""


class InputError(ValueError):
    """What the user gave cannot be used; the message names the thing and the mend."""
