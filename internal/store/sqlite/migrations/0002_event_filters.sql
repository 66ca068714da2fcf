-- What few different values of describe many events. Filters on these are decided once for each row here.
CREATE TABLE event_kind (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    environment   TEXT NOT NULL,
    action        TEXT NOT NULL,
    resource_type TEXT NOT NULL,
    parent_type   TEXT NOT NULL,
    client        TEXT NOT NULL,
    UNIQUE (environment, action, resource_type, parent_type, client)
) STRICT;

-- How many events of a kind there are in each hour since 1970, so that a total need not visit them.
CREATE TABLE event_count (
    kind  INTEGER NOT NULL,
    hour  INTEGER NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (kind, hour)
) STRICT, WITHOUT ROWID;

ALTER TABLE event ADD COLUMN kind INTEGER NOT NULL DEFAULT 0;
ALTER TABLE event ADD COLUMN resource TEXT NOT NULL DEFAULT '';

INSERT OR IGNORE INTO event_kind (environment, action, resource_type, parent_type, client)
    SELECT environment, coalesce(CAST(body AS TEXT) ->> '$.Action', ''), coalesce(CAST(body AS TEXT) ->> '$.ResourceType', ''),
        coalesce(CAST(body AS TEXT) ->> '$.ParentType', ''), coalesce(CAST(body AS TEXT) ->> '$.ClientID', '')
    FROM event;

UPDATE event SET
    resource = coalesce(CAST(body AS TEXT) ->> '$.ResourceID', ''),
    kind = (SELECT k.id FROM event_kind AS k WHERE k.environment = event.environment
        AND k.action = coalesce(CAST(event.body AS TEXT) ->> '$.Action', '')
        AND k.resource_type = coalesce(CAST(event.body AS TEXT) ->> '$.ResourceType', '')
        AND k.parent_type = coalesce(CAST(event.body AS TEXT) ->> '$.ParentType', '')
        AND k.client = coalesce(CAST(event.body AS TEXT) ->> '$.ClientID', ''));

INSERT INTO event_count SELECT kind, time / 3600000000, count(*) FROM event GROUP BY 1, 2;

CREATE INDEX event_kind_time ON event (kind, time, id);
CREATE INDEX event_resource ON event (environment, resource, kind, time);

CREATE TRIGGER event_added AFTER INSERT ON event BEGIN
    INSERT INTO event_count VALUES (NEW.kind, NEW.time / 3600000000, 1)
        ON CONFLICT DO UPDATE SET count = count + 1;
END;

CREATE TRIGGER event_removed AFTER DELETE ON event BEGIN
    UPDATE event_count SET count = count - 1 WHERE kind = OLD.kind AND hour = OLD.time / 3600000000;
    DELETE FROM event_count WHERE kind = OLD.kind AND hour = OLD.time / 3600000000 AND count = 0;
END
