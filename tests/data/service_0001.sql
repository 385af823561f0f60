BEGIN TRANSACTION;
CREATE TABLE account (
	person VARCHAR(32) NOT NULL, 
	runs FLOAT, 
	seconds FLOAT, 
	money FLOAT, 
	volume FLOAT, 
	PRIMARY KEY (person), 
	FOREIGN KEY(person) REFERENCES person (id)
);
INSERT INTO "account" VALUES('u_f63cc67b27b6f5aecf7d',94.0,4.95909999999999854484e+03,3.25100000000000033395e+00,NULL);
INSERT INTO "account" VALUES('u_35e2a5867326c4c8669f',NULL,NULL,NULL,NULL);
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE answer (
	person VARCHAR(32) NOT NULL, 
	"key" VARCHAR(80) NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	status INTEGER NOT NULL, 
	body_json TEXT NOT NULL, 
	location VARCHAR(200), 
	at FLOAT NOT NULL, 
	PRIMARY KEY (person, "key")
);
CREATE TABLE approval (
	person VARCHAR(32) NOT NULL, 
	rig VARCHAR(40) NOT NULL, 
	"by" VARCHAR(32) NOT NULL, 
	at FLOAT NOT NULL, 
	PRIMARY KEY (person, rig), 
	FOREIGN KEY(person) REFERENCES person (id), 
	FOREIGN KEY(rig) REFERENCES rig (name)
);
CREATE TABLE campaign (
	id VARCHAR(32) NOT NULL, 
	person VARCHAR(32) NOT NULL, 
	name VARCHAR(80) NOT NULL, 
	rig VARCHAR(40) NOT NULL, 
	mode VARCHAR(6) NOT NULL, 
	words_json TEXT NOT NULL, 
	experiment_json TEXT NOT NULL, 
	state VARCHAR(8) NOT NULL, 
	reason TEXT, 
	proposal_json TEXT, 
	n_before INTEGER NOT NULL, 
	thinker VARCHAR(32), 
	thinker_until FLOAT, 
	created_at FLOAT NOT NULL, 
	number INTEGER NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(person) REFERENCES person (id), 
	FOREIGN KEY(rig) REFERENCES rig (name), 
	UNIQUE (number)
);
CREATE TABLE counter (
	name VARCHAR(16) NOT NULL, 
	value INTEGER NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "counter" VALUES('event',15);
INSERT INTO "counter" VALUES('w_f91133fc4fd6',17);
CREATE TABLE event (
	id INTEGER NOT NULL, 
	person VARCHAR(32) NOT NULL, 
	rig VARCHAR(40), 
	campaign VARCHAR(32), 
	experiment VARCHAR(32), 
	kind VARCHAR(40) NOT NULL, 
	body_json TEXT NOT NULL, 
	at FLOAT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "event" VALUES(1,'u_f63cc67b27b6f5aecf7d','color-1',NULL,'x_65d581af2d779d867992','experiment.queued','{"state": "queued", "settings": {"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}}',1.79552407110461568831e+09);
INSERT INTO "event" VALUES(2,'u_f63cc67b27b6f5aecf7d','color-1',NULL,'x_e2f0a7e351603da165fe','experiment.queued','{"state": "queued", "settings": {"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}}',1.79552407112204337122e+09);
INSERT INTO "event" VALUES(3,'u_f63cc67b27b6f5aecf7d','color-1',NULL,'x_4ad6f0ffc7ace7085c63','experiment.queued','{"state": "queued", "settings": {"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}}',1.79552407112521290781e+09);
INSERT INTO "event" VALUES(4,'u_f63cc67b27b6f5aecf7d','color-1',NULL,'x_4c68a016d51952fdca55','experiment.queued','{"state": "queued", "settings": {"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}}',1.7955240711324989796e+09);
INSERT INTO "event" VALUES(5,'u_f63cc67b27b6f5aecf7d','color-1',NULL,'x_168f92d406fbd751c801','experiment.queued','{"state": "queued", "settings": {"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}}',1.79552407113660216332e+09);
INSERT INTO "event" VALUES(6,'u_f63cc67b27b6f5aecf7d','color-1',NULL,'x_2d0073ec900da09adc34','experiment.queued','{"state": "queued", "settings": {"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}}',1.79552407114055490489e+09);
INSERT INTO "event" VALUES(7,'u_f63cc67b27b6f5aecf7d','mixer-1',NULL,'x_e4e2d0cc37f47f562a2f','experiment.queued','{"state": "queued", "settings": {"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}}',1.7955240711486184597e+09);
INSERT INTO "event" VALUES(8,'u_f63cc67b27b6f5aecf7d','mixer-1',NULL,'x_e4e2d0cc37f47f562a2f','experiment.running','{"state": "running", "settings": {"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}}',1.7955240711638917923e+09);
INSERT INTO "event" VALUES(9,'u_f63cc67b27b6f5aecf7d','mixer-1',NULL,'x_e4e2d0cc37f47f562a2f','experiment.unknown','{"state": "unknown", "settings": {"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}, "error": "its worker was lost in the middle; look at the rig, then submit it again if it should be done again"}',1.79552767116884970672e+09);
INSERT INTO "event" VALUES(10,'u_f63cc67b27b6f5aecf7d','color-1',NULL,'x_65d581af2d779d867992','experiment.running','{"state": "running", "settings": {"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}}',1.79552407118700790402e+09);
INSERT INTO "event" VALUES(11,'u_f63cc67b27b6f5aecf7d','color-1',NULL,'x_e2f0a7e351603da165fe','experiment.running','{"state": "running", "settings": {"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}}',1.79552407118700790402e+09);
INSERT INTO "event" VALUES(12,'u_f63cc67b27b6f5aecf7d','color-1',NULL,'x_4ad6f0ffc7ace7085c63','experiment.running','{"state": "running", "settings": {"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}}',1.79552407118700790402e+09);
INSERT INTO "event" VALUES(13,'u_f63cc67b27b6f5aecf7d','color-1',NULL,'x_65d581af2d779d867992','experiment.succeeded','{"state": "succeeded", "settings": {"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}, "outcomes": {"t_415": 0.5}, "cost": {"seconds": 3.0, "money": 0.0, "volume": 0.0}}',1.79552407118700790402e+09);
INSERT INTO "event" VALUES(14,'u_f63cc67b27b6f5aecf7d','color-1',NULL,'x_e2f0a7e351603da165fe','experiment.failed','{"state": "failed", "settings": {"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}, "error": "the pump jammed", "cost": {"seconds": 99.0, "money": 0.0, "volume": 0.0}}',1.79552407118700790402e+09);
INSERT INTO "event" VALUES(15,'u_f63cc67b27b6f5aecf7d','color-1',NULL,'x_2d0073ec900da09adc34','experiment.aborted','{"state": "aborted", "settings": {"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}, "error": "aborted by Ada"}',1.79552407118700790402e+09);
CREATE TABLE experiment (
	number INTEGER NOT NULL, 
	id VARCHAR(32) NOT NULL, 
	person VARCHAR(32) NOT NULL, 
	rig VARCHAR(40) NOT NULL, 
	campaign VARCHAR(32), 
	trial INTEGER, 
	settings_json TEXT NOT NULL, 
	state VARCHAR(10) NOT NULL, 
	lane INTEGER NOT NULL, 
	tag FLOAT NOT NULL, 
	seconds FLOAT NOT NULL, 
	money FLOAT NOT NULL, 
	volume FLOAT NOT NULL, 
	attempt INTEGER NOT NULL, 
	lease VARCHAR(32), 
	lease_until FLOAT, 
	result_json TEXT, 
	error TEXT, 
	provenance_json TEXT, 
	created_at FLOAT NOT NULL, 
	started_at FLOAT, 
	finished_at FLOAT, 
	PRIMARY KEY (number), 
	FOREIGN KEY(person) REFERENCES person (id), 
	FOREIGN KEY(rig) REFERENCES rig (name), 
	UNIQUE (id)
);
INSERT INTO "experiment" VALUES(1,'x_65d581af2d779d867992','u_f63cc67b27b6f5aecf7d','color-1',NULL,NULL,'{"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}','succeeded',0,0.0,7.1,0.013,3.3,1,'097fd39b8d66c66e',NULL,'{"outcomes": {"t_415": 0.5}, "raw": {}, "cost": {"seconds": 3.0, "money": 0.0, "volume": 0.0}}',NULL,'{"rig": "color-1"}',1.79552407110461568831e+09,1.79552407118700790402e+09,1.79552407118700790402e+09);
INSERT INTO "experiment" VALUES(2,'x_e2f0a7e351603da165fe','u_f63cc67b27b6f5aecf7d','color-1',NULL,NULL,'{"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}','failed',0,7.1,7.1,0.013,3.3,1,'ab8b4bc9fd11f657',NULL,'{"cost": {"seconds": 99.0, "money": 0.0, "volume": 0.0}}','the pump jammed','{}',1.79552407112204337122e+09,1.79552407118700790402e+09,1.79552407118700790402e+09);
INSERT INTO "experiment" VALUES(3,'x_4ad6f0ffc7ace7085c63','u_f63cc67b27b6f5aecf7d','color-1',NULL,NULL,'{"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}','running',0,14.2,7.1,0.013,3.3,1,'91c75c45ad32b724',1.79552410118700790401e+09,NULL,NULL,NULL,1.79552407112521290781e+09,1.79552407118700790402e+09,NULL);
INSERT INTO "experiment" VALUES(4,'x_4c68a016d51952fdca55','u_f63cc67b27b6f5aecf7d','color-1',NULL,NULL,'{"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}','leased',0,2.12999999999999971582e+01,7.1,0.013,3.3,1,'555be8446d7cd227',1.79552410118700790401e+09,NULL,NULL,NULL,1.7955240711324989796e+09,NULL,NULL);
INSERT INTO "experiment" VALUES(5,'x_168f92d406fbd751c801','u_f63cc67b27b6f5aecf7d','color-1',NULL,NULL,'{"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}','queued',0,28.4,7.1,0.013,3.3,0,NULL,NULL,NULL,NULL,NULL,1.79552407113660216332e+09,NULL,NULL);
INSERT INTO "experiment" VALUES(6,'x_2d0073ec900da09adc34','u_f63cc67b27b6f5aecf7d','color-1',NULL,NULL,'{"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}','aborted',0,35.5,7.1,0.013,3.3,0,NULL,NULL,NULL,'aborted by Ada',NULL,1.79552407114055490489e+09,NULL,1.79552407118700790402e+09);
INSERT INTO "experiment" VALUES(7,'x_e4e2d0cc37f47f562a2f','u_f63cc67b27b6f5aecf7d','mixer-1',NULL,NULL,'{"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}','unknown',0,0.0,10.0,0.01,4.0,1,'1fac07f54b8152d0',NULL,NULL,'its worker was lost in the middle; look at the rig, then submit it again if it should be done again',NULL,1.7955240711486184597e+09,1.7955240711638917923e+09,1.79552767116884970672e+09);
CREATE TABLE join_code (
	id VARCHAR(32) NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	note VARCHAR(80) NOT NULL, 
	scopes VARCHAR(80) NOT NULL, 
	uses_left INTEGER NOT NULL, 
	runs FLOAT, 
	seconds FLOAT, 
	money FLOAT, 
	volume FLOAT, 
	created_at FLOAT NOT NULL, 
	expires_at FLOAT, 
	revoked_at FLOAT, 
	PRIMARY KEY (id), 
	UNIQUE (digest)
);
CREATE TABLE ledger (
	id INTEGER NOT NULL, 
	person VARCHAR(32) NOT NULL, 
	experiment VARCHAR(32), 
	kind VARCHAR(8) NOT NULL, 
	runs FLOAT NOT NULL, 
	seconds FLOAT NOT NULL, 
	money FLOAT NOT NULL, 
	volume FLOAT NOT NULL, 
	at FLOAT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "ledger" VALUES(1,'u_f63cc67b27b6f5aecf7d',NULL,'grant',100.0,5000.5,3.3,0.0,1.7955240710969860554e+09);
INSERT INTO "ledger" VALUES(2,'u_35e2a5867326c4c8669f',NULL,'grant',0.0,0.0,0.0,0.0,1.79552407110380053516e+09);
INSERT INTO "ledger" VALUES(3,'u_f63cc67b27b6f5aecf7d','x_65d581af2d779d867992','reserve',1.0,7.1,0.013,3.3,1.79552407110461568831e+09);
INSERT INTO "ledger" VALUES(4,'u_f63cc67b27b6f5aecf7d','x_e2f0a7e351603da165fe','reserve',1.0,7.1,0.013,3.3,1.79552407112204337122e+09);
INSERT INTO "ledger" VALUES(5,'u_f63cc67b27b6f5aecf7d','x_4ad6f0ffc7ace7085c63','reserve',1.0,7.1,0.013,3.3,1.79552407112521290781e+09);
INSERT INTO "ledger" VALUES(6,'u_f63cc67b27b6f5aecf7d','x_4c68a016d51952fdca55','reserve',1.0,7.1,0.013,3.3,1.7955240711324989796e+09);
INSERT INTO "ledger" VALUES(7,'u_f63cc67b27b6f5aecf7d','x_168f92d406fbd751c801','reserve',1.0,7.1,0.013,3.3,1.79552407113660216332e+09);
INSERT INTO "ledger" VALUES(8,'u_f63cc67b27b6f5aecf7d','x_2d0073ec900da09adc34','reserve',1.0,7.1,0.013,3.3,1.79552407114055490489e+09);
INSERT INTO "ledger" VALUES(9,'u_f63cc67b27b6f5aecf7d','x_e4e2d0cc37f47f562a2f','reserve',1.0,10.0,0.01,4.0,1.7955240711486184597e+09);
INSERT INTO "ledger" VALUES(10,'u_f63cc67b27b6f5aecf7d','x_e4e2d0cc37f47f562a2f','settle',1.0,10.0,0.01,4.0,1.79552767116884970672e+09);
INSERT INTO "ledger" VALUES(11,'u_f63cc67b27b6f5aecf7d','x_e4e2d0cc37f47f562a2f','refund',0.0,0.0,0.0,0.0,1.79552767116884970672e+09);
INSERT INTO "ledger" VALUES(12,'u_f63cc67b27b6f5aecf7d','x_65d581af2d779d867992','settle',1.0,3.0,0.0,0.0,1.79552407118700790402e+09);
INSERT INTO "ledger" VALUES(13,'u_f63cc67b27b6f5aecf7d','x_65d581af2d779d867992','refund',0.0,4.1,0.013,3.3,1.79552407118700790402e+09);
INSERT INTO "ledger" VALUES(14,'u_f63cc67b27b6f5aecf7d','x_e2f0a7e351603da165fe','settle',1.0,7.1,0.0,0.0,1.79552407118700790402e+09);
INSERT INTO "ledger" VALUES(15,'u_f63cc67b27b6f5aecf7d','x_e2f0a7e351603da165fe','refund',0.0,0.0,0.013,3.3,1.79552407118700790402e+09);
INSERT INTO "ledger" VALUES(16,'u_f63cc67b27b6f5aecf7d','x_2d0073ec900da09adc34','settle',0.0,0.0,0.0,0.0,1.79552407118700790402e+09);
INSERT INTO "ledger" VALUES(17,'u_f63cc67b27b6f5aecf7d','x_2d0073ec900da09adc34','refund',1.0,7.1,0.013,3.3,1.79552407118700790402e+09);
CREATE TABLE person (
	id VARCHAR(32) NOT NULL, 
	name VARCHAR(80) NOT NULL, 
	role VARCHAR(12) NOT NULL, 
	created_at FLOAT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "person" VALUES('u_f63cc67b27b6f5aecf7d','Ada','student',1.7955240710969860554e+09);
INSERT INTO "person" VALUES('u_35e2a5867326c4c8669f','Grace','student',1.79552407110380053516e+09);
CREATE TABLE rig (
	name VARCHAR(40) NOT NULL, 
	driver VARCHAR(40) NOT NULL, 
	options_json TEXT NOT NULL, 
	is_real BOOLEAN NOT NULL, 
	experiment_json TEXT NOT NULL, 
	state VARCHAR(8) NOT NULL, 
	worker VARCHAR(64), 
	seen_at FLOAT, 
	clock FLOAT NOT NULL, 
	created_at FLOAT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "rig" VALUES('color-1','color-mixing','{}',0,'{"name": "color-mixing", "parameters": [{"name": "red", "low": 0.0, "high": 1.0, "unit": "mL", "description": "red dye", "kind": "continuous"}, {"name": "yellow", "low": 0.0, "high": 1.0, "unit": "mL", "description": "yellow dye", "kind": "continuous"}, {"name": "blue", "low": 0.0, "high": 1.0, "unit": "mL", "description": "blue dye", "kind": "continuous"}, {"name": "water", "low": 1.0, "high": 4.0, "unit": "mL", "description": "water", "kind": "continuous"}], "outcomes": [{"name": "t_415", "unit": "1", "description": "light left in the channel at 415 nm; clean water is 1", "labels": [], "law": {"absorbers": ["red", "yellow", "blue"]}}, {"name": "t_445", "unit": "1", "description": "light left in the channel at 445 nm; clean water is 1", "labels": [], "law": {"absorbers": ["red", "yellow", "blue"]}}, {"name": "t_480", "unit": "1", "description": "light left in the channel at 480 nm; clean water is 1", "labels": [], "law": {"absorbers": ["red", "yellow", "blue"]}}, {"name": "t_515", "unit": "1", "description": "light left in the channel at 515 nm; clean water is 1", "labels": [], "law": {"absorbers": ["red", "yellow", "blue"]}}, {"name": "t_555", "unit": "1", "description": "light left in the channel at 555 nm; clean water is 1", "labels": [], "law": {"absorbers": ["red", "yellow", "blue"]}}, {"name": "t_590", "unit": "1", "description": "light left in the channel at 590 nm; clean water is 1", "labels": [], "law": {"absorbers": ["red", "yellow", "blue"]}}, {"name": "t_630", "unit": "1", "description": "light left in the channel at 630 nm; clean water is 1", "labels": [], "law": {"absorbers": ["red", "yellow", "blue"]}}, {"name": "t_680", "unit": "1", "description": "light left in the channel at 680 nm; clean water is 1", "labels": [], "law": {"absorbers": ["red", "yellow", "blue"]}}], "constraints": [{"parameters": ["red", "yellow", "blue", "water"], "total": 4.0, "unit": "mL"}], "candidates": [], "color": {"channels": ["t_415", "t_445", "t_480", "t_515", "t_555", "t_590", "t_630", "t_680"], "to_xyz": [[0.050539151273090416, 0.07507992426089066, 0.05952065060523718, 0.00269060432945617, 0.16691302843642958, 0.3117321885136732, 0.2736054583110767, 0.01034866367229681], [0.005834429708893821, -0.012763759375117228, 0.058347252457431595, 0.2705534086476857, 0.35081597733821657, 0.21743359967711806, 0.106149105430091, 0.0036299861156803004], [0.25342854382715607, 0.3216931050196248, 0.5177123279990405, -0.012559973973686883, 0.0113940591023938, -0.0030890298664566496, 0.0010934917164039937, -0.0008719767947243384]], "white": [0.9504296694021507, 0.9999999999999998, 1.0888005470297513], "exposure": null}}','open','w',1.79552407118700790402e+09,2.12999999999999971582e+01,1.79552407085521817204e+09);
INSERT INTO "rig" VALUES('mixer-1','color-mixing','{}',1,'{"name": "color-mixing", "parameters": [{"name": "red", "low": 0.0, "high": 1.0, "unit": "mL", "description": "red dye", "kind": "continuous"}, {"name": "yellow", "low": 0.0, "high": 1.0, "unit": "mL", "description": "yellow dye", "kind": "continuous"}, {"name": "blue", "low": 0.0, "high": 1.0, "unit": "mL", "description": "blue dye", "kind": "continuous"}, {"name": "water", "low": 1.0, "high": 4.0, "unit": "mL", "description": "water", "kind": "continuous"}], "outcomes": [{"name": "t_415", "unit": "1", "description": "light left in the channel at 415 nm; clean water is 1", "labels": [], "law": {"absorbers": ["red", "yellow", "blue"]}}, {"name": "t_445", "unit": "1", "description": "light left in the channel at 445 nm; clean water is 1", "labels": [], "law": {"absorbers": ["red", "yellow", "blue"]}}, {"name": "t_480", "unit": "1", "description": "light left in the channel at 480 nm; clean water is 1", "labels": [], "law": {"absorbers": ["red", "yellow", "blue"]}}, {"name": "t_515", "unit": "1", "description": "light left in the channel at 515 nm; clean water is 1", "labels": [], "law": {"absorbers": ["red", "yellow", "blue"]}}, {"name": "t_555", "unit": "1", "description": "light left in the channel at 555 nm; clean water is 1", "labels": [], "law": {"absorbers": ["red", "yellow", "blue"]}}, {"name": "t_590", "unit": "1", "description": "light left in the channel at 590 nm; clean water is 1", "labels": [], "law": {"absorbers": ["red", "yellow", "blue"]}}, {"name": "t_630", "unit": "1", "description": "light left in the channel at 630 nm; clean water is 1", "labels": [], "law": {"absorbers": ["red", "yellow", "blue"]}}, {"name": "t_680", "unit": "1", "description": "light left in the channel at 680 nm; clean water is 1", "labels": [], "law": {"absorbers": ["red", "yellow", "blue"]}}], "constraints": [{"parameters": ["red", "yellow", "blue", "water"], "total": 4.0, "unit": "mL"}], "candidates": [], "color": {"channels": ["t_415", "t_445", "t_480", "t_515", "t_555", "t_590", "t_630", "t_680"], "to_xyz": [[0.050539151273090416, 0.07507992426089066, 0.05952065060523718, 0.00269060432945617, 0.16691302843642958, 0.3117321885136732, 0.2736054583110767, 0.01034866367229681], [0.005834429708893821, -0.012763759375117228, 0.058347252457431595, 0.2705534086476857, 0.35081597733821657, 0.21743359967711806, 0.106149105430091, 0.0036299861156803004], [0.25342854382715607, 0.3216931050196248, 0.5177123279990405, -0.012559973973686883, 0.0113940591023938, -0.0030890298664566496, 0.0010934917164039937, -0.0008719767947243384]], "white": [0.9504296694021507, 0.9999999999999998, 1.0888005470297513], "exposure": null}}','open','w',1.79552407114979505542e+09,0.0,1.7955240710808107853e+09);
CREATE TABLE secret (
	name VARCHAR(40) NOT NULL, 
	value VARCHAR(200) NOT NULL, 
	PRIMARY KEY (name)
);
CREATE TABLE share (
	rig VARCHAR(40) NOT NULL, 
	person VARCHAR(32) NOT NULL, 
	until FLOAT NOT NULL, 
	PRIMARY KEY (rig, person), 
	FOREIGN KEY(person) REFERENCES person (id), 
	FOREIGN KEY(rig) REFERENCES rig (name)
);
INSERT INTO "share" VALUES('color-1','u_f63cc67b27b6f5aecf7d',35.5);
INSERT INTO "share" VALUES('mixer-1','u_f63cc67b27b6f5aecf7d',10.0);
CREATE TABLE token (
	id VARCHAR(32) NOT NULL, 
	person VARCHAR(32) NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	note VARCHAR(80) NOT NULL, 
	scopes VARCHAR(80) NOT NULL, 
	created_at FLOAT NOT NULL, 
	expires_at FLOAT, 
	revoked_at FLOAT, 
	PRIMARY KEY (id), 
	FOREIGN KEY(person) REFERENCES person (id), 
	UNIQUE (digest)
);
INSERT INTO "token" VALUES('t_a8ba88c063666249e2bc','u_f63cc67b27b6f5aecf7d','89bdc659ce1a664575bde42ecea033117c280bd0d8e41e956968e84cbf37b603','','read run:sim run:rig',1.79552407110242652887e+09,NULL,NULL);
CREATE INDEX ix_answer_at ON answer (at);
CREATE INDEX event_of ON event (person, id);
CREATE INDEX ix_ledger_experiment ON ledger (experiment);
CREATE INDEX ix_ledger_person ON ledger (person);
CREATE UNIQUE INDEX campaign_named ON campaign (person, name);
CREATE INDEX campaign_of ON campaign (person, number);
CREATE INDEX campaign_open ON campaign (state, mode);
CREATE INDEX experiment_of ON experiment (person, number);
CREATE INDEX experiment_queue ON experiment (rig, state, lane, tag, number);
CREATE UNIQUE INDEX experiment_trial ON experiment (campaign, trial);
CREATE INDEX experiment_lease ON experiment (lease_until) WHERE lease_until is not null;
CREATE INDEX experiment_waits ON experiment (person) WHERE state = 'queued';
CREATE INDEX ix_token_person ON token (person);
COMMIT;
