-- Conversations that callers want kept. What was said is sealed; what is in the clear is needed to find rows.
CREATE TABLE interactions (
    id           TEXT    NOT NULL PRIMARY KEY,
    project      INTEGER NOT NULL,
    previous     TEXT,
    -- 1 while somebody is still answering.
    in_progress  INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    said         BLOB    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX interactions_of_project ON interactions (project, created_at);
CREATE INDEX interactions_by_end ON interactions (expires_at);
CREATE INDEX interactions_in_progress ON interactions (id) WHERE in_progress = 1;
