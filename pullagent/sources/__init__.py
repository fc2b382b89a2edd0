"""Source kinds. A new one is a file here and a line in KINDS."""

from pullagent.sources.base import Source
from pullagent.sources.files import Files
from pullagent.sources.git import Git
from pullagent.sources.influxdb import InfluxDB
from pullagent.sources.mysql import MySQL

KINDS: dict[str, type[Source]] = {kind.kind: kind for kind in (MySQL, InfluxDB, Git, Files)}
