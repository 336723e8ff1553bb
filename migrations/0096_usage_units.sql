-- What a call is charged for besides text: images with a price, audio, and the search units of a ranking. With these, every line
-- of a bill has its quantity. Null for what a call has nothing of, and for calls of before.
alter table usage
    add column images bigint,
    add column audio_tokens bigint,
    add column audio_output_tokens bigint,
    add column search_units bigint;

create type usage_unit as (
    org_id uuid, id uuid, images bigint, audio_tokens bigint, audio_output_tokens bigint, search_units bigint
);

-- For a batch with such a call; all others go the way they went.
create function settle_unit_calls(
    lines usage_line[], ended integer, credits credit_change[], meters meter_change[], transfers transfer_line[],
    hours hour_line[], own own_change[], byok byok_change[], details usage_detail[], hour_details hour_detail[],
    units usage_unit[]
) returns boolean language plpgsql as $$
begin
    if not public.settle_own_calls(lines, ended, credits, meters, transfers, hours, own, byok, details, hour_details) then
        return false;
    end if;
    -- A batch on accounts of organizations' own comes this way with none, and preparing to write to all parts is not free.
    if cardinality(units) > 0 then
        update public.usage u set images = x.images, audio_tokens = x.audio_tokens,
            audio_output_tokens = x.audio_output_tokens, search_units = x.search_units
        from unnest(units) x
        where u.org_id = x.org_id and u.id = x.id;
    end if;
    return true;
end $$;
