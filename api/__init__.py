"""The service: experiments and campaigns on rigs and twins over HTTP, for a class.

    app, server, service      the application, its process, and the parts that a process ties together
    routes/                   HTTP in, HTTP out: one resource a file
    records/                  use-cases, plain values in and out, and the database that remembers
    workers/                  rigs' workers, strategy processes and the campaign runner, beside the requests
    commands/                 `frugaltwin serve`, `worker`, `service` and `db`
    rate_limit                requests of one token, person or address; `request_limits`: the size of one request
    event_streams, news       events as they happen, and the signal of a commit
    errors, settings          refusals of the service, and how it is started
    maintenance, migrations   backup and check of a database, and its upgrades
    log_redaction, http_protocol

Who may import whom is stated in `pyproject.toml` (import-linter), file by file. The tables are in `records.tables`.
"""
