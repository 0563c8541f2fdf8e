"""The errors that may cross a step: each says what it concerns and whether another try helps."""


class MailcareError(Exception):
    """Tell a person what went wrong, in their language.

    `permanent` says that another try cannot help before somebody changes something; `subject`
    names the system, file or letter concerned (empty: the program's own surroundings).
    """

    permanent = True

    def __init__(self, message: str, *, subject: str = "") -> None:
        super().__init__(f"{subject}：{message}" if subject else message)
        self.subject = subject


class InputError(MailcareError):
    """What a person handed in cannot be used as it is."""


class NotAuthorised(MailcareError):
    """No valid authorisation of the customer covers this connection."""


class Unavailable(MailcareError):
    """Something outside did not answer this time; another try may help."""

    permanent = False
