"""SQL for a database worth restoring: everything that a dump can lose.

Valid on MariaDB 10.11 and MySQL 9.7, except what `MARIADB_EXTRA` and `MYSQL_EXTRA` keep apart.
"""

OWNER_PASSWORD = 'own$er "quoted" `back` \\slash'
APP_PASSWORD = "pa$$w'ord; -- #"


def literal(text: str) -> str:
    """`text` as a string of SQL, under the default sql_mode."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


ACCOUNTS_SQL = f"""
CREATE USER 'agama_owner'@'localhost' IDENTIFIED BY {literal(OWNER_PASSWORD)};
CREATE USER 'agama_app'@'localhost' IDENTIFIED BY {literal(APP_PASSWORD)} WITH MAX_USER_CONNECTIONS 50;
CREATE USER 'report'@'10.0.%' IDENTIFIED BY 'report$';
CREATE USER 'o''brien`s $user'@'%' IDENTIFIED BY 'x';
CREATE USER 'retired'@'localhost' IDENTIFIED BY 'gone' ACCOUNT LOCK;
CREATE ROLE 'agama_reader';
CREATE ROLE 'agama_writer';
GRANT ALL PRIVILEGES ON `agama`.* TO 'agama_owner'@'localhost' WITH GRANT OPTION;
GRANT PROCESS ON *.* TO 'agama_owner'@'localhost';
GRANT SELECT, SHOW VIEW ON `agama`.* TO 'agama_reader';
GRANT INSERT, UPDATE, DELETE ON `agama`.* TO 'agama_writer';
GRANT 'agama_reader' TO 'agama_app'@'localhost';
GRANT 'agama_writer' TO 'agama_app'@'localhost' WITH ADMIN OPTION;
GRANT SELECT ON `agama\\_%`.* TO 'report'@'10.0.%';
"""

TABLES_SQL = """
CREATE DATABASE `agama` CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
USE `agama`;
CREATE TABLE `customer` (
  `id` INT UNSIGNED NOT NULL AUTO_INCREMENT,
  `name` VARCHAR(120) NOT NULL,
  `email` VARCHAR(190) DEFAULT NULL COMMENT 'may hold "quotes", ''apostrophes'' and a ; semicolon',
  `joined` DATETIME(6) NOT NULL,
  `rating` DOUBLE DEFAULT NULL,
  `flags` BIT(9) NOT NULL DEFAULT b'0',
  `kind` ENUM('person','company','o''dd') NOT NULL DEFAULT 'person',
  `profile` JSON DEFAULT NULL,
  PRIMARY KEY (`id`), UNIQUE KEY `email` (`email`), KEY `name` (`name`(40)), FULLTEXT KEY `words` (`name`)
) ENGINE=InnoDB COMMENT='CREATE TABLE `not_a_table` (';
CREATE TABLE `purchase` (
  `id` BIGINT NOT NULL AUTO_INCREMENT,
  `customer_id` INT UNSIGNED NOT NULL,
  `quantity` INT NOT NULL,
  `price` DECIMAL(12,2) NOT NULL,
  `total` DECIMAL(14,2) GENERATED ALWAYS AS (`quantity` * `price`) STORED,
  `doubled` INT GENERATED ALWAYS AS (`quantity` * 2) VIRTUAL,
  `payload` BLOB DEFAULT NULL,
  `changed` TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
  PRIMARY KEY (`id`), KEY `customer_id` (`customer_id`), KEY `total` (`total`),
  CONSTRAINT `purchase_customer` FOREIGN KEY (`customer_id`) REFERENCES `customer` (`id`) ON DELETE CASCADE,
  CONSTRAINT `quantity_positive` CHECK (`quantity` > 0)
) ENGINE=InnoDB;
CREATE TABLE `place` (
  `id` INT NOT NULL PRIMARY KEY, `spot` POINT NOT NULL, `note` TEXT, SPATIAL KEY `spot` (`spot`)
) ENGINE=InnoDB;
CREATE TABLE `empty` (`id` INT NOT NULL PRIMARY KEY, `parent` INT DEFAULT NULL,
  CONSTRAINT `empty_self` FOREIGN KEY (`parent`) REFERENCES `empty` (`id`)) ENGINE=InnoDB;
CREATE TABLE `no key` (`a` INT DEFAULT NULL, `b` VARCHAR(20) DEFAULT NULL) ENGINE=InnoDB;
CREATE TABLE `odd ``name$ 'of' "it"; --` (
  `select` INT NOT NULL, `order by` VARCHAR(30) DEFAULT NULL, `key``s` VARBINARY(16) DEFAULT NULL,
  PRIMARY KEY (`select`)
) ENGINE=InnoDB;
CREATE TABLE `measure` (`day` DATE NOT NULL, `value` INT NOT NULL, PRIMARY KEY (`day`, `value`)) ENGINE=InnoDB
  PARTITION BY RANGE (YEAR(`day`)) (PARTITION `p2024` VALUES LESS THAN (2025),
  PARTITION `p2025` VALUES LESS THAN (2026), PARTITION `rest` VALUES LESS THAN MAXVALUE);
CREATE TABLE `audit` (
  `id` INT NOT NULL AUTO_INCREMENT PRIMARY KEY, `what` VARCHAR(200) NOT NULL) ENGINE=InnoDB;
"""

# The bodies hold what a careless reader of dumps takes for the dump's own lines.
PROGRAMS_SQL = """
CREATE DEFINER=`agama_owner`@`localhost` SQL SECURITY DEFINER VIEW `big_purchase` AS
  SELECT `p`.`id`, `c`.`name`, `p`.`total` FROM `purchase` `p`
  JOIN `customer` `c` ON `c`.`id` = `p`.`customer_id`
  WHERE `p`.`total` > 50;
CREATE DEFINER=`agama_owner`@`localhost` VIEW `big_summary` AS
  SELECT `name`, COUNT(*) AS `count`, SUM(`total`) AS `sum` FROM `big_purchase` GROUP BY `name`;
DELIMITER ;;
CREATE DEFINER=`agama_owner`@`localhost` PROCEDURE `tidy up`(IN `days` INT)
    COMMENT 'says "nothing" & does; nothing'
BEGIN
  -- a comment with a ; and a ' in it
  DECLARE `text_of_it` TEXT DEFAULT '
CREATE TABLE `ghost` (
  `id` int NOT NULL
) ENGINE=InnoDB;
DROP TABLE IF EXISTS `customer`;
-- Dump completed on 2026-01-01  0:00:00
';
  /*
CREATE TABLE `second_ghost` (
-- Dump completed
  */
  INSERT INTO `audit` (`what`) VALUES (CONCAT('tidy ', `days`));
END;;
CREATE DEFINER=`agama_owner`@`localhost` FUNCTION `with_tax`(`net` DECIMAL(12,2)) RETURNS DECIMAL(12,2)
    DETERMINISTIC NO SQL
BEGIN
  RETURN ROUND(`net` * 1.24, 2);
END;;
CREATE DEFINER=`agama_owner`@`localhost` TRIGGER `customer_gone` AFTER DELETE ON `customer` FOR EACH ROW
BEGIN
  INSERT INTO `audit` (`what`) VALUES (CONCAT('gone: ', OLD.`name`));
END;;
CREATE DEFINER=`agama_owner`@`localhost` TRIGGER `purchase_check` BEFORE INSERT ON `purchase` FOR EACH ROW
  SET NEW.`payload` = IFNULL(NEW.`payload`, 'trigger ran');;
CREATE DEFINER=`agama_owner`@`localhost` EVENT `nightly` ON SCHEDULE EVERY 1 DAY STARTS '2037-01-01 00:00:00'
  ON COMPLETION PRESERVE COMMENT 'never in a test'
  DO CALL `tidy up`(30);;
CREATE DEFINER=`agama_owner`@`localhost` EVENT `switched off` ON SCHEDULE AT '2037-01-01 00:00:00' DISABLE
  DO DELETE FROM `audit`;;
DELIMITER ;
"""

# These need the tables and routines: a restore must grant them after the data.
TABLE_GRANTS_SQL = """
GRANT SELECT ON `agama`.`big_summary` TO 'report'@'10.0.%';
GRANT SELECT (`id`, `name`), UPDATE (`name`) ON `agama`.`customer` TO 'o''brien`s $user'@'%';
GRANT SELECT, INSERT ON `agama`.`odd ``name$ 'of' "it"; --` TO 'report'@'10.0.%';
GRANT EXECUTE ON PROCEDURE `agama`.`tidy up` TO 'agama_app'@'localhost';
GRANT EXECUTE ON FUNCTION `agama`.`with_tax` TO 'agama_reader';
"""

MARIADB_EXTRA = """
SET DEFAULT ROLE `agama_reader` FOR 'agama_app'@'localhost';
CREATE USER 'either'@'localhost' IDENTIFIED VIA unix_socket OR mysql_native_password USING PASSWORD('e$');
GRANT 'agama_reader' TO 'agama_writer';
CREATE SEQUENCE `agama`.`ticket` START WITH 1000 INCREMENT BY 5 CACHE 20;
SELECT NEXTVAL(`agama`.`ticket`);
CREATE TABLE `agama`.`only_mariadb` (`id` UUID NOT NULL PRIMARY KEY, `ip` INET6 DEFAULT NULL,
  `hidden` INT INVISIBLE DEFAULT 7) ENGINE=InnoDB;
INSERT INTO `agama`.`only_mariadb` (`id`, `ip`) VALUES
  ('123e4567-e89b-12d3-a456-426655440000', '2001:db8::1');
"""

MYSQL_EXTRA = """
SET DEFAULT ROLE 'agama_reader' TO 'agama_app'@'localhost';
CREATE USER 'either'@'localhost' IDENTIFIED WITH auth_socket ATTRIBUTE '{"team": "ops"}';
CREATE USER 'expiring'@'localhost' IDENTIFIED BY 'e$'
  PASSWORD EXPIRE INTERVAL 90 DAY FAILED_LOGIN_ATTEMPTS 3 PASSWORD_LOCK_TIME 2;
GRANT BACKUP_ADMIN, SHOW_ROUTINE ON *.* TO 'either'@'localhost';
GRANT 'agama_reader' TO 'agama_writer';
CREATE TABLE `agama`.`only_mysql` (`id` INT NOT NULL PRIMARY KEY, `hidden` INT DEFAULT 7 INVISIBLE,
  `doc` JSON DEFAULT (JSON_OBJECT('a', 1)), KEY `functional` ((`id` * 2))) ENGINE=InnoDB;
INSERT INTO `agama`.`only_mysql` (`id`) VALUES (1), (2);
"""
