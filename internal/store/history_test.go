package store_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/storetest"
)

// Whatever 16 clients of two servers do to 24 people at once, each person's
// answers are those of some order of single steps in which every answer stands
// between its question and its return. Steps whose outcome nobody knows may
// stand anywhere after their question, or never.
func TestConcurrentHistoriesAreLinearizable(t *testing.T) {
	const clients, steps, people = 16, 850, 24
	h := openHistory(t, people)
	var wg sync.WaitGroup
	for client := range clients {
		random := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), uint64(client)))
		wg.Go(func() {
			for range steps {
				h.step(client, random)
			}
		})
	}
	wg.Wait()
	known, unknown := 0, 0
	for _, o := range h.operations {
		if o.Return == math.MaxInt64 {
			unknown++
		} else {
			known++
		}
	}
	t.Logf("%d operations on %d people, and %d of unknown outcome", known, people, unknown)
	if known < 10_000 || unknown == 0 {
		t.Error("at least 10,000 outcomes must be known and one not: this run shows nothing")
	}
	if !porcupine.CheckOperations(onePerson, h.operations) {
		t.Error("there is no such order")
		for _, partition := range onePerson.Partition(h.operations) {
			if !porcupine.CheckOperations(onePerson, partition) {
				t.Log(describe(partition))
				return
			}
		}
	}
}

// An act is one step of a client about one person.
type act struct {
	person int
	kind   string // activate, deactivate, lock, unlock, join, leave, check, sign in, redeem
	code   int    // redeem: which
}

// An outcome is what came of it.
type outcome struct {
	allowed bool
	code    int // sign in: the code it gave
}

// A posture is what the model knows of a person. Codes die for good whenever
// the person is shut out or let in again.
type posture struct {
	active, locked, member bool
	codes                  string // sorted, each followed by a comma
}

func (p posture) mayEnter() bool { return p.active && !p.locked }

func (p posture) become(change func(*posture)) posture {
	next := p
	change(&next)
	if next.mayEnter() != p.mayEnter() {
		next.codes = ""
	}
	return next
}

func (p posture) has(code int) bool {
	return slices.Contains(strings.Split(p.codes, ","), fmt.Sprint(code))
}

func (p posture) with(code int, present bool) posture {
	codes := slices.DeleteFunc(strings.Split(p.codes, ","), func(c string) bool { return c == "" || c == fmt.Sprint(code) })
	if present {
		codes = append(codes, fmt.Sprint(code))
	}
	slices.Sort(codes)
	p.codes = strings.Join(codes, ",")
	return p
}

// onePerson is the model: what a single step may answer and leave behind.
var onePerson = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byPerson := map[int][]porcupine.Operation{}
		for _, o := range history {
			person := o.Input.(act).person
			byPerson[person] = append(byPerson[person], o)
		}
		var partitions [][]porcupine.Operation
		for _, p := range byPerson {
			partitions = append(partitions, p)
		}
		return partitions
	},
	Init: func() any { return posture{active: true, member: true} },
	Step: func(state, input, output any) (bool, any) {
		p, a := state.(posture), input.(act)
		o, known := output.(outcome)
		may := p.mayEnter() && p.member
		switch a.kind {
		case "check":
			return o.allowed == may, p
		case "sign in":
			if o.allowed {
				return may, p.with(o.code, true)
			}
			return !may, p
		case "redeem":
			return !known || o.allowed == (may && p.has(a.code)), p.with(a.code, false)
		}
		return true, p.become(changes[a.kind].change)
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v → %+v", input, output) },
}

// A history is the clients, the people and what was asked of whom.
type history struct {
	*circus
	stores [2]*store.Store
	users  []store.User
	crew   store.Group
	begun  time.Time

	mu         sync.Mutex
	operations []porcupine.Operation
	codes      []string      // by number
	unspent    map[int][]int // person → codes
}

func openHistory(t *testing.T, people int) *history {
	_, server := storetest.Database(t)
	pool := func(c *store.Config) { c.PoolSize = 8 }
	h := &history{stores: [2]*store.Store{storetest.Open(t, server, pool), storetest.Open(t, server, pool)}, begun: time.Now(), unspent: map[int][]int{}}
	h.circus = ringlingOn(t, h.stores[0])
	h.circus.publish("version: 1\ngroupRoles:\n  - name: Ring Crew\n    grant: [timesheet.viewer]\nrules: []\n")
	for n := range people {
		h.users = append(h.users, h.create(fmt.Sprintf("p%d@ringling.example", n), fmt.Sprint("p", n)))
	}
	var err error
	if h.crew, _, err = h.scim().CreateGroup(t.Context(), group("Ring Crew", h.users...)); err != nil {
		t.Fatal(err)
	}
	return h
}

// changes are the steps that change a person.
var changes = map[string]struct {
	change func(*posture)
	do     func(h *history, ctx context.Context, s *store.Store, u store.User) error
}{
	"activate":   {func(p *posture) { p.active = true }, patchActive(true)},
	"deactivate": {func(p *posture) { p.active = false }, patchActive(false)},
	"lock":       {func(p *posture) { p.locked = true }, lockUser(true)},
	"unlock":     {func(p *posture) { p.locked = false }, lockUser(false)},
	"join":       {func(p *posture) { p.member = true }, moveMember(scim.AddMembers)},
	"leave":      {func(p *posture) { p.member = false }, moveMember(scim.RemoveMembers)},
}

func patchActive(active bool) func(*history, context.Context, *store.Store, store.User) error {
	return func(h *history, ctx context.Context, s *store.Store, u store.User) error {
		_, _, err := h.scimOn(s).UpdateUser(ctx, u.ID.String(), "", set("active", active))
		return err
	}
}

func lockUser(locked bool) func(*history, context.Context, *store.Store, store.User) error {
	return func(h *history, ctx context.Context, s *store.Store, u store.User) error {
		dir, err := s.Admin(h.t.Context(), "ringling", "test", store.Request{})
		if err != nil {
			return err
		}
		_, _, err = dir.LockUser(ctx, u.ID, locked)
		return err
	}
}

func moveMember(kind scim.MemberOpKind) func(*history, context.Context, *store.Store, store.User) error {
	return func(h *history, ctx context.Context, s *store.Store, u store.User) error {
		_, _, err := h.scimOn(s).UpdateGroup(ctx, h.crew.ID.String(), "", store.GroupChange{Members: members(kind, u)})
		return err
	}
}

// step does one thing, and says what came of it.
func (h *history) step(client int, random *rand.Rand) {
	n := random.IntN(len(h.users))
	s := h.stores[random.IntN(2)]
	switch dice := random.IntN(100); {
	case dice < 35:
		h.check(client, s, n)
	case dice < 55:
		h.signIn(client, s, n)
	case dice < 75:
		h.redeem(client, s, n)
	default:
		// More lets people in than shuts them out: else nobody is ever allowed.
		kinds := []string{"activate", "activate", "deactivate", "lock", "unlock", "unlock", "join", "join", "leave"}
		h.change(client, s, n, kinds[random.IntN(len(kinds))], random)
	}
}

func (h *history) now() int64 { return int64(time.Since(h.begun)) }

// add appends an operation. A nil answer says that its outcome is not known.
func (h *history) add(client int, a act, call int64, answer any) {
	o := porcupine.Operation{ClientId: client, Input: a, Call: call, Output: answer, Return: h.now()}
	if answer == nil {
		o.Return = math.MaxInt64
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.operations = append(h.operations, o)
}

func (h *history) change(client int, s *store.Store, n int, kind string, random *rand.Rand) {
	ctx, cancel := h.t.Context(), context.CancelFunc(func() {})
	if random.IntN(10) == 0 { // given up by its caller, at whatever point
		ctx, cancel = context.WithTimeout(ctx, time.Duration(random.IntN(8_000))*time.Microsecond)
	}
	defer cancel()
	call := h.now()
	err := changes[kind].do(h, ctx, s, h.users[n])
	switch {
	case err == nil:
		h.add(client, act{person: n, kind: kind}, call, outcome{})
	case errors.Is(err, store.ErrUnknownOutcome):
		h.add(client, act{person: n, kind: kind}, call, nil)
	case errors.Is(err, store.ErrUnavailable), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		// Nothing was changed.
	default:
		h.t.Errorf("%s: %v", kind, err)
	}
}

func (h *history) check(client int, s *store.Store, n int) {
	call := h.now()
	d, err := s.Check(h.t.Context(), store.CheckRequest{Tenant: "ringling", ClientID: "timesheet", Secret: h.secret, UserID: h.users[n].ID.String()})
	if err != nil {
		h.t.Errorf("check: %v", err)
		return
	}
	h.add(client, act{person: n, kind: "check"}, call, outcome{allowed: d.Allowed})
}

func (h *history) signIn(client int, s *store.Store, n int) {
	journey := h.begin(s)
	call := h.now()
	d, code, err := s.MintCode(h.t.Context(), journey, identity(fmt.Sprint("p", n)))
	if errors.Is(err, store.ErrUnavailable) { // the identity was bound beside it
		return
	}
	if err != nil {
		h.t.Errorf("sign in: %v", err)
		return
	}
	h.mu.Lock()
	number := len(h.codes)
	h.codes = append(h.codes, code)
	h.mu.Unlock()
	h.add(client, act{person: n, kind: "sign in"}, call, outcome{allowed: d.Allowed, code: number})
	if d.Allowed {
		h.mu.Lock()
		h.unspent[n] = append(h.unspent[n], number)
		h.mu.Unlock()
	}
}

func (h *history) redeem(client int, s *store.Store, n int) {
	h.mu.Lock()
	codes := h.unspent[n]
	if len(codes) == 0 {
		h.mu.Unlock()
		return
	}
	number := codes[0]
	if len(h.operations)%5 != 0 { // now and then two bring the same code
		h.unspent[n] = codes[1:]
	}
	code := h.codes[number]
	h.mu.Unlock()
	call := h.now()
	d, _, err := s.MintToken(h.t.Context(), h.redemption(code))
	a := act{person: n, kind: "redeem", code: number}
	switch {
	case err == nil:
		h.add(client, a, call, outcome{allowed: d.Allowed})
	case errors.Is(err, store.ErrInvalidGrant):
		h.add(client, a, call, outcome{})
	default:
		h.t.Errorf("redeem: %v", err)
	}
}

// describe lists a person's history by the time of the questions.
func describe(history []porcupine.Operation) string {
	slices.SortFunc(history, func(a, b porcupine.Operation) int { return int(a.Call - b.Call) })
	var b strings.Builder
	for _, o := range history {
		fmt.Fprintf(&b, "%12d %20d %s\n", o.Call, o.Return, onePerson.DescribeOperation(o.Input, o.Output))
	}
	return b.String()
}
