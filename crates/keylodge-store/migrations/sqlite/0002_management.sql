-- Organizations, policies, roles, operators with several tokens, key strings apart from keys, the audit chain.

CREATE TABLE organizations (
    number          INTEGER PRIMARY KEY,
    display_name    TEXT    NOT NULL,
    create_time     INTEGER NOT NULL,
    update_time     INTEGER NOT NULL,
    created_at      INTEGER NOT NULL UNIQUE,           -- revision of its creation: the order of lists
    revision        INTEGER NOT NULL
) STRICT;

ALTER TABLE projects ADD COLUMN parent INTEGER REFERENCES organizations (number);
ALTER TABLE projects ADD COLUMN delete_time INTEGER;
ALTER TABLE projects ADD COLUMN key_count INTEGER NOT NULL DEFAULT 0;          -- deleted ones included, purged ones not
ALTER TABLE projects ADD COLUMN strings_shown_once INTEGER NOT NULL DEFAULT 0;
ALTER TABLE projects ADD COLUMN must_restrict INTEGER NOT NULL DEFAULT 0;
UPDATE projects SET key_count = (SELECT count(*) FROM keys WHERE project_number = projects.number);
CREATE INDEX projects_deleted ON projects (delete_time) WHERE delete_time IS NOT NULL;
CREATE INDEX projects_of_parent ON projects (parent, created_at);

-- The feed names more kinds of subjects now.
CREATE TABLE changes_next (
    revision        INTEGER PRIMARY KEY,
    time            INTEGER NOT NULL,
    subject         TEXT    NOT NULL,
    id              TEXT    NOT NULL
) STRICT;
INSERT INTO changes_next SELECT revision, time, subject, id FROM changes;
DROP TABLE changes;
ALTER TABLE changes_next RENAME TO changes;

CREATE TABLE keys_next (
    uid             TEXT    PRIMARY KEY,
    project_number  INTEGER NOT NULL REFERENCES projects (number),
    key_id          TEXT    NOT NULL,
    display_name    TEXT    NOT NULL,
    annotations     TEXT    NOT NULL,                  -- JSON object of strings
    restrictions    TEXT    NOT NULL,                  -- JSON; {} is unrestricted
    service_account TEXT,                              -- what an auth key acts as
    owner           TEXT    NOT NULL,                  -- whom to ask
    purpose         TEXT    NOT NULL,
    labels          TEXT    NOT NULL,                  -- JSON object of strings
    creator         TEXT    NOT NULL,                  -- the member who made it
    profile         TEXT    NOT NULL,                  -- the workspace profile it was made by; empty for none
    expire_time     INTEGER,
    disable_time    INTEGER,                           -- set while disabled
    create_time     INTEGER NOT NULL,
    update_time     INTEGER NOT NULL,
    delete_time     INTEGER,                           -- set while deleted and not yet purged
    created_at      INTEGER NOT NULL UNIQUE,
    revision        INTEGER NOT NULL,
    UNIQUE (project_number, key_id)
) STRICT;
INSERT INTO keys_next
    SELECT uid, project_number, key_id, display_name, annotations, '{}', NULL, '', '', '{}', '', '', NULL, NULL,
           create_time, update_time, delete_time, created_at, revision FROM keys;

-- What opens a key: its string, and for a while the one before.
CREATE TABLE key_strings (
    uid             TEXT    NOT NULL,
    generation      INTEGER NOT NULL,                  -- 1 for the first, then one more with each rotation
    kind            TEXT    NOT NULL CHECK (kind IN ('hmac', 'sha256')),
    lookup          BLOB    NOT NULL UNIQUE CHECK (length(lookup) = 32),
    master          INTEGER NOT NULL,                  -- which master key's pepper and seal were used
    sealed          BLOB,                              -- the string, sealed; none where it is shown once or was never seen
    shown_once      INTEGER NOT NULL,                  -- whether it was shown when it was made, and is not kept
    create_time     INTEGER NOT NULL,
    good_until      INTEGER,                           -- rotated out: good until then
    quiet           INTEGER,                           -- rotated out: good until unused for so many microseconds
    retire_time     INTEGER,                           -- when it was rotated out
    PRIMARY KEY (uid, generation)
) STRICT, WITHOUT ROWID;
INSERT INTO key_strings
    SELECT uid, 1, 'hmac', hash, master, sealed, 0, create_time, NULL, NULL, NULL FROM keys;

DROP TABLE keys;
ALTER TABLE keys_next RENAME TO keys;
CREATE INDEX keys_by_revision ON keys (revision);
CREATE INDEX keys_of_project ON keys (project_number, created_at);
CREATE INDEX live_keys_of_project ON keys (project_number, created_at) WHERE delete_time IS NULL;
CREATE INDEX keys_deleted ON keys (delete_time) WHERE delete_time IS NOT NULL;
CREATE INDEX keys_by_profile ON keys (creator, profile) WHERE profile <> '';
CREATE INDEX strings_rotated_out ON key_strings (retire_time) WHERE retire_time IS NOT NULL;

-- Who used a string last, and from where. Not part of the control plane's promises: at most some seconds are lost.
CREATE TABLE key_uses (
    uid             TEXT    NOT NULL,
    generation      INTEGER NOT NULL,
    caller_ip       TEXT    NOT NULL,
    client          TEXT    NOT NULL,
    calls           INTEGER NOT NULL,
    first_time      INTEGER NOT NULL,
    last_time       INTEGER NOT NULL,
    PRIMARY KEY (uid, generation, caller_ip, client)
) STRICT, WITHOUT ROWID;

CREATE TABLE operators_next (
    id              TEXT    PRIMARY KEY,
    member          TEXT    NOT NULL UNIQUE,           -- as in IAM policies: user:…, serviceAccount:…
    display_name    TEXT    NOT NULL,
    create_time     INTEGER NOT NULL,
    disable_time    INTEGER,
    terms_version   TEXT,                              -- the terms that were accepted last
    terms_time      INTEGER,
    created_at      INTEGER NOT NULL UNIQUE,
    revision        INTEGER NOT NULL
) STRICT;
CREATE TABLE tokens (
    id              TEXT    PRIMARY KEY,
    operator        TEXT    NOT NULL REFERENCES operators_next (id),
    display_name    TEXT    NOT NULL,
    hash            BLOB    NOT NULL UNIQUE CHECK (length(hash) = 32),
    create_time     INTEGER NOT NULL,
    expire_time     INTEGER,
    revoke_time     INTEGER,
    last_use_time   INTEGER,
    created_at      INTEGER NOT NULL UNIQUE
) STRICT;
CREATE INDEX tokens_of_operator ON tokens (operator, created_at);

-- A policy for the deployment ('deployment'), an organization ('organizations/N') or a project ('projects/N').
CREATE TABLE policies (
    resource        TEXT    PRIMARY KEY,
    policy          TEXT    NOT NULL,                  -- JSON
    revision        INTEGER NOT NULL
) STRICT;
-- Where a member has any role, for lists of what somebody may see.
CREATE TABLE policy_members (
    member          TEXT    NOT NULL,
    resource        TEXT    NOT NULL REFERENCES policies (resource),
    PRIMARY KEY (member, resource)
) STRICT, WITHOUT ROWID;
CREATE INDEX members_of_policy ON policy_members (resource);

-- The one operator there was had its role on everything.
INSERT INTO operators_next
    SELECT o.id, o.member, '', o.create_time, NULL, NULL, NULL,
           coalesce((SELECT min(revision) FROM changes WHERE subject = 'operator' AND id = o.id), 0),
           coalesce((SELECT max(revision) FROM changes WHERE subject = 'operator' AND id = o.id), 0)
    FROM operators o;
INSERT INTO tokens
    SELECT o.id || '-first', o.id, 'first start', o.token_hash, o.create_time, NULL, NULL, NULL, n.created_at
    FROM operators o JOIN operators_next n ON n.id = o.id;
INSERT INTO policies
    SELECT 'deployment',
           json_object('version', 1, 'bindings',
                       json_group_array(json_object('role', role, 'members', json_array(member)))),
           max((SELECT coalesce(max(revision), 0) FROM changes))
    FROM operators HAVING count(*) > 0;
INSERT INTO policy_members SELECT member, 'deployment' FROM operators;
DROP TABLE operators;
ALTER TABLE operators_next RENAME TO operators;

CREATE TABLE roles (
    name            TEXT    PRIMARY KEY,               -- projects/N/roles/ID or organizations/N/roles/ID
    title           TEXT    NOT NULL,
    description     TEXT    NOT NULL,
    permissions     TEXT    NOT NULL,                  -- JSON array of strings
    stage           TEXT    NOT NULL,
    delete_time     INTEGER,
    created_at      INTEGER NOT NULL UNIQUE,
    revision        INTEGER NOT NULL
) STRICT;

-- Projects that an operator took into the workspace.
CREATE TABLE workspace_projects (
    operator        TEXT    NOT NULL REFERENCES operators (id),
    project_number  INTEGER NOT NULL REFERENCES projects (number),
    create_time     INTEGER NOT NULL,
    PRIMARY KEY (operator, project_number)
) STRICT, WITHOUT ROWID;

CREATE INDEX operations_by_time ON operations (create_time);
ALTER TABLE operations ADD COLUMN principal TEXT NOT NULL DEFAULT '';

-- The audit log is a hash chain. The lines written before there was one are chained when the database is opened.
ALTER TABLE audit RENAME TO audit_unchained;
CREATE TABLE audit (
    sequence        INTEGER PRIMARY KEY,               -- from 1, without gaps
    time            INTEGER NOT NULL,
    principal       TEXT    NOT NULL,
    service         TEXT    NOT NULL,
    method          TEXT    NOT NULL,
    resource        TEXT    NOT NULL,
    request_id      TEXT    NOT NULL,
    caller_ip       TEXT    NOT NULL,
    user_agent      TEXT    NOT NULL,
    permission      TEXT    NOT NULL,
    project_number  INTEGER,
    project_id      TEXT    NOT NULL,
    operation       TEXT    NOT NULL,
    denied          TEXT,
    request         TEXT    NOT NULL,                  -- JSON object of strings
    revision        INTEGER,                           -- the change it belongs to; reads of secrets have none
    hash            BLOB    NOT NULL CHECK (length(hash) = 32)
) STRICT;
CREATE INDEX audit_of_project ON audit (project_number, sequence);
-- The signed end of the chain: one row, written anew with every line.
CREATE TABLE audit_head (
    one             INTEGER PRIMARY KEY CHECK (one = 1),
    sequence        INTEGER NOT NULL,
    hash            BLOB    NOT NULL CHECK (length(hash) = 32),
    time            INTEGER NOT NULL,
    node            TEXT    NOT NULL,
    public_key      TEXT    NOT NULL,
    signature       TEXT    NOT NULL
) STRICT;
