"""How tar is told to archive, for a pull and for the comparison after a restore. Pure."""

ARCHIVE = (
    *("--create", "--file", "-", "--format", "posix", "--numeric-owner", "--acls", "--xattrs", "--sparse"),
    *("--sort", "name"),
)
