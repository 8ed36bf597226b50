-- How sessions sounded over time: the same names on every level of TimescaleDB. What is kept where:
--   every 10 ms     frames (pitch, level, state): a Parquet blob. 360,000 rows an hour would be read as a whole or not at all.
--   every second    ts.metric_second: ranges of it are read by the page, live and later. 3,600 rows an hour.
--   every minute    ts.metric_minute: derived; comparing sessions reads only this.
-- The tables below have no row security (full TimescaleDB refuses it) and no grants: the application reads through the two views, which
-- show one org, writes through ts.put_seconds, which writes for one, and deletes by deleting from public.series.

-- Where the time series of a session lies. Deleting the row deletes the series.
create table series (
    org_id uuid not null,
    session_id uuid not null,
    start timestamptz not null, -- t_s = 0; a whole minute, so that a minute of the session is a minute of the clock
    last_s integer not null, -- highest t_s
    primary key (org_id, session_id),
    foreign key (org_id, session_id) references sessions on delete cascade
);
call tenant_table('series', 'select, delete');

create function ts.forget() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform ts.forget_minutes(old.org_id, old.session_id);
    delete from ts.seconds
    where org_id = old.org_id and session_id = old.session_id and ts between old.start and old.start + old.last_s * interval '1 second';
    return old;
end
$$;
create trigger forget before delete on series for each row execute function ts.forget();

create view ts.metric_second with (security_barrier) as
select * from ts.seconds where org_id = (select public.current_org());

-- Adds seconds to a session of the current org; with `afresh` it forgets the earlier ones first. A second that is there already stays
-- as it is: a batch that comes twice changes nothing. Holds the session's row, so that nobody measures or deletes it meanwhile.
create function ts.put_seconds(
    of_session uuid, started timestamptz, afresh boolean, t_s integer[], over_s double precision[], words integer[],
    syllables integer[], fillers integer[], pause_s double precision[], speech_s double precision[], lost_s double precision[],
    f0_median_hz double precision[], f0_span_st double precision[], level_dbfs double precision[]
) returns integer language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    org uuid := public.current_org();
    origin timestamptz := date_bin('1 minute', started, '2000-01-01 00:00+00');
    first_s integer;
    last integer;
    stored integer;
begin
    perform from public.sessions s where s.org_id = org and s.id = of_session for no key update;
    if not found then
        raise foreign_key_violation using message = 'no such session';
    end if;
    if afresh then
        delete from public.series s where s.org_id = org and s.session_id = of_session;
    end if;
    select min(t), max(t) into first_s, last from unnest(t_s) t;
    if first_s is null then
        return 0;
    end if;
    if first_s < 0 then
        raise check_violation using message = 'a session has no seconds before its start';
    end if;
    insert into public.series as s (org_id, session_id, start, last_s) values (org, of_session, origin, last)
    on conflict (org_id, session_id) do update set last_s = greatest(s.last_s, excluded.last_s)
    returning s.start into origin;
    perform ts.make_room(origin + first_s * interval '1 second', origin + last * interval '1 second');
    insert into ts.seconds
    select org, of_session, origin + r.t * interval '1 second', r.*
    from unnest(
        t_s, over_s, words, syllables, fillers, pause_s, speech_s, lost_s, f0_median_hz, f0_span_st, level_dbfs
    ) as r (t, a, b, c, d, e, f, g, h, i, j)
    on conflict (org_id, session_id, ts) do nothing;
    get diagnostics stored = row_count;
    perform ts.mark(org, of_session, origin, t_s);
    return stored;
end
$$;

-- To be called every minute or so by one process or many: makes room for the next weeks and rolls up. Shows and changes nothing of
-- anybody's, so any role may.
create function ts.maintain() returns integer language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform ts.make_room(now(), now() + interval '21 days');
    return ts.roll_up(now(), 20000);
end
$$;

revoke execute on all functions in schema ts from public;
grant usage on schema ts to elocute_app, elocute_relay;
grant select on ts.metric_second, ts.metric_minute to elocute_app;
grant execute on function ts.put_seconds to elocute_app;
grant execute on function ts.maintain to elocute_app, elocute_relay;
select ts.maintain();
