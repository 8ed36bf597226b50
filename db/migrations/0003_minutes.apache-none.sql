-- One row a session-minute, kept by us. Whoever writes a second marks its minute in the same transaction; ts.roll_up turns marked minutes
-- into rows, and until then they are added up on reading: ts.metric_minute is right at every moment. A mark becomes visible together
-- with its rows, so a minute is never rolled up without them; marks have no unique key, so that writers never wait for one another.
create table ts.minutes (
    org_id uuid not null,
    session_id uuid not null,
    ts timestamptz not null, -- start of the minute
    minute integer not null, -- of the session, from 0
    seconds integer not null, -- rows it stands on
    over_s double precision,
    words bigint,
    syllables bigint,
    fillers bigint,
    pause_s double precision,
    speech_s double precision,
    lost_s double precision,
    f0_median_hz double precision,
    f0_span_st double precision,
    level_dbfs double precision,
    primary key (org_id, session_id, ts)
);

create table ts.dirty (
    org_id uuid not null,
    session_id uuid not null,
    ts timestamptz not null
);
create index on ts.dirty (org_id, session_id, ts);

create view ts.dirty_minutes as
select d.org_id, d.session_id, d.ts, m.*
from (select distinct org_id, session_id, ts from ts.dirty) d
cross join lateral (
    select
        min(t_s) / 60 as minute,
        count(*)::integer as seconds,
        sum(over_s) as over_s,
        sum(words) as words,
        sum(syllables) as syllables,
        sum(fillers) as fillers,
        sum(pause_s) as pause_s,
        sum(speech_s) as speech_s,
        sum(lost_s) as lost_s,
        avg(f0_median_hz) as f0_median_hz,
        avg(f0_span_st) as f0_span_st,
        avg(level_dbfs) as level_dbfs
    from ts.seconds s
    where s.org_id = d.org_id and s.session_id = d.session_id and s.ts >= d.ts and s.ts < d.ts + interval '1 minute'
    having count(*) > 0
) m;

create view ts.metric_minute with (security_barrier) as
select m.* from ts.minutes m
where m.org_id = (select public.current_org())
    and not exists (select from ts.dirty d where d.org_id = m.org_id and d.session_id = m.session_id and d.ts = m.ts)
union all
select * from ts.dirty_minutes where org_id = (select public.current_org());

create function ts.mark(of_org uuid, of_session uuid, start timestamptz, t_s integer[]) returns void language sql as $$
    insert into ts.dirty (org_id, session_id, ts)
    select distinct of_org, of_session, start + (t / 60) * interval '1 minute' from unnest(t_s) t;
$$;

-- Takes the lock that ts.roll_up needs alone: it must not write back a minute that is being taken away.
create function ts.forget_minutes(of_org uuid, of_session uuid) returns void language plpgsql as $$
begin
    perform pg_advisory_xact_lock_shared(hashtextextended('elocute: ts.minutes', 0));
    delete from ts.dirty where org_id = of_org and session_id = of_session;
    delete from ts.minutes where org_id = of_org and session_id = of_session;
end
$$;

-- Rolls up at most `most` marked minutes that began before `before`; how many. 0 when it is already being done, or a session is being
-- measured again or deleted right now. One statement, so one snapshot: marks and rows belong together.
create function ts.roll_up(before timestamptz, most integer) returns integer language plpgsql as $$
declare
    rolled integer;
begin
    if not pg_try_advisory_xact_lock(hashtextextended('elocute: ts.minutes', 0)) then
        return 0;
    end if;
    with due as (
        select distinct org_id, session_id, ts from ts.dirty where ts < before limit most
    ), taken as (
        delete from ts.dirty d using due where d.org_id = due.org_id and d.session_id = due.session_id and d.ts = due.ts
    )
    insert into ts.minutes
    select m.* from ts.dirty_minutes m join due using (org_id, session_id, ts)
    on conflict (org_id, session_id, ts) do update set
        minute = excluded.minute, seconds = excluded.seconds, over_s = excluded.over_s, words = excluded.words,
        syllables = excluded.syllables, fillers = excluded.fillers, pause_s = excluded.pause_s, speech_s = excluded.speech_s,
        lost_s = excluded.lost_s, f0_median_hz = excluded.f0_median_hz, f0_span_st = excluded.f0_span_st,
        level_dbfs = excluded.level_dbfs;
    get diagnostics rolled = row_count;
    return rolled;
end
$$;
