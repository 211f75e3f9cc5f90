package store

import (
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Every transaction of a Directory begins with its entry, two statements. The first
// names the tenant and the connection and holds the rules; the second verifies the
// credential, and sees whatever was committed before the rules were held. refuse ends
// the transaction where something does not hold, before any later statement of the batch.

const nameBoth = `select set_config('muster.tenant', $1, true), set_config('muster.connection', $2, true)`

// holdRules keeps the tenant's rules and schemas as they are until the transaction ends.
const holdRules = `, pg_advisory_xact_lock_shared(hashtextextended('rules ' || $1, 0))`

// The second statement, of an entry by a token that an admin handed over or by one that
// a client fetched. Its parameters are the tenant, the connection, the credential and the
// derivation that the caller's rules are of; null: any. What only a credential that holds
// may do or meet is a case between verified and the rest: meeting, or a group's hold.
const (
	verified = `
		select case
			when found.derivation is null then refuse('` + stateUnauthenticated + `', 'not authenticated')
			when found.derivation <> $4::bigint then refuse('` + stateOtherRules + `', 'derivation is ' || found.derivation)`

	from = `
			else found.derivation end,
			case when found.read_only then set_config('transaction_read_only', 'on', true) end
		from (select 1) one left join lateral (`

	ofToken = from + `
			select t.derivation, k.read_only
			from tenants t
			join connections c on c.tenant_id = t.id
			join credentials k on k.tenant_id = t.id and k.connection_id = c.id
			where t.id = $1 and t.state = 'active'
			and c.id = $2 and c.state = 'active'
			and k.id = $3 and k.revoked_at is null and (k.expires_at is null or k.expires_at > now())
		) found on true`

	ofClient = from + `
			select t.derivation, l.read_only
			from client_tokens k
			join clients l on l.tenant_id = k.tenant_id and l.id = k.client and l.connection_id = k.connection_id
			join connections c on c.tenant_id = k.tenant_id and c.id = k.connection_id
			join tenants t on t.id = k.tenant_id
			left join client_secrets s on s.tenant_id = k.tenant_id and s.id = k.secret
			where k.tenant_id = $1 and k.id = $3 and k.expires_at > now()
			and (k.secret is null or s.id is not null and s.revoked_at is null)
			and l.revoked_at is null and l.epoch = k.client_epoch
			and c.id = $2 and c.state = 'active' and c.epoch = k.connection_epoch
			and t.state = 'active' and t.epoch = k.tenant_epoch
		) found on true`
)

// meeting refuses the creation of active people, of whose externalIds, $5, an inactive one
// of the connection has one: that is a reactivation.
const meeting = `
			when exists (select from unnest($5::text[]) as come(back) cross join lateral (select from users
				where tenant_id = $1 and connection_id = $2 and external_id = come.back and deleted_at is null and not active offset 0) met)
			then refuse('` + stateTwin + `', 'an inactive user has this externalId')`

// brief lets the rest of the transaction wait no longer than 50 ms for a lock.
const brief = `
			when set_config('lock_timeout', '50', true) is null then null`

// nameTenant queues the statement that names tenant and connection for row-level
// security until the end of the transaction.
func nameTenant(b *pgx.Batch, tenant, connection string) { b.Queue(nameBoth, tenant, connection) }

// enter queues the entry of a transaction that reads.
func (dir *Directory) enter(b *pgx.Batch) {
	nameTenant(b, dir.tenant.String(), dir.visible())
	if dir.token != nil {
		dir.verify(b, nil, ``)
	}
}

// enterCurrent is enter for a change that derives roles: it holds the rules, and fails
// where those that this Directory knows are no longer the tenant's.
func (dir *Directory) enterCurrent(b *pgx.Batch) {
	b.Queue(nameBoth+holdRules, dir.tenant.String(), dir.visible())
	if dir.token == nil {
		b.Queue(`select expect($1, $2)`, dir.tenant, dir.settings.derivation)
		return
	}
	dir.verify(b, &dir.settings.derivation, ``)
}

// enterUsers is enterCurrent for changes of users. Where several share it, it is by their token.
func (dir *Directory) enterUsers(b *pgx.Batch, lock lockWait) {
	if lock == waits {
		dir.enterCurrent(b)
		return
	}
	b.Queue(nameBoth+holdRules, dir.tenant.String(), dir.visible())
	dir.verify(b, &dir.settings.derivation, brief)
}

// enterHolding is enterCurrent by a token, which then takes the lock of a group as hold
// says.
func (dir *Directory) enterHolding(b *pgx.Batch, group uuid.UUID, hold string) {
	b.Queue(nameBoth+holdRules, dir.tenant.String(), dir.visible())
	dir.verify(b, &dir.settings.derivation, hold, group.String())
}

// enterAlone is enterCurrent for a change of the settings themselves. It waits for
// every change that was made by those of before.
func (dir *Directory) enterAlone(b *pgx.Batch) {
	b.Queue(`select pg_advisory_xact_lock(hashtextextended('rules ' || $1::text, 0))`, dir.tenant.String())
	dir.enterCurrent(b)
}

// enterMeeting is enterUsers for the creation of active people: it also fails where an
// inactive one with one of the externalIds is there already.
func (dir *Directory) enterMeeting(b *pgx.Batch, externalIDs []string, lock lockWait) {
	if dir.token == nil || len(externalIDs) == 0 {
		dir.enterUsers(b, lock)
		for _, id := range externalIDs {
			b.Queue(`select meet($1, $2)`, dir.connection, id)
		}
		return
	}
	b.Queue(nameBoth+holdRules, dir.tenant.String(), dir.visible())
	if lock == waits {
		dir.verify(b, &dir.settings.derivation, meeting, externalIDs)
	} else {
		dir.verify(b, &dir.settings.derivation, brief+meeting, externalIDs)
	}
}

// visible is what row-level security lets the transaction see: one connection or all.
func (dir *Directory) visible() string {
	if dir.connection == uuid.Nil {
		return everyConnection
	}
	return dir.connection.String()
}

// verify queues the second statement of an entry. also is a case of it, whose parameter,
// $5, is given.
func (dir *Directory) verify(b *pgx.Batch, derivation *int64, also string, given ...any) {
	ofWhat := ofToken
	if dir.token.fetched() {
		ofWhat = ofClient
	}
	b.Queue(verified+also+ofWhat, append([]any{dir.tenant, dir.connection, dir.token.id, derivation}, given...)...).
		QueryRow(func(row pgx.Row) error {
			var current int64
			if err := row.Scan(&current, nil); err != nil {
				return err
			}
			dir.noteUse()
			if current > dir.settings.derivation {
				dir.store.settings.forget(dir.tenant) // the next request is read by what holds now
				dir.outdated = true
			}
			return nil
		})
}
