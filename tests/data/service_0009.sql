BEGIN TRANSACTION;
CREATE TABLE account (
	person VARCHAR(32) NOT NULL, 
	runs FLOAT, 
	seconds FLOAT, 
	money FLOAT, 
	volume FLOAT, rig_runs FLOAT, 
	PRIMARY KEY (person), 
	FOREIGN KEY(person) REFERENCES person (id)
);
INSERT INTO "account" VALUES('u_61ad0222e309224e28b4',94.0,4.95909999999999854484e+03,3.25100000000000033395e+00,NULL,NULL);
INSERT INTO "account" VALUES('u_96252138155959941c65',NULL,NULL,NULL,NULL,NULL);
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0009');
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
	number INTEGER NOT NULL, agent VARCHAR(32), 
	PRIMARY KEY (id), 
	FOREIGN KEY(person) REFERENCES person (id), 
	FOREIGN KEY(rig) REFERENCES rig (name), 
	UNIQUE (number)
);
CREATE TABLE classroom (
	id VARCHAR(32) NOT NULL, 
	name VARCHAR(20) NOT NULL, 
	secret VARCHAR(64) NOT NULL, 
	created_at FLOAT NOT NULL, 
	archived_at FLOAT, 
	PRIMARY KEY (id), 
	UNIQUE (name)
);
INSERT INTO "classroom" VALUES('g_54406183711dabf089ec','chem','ccce0b8cb7c4ced7e16c6e148a3ca301505f2be4bb2f8b1247beecb14b19baf1',1.79609281528666353232e+09,NULL);
CREATE TABLE counter (
	name VARCHAR(16) NOT NULL, 
	value INTEGER NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "counter" VALUES('event',16);
INSERT INTO "counter" VALUES('w_a99c44ffd736',18);
CREATE TABLE entry (
	id INTEGER NOT NULL, 
	campaign VARCHAR(32) NOT NULL, 
	"after" INTEGER NOT NULL, 
	kind VARCHAR(12) NOT NULL, 
	body_json TEXT NOT NULL, 
	"by" VARCHAR(32) NOT NULL, 
	at FLOAT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(campaign) REFERENCES campaign (id)
);
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
INSERT INTO "event" VALUES(1,'u_61ad0222e309224e28b4','color-1',NULL,'x_d3dff6c7c55a1d86f472','experiment.queued','{"state": "queued", "settings": {"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}}',1.79609281498415708543e+09);
INSERT INTO "event" VALUES(2,'u_61ad0222e309224e28b4','color-1',NULL,'x_9ea26dc4f21e51978cea','experiment.queued','{"state": "queued", "settings": {"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}}',1.79609281500482177739e+09);
INSERT INTO "event" VALUES(3,'u_61ad0222e309224e28b4','color-1',NULL,'x_136f92ed097419a1ed2a','experiment.queued','{"state": "queued", "settings": {"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}}',1.79609281502665805814e+09);
INSERT INTO "event" VALUES(4,'u_61ad0222e309224e28b4','color-1',NULL,'x_48ddff0556247736d52b','experiment.queued','{"state": "queued", "settings": {"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}}',1.79609281505367350583e+09);
INSERT INTO "event" VALUES(5,'u_61ad0222e309224e28b4','color-1',NULL,'x_4e25107f898311911481','experiment.queued','{"state": "queued", "settings": {"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}}',1.79609281507240796087e+09);
INSERT INTO "event" VALUES(6,'u_61ad0222e309224e28b4','color-1',NULL,'x_67da5b4fd61981b5e84d','experiment.queued','{"state": "queued", "settings": {"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}}',1.79609281508092808723e+09);
INSERT INTO "event" VALUES(7,'u_61ad0222e309224e28b4','mixer-1',NULL,'x_43fdd02ad5f2ca611181','experiment.queued','{"state": "queued", "settings": {"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}}',1.79609281517525291448e+09);
INSERT INTO "event" VALUES(8,'u_61ad0222e309224e28b4','mixer-1',NULL,'x_43fdd02ad5f2ca611181','experiment.running','{"state": "running", "settings": {"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}}',1.79609281522835063935e+09);
INSERT INTO "event" VALUES(9,'','mixer-1',NULL,NULL,'rig.stopped','{"state": "stopped", "why": "its worker was lost in the middle of an experiment; somebody has to look at the rig"}',1.7960964152402844429e+09);
INSERT INTO "event" VALUES(10,'u_61ad0222e309224e28b4','mixer-1',NULL,'x_43fdd02ad5f2ca611181','experiment.unknown','{"state": "unknown", "settings": {"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}, "error": "its worker was lost in the middle; look at the rig, then submit it again if it should be done again"}',1.7960964152402844429e+09);
INSERT INTO "event" VALUES(11,'u_61ad0222e309224e28b4','color-1',NULL,'x_d3dff6c7c55a1d86f472','experiment.running','{"state": "running", "settings": {"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}}',1.79609281526067090031e+09);
INSERT INTO "event" VALUES(12,'u_61ad0222e309224e28b4','color-1',NULL,'x_9ea26dc4f21e51978cea','experiment.running','{"state": "running", "settings": {"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}}',1.79609281526067090031e+09);
INSERT INTO "event" VALUES(13,'u_61ad0222e309224e28b4','color-1',NULL,'x_136f92ed097419a1ed2a','experiment.running','{"state": "running", "settings": {"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}}',1.79609281526067090031e+09);
INSERT INTO "event" VALUES(14,'u_61ad0222e309224e28b4','color-1',NULL,'x_d3dff6c7c55a1d86f472','experiment.succeeded','{"state": "succeeded", "settings": {"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}, "outcomes": {"t_415": 0.5}, "cost": {"seconds": 3.0, "money": 0.0, "volume": 0.0}}',1.79609281526067090031e+09);
INSERT INTO "event" VALUES(15,'u_61ad0222e309224e28b4','color-1',NULL,'x_9ea26dc4f21e51978cea','experiment.failed','{"state": "failed", "settings": {"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}, "error": "the pump jammed", "cost": {"seconds": 99.0, "money": 0.0, "volume": 0.0}}',1.79609281526067090031e+09);
INSERT INTO "event" VALUES(16,'u_61ad0222e309224e28b4','color-1',NULL,'x_67da5b4fd61981b5e84d','experiment.aborted','{"state": "aborted", "settings": {"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}, "error": "aborted by Ada"}',1.79609281526067090031e+09);
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
	finished_at FLOAT, twin VARCHAR(80), twin_number INTEGER, rig_runs FLOAT DEFAULT '0' NOT NULL, agent VARCHAR(32), 
	PRIMARY KEY (number), 
	FOREIGN KEY(person) REFERENCES person (id), 
	FOREIGN KEY(rig) REFERENCES rig (name), 
	UNIQUE (id)
);
INSERT INTO "experiment" VALUES(1,'x_d3dff6c7c55a1d86f472','u_61ad0222e309224e28b4','color-1',NULL,NULL,'{"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}','succeeded',0,0.0,7.1,0.013,3.3,1,'fb041d2b7eb0799b',NULL,'{"outcomes": {"t_415": 0.5}, "raw": {}, "cost": {"seconds": 3.0, "money": 0.0, "volume": 0.0}}',NULL,'{"rig": "color-1"}',1.79609281498415708543e+09,1.79609281526067090031e+09,1.79609281526067090031e+09,NULL,NULL,0.0,NULL);
INSERT INTO "experiment" VALUES(2,'x_9ea26dc4f21e51978cea','u_61ad0222e309224e28b4','color-1',NULL,NULL,'{"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}','failed',0,7.1,7.1,0.013,3.3,1,'6d8ae6858321409b',NULL,'{"cost": {"seconds": 99.0, "money": 0.0, "volume": 0.0}}','the pump jammed','{}',1.79609281500482177739e+09,1.79609281526067090031e+09,1.79609281526067090031e+09,NULL,NULL,0.0,NULL);
INSERT INTO "experiment" VALUES(3,'x_136f92ed097419a1ed2a','u_61ad0222e309224e28b4','color-1',NULL,NULL,'{"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}','running',0,14.2,7.1,0.013,3.3,1,'97041551262c1674',1.79609284526067090035e+09,NULL,NULL,NULL,1.79609281502665805814e+09,1.79609281526067090031e+09,NULL,NULL,NULL,0.0,NULL);
INSERT INTO "experiment" VALUES(4,'x_48ddff0556247736d52b','u_61ad0222e309224e28b4','color-1',NULL,NULL,'{"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}','leased',0,2.12999999999999971582e+01,7.1,0.013,3.3,1,'71fd60f9668e974f',1.79609284526067090035e+09,NULL,NULL,NULL,1.79609281505367350583e+09,NULL,NULL,NULL,NULL,0.0,NULL);
INSERT INTO "experiment" VALUES(5,'x_4e25107f898311911481','u_61ad0222e309224e28b4','color-1',NULL,NULL,'{"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}','queued',0,28.4,7.1,0.013,3.3,0,NULL,NULL,NULL,NULL,NULL,1.79609281507240796087e+09,NULL,NULL,NULL,NULL,0.0,NULL);
INSERT INTO "experiment" VALUES(6,'x_67da5b4fd61981b5e84d','u_61ad0222e309224e28b4','color-1',NULL,NULL,'{"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}','aborted',0,35.5,7.1,0.013,3.3,0,NULL,NULL,NULL,'aborted by Ada',NULL,1.79609281508092808723e+09,NULL,1.79609281526067090031e+09,NULL,NULL,0.0,NULL);
INSERT INTO "experiment" VALUES(7,'x_43fdd02ad5f2ca611181','u_61ad0222e309224e28b4','mixer-1',NULL,NULL,'{"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}','unknown',0,0.0,10.0,0.01,4.0,1,'f9ff7eb3f1aa770f',NULL,NULL,'its worker was lost in the middle; look at the rig, then submit it again if it should be done again',NULL,1.79609281517525291448e+09,1.79609281522835063935e+09,1.7960964152402844429e+09,NULL,NULL,0.0,NULL);
CREATE TABLE grade (
	id INTEGER NOT NULL, 
	hand_in VARCHAR(32) NOT NULL, 
	points FLOAT NOT NULL, 
	parts_json TEXT NOT NULL, 
	why VARCHAR(200) NOT NULL, 
	at FLOAT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(hand_in) REFERENCES hand_in (id)
);
INSERT INTO "grade" VALUES(1,'h_3618f4e8fa8e544403ed',7.32036648635499176407e+01,'{"quality": 73.20366486354992, "true score": 90.0}','as it was handed in',1.79609281528666353232e+09);
INSERT INTO "grade" VALUES(2,'h_3618f4e8fa8e544403ed',6.82606194485985184883e+01,'{"quality": 68.26061944859852, "true score": 90.0}','finer',1.79609281528666353232e+09);
CREATE TABLE hand_in (
	id VARCHAR(32) NOT NULL, 
	rig VARCHAR(40) NOT NULL, 
	person VARCHAR(32) NOT NULL, 
	body_json TEXT NOT NULL, 
	spent_json TEXT NOT NULL, 
	created_at FLOAT NOT NULL, 
	found_json TEXT, 
	withdrawn_at FLOAT, 
	PRIMARY KEY (id), 
	FOREIGN KEY(rig) REFERENCES task (rig), 
	FOREIGN KEY(person) REFERENCES person (id)
);
INSERT INTO "hand_in" VALUES('h_3618f4e8fa8e544403ed','chem-ferroelectric-response','u_61ad0222e309224e28b4','{"recipe": {"titanate": 0.4, "temperature": 400.0}}','{"runs": 0.0, "seconds": 0.0, "money": 0.0, "volume": 0.0}',1.79609281528666353232e+09,'{"gap": 10.0, "parts": {"true score": 90.0}, "error": null}',NULL);
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
	revoked_at FLOAT, rig_runs FLOAT, classroom VARCHAR(32), 
	PRIMARY KEY (id), 
	UNIQUE (digest)
);
CREATE TABLE lab (
	rig VARCHAR(40) NOT NULL, 
	person VARCHAR(32) NOT NULL, 
	generator INTEGER NOT NULL, 
	draw INTEGER NOT NULL, 
	tries_json TEXT NOT NULL, 
	goal TEXT, 
	plays_json TEXT, 
	closes_at FLOAT, 
	is_exempt BOOLEAN DEFAULT '0' NOT NULL, 
	PRIMARY KEY (rig, person), 
	FOREIGN KEY(rig) REFERENCES task (rig), 
	FOREIGN KEY(person) REFERENCES person (id)
);
INSERT INTO "lab" VALUES('chem-ferroelectric-response','u_61ad0222e309224e28b4',1,0,'[]','maximize:piezoelectric','{"reference": [[2.0, {"runs": 25, "seconds": 0.0, "money": 0.0, "volume": 0.0}]], "randoms": [[50.0, {"runs": 25, "seconds": 0.0, "money": 0.0, "volume": 0.0}]]}',NULL,0);
CREATE TABLE ledger (
	id INTEGER NOT NULL, 
	person VARCHAR(32) NOT NULL, 
	experiment VARCHAR(32), 
	kind VARCHAR(8) NOT NULL, 
	runs FLOAT NOT NULL, 
	seconds FLOAT NOT NULL, 
	money FLOAT NOT NULL, 
	volume FLOAT NOT NULL, 
	at FLOAT NOT NULL, rig_runs FLOAT DEFAULT '0' NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "ledger" VALUES(1,'u_61ad0222e309224e28b4',NULL,'grant',100.0,5000.5,3.3,0.0,1.79609281495549464226e+09,0.0);
INSERT INTO "ledger" VALUES(2,'u_96252138155959941c65',NULL,'grant',0.0,0.0,0.0,0.0,1.79609281498035049445e+09,0.0);
INSERT INTO "ledger" VALUES(3,'u_61ad0222e309224e28b4','x_d3dff6c7c55a1d86f472','reserve',1.0,7.1,0.013,3.3,1.79609281498415708543e+09,0.0);
INSERT INTO "ledger" VALUES(4,'u_61ad0222e309224e28b4','x_9ea26dc4f21e51978cea','reserve',1.0,7.1,0.013,3.3,1.79609281500482177739e+09,0.0);
INSERT INTO "ledger" VALUES(5,'u_61ad0222e309224e28b4','x_136f92ed097419a1ed2a','reserve',1.0,7.1,0.013,3.3,1.79609281502665805814e+09,0.0);
INSERT INTO "ledger" VALUES(6,'u_61ad0222e309224e28b4','x_48ddff0556247736d52b','reserve',1.0,7.1,0.013,3.3,1.79609281505367350583e+09,0.0);
INSERT INTO "ledger" VALUES(7,'u_61ad0222e309224e28b4','x_4e25107f898311911481','reserve',1.0,7.1,0.013,3.3,1.79609281507240796087e+09,0.0);
INSERT INTO "ledger" VALUES(8,'u_61ad0222e309224e28b4','x_67da5b4fd61981b5e84d','reserve',1.0,7.1,0.013,3.3,1.79609281508092808723e+09,0.0);
INSERT INTO "ledger" VALUES(9,'u_61ad0222e309224e28b4','x_43fdd02ad5f2ca611181','reserve',1.0,10.0,0.01,4.0,1.79609281517525291448e+09,0.0);
INSERT INTO "ledger" VALUES(10,'u_61ad0222e309224e28b4','x_43fdd02ad5f2ca611181','settle',1.0,10.0,0.01,4.0,1.7960964152402844429e+09,0.0);
INSERT INTO "ledger" VALUES(11,'u_61ad0222e309224e28b4','x_43fdd02ad5f2ca611181','refund',0.0,0.0,0.0,0.0,1.7960964152402844429e+09,0.0);
INSERT INTO "ledger" VALUES(12,'u_61ad0222e309224e28b4','x_d3dff6c7c55a1d86f472','settle',1.0,3.0,0.0,0.0,1.79609281526067090031e+09,0.0);
INSERT INTO "ledger" VALUES(13,'u_61ad0222e309224e28b4','x_d3dff6c7c55a1d86f472','refund',0.0,4.1,0.013,3.3,1.79609281526067090031e+09,0.0);
INSERT INTO "ledger" VALUES(14,'u_61ad0222e309224e28b4','x_9ea26dc4f21e51978cea','settle',1.0,7.1,0.0,0.0,1.79609281526067090031e+09,0.0);
INSERT INTO "ledger" VALUES(15,'u_61ad0222e309224e28b4','x_9ea26dc4f21e51978cea','refund',0.0,0.0,0.013,3.3,1.79609281526067090031e+09,0.0);
INSERT INTO "ledger" VALUES(16,'u_61ad0222e309224e28b4','x_67da5b4fd61981b5e84d','settle',0.0,0.0,0.0,0.0,1.79609281526067090031e+09,0.0);
INSERT INTO "ledger" VALUES(17,'u_61ad0222e309224e28b4','x_67da5b4fd61981b5e84d','refund',1.0,7.1,0.013,3.3,1.79609281526067090031e+09,0.0);
CREATE TABLE person (
	id VARCHAR(32) NOT NULL, 
	name VARCHAR(80) NOT NULL, 
	role VARCHAR(12) NOT NULL, 
	created_at FLOAT NOT NULL, code VARCHAR(32), join_key VARCHAR(64), classroom VARCHAR(32), nickname VARCHAR(40), 
	PRIMARY KEY (id)
);
INSERT INTO "person" VALUES('u_61ad0222e309224e28b4','Ada','student',1.79609281495549464226e+09,NULL,NULL,'g_54406183711dabf089ec',NULL);
INSERT INTO "person" VALUES('u_96252138155959941c65','Grace','student',1.79609281498035049445e+09,NULL,NULL,NULL,NULL);
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
	created_at FLOAT NOT NULL, price_json TEXT, is_local BOOLEAN DEFAULT '0' NOT NULL, is_shared BOOLEAN DEFAULT '0' NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "rig" VALUES('color-1','color-mixing','{}',0,'{"name": "color-mixing", "parameters": [{"name": "red", "low": 0.0, "high": 1.0, "unit": "mL", "description": "red dye", "kind": "continuous"}, {"name": "yellow", "low": 0.0, "high": 1.0, "unit": "mL", "description": "yellow dye", "kind": "continuous"}, {"name": "blue", "low": 0.0, "high": 1.0, "unit": "mL", "description": "blue dye", "kind": "continuous"}, {"name": "water", "low": 1.0, "high": 4.0, "unit": "mL", "description": "water", "kind": "continuous"}], "outcomes": [{"name": "t_415", "unit": "1", "description": "light left in the channel at 415 nm; clean water is 1", "labels": [], "law": {"absorbers": ["red", "yellow", "blue"]}}, {"name": "t_445", "unit": "1", "description": "light left in the channel at 445 nm; clean water is 1", "labels": [], "law": {"absorbers": ["red", "yellow", "blue"]}}, {"name": "t_480", "unit": "1", "description": "light left in the channel at 480 nm; clean water is 1", "labels": [], "law": {"absorbers": ["red", "yellow", "blue"]}}, {"name": "t_515", "unit": "1", "description": "light left in the channel at 515 nm; clean water is 1", "labels": [], "law": {"absorbers": ["red", "yellow", "blue"]}}, {"name": "t_555", "unit": "1", "description": "light left in the channel at 555 nm; clean water is 1", "labels": [], "law": {"absorbers": ["red", "yellow", "blue"]}}, {"name": "t_590", "unit": "1", "description": "light left in the channel at 590 nm; clean water is 1", "labels": [], "law": {"absorbers": ["red", "yellow", "blue"]}}, {"name": "t_630", "unit": "1", "description": "light left in the channel at 630 nm; clean water is 1", "labels": [], "law": {"absorbers": ["red", "yellow", "blue"]}}, {"name": "t_680", "unit": "1", "description": "light left in the channel at 680 nm; clean water is 1", "labels": [], "law": {"absorbers": ["red", "yellow", "blue"]}}], "constraints": [{"parameters": ["red", "yellow", "blue", "water"], "total": 4.0, "unit": "mL"}], "candidates": [], "color": {"channels": ["t_415", "t_445", "t_480", "t_515", "t_555", "t_590", "t_630", "t_680"], "to_xyz": [[0.050539151273089264, 0.07507992426089119, 0.059520650605238035, 0.002690604329455934, 0.16691302843642886, 0.31173218851367446, 0.2736054583110762, 0.01034866367229674], [0.00583442970889185, -0.01276375937511423, 0.05834725245743068, 0.270553408647686, 0.3508159773382161, 0.21743359967711828, 0.10614910543009053, 0.003629986115680564], [0.2534285438271517, 0.32169310501962806, 0.517712327999042, -0.012559973973688604, 0.011394059102396048, -0.0030890298664593974, 0.0010934917164056035, -0.0008719767947242274]], "white": [0.9504296694021507, 0.9999999999999998, 1.0888005470297513], "exposure": null}}','open','w',1.79609281526067090031e+09,2.12999999999999971582e+01,1.79609281473936486248e+09,'{"terms": [{"each": {"runs": 0.0, "seconds": 39.42516, "money": 0.034124999999999996, "volume": 13.0}, "when": "first", "kind": "fixed"}, {"each": {"runs": 0.0, "seconds": 14.00016, "money": 0.006, "volume": 4.0}, "when": 5, "kind": "fixed"}, {"parameter": "red", "slope": 0.625, "money": 0.021, "offset": 0.0, "besides": 0.3, "shortest": 0.0, "decimals": null, "kind": "dose"}, {"parameter": "yellow", "slope": 0.625, "money": 0.021, "offset": 0.0, "besides": 0.3, "shortest": 0.0, "decimals": null, "kind": "dose"}, {"parameter": "blue", "slope": 0.625, "money": 0.021, "offset": 0.0, "besides": 0.3, "shortest": 0.0, "decimals": null, "kind": "dose"}, {"parameter": "water", "slope": 0.625, "money": 0.0015, "offset": 0.0, "besides": 0.3, "shortest": 0.0, "decimals": null, "kind": "dose"}, {"each": {"runs": 0.0, "seconds": 47.900079999999996, "money": 0.006, "volume": 4.0}, "when": "always", "kind": "fixed"}]}',1,0);
INSERT INTO "rig" VALUES('mixer-1','color-mixing','{}',1,'{"name": "color-mixing", "parameters": [{"name": "red", "low": 0.0, "high": 1.0, "unit": "mL", "description": "red dye", "kind": "continuous"}, {"name": "yellow", "low": 0.0, "high": 1.0, "unit": "mL", "description": "yellow dye", "kind": "continuous"}, {"name": "blue", "low": 0.0, "high": 1.0, "unit": "mL", "description": "blue dye", "kind": "continuous"}, {"name": "water", "low": 1.0, "high": 4.0, "unit": "mL", "description": "water", "kind": "continuous"}], "outcomes": [{"name": "t_415", "unit": "1", "description": "light left in the channel at 415 nm; clean water is 1", "labels": [], "law": {"absorbers": ["red", "yellow", "blue"]}}, {"name": "t_445", "unit": "1", "description": "light left in the channel at 445 nm; clean water is 1", "labels": [], "law": {"absorbers": ["red", "yellow", "blue"]}}, {"name": "t_480", "unit": "1", "description": "light left in the channel at 480 nm; clean water is 1", "labels": [], "law": {"absorbers": ["red", "yellow", "blue"]}}, {"name": "t_515", "unit": "1", "description": "light left in the channel at 515 nm; clean water is 1", "labels": [], "law": {"absorbers": ["red", "yellow", "blue"]}}, {"name": "t_555", "unit": "1", "description": "light left in the channel at 555 nm; clean water is 1", "labels": [], "law": {"absorbers": ["red", "yellow", "blue"]}}, {"name": "t_590", "unit": "1", "description": "light left in the channel at 590 nm; clean water is 1", "labels": [], "law": {"absorbers": ["red", "yellow", "blue"]}}, {"name": "t_630", "unit": "1", "description": "light left in the channel at 630 nm; clean water is 1", "labels": [], "law": {"absorbers": ["red", "yellow", "blue"]}}, {"name": "t_680", "unit": "1", "description": "light left in the channel at 680 nm; clean water is 1", "labels": [], "law": {"absorbers": ["red", "yellow", "blue"]}}], "constraints": [{"parameters": ["red", "yellow", "blue", "water"], "total": 4.0, "unit": "mL"}], "candidates": [], "color": {"channels": ["t_415", "t_445", "t_480", "t_515", "t_555", "t_590", "t_630", "t_680"], "to_xyz": [[0.050539151273089264, 0.07507992426089119, 0.059520650605238035, 0.002690604329455934, 0.16691302843642886, 0.31173218851367446, 0.2736054583110762, 0.01034866367229674], [0.00583442970889185, -0.01276375937511423, 0.05834725245743068, 0.270553408647686, 0.3508159773382161, 0.21743359967711828, 0.10614910543009053, 0.003629986115680564], [0.2534285438271517, 0.32169310501962806, 0.517712327999042, -0.012559973973688604, 0.011394059102396048, -0.0030890298664593974, 0.0010934917164056035, -0.0008719767947242274]], "white": [0.9504296694021507, 0.9999999999999998, 1.0888005470297513], "exposure": null}}','stopped','w',1.7960928152015202046e+09,0.0,1.79609281494466757776e+09,'{"terms": [{"each": {"runs": 0.0, "seconds": 39.42516, "money": 0.034124999999999996, "volume": 13.0}, "when": "first", "kind": "fixed"}, {"each": {"runs": 0.0, "seconds": 14.00016, "money": 0.006, "volume": 4.0}, "when": 5, "kind": "fixed"}, {"parameter": "red", "slope": 0.625, "money": 0.021, "offset": 0.0, "besides": 0.3, "shortest": 0.0, "decimals": null, "kind": "dose"}, {"parameter": "yellow", "slope": 0.625, "money": 0.021, "offset": 0.0, "besides": 0.3, "shortest": 0.0, "decimals": null, "kind": "dose"}, {"parameter": "blue", "slope": 0.625, "money": 0.021, "offset": 0.0, "besides": 0.3, "shortest": 0.0, "decimals": null, "kind": "dose"}, {"parameter": "water", "slope": 0.625, "money": 0.0015, "offset": 0.0, "besides": 0.3, "shortest": 0.0, "decimals": null, "kind": "dose"}, {"each": {"runs": 0.0, "seconds": 47.900079999999996, "money": 0.006, "volume": 4.0}, "when": "always", "kind": "fixed"}]}',1,0);
INSERT INTO "rig" VALUES('chem-ferroelectric-response','task-lab','{"task": "{\"name\":\"ferroelectric-response\",\"title\":\"Find the composition with the largest piezoelectric response\",\"text\":\"Somewhere in composition and temperature your ferroelectric solid solution responds most. Hand in the place. It is judged by the response\\nthat it truly has there.\\n\",\"driver\":{\"name\":\"ferroelectric\"},\"draw\":{\"system\":{\"any\":true}},\"goal\":[\"maximize:piezoelectric\"],\"budget\":{\"runs\":25},\"score\":{\"fine\":20.0}}"}',0,'{"name": "ferroelectric", "parameters": [{"name": "titanate", "low": 0.0, "high": 1.0, "unit": "1", "description": "mole fraction of the tetragonal end member", "kind": "continuous"}, {"name": "temperature", "low": 300.0, "high": 900.0, "unit": "K", "description": "of the furnace", "kind": "continuous"}], "outcomes": [{"name": "phase", "unit": "", "description": "the phases of the sample", "labels": ["cubic", "tetragonal", "rhombohedral"], "law": null}, {"name": "tetragonality", "unit": "%", "description": "c/a - 1 of the lattice", "labels": [], "law": null}, {"name": "shear", "unit": "deg", "description": "90\u00b0 less the angle of the lattice", "labels": [], "law": null}, {"name": "polarization", "unit": "C/m\u00b2", "description": "spontaneous polarization", "labels": [], "law": null}, {"name": "permittivity", "unit": "1", "description": "relative permittivity, mean of the three axes", "labels": [], "law": null}, {"name": "piezoelectric", "unit": "pm/V", "description": "piezoelectric response", "labels": [], "law": null}], "constraints": [], "candidates": [], "color": null}','open',NULL,NULL,0.0,1.79609281528666353232e+09,'{"terms": [{"parameter": "temperature", "start": 298.15, "heating": 0.5, "cooling": 0.2, "soak": 600.0, "each": {"runs": 0.0, "seconds": 1.0, "money": 8.333333333333333e-05, "volume": 0.0}, "cold": [], "stays": null, "kind": "ramp"}, {"parameters": ["titanate"], "each": {"runs": 0.0, "seconds": 120.0, "money": 0.4, "volume": 0.0}, "kind": "change"}, {"each": {"runs": 0.0, "seconds": 180.0, "money": 0.05, "volume": 0.0}, "when": "always", "kind": "fixed"}]}',1,0);
CREATE TABLE score (
	campaign VARCHAR(32) NOT NULL, 
	trial INTEGER NOT NULL, 
	loss FLOAT, 
	body_json TEXT NOT NULL, 
	PRIMARY KEY (campaign, trial), 
	FOREIGN KEY(campaign) REFERENCES campaign (id)
);
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
INSERT INTO "share" VALUES('color-1','u_61ad0222e309224e28b4',35.5);
INSERT INTO "share" VALUES('mixer-1','u_61ad0222e309224e28b4',10.0);
CREATE TABLE standing (
	campaign VARCHAR(32) NOT NULL, 
	body_json TEXT NOT NULL, 
	PRIMARY KEY (campaign), 
	FOREIGN KEY(campaign) REFERENCES campaign (id)
);
CREATE TABLE task (
	rig VARCHAR(40) NOT NULL, 
	classroom VARCHAR(32) NOT NULL, 
	body_json TEXT NOT NULL, 
	places_json TEXT, 
	pilots_json TEXT NOT NULL, 
	created_at FLOAT NOT NULL, 
	PRIMARY KEY (rig), 
	FOREIGN KEY(rig) REFERENCES rig (name), 
	FOREIGN KEY(classroom) REFERENCES classroom (id)
);
INSERT INTO "task" VALUES('chem-ferroelectric-response','g_54406183711dabf089ec','{"name":"ferroelectric-response","title":"Find the composition with the largest piezoelectric response","text":"Somewhere in composition and temperature your ferroelectric solid solution responds most. Hand in the place. It is judged by the response\nthat it truly has there.\n","driver":{"name":"ferroelectric"},"draw":{"system":{"any":true}},"goal":["maximize:piezoelectric"],"budget":{"runs":25},"score":{"fine":10.0}}',NULL,'{}',1.79609281528666353232e+09);
CREATE TABLE token (
	id VARCHAR(32) NOT NULL, 
	person VARCHAR(32) NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	note VARCHAR(80) NOT NULL, 
	scopes VARCHAR(80) NOT NULL, 
	created_at FLOAT NOT NULL, 
	expires_at FLOAT, 
	revoked_at FLOAT, rigs TEXT, parent VARCHAR(32), is_agent BOOLEAN DEFAULT '0' NOT NULL, runs FLOAT, 
	PRIMARY KEY (id), 
	FOREIGN KEY(person) REFERENCES person (id), 
	UNIQUE (digest)
);
INSERT INTO "token" VALUES('t_19f491e2d4a89d852177','u_61ad0222e309224e28b4','2da537601b720337d071d33090c851a653372b10ed73dec7b33e2710b36a03d0','','read run:sim run:rig',1.79609281497291350363e+09,NULL,NULL,NULL,NULL,0,NULL);
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
CREATE INDEX entry_of ON entry (campaign, id);
CREATE INDEX score_best ON score (campaign, loss, trial);
CREATE INDEX ix_person_code ON person (code);
CREATE INDEX ix_token_parent ON token (parent);
CREATE UNIQUE INDEX twin_of ON experiment (twin, twin_number);
CREATE INDEX ix_person_classroom ON person (classroom);
CREATE INDEX ix_task_classroom ON task (classroom);
CREATE INDEX hand_in_of ON hand_in (rig, person);
CREATE INDEX ix_grade_hand_in ON grade (hand_in);
CREATE INDEX experiment_by ON experiment (agent) WHERE agent is not null;
COMMIT;
