-- How much each project keeps: interactions that are over, and the bytes of what was said in them. Counted as rows come and
-- go, whoever makes them, so that nobody need read all rows to know. What is over does not change any more.
CREATE TABLE kept (
    project       INTEGER PRIMARY KEY,
    interactions  INTEGER NOT NULL,
    bytes         INTEGER NOT NULL
) STRICT;

INSERT INTO kept
SELECT project, count(*), sum(length(said)) FROM interactions WHERE in_progress = 0 GROUP BY project;

CREATE TRIGGER interactions_come AFTER INSERT ON interactions WHEN NEW.in_progress = 0
BEGIN
    INSERT INTO kept VALUES (NEW.project, 1, length(NEW.said))
    ON CONFLICT (project) DO UPDATE SET interactions = interactions + 1, bytes = bytes + excluded.bytes;
END;

CREATE TRIGGER interactions_end AFTER UPDATE OF in_progress ON interactions
WHEN OLD.in_progress = 1 AND NEW.in_progress = 0
BEGIN
    INSERT INTO kept VALUES (NEW.project, 1, length(NEW.said))
    ON CONFLICT (project) DO UPDATE SET interactions = interactions + 1, bytes = bytes + excluded.bytes;
END;

CREATE TRIGGER interactions_go AFTER DELETE ON interactions WHEN OLD.in_progress = 0
BEGIN
    UPDATE kept SET interactions = interactions - 1, bytes = bytes - length(OLD.said) WHERE project = OLD.project;
    DELETE FROM kept WHERE project = OLD.project AND interactions = 0;
END;
