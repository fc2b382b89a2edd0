/*M!999999\- enable the sandbox mode */ 
-- MariaDB dump 10.19  Distrib 10.11.19-MariaDB, for debian-linux-gnu (x86_64)
--
-- Host: localhost    Database: agama
-- ------------------------------------------------------
-- Server version	10.11.19-MariaDB-0+deb12u1

/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */;
/*!40101 SET @OLD_CHARACTER_SET_RESULTS=@@CHARACTER_SET_RESULTS */;
/*!40101 SET @OLD_COLLATION_CONNECTION=@@COLLATION_CONNECTION */;
/*!40101 SET NAMES utf8mb4 */;
/*!40103 SET @OLD_TIME_ZONE=@@TIME_ZONE */;
/*!40103 SET TIME_ZONE='+00:00' */;
/*!40014 SET @OLD_UNIQUE_CHECKS=@@UNIQUE_CHECKS, UNIQUE_CHECKS=0 */;
/*!40014 SET @OLD_FOREIGN_KEY_CHECKS=@@FOREIGN_KEY_CHECKS, FOREIGN_KEY_CHECKS=0 */;
/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */;
/*!40111 SET @OLD_SQL_NOTES=@@SQL_NOTES, SQL_NOTES=0 */;

--
-- Current Database: `agama`
--

CREATE DATABASE /*!32312 IF NOT EXISTS*/ `agama` /*!40100 DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci */;

USE `agama`;

--
-- Sequence structure for `ticket`
--

DROP SEQUENCE IF EXISTS `ticket`;
CREATE SEQUENCE `ticket` start with 1000 minvalue 1 maxvalue 9223372036854775806 increment by 5 cache 20 nocycle ENGINE=InnoDB;
DO SETVAL(`ticket`, 1100, 0);

--
-- Table structure for table `audit`
--

DROP TABLE IF EXISTS `audit`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `audit` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  `what` varchar(200) NOT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB AUTO_INCREMENT=3 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `audit`
--

LOCK TABLES `audit` WRITE;
/*!40000 ALTER TABLE `audit` DISABLE KEYS */;
INSERT INTO `audit` VALUES
(1,'first'),
(2,'longlonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglong');
/*!40000 ALTER TABLE `audit` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Temporary table structure for view `big_purchase`
--

DROP TABLE IF EXISTS `big_purchase`;
/*!50001 DROP VIEW IF EXISTS `big_purchase`*/;
SET @saved_cs_client     = @@character_set_client;
SET character_set_client = utf8mb4;
/*!50001 CREATE VIEW `big_purchase` AS SELECT
 NULL AS `id`,
 NULL AS `name`,
 NULL AS `total` */;
SET character_set_client = @saved_cs_client;

--
-- Temporary table structure for view `big_summary`
--

DROP TABLE IF EXISTS `big_summary`;
/*!50001 DROP VIEW IF EXISTS `big_summary`*/;
SET @saved_cs_client     = @@character_set_client;
SET character_set_client = utf8mb4;
/*!50001 CREATE VIEW `big_summary` AS SELECT
 NULL AS `name`,
 NULL AS `count`,
 NULL AS `sum` */;
SET character_set_client = @saved_cs_client;

--
-- Table structure for table `customer`
--

DROP TABLE IF EXISTS `customer`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `customer` (
  `id` int(10) unsigned NOT NULL AUTO_INCREMENT,
  `name` varchar(120) NOT NULL,
  `email` varchar(190) DEFAULT NULL COMMENT 'may hold "quotes", ''apostrophes'' and a ; semicolon',
  `joined` datetime(6) NOT NULL,
  `rating` double DEFAULT NULL,
  `flags` bit(9) NOT NULL DEFAULT b'0',
  `kind` enum('person','company','o''dd') NOT NULL DEFAULT 'person',
  `profile` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL CHECK (json_valid(`profile`)),
  PRIMARY KEY (`id`),
  UNIQUE KEY `email` (`email`),
  KEY `name` (`name`(40)),
  FULLTEXT KEY `words` (`name`)
) ENGINE=InnoDB AUTO_INCREMENT=3 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci COMMENT='CREATE TABLE `not_a_table` (';
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `customer`
--

LOCK TABLES `customer` WRITE;
/*!40000 ALTER TABLE `customer` DISABLE KEYS */;
INSERT INTO `customer` VALUES
(1,'Müller 1 🐘 \\ \'n\' \"x\"\n	Šõ','user1@example.org','2024-02-29 12:01:00.123456',0.3333333333333333,0x0001,'o\'dd','{\"n\": 1, \"tags\": [\"a\", \"ü\"], \"deep\": {\"x\": null}}'),
(2,'Müller 2 🐘 \\ \'n\' \"x\"\n	Šõ','user2@example.org','2024-02-29 12:02:00.123456',0.6666666666666666,0x0002,'o\'dd','{\"n\": 2, \"tags\": [\"a\", \"ü\"], \"deep\": {\"x\": null}}');
/*!40000 ALTER TABLE `customer` ENABLE KEYS */;
UNLOCK TABLES;
/*!50003 SET @saved_cs_client      = @@character_set_client */ ;
/*!50003 SET @saved_cs_results     = @@character_set_results */ ;
/*!50003 SET @saved_col_connection = @@collation_connection */ ;
/*!50003 SET character_set_client  = utf8mb4 */ ;
/*!50003 SET character_set_results = utf8mb4 */ ;
/*!50003 SET collation_connection  = utf8mb4_general_ci */ ;
/*!50003 SET @saved_sql_mode       = @@sql_mode */ ;
/*!50003 SET sql_mode              = 'STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_AUTO_CREATE_USER,NO_ENGINE_SUBSTITUTION' */ ;
DELIMITER ;;
/*!50003 CREATE*/ /*!50017 DEFINER=`agama_owner`@`localhost`*/ /*!50003 TRIGGER `customer_gone` AFTER DELETE ON `customer` FOR EACH ROW
BEGIN
  INSERT INTO `audit` (`what`) VALUES (CONCAT('gone: ', OLD.`name`));
END 
*/;;
DELIMITER ;
/*!50003 SET sql_mode              = @saved_sql_mode */ ;
/*!50003 SET character_set_client  = @saved_cs_client */ ;
/*!50003 SET character_set_results = @saved_cs_results */ ;
/*!50003 SET collation_connection  = @saved_col_connection */ ;

--
-- Table structure for table `empty`
--

DROP TABLE IF EXISTS `empty`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `empty` (
  `id` int(11) NOT NULL,
  `parent` int(11) DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `empty_self` (`parent`),
  CONSTRAINT `empty_self` FOREIGN KEY (`parent`) REFERENCES `empty` (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `empty`
--

LOCK TABLES `empty` WRITE;
/*!40000 ALTER TABLE `empty` DISABLE KEYS */;
/*!40000 ALTER TABLE `empty` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Table structure for table `measure`
--

DROP TABLE IF EXISTS `measure`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `measure` (
  `day` date NOT NULL,
  `value` int(11) NOT NULL,
  PRIMARY KEY (`day`,`value`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci
 PARTITION BY RANGE (year(`day`))
(PARTITION `p2024` VALUES LESS THAN (2025) ENGINE = InnoDB,
 PARTITION `p2025` VALUES LESS THAN (2026) ENGINE = InnoDB,
 PARTITION `rest` VALUES LESS THAN MAXVALUE ENGINE = InnoDB);
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `measure`
--

LOCK TABLES `measure` WRITE;
/*!40000 ALTER TABLE `measure` DISABLE KEYS */;
INSERT INTO `measure` VALUES
('2024-03-01',0),
('2024-03-01',4),
('2024-03-01',8),
('2024-03-01',12),
('2024-03-01',16),
('2024-03-01',20),
('2024-03-01',24),
('2024-03-01',28),
('2024-03-01',32),
('2024-03-01',36),
('2025-03-01',1),
('2025-03-01',5),
('2025-03-01',9),
('2025-03-01',13),
('2025-03-01',17),
('2025-03-01',21),
('2025-03-01',25),
('2025-03-01',29),
('2025-03-01',33),
('2025-03-01',37),
('2026-03-01',2),
('2026-03-01',6),
('2026-03-01',10),
('2026-03-01',14),
('2026-03-01',18),
('2026-03-01',22),
('2026-03-01',26),
('2026-03-01',30),
('2026-03-01',34),
('2026-03-01',38),
('2027-03-01',3),
('2027-03-01',7),
('2027-03-01',11),
('2027-03-01',15),
('2027-03-01',19),
('2027-03-01',23),
('2027-03-01',27),
('2027-03-01',31),
('2027-03-01',35),
('2027-03-01',39);
/*!40000 ALTER TABLE `measure` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Table structure for table `no key`
--

DROP TABLE IF EXISTS `no key`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `no key` (
  `a` int(11) DEFAULT NULL,
  `b` varchar(20) DEFAULT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `no key`
--

LOCK TABLES `no key` WRITE;
/*!40000 ALTER TABLE `no key` DISABLE KEYS */;
INSERT INTO `no key` VALUES
(1,'x'),
(1,'x'),
(NULL,NULL),
(2,'NULL');
/*!40000 ALTER TABLE `no key` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Table structure for table `odd ``name$ 'of' "it"; --`
--

DROP TABLE IF EXISTS `odd ``name$ 'of' "it"; --`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `odd ``name$ 'of' "it"; --` (
  `select` int(11) NOT NULL,
  `order by` varchar(30) DEFAULT NULL,
  `key``s` varbinary(16) DEFAULT NULL,
  PRIMARY KEY (`select`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `odd ``name$ 'of' "it"; --`
--

LOCK TABLES `odd ``name$ 'of' "it"; --` WRITE;
/*!40000 ALTER TABLE `odd ``name$ 'of' "it"; --` DISABLE KEYS */;
INSERT INTO `odd ``name$ 'of' "it"; --` VALUES
(1,'-- Dump completed',0x0001FF0A0D),
(2,NULL,NULL),
(3,'','');
/*!40000 ALTER TABLE `odd ``name$ 'of' "it"; --` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Table structure for table `only_mariadb`
--

DROP TABLE IF EXISTS `only_mariadb`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `only_mariadb` (
  `id` uuid NOT NULL,
  `ip` inet6 DEFAULT NULL,
  `hidden` int(11) INVISIBLE DEFAULT 7,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `only_mariadb`
--

LOCK TABLES `only_mariadb` WRITE;
/*!40000 ALTER TABLE `only_mariadb` DISABLE KEYS */;
INSERT INTO `only_mariadb` (`id`, `ip`, `hidden`) VALUES ('123e4567-e89b-12d3-a456-426655440000','2001:db8::1',7);
/*!40000 ALTER TABLE `only_mariadb` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Table structure for table `place`
--

DROP TABLE IF EXISTS `place`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `place` (
  `id` int(11) NOT NULL,
  `spot` point NOT NULL,
  `note` text DEFAULT NULL,
  PRIMARY KEY (`id`),
  SPATIAL KEY `spot` (`spot`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `place`
--

LOCK TABLES `place` WRITE;
/*!40000 ALTER TABLE `place` DISABLE KEYS */;
INSERT INTO `place` VALUES
(1,0x0000000001010000003333333333B338403333333333B34D40,'Tallinn'),
(2,0x000000000101000000000000000000F8BF0000000000000000,NULL);
/*!40000 ALTER TABLE `place` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Table structure for table `purchase`
--

DROP TABLE IF EXISTS `purchase`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `purchase` (
  `id` bigint(20) NOT NULL AUTO_INCREMENT,
  `customer_id` int(10) unsigned NOT NULL,
  `quantity` int(11) NOT NULL,
  `price` decimal(12,2) NOT NULL,
  `total` decimal(14,2) GENERATED ALWAYS AS (`quantity` * `price`) STORED,
  `doubled` int(11) GENERATED ALWAYS AS (`quantity` * 2) VIRTUAL,
  `payload` blob DEFAULT NULL,
  `changed` timestamp NOT NULL DEFAULT current_timestamp(),
  PRIMARY KEY (`id`),
  KEY `customer_id` (`customer_id`),
  KEY `total` (`total`),
  CONSTRAINT `purchase_customer` FOREIGN KEY (`customer_id`) REFERENCES `customer` (`id`) ON DELETE CASCADE,
  CONSTRAINT `quantity_positive` CHECK (`quantity` > 0)
) ENGINE=InnoDB AUTO_INCREMENT=21 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `purchase`
--

LOCK TABLES `purchase` WRITE;
/*!40000 ALTER TABLE `purchase` DISABLE KEYS */;
INSERT INTO `purchase` VALUES
(1,2,2,5306.19,10612.38,4,0x000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F202122232425262728292A2B2C2D2E2F303132333435363738393A3B3C3D3E3F404142434445464748494A4B4C4D4E4F505152535455565758595A5B5C5D5E5F606162636465666768696A6B6C6D6E6F707172737475767778797A7B7C7D7E7F808182838485868788898A8B8C8D8E8F909192939495969798999A9B9C9D9E9FA0A1A2A3A4A5A6A7A8A9AAABACADAEAFB0B1B2B3B4B5B6B7B8B9BABBBCBDBEBFC0C1C2C3C4C5C6C7C8C9CACBCCCDCECFD0D1D2D3D4D5D6D7D8D9DADBDCDDDEDFE0E1E2E3E4E5E6E7E8E9EAEBECEDEEEFF0F1F2F3F4F5F6F7F8F9FAFBFCFDFEFF,'2025-06-01 00:00:00'),
(2,1,3,8314.27,24942.81,6,0x0E27136550A4A3A6D07F5C0C332F8B1224083FD22B902F8911E81818F8C99D5D5D9831957504D90E,'2025-06-01 00:00:00'),
(3,2,4,9265.15,37060.60,8,0xD85099095AA300165A67036F9B540D6B8F0BE21124179C3DD9F73817CE6E118D264AAD6CB6DD210F,'2025-06-01 00:00:00'),
(4,1,5,813.28,4066.40,10,0x5D108CF25930263938B370A1B5769FA0F1483F95A90D9DF2F130D60FCF04BD93F50AE69514DA8C65,'2025-06-01 00:00:00'),
(5,2,6,5055.71,30334.26,12,0xB0D7EC0B3E97818ECB96C4DBADBE172296D5234A42B24C6BA4E6ED24EC636A8AC0A1271E58662792,'2025-06-01 00:00:00'),
(6,1,7,8975.91,62831.37,14,0x2FA8EDD094BA97AE8B15442EE2DB611A91BFE39469733A9247D58FA3C55018300372555FD235F118,'2025-06-01 00:00:00'),
(7,2,8,5147.59,41180.72,16,0x37F01210C3707A90B405420FB169779EDFB5B9342405157F54B12EAE62D11E887EB0766D1877F8C6,'2025-06-01 00:00:00'),
(8,1,9,4000.10,36000.90,18,0xD161E79587A766EC30E4037458A9905CAD87BD4C77E2983F27745CCB9A31052E944CF1B220EAA2C7,'2025-06-01 00:00:00'),
(9,2,1,1200.15,1200.15,2,0xAF6E0D935520DD4C2147738606F2BF7EC70209E0CD05EE5720EDBCBA3ACCE672084AB649FCBCE49B,'2025-06-01 00:00:00'),
(10,1,2,1272.97,2545.94,4,0xBC070E83E8180A6BD4F43A2AFFFCD3C12EF890575575E826E2CBEAEE82AF2C7D696CF46B977C090A,'2025-06-01 00:00:00'),
(11,2,3,9144.73,27434.19,6,0x000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F202122232425262728292A2B2C2D2E2F303132333435363738393A3B3C3D3E3F404142434445464748494A4B4C4D4E4F505152535455565758595A5B5C5D5E5F606162636465666768696A6B6C6D6E6F707172737475767778797A7B7C7D7E7F808182838485868788898A8B8C8D8E8F909192939495969798999A9B9C9D9E9FA0A1A2A3A4A5A6A7A8A9AAABACADAEAFB0B1B2B3B4B5B6B7B8B9BABBBCBDBEBFC0C1C2C3C4C5C6C7C8C9CACBCCCDCECFD0D1D2D3D4D5D6D7D8D9DADBDCDDDEDFE0E1E2E3E4E5E6E7E8E9EAEBECEDEEEFF0F1F2F3F4F5F6F7F8F9FAFBFCFDFEFF,'2025-06-01 00:00:00'),
(12,1,4,7475.08,29900.32,8,0x5E1302CA57501FE0CA9A7FD1CCC15150424212578FE0FEB17B4AA559CD9F28984B14267F1B037494,'2025-06-01 00:00:00'),
(13,2,5,5073.82,25369.10,10,0xFE2008D737E8F517D69ED6F181BD1A4529825E79455971B21AE105AAB2D6A3100B08880F0F422DBB,'2025-06-01 00:00:00'),
(14,1,6,5686.02,34116.12,12,0xB348F4930B893BFE338F65AEA5A969D270831572AF40DB4852EB74B74F3AC362881215E31ED32CAB,'2025-06-01 00:00:00'),
(15,2,7,4710.16,32971.12,14,0x3558CEF092A9317629B2FF5AE637052B3839659C78FDF91D0AAA627E00A3170FFB76DC37C1EAAAC4,'2025-06-01 00:00:00'),
(16,1,8,6581.70,52653.60,16,0xE66105BD83AF633F509FDC659C471564D277B4EAB08215DF3C101B7FE7F9A0141AFB962A02F2FD72,'2025-06-01 00:00:00'),
(17,2,9,5879.87,52918.83,18,0x1F772047597125E27E970D23D952BCD1B0AA366E09162EDD5F30DB8C4D9A46473A6AD6B44DDF506A,'2025-06-01 00:00:00'),
(18,1,1,3823.01,3823.01,2,0x05765AE2C99964615DDF2DF5FF87123BBDC0A2262A7C3E15F09A1C2DBD7DBB267686613B898C94A8,'2025-06-01 00:00:00'),
(19,2,2,6050.78,12101.56,4,0x7F84267C2E8CC2D45FCCD096CF05AE2EC55C4343BC9C2C4859470C014E0C4B25EF13406B01F4DA88,'2025-06-01 00:00:00'),
(20,1,3,885.58,2656.74,6,0x11BDFB90F5889051C039FEF3263620202D31C4B0B2A8F4DB163FF7837AE041F3F48E1A9EC2E1ABA7,'2025-06-01 00:00:00');
/*!40000 ALTER TABLE `purchase` ENABLE KEYS */;
UNLOCK TABLES;
/*!50003 SET @saved_cs_client      = @@character_set_client */ ;
/*!50003 SET @saved_cs_results     = @@character_set_results */ ;
/*!50003 SET @saved_col_connection = @@collation_connection */ ;
/*!50003 SET character_set_client  = utf8mb4 */ ;
/*!50003 SET character_set_results = utf8mb4 */ ;
/*!50003 SET collation_connection  = utf8mb4_general_ci */ ;
/*!50003 SET @saved_sql_mode       = @@sql_mode */ ;
/*!50003 SET sql_mode              = 'STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_AUTO_CREATE_USER,NO_ENGINE_SUBSTITUTION' */ ;
DELIMITER ;;
/*!50003 CREATE*/ /*!50017 DEFINER=`agama_owner`@`localhost`*/ /*!50003 TRIGGER `purchase_check` BEFORE INSERT ON `purchase` FOR EACH ROW
  SET NEW.`payload` = IFNULL(NEW.`payload`, 'trigger ran') 
*/;;
DELIMITER ;
/*!50003 SET sql_mode              = @saved_sql_mode */ ;
/*!50003 SET character_set_client  = @saved_cs_client */ ;
/*!50003 SET character_set_results = @saved_cs_results */ ;
/*!50003 SET collation_connection  = @saved_col_connection */ ;

--
-- Dumping events for database 'agama'
--
/*!50106 SET @save_time_zone= @@TIME_ZONE */ ;
/*!50106 DROP EVENT IF EXISTS `nightly` */;
DELIMITER ;;
/*!50003 SET @saved_cs_client      = @@character_set_client */ ;;
/*!50003 SET @saved_cs_results     = @@character_set_results */ ;;
/*!50003 SET @saved_col_connection = @@collation_connection */ ;;
/*!50003 SET character_set_client  = utf8mb4 */ ;;
/*!50003 SET character_set_results = utf8mb4 */ ;;
/*!50003 SET collation_connection  = utf8mb4_general_ci */ ;;
/*!50003 SET @saved_sql_mode       = @@sql_mode */ ;;
/*!50003 SET sql_mode              = 'STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_AUTO_CREATE_USER,NO_ENGINE_SUBSTITUTION' */ ;;
/*!50003 SET @saved_time_zone      = @@time_zone */ ;;
/*!50003 SET time_zone             = 'SYSTEM' */ ;;
/*!50106 CREATE*/ /*!50117 DEFINER=`agama_owner`@`localhost`*/ /*!50106 EVENT `nightly` ON SCHEDULE EVERY 1 DAY STARTS '2037-01-01 00:00:00' ON COMPLETION PRESERVE ENABLE COMMENT 'never in a test' DO CALL `tidy up`(30) 
*/ ;;
/*!50003 SET time_zone             = @saved_time_zone */ ;;
/*!50003 SET sql_mode              = @saved_sql_mode */ ;;
/*!50003 SET character_set_client  = @saved_cs_client */ ;;
/*!50003 SET character_set_results = @saved_cs_results */ ;;
/*!50003 SET collation_connection  = @saved_col_connection */ ;;
/*!50106 DROP EVENT IF EXISTS `switched off` */;;
DELIMITER ;;
/*!50003 SET @saved_cs_client      = @@character_set_client */ ;;
/*!50003 SET @saved_cs_results     = @@character_set_results */ ;;
/*!50003 SET @saved_col_connection = @@collation_connection */ ;;
/*!50003 SET character_set_client  = utf8mb4 */ ;;
/*!50003 SET character_set_results = utf8mb4 */ ;;
/*!50003 SET collation_connection  = utf8mb4_general_ci */ ;;
/*!50003 SET @saved_sql_mode       = @@sql_mode */ ;;
/*!50003 SET sql_mode              = 'STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_AUTO_CREATE_USER,NO_ENGINE_SUBSTITUTION' */ ;;
/*!50003 SET @saved_time_zone      = @@time_zone */ ;;
/*!50003 SET time_zone             = 'SYSTEM' */ ;;
/*!50106 CREATE*/ /*!50117 DEFINER=`agama_owner`@`localhost`*/ /*!50106 EVENT `switched off` ON SCHEDULE AT '2037-01-01 00:00:00' ON COMPLETION NOT PRESERVE DISABLE DO DELETE FROM `audit` 
*/ ;;
/*!50003 SET time_zone             = @saved_time_zone */ ;;
/*!50003 SET sql_mode              = @saved_sql_mode */ ;;
/*!50003 SET character_set_client  = @saved_cs_client */ ;;
/*!50003 SET character_set_results = @saved_cs_results */ ;;
/*!50003 SET collation_connection  = @saved_col_connection */ ;;
DELIMITER ;
/*!50106 SET TIME_ZONE= @save_time_zone */ ;

--
-- Dumping routines for database 'agama'
--
/*!50003 SET @saved_sql_mode       = @@sql_mode */ ;
/*!50003 SET sql_mode              = 'STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_AUTO_CREATE_USER,NO_ENGINE_SUBSTITUTION' */ ;
/*!50003 DROP FUNCTION IF EXISTS `with_tax` */;
/*!50003 SET @saved_cs_client      = @@character_set_client */ ;
/*!50003 SET @saved_cs_results     = @@character_set_results */ ;
/*!50003 SET @saved_col_connection = @@collation_connection */ ;
/*!50003 SET character_set_client  = utf8mb4 */ ;
/*!50003 SET character_set_results = utf8mb4 */ ;
/*!50003 SET collation_connection  = utf8mb4_general_ci */ ;
DELIMITER ;;
CREATE DEFINER=`agama_owner`@`localhost` FUNCTION `with_tax`(`net` DECIMAL(12,2)) RETURNS decimal(12,2)
    NO SQL
    DETERMINISTIC
BEGIN
  RETURN ROUND(`net` * 1.24, 2);
END
;;
DELIMITER ;
/*!50003 SET sql_mode              = @saved_sql_mode */ ;
/*!50003 SET character_set_client  = @saved_cs_client */ ;
/*!50003 SET character_set_results = @saved_cs_results */ ;
/*!50003 SET collation_connection  = @saved_col_connection */ ;
/*!50003 SET @saved_sql_mode       = @@sql_mode */ ;
/*!50003 SET sql_mode              = 'STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_AUTO_CREATE_USER,NO_ENGINE_SUBSTITUTION' */ ;
/*!50003 DROP PROCEDURE IF EXISTS `tidy up` */;
/*!50003 SET @saved_cs_client      = @@character_set_client */ ;
/*!50003 SET @saved_cs_results     = @@character_set_results */ ;
/*!50003 SET @saved_col_connection = @@collation_connection */ ;
/*!50003 SET character_set_client  = utf8mb4 */ ;
/*!50003 SET character_set_results = utf8mb4 */ ;
/*!50003 SET collation_connection  = utf8mb4_general_ci */ ;
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
END
;;
DELIMITER ;
/*!50003 SET sql_mode              = @saved_sql_mode */ ;
/*!50003 SET character_set_client  = @saved_cs_client */ ;
/*!50003 SET character_set_results = @saved_cs_results */ ;
/*!50003 SET collation_connection  = @saved_col_connection */ ;

--
-- Current Database: `agama`
--

USE `agama`;

--
-- Final view structure for view `big_purchase`
--

/*!50001 DROP VIEW IF EXISTS `big_purchase`*/;
/*!50001 SET @saved_cs_client          = @@character_set_client */;
/*!50001 SET @saved_cs_results         = @@character_set_results */;
/*!50001 SET @saved_col_connection     = @@collation_connection */;
/*!50001 SET character_set_client      = utf8mb4 */;
/*!50001 SET character_set_results     = utf8mb4 */;
/*!50001 SET collation_connection      = utf8mb4_general_ci */;
/*!50001 CREATE ALGORITHM=UNDEFINED */
/*!50013 DEFINER=`agama_owner`@`localhost` SQL SECURITY DEFINER */
/*!50001 VIEW `big_purchase` AS select `p`.`id` AS `id`,`c`.`name` AS `name`,`p`.`total` AS `total` from (`purchase` `p` join `customer` `c` on(`c`.`id` = `p`.`customer_id`)) where `p`.`total` > 50 */;
/*!50001 SET character_set_client      = @saved_cs_client */;
/*!50001 SET character_set_results     = @saved_cs_results */;
/*!50001 SET collation_connection      = @saved_col_connection */;

--
-- Final view structure for view `big_summary`
--

/*!50001 DROP VIEW IF EXISTS `big_summary`*/;
/*!50001 SET @saved_cs_client          = @@character_set_client */;
/*!50001 SET @saved_cs_results         = @@character_set_results */;
/*!50001 SET @saved_col_connection     = @@collation_connection */;
/*!50001 SET character_set_client      = utf8mb4 */;
/*!50001 SET character_set_results     = utf8mb4 */;
/*!50001 SET collation_connection      = utf8mb4_general_ci */;
/*!50001 CREATE ALGORITHM=UNDEFINED */
/*!50013 DEFINER=`agama_owner`@`localhost` SQL SECURITY DEFINER */
/*!50001 VIEW `big_summary` AS select `big_purchase`.`name` AS `name`,count(0) AS `count`,sum(`big_purchase`.`total`) AS `sum` from `big_purchase` group by `big_purchase`.`name` */;
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

-- Dump completed on 2026-11-23  4:15:01
