-- Schemas and resource types that tenants declare, and the resources of those types.

-- +goose Up

-- Every declaration is a new version and stays as it is; the newest counts.
create table tenant_schemas (
	tenant_id uuid not null references tenants,
	urn text collate "C" not null,
	version bigint not null,
	document text not null,                  -- JSON (RFC 7643 §7), every characteristic written out
	actor text not null,
	declared_at timestamptz not null default now(),
	primary key (tenant_id, urn, version)
);

create table resource_types (
	tenant_id uuid not null references tenants,
	name text collate "C" not null,
	version bigint not null,
	document text not null,                  -- JSON (RFC 7643 §6)
	actor text not null,
	registered_at timestamptz not null default now(),
	primary key (tenant_id, name, version)
);

-- Resources of the types that a tenant has registered: no roles, no membership,
-- no sign-in. Users and groups have tables of their own.
create table resources (
	tenant_id uuid not null,
	connection_id uuid not null,
	id uuid not null,
	resource_type text collate "C" not null,
	external_id text collate "C",
	version bigint not null default 1,
	created_at timestamptz not null default now(),
	modified_at timestamptz not null default now(),
	deleted_at timestamptz,
	resource json not null,                  -- kept to the letter, as users' are
	search jsonb not null,
	primary key (tenant_id, id)
);
create index resources_type on resources (tenant_id, connection_id, resource_type, created_at, id) where deleted_at is null;
create index resources_external_id on resources (tenant_id, connection_id, resource_type, external_id) where deleted_at is null;

-- What living users, groups and resources hold of declared attributes that are
-- unique. A digest stands for the value, whatever its length.
create table unique_values (
	tenant_id uuid not null,
	connection_id uuid not null,
	resource_type text collate "C" not null, -- '': among all types
	attribute text collate "C" not null,
	digest bytea not null check (octet_length(digest) = 32),    -- SHA-256 of what equal values have in common
	resource_id uuid not null,
	primary key (tenant_id, connection_id, resource_type, attribute, digest)
);

-- +goose StatementBegin
do $$
declare t text;
begin
	foreach t in array array['resources', 'unique_values']
	loop
		execute format('alter table %I enable row level security, force row level security', t);
		execute format($p$create policy tenant on %I
			using (tenant_id = current_setting('muster.tenant')::uuid
				and (current_setting('muster.connection') = 'all' or connection_id::text = current_setting('muster.connection')))
			with check (tenant_id = current_setting('muster.tenant')::uuid
				and (current_setting('muster.connection') = 'all' or connection_id::text = current_setting('muster.connection')))$p$, t);
	end loop;
	foreach t in array array['tenant_schemas', 'resource_types']
	loop
		execute format('alter table %I enable row level security, force row level security', t);
		execute format($p$create policy tenant on %I
			using (tenant_id = current_setting('muster.tenant')::uuid)
			with check (tenant_id = current_setting('muster.tenant')::uuid)$p$, t);
	end loop;
	-- Plans are made for the largest tenant (see the foundation).
	foreach t in array array['resources', 'unique_values', 'tenant_schemas', 'resource_types']
	loop
		execute format('alter table %I alter column tenant_id set (n_distinct = 1)', t);
	end loop;
	foreach t in array array['resources', 'unique_values']
	loop
		execute format('alter table %I alter column connection_id set (n_distinct = 1)', t);
	end loop;
end $$;
-- +goose StatementEnd

-- claim takes values for a resource, and fails (MU410, with the attribute as its
-- message) where another one has them. It waits for whoever is about to take the
-- same, so callers bring them in one order.
-- +goose StatementBegin
create function claim(connection uuid, resource uuid, types text[], attributes text[], digests bytea[]) returns void
language plpgsql as $$
begin
	for i in 1 .. cardinality(types) loop
		insert into unique_values (tenant_id, connection_id, resource_type, attribute, digest, resource_id)
		values (current_setting('muster.tenant')::uuid, connection, types[i], attributes[i], digests[i], resource)
		on conflict do nothing;
		if not found then
			raise exception '%', attributes[i] using errcode = 'MU410';
		end if;
	end loop;
end $$;
-- +goose StatementEnd

-- +goose Down
select 1 / 0;  -- what tenants have declared is not taken away
