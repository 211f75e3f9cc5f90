package main

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// body is a user as a directory sends it, about 1 kB.
func body(n int64) string {
	return fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],`+
		`"externalId":"0a21f0f2-8d2a-4f8e-bf98-%012d","userName":"person.%d@bench.example","active":true,"displayName":"Person %d",`+
		`"name":{"formatted":"Person Number %d","familyName":"Number %d","givenName":"Person"},"title":"Rigger","preferredLanguage":"en-US",`+
		`"emails":[{"primary":true,"type":"work","value":"person.%d@bench.example"}],`+
		`"phoneNumbers":[{"type":"work","value":"+1 555 0100"},{"type":"mobile","value":"+1 555 0101"}],`+
		`"addresses":[{"type":"work","streetAddress":"1 Ring Road","locality":"Sarasota","region":"FL","postalCode":"34236","country":"US"}],`+
		`"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"employeeNumber":"%d","department":"Payroll","manager":{"value":"0a21f0f2-8d2a-4f8e-bf98-000000000000"}},`+
		`"meta":{"resourceType":"User"}}`, n, n, n, n, n, n, n)
}

// create adds people, each with an e-mail, two roles and their causes.
func create(ctx context.Context, w *world) error {
	for _, clients := range concurrency {
		err := w.turns(ctx,
			ofRaw("create: raw, users row alone", clients, func() error { return w.rawRow(ctx, w.next.Add(1)) }),
			ofRaw("create: raw, same rows", clients, func() error { return w.rawCreate(ctx, w.next.Add(1)) }),
			overHTTP("create", clients, w.scim, func(c *client) error {
				return c.expect(201, "POST", "/t/bench/scim/v2/Users", body(w.next.Add(1)))
			}))
		if err != nil {
			return err
		}
	}
	return nil
}

const insertUser = `
	insert into users (tenant_id, connection_id, id, user_name_key, external_id, active, derived, resource, search)
	values ($1, $2, $3, $4, $5, true, 1, $6, $7)`

func (w *world) queueUser(b *pgx.Batch, n int64) uuid.UUID {
	id := uuid.Must(uuid.NewV7())
	name := fmt.Sprintf("person.%d@bench.example", n)
	b.Queue(insertUser, w.tenant.ID, w.conn.ID, id, name, fmt.Sprintf("0a21f0f2-8d2a-4f8e-bf98-%012d", n), body(n), body(n))
	return id
}

func (w *world) rawRow(ctx context.Context, n int64) error {
	b := &pgx.Batch{}
	w.queueUser(b, n)
	return w.raw.SendBatch(ctx, b).Close()
}

// rawCreate writes the rows of a create: user, e-mail, change, two assignments
// and the request.
func (w *world) rawCreate(ctx context.Context, n int64) error {
	b := &pgx.Batch{}
	id := w.queueUser(b, n)
	b.Queue(`insert into user_values (tenant_id, connection_id, attribute, value_key, user_id) values ($1, $2, 'emails.value', $3, $4)`,
		w.tenant.ID, w.conn.ID, fmt.Sprintf("person.%d@bench.example", n), id)
	b.Queue(`insert into changes (tenant_id, connection_id, subject, kind, subject_version, actor, request_id, body, digest, roles)
		values ($1, $2, $3, 'user.created', 1, 'raw', $4, $5, $6, $7)`,
		w.tenant.ID, w.conn.ID, id, id, body(n), make([]byte, 32), `{"gained":["timesheet.viewer","timesheet.approver"]}`)
	b.Queue(`insert into assignments (tenant_id, connection_id, user_id, role, rule, facts, rule_set, from_change)
		select $1, $2, $3, unnest($4::text[]), 'rule', '["everyone"]', 1, currval('change_n')`,
		w.tenant.ID, w.conn.ID, id, []string{"timesheet.viewer", "timesheet.approver"})
	b.Queue(`insert into provisioning_requests (tenant_id, id, connection_id, method, path, status) values ($1, $2, $3, 'POST', '/Users', 201)`,
		w.tenant.ID, id, w.conn.ID)
	return w.raw.SendBatch(ctx, b).Close()
}
