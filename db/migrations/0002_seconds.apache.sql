-- TimescaleDB without its community part: a hypertable of the seconds. Aggregates and compression are refused there.

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
);
select create_hypertable('ts.seconds', by_range('ts', interval '7 days'), create_default_indexes => false);

create function ts.make_room(first timestamptz, last timestamptz) returns void language sql as ''; -- chunks are made on insert
