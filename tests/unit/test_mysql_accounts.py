"""From SHOW CREATE USER and SHOW GRANTS to SQL that a fresh server takes."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullagent.errors import SourceError
from pullagent.sources.mysql.accounts import Accounts, compose, quote, tokenize, unquote, without_account
from tests.vectors import ANSWERS

HEAD = "SET SESSION sql_mode='NO_AUTO_CREATE_USER';"
HASH = "'*A1A67D01C54F90BEB60DA973303CD537A7D4C2FC'"


def accounts(*statements: str, roles: tuple[str, ...] = (), databases: tuple[str, ...] = ("agama",)) -> Accounts:
    """What is composed of the server's statements."""
    return compose(roles, statements, databases, mariadb=True)


def early(statement: str, databases: tuple[str, ...] = ("agama",)) -> str:
    """The one statement that must be loaded before the data."""
    made = accounts(statement, databases=databases)
    assert made.grants == f"{HEAD}\n"
    head, line, end = made.accounts.split("\n")
    assert (head, end) == (HEAD, "")
    return line


def late(statement: str, databases: tuple[str, ...] = ("agama",)) -> str:
    """The one statement that must be loaded after the data."""
    made = accounts(statement, databases=databases)
    assert made.accounts == f"{HEAD}\n"
    head, line, end = made.grants.split("\n")
    assert (head, end) == (HEAD, "")
    return line


@pytest.mark.parametrize(
    "account",
    [
        f"`agama_app`@`localhost` IDENTIFIED BY PASSWORD {HASH} WITH MAX_USER_CONNECTIONS 50",
        f"`either`@`localhost` IDENTIFIED VIA unix_socket OR mysql_native_password USING {HASH}",
        f"`o'brien``s $user`@`%` IDENTIFIED BY PASSWORD {HASH}",
        f"`retired`@`localhost` IDENTIFIED BY PASSWORD {HASH} ACCOUNT LOCK",
        "`either`@`localhost` IDENTIFIED WITH 'auth_socket' REQUIRE NONE PASSWORD EXPIRE DEFAULT ACCOUNT UNLOCK"
        " PASSWORD HISTORY DEFAULT PASSWORD REUSE INTERVAL DEFAULT PASSWORD REQUIRE CURRENT DEFAULT"
        ' ATTRIBUTE \'{"team": "ops"}\'',
        "`USER`@`DEFAULT ROLE` IDENTIFIED BY 'DEFAULT ROLE `x` REQUIRE'",
    ],
)
def test_an_account_is_created_as_the_server_says(account: str) -> None:
    """Word for word, but only where it is not there yet."""
    assert early(f"CREATE USER {account}") == f"CREATE USER IF NOT EXISTS {account};"
    assert accounts(f"CREATE USER {account}").count == 1


def test_default_roles_wait_until_the_roles_are_there() -> None:
    """MySQL writes them into CREATE USER, where the role may not exist yet: a statement of its own, loaded last."""
    rest = "REQUIRE NONE WITH MAX_USER_CONNECTIONS 50 PASSWORD EXPIRE DEFAULT ACCOUNT UNLOCK"
    made = accounts(
        "CREATE USER `agama_app`@`localhost` IDENTIFIED WITH 'caching_sha2_password' AS 0x24412430"
        f" DEFAULT ROLE `agama_reader`@`%`,`b`@`%` {rest}"
    )
    assert made.accounts == (
        f"{HEAD}\nCREATE USER IF NOT EXISTS `agama_app`@`localhost`"
        f" IDENTIFIED WITH 'caching_sha2_password' AS 0x24412430 {rest};\n"
    )
    assert made.grants == f"{HEAD}\nALTER USER `agama_app`@`localhost` DEFAULT ROLE `agama_reader`@`%`,`b`@`%`;\n"


def test_mariadbs_default_role_is_loaded_last() -> None:
    """MariaDB has a statement of its own."""
    statement = "SET DEFAULT ROLE `agama_reader` FOR `agama_app`@`localhost`"
    assert late(statement) == f"{statement};"


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (
            f"GRANT USAGE ON *.* TO `agama_app`@`localhost` IDENTIFIED BY PASSWORD {HASH} WITH MAX_USER_CONNECTIONS 50",
            "GRANT USAGE ON *.* TO `agama_app`@`localhost`;",
        ),
        (
            "GRANT ALL PRIVILEGES ON *.* TO `dba`@`localhost` IDENTIFIED VIA mysql_native_password USING 'invalid' OR"
            " unix_socket WITH GRANT OPTION",
            "GRANT ALL PRIVILEGES ON *.* TO `dba`@`localhost` WITH GRANT OPTION;",
        ),
        (
            f"GRANT SELECT ON *.* TO `x`@`%` IDENTIFIED BY PASSWORD {HASH} REQUIRE SSL"
            " WITH GRANT OPTION MAX_QUERIES_PER_HOUR 5",
            "GRANT SELECT ON *.* TO `x`@`%` WITH GRANT OPTION;",
        ),
        (
            "GRANT PROXY ON ``@`%` TO `root`@`localhost` WITH GRANT OPTION",
            "GRANT PROXY ON ``@`%` TO `root`@`localhost` WITH GRANT OPTION;",
        ),
        (
            "GRANT PROXY ON `agama`@`%` TO `x`@`localhost`",
            "GRANT PROXY ON `agama`@`%` TO `x`@`localhost`;",
        ),
        (
            "GRANT `agama_writer` TO `agama_app`@`localhost` WITH ADMIN OPTION",
            "GRANT `agama_writer` TO `agama_app`@`localhost` WITH ADMIN OPTION;",
        ),
        ("GRANT `a`@`%`,`b`@`%` TO `c`@`localhost`", "GRANT `a`@`%`,`b`@`%` TO `c`@`localhost`;"),
        ("GRANT `agama_reader` TO `agama_writer`", "GRANT `agama_reader` TO `agama_writer`;"),
        (
            "GRANT ALL PRIVILEGES ON `agama`.* TO `agama_owner`@`localhost` WITH GRANT OPTION",
            "GRANT ALL PRIVILEGES ON `agama`.* TO `agama_owner`@`localhost` WITH GRANT OPTION;",
        ),
        (r"GRANT SELECT ON `agama\_%`.* TO `report`@`10.0.%`", r"GRANT SELECT ON `agama\_%`.* TO `report`@`10.0.%`;"),
        ("GRANT SELECT ON `other`.* TO `x`@`%`", "GRANT SELECT ON `other`.* TO `x`@`%`;"),
        (
            "GRANT BACKUP_ADMIN,SHOW_ROUTINE ON *.* TO `either`@`localhost`",
            "GRANT BACKUP_ADMIN,SHOW_ROUTINE ON *.* TO `either`@`localhost`;",
        ),
        ("REVOKE SELECT ON `mysql`.* FROM `x`@`%`", "REVOKE SELECT ON `mysql`.* FROM `x`@`%`;"),
        (
            "GRANT SELECT ON *.* TO `WITH GRANT OPTION`@`%` IDENTIFIED BY PASSWORD 'WITH GRANT OPTION'",
            "GRANT SELECT ON *.* TO `WITH GRANT OPTION`@`%`;",
        ),
    ],
)
def test_global_database_role_and_proxy_grants_come_before_the_data(statement: str, expected: str) -> None:
    """Without the authentication and limits that MariaDB repeats in them, but with their options."""
    assert early(statement) == expected


@pytest.mark.parametrize(
    "statement",
    [
        "GRANT SELECT (`name`, `id`), UPDATE (`name`) ON `agama`.`customer` TO `o'brien``s $user`@`%`",
        "GRANT SELECT, INSERT ON `agama`.`odd ``name$ 'of' \"it\"; --` TO `report`@`10.0.%`",
        "GRANT EXECUTE ON PROCEDURE `agama`.`tidy up` TO `agama_app`@`localhost`",
        "GRANT EXECUTE ON FUNCTION `agama`.`with_tax` TO `agama_reader`",
        "GRANT EXECUTE ON PACKAGE BODY `agama`.`p` TO `x`@`%` WITH GRANT OPTION",
        "GRANT SELECT ON `agama`.`*` TO `x`@`%`",
        "GRANT SELECT (`ON`, `TO`) ON `agama`.`ON` TO `TO`@`FROM`",
    ],
)
def test_grants_on_objects_come_after_the_data(statement: str) -> None:
    """A table, its columns, a routine: they must be there first."""
    assert late(statement) == f"{statement};"


@pytest.mark.parametrize(
    "target",
    ["`other`.`t`", "PROCEDURE `other`.`p`", "FUNCTION `Agama`.`f`", "PACKAGE BODY `other`.`p`", "`aga``ma`.`t`"],
)
def test_grants_on_objects_elsewhere_are_left_out(target: str) -> None:
    """Objects of databases that are not in the backup will not be there to grant on."""
    made = accounts(f"GRANT SELECT ON {target} TO `x`@`%`")
    assert made == Accounts(f"{HEAD}\n", f"{HEAD}\n", 0, frozenset())


@pytest.mark.parametrize("database", ["odd`name", "with space", "select", "a.b", "it's"])
def test_object_grants_of_oddly_named_databases_stay(database: str) -> None:
    """Names are compared as they are, not as they are quoted."""
    assert late(f"GRANT SELECT ON {quote(database)}.`t` TO `x`@`%`", (database,)).startswith("GRANT")


def test_partial_revokes_of_objects_follow_their_grants() -> None:
    """A revoke stays behind the grant that it limits, in the same text."""
    made = accounts("GRANT SELECT ON *.* TO `x`@`%`", "REVOKE SELECT ON `agama`.* FROM `x`@`%`")
    assert made.accounts.splitlines()[1:] == [
        "GRANT SELECT ON *.* TO `x`@`%`;",
        "REVOKE SELECT ON `agama`.* FROM `x`@`%`;",
    ]


def test_what_is_made_comes_before_what_is_granted() -> None:
    """Roles, then accounts, then grants, whatever the order of the answers."""
    made = accounts(
        "GRANT `r` TO `b`@`%`",
        "CREATE USER `b`@`%`",
        "GRANT USAGE ON *.* TO `r`",
        "CREATE USER `a`@`%`",
        roles=("r", "odd `role`"),
    )
    assert made.accounts.splitlines() == [
        HEAD,
        "CREATE ROLE IF NOT EXISTS `r`;",
        "CREATE ROLE IF NOT EXISTS `odd ``role```;",
        "CREATE USER IF NOT EXISTS `b`@`%`;",
        "CREATE USER IF NOT EXISTS `a`@`%`;",
        "GRANT `r` TO `b`@`%`;",
        "GRANT USAGE ON *.* TO `r`;",
    ]
    assert made.count == 4
    assert made.names == {"r@", "odd `role`@", "a@%", "b@%"}


def test_mysql_gets_the_plainest_mode() -> None:
    """MariaDB's mode against accounts that a grant would make does not exist in MySQL, which makes none."""
    assert compose((), (), (), mariadb=False).accounts == "SET SESSION sql_mode='';\n"


def test_a_statement_that_comes_twice_is_kept_once() -> None:
    """SHOW GRANTS for a role repeats the grants of the roles within it."""
    made = accounts("GRANT SELECT ON `agama`.* TO `r`", "GRANT SELECT ON `agama`.* TO `r`", roles=("r",))
    assert made.accounts.count("GRANT SELECT") == 1


@pytest.mark.parametrize(
    "statement", ["Welcome!", "ERROR 1045", "DROP USER `x`", "SELECT 1", " ", "GRANT", "GRANT x TO"]
)
def test_what_is_not_understood_is_refused(statement: str) -> None:
    """Never left out silently, never passed on."""
    with pytest.raises(SourceError, match="not understood"):
        accounts(statement)


@given(
    statement=st.lists(
        st.sampled_from(["GRANT", "CREATE", "USER", "ON", "TO", "`a`", "@", ".", "*", " ", "'x'", "DEFAULT ROLE"])
    ).map("".join)
)
def test_any_answer_is_judged(statement: str) -> None:
    """Whatever comes, it is composed or refused with an error of ours."""
    with suppress(SourceError):
        accounts(statement)


@given(text=st.text())
def test_tokens_join_to_what_was_split(text: str) -> None:
    """No character is lost, in whatever text."""
    assert "".join(tokenize(text)) == text


@given(names=st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=4))
def test_quoted_names_are_single_tokens(names: list[str]) -> None:
    """Whatever a name holds, quoted it is one token, and comes back."""
    tokens = [t for t in tokenize(" , ".join(map(quote, names))) if t.startswith("`")]
    assert [unquote(t) for t in tokens] == names


@pytest.mark.parametrize("text", [r"'it''s'", r"'a\'b'", r"'\\'", '"say ""x"""', r'"\""', "'`'", "`'`", "'a\nb'"])
def test_each_form_of_string_is_one_token(text: str) -> None:
    """Doubled and escaped quotes do not end a string."""
    assert tokenize(f"x {text} y") == ["x", " ", text, " ", "y"]


RECORDED = sorted(ANSWERS.glob("*/accounts.txt"))
each_answer = pytest.mark.parametrize("answer", RECORDED, ids=lambda path: path.parent.name)


def recorded(answer: str) -> Accounts:
    """What is composed of a real server's answer."""
    lines = answer.split("\n")
    roles = [line.removeprefix("ROLE \t") for line in lines if line.startswith("ROLE \t")]
    rest = [line for line in lines if line and not line.startswith("ROLE \t")]
    return compose(roles, rest, ("agama",), mariadb=bool(roles))


@each_answer
def test_a_recorded_answer_is_composed_whole(answer: Path) -> None:
    """Every account and role of the laboratory's database is made, each of its statements once."""
    text = answer.read_text()
    made = recorded(text)
    assert made.count == text.count("CREATE USER") + text.count("ROLE \t")
    every = made.accounts.splitlines()[1:] + made.grants.splitlines()[1:]
    assert len(set(every)) == len(every)
    assert all(line.endswith(";") for line in every)
    assert not [line for line in every if line.startswith("GRANT") and "IDENTIFIED" in line]
    objects = ("`agama`.`customer`", "`agama`.`big_summary`", "`tidy up`", "`with_tax`")
    assert all(name in made.grants and name not in made.accounts for name in objects)


@each_answer
@pytest.mark.parametrize(
    "account", ["agama_app@localhost", "o'brien`s $user@%", "report@10.0.%", "agama_owner@localhost"]
)
def test_the_restoring_account_is_left_alone(answer: Path, account: str) -> None:
    """The account that restores must not lose its rights half-way: nothing of it is loaded, all else is."""
    made = recorded(answer.read_text())
    user, _, host = account.rpartition("@")
    name = f"{quote(user)}@{quote(host)}"
    for sql in (made.accounts, made.grants):
        left = without_account(sql, account)
        assert name not in left
        assert left.splitlines() == [line for line in sql.splitlines() if name not in line]


def test_only_the_subject_of_a_statement_counts() -> None:
    """An account that is mentioned, as a proxy or in a string, is not the one that a statement is about."""
    sql = (
        f"{HEAD}\nGRANT PROXY ON `a`@`%` TO `b`@`%`;\nGRANT SELECT ON *.* TO `a`@`localhost`;\n"
        "REVOKE SELECT ON `a`.* FROM `a`@`%`;\nCREATE ROLE IF NOT EXISTS `a`;\nSET DEFAULT ROLE `a` FOR `b`@`%`;\n"
        "ALTER USER `a`@`%` DEFAULT ROLE `r`@`%`;\nCREATE USER IF NOT EXISTS `c`@`%` ATTRIBUTE '`a`@`%`';\n"
    )
    gone = [line for line in sql.splitlines() if line not in without_account(sql, "a@%").splitlines()]
    assert gone == ["REVOKE SELECT ON `a`.* FROM `a`@`%`;", "ALTER USER `a`@`%` DEFAULT ROLE `r`@`%`;"]


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\x85", "\x0b", "\x1c", "\r"])
def test_only_a_line_feed_ends_a_statement(mark: str) -> None:
    """Other characters that some call line ends may stand in names and comments, and stay within their statement."""
    sql = accounts(f"CREATE USER `a{mark}b`@`%` COMMENT 'x{mark}y'", "CREATE USER `c`@`%`").accounts
    assert without_account(sql, f"a{mark}b@%") == f"{HEAD}\nCREATE USER IF NOT EXISTS `c`@`%`;\n"
    assert without_account(sql, "c@%") == f"{HEAD}\nCREATE USER IF NOT EXISTS `a{mark}b`@`%` COMMENT 'x{mark}y';\n"
