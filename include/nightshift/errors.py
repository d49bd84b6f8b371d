"""Everything Nightshift refuses to do, one class for each thing a caller would treat differently.

A message holds what was found, what was expected, where, and what to do.
"""

from collections.abc import Sequence


class NightshiftError(Exception):
    """The work cannot go on; the message says why and what to do.

    Trying the same thing again changes nothing, unless the class is an
    :class:`UnavailableError`.
    """


class UnavailableError(NightshiftError):
    """Something outside (a server, a lock, a remote) did not answer; trying again later may help."""


class RegistryUnavailableError(UnavailableError):
    """The model registry (MLflow) did not answer."""


class DataRegistryBusyError(UnavailableError):
    """Another writer was faster, or holds a lock of the data registry."""


class FeaturesUnavailableError(UnavailableError):
    """The online store of features did not answer."""


class SettingsError(NightshiftError):
    """An environment variable or a setting cannot be used."""


class SpecError(NightshiftError):
    """A model's declaration is wrong; every problem is named with file and line."""


class ReturnToSenderError(NightshiftError):
    """A release lacks evidence: code, data or environment is not what can be proven.

    Parameters
    ----------
    reasons
        Every missing box, not just the first one; at least one.
    """

    def __init__(self, reasons: Sequence[str]) -> None:
        self.reasons = tuple(reasons)
        super().__init__("Return to sender!\n" + "\n".join(f"  - {reason}" for reason in self.reasons))


class DataRegistryError(NightshiftError):
    """The data registry is missing, damaged, or lacks what was asked for."""


class DigestMismatchError(DataRegistryError):
    """Bytes differ from the digest they were stored under."""


class SourceError(NightshiftError):
    """The source of a model gave nothing, or not what its declaration promises."""


class FeatureError(NightshiftError):
    """A declared feature, key, time or label is missing from the assembled table."""


class SplitError(NightshiftError):
    """The splits would overlap, leak, or be too small to learn or to judge from."""


class BinsDifferError(NightshiftError):
    """Two profiles were counted on different bins and cannot be compared or merged."""


class ProfileError(NightshiftError):
    """A stored profile cannot be read, or belongs to other columns."""


class RowsError(NightshiftError):
    """A file or a query does not give rows: it is missing, damaged, or of another kind."""


class ContractError(NightshiftError):
    """A contract cannot be read or derived."""


class BrokenDataError(NightshiftError):
    """Rows break the contract so badly that nothing may be built from them."""


class TrainingError(NightshiftError):
    """The model cannot be trained on these rows."""


class PackageError(NightshiftError):
    """A model package is incomplete, changed, foreign, or answers other than recorded."""


class ReleaseError(NightshiftError):
    """A version or alias of the model registry is not what the call needs."""


class RequestError(NightshiftError):
    """A run was asked for something that cannot be: a moment outside the calendar, an empty window."""


class RunFolderError(NightshiftError):
    """A run folder holds other work than the run that wants to use it."""


class RehearsalError(NightshiftError):
    """The real server, started with the candidate, answered other than the package promises."""


class PredictionLogError(NightshiftError):
    """The prediction log cannot be written or read."""


class LogBusyError(UnavailableError):
    """More predictions wait for the disk than may; nothing was lost, nothing was answered."""


class ServiceError(NightshiftError):
    """A local service did not start, or died."""
