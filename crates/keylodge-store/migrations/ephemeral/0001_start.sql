-- Ephemeral tokens: short-lived, and found by the hash of their text alone. What they fix is sealed.
CREATE TABLE tokens (
    hash                     BLOB    NOT NULL PRIMARY KEY,
    project                  INTEGER NOT NULL,
    -- The key that made it, and the hash of the string it was made with.
    key_uid                  BLOB    NOT NULL,
    key_hash                 BLOB    NOT NULL,
    expire_time              INTEGER NOT NULL,
    new_session_expire_time  INTEGER NOT NULL,
    -- Null where there is no limit.
    uses_left                INTEGER,
    scope                    TEXT    NOT NULL CHECK (scope IN ('LIVE', 'API')),
    constraints              BLOB,
    created_at               INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX tokens_by_end ON tokens (expire_time);
