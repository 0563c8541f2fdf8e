"""What the lab raises when it cannot do what was asked."""


class LabError(Exception):
    """Tell in one line why the lab could not do it."""
