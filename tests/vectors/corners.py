"""SQL of a database whose names and bodies are as awkward to a reader of dumps as the servers allow."""

CORNERS_SQL = r"""
CREATE DATABASE `corners`;
USE `corners`;
CREATE TABLE `we``ird ``` (`id` INT NOT NULL PRIMARY KEY, `text` LONGTEXT);
INSERT INTO `we``ird ``` VALUES (1, 'line\nCREATE TABLE `ghost` (\nDELIMITER ;;\n-- Dump completed on 2026-01-01\n'),
  (2, '\n(3,\'x\'),\nUSE `elsewhere`;'), (3, REPEAT('wide 🐘 ', 1500));
CREATE TABLE `IF NOT EXISTS` (`a` INT COMMENT 'x\nCREATE TABLE `ghost2` (');
CREATE TABLE `über, ünï` (`ü` INT) COMMENT='it''s\n-- Dump completed';
INSERT INTO `über, ünï` VALUES (1);
CREATE TABLE `trig``ger` (`a` INT);
CREATE VIEW `VIEW ``v``` AS SELECT `id` FROM `we``ird ```;
CREATE VIEW `of views` AS SELECT * FROM `VIEW ``v```;
DELIMITER ;;
CREATE PROCEDURE `pro``c TRIGGER x`() COMMENT 'FUNCTION `not_me`'
BEGIN
  SELECT '
DELIMITER ;
CREATE FUNCTION `ghost3`() RETURNS INT
DELIMITER ;;
';
END;;
CREATE FUNCTION function_of_trigger() RETURNS INT DETERMINISTIC RETURN 1;;
CREATE PROCEDURE bare() SELECT 1;;
CREATE PROCEDURE /* PROCEDURE ghost4 */ commented() SELECT 2;;
CREATE TRIGGER `before ``it``` BEFORE INSERT ON `trig``ger` FOR EACH ROW SET NEW.`a` = 1;;
CREATE TRIGGER corners.qualified AFTER INSERT ON `trig``ger` FOR EACH ROW
BEGIN
  DECLARE x INT;
END;;
CREATE EVENT `EVENT of ``TRIGGER```
  ON SCHEDULE EVERY 1 DAY STARTS '2037-01-01 00:00:00' DO SELECT 1;;
DELIMITER ;
SET SESSION sql_mode='ANSI_QUOTES';
DELIMITER ;;
CREATE PROCEDURE "an""si `quoted`"() SELECT "x" FROM (SELECT 1 AS "x") AS "y";;
CREATE TRIGGER "ansi trigger" BEFORE DELETE ON "trig`ger" FOR EACH ROW SET @a = 1;;
DELIMITER ;
SET SESSION sql_mode=DEFAULT;
"""

MARIADB_CORNERS_SQL = r"""
CREATE SEQUENCE `se``quence` START WITH 7;
CREATE TABLE `versioned` (`a` INT) WITH SYSTEM VERSIONING;
INSERT INTO `versioned` VALUES (1);
UPDATE `versioned` SET `a` = 2;
CREATE TABLE `aria` (`a` INT) ENGINE=Aria;
SET SESSION sql_mode='ORACLE';
DELIMITER ;;
CREATE PACKAGE "pack age" AS
  FUNCTION inner_function RETURN INT;
  PROCEDURE inner_procedure;
END;;
CREATE PACKAGE BODY "pack age" AS
  FUNCTION inner_function RETURN INT AS BEGIN RETURN 1; END;
  PROCEDURE inner_procedure AS BEGIN NULL; END;
END;;
CREATE OR REPLACE PROCEDURE oracle_style AS
BEGIN
  NULL;
END;;
DELIMITER ;
SET SESSION sql_mode=DEFAULT;
"""
