CREATE TABLE accounts (
    key TEXT PRIMARY KEY,
    reserved BIGINT NOT NULL,
    spent BIGINT NOT NULL
);
CREATE TABLE reservations (
    id TEXT PRIMARY KEY,
    keys TEXT NOT NULL,
    amount BIGINT NOT NULL,
    opened_at TEXT NOT NULL
);
CREATE TABLE replies (
    key TEXT PRIMARY KEY,
    model TEXT NOT NULL,
    reply TEXT NOT NULL,
    expires_at TEXT NOT NULL
);
CREATE INDEX replies_by_expiry ON replies (expires_at);
CREATE TABLE referrals (
    id TEXT PRIMARY KEY,
    task TEXT NOT NULL,
    caller TEXT NOT NULL,
    call_id TEXT NOT NULL,
    fallback_reason TEXT NOT NULL,
    question TEXT NOT NULL,
    draft TEXT,
    confidence DOUBLE PRECISION,
    created_at TEXT NOT NULL,
    due_at TEXT NOT NULL,
    answer TEXT,
    answered_by TEXT,
    answered_at TEXT
);
CREATE TABLE api_keys (
    id TEXT PRIMARY KEY,
    hash TEXT NOT NULL UNIQUE,
    caller TEXT NOT NULL,
    created_at TEXT NOT NULL,
    revoked_at TEXT
);
CREATE TABLE switches (
    name TEXT PRIMARY KEY,
    off_since TEXT NOT NULL,
    off_by TEXT NOT NULL,
    reason TEXT
);
