ALTER TABLE api_keys ADD COLUMN role TEXT NOT NULL DEFAULT 'caller';
ALTER TABLE referrals ADD COLUMN verdict TEXT;
ALTER TABLE referrals ADD COLUMN tags TEXT NOT NULL DEFAULT '[]';
ALTER TABLE referrals ADD COLUMN note TEXT NOT NULL DEFAULT '';
ALTER TABLE referrals ADD COLUMN leased_by TEXT;
ALTER TABLE referrals ADD COLUMN leased_until TEXT;
ALTER TABLE referrals ADD COLUMN deferred_at TEXT;
ALTER TABLE referrals ADD COLUMN fetched_at TEXT;
CREATE INDEX open_referrals ON referrals (due_at) WHERE answered_at IS NULL;
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
    key_id TEXT NOT NULL,
    expires_at TEXT NOT NULL
);
