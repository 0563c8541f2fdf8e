"""What copies of mail are made of, and how a mail store keeps its messages. Pure.

Apart from `backups`, which reads declarations: whoever reads mail need not load that.
"""

from enum import StrEnum


class CopyKind(StrEnum):
    """What a copy is made of."""

    TREE = "tree"
    RSNAPSHOT = "rsnapshot"
    TAR = "tar"
    TAR_GZ = "tar.gz"
    TAR_ZST = "tar.zst"
    ZIP = "zip"
    RESTIC = "restic"
    BORG = "borg"
    SQL = "sql"
    LDIF = "ldif"

    @property
    def is_archive(self) -> bool:
        """Tell whether a generation is one file that is read from its beginning to its end."""
        return self in (CopyKind.TAR, CopyKind.TAR_GZ, CopyKind.TAR_ZST, CopyKind.ZIP)

    @property
    def is_one_file(self) -> bool:
        """Tell whether a generation is one file: an archive, or a dump of the accounts."""
        return self.is_archive or not self.holds_mail

    @property
    def is_repository(self) -> bool:
        """Tell whether it is opened by a tool of its own, with a password."""
        return self in (CopyKind.RESTIC, CopyKind.BORG)

    @property
    def checks_itself(self) -> bool:
        """Tell whether it always has checksums of its own; a tar.zst has them where asked for."""
        return self in (CopyKind.TAR_GZ, CopyKind.ZIP, CopyKind.RESTIC, CopyKind.BORG)

    @property
    def holds_mail(self) -> bool:
        """Tell whether messages are in it; an account store holds none."""
        return self not in (CopyKind.SQL, CopyKind.LDIF)


class StoreFormat(StrEnum):
    """How the mail store keeps its messages; Maildir++ is Maildir with folders `.Name` in it."""

    MAILDIR = "maildir"
    MBOX = "mbox"
    DBOX = "dbox"
    TURBOMAIL = "turbomail"


class Dialect(StrEnum):
    """Which database a dump is for."""

    MYSQL = "mysql"
    POSTGRESQL = "postgresql"
