"""The exception tree. Each branch says what the caller should do.

::

    LeadwireError
    |-- RetryError           the world is at fault: wait and try again
    |   |-- BusUnavailable       the broker or the bus file cannot be reached
    |   |-- ArchiveUnavailable   the database cannot be reached
    |   `-- GatewayUnavailable   what carries messages to people cannot take one now
    |-- RejectError          the input is at fault: quarantine it, count it, go on
    |   |-- MessageRejected      a message on a topic is malformed
    |   |-- ProtocolRejected     bytes from a device are malformed
    |   |-- MessageTooLarge      a message exceeds its topic's limit
    |   |-- RecordRejected       a recording cannot be read or played
    |   `-- PageRejected         a gateway will never take this message to a person
    |-- SettingError         the operator is at fault: stop before anything starts
    `-- BugError             the program is at fault: stop this stage, loudly

Messages say what came and what was expected. They never carry patient data.
"""


class LeadwireError(Exception):
    """Root of all errors that Leadwire raises on purpose."""


class RetryError(LeadwireError):
    """Nothing is wrong with the input: wait and do the same again."""


class BusUnavailable(RetryError):
    """The bus cannot take or give messages now."""


class ArchiveUnavailable(RetryError):
    """The archive's database cannot be reached now."""


class GatewayUnavailable(RetryError):
    """A gateway (mail, SMS, chat, webhook) did not take a message now.

    Parameters
    ----------
    what
        One line, without any part of the address that could be a secret.
    after_s
        The gateway asked not to be tried again for so many s; 0: it said nothing.
    """

    def __init__(self, what: str, after_s: float = 0.0) -> None:
        super().__init__(what)
        self.after_s = after_s


class RejectError(LeadwireError):
    """This input can never be processed: quarantine it with the reason and go on.

    Parameters
    ----------
    what
        One line: what came and what was expected.
    """


class MessageRejected(RejectError):
    """Bytes on a topic are not a message of our vocabulary."""


class ProtocolRejected(RejectError):
    """Bytes from a device break its protocol."""


class MessageTooLarge(RejectError):
    """A message is larger than its topic allows."""


class RecordRejected(RejectError):
    """A recording cannot be read or played."""


class PageRejected(RejectError):
    """A gateway refused a message for good, or its address is none; says nothing secret of the address."""


class SettingError(LeadwireError):
    """A setting is unknown or impossible."""


class BugError(LeadwireError):
    """An invariant of the program does not hold."""
