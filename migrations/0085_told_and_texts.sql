-- Texts whose calls were deleted before texts went with their calls. A call that is spooled still gets its row.
delete from call_text t
where t.created_at < now() - interval '1 day'
    and not exists (select from usage u where u.org_id = t.org_id and u.id = t.call_id);

-- What has no window is kept, so looking for what is old must not walk over it.
drop index limit_told_by_time;
create index limit_told_by_time on limit_told (told_at) where span <> 'total';
