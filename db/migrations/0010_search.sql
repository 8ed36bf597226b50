-- Sessions found again by what was said in them and how; and sessions whose names, numbers and e-mail addresses are hidden.
alter table sessions add masked boolean not null default false;
alter table transcripts add named boolean not null default false; -- names were looked for: a masked one is not shown before

-- A passage (once for each of its sentences), a moment or a comment: its words, how they were spoken, and the vector of what the sentence,
-- moment or comment means, where the weights are installed.
drop index embeddings_nearest;
alter table embeddings
    alter embedding drop not null,
    alter embedding type halfvec(384), -- half the digits: the ten nearest are the same ones, and half as much memory is read for them
    add kind text not null default 'passage' check (kind in ('passage', 'moment', 'comment')),
    add comment_id uuid,
    add rate_wpm double precision,
    add fillers integer,
    add pause_s double precision, -- the longest
    add f0_span_st double precision,
    add level_dbfs double precision,
    add language text not null default 'en',
    add words tsvector not null generated always as ( -- the org is one of them, so that the index tells whose they are
        to_tsvector(case language when 'en' then 'english'::regconfig else 'simple'::regconfig end, text)
            || array_to_tsvector(array[org_id::text])
    ) stored,
    add foreign key (org_id, comment_id) references comments on delete cascade;
create index on embeddings (org_id, comment_id);
create index on embeddings using gin (words);
create index embeddings_nearest on embeddings using hnsw (embedding halfvec_cosine_ops);

-- The org's rows that hold a word of the question, once for each word, at most `most` for one; the rarer the word, the more it weighs: 1 for
-- what is in one row alone, almost nothing for what is in one of fifty. A function of the owner's, since row security keeps @@ from using
-- an index: it might tell of other orgs' rows. This shows none: whatever the owner may see, it asks for one org's.
create function embeddings_with(asked text, most integer) returns table (id bigint, weight double precision)
language sql stable security definer set search_path = pg_catalog, pg_temp
set enable_seqscan = off as $$ -- the planner hopes to come upon the first `most` soon
    with own as (
        select public.current_org() as org, least(greatest(count(*) / 50, 10), most) as common
        from (select from public.embeddings where org_id = public.current_org() limit 50 * most) counted
    ), term as (
        select distinct string_agg(distinct '''' || replace(replace(lexeme, '\', '\\'), '''', '''''') || '''', '|')::tsquery as any_form
        from (
            select lexeme, positions from unnest(to_tsvector('english', asked))
            union all
            select lexeme, positions from unnest(to_tsvector('simple', asked))
        ) form, unnest(positions) place
        where place <= 50 group by place
    )
    select found.id, greatest(1 - ln(found.held) / ln(own.common + 1), 0.02)
    from own, term, lateral (
        select e.id, count(*) over () as held from (
            select e.id, e.org_id from public.embeddings e
            where e.words @@ (term.any_form && ('''' || own.org || '''')::tsquery) limit most
        ) e where e.org_id = own.org -- somebody may have said an org's id
    ) found
$$;
revoke execute on function embeddings_with from public;
grant execute on function embeddings_with to elocute_app;
-- FORCE holds the function's owner to row security too, unless it is a superuser.
create policy words on embeddings for select to current_user using (true);
