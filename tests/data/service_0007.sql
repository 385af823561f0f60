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
INSERT INTO "account" VALUES('u_8d174599079930ae9df4',94.0,4.95909999999999854484e+03,3.25100000000000033395e+00,NULL,NULL);
INSERT INTO "account" VALUES('u_2f36063520344a117eb7',NULL,NULL,NULL,NULL,NULL);
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0007');
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
INSERT INTO "counter" VALUES('event',16);
INSERT INTO "counter" VALUES('w_62cfbf550a2c',17);
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
INSERT INTO "event" VALUES(1,'u_8d174599079930ae9df4','color-1',NULL,'x_302ab9b5fac577ae0e24','experiment.queued','{"state": "queued", "settings": {"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}}',1.79604885380359601976e+09);
INSERT INTO "event" VALUES(2,'u_8d174599079930ae9df4','color-1',NULL,'x_a41b242664fc56ce7c17','experiment.queued','{"state": "queued", "settings": {"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}}',1.79604885383254098889e+09);
INSERT INTO "event" VALUES(3,'u_8d174599079930ae9df4','color-1',NULL,'x_f437071c75afb5c4c627','experiment.queued','{"state": "queued", "settings": {"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}}',1.79604885383745408065e+09);
INSERT INTO "event" VALUES(4,'u_8d174599079930ae9df4','color-1',NULL,'x_400f96d2ffc25edf0c0a','experiment.queued','{"state": "queued", "settings": {"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}}',1.79604885384594202034e+09);
INSERT INTO "event" VALUES(5,'u_8d174599079930ae9df4','color-1',NULL,'x_df8941d0a50f42ed914a','experiment.queued','{"state": "queued", "settings": {"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}}',1.79604885385301780704e+09);
INSERT INTO "event" VALUES(6,'u_8d174599079930ae9df4','color-1',NULL,'x_5b44e30c4d3af77578c4','experiment.queued','{"state": "queued", "settings": {"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}}',1.7960488538725838661e+09);
INSERT INTO "event" VALUES(7,'u_8d174599079930ae9df4','mixer-1',NULL,'x_419e0678944dcb791ffe','experiment.queued','{"state": "queued", "settings": {"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}}',1.79604885388427186008e+09);
INSERT INTO "event" VALUES(8,'u_8d174599079930ae9df4','mixer-1',NULL,'x_419e0678944dcb791ffe','experiment.running','{"state": "running", "settings": {"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}}',1.79604885395259976387e+09);
INSERT INTO "event" VALUES(9,'','mixer-1',NULL,NULL,'rig.stopped','{"state": "stopped", "why": "its worker was lost in the middle of an experiment; somebody has to look at the rig"}',1.79605245397232317922e+09);
INSERT INTO "event" VALUES(10,'u_8d174599079930ae9df4','mixer-1',NULL,'x_419e0678944dcb791ffe','experiment.unknown','{"state": "unknown", "settings": {"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}, "error": "its worker was lost in the middle; look at the rig, then submit it again if it should be done again"}',1.79605245397232317922e+09);
INSERT INTO "event" VALUES(11,'u_8d174599079930ae9df4','color-1',NULL,'x_302ab9b5fac577ae0e24','experiment.running','{"state": "running", "settings": {"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}}',1.79604885400857973093e+09);
INSERT INTO "event" VALUES(12,'u_8d174599079930ae9df4','color-1',NULL,'x_a41b242664fc56ce7c17','experiment.running','{"state": "running", "settings": {"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}}',1.79604885400857973093e+09);
INSERT INTO "event" VALUES(13,'u_8d174599079930ae9df4','color-1',NULL,'x_f437071c75afb5c4c627','experiment.running','{"state": "running", "settings": {"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}}',1.79604885400857973093e+09);
INSERT INTO "event" VALUES(14,'u_8d174599079930ae9df4','color-1',NULL,'x_302ab9b5fac577ae0e24','experiment.succeeded','{"state": "succeeded", "settings": {"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}, "outcomes": {"t_415": 0.5}, "cost": {"seconds": 3.0, "money": 0.0, "volume": 0.0}}',1.79604885400857973093e+09);
INSERT INTO "event" VALUES(15,'u_8d174599079930ae9df4','color-1',NULL,'x_a41b242664fc56ce7c17','experiment.failed','{"state": "failed", "settings": {"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}, "error": "the pump jammed", "cost": {"seconds": 99.0, "money": 0.0, "volume": 0.0}}',1.79604885400857973093e+09);
INSERT INTO "event" VALUES(16,'u_8d174599079930ae9df4','color-1',NULL,'x_5b44e30c4d3af77578c4','experiment.aborted','{"state": "aborted", "settings": {"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}, "error": "aborted by Ada"}',1.79604885400857973093e+09);
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
	finished_at FLOAT, twin VARCHAR(80), twin_number INTEGER, rig_runs FLOAT DEFAULT '0' NOT NULL, 
	PRIMARY KEY (number), 
	FOREIGN KEY(person) REFERENCES person (id), 
	FOREIGN KEY(rig) REFERENCES rig (name), 
	UNIQUE (id)
);
INSERT INTO "experiment" VALUES(1,'x_302ab9b5fac577ae0e24','u_8d174599079930ae9df4','color-1',NULL,NULL,'{"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}','succeeded',0,0.0,7.1,0.013,3.3,1,'395c2e6dd07be4eb',NULL,'{"outcomes": {"t_415": 0.5}, "raw": {}, "cost": {"seconds": 3.0, "money": 0.0, "volume": 0.0}}',NULL,'{"rig": "color-1"}',1.79604885380359601976e+09,1.79604885400857973093e+09,1.79604885400857973093e+09,NULL,NULL,0.0);
INSERT INTO "experiment" VALUES(2,'x_a41b242664fc56ce7c17','u_8d174599079930ae9df4','color-1',NULL,NULL,'{"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}','failed',0,7.1,7.1,0.013,3.3,1,'18ea96b659b413f2',NULL,'{"cost": {"seconds": 99.0, "money": 0.0, "volume": 0.0}}','the pump jammed','{}',1.79604885383254098889e+09,1.79604885400857973093e+09,1.79604885400857973093e+09,NULL,NULL,0.0);
INSERT INTO "experiment" VALUES(3,'x_f437071c75afb5c4c627','u_8d174599079930ae9df4','color-1',NULL,NULL,'{"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}','running',0,14.2,7.1,0.013,3.3,1,'5dc177cea3284b86',1.79604888400857973101e+09,NULL,NULL,NULL,1.79604885383745408065e+09,1.79604885400857973093e+09,NULL,NULL,NULL,0.0);
INSERT INTO "experiment" VALUES(4,'x_400f96d2ffc25edf0c0a','u_8d174599079930ae9df4','color-1',NULL,NULL,'{"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}','leased',0,2.12999999999999971582e+01,7.1,0.013,3.3,1,'d3d97c6c88d58315',1.79604888400857973101e+09,NULL,NULL,NULL,1.79604885384594202034e+09,NULL,NULL,NULL,NULL,0.0);
INSERT INTO "experiment" VALUES(5,'x_df8941d0a50f42ed914a','u_8d174599079930ae9df4','color-1',NULL,NULL,'{"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}','queued',0,28.4,7.1,0.013,3.3,0,NULL,NULL,NULL,NULL,NULL,1.79604885385301780704e+09,NULL,NULL,NULL,NULL,0.0);
INSERT INTO "experiment" VALUES(6,'x_5b44e30c4d3af77578c4','u_8d174599079930ae9df4','color-1',NULL,NULL,'{"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}','aborted',0,35.5,7.1,0.013,3.3,0,NULL,NULL,NULL,'aborted by Ada',NULL,1.7960488538725838661e+09,NULL,1.79604885400857973093e+09,NULL,NULL,0.0);
INSERT INTO "experiment" VALUES(7,'x_419e0678944dcb791ffe','u_8d174599079930ae9df4','mixer-1',NULL,NULL,'{"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}','unknown',0,0.0,10.0,0.01,4.0,1,'d261a96efe31f9a8',NULL,NULL,'its worker was lost in the middle; look at the rig, then submit it again if it should be done again',NULL,1.79604885388427186008e+09,1.79604885395259976387e+09,1.79605245397232317922e+09,NULL,NULL,0.0);
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
	revoked_at FLOAT, rig_runs FLOAT, 
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
	at FLOAT NOT NULL, rig_runs FLOAT DEFAULT '0' NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "ledger" VALUES(1,'u_8d174599079930ae9df4',NULL,'grant',100.0,5000.5,3.3,0.0,1.79604885376630759238e+09,0.0);
INSERT INTO "ledger" VALUES(2,'u_2f36063520344a117eb7',NULL,'grant',0.0,0.0,0.0,0.0,1.79604885379383683204e+09,0.0);
INSERT INTO "ledger" VALUES(3,'u_8d174599079930ae9df4','x_302ab9b5fac577ae0e24','reserve',1.0,7.1,0.013,3.3,1.79604885380359601976e+09,0.0);
INSERT INTO "ledger" VALUES(4,'u_8d174599079930ae9df4','x_a41b242664fc56ce7c17','reserve',1.0,7.1,0.013,3.3,1.79604885383254098889e+09,0.0);
INSERT INTO "ledger" VALUES(5,'u_8d174599079930ae9df4','x_f437071c75afb5c4c627','reserve',1.0,7.1,0.013,3.3,1.79604885383745408065e+09,0.0);
INSERT INTO "ledger" VALUES(6,'u_8d174599079930ae9df4','x_400f96d2ffc25edf0c0a','reserve',1.0,7.1,0.013,3.3,1.79604885384594202034e+09,0.0);
INSERT INTO "ledger" VALUES(7,'u_8d174599079930ae9df4','x_df8941d0a50f42ed914a','reserve',1.0,7.1,0.013,3.3,1.79604885385301780704e+09,0.0);
INSERT INTO "ledger" VALUES(8,'u_8d174599079930ae9df4','x_5b44e30c4d3af77578c4','reserve',1.0,7.1,0.013,3.3,1.7960488538725838661e+09,0.0);
INSERT INTO "ledger" VALUES(9,'u_8d174599079930ae9df4','x_419e0678944dcb791ffe','reserve',1.0,10.0,0.01,4.0,1.79604885388427186008e+09,0.0);
INSERT INTO "ledger" VALUES(10,'u_8d174599079930ae9df4','x_419e0678944dcb791ffe','settle',1.0,10.0,0.01,4.0,1.79605245397232317922e+09,0.0);
INSERT INTO "ledger" VALUES(11,'u_8d174599079930ae9df4','x_419e0678944dcb791ffe','refund',0.0,0.0,0.0,0.0,1.79605245397232317922e+09,0.0);
INSERT INTO "ledger" VALUES(12,'u_8d174599079930ae9df4','x_302ab9b5fac577ae0e24','settle',1.0,3.0,0.0,0.0,1.79604885400857973093e+09,0.0);
INSERT INTO "ledger" VALUES(13,'u_8d174599079930ae9df4','x_302ab9b5fac577ae0e24','refund',0.0,4.1,0.013,3.3,1.79604885400857973093e+09,0.0);
INSERT INTO "ledger" VALUES(14,'u_8d174599079930ae9df4','x_a41b242664fc56ce7c17','settle',1.0,7.1,0.0,0.0,1.79604885400857973093e+09,0.0);
INSERT INTO "ledger" VALUES(15,'u_8d174599079930ae9df4','x_a41b242664fc56ce7c17','refund',0.0,0.0,0.013,3.3,1.79604885400857973093e+09,0.0);
INSERT INTO "ledger" VALUES(16,'u_8d174599079930ae9df4','x_5b44e30c4d3af77578c4','settle',0.0,0.0,0.0,0.0,1.79604885400857973093e+09,0.0);
INSERT INTO "ledger" VALUES(17,'u_8d174599079930ae9df4','x_5b44e30c4d3af77578c4','refund',1.0,7.1,0.013,3.3,1.79604885400857973093e+09,0.0);
CREATE TABLE person (
	id VARCHAR(32) NOT NULL, 
	name VARCHAR(80) NOT NULL, 
	role VARCHAR(12) NOT NULL, 
	created_at FLOAT NOT NULL, code VARCHAR(32), join_key VARCHAR(64), 
	PRIMARY KEY (id)
);
INSERT INTO "person" VALUES('u_8d174599079930ae9df4','Ada','student',1.79604885376630759238e+09,NULL,NULL);
INSERT INTO "person" VALUES('u_2f36063520344a117eb7','Grace','student',1.79604885379383683204e+09,NULL,NULL);
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
INSERT INTO "rig" VALUES('color-1','color-mixing','{}',0,'{"name": "color-mixing", "parameters": [{"name": "red", "low": 0.0, "high": 1.0, "unit": "mL", "description": "red dye", "kind": "continuous"}, {"name": "yellow", "low": 0.0, "high": 1.0, "unit": "mL", "description": "yellow dye", "kind": "continuous"}, {"name": "blue", "low": 0.0, "high": 1.0, "unit": "mL", "description": "blue dye", "kind": "continuous"}, {"name": "water", "low": 1.0, "high": 4.0, "unit": "mL", "description": "water", "kind": "continuous"}], "outcomes": [{"name": "t_415", "unit": "1", "description": "light left in the channel at 415 nm; clean water is 1", "labels": [], "law": {"absorbers": ["red", "yellow", "blue"]}}, {"name": "t_445", "unit": "1", "description": "light left in the channel at 445 nm; clean water is 1", "labels": [], "law": {"absorbers": ["red", "yellow", "blue"]}}, {"name": "t_480", "unit": "1", "description": "light left in the channel at 480 nm; clean water is 1", "labels": [], "law": {"absorbers": ["red", "yellow", "blue"]}}, {"name": "t_515", "unit": "1", "description": "light left in the channel at 515 nm; clean water is 1", "labels": [], "law": {"absorbers": ["red", "yellow", "blue"]}}, {"name": "t_555", "unit": "1", "description": "light left in the channel at 555 nm; clean water is 1", "labels": [], "law": {"absorbers": ["red", "yellow", "blue"]}}, {"name": "t_590", "unit": "1", "description": "light left in the channel at 590 nm; clean water is 1", "labels": [], "law": {"absorbers": ["red", "yellow", "blue"]}}, {"name": "t_630", "unit": "1", "description": "light left in the channel at 630 nm; clean water is 1", "labels": [], "law": {"absorbers": ["red", "yellow", "blue"]}}, {"name": "t_680", "unit": "1", "description": "light left in the channel at 680 nm; clean water is 1", "labels": [], "law": {"absorbers": ["red", "yellow", "blue"]}}], "constraints": [{"parameters": ["red", "yellow", "blue", "water"], "total": 4.0, "unit": "mL"}], "candidates": [], "color": {"channels": ["t_415", "t_445", "t_480", "t_515", "t_555", "t_590", "t_630", "t_680"], "to_xyz": [[0.050539151273089264, 0.07507992426089119, 0.059520650605238035, 0.002690604329455934, 0.16691302843642886, 0.31173218851367446, 0.2736054583110762, 0.01034866367229674], [0.00583442970889185, -0.01276375937511423, 0.05834725245743068, 0.270553408647686, 0.3508159773382161, 0.21743359967711828, 0.10614910543009053, 0.003629986115680564], [0.2534285438271517, 0.32169310501962806, 0.517712327999042, -0.012559973973688604, 0.011394059102396048, -0.0030890298664593974, 0.0010934917164056035, -0.0008719767947242274]], "white": [0.9504296694021507, 0.9999999999999998, 1.0888005470297513], "exposure": null}}','open','w',1.79604885400857973093e+09,2.12999999999999971582e+01,1.79604885318262362482e+09,'{"terms": [{"each": {"runs": 0.0, "seconds": 39.42516, "money": 0.034124999999999996, "volume": 13.0}, "when": "first", "kind": "fixed"}, {"each": {"runs": 0.0, "seconds": 14.00016, "money": 0.006, "volume": 4.0}, "when": 5, "kind": "fixed"}, {"parameter": "red", "slope": 0.625, "money": 0.021, "offset": 0.0, "besides": 0.3, "shortest": 0.0, "decimals": null, "kind": "dose"}, {"parameter": "yellow", "slope": 0.625, "money": 0.021, "offset": 0.0, "besides": 0.3, "shortest": 0.0, "decimals": null, "kind": "dose"}, {"parameter": "blue", "slope": 0.625, "money": 0.021, "offset": 0.0, "besides": 0.3, "shortest": 0.0, "decimals": null, "kind": "dose"}, {"parameter": "water", "slope": 0.625, "money": 0.0015, "offset": 0.0, "besides": 0.3, "shortest": 0.0, "decimals": null, "kind": "dose"}, {"each": {"runs": 0.0, "seconds": 47.900079999999996, "money": 0.006, "volume": 4.0}, "when": "always", "kind": "fixed"}]}',1,0);
INSERT INTO "rig" VALUES('mixer-1','color-mixing','{}',1,'{"name": "color-mixing", "parameters": [{"name": "red", "low": 0.0, "high": 1.0, "unit": "mL", "description": "red dye", "kind": "continuous"}, {"name": "yellow", "low": 0.0, "high": 1.0, "unit": "mL", "description": "yellow dye", "kind": "continuous"}, {"name": "blue", "low": 0.0, "high": 1.0, "unit": "mL", "description": "blue dye", "kind": "continuous"}, {"name": "water", "low": 1.0, "high": 4.0, "unit": "mL", "description": "water", "kind": "continuous"}], "outcomes": [{"name": "t_415", "unit": "1", "description": "light left in the channel at 415 nm; clean water is 1", "labels": [], "law": {"absorbers": ["red", "yellow", "blue"]}}, {"name": "t_445", "unit": "1", "description": "light left in the channel at 445 nm; clean water is 1", "labels": [], "law": {"absorbers": ["red", "yellow", "blue"]}}, {"name": "t_480", "unit": "1", "description": "light left in the channel at 480 nm; clean water is 1", "labels": [], "law": {"absorbers": ["red", "yellow", "blue"]}}, {"name": "t_515", "unit": "1", "description": "light left in the channel at 515 nm; clean water is 1", "labels": [], "law": {"absorbers": ["red", "yellow", "blue"]}}, {"name": "t_555", "unit": "1", "description": "light left in the channel at 555 nm; clean water is 1", "labels": [], "law": {"absorbers": ["red", "yellow", "blue"]}}, {"name": "t_590", "unit": "1", "description": "light left in the channel at 590 nm; clean water is 1", "labels": [], "law": {"absorbers": ["red", "yellow", "blue"]}}, {"name": "t_630", "unit": "1", "description": "light left in the channel at 630 nm; clean water is 1", "labels": [], "law": {"absorbers": ["red", "yellow", "blue"]}}, {"name": "t_680", "unit": "1", "description": "light left in the channel at 680 nm; clean water is 1", "labels": [], "law": {"absorbers": ["red", "yellow", "blue"]}}], "constraints": [{"parameters": ["red", "yellow", "blue", "water"], "total": 4.0, "unit": "mL"}], "candidates": [], "color": {"channels": ["t_415", "t_445", "t_480", "t_515", "t_555", "t_590", "t_630", "t_680"], "to_xyz": [[0.050539151273089264, 0.07507992426089119, 0.059520650605238035, 0.002690604329455934, 0.16691302843642886, 0.31173218851367446, 0.2736054583110762, 0.01034866367229674], [0.00583442970889185, -0.01276375937511423, 0.05834725245743068, 0.270553408647686, 0.3508159773382161, 0.21743359967711828, 0.10614910543009053, 0.003629986115680564], [0.2534285438271517, 0.32169310501962806, 0.517712327999042, -0.012559973973688604, 0.011394059102396048, -0.0030890298664593974, 0.0010934917164056035, -0.0008719767947242274]], "white": [0.9504296694021507, 0.9999999999999998, 1.0888005470297513], "exposure": null}}','stopped','w',1.79604885389613962176e+09,0.0,1.79604885374776029587e+09,'{"terms": [{"each": {"runs": 0.0, "seconds": 39.42516, "money": 0.034124999999999996, "volume": 13.0}, "when": "first", "kind": "fixed"}, {"each": {"runs": 0.0, "seconds": 14.00016, "money": 0.006, "volume": 4.0}, "when": 5, "kind": "fixed"}, {"parameter": "red", "slope": 0.625, "money": 0.021, "offset": 0.0, "besides": 0.3, "shortest": 0.0, "decimals": null, "kind": "dose"}, {"parameter": "yellow", "slope": 0.625, "money": 0.021, "offset": 0.0, "besides": 0.3, "shortest": 0.0, "decimals": null, "kind": "dose"}, {"parameter": "blue", "slope": 0.625, "money": 0.021, "offset": 0.0, "besides": 0.3, "shortest": 0.0, "decimals": null, "kind": "dose"}, {"parameter": "water", "slope": 0.625, "money": 0.0015, "offset": 0.0, "besides": 0.3, "shortest": 0.0, "decimals": null, "kind": "dose"}, {"each": {"runs": 0.0, "seconds": 47.900079999999996, "money": 0.006, "volume": 4.0}, "when": "always", "kind": "fixed"}]}',1,0);
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
INSERT INTO "share" VALUES('color-1','u_8d174599079930ae9df4',35.5);
INSERT INTO "share" VALUES('mixer-1','u_8d174599079930ae9df4',10.0);
CREATE TABLE standing (
	campaign VARCHAR(32) NOT NULL, 
	body_json TEXT NOT NULL, 
	PRIMARY KEY (campaign), 
	FOREIGN KEY(campaign) REFERENCES campaign (id)
);
CREATE TABLE token (
	id VARCHAR(32) NOT NULL, 
	person VARCHAR(32) NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	note VARCHAR(80) NOT NULL, 
	scopes VARCHAR(80) NOT NULL, 
	created_at FLOAT NOT NULL, 
	expires_at FLOAT, 
	revoked_at FLOAT, rigs TEXT, parent VARCHAR(32), 
	PRIMARY KEY (id), 
	FOREIGN KEY(person) REFERENCES person (id), 
	UNIQUE (digest)
);
INSERT INTO "token" VALUES('t_b4e13eca63e17e4bfd60','u_8d174599079930ae9df4','d0e0c16e5501efc19c7b80e82e081c68da47bc9371dd8f48a97214ee5bc2472d','','read run:sim run:rig',1.79604885378399443626e+09,NULL,NULL,NULL,NULL);
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
COMMIT;
