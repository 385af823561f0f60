"""The service's tables, the same for SQLite and PostgreSQL. `migrations/` brings a database to them.

Times are seconds since 1970 by the server's clock. Texts named `…_json` hold JSON.
"""

from sqlalchemy import BigInteger, Boolean, Column, Float, ForeignKey, Index, Integer, MetaData, String, Table, Text, text

tables = MetaData()

Number = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up by itself only in an INTEGER PRIMARY KEY

person = Table(
    "person",
    tables,
    Column("id", String(32), primary_key=True),
    Column("name", String(80), nullable=False),
    Column("role", String(12), nullable=False),  # student, instructor, observer, assistant, removed
    Column("created_at", Float, nullable=False),
    Column("code", String(32), index=True),  # the id of the join code that they came in with
    Column("join_key", String(64)),  # SHA-256 of the key of the request to join: who has it is that person
    Column("classroom", String(32), index=True),  # the id of their class; nothing: of none
    Column("nickname", String(40)),  # for boards; one is made up where there is none
)
token = Table(
    "token",
    tables,
    Column("id", String(32), primary_key=True),
    Column("person", ForeignKey("person.id"), nullable=False, index=True),
    Column("digest", String(64), nullable=False, unique=True),  # SHA-256 of what the owner was shown once
    Column("note", String(80), nullable=False),
    Column("scopes", String(80), nullable=False),  # words with spaces between: read run:sim run:rig admin
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float),
    Column("revoked_at", Float),
    Column("rigs", Text),  # those that it may drive, with the scope work: names with spaces between
    Column("parent", String(32), index=True),  # the id of the token that made it: it ends with that one
    Column("is_agent", Boolean, nullable=False, server_default="0"),  # made for an agent
    Column("runs", Float),  # experiments at most, of an agent's; nothing is no limit of its own
)
join_code = Table(
    "join_code",
    tables,
    Column("id", String(32), primary_key=True),
    Column("digest", String(64), nullable=False, unique=True),
    Column("note", String(80), nullable=False),
    Column("scopes", String(80), nullable=False),
    Column("uses_left", Integer, nullable=False),
    Column("runs", Float),  # what each newcomer may spend; nothing is no limit
    Column("rig_runs", Float),
    Column("seconds", Float),
    Column("money", Float),
    Column("volume", Float),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float),
    Column("revoked_at", Float),
    Column("classroom", String(32)),  # the id of the class that it lets in to
)
account = Table(  # what is left of each person's budget, reservations taken off; the sum of the ledger
    "account",
    tables,
    Column("person", ForeignKey("person.id"), primary_key=True),
    Column("runs", Float),
    Column("rig_runs", Float),  # those on real rigs; nothing means that they are runs like others
    Column("seconds", Float),
    Column("money", Float),
    Column("volume", Float),
)
ledger = Table(  # append-only
    "ledger",
    tables,
    Column("id", Number, primary_key=True, autoincrement=True),
    Column("person", String(32), nullable=False, index=True),
    Column("experiment", String(32), index=True),
    Column("kind", String(8), nullable=False),  # grant, reserve, settle, refund
    Column("runs", Float, nullable=False),
    Column("rig_runs", Float, nullable=False, server_default="0"),
    Column("seconds", Float, nullable=False),
    Column("money", Float, nullable=False),
    Column("volume", Float, nullable=False),
    Column("at", Float, nullable=False),
)
rig = Table(
    "rig",
    tables,
    Column("name", String(40), primary_key=True),
    Column("driver", String(40), nullable=False),
    Column("options_json", Text, nullable=False),
    Column("is_real", Boolean, nullable=False),
    Column("is_shared", Boolean, nullable=False, server_default="0"),  # one twin for everybody
    Column("experiment_json", Text, nullable=False),
    Column("state", String(8), nullable=False),  # open, paused, stopped
    Column("worker", String(64)),  # who drives it, while heard: its name and, from afar, the id of its token
    Column("seen_at", Float),
    Column("clock", Float, nullable=False),  # virtual time of the fair queue: the tag of what was leased last
    Column("created_at", Float, nullable=False),
    Column("price_json", Text),  # of its experiments, as said at its registration; nothing where the driver names none
    Column("is_local", Boolean, nullable=False, server_default="0"),  # driver and options are the operator's words, not a worker's
)
approval = Table(  # who may use a real rig
    "approval",
    tables,
    Column("person", ForeignKey("person.id"), primary_key=True),
    Column("rig", ForeignKey("rig.name"), primary_key=True),
    Column("by", String(32), nullable=False),
    Column("at", Float, nullable=False),
)
share = Table(  # up to which virtual time a person has been served, or will be
    "share",
    tables,
    Column("rig", ForeignKey("rig.name"), primary_key=True),
    Column("person", ForeignKey("person.id"), primary_key=True),
    Column("until", Float, nullable=False),
)
campaign = Table(
    "campaign",
    tables,
    Column("id", String(32), primary_key=True),
    Column("person", ForeignKey("person.id"), nullable=False),
    Column("name", String(80), nullable=False),
    Column("rig", ForeignKey("rig.name"), nullable=False),
    Column("mode", String(6), nullable=False),  # server or client: who chooses what to try next
    Column("words_json", Text, nullable=False),  # goal, strategy, seed, budget, stop, whether a person approves
    Column("experiment_json", Text, nullable=False),  # what its rig could be asked when it was started
    Column("state", String(8), nullable=False),  # running, paused, waiting (for a person), ended
    Column("reason", Text),  # why it is not running
    Column("proposal_json", Text),  # what waits for a person
    Column("n_before", Integer, nullable=False),  # trials when a person last let it go on: failures count from there
    Column("thinker", String(32)),  # which process is choosing what to try next, until when
    Column("thinker_until", Float),
    Column("created_at", Float, nullable=False),
    Column("number", Number, nullable=False, unique=True),  # for pages, newest first
    Column("agent", String(32)),  # the id of the token of the agent that started it
    Index("campaign_of", "person", "number"),
    Index("campaign_open", "state", "mode"),
    Index("campaign_named", "person", "name", unique=True),
)
experiment = Table(
    "experiment",
    tables,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("id", String(32), nullable=False, unique=True),
    Column("person", ForeignKey("person.id"), nullable=False),
    Column("rig", ForeignKey("rig.name"), nullable=False),
    Column("campaign", String(32)),
    Column("trial", Integer),  # its number within the campaign
    Column("settings_json", Text, nullable=False),
    Column("state", String(10), nullable=False),
    Column("lane", Integer, nullable=False),  # 1 goes before 0
    Column("tag", Float, nullable=False),  # place in the fair queue
    Column("seconds", Float, nullable=False),  # estimate, reserved
    Column("money", Float, nullable=False),
    Column("volume", Float, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("lease", String(32)),
    Column("lease_until", Float),
    Column("result_json", Text),  # outcomes, cost and raw readings, or nothing
    Column("error", Text),
    Column("provenance_json", Text),
    Column("created_at", Float, nullable=False),
    Column("started_at", Float),
    Column("finished_at", Float),
    Column("twin", String(80)),  # that performed it to the end
    Column("twin_number", Integer),  # of the experiment in that twin's past, from 1
    Column("rig_runs", Float, nullable=False, server_default="0"),  # reserved in place of a run
    Column("agent", String(32)),  # the id of the token of the agent that submitted it
    Index("experiment_by", "agent", sqlite_where=text("agent is not null"), postgresql_where=text("agent is not null")),
    Index("experiment_queue", "rig", "state", "lane", "tag", "number"),
    Index("experiment_of", "person", "number"),
    Index("experiment_trial", "campaign", "trial", unique=True),
    Index(
        "experiment_lease", "lease_until", sqlite_where=text("lease_until is not null"), postgresql_where=text("lease_until is not null")
    ),
    Index("twin_of", "twin", "twin_number", unique=True),
    Index("experiment_waits", "person", sqlite_where=text("state = 'queued'"), postgresql_where=text("state = 'queued'")),
)
score = Table(  # of each trial that has ended, as it stands after corrections
    "score",
    tables,
    Column("campaign", ForeignKey("campaign.id"), primary_key=True),
    Column("trial", Integer, primary_key=True),
    Column("loss", Float),  # the score with the sign that makes small ones good; nothing where it does not count
    Column("body_json", Text, nullable=False),
    Index("score_best", "campaign", "loss", "trial"),
)
standing = Table(  # of a campaign: sums over its scores
    "standing",
    tables,
    Column("campaign", ForeignKey("campaign.id"), primary_key=True),
    Column("body_json", Text, nullable=False),
)
entry = Table(  # a campaign's log beside its trials: only ever added to
    "entry",
    tables,
    Column("id", Number, primary_key=True, autoincrement=True),
    Column("campaign", ForeignKey("campaign.id"), nullable=False),
    Column("after", Integer, nullable=False),  # number of the last trial before it
    Column("kind", String(12), nullable=False),  # preference, rejection, proposal, approval, retraction, amendment
    Column("body_json", Text, nullable=False),
    Column("by", String(32), nullable=False),
    Column("at", Float, nullable=False),
    Index("entry_of", "campaign", "id"),
)
event = Table(
    "event",
    tables,
    Column("id", Number, primary_key=True, autoincrement=False),  # without gaps, in the order of commits
    Column("person", String(32), nullable=False),  # whose it is
    Column("rig", String(40)),
    Column("campaign", String(32)),
    Column("experiment", String(32)),
    Column("kind", String(40), nullable=False),
    Column("body_json", Text, nullable=False),
    Column("at", Float, nullable=False),
    Index("event_of", "person", "id"),
)
counter = Table(  # event: the newest event's id, and its lock is the right to write; w_…: the last group of changes of one writer
    "counter",
    tables,
    Column("name", String(16), primary_key=True),
    Column("value", Number, nullable=False),
)
answer = Table(  # what a request with an idempotency key was answered
    "answer",
    tables,
    Column("person", String(32), primary_key=True),
    Column("key", String(80), primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("status", Integer, nullable=False),
    Column("body_json", Text, nullable=False),
    Column("location", String(200)),
    Column("at", Float, nullable=False, index=True),
)
classroom = Table(  # a class: people, codes and tasks are of one, or of none
    "classroom",
    tables,
    Column("id", String(32), primary_key=True),
    Column("name", String(20), nullable=False, unique=True),
    Column("secret", String(64), nullable=False),  # all of its labs follow from it
    Column("created_at", Float, nullable=False),
    Column("archived_at", Float),  # from then on nobody works on its tasks
)
task = Table(  # of a class; it is a rig, on which each student has a lab
    "task",
    tables,
    Column("rig", ForeignKey("rig.name"), primary_key=True),
    Column("classroom", ForeignKey("classroom.id"), nullable=False, index=True),
    Column("body_json", Text, nullable=False),  # as its file says it
    Column("places_json", Text),  # of a map: where it is asked about
    Column("pilots_json", Text, nullable=False),  # how hard some labs of nobody's are, by number: their median is the class's
    Column("created_at", Float, nullable=False),
)
lab = Table(  # of a student, for a task
    "lab",
    tables,
    Column("rig", ForeignKey("task.rig"), primary_key=True),
    Column("person", ForeignKey("person.id"), primary_key=True),
    Column("generator", Integer, nullable=False),  # version of the drawing: another one would draw another lab
    Column("draw", Integer, nullable=False),  # how often it was drawn again
    Column("tries_json", Text, nullable=False),  # how hard each of these was
    Column("goal", Text),  # in full; nothing until the lab is ready
    Column("plays_json", Text),  # those that par is computed from
    Column("closes_at", Float),  # for this student alone
    Column("is_exempt", Boolean, nullable=False, server_default="0"),
)
hand_in = Table(
    "hand_in",
    tables,
    Column("id", String(32), primary_key=True),
    Column("rig", ForeignKey("task.rig"), nullable=False),
    Column("person", ForeignKey("person.id"), nullable=False),
    Column("body_json", Text, nullable=False),  # recipe, labels, expected
    Column("spent_json", Text, nullable=False),  # what it took
    Column("created_at", Float, nullable=False),
    Column("found_json", Text),  # the truth about it; nothing until it is judged
    Column("withdrawn_at", Float),
    Index("hand_in_of", "rig", "person"),
)
grade = Table(  # of a hand-in, only ever added to: the last one counts
    "grade",
    tables,
    Column("id", Number, primary_key=True, autoincrement=True),
    Column("hand_in", ForeignKey("hand_in.id"), nullable=False, index=True),
    Column("points", Float, nullable=False),
    Column("parts_json", Text, nullable=False),
    Column("why", String(200), nullable=False),
    Column("at", Float, nullable=False),
)
secret = Table(  # of the server, by name
    "secret",
    tables,
    Column("name", String(40), primary_key=True),
    Column("value", String(200), nullable=False),
)
