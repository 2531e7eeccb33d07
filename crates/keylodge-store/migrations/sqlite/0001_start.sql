-- Times are microseconds since 1970-01-01 UTC. Every row that a gate must know carries the revision of its last change.

CREATE TABLE projects (
    number          INTEGER PRIMARY KEY,
    project_id      TEXT    NOT NULL UNIQUE,           -- never reused, not even after deletion
    display_name    TEXT    NOT NULL,
    labels          TEXT    NOT NULL,                  -- JSON object of strings
    services        TEXT    NOT NULL,                  -- JSON array: the services switched on
    state           TEXT    NOT NULL CHECK (state IN ('ACTIVE', 'DELETE_REQUESTED')),
    create_time     INTEGER NOT NULL,
    update_time     INTEGER NOT NULL,
    created_at      INTEGER NOT NULL UNIQUE,           -- revision of its creation: the order of lists
    revision        INTEGER NOT NULL
) STRICT;
CREATE INDEX projects_by_revision ON projects (revision);

CREATE TABLE keys (
    uid             TEXT    PRIMARY KEY,
    project_number  INTEGER NOT NULL REFERENCES projects (number),
    key_id          TEXT    NOT NULL,
    display_name    TEXT    NOT NULL,
    annotations     TEXT    NOT NULL,                  -- JSON object of strings
    hash            BLOB    NOT NULL UNIQUE CHECK (length(hash) = 32),
    master          INTEGER NOT NULL,                  -- which master key's pepper and seal were used
    sealed          BLOB    NOT NULL,                  -- the key string, sealed
    create_time     INTEGER NOT NULL,
    update_time     INTEGER NOT NULL,
    delete_time     INTEGER,                           -- set while deleted and not yet purged
    created_at      INTEGER NOT NULL UNIQUE,
    revision        INTEGER NOT NULL,
    UNIQUE (project_number, key_id)
) STRICT;
CREATE INDEX keys_by_revision ON keys (revision);
CREATE INDEX keys_of_project ON keys (project_number, created_at);

CREATE TABLE operators (
    id              TEXT    PRIMARY KEY,
    member          TEXT    NOT NULL,                  -- as in IAM policies: user:…, serviceAccount:…
    role            TEXT    NOT NULL,
    token_hash      BLOB    NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    create_time     INTEGER NOT NULL
) STRICT;

-- Finished operations. The result is read from its subject again, so no key string lies here.
CREATE TABLE operations (
    name            TEXT    PRIMARY KEY,
    kind            TEXT    NOT NULL,
    project_number  INTEGER NOT NULL,
    subject         TEXT    NOT NULL,
    create_time     INTEGER NOT NULL
) STRICT;

-- The change feed: one row for each committed change, without gaps. Rows of other tables carry its revision.
CREATE TABLE changes (
    revision        INTEGER PRIMARY KEY,
    time            INTEGER NOT NULL,
    subject         TEXT    NOT NULL CHECK (subject IN ('key', 'project', 'operator')),
    id              TEXT    NOT NULL
) STRICT;

-- What tells whether a master key is the one this database was made under.
CREATE TABLE masters (
    master          INTEGER PRIMARY KEY,
    check_value     BLOB    NOT NULL CHECK (length(check_value) = 32)
) STRICT;

CREATE TABLE audit (
    sequence        INTEGER PRIMARY KEY AUTOINCREMENT,
    time            INTEGER NOT NULL,
    principal       TEXT    NOT NULL,
    method          TEXT    NOT NULL,
    resource        TEXT    NOT NULL,
    request_id      TEXT    NOT NULL,
    revision        INTEGER                            -- the change it belongs to; reads of secrets have none
) STRICT;
