-- A session that somebody speaks in right now, and the server that hears it: one that was not heard of for a while has died, and any
-- other may end the session for it.

alter table sessions
    drop constraint sessions_state_check,
    add constraint sessions_state_check
        check (state in ('created', 'live', 'processing', 'complete', 'failed', 'cancelled', 'deleting')),
    add interrupted boolean not null default false, -- it ended without its speaker
    add server text, -- that has it live
    add seen_at timestamptz; -- last sign of life of that server

create index on sessions (org_id, seen_at) where state = 'live';
