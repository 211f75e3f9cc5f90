-- The foundation. tenant_id leads every primary key and unique index of tenant
-- data, so that tables can later be distributed by tenant. Row-level security
-- is forced on all of them: the server's role reads what muster.tenant and
-- muster.connection name, and fails where they are not set.

-- +goose Up

-- Global: one row about this database.
create table instance (
	only_row boolean primary key default true check (only_row),
	incarnation uuid not null,               -- drawn anew at migrate and at restore
	schema_fingerprint text,                 -- of the migrations' text as they were applied
	key_check bytea check (octet_length(key_check) = 32)    -- of the key-encryption key; null: no server has come yet
);
insert into instance (incarnation) values (gen_random_uuid());

create table tenants (
	id uuid primary key,
	slug text collate "C" not null unique check (slug ~ '^[a-z0-9][a-z0-9-]{1,38}[a-z0-9]$'),
	name text not null,
	state text not null default 'active' check (state in ('active', 'suspended')),
	epoch bigint not null default 1,         -- only grows; kills every session of the tenant
	derivation bigint not null default 1,    -- only grows; makes every assignment of the tenant stale
	rule_set bigint,                         -- the published version
	created_at timestamptz not null default now()
);

create table tenant_hosts (
	host text collate "C" primary key,
	tenant_id uuid not null references tenants
);

create table tenant_domains (
	domain text collate "C" primary key,
	tenant_id uuid not null references tenants,
	verified_at timestamptz
);

create table applications (
	id uuid primary key,
	client_id text collate "C" not null unique,
	name text not null,
	secret_hash bytea check (octet_length(secret_hash) = 32),    -- null: a public client
	audience text collate "C" not null unique,    -- nor another application's client_id: registry looks
	redirect_uris text[] not null,
	tenants uuid[] not null,                 -- whose people may enter
	allow_no_role boolean not null default false,
	token_seconds int not null default 300 check (token_seconds between 60 and 3600),
	state text not null default 'active' check (state in ('active', 'disabled')),
	epoch bigint not null default 1,
	created_at timestamptz not null default now()
);

create table roles (
	name text collate "C" primary key check (name ~ '^[a-z0-9-]+\.[a-z0-9_.-]+$'),
	application_id uuid not null references applications,
	privileged boolean not null default false
);

create table signing_keys (
	kid text collate "C" primary key,
	algorithm text not null,
	private_key bytea not null,              -- envelope-encrypted
	public_key json not null,
	state text not null check (state in ('active', 'retired')),
	created_at timestamptz not null default now()
);

-- Tenant data from here on.

create table connections (
	tenant_id uuid not null references tenants,
	id uuid not null,
	name text collate "C" not null check (name ~ '^[a-z0-9][a-z0-9-]{0,38}$'),
	kind text not null check (kind in ('entra', 'okta', 'generic')),
	profile text not null default 'lenient' check (profile in ('lenient', 'strict')),
	issuer text collate "C",
	client_id text,
	client_secret bytea,                     -- envelope-encrypted
	match_claim text not null,
	match_attribute text not null,
	state text not null default 'active' check (state in ('active', 'disabled')),
	epoch bigint not null default 1,
	created_at timestamptz not null default now(),
	primary key (tenant_id, id),
	unique (tenant_id, name)
);

create table credentials (
	tenant_id uuid not null,
	id uuid not null,
	connection_id uuid,                      -- null: of the whole tenant
	kind text not null check (kind in ('scim', 'api')),
	name text not null,
	hash bytea not null check (octet_length(hash) = 32),
	prefix text not null,
	expires_at timestamptz,
	revoked_at timestamptz,
	last_used_at timestamptz,
	created_by text not null,
	created_at timestamptz not null default now(),
	primary key (tenant_id, id),
	unique (tenant_id, hash),
	foreign key (tenant_id, connection_id) references connections
);

create table tenant_roles (
	tenant_id uuid not null references tenants,
	role text collate "C" not null references roles,
	primary key (tenant_id, role)
);

create table rule_sets (
	tenant_id uuid not null references tenants,
	version bigint not null,
	source text not null,
	actor text not null,
	published_at timestamptz not null default now(),
	primary key (tenant_id, version)
);

-- What is written at every request has no foreign key to the rows that every
-- request shares (tenant, connection, group): the transaction has read or
-- locked them, and a key share on one row from all sides costs a fifth.

create table users (
	tenant_id uuid not null,
	connection_id uuid not null,
	id uuid not null,
	user_name_key text collate "C" not null,
	external_id text collate "C",
	active boolean not null,
	locked boolean not null default false,
	epoch bigint not null default 1,         -- only grows; kills every session of the person
	role_epoch bigint not null default 1,    -- grows when a role is taken away
	derived bigint,                          -- tenants.derivation under which the assignments were made
	derived_until timestamptz,               -- when time alone changes them
	version bigint not null default 1,
	created_at timestamptz not null default now(),
	modified_at timestamptz not null default now(),
	deleted_at timestamptz,
	resource json not null,                  -- kept to the letter: answers are made of these bytes
	search jsonb not null,
	primary key (tenant_id, id)
);
create unique index users_user_name on users (tenant_id, connection_id, user_name_key) where deleted_at is null;
create index users_external_id on users (tenant_id, connection_id, external_id) where deleted_at is null;
alter table users set (toast_tuple_target = 4080);  -- a usual row is 2 kB: compressing it costs more than it saves

create table user_values (
	tenant_id uuid not null,
	connection_id uuid not null,
	attribute text collate "C" not null,
	value_key text collate "C" not null,
	user_id uuid not null,
	primary key (tenant_id, connection_id, attribute, value_key, user_id)
);

create table groups (
	tenant_id uuid not null,
	connection_id uuid not null,
	id uuid not null,
	display_name text not null,
	display_name_key text collate "C" not null,
	external_id text collate "C",
	version bigint not null default 0,       -- a base; the changes since `folded` are added
	folded xid8 not null default pg_current_xact_id(),
	created_at timestamptz not null default now(),
	modified_at timestamptz not null default now(),
	deleted_at timestamptz,
	resource json not null,
	search jsonb not null,
	primary key (tenant_id, id)
);
create unique index groups_display_name on groups (tenant_id, connection_id, display_name_key) where deleted_at is null;
create index groups_external_id on groups (tenant_id, connection_id, external_id) where deleted_at is null;

create table memberships (
	tenant_id uuid not null,
	connection_id uuid not null,
	group_id uuid not null,
	member_user uuid,
	member_group uuid,
	check (num_nonnulls(member_user, member_group) = 1),
	unique nulls not distinct (tenant_id, group_id, member_user, member_group),
	foreign key (tenant_id, member_user) references users,
	foreign key (tenant_id, member_group) references groups
);
create index memberships_user on memberships (tenant_id, member_user);
create index memberships_group on memberships (tenant_id, member_group) where member_group is not null;

create table assignments (
	tenant_id uuid not null,
	connection_id uuid not null,
	user_id uuid not null,
	role text collate "C" not null,
	scope text not null default '',
	rule text collate "C" not null,
	rule_set bigint not null,
	facts text not null,                     -- JSON: what gave it
	from_change bigint not null,             -- n of the change that gave it
	from_xid xid8 not null default pg_current_xact_id(),
	until_change bigint,                     -- null: held now
	until_xid xid8,
	primary key (tenant_id, user_id, role, scope, rule, from_change)
);

create sequence change_n cache 1;

create table changes (
	tenant_id uuid not null,
	xid xid8 not null default pg_current_xact_id(),
	n bigint not null default nextval('change_n'),   -- drawn after the subject was locked
	connection_id uuid,                      -- null: of the whole tenant
	subject uuid not null,
	kind text collate "C" not null,
	subject_version bigint,
	actor text not null,
	request_id uuid not null,
	at timestamptz not null default now(),
	body text,                               -- JSON: what changed; emptied when a person is erased
	digest bytea not null,                   -- SHA-256 of body as written
	roles text,                              -- JSON: roles gained and lost
	primary key (tenant_id, xid, n)
);
create index changes_subject on changes (tenant_id, subject, xid);

create table change_numbers (
	tenant_id uuid not null,
	seq bigint not null,
	n bigint not null,
	xid xid8 not null,
	primary key (tenant_id, seq)
);

create table sequencers (
	tenant_id uuid primary key references tenants,
	horizon xid8 not null default '0',       -- every change before it is numbered
	low bigint not null default 0,           -- every change from the horizon on has a higher seq
	top bigint not null default 0,           -- the highest seq given
	derivation bigint not null default 0,    -- under which everybody's assignments are written
	derived_on date,                         -- and for which day
	derived_after uuid,                      -- how far the pass for the next one is
	marks bigint not null default 0,         -- how often people were marked stale
	derived_marks bigint not null default 0  -- and up to which mark the assignments are written
);

create table totals (
	tenant_id uuid not null,
	connection_id uuid not null,
	resource_type text collate "C" not null,
	total bigint not null default 0,
	folded xid8 not null default '0',        -- changes from here on are not in total
	primary key (tenant_id, connection_id, resource_type)
);

create table provisioning_requests (
	tenant_id uuid not null,
	id uuid not null,                        -- the request id: it says whether a commit happened
	connection_id uuid not null,
	credential_id uuid,
	at timestamptz not null default now(),
	method text not null,
	path text not null,
	status smallint,
	notes text,                              -- JSON: what was ignored or repaired, with the quirk's number
	primary key (tenant_id, id)
);

create table identities (
	tenant_id uuid not null,
	connection_id uuid not null,
	issuer text collate "C" not null,
	subject text collate "C" not null,
	user_id uuid not null,
	bound_at timestamptz not null default now(),
	ended_at timestamptz,
	foreign key (tenant_id, user_id) references users,
	primary key (tenant_id, connection_id, issuer, subject, bound_at)
);
create unique index identities_living on identities (tenant_id, connection_id, issuer, subject) where ended_at is null;
create index identities_user on identities (tenant_id, user_id) where ended_at is null;

create table sign_ins (
	tenant_id uuid not null,
	state_hash bytea not null check (octet_length(state_hash) = 32),
	connection_id uuid not null,
	connection_epoch bigint not null,        -- when the person was sent away
	request json not null,                   -- the application's authorization request
	expires_at timestamptz not null,
	consumed_at timestamptz,
	minted_at timestamptz,
	primary key (tenant_id, state_hash)
);

create table sessions (
	tenant_id uuid not null,
	id uuid not null,
	connection_id uuid not null,
	user_id uuid not null,
	tenant_epoch bigint not null,
	connection_epoch bigint not null,
	user_epoch bigint not null,
	authenticated_at timestamptz,           -- null: the identity provider did not say
	created_at timestamptz not null default now(),
	expires_at timestamptz not null,
	ended_at timestamptz,
	foreign key (tenant_id, user_id) references users,
	primary key (tenant_id, id)
);
create index sessions_user on sessions (tenant_id, user_id) where ended_at is null;

create table codes (
	tenant_id uuid not null,
	hash bytea not null check (octet_length(hash) = 32),
	connection_id uuid not null,
	session_id uuid not null,
	user_id uuid not null,
	application_id uuid not null,
	application_epoch bigint not null,
	redirect_uri text collate "C" not null,
	challenge text collate "C" not null,
	nonce text not null,
	scope text not null,
	expires_at timestamptz not null,
	consumed_at timestamptz,
	foreign key (tenant_id, session_id) references sessions,
	primary key (tenant_id, hash)
);

-- +goose StatementBegin
do $$
declare t text;
begin
	-- Rows of one connection: seen by that connection, and by 'all'.
	foreach t in array array['users', 'user_values', 'groups', 'memberships', 'assignments', 'changes',
		'totals', 'provisioning_requests', 'identities', 'sign_ins', 'sessions', 'codes', 'credentials']
	loop
		execute format('alter table %I enable row level security, force row level security', t);
		execute format($p$create policy tenant on %I
			using (tenant_id = current_setting('muster.tenant')::uuid
				and (current_setting('muster.connection') = 'all' or connection_id::text = current_setting('muster.connection')))
			with check (tenant_id = current_setting('muster.tenant')::uuid
				and (current_setting('muster.connection') = 'all' or connection_id::text = current_setting('muster.connection')))$p$, t);
	end loop;
	-- Rows of the tenant: any connection of it may read them.
	foreach t in array array['connections', 'tenant_roles', 'rule_sets', 'change_numbers', 'sequencers']
	loop
		execute format('alter table %I enable row level security, force row level security', t);
		execute format($p$create policy tenant on %I
			using (tenant_id = current_setting('muster.tenant')::uuid)
			with check (tenant_id = current_setting('muster.tenant')::uuid)$p$, t);
	end loop;
end $$;
-- +goose StatementEnd

-- What PostgreSQL shall believe: one tenant, and one connection, may have all
-- rows of a table, one group a twentieth of all memberships. Plans are made for
-- any tenant and kept; by the average, reading all of one would look cheap.
-- +goose StatementBegin
do $$
declare t text; c text;
begin
	for t, c in select r.relname, a.attname from pg_class r join pg_attribute a on a.attrelid = r.oid
		where r.relnamespace = 'public'::regnamespace and r.relkind = 'r' and a.attname in ('tenant_id', 'connection_id')
	loop
		execute format('alter table %I alter column %I set (n_distinct = 1)', t, c);
	end loop;
	alter table memberships alter column group_id set (n_distinct = 20);
end $$;
-- +goose StatementEnd

-- enter is the first statement of a SCIM client's transaction: it names tenant
-- and connection for row-level security, verifies the credential, and answers
-- the tenant's derivation counter. With `expected` it also fails where the
-- caller's rules are not the current ones (MU409), and holds them: no rules are
-- published until the transaction ends. MU401: not authenticated.
-- +goose StatementBegin
create function enter(tenant uuid, connection uuid, credential uuid, expected bigint) returns bigint
language plpgsql as $$
declare found_derivation bigint;
begin
	perform set_config('muster.tenant', tenant::text, true), set_config('muster.connection', connection::text, true);
	if expected is not null then
		perform pg_advisory_xact_lock_shared(hashtextextended('rules ' || tenant::text, 0));
	end if;
	select t.derivation into found_derivation
	from tenants t
	join connections c on c.tenant_id = t.id
	join credentials k on k.tenant_id = t.id and k.connection_id = c.id
	where t.id = tenant and t.state = 'active'
	and c.id = connection and c.state = 'active'
	and k.id = credential and k.revoked_at is null and (k.expires_at is null or k.expires_at > now());
	if not found then
		raise exception 'not authenticated' using errcode = 'MU401';
	end if;
	if found_derivation <> expected then
		raise exception 'derivation is %', found_derivation using errcode = 'MU409';
	end if;
	return found_derivation;
end $$;
-- +goose StatementEnd

-- expect fails (MU409) where the caller's rules are not the tenant's current
-- ones, and holds them as enter does.
-- +goose StatementBegin
create function expect(tenant uuid, expected bigint) returns void
language plpgsql as $$
declare found_derivation bigint;
begin
	perform pg_advisory_xact_lock_shared(hashtextextended('rules ' || tenant::text, 0));
	select derivation into found_derivation from tenants where id = tenant;
	if found_derivation is distinct from expected then
		raise exception 'derivation is %', found_derivation using errcode = 'MU409';
	end if;
end $$;
-- +goose StatementEnd

-- meet fails (MU201) where a living inactive user of the connection has this
-- externalId: a create is then a reactivation.
-- +goose StatementBegin
create function meet(connection uuid, external text) returns void
language plpgsql as $$
begin
	perform from users
	where tenant_id = current_setting('muster.tenant')::uuid
	and connection_id = connection and external_id = external
	and deleted_at is null and not active;
	if found then
		raise exception 'an inactive user has this externalId' using errcode = 'MU201';
	end if;
end $$;
-- +goose StatementEnd

-- enter_meeting is enter and meet in one statement: a create begins with it.
-- +goose StatementBegin
create function enter_meeting(tenant uuid, connection uuid, credential uuid, expected bigint, external text) returns void
language plpgsql as $$
begin
	perform enter(tenant, connection, credential, expected);
	perform meet(connection, external);
end $$;
-- +goose StatementEnd

-- +goose Down
select 1 / 0;  -- the foundation is not taken away
