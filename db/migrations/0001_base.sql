-- Every table but the time series. A tenant is an org; everything a tenant owns carries org_id and is bound to its parents by
-- (org_id, id), so that a row can never hang on a row of another org. Access is by `elocute_app`, which owns nothing.

create extension if not exists vector;

-- The org of this transaction; NULL, which equals nothing, when none was set.
create function current_org() returns uuid language sql stable parallel safe
return nullif(current_setting('app.org', true), '')::uuid;

-- Makes a table with org_id a tenant table. FORCE holds the owner to it too, unless it is a superuser: a later migration that has to
-- touch rows of every org lifts it for its own transaction. The sub-select is evaluated once a statement, not once a row.
create procedure tenant_table(name regclass, allowed text default 'select, insert, update, delete', owner_column text default 'org_id')
language plpgsql as $$
begin
    execute format('alter table %s enable row level security', name);
    execute format('alter table %s force row level security', name);
    execute format(
        'create policy tenant on %1$s using (%2$I = (select current_org())) with check (%2$I = (select current_org()))', name, owner_column
    );
    execute format('grant %s on %s to elocute_app', allowed, name);
end
$$;
revoke execute on procedure tenant_table from public;

create table orgs (
    id uuid primary key default gen_random_uuid(),
    name text not null,
    created_at timestamptz not null default now()
);

-- A person in two orgs is two users: nothing of one org can then be reached through the other.
create table users (
    org_id uuid not null references orgs on delete cascade,
    id uuid not null default gen_random_uuid(),
    name text not null,
    email text,
    created_at timestamptz not null default now(),
    primary key (org_id, id),
    unique (org_id, email)
);

create table memberships (
    org_id uuid not null,
    user_id uuid not null,
    role text not null,
    created_at timestamptz not null default now(),
    primary key (org_id, user_id),
    foreign key (org_id, user_id) references users on delete cascade
);

create table projects (
    org_id uuid not null references orgs on delete cascade,
    id uuid not null default gen_random_uuid(),
    name text not null,
    created_at timestamptz not null default now(),
    primary key (org_id, id)
);
create index on projects (org_id, created_at desc, id desc);

create table sessions (
    org_id uuid not null references orgs on delete cascade,
    id uuid not null default gen_random_uuid(),
    project_id uuid,
    user_id uuid, -- who speaks
    title text not null,
    kind text not null check (kind in ('upload', 'live', 'overlay')),
    state text not null default 'created' check (state in ('created', 'processing', 'complete', 'failed', 'cancelled', 'deleting')),
    problem text,
    duration_s double precision,
    language text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (org_id, id),
    foreign key (org_id, project_id) references projects on delete set null (project_id),
    foreign key (org_id, user_id) references users on delete set null (user_id)
);
create index on sessions (org_id, created_at desc, id desc);
create index on sessions (org_id, project_id);
create index on sessions (org_id, user_id);

-- The recording as it came in; its bytes are a blob.
create table media (
    org_id uuid not null,
    session_id uuid not null,
    key text not null,
    size bigint not null check (size >= 0), -- bytes
    sha256 text,
    content_type text not null,
    filename text not null,
    upload_id text, -- of the resumable upload under way
    complete boolean not null default false,
    facts jsonb,
    created_at timestamptz not null default now(),
    primary key (org_id, session_id),
    foreign key (org_id, session_id) references sessions on delete cascade
);

create table transcripts (
    org_id uuid not null,
    session_id uuid not null,
    language text not null,
    language_probability double precision not null,
    created_at timestamptz not null default now(),
    primary key (org_id, session_id),
    foreign key (org_id, session_id) references sessions on delete cascade
);

-- A row a word: clips, search and comments point into them. Samples at 16 kHz fit an integer up to 37 hours.
create table words (
    org_id uuid not null,
    session_id uuid not null,
    second_opinion boolean not null, -- false: the transcript; true: what the filler search adds to it
    ordinal integer not null,
    text text not null,
    start_sample integer not null,
    end_sample integer not null,
    probability double precision not null,
    kind text not null check (kind in ('word', 'filler', 'fragment')),
    primary key (org_id, session_id, second_opinion, ordinal),
    foreign key (org_id, session_id) references transcripts on delete cascade
);

-- What the steps found: a document each, replaced as a whole, never searched inside.
create table fluency (
    org_id uuid not null,
    session_id uuid not null,
    input_hash text not null,
    data jsonb not null,
    created_at timestamptz not null default now(),
    primary key (org_id, session_id),
    foreign key (org_id, session_id) references sessions on delete cascade
);

create table scores (
    org_id uuid not null,
    session_id uuid not null,
    input_hash text not null,
    data jsonb not null,
    created_at timestamptz not null default now(),
    primary key (org_id, session_id),
    foreign key (org_id, session_id) references sessions on delete cascade
);

create table reports (
    org_id uuid not null,
    session_id uuid not null,
    input_hash text not null,
    data jsonb not null,
    files jsonb not null, -- name, key, size, content_type of each
    created_at timestamptz not null default now(),
    primary key (org_id, session_id),
    foreign key (org_id, session_id) references sessions on delete cascade
);

create table steps (
    org_id uuid not null,
    session_id uuid not null,
    step text not null,
    input_hash text not null,
    state text not null default 'queued' check (state in ('queued', 'running', 'done', 'parked', 'cancelled')),
    attempt integer not null default 0,
    error_code text,
    error text,
    result jsonb,
    queued_at timestamptz not null default now(),
    started_at timestamptz,
    finished_at timestamptz,
    primary key (org_id, session_id, step, input_hash),
    foreign key (org_id, session_id) references sessions on delete cascade
);
create index on steps (org_id, finished_at desc) where state = 'parked';

-- Messages that became due with a transaction. The relay hands them to the bus with the id as Nats-Msg-Id, and deletes them.
create table outbox (
    org_id uuid not null references orgs on delete cascade,
    id bigint generated always as identity primary key,
    subject text not null,
    payload jsonb not null,
    created_at timestamptz not null default now()
);
create index on outbox (org_id);

create table idempotency (
    org_id uuid not null references orgs on delete cascade,
    key text not null,
    request_hash text not null,
    status integer, -- NULL until answered
    body jsonb,
    created_at timestamptz not null default now(),
    primary key (org_id, key)
);
create index on idempotency (org_id, created_at);

create table audit (
    org_id uuid not null references orgs on delete cascade,
    id bigint generated always as identity primary key,
    at timestamptz not null default now(),
    actor text not null,
    action text not null,
    target text not null, -- no foreign key: it outlives what it tells of
    details jsonb not null
);
create index on audit (org_id, id desc);

create table consents (
    org_id uuid not null,
    id uuid not null default gen_random_uuid(),
    user_id uuid not null,
    kind text not null,
    wording text not null, -- what was agreed to, as it was shown
    given_at timestamptz not null default now(),
    withdrawn_at timestamptz,
    primary key (org_id, id),
    foreign key (org_id, user_id) references users on delete cascade
);
create index on consents (org_id, user_id);

create table rubrics (
    org_id uuid not null references orgs on delete cascade,
    id uuid not null default gen_random_uuid(),
    name text not null,
    version integer not null,
    data jsonb not null,
    created_at timestamptz not null default now(),
    primary key (org_id, id),
    unique (org_id, name, version)
);

create table plans (
    org_id uuid not null,
    id uuid not null default gen_random_uuid(),
    user_id uuid not null,
    data jsonb not null,
    created_at timestamptz not null default now(),
    primary key (org_id, id),
    foreign key (org_id, user_id) references users on delete cascade
);
create index on plans (org_id, user_id, created_at desc, id desc);

create table drills (
    org_id uuid not null,
    id uuid not null default gen_random_uuid(),
    session_id uuid not null,
    skill text not null,
    data jsonb not null,
    done_at timestamptz,
    created_at timestamptz not null default now(),
    primary key (org_id, id),
    foreign key (org_id, session_id) references sessions on delete cascade
);
create index on drills (org_id, session_id, created_at desc, id desc);

create table comments (
    org_id uuid not null,
    id uuid not null default gen_random_uuid(),
    session_id uuid not null,
    user_id uuid,
    at_sample integer, -- NULL: on the whole session
    text text not null,
    created_at timestamptz not null default now(),
    primary key (org_id, id),
    foreign key (org_id, session_id) references sessions on delete cascade,
    foreign key (org_id, user_id) references users on delete set null (user_id)
);
create index on comments (org_id, session_id, created_at desc, id desc);
create index on comments (org_id, user_id);

create table shares (
    org_id uuid not null,
    id uuid not null default gen_random_uuid(),
    session_id uuid not null,
    token_sha256 bytea not null unique, -- the token itself is never kept
    expires_at timestamptz not null,
    revoked_at timestamptz,
    created_at timestamptz not null default now(),
    primary key (org_id, id),
    foreign key (org_id, session_id) references sessions on delete cascade
);
create index on shares (org_id, session_id, created_at desc, id desc);

create table clips (
    org_id uuid not null,
    id uuid not null default gen_random_uuid(),
    session_id uuid not null,
    label text not null,
    start_sample integer not null,
    end_sample integer not null,
    key text, -- of the cut sound; NULL: played out of the session's audio
    created_at timestamptz not null default now(),
    primary key (org_id, id),
    foreign key (org_id, session_id) references sessions on delete cascade
);
create index on clips (org_id, session_id, start_sample);

create table entities (
    org_id uuid not null,
    id bigint generated always as identity,
    session_id uuid not null,
    kind text not null,
    text text not null,
    start_sample integer not null,
    end_sample integer not null,
    primary key (org_id, id),
    foreign key (org_id, session_id) references sessions on delete cascade
);
create index on entities (org_id, session_id, start_sample);

create table embeddings (
    org_id uuid not null,
    id bigint generated always as identity,
    session_id uuid not null,
    text text not null,
    start_sample integer not null,
    end_sample integer not null,
    embedding vector(384) not null,
    primary key (org_id, id),
    foreign key (org_id, session_id) references sessions on delete cascade
);
create index on embeddings (org_id, session_id, start_sample);
create index embeddings_nearest on embeddings using hnsw (embedding vector_cosine_ops);

call tenant_table('orgs', owner_column => 'id');
call tenant_table('users');
call tenant_table('memberships');
call tenant_table('projects');
call tenant_table('sessions');
call tenant_table('media');
call tenant_table('transcripts');
call tenant_table('words');
call tenant_table('fluency');
call tenant_table('scores');
call tenant_table('reports');
call tenant_table('steps');
call tenant_table('outbox', 'select, insert');
call tenant_table('idempotency');
call tenant_table('audit', 'select, insert'); -- nobody rewrites it
call tenant_table('consents');
call tenant_table('rubrics');
call tenant_table('plans');
call tenant_table('drills');
call tenant_table('comments');
call tenant_table('shares');
call tenant_table('clips');
call tenant_table('entities');
call tenant_table('embeddings');

-- The relay moves the messages of every org, and sees nothing else. UPDATE is what SKIP LOCKED asks for.
create policy relay on outbox to elocute_relay using (true) with check (true);
grant select, update, delete on outbox to elocute_relay;
