-- MySQL dump 10.13  Distrib 9.7.4, for Linux (x86_64)
--
-- Host: localhost    Database: corners
-- ------------------------------------------------------
-- Server version	9.7.4-2

/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */;
/*!40101 SET @OLD_CHARACTER_SET_RESULTS=@@CHARACTER_SET_RESULTS */;
/*!40101 SET @OLD_COLLATION_CONNECTION=@@COLLATION_CONNECTION */;
/*!50503 SET NAMES utf8mb4 */;
/*!40103 SET @OLD_TIME_ZONE=@@TIME_ZONE */;
/*!40103 SET TIME_ZONE='+00:00' */;
/*!40014 SET @OLD_UNIQUE_CHECKS=@@UNIQUE_CHECKS, UNIQUE_CHECKS=0 */;
/*!40014 SET @OLD_FOREIGN_KEY_CHECKS=@@FOREIGN_KEY_CHECKS, FOREIGN_KEY_CHECKS=0 */;
/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */;
/*!40111 SET @OLD_SQL_NOTES=@@SQL_NOTES, SQL_NOTES=0 */;

--
-- Current Database: `corners`
--

CREATE DATABASE /*!32312 IF NOT EXISTS*/ `corners` /*!40100 DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci */ /*!80016 DEFAULT ENCRYPTION='N' */;

USE `corners`;

--
-- Table structure for table `IF NOT EXISTS`
--

DROP TABLE IF EXISTS `IF NOT EXISTS`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!50503 SET character_set_client = utf8mb4 */;
CREATE TABLE `IF NOT EXISTS` (
  `a` int DEFAULT NULL COMMENT 'x\nCREATE TABLE `ghost2` ('
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `IF NOT EXISTS`
--

LOCK TABLES `IF NOT EXISTS` WRITE;
/*!40000 ALTER TABLE `IF NOT EXISTS` DISABLE KEYS */;
/*!40000 ALTER TABLE `IF NOT EXISTS` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Temporary view structure for view `VIEW ``v```
--

DROP TABLE IF EXISTS `VIEW ``v```;
/*!50001 DROP VIEW IF EXISTS `VIEW ``v```*/;
SET @saved_cs_client     = @@character_set_client;
/*!50503 SET character_set_client = utf8mb4 */;
/*!50001 CREATE VIEW `VIEW ``v``` AS SELECT 
 1 AS `id`*/;
SET character_set_client = @saved_cs_client;

--
-- Temporary view structure for view `of views`
--

DROP TABLE IF EXISTS `of views`;
/*!50001 DROP VIEW IF EXISTS `of views`*/;
SET @saved_cs_client     = @@character_set_client;
/*!50503 SET character_set_client = utf8mb4 */;
/*!50001 CREATE VIEW `of views` AS SELECT 
 1 AS `id`*/;
SET character_set_client = @saved_cs_client;

--
-- Table structure for table `trig``ger`
--

DROP TABLE IF EXISTS `trig``ger`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!50503 SET character_set_client = utf8mb4 */;
CREATE TABLE `trig``ger` (
  `a` int DEFAULT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `trig``ger`
--

LOCK TABLES `trig``ger` WRITE;
/*!40000 ALTER TABLE `trig``ger` DISABLE KEYS */;
/*!40000 ALTER TABLE `trig``ger` ENABLE KEYS */;
UNLOCK TABLES;
/*!50003 SET @saved_cs_client      = @@character_set_client */ ;
/*!50003 SET @saved_cs_results     = @@character_set_results */ ;
/*!50003 SET @saved_col_connection = @@collation_connection */ ;
/*!50003 SET character_set_client  = utf8mb4 */ ;
/*!50003 SET character_set_results = utf8mb4 */ ;
/*!50003 SET collation_connection  = utf8mb4_0900_ai_ci */ ;
/*!50003 SET @saved_sql_mode       = @@sql_mode */ ;
/*!50003 SET sql_mode              = 'ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION' */ ;
DELIMITER ;;
/*!50003 CREATE*/ /*!50017 DEFINER=`root`@`localhost`*/ /*!50003 TRIGGER `before ``it``` BEFORE INSERT ON `trig``ger` FOR EACH ROW SET NEW.`a` = 1 */;;
DELIMITER ;
/*!50003 SET sql_mode              = @saved_sql_mode */ ;
/*!50003 SET character_set_client  = @saved_cs_client */ ;
/*!50003 SET character_set_results = @saved_cs_results */ ;
/*!50003 SET collation_connection  = @saved_col_connection */ ;
/*!50003 SET @saved_cs_client      = @@character_set_client */ ;
/*!50003 SET @saved_cs_results     = @@character_set_results */ ;
/*!50003 SET @saved_col_connection = @@collation_connection */ ;
/*!50003 SET character_set_client  = utf8mb4 */ ;
/*!50003 SET character_set_results = utf8mb4 */ ;
/*!50003 SET collation_connection  = utf8mb4_0900_ai_ci */ ;
/*!50003 SET @saved_sql_mode       = @@sql_mode */ ;
/*!50003 SET sql_mode              = 'ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION' */ ;
DELIMITER ;;
/*!50003 CREATE*/ /*!50017 DEFINER=`root`@`localhost`*/ /*!50003 TRIGGER `qualified` AFTER INSERT ON `trig``ger` FOR EACH ROW BEGIN
  DECLARE x INT;
END */;;
DELIMITER ;
/*!50003 SET sql_mode              = @saved_sql_mode */ ;
/*!50003 SET character_set_client  = @saved_cs_client */ ;
/*!50003 SET character_set_results = @saved_cs_results */ ;
/*!50003 SET collation_connection  = @saved_col_connection */ ;
/*!50003 SET @saved_cs_client      = @@character_set_client */ ;
/*!50003 SET @saved_cs_results     = @@character_set_results */ ;
/*!50003 SET @saved_col_connection = @@collation_connection */ ;
/*!50003 SET character_set_client  = utf8mb4 */ ;
/*!50003 SET character_set_results = utf8mb4 */ ;
/*!50003 SET collation_connection  = utf8mb4_0900_ai_ci */ ;
/*!50003 SET @saved_sql_mode       = @@sql_mode */ ;
/*!50003 SET sql_mode              = 'ANSI_QUOTES' */ ;
DELIMITER ;;
/*!50003 CREATE*/ /*!50017 DEFINER=`root`@`localhost`*/ /*!50003 TRIGGER `ansi trigger` BEFORE DELETE ON `trig``ger` FOR EACH ROW SET @a = 1 */;;
DELIMITER ;
/*!50003 SET sql_mode              = @saved_sql_mode */ ;
/*!50003 SET character_set_client  = @saved_cs_client */ ;
/*!50003 SET character_set_results = @saved_cs_results */ ;
/*!50003 SET collation_connection  = @saved_col_connection */ ;

--
-- Table structure for table `we``ird ```
--

DROP TABLE IF EXISTS `we``ird ```;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!50503 SET character_set_client = utf8mb4 */;
CREATE TABLE `we``ird ``` (
  `id` int NOT NULL,
  `text` longtext,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `we``ird ```
--

LOCK TABLES `we``ird ``` WRITE;
/*!40000 ALTER TABLE `we``ird ``` DISABLE KEYS */;
INSERT INTO `we``ird ``` VALUES (1,'line\nCREATE TABLE `ghost` (\nDELIMITER ;;\n-- Dump completed on 2026-01-01\n'),(2,'\n(3,\'x\'),\nUSE `elsewhere`;'),(3,'wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 wide 🐘 ');
/*!40000 ALTER TABLE `we``ird ``` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Table structure for table `über, ünï`
--

DROP TABLE IF EXISTS `über, ünï`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!50503 SET character_set_client = utf8mb4 */;
CREATE TABLE `über, ünï` (
  `ü` int DEFAULT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci COMMENT='it''s\n-- Dump completed';
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `über, ünï`
--

LOCK TABLES `über, ünï` WRITE;
/*!40000 ALTER TABLE `über, ünï` DISABLE KEYS */;
INSERT INTO `über, ünï` VALUES (1);
/*!40000 ALTER TABLE `über, ünï` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Dumping events for database 'corners'
--
/*!50106 SET @save_time_zone= @@TIME_ZONE */ ;
/*!50106 DROP EVENT IF EXISTS `EVENT of ``TRIGGER``` */;
DELIMITER ;;
/*!50003 SET @saved_cs_client      = @@character_set_client */ ;;
/*!50003 SET @saved_cs_results     = @@character_set_results */ ;;
/*!50003 SET @saved_col_connection = @@collation_connection */ ;;
/*!50003 SET character_set_client  = utf8mb4 */ ;;
/*!50003 SET character_set_results = utf8mb4 */ ;;
/*!50003 SET collation_connection  = utf8mb4_0900_ai_ci */ ;;
/*!50003 SET @saved_sql_mode       = @@sql_mode */ ;;
/*!50003 SET sql_mode              = 'ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION' */ ;;
/*!50003 SET @saved_time_zone      = @@time_zone */ ;;
/*!50003 SET time_zone             = 'SYSTEM' */ ;;
/*!50106 CREATE*/ /*!50117 DEFINER=`root`@`localhost`*/ /*!50106 EVENT `EVENT of ``TRIGGER``` ON SCHEDULE EVERY 1 DAY STARTS '2037-01-01 00:00:00' ON COMPLETION NOT PRESERVE ENABLE DO SELECT 1 */ ;;
/*!50003 SET time_zone             = @saved_time_zone */ ;;
/*!50003 SET sql_mode              = @saved_sql_mode */ ;;
/*!50003 SET character_set_client  = @saved_cs_client */ ;;
/*!50003 SET character_set_results = @saved_cs_results */ ;;
/*!50003 SET collation_connection  = @saved_col_connection */ ;;
DELIMITER ;
/*!50106 SET TIME_ZONE= @save_time_zone */ ;

--
-- Dumping routines for database 'corners'
--
/*!50003 DROP FUNCTION IF EXISTS `function_of_trigger` */;
/*!50003 SET @saved_cs_client      = @@character_set_client */ ;
/*!50003 SET @saved_cs_results     = @@character_set_results */ ;
/*!50003 SET @saved_col_connection = @@collation_connection */ ;
/*!50003 SET character_set_client  = utf8mb4 */ ;
/*!50003 SET character_set_results = utf8mb4 */ ;
/*!50003 SET collation_connection  = utf8mb4_0900_ai_ci */ ;
/*!50003 SET @saved_sql_mode       = @@sql_mode */ ;
/*!50003 SET sql_mode              = 'ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION' */ ;
DELIMITER ;;
CREATE DEFINER=`root`@`localhost` FUNCTION `function_of_trigger`() RETURNS int
    DETERMINISTIC
RETURN 1 ;;
DELIMITER ;
/*!50003 SET sql_mode              = @saved_sql_mode */ ;
/*!50003 SET character_set_client  = @saved_cs_client */ ;
/*!50003 SET character_set_results = @saved_cs_results */ ;
/*!50003 SET collation_connection  = @saved_col_connection */ ;
/*!50003 DROP PROCEDURE IF EXISTS `an"si ``quoted``` */;
/*!50003 SET @saved_cs_client      = @@character_set_client */ ;
/*!50003 SET @saved_cs_results     = @@character_set_results */ ;
/*!50003 SET @saved_col_connection = @@collation_connection */ ;
/*!50003 SET character_set_client  = utf8mb4 */ ;
/*!50003 SET character_set_results = utf8mb4 */ ;
/*!50003 SET collation_connection  = utf8mb4_0900_ai_ci */ ;
/*!50003 SET @saved_sql_mode       = @@sql_mode */ ;
/*!50003 SET sql_mode              = 'ANSI_QUOTES' */ ;
DELIMITER ;;
CREATE DEFINER="root"@"localhost" PROCEDURE "an""si `quoted`"()
SELECT "x" FROM (SELECT 1 AS "x") AS "y" ;;
DELIMITER ;
/*!50003 SET sql_mode              = @saved_sql_mode */ ;
/*!50003 SET character_set_client  = @saved_cs_client */ ;
/*!50003 SET character_set_results = @saved_cs_results */ ;
/*!50003 SET collation_connection  = @saved_col_connection */ ;
/*!50003 DROP PROCEDURE IF EXISTS `bare` */;
/*!50003 SET @saved_cs_client      = @@character_set_client */ ;
/*!50003 SET @saved_cs_results     = @@character_set_results */ ;
/*!50003 SET @saved_col_connection = @@collation_connection */ ;
/*!50003 SET character_set_client  = utf8mb4 */ ;
/*!50003 SET character_set_results = utf8mb4 */ ;
/*!50003 SET collation_connection  = utf8mb4_0900_ai_ci */ ;
/*!50003 SET @saved_sql_mode       = @@sql_mode */ ;
/*!50003 SET sql_mode              = 'ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION' */ ;
DELIMITER ;;
CREATE DEFINER=`root`@`localhost` PROCEDURE `bare`()
SELECT 1 ;;
DELIMITER ;
/*!50003 SET sql_mode              = @saved_sql_mode */ ;
/*!50003 SET character_set_client  = @saved_cs_client */ ;
/*!50003 SET character_set_results = @saved_cs_results */ ;
/*!50003 SET collation_connection  = @saved_col_connection */ ;
/*!50003 DROP PROCEDURE IF EXISTS `commented` */;
/*!50003 SET @saved_cs_client      = @@character_set_client */ ;
/*!50003 SET @saved_cs_results     = @@character_set_results */ ;
/*!50003 SET @saved_col_connection = @@collation_connection */ ;
/*!50003 SET character_set_client  = utf8mb4 */ ;
/*!50003 SET character_set_results = utf8mb4 */ ;
/*!50003 SET collation_connection  = utf8mb4_0900_ai_ci */ ;
/*!50003 SET @saved_sql_mode       = @@sql_mode */ ;
/*!50003 SET sql_mode              = 'ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION' */ ;
DELIMITER ;;
CREATE DEFINER=`root`@`localhost` PROCEDURE `commented`()
SELECT 2 ;;
DELIMITER ;
/*!50003 SET sql_mode              = @saved_sql_mode */ ;
/*!50003 SET character_set_client  = @saved_cs_client */ ;
/*!50003 SET character_set_results = @saved_cs_results */ ;
/*!50003 SET collation_connection  = @saved_col_connection */ ;
/*!50003 DROP PROCEDURE IF EXISTS `pro``c TRIGGER x` */;
/*!50003 SET @saved_cs_client      = @@character_set_client */ ;
/*!50003 SET @saved_cs_results     = @@character_set_results */ ;
/*!50003 SET @saved_col_connection = @@collation_connection */ ;
/*!50003 SET character_set_client  = utf8mb4 */ ;
/*!50003 SET character_set_results = utf8mb4 */ ;
/*!50003 SET collation_connection  = utf8mb4_0900_ai_ci */ ;
/*!50003 SET @saved_sql_mode       = @@sql_mode */ ;
/*!50003 SET sql_mode              = 'ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION' */ ;
DELIMITER ;;
CREATE DEFINER=`root`@`localhost` PROCEDURE `pro``c TRIGGER x`()
    COMMENT 'FUNCTION `not_me`'
BEGIN
  SELECT '
DELIMITER ;
CREATE FUNCTION `ghost3`() RETURNS INT
DELIMITER ;;
';
END ;;
DELIMITER ;
/*!50003 SET sql_mode              = @saved_sql_mode */ ;
/*!50003 SET character_set_client  = @saved_cs_client */ ;
/*!50003 SET character_set_results = @saved_cs_results */ ;
/*!50003 SET collation_connection  = @saved_col_connection */ ;

--
-- Current Database: `corners`
--

USE `corners`;

--
-- Final view structure for view `VIEW ``v```
--

/*!50001 DROP VIEW IF EXISTS `VIEW ``v```*/;
/*!50001 SET @saved_cs_client          = @@character_set_client */;
/*!50001 SET @saved_cs_results         = @@character_set_results */;
/*!50001 SET @saved_col_connection     = @@collation_connection */;
/*!50001 SET character_set_client      = utf8mb4 */;
/*!50001 SET character_set_results     = utf8mb4 */;
/*!50001 SET collation_connection      = utf8mb4_0900_ai_ci */;
/*!50001 CREATE ALGORITHM=UNDEFINED */
/*!50013 DEFINER=`root`@`localhost` SQL SECURITY DEFINER */
/*!50001 VIEW `VIEW ``v``` AS select `we``ird ```.`id` AS `id` from `we``ird ``` */;
/*!50001 SET character_set_client      = @saved_cs_client */;
/*!50001 SET character_set_results     = @saved_cs_results */;
/*!50001 SET collation_connection      = @saved_col_connection */;

--
-- Final view structure for view `of views`
--

/*!50001 DROP VIEW IF EXISTS `of views`*/;
/*!50001 SET @saved_cs_client          = @@character_set_client */;
/*!50001 SET @saved_cs_results         = @@character_set_results */;
/*!50001 SET @saved_col_connection     = @@collation_connection */;
/*!50001 SET character_set_client      = utf8mb4 */;
/*!50001 SET character_set_results     = utf8mb4 */;
/*!50001 SET collation_connection      = utf8mb4_0900_ai_ci */;
/*!50001 CREATE ALGORITHM=UNDEFINED */
/*!50013 DEFINER=`root`@`localhost` SQL SECURITY DEFINER */
/*!50001 VIEW `of views` AS select `VIEW ``v```.`id` AS `id` from `VIEW ``v``` */;
/*!50001 SET character_set_client      = @saved_cs_client */;
/*!50001 SET character_set_results     = @saved_cs_results */;
/*!50001 SET collation_connection      = @saved_col_connection */;
/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */;

/*!40101 SET SQL_MODE=@OLD_SQL_MODE */;
/*!40014 SET FOREIGN_KEY_CHECKS=@OLD_FOREIGN_KEY_CHECKS */;
/*!40014 SET UNIQUE_CHECKS=@OLD_UNIQUE_CHECKS */;
/*!40101 SET CHARACTER_SET_CLIENT=@OLD_CHARACTER_SET_CLIENT */;
/*!40101 SET CHARACTER_SET_RESULTS=@OLD_CHARACTER_SET_RESULTS */;
/*!40101 SET COLLATION_CONNECTION=@OLD_COLLATION_CONNECTION */;
/*!40111 SET SQL_NOTES=@OLD_SQL_NOTES */;

-- Dump completed on 2026-11-23  4:15:07
