-- What is made of a session's scores: its moments, drills and changes; and the text that is read in it, where there is one.

create table coaching (
    org_id uuid not null,
    session_id uuid not null,
    input_hash text not null,
    data jsonb not null,
    created_at timestamptz not null default now(),
    primary key (org_id, session_id),
    foreign key (org_id, session_id) references sessions on delete cascade
);
call tenant_table('coaching');

alter table sessions add script text;
