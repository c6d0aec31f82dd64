"""What stops the command, and the exit code that says so."""


class LabError(Exception):
    """The request is wrong, or a step of it failed."""

    exit_code = 1


class UnsupportedError(LabError):
    """This machine cannot do it, however one asks (ctest: skipped)."""

    exit_code = 77
