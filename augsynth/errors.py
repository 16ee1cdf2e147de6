"""The library's own exceptions. A user's mistake raises one of these, a `ValueError` or a `TypeError`."""


class AugsynthError(Exception):
    """Base of every error that only augsynth raises."""


class SampleError(AugsynthError):
    """A sample could not be read or augmented; the message names its index."""
