-- What every transaction begins with costs less, and the first plans are good.

-- +goose Up

-- enter, expect and enter_meeting, as before. What is called for its effect is assigned
-- and not performed: an expression is evaluated at once, a perform is a query of its own.

-- +goose StatementBegin
create or replace function enter(tenant uuid, connection uuid, credential uuid, expected bigint) returns bigint
language plpgsql as $$
declare
	found_derivation bigint;
	reads_only boolean;
	effect text;
begin
	effect := set_config('muster.tenant', tenant::text, true);
	effect := set_config('muster.connection', connection::text, true);
	if expected is not null then
		effect := pg_advisory_xact_lock_shared(hashtextextended('rules ' || tenant::text, 0))::text;
	end if;
	select t.derivation, k.read_only into found_derivation, reads_only
	from tenants t
	join connections c on c.tenant_id = t.id
	join credentials k on k.tenant_id = t.id and k.connection_id = c.id
	where t.id = tenant and t.state = 'active'
	and c.id = connection and c.state = 'active'
	and k.id = credential and k.revoked_at is null and (k.expires_at is null or k.expires_at > now());
	if not found then
		select t.derivation, l.read_only into found_derivation, reads_only
		from client_tokens k
		join clients l on l.tenant_id = k.tenant_id and l.id = k.client and l.connection_id = k.connection_id
		join connections c on c.tenant_id = k.tenant_id and c.id = k.connection_id
		join tenants t on t.id = k.tenant_id
		left join client_secrets s on s.tenant_id = k.tenant_id and s.id = k.secret
		where k.tenant_id = tenant and k.id = credential and k.expires_at > now()
		and (k.secret is null or s.id is not null and s.revoked_at is null)
		and l.revoked_at is null and l.epoch = k.client_epoch
		and c.id = connection and c.state = 'active' and c.epoch = k.connection_epoch
		and t.state = 'active' and t.epoch = k.tenant_epoch;
	end if;
	if not found then
		raise exception 'not authenticated' using errcode = 'MU401';
	end if;
	if found_derivation <> expected then
		raise exception 'derivation is %', found_derivation using errcode = 'MU409';
	end if;
	if reads_only then
		effect := set_config('transaction_read_only', 'on', true);
	end if;
	return found_derivation;
end $$;
-- +goose StatementEnd

-- +goose StatementBegin
create or replace function expect(tenant uuid, expected bigint) returns void
language plpgsql as $$
declare
	found_derivation bigint;
	effect text;
begin
	effect := pg_advisory_xact_lock_shared(hashtextextended('rules ' || tenant::text, 0))::text;
	select derivation into found_derivation from tenants where id = tenant;
	if found_derivation is distinct from expected then
		raise exception 'derivation is %', found_derivation using errcode = 'MU409';
	end if;
end $$;
-- +goose StatementEnd

-- +goose StatementBegin
create or replace function enter_meeting(tenant uuid, connection uuid, credential uuid, expected bigint, external text) returns void
language plpgsql as $$
declare effect text;
begin
	effect := enter(tenant, connection, credential, expected)::text;
	effect := meet(connection, external)::text;
end $$;
-- +goose StatementEnd

-- PostgreSQL knows nothing of a table before it has analysed rows of it, a minute after
-- the first come: till then all indexes that begin with tenant and connection look
-- alike, and a first sync reads everybody to find one. So it is shown rows of which no
-- two are alike, to which the fixed n_distinct of tenant and connection is added, and
-- keeps that in mind when the rows are gone.
-- +goose StatementBegin
do $$
declare
	examples constant int := 300;
	example uuid;
begin
	perform set_config('muster.connection', 'all', true);
	for n in 1 .. examples loop
		example := md5(n::text)::uuid;
		perform set_config('muster.tenant', example::text, true);
		insert into users (tenant_id, connection_id, id, user_name_key, external_id, active, resource, search)
			values (example, example, example, n, n, false, '{}', '{}');
		insert into sessions (tenant_id, connection_id, id, user_id, tenant_epoch, connection_epoch, user_epoch, expires_at)
			values (example, example, example, example, 1, 1, 1, now());
		insert into groups (tenant_id, connection_id, id, display_name, display_name_key, external_id, resource, search)
			values (example, example, example, n, n, n, '{}', '{}');
		insert into memberships (tenant_id, connection_id, group_id, member_user) values (example, example, example, example);
		insert into unique_values (tenant_id, connection_id, resource_type, attribute, digest, resource_id)
			values (example, example, n, n, sha256(n::text::bytea), example);
	end loop;
	analyze users, sessions, groups, memberships, unique_values;
	for n in 1 .. examples loop
		example := md5(n::text)::uuid;
		perform set_config('muster.tenant', example::text, true);
		delete from unique_values where tenant_id = example;
		delete from memberships where tenant_id = example;
		delete from groups where tenant_id = example;
		delete from sessions where tenant_id = example;
		delete from users where tenant_id = example;
	end loop;
end $$;
-- +goose StatementEnd

-- +goose Down
select 1 / 0;  -- nothing is gained by going back
