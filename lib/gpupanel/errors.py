"""The exceptions of all rooms.

`str(error)` says what failed, `hint` what to do next. Panel, shell and worker map the classes to HTTP statuses and
exit codes; this module knows neither. Messages are attributes, since Python drops docstrings under -OO.
"""


class PanelError(Exception):
    """An operation failed; subclasses set the default `message` and `hint`."""

    message = "The operation failed."
    hint = ""

    def __init__(self, message: str = "", hint: str = "") -> None:
        super().__init__(message or self.message)
        self.problems: list[str] = []
        if hint:
            self.hint = hint


class ValidationProblemsError(PanelError):
    """An invalid file; `problems` has one line for each problem."""

    message = "The file is invalid."

    def __init__(self, message: str, problems: list[str], hint: str = "") -> None:
        super().__init__(message, hint)
        self.problems = problems


class ConfigurationError(ValidationProblemsError):
    message = "The configuration cannot be used."
    hint = "Correct the file and start again; etc/*.conf.example describes every option."


class ManifestError(ValidationProblemsError):
    message = "The manifest cannot be used."
    hint = "Ask upstream to fix and resend the bundle."


class OrderError(ValidationProblemsError):
    """The bundle follows itself, or its time is in the future."""

    message = "The bundle has no position in upstream's order."
    hint = "Ask upstream to fix and resend the bundle."

    def __init__(self, sync_id: str, problems: list[str]) -> None:
        super().__init__(f"Bundle {sync_id} has no position in upstream's order.", problems)


class NotFoundError(PanelError):
    message = "Not found."


class InvalidStateError(PanelError):
    message = "The state of the batch or job does not allow this; nothing was changed."


class PreflightFailedError(InvalidStateError):
    """A preflight failed and is recorded; the batch was not queued."""

    hint = "Ask upstream to fix and resend the bundle, then queue the batch again."
    cause = "the preflight failed"

    def __init__(self, sync_id: str, reasons: list[str]) -> None:
        super().__init__(f"The preflight of batch {sync_id} failed: {'; '.join(reasons)}.")
        self.reasons = reasons


class UnseenChangeError(InvalidStateError):
    """A bundle does something else than what was recorded; its plan is stored, and the batch was not queued."""

    hint = "Run Preflight, check the new plan, then queue the batch."
    cause = "no person has seen what upstream made of the bundle"

    def __init__(self, sync_id: str, reason: str) -> None:
        super().__init__(f"Batch {sync_id} was not queued: {reason}.")
        self.reasons = [f"{reason}. {self.hint}"]


class PreflightTooLongError(PanelError):
    message = "The preflight takes too long for a request."
    hint = "Run it with bin/gpupanel, which has no time limit."


class PreflightRequested(PanelError):  # noqa: N818  # no failure, but the end of what a request can do
    """The preflight is too long for a request, and a worker is to make it."""

    message = "A worker makes the preflight."
    hint = "The batch page shows when it is done."

    def __init__(self, sync_id: str, *, then_queue: bool) -> None:
        then = ", and queues it if it passes" if then_queue else ""
        super().__init__(f"A worker preflights batch {sync_id}{then}: it is too large for a request.")


class InvalidInputError(PanelError):
    message = "The request is invalid; nothing was changed."


class UnusableFileError(InvalidInputError):
    """A file that a command line names cannot be opened."""

    def __init__(self, error: OSError):
        super().__init__(
            f"{error.filename or 'A file'} cannot be opened: {error.strerror}.", "Check its name and its permissions."
        )


class BundleIncompleteError(PanelError):
    message = "The bundle is not complete yet."
    hint = "The next scan checks this bundle again."


class MountUnavailableError(PanelError):
    message = "The mount with the bundles cannot be read."
    hint = "Check that the mount is present and readable; nothing was changed."


class MountTimeoutError(MountUnavailableError):
    message = "The mount did not answer in time."
    hint = "Check the mount; or run the same action with bin/gpupanel, which has no time limit."


class FileUnreadableError(MountUnavailableError):
    """One file cannot be read, while the mount itself can."""

    message = "A file on the mount cannot be read."
    hint = "Check that file on the mount, and the system log; nothing was changed."


class UnsafePathError(PanelError):
    message = "The path leaves the mount, or is not a regular file."


class PermissionDeniedError(UnsafePathError):
    """This account may not read the path; the file may exist."""

    message = "This account may not read the path."


class DatabaseUnavailableError(PanelError):
    message = "The database cannot be reached."
    hint = "Check that MariaDB runs and that [database] in the configuration is right; then try again."


class DatabaseAccessError(PanelError):
    message = "The database refused the account."
    hint = (
        "Check user and password in the configuration, and its rights with etc/grants.sql; `seal` and `archive` have"
        " accounts of their own, docs/install.md."
    )


class UnsupportedServerError(DatabaseAccessError):
    message = "The database server is not MariaDB 10.6 or later."
    hint = "Point [database] at a MariaDB server of version 10.6 or later."


class DatabaseConflictError(PanelError):
    message = "Other transactions locked the same rows several times in a row."
    hint = "Try again; nothing was changed."


class CommitUnknownError(DatabaseUnavailableError):
    message = "The connection was lost during COMMIT, so the change may or may not have been made."
    hint = "Check the current state before you try again."


class ClaimLostError(PanelError):
    message = "Another worker has claimed the job; nothing was written."


class JobNotDoneError(PanelError):
    """A job cannot end yet; `open_entries` are the items and containers that are not settled."""

    message = "The job has open items or containers."

    def __init__(self, open_entries: int) -> None:
        super().__init__(f"{open_entries:,} items and containers are not settled")
        self.open_entries = open_entries


class DeliveryError(PanelError):
    message = "The message was not accepted."
    hint = "Nothing is lost: the next call sends it again."
