-- PostgreSQL without TimescaleDB: weekly partitions of the seconds. There is no DEFAULT partition: rows come in by ts.put_seconds alone,
-- which makes the weeks it needs, also old ones; a DEFAULT would have to be locked and read through whenever a week is made.

create schema ts;

create table ts.seconds (
    org_id uuid not null,
    session_id uuid not null,
    ts timestamptz not null, -- start of the series + t_s
    t_s integer not null,
    over_s double precision,
    words integer,
    syllables integer,
    fillers integer,
    pause_s double precision,
    speech_s double precision,
    lost_s double precision,
    f0_median_hz double precision,
    f0_span_st double precision,
    level_dbfs double precision,
    primary key (org_id, session_id, ts)
) partition by range (ts);

-- Makes room for rows of this stretch of time. Attaching locks less than creating in place: readers and writers go on.
create function ts.make_room(first timestamptz, last timestamptz) returns void language plpgsql as $$
declare
    week timestamptz := date_bin('7 days', first, '2000-01-03 00:00+00');
    name text;
begin
    while week <= last loop
        name := 'seconds_' || to_char(week at time zone 'UTC', 'YYYYMMDD');
        if not exists (select from pg_class where relname = name and relnamespace = 'ts'::regnamespace) then
            lock table only ts.seconds in share update exclusive mode; -- one maker at a time
            if not exists (select from pg_class where relname = name and relnamespace = 'ts'::regnamespace) then
                execute format('create table ts.%I (like ts.seconds including all)', name);
                execute format(
                    'alter table ts.seconds attach partition ts.%I for values from (%L) to (%L)', name, week, week + interval '7 days'
                );
            end if;
        end if;
        week := week + interval '7 days';
    end loop;
end
$$;
