-- A clip is of a moment that the coach chose, or the user's own; its files are blobs.

alter table clips
    drop column key,
    add moment text, -- its id in the coaching; NULL: the user's own
    add files jsonb not null default '[]', -- name, key, size, content_type of each; none until it is rendered
    add unique (org_id, session_id, moment);
