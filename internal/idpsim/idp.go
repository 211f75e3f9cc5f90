package idpsim

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// The personas.
const (
	Entra = "entra"
	Okta  = "okta"
)

// What Entra sends as externalId of a user. With Microsoft's default, mailNickname, the
// service provider cannot match the oid of a sign-in.
const (
	MappingMailNickname = "mailNickname"
	MappingObjectID     = "objectId"
)

// ErrUnknown: the directory has no such person or group.
var ErrUnknown = errors.New("not in the directory")

// Options say whom an IdP plays and where.
type Options struct {
	Persona string // Entra or Okta
	Mapping string // Entra: MappingMailNickname (if empty) or MappingObjectID
	Flag    bool   // Entra: the aadOptscim062020 dialect; also set by that flag in SCIMURL

	SCIMURL  string // of the service provider; empty: nothing can be pushed
	Token    string
	RawToken bool // Okta: Authorization holds the token without a scheme
	Parallel int  // requests at once; 8 if 0
	// MemberBatch is how many members one request adds; if 0, one as Entra and 50 as Okta.
	MemberBatch int
	// Backoff is the pause before the first repetition; it doubles. 250 ms if 0: the real
	// ones wait for minutes.
	Backoff time.Duration
	// RepeatEvery sends every so-manieth write a second time, as if its answer had been
	// lost; 0 never.
	RepeatEvery int

	URL     string   // where Handler is served, "http://127.0.0.1:9101"; needed to sign in
	Clients []Client // that may send people to sign in
	// IssInResponse adds iss to authorization responses (RFC 9207); neither original does.
	IssInResponse bool
	// Claims may change the claims of an ID Token before it is signed.
	Claims func(claims map[string]any)
	Now    func() time.Time // nil: time.Now
}

// IdP is one identity provider with its directory. It is safe for concurrent use.
type IdP struct {
	options Options
	dialect dialect
	client  *client // nil without a SCIM URL
	op      *provider

	mu        sync.Mutex // guards what follows
	directory Directory
	index     map[string]int        // nickname → position in directory.People
	users     map[string]linkedUser // nickname → user at the service provider
	groups    map[string]string     // group id → id at the service provider
	writes    int
	progress  func(Event)
}

// linkedUser is what is remembered of a user at the service provider.
type linkedUser struct{ id, manager string }

// Event is one step of a push, for a progress display.
type Event struct {
	Action      string // test, import, create, link, update, manager, group, members or retry
	Subject     string // person, group or request
	Done, Total int    // of this action; 0 where that means nothing
}

// New returns an IdP for a copy of the directory. Close it.
func New(directory Directory, options Options) (*IdP, error) {
	if err := directory.validate(); err != nil {
		return nil, err
	}
	idp := &IdP{
		directory: directory.clone(),
		options:   options,
		index:     map[string]int{},
		users:     map[string]linkedUser{},
		groups:    map[string]string{},
	}
	for i, p := range idp.directory.People {
		idp.index[p.Nickname] = i
	}
	if err := idp.choosePersona(); err != nil {
		return nil, err
	}
	if err := idp.connect(); err != nil {
		return nil, err
	}
	idp.op = newProvider(idp)
	return idp, nil
}

// choosePersona completes the options.
func (idp *IdP) choosePersona() error {
	o := &idp.options
	switch {
	case o.Persona == Okta:
		idp.dialect = okta{rawToken: o.RawToken}
	case o.Persona != Entra:
		return fmt.Errorf("persona %q is neither %q nor %q", o.Persona, Entra, Okta)
	case idp.directory.Tenant == "":
		return errors.New("as Entra, the directory needs a tenant id")
	case o.Mapping != "" && o.Mapping != MappingMailNickname && o.Mapping != MappingObjectID:
		return fmt.Errorf("mapping %q is neither %q nor %q", o.Mapping, MappingMailNickname, MappingObjectID)
	default:
		flag := o.Flag || strings.Contains(strings.ToLower(o.SCIMURL), "aadoptscim062020")
		idp.dialect = entra{flag: flag, mapping: o.Mapping}
	}
	if o.Parallel == 0 {
		o.Parallel = 8
	}
	if o.MemberBatch == 0 {
		o.MemberBatch = idp.dialect.memberBatch()
	}
	if o.Backoff == 0 {
		o.Backoff = 250 * time.Millisecond
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return nil
}

func (idp *IdP) connect() error {
	o := idp.options
	if o.SCIMURL == "" {
		return nil
	}
	client, err := newClient(o.SCIMURL, idp.dialect.header(o.Token), o.Parallel)
	if err != nil {
		return err
	}
	client.backoff = o.Backoff
	client.retried = func(what call, reason string) {
		idp.report(Event{Action: "retry", Subject: what.method + " " + what.path + ": " + reason})
	}
	idp.client = client
	return nil
}

// Close drops idle connections.
func (idp *IdP) Close() {
	if idp.client != nil {
		idp.client.http.CloseIdleConnections()
	}
}

// Directory returns a copy of the directory as it is now.
func (idp *IdP) Directory() Directory {
	idp.mu.Lock()
	defer idp.mu.Unlock()
	return idp.directory.clone()
}

// UserID returns the id that the service provider gave to whom ref names, if the person
// was pushed or found since this IdP was made.
func (idp *IdP) UserID(ref string) (string, bool) {
	idp.mu.Lock()
	defer idp.mu.Unlock()
	i := idp.find(ref)
	if i < 0 {
		return "", false
	}
	link, ok := idp.users[idp.directory.People[i].Nickname]
	return link.id, ok
}

// send sends the calls one after another.
func (idp *IdP) send(ctx context.Context, calls ...call) error {
	for _, what := range calls {
		if _, err := idp.do(ctx, what, nil); err != nil {
			return err
		}
	}
	return nil
}

// do sends one call, and a write sometimes twice.
func (idp *IdP) do(ctx context.Context, what call, answer any) (repeated bool, err error) {
	if idp.client == nil {
		return false, errors.New("no SCIM URL is configured")
	}
	if idp.repeats(what) {
		if _, err := idp.client.do(ctx, what, nil); err != nil {
			return false, err
		}
		_, err := idp.client.do(ctx, what, answer)
		return true, err
	}
	return idp.client.do(ctx, what, answer)
}

func (idp *IdP) repeats(what call) bool {
	if idp.options.RepeatEvery == 0 || what.body == nil {
		return false
	}
	idp.mu.Lock()
	defer idp.mu.Unlock()
	idp.writes++
	return idp.writes%idp.options.RepeatEvery == 0
}

// report tells the progress function of the push under way.
func (idp *IdP) report(event Event) {
	idp.mu.Lock()
	progress := idp.progress
	idp.mu.Unlock()
	if progress != nil {
		progress(event)
	}
}

// person returns whom ref names.
func (idp *IdP) person(ref string) (Person, error) {
	idp.mu.Lock()
	defer idp.mu.Unlock()
	i := idp.find(ref)
	if i < 0 {
		return Person{}, fmt.Errorf("person %q: %w", ref, ErrUnknown)
	}
	return idp.directory.People[i], nil
}

// find returns the position of whom ref names, or -1. The caller holds mu.
func (idp *IdP) find(ref string) int {
	if i, ok := idp.index[ref]; ok {
		return i
	}
	return idp.directory.person(ref)
}

// managerOf returns the manager of p, or nobody.
func (idp *IdP) managerOf(p Person) Person {
	idp.mu.Lock()
	defer idp.mu.Unlock()
	if i, ok := idp.index[p.Manager]; ok {
		return idp.directory.People[i]
	}
	return Person{}
}

func (idp *IdP) link(nickname string) (linkedUser, bool) {
	idp.mu.Lock()
	defer idp.mu.Unlock()
	link, ok := idp.users[nickname]
	return link, ok
}

func (idp *IdP) remember(nickname string, held heldUser) {
	idp.mu.Lock()
	defer idp.mu.Unlock()
	link := linkedUser{id: held.ID}
	if held.Enterprise.Manager != nil {
		link.manager = held.Enterprise.Manager.Value
	}
	idp.users[nickname] = link
}
