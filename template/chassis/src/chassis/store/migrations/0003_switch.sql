CREATE TABLE switches (
    name TEXT PRIMARY KEY,
    off_since TEXT NOT NULL,
    off_by TEXT NOT NULL,
    reason TEXT
);
