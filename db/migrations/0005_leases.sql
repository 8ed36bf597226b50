-- Who works on a step, and whether they live: a running step whose worker was not heard of for a while is anybody's.

alter table steps
    add worker text, -- of the last attempt
    add touched_at timestamptz not null default now(), -- last sign of life; of a queued step, when it was last announced
    add failures integer not null default 0; -- attempts that ended in an error of the step itself

create index on steps (touched_at) where state in ('queued', 'running');

-- Announces again the steps of every org that nobody has taken or kept alive for so long: whatever was lost on the way, the store knows
-- what is due. A second announcement does no harm. Shows nothing of anybody's.
create function announce_overdue(after interval) returns integer language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    announced integer;
begin
    with overdue as (
        select ctid from public.steps where state in ('queued', 'running') and touched_at < now() - after limit 100 for update skip locked
    ), again as (
        update public.steps s set touched_at = now() from overdue where s.ctid = overdue.ctid
        returning s.org_id, s.session_id, s.step, s.input_hash
    )
    insert into public.outbox (org_id, subject, payload)
    select org_id, step, jsonb_build_object('org', org_id, 'session', session_id, 'step', step, 'input_hash', input_hash) from again;
    get diagnostics announced = row_count;
    if announced > 0 then
        notify elocute_outbox;
    end if;
    return announced;
end
$$;
revoke execute on function announce_overdue from public;
grant execute on function announce_overdue to elocute_relay;
-- FORCE holds the function's owner to row security too, unless it is a superuser.
create policy overdue on steps to current_user using (true) with check (true);
create policy overdue on outbox to current_user using (true) with check (true);
