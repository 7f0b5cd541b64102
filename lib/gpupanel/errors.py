"""What can go wrong, by what the reader of the message can do about it.

Every error says what failed (`str(error)`) and, in `hint`, what to do next. The panel, the shell and
the worker each turn these into their own answer; nothing here knows about HTTP or exit statuses.
"""


class PanelError(Exception):
    """The operation failed."""

    hint = ""

    def __init__(self, message: str = "", hint: str = ""):
        super().__init__(message or (type(self).__doc__ or "").split("\n")[0])
        if hint:
            self.hint = hint


class Problems(PanelError):
    """Something was examined and found wrong; `problems` holds every finding as one line each."""

    def __init__(self, message: str, problems: list[str], hint: str = ""):
        super().__init__(message, hint)
        self.problems = problems


class ConfigurationError(Problems):
    """The configuration cannot be used."""

    hint = "Correct the file and start again; etc/*.conf.example describes every option."


class ManifestError(Problems):
    """The manifest cannot be used."""

    hint = "Ask upstream to hand the bundle over again."


class NotFound(PanelError):
    """There is no such thing."""


class Refused(PanelError):
    """The state of the batch or job does not allow this; nothing was changed."""


class PreflightFailed(Refused):
    """The preflight of the batch failed, which is recorded; nothing was queued. `reasons` are what it found."""

    hint = "Upstream has to complete or mend the bundle; then queue it again."

    def __init__(self, sync_id: str, reasons: list[str]):
        super().__init__(f"The preflight of batch {sync_id} failed: {'; '.join(reasons)}.")
        self.reasons = reasons


class InvalidInput(PanelError):
    """The request cannot be understood; nothing was changed."""


class BundleIncomplete(PanelError):
    """The bundle is not consumable yet."""

    hint = "It is looked at again with the next scan."


class MountUnavailable(PanelError):
    """The mount with the bundles cannot be read."""

    hint = "Check that the mount is present and readable; nothing was changed."


class MountTimeout(MountUnavailable):
    """The mount did not answer in time."""

    hint = "Check the mount; run the same from the shell with bin/gpupanel, which has no time budget."


class FileUnreadable(MountUnavailable):
    """One file cannot be read, while the mount itself is there."""

    hint = "Look at that file on the mount, and at the system's log; nothing was changed."


class UnsafePath(PanelError):
    """The path leaves the mount, or is not a regular file."""


class NotPermitted(UnsafePath):
    """The account may not read what the path leads to, which says nothing about what is in there."""


class DatabaseUnavailable(PanelError):
    """The database cannot be reached."""

    hint = "Check that MariaDB runs and that [database] in the configuration is right; then try again."


class DatabaseDenied(PanelError):
    """The database refused the account."""

    hint = "Load etc/grants.sql and check user and password in the configuration."


class DatabaseConflict(PanelError):
    """Another transaction held the same rows, several times in a row."""

    hint = "Try again; nothing was changed."


class OutcomeUnknown(DatabaseUnavailable):
    """The connection was lost while committing, so the change may or may not have been made."""

    hint = "Look at the current state before trying again."


class ClaimLost(PanelError):
    """The job belongs to another worker now; nothing was written."""
