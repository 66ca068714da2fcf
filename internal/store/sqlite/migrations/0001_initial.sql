-- Configuration objects. environment is '' for the tenant-wide collections (environments, credentials). ordinal is the
-- order of first insertion and is never given twice.
CREATE TABLE object (
    ordinal     INTEGER PRIMARY KEY AUTOINCREMENT,
    environment TEXT    NOT NULL,
    collection  TEXT    NOT NULL,
    owner       TEXT    NOT NULL, -- first part of a key of two parts, else ''
    key         TEXT    NOT NULL,
    body        BLOB    NOT NULL, -- JSON
    created_at  INTEGER NOT NULL, -- microseconds since 1970, UTC
    updated_at  INTEGER NOT NULL,
    revision    INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX object_key ON object (environment, collection, owner, key);
-- A client id names one scope or one credential in the whole tenant.
CREATE UNIQUE INDEX object_client ON object (key) WHERE collection IN ('scope', 'credential');

-- One catalogue per environment, kind and template. next is the position that the next new record gets.
CREATE TABLE catalogue (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    environment TEXT    NOT NULL,
    kind        TEXT    NOT NULL,
    template    TEXT    NOT NULL,
    next        INTEGER NOT NULL,
    count       INTEGER NOT NULL,
    UNIQUE (environment, kind, template)
) STRICT;

-- id = catalogue * 2^40 + position, so that the records of a catalogue lie together in order of insertion.
CREATE TABLE record (
    id        INTEGER PRIMARY KEY,
    catalogue INTEGER NOT NULL,
    key       TEXT    NOT NULL,
    body      BLOB    NOT NULL
) STRICT;
CREATE UNIQUE INDEX record_key ON record (catalogue, key);

-- Revisions outlive their environment: one that is made again under the same id goes on counting.
CREATE TABLE revision (
    environment TEXT    PRIMARY KEY,
    revision    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE feed (
    sequence    INTEGER PRIMARY KEY,
    environment TEXT    NOT NULL,
    revision    INTEGER NOT NULL,
    time        INTEGER NOT NULL,
    changes     BLOB    NOT NULL
) STRICT;

CREATE TABLE event (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    environment TEXT    NOT NULL,
    time        INTEGER NOT NULL,
    body        BLOB    NOT NULL -- JSON
) STRICT;
CREATE INDEX event_environment ON event (environment, time, id);
CREATE INDEX event_time ON event (time)
