-- Whose an interaction is that is kept at an upstream, under an account that all projects share. Nothing of what was said.
CREATE TABLE relayed (
    id            TEXT    NOT NULL,
    upstream      TEXT    NOT NULL,
    project       INTEGER NOT NULL,
    -- The credential that it was made with, and the project there that the credential belongs to.
    credential    TEXT    NOT NULL,
    quota_project TEXT    NOT NULL,
    model         TEXT    NOT NULL,
    -- How many tokens the conversation has up to its end; NULL while nobody knows.
    tokens        INTEGER,
    -- 1 once somebody was charged for them.
    is_counted    INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    expires_at    INTEGER NOT NULL,
    PRIMARY KEY (id, upstream)
) STRICT, WITHOUT ROWID;

CREATE INDEX relayed_of_project ON relayed (project, created_at);
CREATE INDEX relayed_by_end ON relayed (expires_at);
