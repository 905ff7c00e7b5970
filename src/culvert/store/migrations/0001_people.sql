-- People who may log in, and the counters that survive a restart.

CREATE TABLE users (
    name TEXT PRIMARY KEY,
    password_hash TEXT NOT NULL,
    enabled INTEGER NOT NULL DEFAULT 1,
    expires TEXT            -- ISO 8601 with zone; NULL = never
) STRICT;

CREATE TABLE user_groups (
    user TEXT NOT NULL REFERENCES users (name) ON DELETE CASCADE,
    group_name TEXT NOT NULL,
    PRIMARY KEY (user, group_name)
) STRICT, WITHOUT ROWID;

CREATE TABLE lifetime (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
