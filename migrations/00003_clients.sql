-- How identity providers authenticate besides a token that an admin hands over:
-- OAuth 2.0 clients of a connection, by a secret or by an assertion that their
-- own issuer signs, and the access tokens that they are given.

-- +goose Up

alter table credentials
	add column read_only boolean not null default false,
	add column replaced_by uuid;             -- the successor that a rotation made

alter table tenants
	add column requests_per_second int check (requests_per_second between 1 and 100000);    -- null: the server's default

create table clients (
	tenant_id uuid not null,
	id uuid not null,                        -- its client_id
	connection_id uuid not null,
	name text not null,
	read_only boolean not null default false,
	token_seconds int not null check (token_seconds between 3600 and 21600),
	issuer text collate "C",                 -- whose assertions prove the client; null: nobody's
	subject text collate "C",
	jwks_uri text collate "C",               -- null: as the issuer's discovery document says
	audiences text[] collate "C" not null,
	epoch bigint not null default 1,         -- only grows; ends every access token of the client
	last_used_at timestamptz,
	revoked_at timestamptz,
	created_by text not null,
	created_at timestamptz not null default now(),
	primary key (tenant_id, id),
	foreign key (tenant_id, connection_id) references connections,
	check ((issuer is null) = (subject is null) and (issuer is null) = (cardinality(audiences) = 0) and (issuer is not null or jwks_uri is null))
);

create table client_secrets (
	tenant_id uuid not null,
	id uuid not null,
	connection_id uuid not null,
	client uuid not null,
	hash bytea not null check (octet_length(hash) = 32),
	prefix text not null,
	expires_at timestamptz not null,
	last_used_at timestamptz,
	revoked_at timestamptz,
	created_by text not null,
	created_at timestamptz not null default now(),
	primary key (tenant_id, id),
	unique (tenant_id, hash),
	foreign key (tenant_id, client) references clients
);
create index client_secrets_client on client_secrets (tenant_id, client);

-- Short-lived: deleted soon after they expire. Each carries the epochs under
-- which it was made, so that what ended it never gives it back.
create table client_tokens (
	tenant_id uuid not null,
	id uuid not null,
	connection_id uuid not null,
	client uuid not null,
	secret uuid,                             -- null: by an assertion
	hash bytea not null check (octet_length(hash) = 32),
	tenant_epoch bigint not null,
	connection_epoch bigint not null,
	client_epoch bigint not null,
	expires_at timestamptz not null,
	created_at timestamptz not null default now(),
	primary key (tenant_id, id),
	unique (tenant_id, hash)
);
create index client_tokens_expiry on client_tokens (tenant_id, expires_at);

-- The assertions that were brought, until nobody would accept them any more.
create table client_assertions (
	tenant_id uuid not null,
	connection_id uuid not null,
	client uuid not null,
	hash bytea not null check (octet_length(hash) = 32),    -- of the assertion's jti
	expires_at timestamptz not null,
	primary key (tenant_id, client, hash)
);
create index client_assertions_expiry on client_assertions (tenant_id, expires_at);

-- +goose StatementBegin
do $$
declare t text; c text;
begin
	foreach t in array array['clients', 'client_secrets', 'client_tokens', 'client_assertions']
	loop
		foreach c in array array['tenant_id', 'connection_id']
		loop
			execute format('alter table %I alter column %I set (n_distinct = 1)', t, c);  -- see 00001
		end loop;
		execute format('alter table %I enable row level security, force row level security', t);
		execute format($p$create policy tenant on %I
			using (tenant_id = current_setting('muster.tenant')::uuid
				and (current_setting('muster.connection') = 'all' or connection_id::text = current_setting('muster.connection')))
			with check (tenant_id = current_setting('muster.tenant')::uuid
				and (current_setting('muster.connection') = 'all' or connection_id::text = current_setting('muster.connection')))$p$, t);
	end loop;
end $$;
-- +goose StatementEnd

-- enter, as before, also for a client's access token, and for a credential that
-- only reads: then nothing in its transaction writes.
-- +goose StatementBegin
create or replace function enter(tenant uuid, connection uuid, credential uuid, expected bigint) returns bigint
language plpgsql as $$
declare
	found_derivation bigint;
	reads_only boolean;
begin
	perform set_config('muster.tenant', tenant::text, true), set_config('muster.connection', connection::text, true);
	if expected is not null then
		perform pg_advisory_xact_lock_shared(hashtextextended('rules ' || tenant::text, 0));
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
		perform set_config('transaction_read_only', 'on', true);
	end if;
	return found_derivation;
end $$;
-- +goose StatementEnd

-- +goose Down
select 1 / 0;  -- tokens that were given out would open nothing
