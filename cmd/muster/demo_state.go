package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"github.com/google/uuid"

	"github.com/muster-id/muster/internal/idpsim"
	"github.com/muster-id/muster/internal/login"
	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/registry"
	"github.com/muster-id/muster/rules"
)

const (
	demoActor = "demo"
	demoApp   = "timesheet"
)

// A demoState is what the identity providers and the application remember from
// run to run. Their secrets are theirs to keep: Muster has hashes.
type demoState struct {
	Port          int               `json:"port"`
	Tokens        map[string]string `json:"tokens"`         // SCIM token of a tenant's provider
	ClientSecrets map[string]string `json:"client_secrets"` // Muster's at a tenant's provider
	AppSecret     string            `json:"app_secret"`

	path, secretPath string
}

// load reads what an earlier run left in dir, or chooses ports for the first.
func (s *demoState) load(dir string, port int) error {
	s.path, s.secretPath = filepath.Join(dir, "demo.json"), filepath.Join(dir, demoApp+".secret")
	text, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		s.Tokens, s.ClientSecrets = map[string]string{}, map[string]string{}
		s.Port, err = choosePort(port)
		return err
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, s); err != nil {
		return fmt.Errorf("%s: %w; remove %s to begin anew", s.path, err, dir)
	}
	if port != 0 && port != s.Port {
		return usagef("the data in %s was made for the ports from %d on, which stand in redirect URIs and issuers: leave --port out, or begin anew with another --data", dir, s.Port)
	}
	if !free(s.Port) {
		return usagef("a port from %d to %d is taken: is the demo running already? Or begin anew with another --data", s.Port, s.Port+portsNeeded-1)
	}
	return nil
}

// save keeps the state, for its owner only.
func (s *demoState) save() error {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(s.path, text, 0o600); err != nil {
		return err
	}
	return os.WriteFile(s.secretPath, []byte(s.AppSecret+"\n"), 0o600)
}

// choosePort finds a row of free ports: the one that is asked for, or the first
// from demoPort on.
func choosePort(port int) (int, error) {
	const rows, step = 100, 10
	if port != 0 {
		if port < 1024 || port+portsNeeded > 1<<16 || !free(port) {
			return 0, usagef("the ports from %d to %d are not all free: choose others with --port", port, port+portsNeeded-1)
		}
		return port, nil
	}
	for port := demoPort; port < demoPort+rows*step; port += step {
		if free(port) {
			return port, nil
		}
	}
	return 0, usagef("no row of free ports was found: choose one with --port")
}

func free(port int) bool {
	for i := range portsNeeded {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port+i))
		if err != nil {
			return false
		}
		l.Close()
	}
	return true
}

// setUp makes tenants, connections, tokens, the application and the rules,
// each unless it is there.
func (d *demo) setUp(ctx context.Context) error {
	vendor := d.house.store.Vendor(demoActor)
	for i, c := range circuses() {
		if err := d.setUpTenant(ctx, vendor, i, c); err != nil {
			return fmt.Errorf("tenant %s: %w", c.Slug, err)
		}
	}
	if err := d.setUpApplication(ctx, vendor); err != nil {
		return fmt.Errorf("application: %w", err)
	}
	for _, c := range circuses() {
		if err := d.publish(ctx, c); err != nil {
			return fmt.Errorf("rules of %s: %w", c.Slug, err)
		}
	}
	return nil
}

func (d *demo) setUpTenant(ctx context.Context, vendor *registry.Vendor, i int, c circus) error {
	_, err := vendor.Tenant(ctx, c.Slug)
	if errors.Is(err, registry.ErrNotFound) {
		_, err = vendor.CreateTenant(ctx, registry.NewTenant{Slug: c.Slug, Name: c.Name, Domains: []string{c.domain}})
	}
	if err != nil {
		return err
	}
	if d.state.ClientSecrets[c.Slug] == "" {
		d.state.ClientSecrets[c.Slug] = newKey()
	}
	connection, err := vendor.Connection(ctx, c.Slug, c.kind)
	if errors.Is(err, registry.ErrNotFound) {
		connection, err = d.connect(ctx, vendor, i, c)
	}
	if err == nil && d.state.Tokens[c.Slug] == "" {
		d.state.Tokens[c.Slug], _, err = vendor.CreateToken(ctx, c.Slug, connection.Name, registry.NewToken{Name: "demo"})
	}
	return errors.Join(err, d.state.save())
}

// connect adds the connection. The provider is asked for its issuer, which as
// Entra holds the directory's id.
func (d *demo) connect(ctx context.Context, vendor *registry.Vendor, i int, c circus) (registry.Connection, error) {
	idp, err := d.newIdP(i, c, "")
	if err != nil {
		return registry.Connection{}, err
	}
	defer idp.Close()
	return vendor.AddConnection(ctx, c.Slug, registry.Connection{
		Name: c.kind, Kind: c.kind, Issuer: idp.Issuer(), ClientID: demoClient, Secret: d.state.ClientSecrets[c.Slug],
	})
}

// demoClient is what Muster is called at the identity providers.
const demoClient = "muster"

func (d *demo) newIdP(i int, c circus, redirectURI string) (*idpsim.IdP, error) {
	directory, err := idpsim.Load(c.Slug)
	if err != nil {
		return nil, err
	}
	return idpsim.New(directory, idpsim.Options{
		Persona: c.kind, Mapping: c.mapping, URL: "http://" + d.address(idpAt+i),
		SCIMURL: scimURL(d.house.publicURL, c.Slug), Token: d.state.Tokens[c.Slug],
		Clients: []idpsim.Client{{ID: demoClient, Secret: d.state.ClientSecrets[c.Slug], RedirectURIs: []string{redirectURI}}},
	})
}

func (d *demo) redirectURI(c circus, connection registry.Connection) string {
	return login.CallbackURL(d.house.publicURL, c.Slug, connection.ID.String())
}

func (d *demo) setUpApplication(ctx context.Context, vendor *registry.Vendor) error {
	_, err := vendor.Application(ctx, demoApp)
	if err == nil && d.state.AppSecret == "" {
		return fmt.Errorf("its secret, which %s held, is gone: remove %s to begin anew", d.state.path, d.dir)
	}
	if !errors.Is(err, registry.ErrNotFound) {
		return err
	}
	n := registry.NewApplication{
		ClientID: demoApp, Name: "Timesheet", RedirectURIs: []string{"http://" + d.address(timesheetAt) + "/callback"},
		Roles: []string{"viewer", "approver", "manager"},
	}
	for _, c := range circuses() {
		n.Tenants = append(n.Tenants, c.Slug)
	}
	if d.state.AppSecret, _, err = vendor.AddApplication(ctx, n); err != nil {
		return err
	}
	return d.state.save()
}

// publish makes the rule set of the repository the tenant's, unless it has one.
func (d *demo) publish(ctx context.Context, c circus) error {
	dir, err := d.admin(ctx, c)
	if err != nil {
		return err
	}
	if _, err := dir.Rules(ctx); !errors.Is(err, store.ErrNotFound) {
		return err
	}
	source, err := rules.Files.ReadFile(c.Slug + ".yaml")
	if err != nil {
		return err
	}
	_, _, err = dir.PublishRules(ctx, source)
	return err
}

func (d *demo) admin(ctx context.Context, c circus) (*store.Directory, error) {
	return d.house.store.Admin(ctx, c.Slug, demoActor, store.Request{ID: uuid.Must(uuid.NewV7()), Method: "CLI", Path: "muster run-demo"})
}
