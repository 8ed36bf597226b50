-- One row a session-minute, kept by TimescaleDB. What is newer than the last refresh is added up on reading; what changed before it shows
-- after the next refresh, a minute later at most. No start_offset: deleted and re-measured sessions are followed however old they are.
create materialized view ts.minutes with (timescaledb.continuous, timescaledb.materialized_only = false) as
select
    org_id,
    session_id,
    time_bucket(interval '1 minute', ts) as ts,
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
from ts.seconds
group by org_id, session_id, time_bucket(interval '1 minute', ts)
with no data;

select add_continuous_aggregate_policy(
    'ts.minutes', start_offset => null, end_offset => interval '1 hour', schedule_interval => interval '1 minute'
);

-- A session that was deleted is out of sight at once; the refresh takes its rows away.
create view ts.metric_minute with (security_barrier) as
select m.* from ts.minutes m
where m.org_id = (select public.current_org())
    and exists (select from public.sessions s where s.org_id = m.org_id and s.id = m.session_id);

create function ts.mark(of_org uuid, of_session uuid, start timestamptz, t_s integer[]) returns void language sql as ''; -- TimescaleDB does

create function ts.forget_minutes(of_org uuid, of_session uuid) returns void language sql as ''; -- the refresh does

create function ts.roll_up(before timestamptz, most integer) returns integer language sql as 'select 0';
