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
    source TEXT NOT NULL DEFAULT 'fallback',
    fallback_reason TEXT,
    question TEXT NOT NULL,
    draft TEXT,
    confidence DOUBLE PRECISION,
    created_at TEXT NOT NULL,
    due_at TEXT NOT NULL,
    leased_by TEXT,
    leased_until TEXT,
    deferred_at TEXT,
    verdict TEXT,
    answer TEXT,
    tags TEXT NOT NULL DEFAULT '[]',
    note TEXT NOT NULL DEFAULT '',
    answered_by TEXT,
    answered_at TEXT,
    fetched_at TEXT,
    callback_url TEXT,
    second_of TEXT,
    first_reviewer TEXT
);
CREATE UNIQUE INDEX second_reviews ON referrals (second_of) WHERE second_of IS NOT NULL;
CREATE INDEX open_referrals ON referrals (due_at) WHERE answered_at IS NULL;
CREATE TABLE api_keys (
    id TEXT PRIMARY KEY,
    hash TEXT NOT NULL UNIQUE,
    caller TEXT NOT NULL,
    role TEXT NOT NULL DEFAULT 'caller',
    created_at TEXT NOT NULL,
    revoked_at TEXT
);
CREATE TABLE switches (
    name TEXT PRIMARY KEY,
    off_since TEXT NOT NULL,
    off_by TEXT NOT NULL,
    reason TEXT
);
CREATE TABLE review_events (
    id TEXT PRIMARY KEY,
    at TEXT NOT NULL,
    reviewer TEXT NOT NULL,
    action TEXT NOT NULL,
    referral_id TEXT,
    details TEXT NOT NULL
);
CREATE TABLE review_sessions (
    hash TEXT PRIMARY KEY,
    reviewer TEXT NOT NULL,
    key_id TEXT,
    expires_at TEXT NOT NULL
);
CREATE TABLE notifications (
    id TEXT PRIMARY KEY,
    event TEXT NOT NULL,
    channel TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    next_attempt_at TEXT NOT NULL,
    sent_at TEXT,
    error TEXT
);
CREATE TABLE daily_counts (
    task TEXT NOT NULL,
    measure TEXT NOT NULL,
    day TEXT NOT NULL,
    value TEXT NOT NULL,
    count BIGINT NOT NULL,
    PRIMARY KEY (task, measure, day, value)
);
CREATE TABLE calls (
    id TEXT PRIMARY KEY,
    task TEXT NOT NULL,
    caller TEXT NOT NULL,
    traceparent TEXT,
    answered_by TEXT NOT NULL,
    confidence DOUBLE PRECISION NOT NULL,
    question TEXT NOT NULL,
    answer TEXT NOT NULL,
    answered_at TEXT NOT NULL
);
CREATE INDEX calls_by_time ON calls (answered_at);
CREATE TABLE feedback (
    call_id TEXT PRIMARY KEY,
    caller TEXT NOT NULL,
    verdict TEXT NOT NULL,
    comment TEXT NOT NULL,
    correction TEXT,
    referral_id TEXT,
    received_at TEXT NOT NULL
);
CREATE INDEX feedback_by_time ON feedback (received_at);
CREATE TABLE drift_alarms (
    id TEXT PRIMARY KEY,
    task TEXT NOT NULL,
    signal TEXT NOT NULL,
    raised_at TEXT NOT NULL,
    changed_on TEXT NOT NULL,
    summary TEXT NOT NULL,
    closed_at TEXT,
    accepted BIGINT NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX open_drift_alarms ON drift_alarms (task, signal) WHERE closed_at IS NULL;
