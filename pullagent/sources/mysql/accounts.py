"""Turns what SHOW CREATE USER and SHOW GRANTS answer into SQL that loads into a fresh server. Pure.

Two texts: `accounts` (roles, accounts, global and database grants, role grants) is loaded before the data, because
views and routines need their definers' rights; `grants` (on tables, columns and routines, default roles) after it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from pullagent.errors import SourceError

_TOKEN = re.compile(r"`(?:[^`]|``)*`|'(?:[^'\\]|''|\\.)*'|\"(?:[^\"\\]|\"\"|\\.)*\"|\s+|[A-Za-z0-9_]+|.", re.DOTALL)
# every token takes memory
_STATEMENT = 256 << 10
SYSTEM_ACCOUNTS = (
    "root",
    "mysql",
    "mysql.sys",
    "mysql.session",
    "mysql.infoschema",
    "mariadb.sys",
    "debian-sys-maint",
    "PUBLIC",
    "",
)


@dataclass(frozen=True)
class Accounts:
    """Two SQL texts, one statement a line; how many accounts and roles they make, and their names (`user@host`)."""

    accounts: str
    grants: str
    count: int
    names: frozenset[str]


def compose(
    roles: Iterable[str], statements: Iterable[str], databases: tuple[str, ...], *, mariadb: bool = False
) -> Accounts:
    """Order and amend the server's own statements.

    `roles` are MariaDB's role names; `statements` the lines of SHOW CREATE USER and SHOW GRANTS. Grants on objects of
    databases that are not in `databases` are left out: those objects will not be there.
    """
    creates = [f"CREATE ROLE IF NOT EXISTS {quote(role)};" for role in roles]
    count, early, late = len(creates), [], []
    for statement in statements:
        if len(statement) > _STATEMENT:
            raise SourceError(f"an answer about accounts is not understood: it is {len(statement)} characters long")
        tokens = tokenize(statement)
        words = [t.upper() for t in tokens if not t.isspace()]
        if len(words) < 4:
            raise SourceError(f"an answer about accounts is not understood: {words}")
        if words[:2] == ["CREATE", "USER"]:
            count += 1
            create, default_roles = _account(tokens)
            creates.append(create)
            late += default_roles
        elif words[:3] == ["SET", "DEFAULT", "ROLE"]:
            late.append(_line(tokens))
        elif words[0] in ("GRANT", "REVOKE"):
            scope = _scope(tokens)
            if scope is None:
                early.append(_grant(tokens))
            elif scope in databases:
                late.append(_grant(tokens))
        else:
            raise SourceError(f"an answer about accounts is not understood: {words[:3]}")
    # without this mode MariaDB makes an account without a password of a grant to one that could not be made
    mode = "NO_AUTO_CREATE_USER" if mariadb else ""
    accounts = _text(mode, [*creates, *early])
    return Accounts(accounts, _text(mode, late), count, frozenset(names_in(accounts)))


def names_in(accounts: str) -> set[str]:
    """The accounts and roles that a composed text makes, as `user@host` (a role of MariaDB: `role@`)."""
    return {subject_of(line) for line in accounts.split("\n") if line.startswith("CREATE ")}


def subject_of(line: str) -> str:
    """The account that a composed statement is about, as `user@host`; `?` for none."""
    tokens = _subject(line)
    if not tokens:
        return "?"
    return unquote(tokens[0]) + "@" + (unquote(tokens[2]) if len(tokens) == 3 else "")


def _text(mode: str, statements: list[str]) -> str:
    # SHOW GRANTS for a role repeats those of the roles within it
    return "\n".join([f"SET SESSION sql_mode='{mode}';", *dict.fromkeys(statements), ""])


def without_account(sql: str, account: str) -> str:
    """`sql` as composed, less the statements about one account, given as CURRENT_USER() shows it (`user@host`)."""
    user, _, host = account.rpartition("@")
    quoted = [quote(user), "@", quote(host)]
    return "".join(line for line in re.split(r"(?<=\n)", sql) if _subject(line) != quoted)


def quote(name: str) -> str:
    """A name in backquotes."""
    return "`" + name.replace("`", "``") + "`"


def pattern(database: str) -> str:
    """A database's name in backquotes for GRANT, where `_` and `%` would match others."""
    return quote(database.replace("\\", "\\\\").replace("_", "\\_").replace("%", "\\%"))


def tokenize(statement: str) -> list[str]:
    """Split SQL into quoted strings, words, runs of space, and single characters; joined they give it back."""
    return _TOKEN.findall(statement)


def _account(tokens: list[str]) -> tuple[str, list[str]]:
    """CREATE USER IF NOT EXISTS without its default roles, and these as a statement of their own."""
    first = _index(tokens, "USER") + 1
    user = "".join(_name(tokens, first)).strip()
    body = tokens[first:]
    at = _phrase(body, "DEFAULT", "ROLE")
    roles: list[str] = []
    if at is not None:
        end = _index(body, "REQUIRE")
        roles = [f"ALTER USER {user} DEFAULT ROLE {''.join(body[at[1] : end]).strip()};"]
        body = body[: at[0]] + body[end:]
    return f"CREATE USER IF NOT EXISTS {''.join(body).strip()};", roles


def _grant(tokens: list[str]) -> str:
    """A grant less the authentication that MariaDB repeats in it: CREATE USER has set that already."""
    if tokens[0].upper() == "REVOKE":
        return _line(tokens)
    to = _index(tokens, "TO")
    name = _name(tokens, to + 1)
    end = to + 1 + len(name)
    rest = [t.upper() for t in tokens[end:] if not t.isspace()]
    option = next((f" WITH {kind} OPTION" for kind in ("GRANT", "ADMIN") if _has(rest, kind, "OPTION")), "")
    return "".join(tokens[:end]).strip() + option + ";"


def _scope(tokens: list[str]) -> str | None:
    """The database whose object a grant is on; None for global, database, proxy and role grants."""
    words = [t for t in tokens if not t.isspace()]
    upper = [w.upper() for w in words]
    end = _index(words, "TO") if "TO" in upper else _index(words, "FROM")
    if "ON" not in upper[:end] or _has(upper, "PROXY", "ON"):
        return None
    target = words[end - 1 - upper[:end][::-1].index("ON") + 1 : end]
    if target and target[0].upper() in ("PROCEDURE", "FUNCTION", "PACKAGE", "TABLE"):
        target = target[target.index("BODY") + 1 :] if "BODY" in target else target[1:]
    if len(target) < 3 or target[-1] == "*":
        return None
    return unquote(target[0])


def unquote(token: str) -> str:
    """The name inside backquotes."""
    return token[1:-1].replace("``", "`") if token.startswith("`") else token


def _subject(line: str) -> list[str] | None:
    """The account that a composed statement is about, as tokens."""
    tokens = tokenize(line)
    upper = [t.upper() for t in tokens]
    for word in ("EXISTS", "TO", "FROM", "FOR"):
        if word in upper:
            return [t for t in _name(tokens, upper.index(word) + 1) if not t.isspace()]
    return [t for t in _name(tokens, upper.index("USER") + 1) if not t.isspace()] if "USER" in upper else None


def _name(tokens: list[str], start: int) -> list[str]:
    """The tokens of `name` or `name`@`host` from `start`, with the space before it."""
    end = next((i + 1 for i in range(start, len(tokens)) if not tokens[i].isspace()), None)
    if end is None:
        raise SourceError("an answer about accounts is not understood: it names nobody")
    return tokens[start : end + 2] if tokens[end : end + 1] == ["@"] else tokens[start:end]


def _line(tokens: list[str]) -> str:
    return "".join(tokens).strip().rstrip(";") + ";"


def _index(tokens: list[str], word: str) -> int:
    for position, token in enumerate(tokens):
        if token.upper() == word:
            return position
    raise SourceError(f"an answer about accounts is not understood: it has no {word}")


def _phrase(tokens: list[str], *words: str) -> tuple[int, int] | None:
    """Where `words` stand one after another: first token, and the one after the last."""
    places = [i for i, t in enumerate(tokens) if not t.isspace()]
    for start in range(len(places) - len(words) + 1):
        if all(tokens[places[start + k]].upper() == w for k, w in enumerate(words)):
            return places[start], places[start + len(words) - 1] + 1
    return None


def _has(upper: list[str], *words: str) -> bool:
    return any(tuple(upper[i : i + len(words)]) == words for i in range(len(upper)))
