-- An attempt at a drill is a live session. What is due when is kept apart, so that it outlives the sessions. Both tables were never written.

alter table drills rename column data to given; -- what was to be spoken, and the rules, resolved
alter table drills
    add column user_id uuid not null,
    add column notes jsonb not null default '{}', -- what the page saw: when a phrase was played, which word was taken for which
    add column live jsonb, -- the result from live numbers
    add column settled jsonb, -- the result from the finished analysis
    add unique (org_id, session_id),
    add foreign key (org_id, user_id) references users on delete cascade;
create index on drills (org_id, user_id, skill, created_at desc);

drop table plans;
create table plans (
    org_id uuid not null,
    user_id uuid not null,
    skill text not null,
    passes integer not null, -- on end, each when it was due
    due_on date not null,
    updated_at timestamptz not null default now(),
    primary key (org_id, user_id, skill),
    foreign key (org_id, user_id) references users on delete cascade
);
call tenant_table('plans');
